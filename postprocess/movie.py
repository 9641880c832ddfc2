"""Movie of one run: phase space, density, momentum distribution and drifts.

Example: python postprocess/movie.py runs/my_run --fps 25
"""

from __future__ import annotations

import argparse
from pathlib import Path

from wigner_sim import open_run
from wigner_sim.errors import CaseError
from wigner_sim.movies import FORMATS, make_movie


def main() -> None:
    """Read the arguments and write the movie into the run directory (or --output)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument(
        "--output", type=Path, help="name of the movie (default: movie, in the run directory)"
    )
    parser.add_argument("--band", type=int, help="band to show (default: the first)")
    parser.add_argument("--fps", type=float, default=20, help="frames per second")
    parser.add_argument(
        "--max-frames", type=int, default=300, help="of more output times, show evenly spaced ones"
    )
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier movie")
    args = parser.parse_args()
    try:
        movie = make_movie(
            open_run(args.run),
            args.output or args.run / "movie",
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
