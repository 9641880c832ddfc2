"""Movie and figure of the difference of two runs on the same grid, say two orders, or kinetic and exact.

Example: python postprocess/difference_movie.py runs/order_2 runs/exact --output kinetic_minus_exact
"""

from __future__ import annotations

import argparse
from pathlib import Path

from wigner_sim import open_run
from wigner_sim.errors import CaseError
from wigner_sim.movies import FORMATS, make_movie
from wigner_sim.plotting import plot_difference, save_figure


def main() -> None:
    """Read the arguments, write the movie and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("other", type=Path, help="directory of the run to subtract")
    parser.add_argument(
        "--output", type=Path, help="name of the movie (default: difference, in the first run)"
    )
    parser.add_argument("--band", type=int, help="band to show (default: the first)")
    parser.add_argument("--fps", type=float, default=20, help="frames per second")
    parser.add_argument("--max-frames", type=int, default=300, help="of more times, show evenly spaced ones")
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument("--overwrite", action="store_true", help="replace earlier files")
    args = parser.parse_args()
    output = args.output or args.run / "difference"
    try:
        run, other = open_run(args.run), open_run(args.other)
        figure = plot_difference(run, other, band=args.band)
        print(save_figure(figure, output.with_suffix(".png"), overwrite=args.overwrite))
        movie = make_movie(
            run,
            output,
            other=other,
            band=args.band,
            fps=args.fps,
            max_frames=args.max_frames,
            formats=args.formats,
            overwrite=args.overwrite,
        )
    except CaseError as error:
        parser.error(str(error))
    print(*movie.files, *movie.notes, sep="\n")


if __name__ == "__main__":
    main()
