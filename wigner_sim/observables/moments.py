"""Where a state sits and how wide it is, on periodic axes.

On a ring a mean position has no meaning by itself; the phase of the first Fourier mode has one, and agrees
with the mean for a state that is localized.  Distances are counted from there, the short way round.
"""

from __future__ import annotations

import numpy as np

from wigner_sim.observables.state import BandState
from wigner_sim.symbols import FloatArray


def centers(state: BandState) -> FloatArray:
    """Center along each axis, ``(period/2 pi) arg int f exp(2 pi i z/period)``."""
    grid = state.grid
    result = np.zeros(grid.n_axes)
    for axis, (z, period) in enumerate(zip(grid.axis_points, grid.periods, strict=True)):
        phase = np.angle(np.sum(_marginal(state, axis) * np.exp(2j * np.pi * (z - z[0]) / period)))
        result[axis] = z[0] + period * (phase % (2 * np.pi)) / (2 * np.pi)
    return result


def variances(state: BandState) -> FloatArray:
    """Variance along each axis, ``int f (z - center)^2 / int f``, z counted the short way round."""
    grid = state.grid
    result = np.zeros(grid.n_axes)
    for axis, center in enumerate(centers(state)):
        z, period, marginal = grid.axis_points[axis], grid.periods[axis], _marginal(state, axis)
        distance = (z - center + period / 2) % period - period / 2
        number = marginal.sum()
        mean = np.sum(distance * marginal) / number
        result[axis] = np.sum(distance**2 * marginal) / number - mean**2
    return result


def _marginal(state: BandState, axis: int) -> FloatArray:
    """F integrated over all axes but one, up to a constant."""
    others = tuple(other for other in range(state.grid.n_axes) if other != axis)
    return state.f.sum(axis=others)
