"""Lattice Weyl transform in a magnetic field and with missing position axes."""

from itertools import product

import numpy as np
import pytest
import scipy.linalg

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.weyl import (
    canonical_momenta,
    grid_sites,
    momentum_distribution,
    operator_to_symbol,
    position_density,
    symbol_to_operator,
)

PLAIN = np.zeros((1, 2))
SPREAD = np.array([[0.0, 0.0], [0.3, 0.6]])


def plane_flux(b):
    return np.array([[0.0, b], [-b, 0.0]])


def random_fibres(shape, size, seed=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(*shape, size, size)) + 1j * rng.normal(size=(*shape, size, size))


def to_fibres(symbol, sites, tau, flux, n_fibres, grid=None):
    """Operators at the canonical momenta of the missing axes, (*p, N, N)."""
    labels = product(*(canonical_momenta(n) for n in n_fibres))
    blocks = [symbol_to_operator(symbol, sites, tau, grid, flux, label) for label in labels]
    return np.reshape(blocks, (*n_fibres, *blocks[0].shape))


def wave(lengths, q, s):
    """Plane wave exp(i q.x - i s.k) with whole numbers q of waves."""

    def symbol(x, k):
        position = sum(2 * np.pi * qi / n * xi for qi, n, xi in zip(q, lengths, x, strict=True))
        return np.exp(1j * position - 1j * sum(si * ki for si, ki in zip(s, k, strict=True)))

    return symbol


def haldane_like(lengths, textured=True):
    """Honeycomb bands with orbital positions (position convention), modulated along the kept axes."""

    def symbol(x, k):
        wiggle = sum(np.cos(2 * np.pi * xi / n + 0.3) for xi, n in zip(x, lengths, strict=True)) * textured
        hop = (1 + np.exp(-1j * k[0]) + np.exp(-1j * k[1])) * np.exp(1j * (k[0] + k[1]) / 3)
        hop = hop * (1 + 0.1 * wiggle)
        mass = 0.4 + 0.5 * (np.sin(k[0]) + np.sin(k[1] - k[0]) - np.sin(k[1])) + 0 * wiggle
        return np.moveaxis(np.array([[mass, hop], [hop.conj(), -mass]]), (0, 1), (-2, -1))

    return symbol


HONEYCOMB = np.array([[0.0, 0.0], [1 / 3, 1 / 3]])


# --- torus with flux quanta ---


@pytest.mark.parametrize("n_phi", [0, 1, 4])
@pytest.mark.parametrize("tau", [PLAIN, SPREAD])
def test_round_trip_on_a_torus_with_flux(n_phi, tau):
    sites, flux = (5, 7), plane_flux(2 * np.pi * n_phi / 35)
    operator = random_fibres((), 35 * len(tau))
    grid = PhaseSpaceGrid((6, 8), (5, 8), (5.0, 7.0), flux)
    symbol = operator_to_symbol(operator, grid, tau)
    np.testing.assert_allclose(symbol_to_operator(symbol, sites, tau, grid, flux), operator, atol=1e-13)
    hermitian = operator_to_symbol(operator + operator.conj().T, grid, tau)
    np.testing.assert_allclose(hermitian, np.swapaxes(hermitian.conj(), -1, -2), atol=1e-13)


def test_round_trip_in_three_dimensions_with_a_tilted_field():
    sites, tau = (3, 3, 3), np.array([[0.0, 0.0, 0.0], [0.3, 0.6, 0.1]])
    flux = 2 * np.pi / 9 * np.array([[0, 1, 2], [-1, 0, 4], [-2, -4, 0]])
    operator = random_fibres((), 54)
    grid = PhaseSpaceGrid((4, 4, 4), (4, 4, 4), (3.0, 3.0, 3.0), flux)
    symbol = operator_to_symbol(operator, grid, tau)
    np.testing.assert_allclose(symbol_to_operator(symbol, sites, tau, grid, flux), operator, atol=1e-13)


@pytest.mark.parametrize("n_phi", [1, 3])
def test_plane_waves_multiply_by_the_phase_of_the_poisson_tensor(n_phi):
    # A * B of exp(i K.z), exp(i K'.z): phase exp(-(i/2) eps_ab K_a K'_b), with k_x k_y element -B.
    sites = (9, 8)
    b = 2 * np.pi * n_phi / 72
    grid = PhaseSpaceGrid((8, 8), (8, 8), (9.0, 8.0), plane_flux(b))

    def operator(q, s):
        return symbol_to_operator(wave(sites, q, s), sites, PLAIN, cell_flux=grid.cell_flux)

    def covector(q, s):
        return np.array([2 * np.pi * q[0] / 9, 2 * np.pi * q[1] / 8, -s[0], -s[1]])

    for q, s, q2, s2 in [
        ((0, 0), (1, 0), (0, 0), (0, 1)),
        ((1, 0), (0, 2), (0, 1), (-1, 1)),
        ((2, -1), (1, 1), (0, 1), (2, -1)),
        ((0, 0), (2, 1), (1, 1), (-1, 2)),
    ]:
        phase = np.exp(-0.5j * covector(q, s) @ grid.epsilon @ covector(q2, s2))
        total = operator(np.add(q, q2), np.add(s, s2))
        np.testing.assert_allclose(operator(q, s) @ operator(q2, s2), phase * total, atol=1e-13)


def test_magnetic_translations_commute_with_kinetic_momenta():
    sites, b = (6, 4), 2 * np.pi * 3 / 24  # B L_y = pi: the translation by two sites along x is single valued

    def operator(symbol):
        return symbol_to_operator(symbol, sites, PLAIN, cell_flux=plane_flux(b))

    bands = operator(lambda x, k: np.cos(k[0]) + 0.7 * np.sin(k[1]) + 0.2 * np.cos(k[0] - k[1]))
    along_x = operator(lambda x, k: np.exp(-2j * (k[0] + b * x[1])))
    np.testing.assert_allclose(along_x @ along_x.conj().T, np.eye(24), atol=1e-13)
    np.testing.assert_allclose(along_x @ bands, bands @ along_x, atol=1e-13)
    wrong = operator(lambda x, k: np.exp(-2j * (k[0] - b * x[1])))
    assert np.abs(wrong @ bands - bands @ wrong).max() > 0.1


@pytest.mark.parametrize(("p", "q"), [(1, 3), (2, 5)])
def test_hofstadter_spectrum(p, q):
    n_x, n_y, b = 2 * q, q + 3, 2 * np.pi * p / q
    operator = symbol_to_operator(
        lambda x, k: 2 * np.cos(k[0]) + 2 * np.cos(k[1]), (n_x, n_y), PLAIN, cell_flux=plane_flux(b)
    )
    harper = []
    for j, m in product(range(2), range(n_y)):
        k_x, k_y = 2 * np.pi * j / n_x, 2 * np.pi * m / n_y
        hop = np.exp(-1j * k_x) * np.roll(np.eye(q), 1, axis=0)
        harper.append(np.diag(2 * np.cos(k_y + b * np.arange(q))) + hop + hop.conj().T)
    expected = np.sort(np.linalg.eigvalsh(harper).ravel())
    np.testing.assert_allclose(np.linalg.eigvalsh(operator), expected, atol=1e-12)


@pytest.mark.parametrize("tau", [np.zeros((2, 2)), HONEYCOMB])
def test_another_gauge_gives_the_same_symbol(tau):
    # With the axes exchanged the Landau gauge is A_x = -B y in the old ones.
    sites, b = (6, 9), 2 * np.pi * 2 / 54
    grid = PhaseSpaceGrid((8, 10), (10, 9), (6.0, 9.0), plane_flux(b))
    turned = PhaseSpaceGrid((10, 8), (9, 10), (9.0, 6.0), plane_flux(-b))
    convention = HONEYCOMB if tau.any() else tau

    def symbol(x, k):
        values = haldane_like(sites)(x, k)
        if not convention.any():  # to the cell-periodic convention
            values = values.copy()
            values[..., 0, 1] *= np.exp(-1j * (k[0] + k[1]) / 3)
            values[..., 1, 0] *= np.exp(1j * (k[0] + k[1]) / 3)
        return values

    operator = symbol_to_operator(symbol, sites, tau, cell_flux=grid.cell_flux)
    other = symbol_to_operator(
        lambda x, k: symbol(x[::-1], k[::-1]), sites[::-1], tau[:, ::-1], cell_flux=turned.cell_flux
    )
    np.testing.assert_allclose(np.linalg.eigvalsh(operator), np.linalg.eigvalsh(other), atol=1e-12)
    first = operator_to_symbol(scipy.linalg.expm(-operator), grid, tau)
    second = operator_to_symbol(scipy.linalg.expm(-other), turned, tau[:, ::-1])
    np.testing.assert_allclose(first, second.transpose(1, 0, 3, 2, 4, 5), atol=1e-11)


def test_symbol_of_a_uniform_system_is_uniform_in_a_field():
    sites, b = (6, 5), 2 * np.pi * 3 / 30
    grid = PhaseSpaceGrid((7, 6), (6, 5), (6.0, 5.0), plane_flux(b))
    operator = symbol_to_operator(haldane_like(sites, False), sites, HONEYCOMB, cell_flux=grid.cell_flux)
    symbol = operator_to_symbol(operator @ operator, grid, HONEYCOMB)
    np.testing.assert_allclose(symbol, np.broadcast_to(symbol[:1, :1], symbol.shape), atol=1e-12)


# --- missing position axes ---


@pytest.mark.parametrize("quanta", [0, 1, 2])
@pytest.mark.parametrize("tau", [PLAIN, SPREAD])
def test_fibres_survive_the_round_trip(quanta, tau):
    flux = plane_flux(2 * np.pi * quanta / 9)
    fibres = random_fibres((5,), 9 * len(tau))
    grid = PhaseSpaceGrid((10,), (9, 5), (9.0,), flux)
    symbol = operator_to_symbol(fibres, grid, tau)
    np.testing.assert_allclose(to_fibres(symbol, 9, tau, flux, (5,), grid), fibres, atol=1e-13)


def test_fibres_of_slabs_and_wires_in_three_dimensions_survive_the_round_trip():
    tau = np.array([[0.0, 0.0, 0.0], [0.3, 0.6, 0.1]])
    flux = antisymmetric(xy=2 * np.pi * 3 / 35, xz=2 * np.pi / 7, yz=2 * np.pi / 5)
    slab = PhaseSpaceGrid((8, 6), (7, 5, 4), (7.0, 5.0), flux)
    fibres = random_fibres((3,), 70)
    symbol = operator_to_symbol(fibres, slab, tau)
    np.testing.assert_allclose(to_fibres(symbol, (7, 5), tau, flux, (3,), slab), fibres, atol=1e-13)
    wire = PhaseSpaceGrid((8,), (7, 5, 4), (7.0,), antisymmetric(xy=2 * np.pi / 7, xz=-2 * np.pi / 7))
    fibres = random_fibres((5, 3), 14)
    symbol = operator_to_symbol(fibres, wire, tau)
    np.testing.assert_allclose(to_fibres(symbol, 7, tau, wire.cell_flux, (5, 3), wire), fibres, atol=1e-13)


def antisymmetric(xy, xz, yz=0.0):
    upper = np.array([[0, xy, xz], [0, 0, yz], [0, 0, 0]])
    return upper - upper.T


def test_without_a_position_axis_every_momentum_is_a_matrix():
    grid = PhaseSpaceGrid((), (6, 8), ())
    symbol = haldane_like(())
    fibres = to_fibres(symbol, (), HONEYCOMB, None, (6, 8))
    mesh = np.stack(np.meshgrid(canonical_momenta(6), canonical_momenta(8), indexing="ij"))
    np.testing.assert_allclose(
        np.linalg.eigvalsh(fibres), np.linalg.eigvalsh(symbol(mesh[:0], mesh)), atol=1e-13
    )
    on_grid = symbol(mesh[:0], np.stack(np.broadcast_arrays(*grid.coordinates)))
    np.testing.assert_allclose(operator_to_symbol(fibres, grid, HONEYCOMB), on_grid, atol=1e-13)


@pytest.mark.parametrize("quanta", [0, 1, -2])
def test_fibres_are_the_blocks_of_a_torus(quanta):
    sites, b = (8, 5), 2 * np.pi * quanta / 8
    symbol = haldane_like(sites[:1])
    torus = symbol_to_operator(lambda x, k: symbol(x[:1], k), sites, HONEYCOMB, cell_flux=plane_flux(b))
    chains = to_fibres(symbol, 8, HONEYCOMB, plane_flux(b), (5,))
    np.testing.assert_allclose(
        np.linalg.eigvalsh(torus), np.sort(np.linalg.eigvalsh(chains).ravel()), atol=1e-12
    )
    grid = PhaseSpaceGrid((10,), (9, 7), (8.0,), plane_flux(b))
    plane = PhaseSpaceGrid((10, 4), (9, 7), (8.0, 5.0), plane_flux(b))
    torus, chains = scipy.linalg.expm(-torus), scipy.linalg.expm(-chains)
    np.testing.assert_allclose(
        operator_to_symbol(chains, grid, HONEYCOMB)[:, None],
        operator_to_symbol(torus, plane, HONEYCOMB)[:, ::2][:, :1],
        atol=1e-11,
    )
    density = operator_to_symbol(chains, grid, HONEYCOMB, trace=True)
    assert grid.integrate(density).real == pytest.approx(np.einsum("prr->p", chains).real.mean(), rel=1e-12)
    np.testing.assert_allclose(
        position_density(chains, grid, HONEYCOMB), grid.integrate_momenta(density).real, atol=1e-12
    )
    np.testing.assert_allclose(
        momentum_distribution(chains, grid, HONEYCOMB), grid.integrate_positions(density).real, atol=1e-11
    )


def test_a_fibre_has_the_shifted_symbol():
    b, p = 2 * np.pi / 24, 0.4
    operator = symbol_to_operator(
        lambda x, k: np.cos(k[0]) + np.cos(k[1] - 0.3),
        24,
        PLAIN,
        cell_flux=plane_flux(b),
        canonical_momentum=(p,),
    )
    expected = np.diag(np.cos(p + b * np.arange(24) - 0.3))
    expected = expected + (np.roll(np.eye(24), 1, axis=0) + np.roll(np.eye(24), -1, axis=0)) / 2
    np.testing.assert_allclose(operator, expected, atol=1e-13)


# --- errors ---


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: symbol_to_operator(
                wave((8,), (0,), (1, 0)), 8, PLAIN, cell_flux=plane_flux(0.8), canonical_momentum=(0.0,)
            ),
            "flux 0.8 per xy cell does not close on 8 sites.*nearest is 0.78539816",
        ),
        (
            lambda: symbol_to_operator(
                wave((8, 9), (0, 0), (1, 0)), (8, 9), PLAIN, cell_flux=plane_flux(1e-3)
            ),
            "8 x 9 sites.* multiple of 2 pi/72, the nearest is 0.0872664",
        ),
        (
            lambda: symbol_to_operator(
                wave((), (), (1, 0)), (), PLAIN, cell_flux=plane_flux(0.8), canonical_momentum=(0.0, 0.0)
            ),
            "xy plane needs a position axis",
        ),
        (
            lambda: symbol_to_operator(wave((8, 8), (0, 0), (1, 0)), (8, 8), PLAIN, cell_flux=0.3),
            "antisymmetric",
        ),
        (lambda: grid_sites(PhaseSpaceGrid((8,), (8, 8), (8.0,))), "exact system"),
        (lambda: grid_sites(PhaseSpaceGrid((8, 8), (8, 8), (8.0, 8.0), plane_flux(0.1))), "exact system"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(CaseError, match=sentence):
        call()
