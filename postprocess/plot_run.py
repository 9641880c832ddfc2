"""Figures of one run: its evolution and, if it was written, its band geometry.

Example: python postprocess/plot_run.py runs/my_run --time 0 12.5 --suffix pdf
"""

from __future__ import annotations

import argparse
from pathlib import Path

from wigner_sim import open_run
from wigner_sim.errors import CaseError
from wigner_sim.plotting import plot_geometry, plot_run, save_figure


def main() -> None:
    """Read the arguments and write the figures into the run directory (or --output)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("--time", type=float, nargs="+", help="times to show (default: first, middle, last)")
    parser.add_argument("--band", type=int, help="band to show (default: the first)")
    parser.add_argument("--output", type=Path, help="directory for the figures (default: the run directory)")
    parser.add_argument("--suffix", choices=("png", "pdf", "svg"), default="png")
    parser.add_argument("--overwrite", action="store_true", help="replace earlier figures")
    args = parser.parse_args()
    output = args.output or args.run
    try:
        run = open_run(args.run)
        figures = {"evolution": plot_run(run, args.time, band=args.band)}
        if run.geometry:
            figures["geometry"] = plot_geometry(run, band=args.band)
        for name, figure in figures.items():
            print(save_figure(figure, output / f"{name}.{args.suffix}", overwrite=args.overwrite))
    except CaseError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
