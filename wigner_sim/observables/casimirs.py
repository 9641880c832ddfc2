"""Functionals of the occupation that the exact equation conserves."""

from __future__ import annotations

import numpy as np

from wigner_sim.observables.state import BandState
from wigner_sim.symbols import FloatArray


def purity(state: BandState) -> FloatArray:
    """Purity, ``tr rho^2 = int f c``; conserved to the order of the equation."""
    return state.grid.integrate(state.f * state.c)


def entropy(state: BandState) -> FloatArray:
    """Entropy of independent fermions, ``-int D [c ln c + (1 - c) ln(1 - c)]``, c limited to [0, 1]."""
    c = np.clip(state.c, 0.0, 1.0)
    tiny = np.finfo(float).tiny
    s = -c * np.log(np.maximum(c, tiny)) - (1 - c) * np.log(np.maximum(1 - c, tiny))
    return state.grid.integrate(s * state.effective.density_of_states)
