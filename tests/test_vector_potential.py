"""A periodic vector potential: H(x, k + A(x, t), t), and the magnetic force that follows from it."""

from dataclasses import replace

import numpy as np
import pytest

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.models import build_hamiltonian
from wigner_sim.models.setting import Setting
from wigner_sim.models.vector_potential import with_vector_potential

GRID = PhaseSpaceGrid((32,), (24, 24), (20.0,))
SETTING = Setting(2, GRID.lengths)


def plane(**keys):
    parameters = {"mass": 3.0}
    return build_hamiltonian("qi_wu_zhang", parameters, "0.3*cos(2*pi*x/L)", 2, 1, GRID.lengths, **keys)


def test_the_momentum_is_shifted_by_the_field():
    shifted = with_vector_potential(plane(), ["0.1*cos(2*pi*x/L)", "0.4*sin(2*pi*x/L)"], SETTING)
    x, k = np.array([[3.7]]), np.array([[0.4], [-1.1]])
    a = np.array([[0.1 * np.cos(2 * np.pi * 3.7 / 20)], [0.4 * np.sin(2 * np.pi * 3.7 / 20)]])
    np.testing.assert_allclose(shifted.matrix(x, k, 0.0), plane().matrix(x, k + a, 0.0), atol=1e-14)
    assert not shifted.separable


def test_a_constant_vector_potential_only_moves_the_momentum_grid():
    """Two routes to the coefficients, so up to aliasing: 1.5e-5 on 24 points in k, 1e-8 on 48."""
    grid, moved = replace(GRID, n_k=(60, 60)), 12
    shifted = with_vector_potential(plane(), [0.0, moved * 2 * np.pi / 60], SETTING)
    options = EquationOptions(order=2)
    w = np.exp(
        np.cos(grid.momenta[0] - 1) + np.sin(grid.momenta[1]) + np.cos(2 * np.pi * grid.positions[0] / 20)
    )
    expected = BandEvolution(plane(), grid, 0, options).rhs(w, 0.0)
    # H(k + A) on a state moved by -A
    found = BandEvolution(shifted, grid, 0, options).rhs(np.roll(w, -moved, axis=2), 0.0)
    np.testing.assert_allclose(found, np.roll(expected, -moved, axis=2), atol=1e-9)


def test_its_curl_is_a_magnetic_field():
    """``d(k + A)/dt = -grad U - v x B`` with ``B = d_x A_y``: at order 0, ``d(k_y + A_y)/dt = +B v_x``."""
    one_band = replace(plane(), potential=None)
    bent = with_vector_potential(one_band, ["0", "0.4*sin(2*pi*x/L)"], SETTING)
    velocity = phase_space_velocity(BandEvolution(bent, GRID, 0, EquationOptions(order=0)).effective())
    slope = 0.4 * 2 * np.pi / 20 * np.cos(2 * np.pi * GRID.positions[0] / 20)
    kinetic_rate = velocity[2] + slope * velocity[0]  # d(k_y + A_y(x))/dt at fixed canonical k_y
    np.testing.assert_allclose(velocity[2], 0.0, atol=1e-12)
    np.testing.assert_allclose(kinetic_rate, slope * velocity[0], atol=1e-12)
    # and k_x feels -B v_y beside the potential, v_y being the k_y derivative of the bare energy
    energy = BandEvolution(bent, GRID, 0, EquationOptions(order=0)).effective().energy[0]
    space = BandEvolution(bent, GRID, 0, EquationOptions(order=0)).space
    v_y = space.symbol(energy).derivative(2)
    force = 0.3 * 2 * np.pi / 20 * np.sin(2 * np.pi * GRID.positions[0] / 20)
    np.testing.assert_allclose(velocity[1], force - slope * v_y, atol=1e-4)


def test_the_wrong_number_of_components_is_one_sentence():
    with pytest.raises(CaseError, match="one entry per momentum axis"):
        with_vector_potential(plane(), ["0.1*sin(2*pi*x/L)"], SETTING)
