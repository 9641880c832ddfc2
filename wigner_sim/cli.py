"""The command ``wigner-sim``: each verb parses its arguments and calls one function of the package.

Exit codes: 0 done, 2 bad case or argument, 3 stopped by a guard, 130 interrupted with a checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from wigner_sim import __version__
from wigner_sim.errors import CaseError, WignerSimError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    try:
        options.action(options)
    except WignerSimError as error:
        print(f"wigner-sim: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"wigner-sim: {error.filename or 'file system'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("wigner-sim: interrupted", file=sys.stderr)
        return 130
    return 0


# --- verbs ---


def _check(options: argparse.Namespace) -> None:
    from wigner_sim.reports import check_report
    from wigner_sim.simulation import check

    print(check_report(check(options.case, options.set)))


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
    from wigner_sim.exact import exact

    print(exact(options.case, options.set, show_progress=not options.quiet).path)


def _compare(options: argparse.Namespace) -> None:
    from wigner_sim.convergence import compare, comparison_table, save_json

    result = compare(options.case, options.set, options.start)
    print(comparison_table(result))
    if options.json:
        print(save_json(result, options.json))


def _converge(options: argparse.Namespace) -> None:
    from wigner_sim.convergence import converge, convergence_table, save_json
    from wigner_sim.plotting import plot_convergence, save_figure

    result = converge(options.case, options.dilations, options.orders, options.set, options.start)
    print(convergence_table(result))
    json_path = options.json
    if json_path:
        print(save_json(result, json_path))
    figure = options.figure or (Path(json_path).with_suffix(".png") if json_path else None)
    if figure:
        Path(figure).parent.mkdir(parents=True, exist_ok=True)
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
    Path(output).parent.mkdir(parents=True, exist_ok=True)
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
    output = Path(options.output or run.path / f"{'geometry' if options.geometry else 'figure'}.png")
    output.parent.mkdir(parents=True, exist_ok=True)
    if options.geometry:
        figure = plotting.plot_geometry(run, band=options.band)
    elif options.diff:
        figure = plotting.plot_difference(run, open_run(options.diff), band=options.band)
    elif options.exact:
        figure = plotting.plot_comparison(run, open_run(options.exact), band=options.band)
    else:
        figure = plotting.plot_run(run, time=options.time, band=options.band)
    print(plotting.save_figure(figure, output))


# --- arguments ---


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="wigner-sim",
        description="Electrons in crystals in phase space: quantum kinetics to second order in gradients.",
        epilog="exit codes: 0 done, 2 bad case or argument, 3 stopped by a guard, 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"wigner-sim {__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB", parser_class=_Parser)

    def verb(name: str, action: object, text: str, of: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text)
        sub.set_defaults(action=action)
        about = (
            "case directory or file"
            if of == "case"
            else "run directory, or case directory for its latest run"
        )
        sub.add_argument(of, help=about)
        if of == "case":
            sub.add_argument(
                "--set",
                action="append",
                default=[],
                metavar="KEY=VALUE",
                help="override a key, e.g. equation.order=1",
            )
        return sub

    def quiet(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--quiet", action="store_true", help="no progress line")

    verb("check", _check, "validate a case and say what it will do; writes nothing", "case")
    quiet(verb("run", _run, "run a case in a new run directory", "case"))
    quiet(verb("resume", _resume, "continue a stopped run from its last checkpoint", "run"))
    verb("info", _info, "say what a run is and how well it kept what is conserved", "run")
    quiet(verb("exact", _exact, "run exact Liouville-von Neumann dynamics for a case", "case"))

    sub = verb("compare", _compare, "run a case both ways and report the differences", "case")
    _start(sub, "case")
    sub.add_argument("--json", metavar="FILE", help="write the result as JSON")

    sub = verb(
        "converge", _converge, "dilate a case and fit how the errors against exact dynamics fall", "case"
    )
    sub.add_argument("--dilations", type=_floats, default=[1.0, 1.5, 2.25], metavar="1,1.5,2.25")
    sub.add_argument("--orders", type=_orders, default=[0, 1, 2], metavar="0,1,2")
    _start(sub, "exact")
    sub.add_argument("--json", metavar="FILE", help="write rows and slopes as JSON (and a figure beside it)")
    sub.add_argument("--figure", metavar="FILE", help="write the log-log figure (png, pdf or svg)")

    sub = verbs.add_parser(
        "bench", help="measure the package: every convergence study against exact dynamics"
    )
    sub.set_defaults(action=_bench)
    sub.add_argument("--suite", choices=["validation"], default="validation", help="default: validation")
    sub.add_argument("--output", metavar="DIR", default="validation", help="for table, figure and JSON")
    sub.add_argument("--studies", type=lambda text: text.split(","), metavar="A,B", help="default: all")
    sub.add_argument("--quick", action="store_true", help="two small dilations of each study")

    sub = verb(
        "movie", _movie, "make a movie of a finished or running run (gif, and mp4 with imageio-ffmpeg)", "run"
    )
    sub.add_argument("--output", metavar="PATH", help="without suffix; default: movie in the run directory")
    sub.add_argument("--diff", metavar="OTHER", help="show the difference to another run")
    sub.add_argument("--band", type=int, help="band index; default: the first one stored")
    sub.add_argument("--fps", type=float, default=20, help="frames per second")
    sub.add_argument(
        "--formats", type=lambda text: text.split(","), default=["gif", "mp4"], metavar="gif,mp4"
    )

    sub = verb("plot", _plot, "make a figure of a run", "run")
    sub.add_argument(
        "--output", metavar="FILE", help="png, pdf or svg; default: figure.png in the run directory"
    )
    sub.add_argument("--time", type=float, help="only this time")
    sub.add_argument("--band", type=int, help="band index; default: the first one stored")
    sub.add_argument("--diff", metavar="OTHER", help="difference to another run")
    sub.add_argument("--exact", metavar="RUN", help="beside an exact run, with the difference")
    sub.add_argument("--geometry", action="store_true", help="the band geometry instead of the state")
    return parser


class _Parser(argparse.ArgumentParser):
    """argparse with one-sentence errors and the nearest match for a misspelled verb or option."""

    def error(self, message: str) -> None:  # type: ignore[override]
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(CaseError.exit_code)


def _start(sub: argparse.ArgumentParser, default: str) -> None:
    sub.add_argument(
        "--start",
        choices=["case", "exact"],
        default=default,
        help=f"start the kinetic run from the case's state or from the exact f(0) (default: {default})",
    )


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
