"""Functionals of the occupation that the exact equation conserves."""

from __future__ import annotations

import numpy as np

from wigner_sim.observables.state import BandState
from wigner_sim.symbols import FloatArray


def purity(state: BandState) -> FloatArray:
    """Purity, ``tr rho^2 = int f c``; conserved to the order of the equation."""
    return state.grid.integrate(state.f * state.c)


def entropy(state: BandState) -> FloatArray:
    """Entropy of fermions, ``-int D [c ln c + (1 - c) ln(1 - c)]``, ``c = w/D`` limited to [0, 1].

    Conserved by all terms but the Moyal one, whose share in it (of second order) would be singular at full
    and empty states.
    """
    c = np.clip(state.w / state.effective.density_of_states, 0.0, 1.0)
    tiny = np.finfo(float).tiny
    s = -c * np.log(np.maximum(c, tiny)) - (1 - c) * np.log(np.maximum(1 - c, tiny))
    return state.grid.integrate(s * state.effective.density_of_states)
