"""The entry point: parse the arguments, perform the verb, turn errors into a sentence and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence

from wigner_sim import __version__
from wigner_sim.cli.arguments import Parser
from wigner_sim.cli.verbs import VERBS
from wigner_sim.errors import EXIT_CODES, CaseError, WignerSimError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, see :data:`wigner_sim.errors.EXIT_CODES`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        _parser().print_help(sys.stderr)
        return CaseError.exit_code
    try:
        options = _parser().parse_args(words)
        if "action" not in options:
            return _failed(f"a verb is missing; see wigner-sim --help, got {' '.join(words)!r}", 2)
        with _messages_on_stderr(getattr(options, "quiet", False)):
            options.action(options)
    except SystemExit as stop:  # argparse has said why
        return int(stop.code or 0)
    except WignerSimError as error:
        return _failed(str(error), error.exit_code)
    except OSError as error:
        return _failed(f"{error.filename or 'file system'}: {error.strerror or error}", 1)
    except MemoryError:
        return _failed("out of memory: use fewer grid points or bands", CaseError.exit_code)
    except KeyboardInterrupt:
        return _failed("interrupted", 130)
    return 0


def _failed(sentence: str, exit_code: int) -> int:
    print(f"wigner-sim: {sentence}", file=sys.stderr)
    return exit_code


@contextlib.contextmanager
def _messages_on_stderr(quiet: bool) -> Iterator[None]:
    """Show what the package logs (everything worth knowing, or warnings only) and what it warns of."""
    logger = logging.getLogger("wigner_sim")
    handler, level = logging.StreamHandler(sys.stderr), logger.level
    handler.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = lambda message, *where, **more: logger.warning("%s", message)
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _parser() -> argparse.ArgumentParser:
    codes = ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())
    parser = Parser(
        prog="wigner-sim",
        description="Electrons in crystals in phase space: quantum kinetics to second order in gradients.",
        epilog=f"exit codes: {codes}",
    )
    parser.add_argument("--version", action="version", version=f"wigner-sim {__version__}")
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", parser_class=Parser)
    for verb in VERBS:
        sub = subparsers.add_parser(verb.name, help=verb.help, description=verb.help)
        sub.set_defaults(action=verb.action)
        verb.add_arguments(sub)
    return parser
