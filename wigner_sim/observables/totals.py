"""Total current and its parts: what moves the particles.

The total is the current density integrated over positions, so that it equals ``d/dt int x n`` for a state
away from the seam of the crystal.  Only the velocity is left in it: quadrupole and magnetization currents are
derivatives.  Its parts are those of ``flow_geometry.velocity_parts``; they add up to the total.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wigner_sim.observables.flow_geometry import PARTS
from wigner_sim.observables.state import BandState
from wigner_sim.observables.sums import integrate_product
from wigner_sim.symbols import FloatArray


def total_current(state: BandState) -> FloatArray:
    """Total particle current, ``I_i = int dx j_i = int w V_i``."""
    if state.survey.current is not None:
        return state.survey.current
    grid, total = state.grid, np.zeros(state.grid.n_momentum_axes)
    for i, velocity in enumerate(state.known_flow.velocity):
        total[i] = integrate_product(grid, velocity, state.w)
    return total


def part(name: str) -> Callable[[BandState], FloatArray]:
    """The function that measures one part of the total current."""

    def total(state: BandState) -> FloatArray:
        velocities = state.known_flow.velocity_parts[name]
        return np.array([integrate_product(state.grid, v, state.w) for v in velocities])

    total.__doc__ = f"{_MEANING[name]}."
    return total


_MEANING = {
    "group": "Current of the bare band, ``int w d_k h_0``",
    "anomalous": "Anomalous current of the Berry curvature, ``int w (Omega_kc eps_cb d_b h + Omega_kt)``",
    "moment": "Current of the orbital moment, ``int w d_k h_1``",
    "metric": "Current of the quantum metric, ``int w d_k S^T h_0``",
    "normalized_metric": "Current of the band-normalized metric and all else of second order",
}
assert set(_MEANING) == set(PARTS)
