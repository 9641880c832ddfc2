"""Compiled inner loops: cache-sized blocks of phase space transformed, multiplied and moved in place.

Nothing here knows physics.  :mod:`wigner_sim.kernels.compiled` needs numba, :mod:`wigner_sim.kernels.plain`
does the same with pyfftw and numpy; which one serves is decided once, by :func:`numba_is_usable`.
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
