"""Moyal projector: residuals, Hermiticity, groups of bands, completeness, gauge, drive, touching bands."""

import numpy as np
import pytest
from systems import (
    gentle_texture,
    named,
    ramped_texture,
    relative,
    separable_plane,
    slope,
    texture,
    textured_plane,
    three_orbitals,
    upper_chain,
)

from wigner_sim.errors import BandTouchingError
from wigner_sim.kinetics.effective_band import central_difference
from wigner_sim.projector import (
    LocalBands,
    check_gap,
    gap_to_other_bands,
    moyal_projector,
    projector_residuals,
)
from wigner_sim.symbols import adjoint, star_product_at, star_term, trace

SYSTEMS = {
    "texture": lambda: texture(n=64),
    "three orbitals with offsets": lambda: three_orbitals(n=48),
    "upper band with offsets": lambda: upper_chain(n=48),
    "plane, field": lambda: textured_plane(1, n_x=10, n_k=14, flux=0.05),
}


def projector(system, order, bands=None, **arguments):
    symbol = system.symbol()
    group = bands or range(system.band, system.band + 1)
    return symbol, moyal_projector(symbol, LocalBands.of(symbol.values), group, order, **arguments)


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize(
    ("make", "bands"),
    [
        (lambda: gentle_texture(n=32), range(0, 1)),
        (lambda: gentle_texture(n=32), range(1, 2)),
        (lambda: three_orbitals(n=48), range(1, 2)),
        (lambda: three_orbitals(n=48), range(0, 2)),
    ],
)
def test_residuals_fall_with_one_power_more_than_the_order(make, bands, order):
    dilations = [2.0, 4.0, 8.0]
    residuals = []
    for dilation in dilations:
        residuals.append(projector_residuals(*projector(make().dilated(dilation), order, bands)))
    for name, values in zip(("pi * pi - pi", "[H, pi]"), np.transpose(residuals), strict=True):
        assert slope(dilations, values) == pytest.approx(order + 1, abs=0.2), name


def test_residuals_fall_with_a_magnetic_field():
    dilations = [2.0, 4.0, 8.0]
    system = textured_plane(1, n_x=10, n_k=14, flux=0.05)
    residuals = [projector_residuals(*projector(system.dilated(d), 2)) for d in dilations]
    for values in np.transpose(residuals):
        assert slope(dilations, values) == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_order_is_hermitian_without_being_made_so(name):
    """The recursion yields a Hermitian pi_m: its anti-Hermitian part is rounding before it is dropped."""
    system = SYSTEMS[name]()
    symbol, pi = projector(system, 2)
    for m in range(3):
        assert relative(pi[m].values - adjoint(pi[m].values), pi[m].values) < 1e-15
    bands, group = LocalBands.of(symbol.values), range(system.band, system.band + 1)
    for m in (1, 2):  # the off-diagonal part follows from C_m, anti-Hermitian
        commutator = star_product_at([symbol], pi[:m], m) - star_product_at(pi[:m], [symbol], m)
        part = bands.divide_by_gap(commutator, group)
        assert relative(part - adjoint(part), part) < 1e-11


@pytest.mark.parametrize("name", SYSTEMS)
def test_trace_counts_the_bands(name):
    """``int tr pi`` is the number of states: corrections to tr P are total derivatives, also for groups."""
    system = SYSTEMS[name]()
    _, pi = projector(system, 2)
    for m, expected in enumerate([1.0, 0.0, 0.0]):
        values = trace(pi[m].values)
        assert abs(values.mean() - expected) < 1e-12
        assert np.abs(values).max() > 1e-8


@pytest.mark.parametrize("name", SYSTEMS)
def test_all_bands_together_are_the_identity_at_every_order(name):
    system = SYSTEMS[name]()
    n = system.hamiltonian.n_orbitals
    every = [projector(system, 3 if n == 2 else 2, range(b, b + 1))[1] for b in range(n)]
    for m, parts in enumerate(zip(*every, strict=True)):
        total = sum(part.values for part in parts)
        expected = np.eye(n) if m == 0 else np.zeros((n, n))
        residual = total - expected.reshape(n, n, *(1,) * (total.ndim - 2))
        assert np.abs(residual).max() < 1e-7 * max(np.abs(part.values).max() for part in parts)


def test_a_group_is_the_complement_of_the_rest_and_dressed_bands_are_orthogonal():
    system = three_orbitals(n=64)
    _, group = projector(system, 2, range(0, 2))
    _, rest = projector(system, 2, range(2, 3))
    _, lowest = projector(system, 2, range(0, 1))
    for m in (1, 2):
        assert relative(group[m].values + rest[m].values, rest[m].values) < 1e-9
        overlap = star_product_at(lowest, rest, m)
        assert np.abs(overlap).max() < 1e-9 * np.abs(rest[m].values).max()


def test_one_projector_for_all_bands_is_the_identity():
    _, pi = projector(three_orbitals(n=16), 2, range(0, 3))
    identity = np.eye(3)[:, :, None, None]
    np.testing.assert_allclose(pi[0].values - identity, 0, atol=1e-14)
    for m in (1, 2):
        np.testing.assert_allclose(pi[m].values, 0, atol=1e-13)


@pytest.mark.parametrize("bands", [range(1, 2), range(0, 2)])
def test_phases_and_unitaries_of_eigenvectors_change_nothing(bands):
    """A random phase on every vector at every point, and a random unitary inside the group."""
    system = three_orbitals(n=32)
    symbol = system.symbol()
    local = LocalBands.of(symbol.values)
    rng = np.random.default_rng(7)
    vectors = local.vectors * np.exp(2j * np.pi * rng.random((1, *local.vectors.shape[1:])))
    pi = moyal_projector(symbol, local, bands, 2)
    other = moyal_projector(symbol, LocalBands(local.energies, vectors), bands, 2)
    for m in range(3):
        assert relative(pi[m].values - other[m].values, pi[m].values) < 1e-12
    n = len(bands)
    matrix = rng.normal(size=(*system.grid.shape, n, n)) + 1j * rng.normal(size=(*system.grid.shape, n, n))
    unitary = np.moveaxis(np.linalg.qr(matrix)[0], (-2, -1), (0, 1))
    mixed = local.vectors.copy()
    mixed[:, bands.start : bands.stop] = np.einsum(
        "ia...,ab...->ib...", mixed[:, bands.start : bands.stop], unitary
    )
    np.testing.assert_allclose(
        LocalBands(local.energies, mixed).projector(bands), local.projector(bands), atol=1e-13
    )


def test_degenerate_bands_inside_a_group_do_no_harm():
    """Two decoupled copies of one chain: the pair of lower bands is degenerate everywhere."""
    system = gentle_texture(n=32)
    symbol = system.symbol()
    twice = symbol.space.symbol(
        np.einsum("ab,ij...->aibj...", np.eye(2), symbol.values).reshape(4, 4, *system.grid.shape)
    )
    pi = moyal_projector(twice, LocalBands.of(twice.values), range(0, 2), 2)
    _, single = projector(system, 2)
    for m in range(3):
        expected = np.einsum("ab,ij...->aibj...", np.eye(2), single[m].values)
        assert relative(pi[m].values - expected.reshape(pi[m].values.shape), expected) < 1e-11


def test_driven_projector_obeys_its_equation_of_motion():
    """``[H, pi]_* - i d_t pi`` falls with slope order + 1; without the rate it would fall with slope 1."""
    dilations, group = [2.0, 4.0, 8.0], range(0, 1)
    for order in (0, 1, 2):
        residuals = [_driven_residual(d, order, group) for d in dilations]
        assert slope(dilations, residuals) == pytest.approx(order + 1, abs=0.2)


def _driven_residual(dilation, order, group):
    duration, delta = 4.0 * dilation, 2e-3 * dilation
    system = ramped_texture(4.0, n=32).dilated(dilation)
    t = 0.45 * duration

    def bands_at(j):
        symbol = system.symbol(t + j * delta)
        return symbol, LocalBands.of(symbol.values)

    levels = {j: [bands_at(j)[1].projector(group)] for j in range(-6, 7)}  # pi_0 at each time
    rates = {j: [] for j in levels}
    for m in range(1, order + 1):
        inner = range(-6 + 2 * m, 7 - 2 * m)
        rates = {
            j: [*rates[j], central_difference({i: levels[i][m - 1] for i in levels}, j, delta)] for j in inner
        }
        levels = {
            j: [p.values for p in moyal_projector(*bands_at(j), group, m, time_derivatives=rates[j])]
            for j in inner
        }
    totals = {j: sum(levels[j]) for j in levels}
    symbol, _ = bands_at(0)
    pi = symbol.space.symbol(totals[0])
    commutator = sum(star_term(symbol, pi, n) - star_term(pi, symbol, n) for n in range(7))
    return np.abs(commutator - 1j * central_difference(totals, 0, delta)).max()


def test_gap_to_other_bands():
    energies = np.array([[0.0, 0.0], [1.0, 0.5], [3.0, 0.6]])
    np.testing.assert_allclose(gap_to_other_bands(energies, range(0, 1)), [1.0, 0.5])
    np.testing.assert_allclose(gap_to_other_bands(energies, range(1, 2)), [1.0, 0.1])
    np.testing.assert_allclose(gap_to_other_bands(energies, range(1, 3)), [1.0, 0.5])
    np.testing.assert_array_equal(gap_to_other_bands(energies, range(0, 3)), [np.inf, np.inf])


def test_touching_bands_are_refused_with_place_and_size():
    """An SSH chain whose inner hopping comes close to the outer one at a quarter of the ring, at k = pi."""
    system = named("ssh", {"t1": "0.58 - 0.4*cos(4*pi*x/L)", "t2": 1.0}, None, (24,), 48, 48)
    with pytest.raises(BandTouchingError, match=r"falls to 0\.04 at x = 6, kx = -3\.142.*0\.1") as raised:
        system.evolution(minimum_gap=0.1).effective()
    assert raised.value.gap == pytest.approx(0.04)
    assert raised.value.position == (6.0,)
    assert raised.value.momentum == pytest.approx((-np.pi,))
    assert raised.value.exit_code == 2
    system.evolution(minimum_gap=0.03).effective()  # accepted


def test_gap_of_a_group_is_named_as_a_group():
    system = three_orbitals(n=16)
    energies = LocalBands.of(system.symbol().values).energies
    with pytest.raises(BandTouchingError, match="bands 0 to 1 and the other bands"):
        check_gap(system.grid, energies, range(0, 2), 100.0)
    check_gap(system.grid, energies, range(0, 3), 100.0)  # nothing else to touch


def test_touching_in_a_separable_crystal_is_found_on_the_momentum_grid():
    system = separable_plane(1)
    with pytest.raises(BandTouchingError, match=r"at kx = .*, ky = ") as raised:
        system.evolution(minimum_gap=10.0).effective()
    assert raised.value.position == ()
    assert len(raised.value.momentum) == 2
