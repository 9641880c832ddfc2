"""Compiled inner loops: cache-sized blocks of phase space transformed, multiplied and moved in place.

Nothing here knows physics.  Only :mod:`wigner_sim.kernels.passes`, and what it needs of plans and layouts, is
imported by the rest of the package; numba is loaded when the first block is stepped.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache


@cache
def numba_is_usable() -> bool:
    """Whether numba is installed and not switched off (``WIGNER_SIM_ENGINE=numpy``)."""
    if os.environ.get("WIGNER_SIM_ENGINE", "") == "numpy":
        return False
    return importlib.util.find_spec("numba") is not None
