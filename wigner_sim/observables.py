"""Observables of one band: a table of name -> function, dimensions, unit and equation.

An observable sees the effective band and the density w at one time and returns an array; it never
writes.  Adding one means adding a function and a line in :data:`OBSERVABLES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from wigner_sim import fourier
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.effective_band import EffectiveBand
from wigner_sim.kinetics.faces import Face
from wigner_sim.symbols import FloatArray

#: Part of the wavenumber range, from the top, that counts as the spectral tail.
TAIL_FRACTION = 1 / 3


@dataclass(frozen=True)
class BandState:
    """The density w of one band at one time, with its other faces worked out on demand."""

    effective: EffectiveBand
    w: FloatArray

    @property
    def grid(self) -> PhaseSpaceGrid:
        """The phase-space grid."""
        return self.effective.space.grid

    @cached_property
    def f(self) -> FloatArray:
        """Band density f."""
        return self.face("f")

    @cached_property
    def c(self) -> FloatArray:
        """Occupation c."""
        return self.face("c")

    def face(self, face: Face) -> FloatArray:
        """Any face of the state."""
        return self.effective.faces.to(face, self.w)


def particle_number(state: BandState) -> FloatArray:
    """Particles in the band, ``N = int f = int w``."""
    return state.grid.integrate(state.w)


def energy(state: BandState) -> FloatArray:
    """Energy of the band, ``E = int f h_f = int w h_w`` (docs/theory.md section 4)."""
    return state.grid.integrate(state.w * state.effective.total_energy_symbol)


def density(state: BandState) -> FloatArray:
    """Density per cell, ``n(x) = int dk/(2 pi)^d f``."""
    return state.grid.integrate_momenta(state.f)


def momentum_distribution(state: BandState) -> FloatArray:
    """Momentum distribution, ``n(k) = int dx f``."""
    return state.grid.integrate_positions(state.f)


def energy_density(state: BandState) -> FloatArray:
    """Energy density per cell, ``int dk/(2 pi)^d f h_f``."""
    return state.grid.integrate_momenta(state.f * state.effective.band_density_energy)


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


@dataclass(frozen=True)
class Observable:
    """A named observable: what it is a function of, its unit, and its equation (the first docstring line)."""

    function: Callable[[BandState], FloatArray]
    over: Literal["", "positions", "momenta"]
    units: str
    long_name: str

    @property
    def equation(self) -> str:
        """The defining equation, in words and letters."""
        return (self.function.__doc__ or "").strip().splitlines()[0]


OBSERVABLES: dict[str, Observable] = {
    "particle_number": Observable(particle_number, "", "1", "particle number"),
    "energy": Observable(energy, "", "1", "energy"),
    "occupation_min": Observable(occupation_minimum, "", "1", "smallest occupation c"),
    "occupation_max": Observable(occupation_maximum, "", "1", "largest occupation c"),
    "spectral_tail_x": Observable(spectral_tail_position, "", "1", "spectral tail in position"),
    "spectral_tail_k": Observable(spectral_tail_momentum, "", "1", "spectral tail in momentum"),
    "density": Observable(density, "positions", "1", "density per cell"),
    "energy_density": Observable(energy_density, "positions", "1", "energy density per cell"),
    "momentum_distribution": Observable(momentum_distribution, "momenta", "1", "momentum distribution"),
}


def measure(effective: EffectiveBand, w: FloatArray, names: list[str]) -> dict[str, FloatArray]:
    """Evaluate observables of one band's state, sharing its faces between them."""
    state = BandState(effective, w)
    return {name: OBSERVABLES[name].function(state) for name in names}
