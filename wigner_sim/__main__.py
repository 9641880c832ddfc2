"""``python -m wigner_sim`` is the command ``wigner-sim``."""

import sys

from wigner_sim.cli import main

if __name__ == "__main__":
    sys.exit(main())
