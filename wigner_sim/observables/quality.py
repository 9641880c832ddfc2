"""How well the grid carries a state, and whether its occupation makes sense."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from wigner_sim import fourier
from wigner_sim.observables.state import BandState
from wigner_sim.symbols import FloatArray

#: Part of the wavenumber range, from the top, that counts as the spectral tail.
TAIL_FRACTION = 1 / 3


def occupation_minimum(state: BandState) -> FloatArray:
    """Smallest occupation c; for fermions it stays above 0 to second order."""
    return np.asarray(state.c.min())


def occupation_maximum(state: BandState) -> FloatArray:
    """Largest occupation c; for fermions it stays below 1 to second order."""
    return np.asarray(state.c.max())


def spectral_tail_position(state: BandState) -> FloatArray:
    """Largest Fourier amplitude of w in the top third of a position axis's wavenumbers, relative."""
    return np.asarray(spectral_tail(state.w, range(state.grid.n_position_axes)))


def spectral_tail_momentum(state: BandState) -> FloatArray:
    """The same for the momentum axes."""
    return np.asarray(spectral_tail(state.w, range(state.grid.n_position_axes, state.grid.n_axes)))


def spectral_tail(values: FloatArray, axes: Iterable[int]) -> float:
    """Largest Fourier amplitude in the top third of the wavenumbers of any of the axes, relative."""
    tails = [0.0]
    for axis in axes:
        n = values.shape[axis]
        amplitude = np.abs(fourier.rfftn(values, (axis,)))
        start = int(np.ceil((1 - TAIL_FRACTION) * (n // 2)))
        tail = np.take(amplitude, range(start, n // 2 + 1), axis=axis).max()
        tails.append(float(tail / max(float(amplitude.max()), np.finfo(float).tiny)))
    return max(tails)
