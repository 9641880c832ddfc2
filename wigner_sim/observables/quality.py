"""How well the grid carries a state, and whether its occupation makes sense."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from wigner_sim import fourier
from wigner_sim.kernels import numba_is_usable
from wigner_sim.kernels.line_spectra import largest_squares
from wigner_sim.kernels.passes import can_transform
from wigner_sim.kinetics.mode_smearing import LARGE, STRIDE
from wigner_sim.kinetics.pieces import pieces
from wigner_sim.observables.state import BandState
from wigner_sim.symbols import FloatArray

#: Part of the wavenumber range, from the top, that counts as the spectral tail.
TAIL_FRACTION = 1 / 3


def occupation_minimum(state: BandState) -> FloatArray:
    """Smallest occupation c; for fermions it stays above 0 to second order."""
    return np.asarray(state.occupation_extremes[0])


def occupation_maximum(state: BandState) -> FloatArray:
    """Largest occupation c; for fermions it stays below 1 to second order."""
    return np.asarray(state.occupation_extremes[1])


def spectral_tail_position(state: BandState) -> FloatArray:
    """Largest Fourier amplitude of w in the top third of a position axis's wavenumbers, relative."""
    spectra = state.density_spectra
    if spectra is None:
        return np.asarray(spectral_tail(state.w, range(state.grid.n_position_axes)))
    amplitudes = zip(state.grid.n_x, spectra, strict=True)
    return np.asarray(max(_tail(np.sqrt(squares), n) for n, squares in amplitudes))


def spectral_tail_momentum(state: BandState) -> FloatArray:
    """The same for the momentum axes."""
    return np.asarray(spectral_tail(state.w, range(state.grid.n_position_axes, state.grid.n_axes)))


def spectral_tail(values: FloatArray, axes: Iterable[int]) -> float:
    """Largest Fourier amplitude in the top third of the wavenumbers of any of the axes, relative."""
    tails = (_tail(largest_amplitudes(values, axis), values.shape[axis]) for axis in axes)
    return max(tails, default=0.0)


def _tail(amplitudes: FloatArray, n_points: int) -> float:
    start = int(np.ceil((1 - TAIL_FRACTION) * (n_points // 2)))
    return float(amplitudes[start:].max() / max(float(amplitudes.max()), np.finfo(float).tiny))


def largest_amplitudes(values: FloatArray, axis: int, thinned: Collection[int] = ()) -> FloatArray:
    """Largest Fourier amplitude among the lines along an axis, for each of its wavenumbers from 0 up.

    On a large grid every second line in each direction is looked at, but for directions that are
    ``thinned`` already; what the grid resolves shows there too.
    """
    others = tuple(other for other in range(values.ndim) if other != axis)
    large = bool(thinned) or values.size > LARGE
    strides = [STRIDE if large and a != axis and a not in thinned else 1 for a in range(values.ndim)]
    if large and _is_compiled_for(values, axis):
        return np.sqrt(largest_squares(values, axis, tuple(strides)))
    values = values[tuple(slice(None, None, stride) for stride in strides)]
    squares = np.zeros(values.shape[axis] // 2 + 1)
    for piece in pieces(values.shape, (axis,)):
        modes = fourier.rfftn(values[piece], (axis,))
        np.maximum(squares, (modes.real**2 + modes.imag**2).max(axis=others), out=squares)
    return np.sqrt(squares)


def band_density_amplitudes(state: BandState, axis: int) -> FloatArray:
    """:func:`largest_amplitudes` of f, on a large grid made from w only where it is looked at."""
    if axis < state.grid.n_position_axes and state.band_density_spectra is not None:
        return np.sqrt(state.band_density_spectra[axis])
    values, thinned = state.thinned_band_density if state.w.size > LARGE else (state.f, ())
    if axis in thinned:
        values, thinned = state.f, ()
    return largest_amplitudes(values, axis, thinned)


def _is_compiled_for(values: FloatArray, axis: int) -> bool:
    usable = numba_is_usable() and can_transform((values.shape[axis],)) and values.flags.writeable
    return usable and values.flags.c_contiguous and values.dtype in (np.float64, np.float32)
