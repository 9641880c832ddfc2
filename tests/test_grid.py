"""The phase-space grid: axes, Poisson tensor, measures, dilation, and what it refuses."""

import numpy as np
import pytest

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid

GRIDS = {
    "x kx": PhaseSpaceGrid((6,), (8,), (24.0,)),
    "kx": PhaseSpaceGrid((), (8,), ()),
    "x kx ky": PhaseSpaceGrid((6,), (8, 4), (24.0,)),
    "x y kx ky": PhaseSpaceGrid((6, 4), (8, 4), (24.0, 12.0)),
    "x kx ky kz": PhaseSpaceGrid((6,), (8, 4, 5), (24.0,)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_axes_names_and_shapes(name):
    grid = GRIDS[name]
    assert grid.dims == tuple(name.split())
    assert grid.n_axes == len(grid.dims) == len(grid.shape) == len(grid.periods)
    full = np.zeros((3, *grid.shape))
    assert [full.shape[axis] for axis in grid.position_axes] == list(grid.n_x)
    assert [full.shape[axis] for axis in grid.momentum_axes] == list(grid.n_k)
    for axis, (points, coordinate) in enumerate(zip(grid.axis_points, grid.coordinates, strict=True)):
        assert np.broadcast_shapes(coordinate.shape, grid.shape) == grid.shape
        np.testing.assert_allclose(np.diff(points), grid.periods[axis] / grid.shape[axis])
        assert points[0] == (0.0 if axis < grid.n_position_axes else -np.pi)
    assert len(grid.positions) == grid.n_position_axes
    assert len(grid.momenta) == grid.n_momentum_axes


def test_poisson_tensor_of_positions_and_momenta():
    np.testing.assert_array_equal(GRIDS["x kx"].epsilon, [[0, 1], [-1, 0]])
    np.testing.assert_array_equal(GRIDS["kx"].epsilon, [[0]])
    expected = np.zeros((3, 3))
    expected[0, 1], expected[1, 0] = 1, -1  # ky has no partner
    np.testing.assert_array_equal(GRIDS["x kx ky"].epsilon, expected)


def test_poisson_tensor_of_a_magnetic_field():
    bx, by, bz = 0.1, 0.2, 0.3
    flux = np.array([[0, bz, -by], [-bz, 0, bx], [by, -bx, 0]])
    grid = PhaseSpaceGrid((4,), (4, 4, 4), (8.0,), flux)
    levi_civita = np.zeros((3, 3, 3))
    for i, j, m in [(0, 1, 2), (1, 2, 0), (2, 0, 1)]:
        levi_civita[i, j, m], levi_civita[j, i, m] = 1, -1
    np.testing.assert_allclose(grid.epsilon[1:, 1:], -np.einsum("ijm,m->ij", levi_civita, [bx, by, bz]))
    np.testing.assert_array_equal(grid.epsilon, -grid.epsilon.T)


@pytest.mark.parametrize("name", GRIDS)
def test_integrals_of_plane_waves_and_constants(name):
    grid = GRIDS[name]
    volume = float(np.prod(grid.lengths))
    wave = 1.0 + np.cos(sum(2 * np.pi * z / p for z, p in zip(grid.coordinates, grid.periods, strict=True)))
    values = np.broadcast_to(wave, (2, *grid.shape))
    np.testing.assert_allclose(grid.integrate(values), [volume, volume])  # int dk / 2 pi = 1
    np.testing.assert_allclose(grid.integrate_momenta(values), np.ones((2, *grid.n_x)))
    if grid.n_x:
        np.testing.assert_allclose(grid.integrate_positions(values), np.full((2, *grid.n_k), volume))
    else:
        np.testing.assert_array_equal(grid.integrate_positions(values), values)


def test_dilation_stretches_lengths_and_weakens_the_field():
    grid = PhaseSpaceGrid((6,), (8, 8), (24.0,), np.array([[0, 0.2], [-0.2, 0]]))
    dilated = grid.dilated(2.5)
    assert dilated.lengths == (60.0,)
    assert dilated.shape == grid.shape
    np.testing.assert_allclose(dilated.cell_flux, grid.cell_flux / 2.5)
    np.testing.assert_allclose(dilated.integrate(np.ones(grid.shape)), 60.0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (((), (), ()), "1 to 3 momentum axes, got 0"),
        (((), (4,) * 4, ()), "1 to 3 momentum axes, got 4"),
        (((4, 4), (4,), (1.0, 1.0)), "2 position axes for 1 momentum axes"),
        (((4,), (4,), ()), "1 position axes but 0 lengths"),
        (((3,), (4,), (1.0,)), "at least 4 points"),
        (((4,), (4,), (0.0,)), "lengths must be positive"),
    ],
)
def test_what_does_not_fit_is_said(arguments, sentence):
    with pytest.raises(CaseError, match=sentence):
        PhaseSpaceGrid(*arguments)
