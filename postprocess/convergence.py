"""Convergence figure from the JSON file of a convergence study: errors against dilation, order by order.

Example: python postprocess/convergence.py runs/study/convergence.json --errors f_max n_max energy
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from wigner_sim.errors import CaseError
from wigner_sim.plotting import plot_convergence, save_figure


def main() -> None:
    """Read the arguments, write the figure beside the JSON file (or to --output)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("result", type=Path, help="JSON file with rows and slopes")
    parser.add_argument("--errors", nargs="+", default=["f_max", "n_max"], help="f_max, f_l2, n_max, energy")
    parser.add_argument("--against", choices=("dilation", "sites"), default="dilation")
    parser.add_argument(
        "--output", type=Path, help="file of the figure (default: the JSON file's name, as .png)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier figure")
    args = parser.parse_args()
    try:
        result = json.loads(args.result.read_text())
        figure = plot_convergence(result, errors=args.errors, against=args.against)
        print(save_figure(figure, args.output or args.result.with_suffix(".png"), overwrite=args.overwrite))
    except (CaseError, OSError, json.JSONDecodeError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
