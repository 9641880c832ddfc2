"""The command ``wigner-sim``: each verb parses its arguments and calls one function of the package.

Exit codes: 0 done, 2 bad case or argument, 3 stopped by a guard, 130 interrupted with a checkpoint.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from wigner_sim import __version__
from wigner_sim.errors import CaseError, WignerSimError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
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


# --- verbs ---


def _check(options: argparse.Namespace) -> None:
    from wigner_sim.reports import check_report
    from wigner_sim.simulation import check

    prepared = check(options.case, options.set)
    print(check_report(prepared))
    if options.gauge:
        from wigner_sim.gauge import certificate_report, gauge_certificate

        print(certificate_report(gauge_certificate(prepared.problem)))


def _run(options: argparse.Namespace) -> None:
    from wigner_sim.simulation import run

    print(run(options.case, options.set, show_progress=not options.quiet).path)


def _resume(options: argparse.Namespace) -> None:
    from wigner_sim.simulation import resume

    print(resume(options.run, show_progress=not options.quiet).path)


def _info(options: argparse.Namespace) -> None:
    from wigner_sim.reports import info

    print(info(options.run))


def _exact(options: argparse.Namespace) -> None:
    from wigner_sim.exact_runs import exact

    print(exact(options.case, options.set, show_progress=not options.quiet).path)


def _compare(options: argparse.Namespace) -> None:
    from wigner_sim.convergence import compare, comparison_table, save_json

    result = compare(options.case, options.set, options.start)
    print(comparison_table(result))
    if options.json:
        print(save_json(result, options.json))


def _converge(options: argparse.Namespace) -> None:
    from wigner_sim.convergence import converge, convergence_table, save_json
    from wigner_sim.plotting import figure_suffix, plot_convergence, save_figure

    figure = options.figure or (Path(options.json).with_suffix(".png") if options.json else None)
    if figure:
        figure_suffix(figure)  # minutes of computing should not end in a bad file name
    result = converge(options.case, options.dilations, options.orders, options.set, options.start)
    print(convergence_table(result))
    if options.json:
        print(save_json(result, options.json))
    if figure:
        print(save_figure(plot_convergence(result), figure, overwrite=True))


def _bench(options: argparse.Namespace) -> None:
    from wigner_sim.convergence import save_json
    from wigner_sim.plotting import plot_validation, save_figure
    from wigner_sim.validation import run_validation, validation_table

    result = run_validation(options.studies, options.quick)
    output, table = Path(options.output), validation_table(result)
    print(table, *result["misses"], sep="\n", end="")
    print(save_json(result, output / "validation.json"))
    (output / "validation_table.md").write_text(table, encoding="utf-8")
    print(output / "validation_table.md")
    print(save_figure(plot_validation(result), output / "validation.png", overwrite=True))


def _movie(options: argparse.Namespace) -> None:
    from wigner_sim.movies import make_movie
    from wigner_sim.runs import open_run

    run = open_run(options.run)
    output = options.output or run.path / "movie"
    other = open_run(options.diff) if options.diff else None
    movie = make_movie(run, output, other=other, band=options.band, fps=options.fps, formats=options.formats)
    for note in movie.notes:
        print(note, file=sys.stderr)
    for file in movie.files:
        print(file)


def _plot(options: argparse.Namespace) -> None:
    from wigner_sim import plotting
    from wigner_sim.runs import open_run

    run = open_run(options.run)
    name = "geometry" if options.geometry else "validity" if options.validity else "figure"
    output = Path(options.output or run.path / f"{name}.png")
    if options.geometry:
        figure = plotting.plot_geometry(run, band=options.band)
    elif options.validity:
        figure = plotting.plot_validity(run, band=options.band)
    elif options.diff:
        figure = plotting.plot_difference(run, open_run(options.diff), band=options.band)
    elif options.exact:
        figure = plotting.plot_comparison(run, open_run(options.exact), options.time, band=options.band)
    else:
        figure = plotting.plot_run(run, time=options.time, band=options.band)
    print(plotting.save_figure(figure, output))


# --- arguments ---

CASE = ("case", "case directory or file")
RUN = ("run", "run directory, or case directory for its latest run")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="wigner-sim",
        description="Electrons in crystals in phase space: quantum kinetics to second order in gradients.",
        epilog="exit codes: 0 done, 2 bad case or argument, 3 stopped by a guard, 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"wigner-sim {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", parser_class=_Parser)

    def verb(name: str, action: Callable[..., None], of: tuple[str, str], text: str) -> _Parser:
        sub: _Parser = verbs.add_parser(name, help=text, description=text)
        sub.set_defaults(action=action)
        sub.add_argument(of[0], help=of[1])
        if of is CASE:
            about = "override a key, e.g. equation.order=1"
            sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=about)
        return sub

    sub = verb("check", _check, CASE, "validate a case and say what it will do; writes nothing")
    sub.add_argument("--gauge", action="store_true", help="also measure that no choice of gauge matters")
    for sub in (
        verb("run", _run, CASE, "run a case in a new run directory"),
        verb("resume", _resume, RUN, "continue a stopped run from its last checkpoint"),
        verb("exact", _exact, CASE, "run exact Liouville-von Neumann dynamics for a case"),
    ):
        sub.add_argument("--quiet", action="store_true", help="no progress, only warnings and errors")
    verb("info", _info, RUN, "say what a run is and how well it kept what is conserved")
    _add_compare(verb("compare", _compare, CASE, "run a case both ways and report the differences"))
    about = "dilate a case and fit how the errors against exact dynamics fall"
    _add_converge(verb("converge", _converge, CASE, about))
    about = "make a movie of a finished or running run (gif, and mp4 with imageio-ffmpeg)"
    _add_movie(verb("movie", _movie, RUN, about))
    _add_plot(verb("plot", _plot, RUN, "make a figure of a run"))
    about = "measure the package: every convergence study against exact dynamics"
    sub = verbs.add_parser("bench", help=about, description=about)
    sub.set_defaults(action=_bench)
    sub.add_argument("--suite", choices=["validation"], default="validation", help="default: validation")
    sub.add_argument("--output", metavar="DIR", default="validation", help="for table, figure and JSON")
    sub.add_argument("--studies", type=lambda text: text.split(","), metavar="A,B", help="default: all")
    sub.add_argument("--quick", action="store_true", help="two small dilations of each study")
    return parser


def _add_compare(sub: argparse.ArgumentParser) -> None:
    _start(sub, "case")
    sub.add_argument("--json", metavar="FILE", help="write the result as JSON")


def _add_converge(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--dilations", type=_floats, default=[1.0, 1.5, 2.25], metavar="1,1.5,2.25")
    sub.add_argument("--orders", type=_orders, default=[0, 1, 2], metavar="0,1,2")
    _start(sub, "exact")
    sub.add_argument("--json", metavar="FILE", help="write rows and slopes as JSON (and a figure beside it)")
    sub.add_argument("--figure", metavar="FILE", help="write the log-log figure (png, pdf or svg)")


def _add_movie(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--output", metavar="PATH", help="without suffix; default: movie in the run directory")
    sub.add_argument("--diff", metavar="OTHER", help="show the difference to another run")
    sub.add_argument("--band", type=int, help="band index; default: the first one stored")
    sub.add_argument("--fps", type=float, default=20, help="frames per second")
    sub.add_argument("--formats", type=_words, default=["gif", "mp4"], metavar="gif,mp4")


def _add_plot(sub: argparse.ArgumentParser) -> None:
    about = "png, pdf or svg; default: figure.png in the run directory"
    sub.add_argument("--output", metavar="FILE", help=about)
    sub.add_argument("--band", type=int, help="band index; default: the first one stored")
    sub.add_argument("--time", type=float, help="only this time")
    what = sub.add_mutually_exclusive_group()
    what.add_argument("--diff", metavar="OTHER", help="difference to another run")
    what.add_argument("--exact", metavar="RUN", help="beside an exact run, with the difference")
    what.add_argument("--geometry", action="store_true", help="the band geometry instead of the state")
    what.add_argument("--validity", action="store_true", help="how far the run can be trusted, against time")


class _Parser(argparse.ArgumentParser):
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


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    known = list(known)
    nearest = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else f"; known: {', '.join(known)}"


def _start(sub: argparse.ArgumentParser, default: str) -> None:
    sub.add_argument(
        "--start",
        choices=["case", "exact"],
        default=default,
        help=f"start the kinetic run from the case's state or from the exact f(0) (default: {default})",
    )


def _words(text: str) -> list[str]:
    return text.split(",")


def _floats(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers separated by commas, got {text!r}") from None


def _orders(text: str) -> list[int]:
    try:
        orders = [int(word) for word in text.split(",")]
    except ValueError:
        orders = [-1]
    if not set(orders) <= {0, 1, 2}:
        raise argparse.ArgumentTypeError(f"expected orders among 0,1,2, got {text!r}")
    return orders
