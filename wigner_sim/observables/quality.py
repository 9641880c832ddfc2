"""How well the grid carries a state, and whether its occupation makes sense."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from wigner_sim import fourier
from wigner_sim.kinetics.faces import pieces
from wigner_sim.observables.state import BandState
from wigner_sim.symbols import FloatArray

#: Part of the wavenumber range, from the top, that counts as the spectral tail.
TAIL_FRACTION = 1 / 3
#: Points of phase space from which a sample of its lines will do.
LARGE = 1 << 18


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
        amplitude = largest_amplitudes(values, axis)
        start = int(np.ceil((1 - TAIL_FRACTION) * (values.shape[axis] // 2)))
        tails.append(float(amplitude[start:].max() / max(float(amplitude.max()), np.finfo(float).tiny)))
    return max(tails)


def largest_amplitudes(values: FloatArray, axis: int) -> FloatArray:
    """Largest Fourier amplitude among the lines along an axis, for each of its wavenumbers from 0 up.

    On a large grid every second line in each direction is looked at; what the grid resolves shows there too.
    """
    others = tuple(other for other in range(values.ndim) if other != axis)
    if values.size > LARGE:
        values = values[tuple(slice(None, None, 1 if other == axis else 2) for other in range(values.ndim))]
    squares = np.zeros(values.shape[axis] // 2 + 1)
    for piece in pieces(values.shape, (axis,)):
        modes = fourier.rfftn(values[piece], (axis,))
        np.maximum(squares, (modes.real**2 + modes.imag**2).max(axis=others), out=squares)
    return np.sqrt(squares)
