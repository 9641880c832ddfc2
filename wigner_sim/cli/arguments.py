"""Arguments: a parser with helpful errors, what a verb is, and arguments that several verbs share."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from wigner_sim.errors import CaseError


class Parser(argparse.ArgumentParser):
    """argparse with one-sentence errors and the nearest match for a misspelled verb or option."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse unknown options here, where the known ones are known, and not in the outermost parser."""
        namespace, rest = super().parse_known_args(args, namespace)
        if rest:
            unknown = rest[0].partition("=")[0]
            if not unknown.startswith("-"):
                self.error(f"one argument too many, {unknown!r}")
            known = [option for action in self._actions for option in action.option_strings]
            self.error(f"unknown option {unknown!r}{_did_you_mean(unknown, known)}")
        return namespace, rest

    def error(self, message: str) -> NoReturn:
        """Say it in one sentence, and leave."""
        if wrong := re.fullmatch(r"argument VERB: invalid choice: '(.*)' \(choose from (.*)\)", message):
            verbs = re.findall(r"\w+", wrong[2])
            message = f"unknown verb {wrong[1]!r}{_did_you_mean(wrong[1], verbs)}"
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(CaseError.exit_code)


@dataclass(frozen=True)
class Verb:
    """One verb of the command line.

    Parameters
    ----------
    name, help : str
    action : callable
        Performs the verb with the parsed arguments; imports what it needs when it is called.
    add_arguments : callable
        Adds its arguments to a parser.
    """

    name: str
    help: str
    action: Callable[[argparse.Namespace], None]
    add_arguments: Callable[[argparse.ArgumentParser], Any]


def add_case(parser: argparse.ArgumentParser) -> None:
    """A case, and overrides of its keys."""
    parser.add_argument("case", help="case directory or file")
    about = "override a key, e.g. equation.order=1"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=about)


def add_run(parser: argparse.ArgumentParser) -> None:
    """A run."""
    parser.add_argument("run", help="run directory, or case directory for its latest run")


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help="no progress, only warnings and errors")


def words(text: str) -> list[str]:
    """``a,b,c``."""
    return text.split(",")


def floats(text: str) -> list[float]:
    """Numbers separated by commas."""
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers separated by commas, got {text!r}") from None


def integers(text: str) -> list[int]:
    """Integers separated by commas."""
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected integers separated by commas, got {text!r}") from None


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    known = list(known)
    nearest = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else f"; known: {', '.join(known)}"
