"""Lattice Weyl transform: round trips, midpoints, products, symmetries."""

from itertools import product

import numpy as np
import pytest

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.weyl import (
    interpolation_matrix,
    momentum_distribution,
    operator_to_symbol,
    position_density,
    symbol_to_operator,
)

ORIGIN = np.zeros((2, 1))
SPREAD = np.array([[0.1], [0.47]])


def grid_1d(n_sites, n_x=20, n_k=18):
    return PhaseSpaceGrid((n_x,), (n_k,), (float(n_sites),))


def on_grid(symbol, grid):
    mesh = np.stack(np.broadcast_arrays(*grid.coordinates))
    return symbol(mesh[: grid.n_position_axes], mesh[grid.n_position_axes :])


def textured_symbol(n_sites, tau):
    """A generic smooth 2 x 2 symbol, in the position convention."""
    q = 2 * np.pi / n_sites

    def symbol(x, k):
        X, K = q * x[0], k[0]
        off = 1.2 + 0.5 * np.cos(K) + 0.2 * np.cos(X) - 1j * (0.5 * np.sin(K) + 0.1 * np.sin(X + K))
        off = off * np.exp(-1j * K * (tau[0, 0] - tau[1, 0]))
        diagonal = 0.3 * np.sin(X) + 0.3 * np.cos(K)
        return np.moveaxis(
            np.array([[0.4 * np.cos(X) + diagonal, off], [off.conj(), -diagonal]]), (0, 1), (-2, -1)
        )

    return symbol


def random_operator(n_sites, n_orbitals, seed=1):
    """Random Hermitian, without the ambiguous bonds of length L/2."""
    rng = np.random.default_rng(seed)
    shape = (n_sites, n_orbitals, n_sites, n_orbitals)
    blocks = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    if n_sites % 2 == 0:
        sites = np.arange(n_sites)
        blocks[sites, :, (sites + n_sites // 2) % n_sites, :] = 0
    operator = blocks.reshape(n_sites * n_orbitals, -1)
    return operator + operator.conj().T


@pytest.mark.parametrize("n_sites", [9, 24, 25])
@pytest.mark.parametrize("tau", [ORIGIN, SPREAD])
def test_symbol_survives_the_round_trip(n_sites, tau):
    grid, symbol = grid_1d(n_sites), textured_symbol(n_sites, tau)
    operator = symbol_to_operator(symbol, n_sites, tau)
    back = operator_to_symbol(operator, grid, tau)
    np.testing.assert_allclose(operator, operator.conj().T, atol=1e-14)
    np.testing.assert_allclose(back, on_grid(symbol, grid), atol=1e-13)
    np.testing.assert_allclose(symbol_to_operator(back, n_sites, tau, grid), operator, atol=1e-13)


@pytest.mark.parametrize("n_sites", [10, 11])
@pytest.mark.parametrize("tau", [ORIGIN, SPREAD])
def test_operator_survives_the_round_trip(n_sites, tau):
    operator = random_operator(n_sites, 2)
    grid = grid_1d(n_sites, n_sites + 2, n_sites)
    symbol = operator_to_symbol(operator, grid, tau)
    np.testing.assert_allclose(symbol, np.swapaxes(symbol.conj(), -1, -2), atol=1e-13)
    np.testing.assert_allclose(symbol_to_operator(symbol, n_sites, tau, grid), operator, atol=1e-13)


def test_round_trip_on_a_torus():
    tau = np.array([[0.0, 0.0], [0.3, 0.6]])
    sites, size = (5, 7), 5 * 7 * 2
    rng = np.random.default_rng(3)
    operator = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    grid = PhaseSpaceGrid((6, 8), (5, 8), (5.0, 7.0))
    symbol = operator_to_symbol(operator, grid, tau)
    np.testing.assert_allclose(symbol_to_operator(symbol, sites, tau, grid), operator, atol=1e-13)


def test_potential_acts_at_the_orbitals_and_is_a_scalar_symbol():
    n_sites, grid = 12, grid_1d(12)

    def potential(x, _k):
        return 0.3 + np.cos(2 * np.pi * x[0] / n_sites - 0.4)

    operator = symbol_to_operator(potential, n_sites, SPREAD)
    at_orbitals = potential((np.arange(n_sites)[:, None] + SPREAD[:, 0])[None], None)
    np.testing.assert_allclose(operator, np.diag(at_orbitals.ravel()), atol=1e-14)
    expected = on_grid(potential, grid)[..., None, None] * np.eye(2)
    np.testing.assert_allclose(operator_to_symbol(operator, grid, SPREAD), expected, atol=1e-13)
    doubled = symbol_to_operator(lambda x, k: potential(x, k)[..., None, None] * np.eye(2), n_sites, SPREAD)
    np.testing.assert_allclose(operator, doubled, atol=1e-14)


@pytest.mark.parametrize("n_sites", [13, 14])
def test_monomials_multiply_by_the_moyal_phase(n_sites):
    # exp(i(qx + sk)) * exp(i(q'x + s'k)) = exp((i/2)(s q' - q s')) exp(i((q + q')x + (s + s')k))
    unit, tau = 2 * np.pi / n_sites, np.zeros((1, 1))

    def monomial(j, s):
        return symbol_to_operator(lambda x, k: np.exp(1j * (unit * j * x[0] + s * k[0])), n_sites, tau)

    for j, s, j2, s2 in product((0, 1, 2), (-1, 2), (-1, 3), (1, 3)):
        phase = np.exp(0.5j * unit * (s * j2 - j * s2))
        np.testing.assert_allclose(
            monomial(j, s) @ monomial(j2, s2), phase * monomial(j + j2, s + s2), atol=1e-13
        )


def test_product_of_operators_has_the_star_product_as_symbol():
    errors = []
    for n_sites in (16, 32, 64):
        grid, first = grid_1d(n_sites, 32, 32), textured_symbol(n_sites, ORIGIN)

        def second(x, k, symbol=first, shift=0.2 * n_sites):
            return symbol(x + shift, k + 0.7)

        a, b = on_grid(first, grid), on_grid(second, grid)
        product_operator = symbol_to_operator(first, n_sites, ORIGIN) @ symbol_to_operator(
            second, n_sites, ORIGIN
        )
        exact = operator_to_symbol(product_operator, grid, ORIGIN)
        poisson = slope(a, 0, n_sites) @ slope(b, 1) - slope(a, 1) @ slope(b, 0, n_sites)
        errors.append([np.abs(exact - a @ b).max(), np.abs(exact - a @ b - 0.5j * poisson).max()])
    orders = -np.diff(np.log(errors), axis=0)[-1] / np.log(2)
    np.testing.assert_allclose(orders, [1, 2], atol=0.05)


def slope(values, axis, period=2 * np.pi):
    n = values.shape[axis]
    wavenumbers = (2 * np.pi / period * n * np.fft.fftfreq(n)).reshape(
        [-1 if i == axis else 1 for i in range(4)]
    )
    return np.fft.ifft(1j * wavenumbers * np.fft.fft(values, axis=axis), axis=axis)


@pytest.mark.parametrize("n_sites", [10, 11])
def test_translations_in_position_and_momentum(n_sites):
    symbol = textured_symbol(n_sites, SPREAD)
    operator = symbol_to_operator(symbol, n_sites, SPREAD)
    moved = symbol_to_operator(lambda x, k: symbol(x - 3, k), n_sites, SPREAD)
    np.testing.assert_allclose(moved, np.roll(operator, (6, 6), axis=(0, 1)), atol=1e-13)
    kick = 2 * np.pi / n_sites
    boost = np.exp(1j * kick * (np.arange(n_sites)[:, None] + SPREAD[:, 0]).ravel())
    boosted = symbol_to_operator(lambda x, k: symbol(x, k - kick), n_sites, SPREAD)
    np.testing.assert_allclose(boosted, boost[:, None] * operator * boost.conj(), atol=1e-13)


@pytest.mark.parametrize("n_sites", [12, 13])
def test_bloch_operator_has_the_bloch_bands(n_sites):
    bloch = textured_symbol(n_sites, SPREAD)
    operator = symbol_to_operator(lambda x, k: bloch(0 * x, k), n_sites, SPREAD)
    mesh = 2 * np.pi * np.arange(n_sites)[None] / n_sites
    bands = np.linalg.eigvalsh(bloch(0 * mesh, mesh)).ravel()
    np.testing.assert_allclose(np.linalg.eigvalsh(operator), np.sort(bands), atol=1e-13)


def test_bloch_operator_on_a_torus_has_the_bloch_bands():
    tau = np.array([[0.0, 0.0], [1 / 3, 1 / 3]])

    def honeycomb(_x, k):
        hopping = (1 + np.exp(-1j * k[0]) + np.exp(-1j * k[1])) * np.exp(1j * (k[0] + k[1]) / 3)
        return np.moveaxis(
            np.array([[0.3 + 0 * k[0], hopping], [hopping.conj(), -0.3 + 0 * k[0]]]), (0, 1), (-2, -1)
        )

    operator = symbol_to_operator(honeycomb, (5, 6), tau)
    mesh = np.stack(np.meshgrid(2 * np.pi * np.arange(5) / 5, 2 * np.pi * np.arange(6) / 6, indexing="ij"))
    bands = np.linalg.eigvalsh(honeycomb(mesh, mesh)).ravel()
    np.testing.assert_allclose(np.linalg.eigvalsh(operator), np.sort(bands), atol=1e-13)


@pytest.mark.parametrize("tau", [ORIGIN, SPREAD])
def test_trace_and_marginals(tau):
    n_sites = 11
    operator, grid = random_operator(n_sites, 2), grid_1d(n_sites, 12, 13)
    density = operator_to_symbol(operator, grid, tau, trace=True)
    full = operator_to_symbol(operator, grid, tau)
    np.testing.assert_allclose(density, np.trace(full, axis1=-2, axis2=-1), atol=1e-13)
    np.testing.assert_allclose(grid.integrate(density), np.trace(operator), atol=1e-12)
    np.testing.assert_allclose(
        position_density(operator, grid, tau), grid.integrate_momenta(density), atol=1e-13
    )
    np.testing.assert_allclose(
        momentum_distribution(operator, grid, tau), grid.integrate_positions(density), atol=1e-12
    )


def test_momentum_distribution_is_that_of_plane_waves():
    n_sites = 11
    operator, grid = random_operator(n_sites, 2), grid_1d(n_sites, 11, 11)
    k = 2 * np.pi * np.arange(n_sites) / n_sites
    waves = np.exp(1j * np.outer(np.arange(n_sites), k))
    expected = np.einsum(
        "rk,rosp,sk,op->k", waves.conj(), operator.reshape(11, 2, 11, 2), waves, np.eye(2)
    ).real
    to_mesh = interpolation_matrix(grid.axis_points[1], 2 * np.pi, k)
    np.testing.assert_allclose(to_mesh @ momentum_distribution(operator, grid, SPREAD), expected, atol=1e-12)


def test_a_coarse_grid_shows_the_exact_values():
    operator = random_operator(11, 2)
    fine, coarse = grid_1d(11, 24, 24), grid_1d(11, 8, 6)
    expected = operator_to_symbol(operator, fine, SPREAD)[::3, ::4]
    np.testing.assert_allclose(operator_to_symbol(operator, coarse, SPREAD), expected, atol=1e-12)


def test_scalar_symbol_on_a_grid_equals_the_function():
    n_sites, grid = 20, grid_1d(20, 48, 40)

    def occupation(x, k):
        return np.exp(0.8 * np.cos(2 * np.pi * x[0] / n_sites - 0.5) + 0.6 * np.cos(k[0] - 1))

    direct = symbol_to_operator(occupation, n_sites, SPREAD)
    sampled = symbol_to_operator(on_grid(occupation, grid), n_sites, SPREAD, grid)
    np.testing.assert_allclose(sampled, direct, atol=1e-13)


def test_interpolation_keeps_real_data_real_and_is_exact():
    for n in (8, 9):
        given, wanted = 5.0 * np.arange(n) / n, np.linspace(-3, 9, 17)
        matrix = interpolation_matrix(given, 5.0, wanted)
        wave = lambda x: np.sin(3 * 2 * np.pi * x / 5 + 0.3)  # noqa: E731
        np.testing.assert_allclose(matrix @ wave(given), wave(wanted), atol=1e-13)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: symbol_to_operator(lambda x, k: x[0], 2, ORIGIN), "at least 3 sites"),
        (lambda: symbol_to_operator(lambda x, k: x[0], (8, 8), ORIGIN), "do not fit a lattice with 2"),
        (lambda: symbol_to_operator(np.zeros((20, 18)), 8, ORIGIN), "needs the grid"),
        (lambda: symbol_to_operator(np.zeros((20, 18)), 8, ORIGIN, grid_1d(9)), "expected .8,."),
        (
            lambda: symbol_to_operator(np.zeros((20, 17)), 9, ORIGIN, grid_1d(9)),
            "neither scalar nor a matrix",
        ),
        (
            lambda: symbol_to_operator(lambda x, k: np.eye(3) * x[0, ..., None, None], 9, ORIGIN),
            "2 x 2 orbitals",
        ),
        (lambda: operator_to_symbol(np.eye(16), grid_1d(9), ORIGIN), "need 18"),
        (lambda: operator_to_symbol(np.eye(16), grid_1d(8.5), ORIGIN), "whole numbers of sites"),
        (
            lambda: operator_to_symbol(np.eye(16), PhaseSpaceGrid((8,), (8, 8), (8.0,)), np.zeros((2, 2))),
            "after 1 axes of fibres",
        ),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(CaseError, match=sentence):
        call()
