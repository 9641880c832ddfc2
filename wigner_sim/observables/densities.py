"""Particle number, energy and their densities."""

from __future__ import annotations

import numpy as np

from wigner_sim.observables.state import BandState
from wigner_sim.symbols import FloatArray


def particle_number(state: BandState) -> FloatArray:
    """Particles in the band, ``N = int f = int w``."""
    return np.asarray(state.survey.number)


def filling(state: BandState) -> FloatArray:
    """Particles per state of the band, ``int f / int D``."""
    return np.asarray(state.survey.number) / state.grid.integrate(state.effective.density_of_states)


def energy(state: BandState) -> FloatArray:
    """Energy of the band, ``E = int f h_f = int w h_w`` (docs/theory.md section 4)."""
    return np.asarray(state.survey.energy)


def density(state: BandState) -> FloatArray:
    """Density per cell, ``n(x) = int dk/(2 pi)^d f``."""
    return state.grid.integrate_momenta(state.f)


def momentum_distribution(state: BandState) -> FloatArray:
    """Momentum distribution, ``n(k) = int dx f``."""
    return state.grid.integrate_positions(state.f)


def energy_density(state: BandState) -> FloatArray:
    """Energy density per cell, ``int dk/(2 pi)^d f h_f``."""
    grid, energy = state.grid, np.broadcast_to(state.effective.band_density_energy, state.grid.shape)
    if not grid.n_x:
        return grid.integrate_momenta(state.f * energy)
    return np.array([grid.integrate_momenta(f * h) for f, h in zip(state.f, energy, strict=True)])
