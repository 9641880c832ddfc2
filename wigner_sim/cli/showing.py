"""Verbs that draw: ``movie``, ``plot``, ``view``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wigner_sim.cli.arguments import Verb, add_run, words

if TYPE_CHECKING:
    from wigner_sim.figures.frames import Run
    from wigner_sim.figures.panels import RunFigure

QUANTITY = 'main picture: any stored variable, e.g. density, "f(kx, ky; x=3)" (axes shown; axes cut)'


def _opened(path: str, units: str, exact: bool = False) -> Run:
    """A run to look at, in the units asked for."""
    from wigner_sim.figures.physical_axes import in_physical_units
    from wigner_sim.runs import open_exact_run, open_run

    run = open_exact_run(path) if exact else open_run(path)
    return run if units == "lattice" else in_physical_units(run)


def _add_units(parser: argparse.ArgumentParser) -> None:
    about = "of times and positions, also in other options; physical ones (fs, nm) if the case has any"
    parser.add_argument("--units", choices=["physical", "lattice"], default="physical", help=about)


def _movie(options: argparse.Namespace) -> None:
    from wigner_sim.movies import make_movie

    run = _opened(options.run, options.units)
    output = options.output or run.path / "movie"
    other = _opened(options.diff, options.units) if options.diff else None
    movie = make_movie(
        run,
        output,
        other=other,
        quantity=options.quantity,
        panels=options.panels,
        band=options.band,
        fps=options.fps,
        max_frames=options.max_frames,
        formats=options.formats,
    )
    for note in movie.notes:
        print(note, file=sys.stderr)
    for file in movie.files:
        print(file)


def _movie_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    _add_units(parser)
    about = "without suffix; default: movie in the run directory"
    parser.add_argument("--output", metavar="PATH", help=about)
    parser.add_argument("--diff", metavar="OTHER", help="show the difference to another run")
    parser.add_argument("--band", type=int, help="band index; default: the first one stored")
    parser.add_argument("--fps", type=float, default=20, help="frames per second")
    parser.add_argument("--formats", type=words, default=["gif", "mp4"], metavar="gif,mp4")
    parser.add_argument("--max-frames", type=int, default=300, help="of more times, evenly spaced ones")
    parser.add_argument("--quantity", metavar="NAME", help=QUANTITY)
    about = 'quantities to show instead of the usual four panels, and "drift"; put this after RUN'
    parser.add_argument("--panels", nargs="+", default=[], metavar="NAME", help=about)


def _plot(options: argparse.Namespace) -> None:
    from wigner_sim import plotting

    run = _opened(options.run, options.units)
    name = "geometry" if options.geometry else "validity" if options.validity else "figure"
    output = Path(options.output or run.path / f"{name}.png")
    with plotting.printed(options.size):
        print(plotting.save_figure(_figure(options, run), output))


def _figure(options: argparse.Namespace, run: Run) -> RunFigure:
    """Figure that the options ask for."""
    from wigner_sim import plotting

    band, time = options.band, options.time
    if options.geometry:
        return plotting.plot_geometry(run, band=band)
    if options.validity:
        return plotting.plot_validity(run, band=band)
    if options.diff:
        return plotting.plot_difference(run, _opened(options.diff, options.units), band=band)
    if options.exact:
        return plotting.plot_comparison(
            run, _opened(options.exact, options.units, exact=True), time, band=band
        )
    if options.quantity or options.size == "column":
        return plotting.plot_quantity(
            run, options.quantity, time, band=band, upright=options.size == "column"
        )
    return plotting.plot_run(run, time=time, band=band)


def _plot_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    _add_units(parser)
    about = "png, pdf or svg; default: figure.png in the run directory"
    parser.add_argument("--output", metavar="FILE", help=about)
    parser.add_argument("--band", type=int, help="band index; default: the first one stored")
    parser.add_argument("--time", type=float, help="only this time")
    about = "for print: a column of 86 mm (main picture only) or a page of 178 mm, with letters of 8 points"
    parser.add_argument("--size", choices=["screen", "column", "page"], default="screen", help=about)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--diff", metavar="OTHER", help="difference to another run")
    what.add_argument("--exact", metavar="RUN", help="beside an exact run, or the latest of a case directory")
    what.add_argument("--geometry", action="store_true", help="the band geometry instead of the state")
    what.add_argument("--validity", action="store_true", help="how far the run can be trusted, against time")
    what.add_argument("--quantity", metavar="NAME", help=QUANTITY)


def _view(options: argparse.Namespace) -> None:
    from wigner_sim.viewer import make_viewer

    run = _opened(options.run, options.units)
    output = options.output or run.path / "view.html"
    limits = {"band": options.band, "megabytes": options.megabytes}
    page = make_viewer(run, output, quantities=options.quantities, **limits)
    print(page)
    if options.open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def _view_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    _add_units(parser)
    parser.add_argument("--output", metavar="FILE", help="default: view.html in the run directory")
    about = 'what to include: variables, or parts such as "f(x, kx; y=3)"; put this after RUN; default: all'
    parser.add_argument("--quantities", nargs="+", default=[], metavar="NAME", help=about)
    parser.add_argument("--band", type=int, help="band of the parts; default: the first one stored")
    about = "of more data, evenly spaced times are kept (default: 20)"
    parser.add_argument("--megabytes", type=float, default=20.0, help=about)
    parser.add_argument("--open", action="store_true", help="show it in the browser")


VERBS = (
    Verb(
        "movie",
        "make a movie of a finished or running run (gif, and mp4 with imageio-ffmpeg)",
        _movie,
        _movie_arguments,
    ),
    Verb("plot", "make a figure of a run", _plot, _plot_arguments),
    Verb(
        "view", "write an interactive page of a run, one file, to move time and cuts", _view, _view_arguments
    ),
)
