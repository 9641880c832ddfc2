"""Quantum metric, Berry curvature and band-normalized metric against closed forms and eigenvectors."""

import numpy as np
import pytest
from systems import named, relative, separable_plane, texture, textured_plane, three_orbitals, upper_chain

from wigner_sim.geometry import (
    band_normalized_metric,
    berry_curvature,
    moyal_berry_curvature,
    quantum_metric,
)
from wigner_sim.kinetics.effective_band import effective_band
from wigner_sim.projector import LocalBands, moyal_projector
from wigner_sim.symbols import SymbolSpace, trace

SYSTEMS = {
    "texture": texture,
    "upper band with offsets": upper_chain,
    "middle band with offsets": three_orbitals,
    "plane": lambda: textured_plane(1),
}


def local(system):
    symbol = system.symbol()
    bands = LocalBands.of(symbol.values)
    return symbol, bands, symbol.space.symbol(bands.projector(range(system.band, system.band + 1)))


def bloch_vector(system):
    """d and its gradient from H = d . sigma + scalar, spectral derivatives, shape (3,) and (a, 3)."""
    symbol = system.symbol()
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])

    def components(matrix):
        return 0.5 * np.einsum("nij,ji...->n...", pauli, matrix).real

    return components(symbol.values), np.stack(
        [components(symbol.derivative(a)) for a in range(system.grid.n_axes)]
    )


@pytest.mark.parametrize("band", [0, 1])
@pytest.mark.parametrize("make", [texture, lambda: textured_plane(1), lambda: separable_plane(2, n_x=8)])
def test_two_bands_against_the_unit_vector(make, band):
    """``g = d_a n . d_b n / 4``, ``Omega = -+n . (d_a n x d_b n)/2``, ``T = +-g/|d|`` (lower, upper)."""
    system = make()
    symbol, bands, _ = local(system)
    p = symbol.space.symbol(bands.projector(range(band, band + 1)))
    d, gradient = bloch_vector(system)
    length = np.sqrt((d**2).sum(axis=0))
    n = d / length
    dn = (gradient - n * np.einsum("n...,an...->a...", n, gradient)[:, None]) / length
    metric = 0.25 * np.einsum("an...,bn...->ab...", dn, dn)
    sign = -1 if band == 0 else 1
    triple = np.einsum("i...,abi...->ab...", n, np.cross(dn[:, None], dn[None], axis=2))
    assert relative(quantum_metric(p) - metric, metric) < 1e-8
    assert relative(berry_curvature(p) - sign * 0.5 * triple, triple) < 1e-8
    normalized = -sign * metric / length
    assert relative(band_normalized_metric(symbol, bands, band) - normalized, normalized) < 1e-8


def interband_elements(system):
    """``<u_m|d_a u_n> = <m|d_a H|n>/(E_n - E_m)`` of one band n, shape (a, m, ...), and E_n - E_m."""
    symbol, bands, _ = local(system)
    u, n = bands.vectors, system.band
    others = [m for m in range(u.shape[1]) if m != n]
    gaps = (bands.energies[n] - bands.energies)[others]
    elements = [
        np.einsum("im...,ij...,j...->m...", u.conj(), symbol.derivative(a), u[:, n])[others] / gaps
        for a in range(system.grid.n_axes)
    ]
    return np.stack(elements), gaps


@pytest.mark.parametrize("name", SYSTEMS)
def test_sums_over_states(name):
    """``sum_m <d_a u_n|u_m><u_m|d_b u_n> = g_ab + (i/2) Omega_ab``, and T with its energy denominator."""
    system = SYSTEMS[name]()
    symbol, bands, p = local(system)
    elements, gaps = interband_elements(system)
    q = np.einsum("am...,bm...->ab...", elements.conj(), elements)
    tensor = quantum_metric(p) + 0.5j * berry_curvature(p)
    assert relative(q - tensor, q) < 1e-8
    weighted = np.einsum("am...,bm...,m...->ab...", elements.conj(), elements, 1 / gaps)
    t = -(weighted + np.swapaxes(weighted, 0, 1)).real
    assert relative(band_normalized_metric(symbol, bands, system.band) - t, t) < 1e-11


@pytest.mark.parametrize("name", SYSTEMS)
def test_symmetries_and_inequalities(name):
    system = SYSTEMS[name]()
    symbol, bands, p = local(system)
    g, omega = quantum_metric(p), berry_curvature(p)
    np.testing.assert_array_equal(g, np.swapaxes(g, 0, 1))
    np.testing.assert_array_equal(omega, -np.swapaxes(omega, 0, 1))
    q = np.moveaxis(g + 0.5j * omega, (0, 1), (-2, -1))
    assert np.linalg.eigvalsh(q).min() > -1e-8 * np.abs(q).max()  # Q >= 0, hence det g >= Omega^2/4
    lowest = np.moveaxis(band_normalized_metric(symbol, bands, 0), (0, 1), (-2, -1))
    assert np.linalg.eigvalsh(lowest).min() > -1e-11
    highest = np.moveaxis(band_normalized_metric(symbol, bands, len(bands.energies) - 1), (0, 1), (-2, -1))
    assert np.linalg.eigvalsh(highest).max() < 1e-11


@pytest.mark.parametrize("name", SYSTEMS)
def test_eigenvector_phases_change_nothing(name):
    system = SYSTEMS[name]()
    symbol, bands, p = local(system)
    phases = np.exp(2j * np.pi * np.random.default_rng(8).random((1, *bands.vectors.shape[1:])))
    other = LocalBands(bands.energies, bands.vectors * phases)
    other_p = symbol.space.symbol(other.projector(range(system.band, system.band + 1)))
    for function in (quantum_metric, berry_curvature):
        assert relative(function(other_p) - function(p), function(p)) < 1e-12
    t = band_normalized_metric(symbol, bands, system.band)
    assert relative(band_normalized_metric(symbol, other, system.band) - t, t) < 1e-12


def test_curvatures_of_all_bands_cancel():
    system = three_orbitals()
    symbol, bands, _ = local(system)
    each = [berry_curvature(symbol.space.symbol(bands.projector(range(b, b + 1)))) for b in range(3)]
    assert np.abs(sum(each)).max() < 1e-8 * np.abs(each[1]).max()


def test_three_orbitals_against_finite_differences_of_eigenvectors():
    """Distance ``1 - |<u|u'>|^2 = g dz dz`` and the phase around a small square, for H off the grid."""
    system = three_orbitals()
    _, _, p = local(system)
    g, omega = quantum_metric(p), berry_curvature(p)
    i, j, h = 13, 41, 2e-3
    centre = np.array([points[n] for points, n in zip(system.grid.axis_points, (i, j), strict=True)])
    step = np.array([h * 24 / (2 * np.pi), h])

    def state(dx, dk):
        x, k = centre + step * np.array([dx, dk])
        # position convention: derivatives in k are those of the real orbital positions
        return np.linalg.eigh(system.hamiltonian.matrix(np.array([x]), np.array([k]), 0.0))[1][:, system.band]

    def distance(dx, dk):
        overlap = np.vdot(state(-dx / 2, -dk / 2), state(dx / 2, dk / 2))
        return 1 - abs(overlap) ** 2

    expected = np.array([[distance(1, 0), 0], [0, distance(0, 1)]])
    expected[0, 1] = expected[1, 0] = 0.25 * (distance(1, 1) - distance(1, -1))
    np.testing.assert_allclose(g[:, :, i, j] * np.outer(step, step), expected, rtol=1e-4, atol=1e-11)
    corners = [state(-0.5, -0.5), state(0.5, -0.5), state(0.5, 0.5), state(-0.5, 0.5)]
    links = [np.vdot(corners[n], corners[(n + 1) % 4]) for n in range(4)]
    np.testing.assert_allclose(omega[0, 1, i, j] * step.prod(), np.angle(np.prod(links)), rtol=1e-4)


def link_chern_number(matrix, n, band):
    """Fukui, Hatsugai, Suzuki, J. Phys. Soc. Jpn. 74, 1674 (2005), with ``A = -i <u|du>``."""
    k = np.stack(np.meshgrid(*[2 * np.pi * np.arange(n) / n] * 2, indexing="ij"))
    u = np.linalg.eigh(matrix(k))[1][..., band]
    right, up = np.roll(u, -1, 0), np.roll(u, -1, 1)

    def link(a, b):
        return np.einsum("...i,...i->...", a.conj(), b)

    flux = np.angle(
        link(u, right) * link(right, np.roll(right, -1, 1)) / (link(u, up) * link(up, np.roll(up, -1, 0)))
    )
    return flux.sum() / (2 * np.pi)


@pytest.mark.parametrize(
    ("model", "parameters", "expected"),
    [
        ("qi_wu_zhang", {"mass": -1.0}, -1),
        ("qi_wu_zhang", {"mass": 1.0}, 1),
        ("qi_wu_zhang", {"mass": -3.0}, 0),
        ("haldane", {"mass": 0.2, "phi": np.pi / 2}, 1),
        ("haldane", {"mass": 0.2, "phi": -np.pi / 2}, -1),
        ("haldane", {"mass": 1.5, "phi": np.pi / 2}, 0),
    ],
)
def test_chern_numbers(model, parameters, expected):
    """``(1/2 pi) int Omega_kxky`` with the sign of the module, A = -i <u|du>."""
    system = named(model, parameters, None, (), 4, 96, d=2)
    _, bands, p = local(system)
    chern = berry_curvature(p)[0, 1].mean() * 2 * np.pi
    assert chern == pytest.approx(expected, abs=1e-6)
    upper = p.space.symbol(bands.projector(range(1, 2)))
    assert berry_curvature(upper)[0, 1].mean() * 2 * np.pi == pytest.approx(-expected, abs=1e-6)
    # the curvature depends on where orbitals sit, its integral does not
    cell_periodic = named(model, {**parameters, "orbital_positions": [[0, 0], [0, 0]]}, None, (), 4, 96, d=2)
    matrix = cell_periodic.hamiltonian.bloch
    assert link_chern_number(matrix, 24, 0) == pytest.approx(expected, abs=1e-9)


def test_haldane_curvature_feels_the_orbital_positions_only_point_by_point():
    curvatures = []
    for positions in ([[0, 0], [1 / 3, 1 / 3]], [[0, 0], [0, 0]]):
        system = named("haldane", {"orbital_positions": positions}, None, (), 4, 64, d=2)
        curvatures.append(berry_curvature(local(system)[2])[0, 1])
    assert relative(curvatures[0] - curvatures[1], curvatures[0]) > 0.1
    np.testing.assert_allclose(*[c.mean() for c in curvatures], rtol=1e-6)


def test_moyal_curvature_is_antisymmetric_and_closed():
    """``Omega*`` is the curvature of the dressed band: its leading order obeys the Bianchi identity, its
    first correction is real and antisymmetric and vanishes where nothing depends on position."""
    system = textured_plane(1)
    symbol = system.symbol()
    pi = moyal_projector(symbol, LocalBands.of(symbol.values), range(0, 1), 1)
    leading, first = moyal_berry_curvature(pi, 1)
    bianchi = sum(
        symbol.space.symbol(leading[a, b]).derivative(c) for a, b, c in [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
    )
    assert np.abs(bianchi).max() < 1e-9 * np.abs(leading).max()
    np.testing.assert_array_equal(first, -np.swapaxes(first, 0, 1))
    assert np.abs(first).max() > 1e-6
    homogeneous = textured_plane(0)
    flat = homogeneous.symbol()
    pi = moyal_projector(flat, LocalBands.of(flat.values), range(0, 1), 1)
    assert np.abs(moyal_berry_curvature(pi, 1)[1]).max() == 0.0


def test_first_order_trace_is_half_the_curvature():
    """``tr pi_1 = (1/2) eps_ab Omega_ab``: where the density of states starts (docs/theory.md, section 4)."""
    for make in SYSTEMS.values():
        system = make()
        symbol, bands, p = local(system)
        pi = moyal_projector(symbol, bands, range(system.band, system.band + 1), 1)
        expected = 0.5 * np.einsum("ab,ab...->...", system.grid.epsilon, berry_curvature(p))
        assert relative(trace(pi[1].values).real - expected, expected) < 1e-8


def test_first_order_energy_is_the_orbital_moment():
    """``h_1 = -(i/2) eps_ab <d_a u|(H - E)|d_b u>``, by a sum over states: sign and size."""
    for make in SYSTEMS.values():
        system = make()
        elements, gaps = interband_elements(system)
        # <d_a u|(H - E_n)|d_b u> = sum_m (E_m - E_n) <d_a u|m><m|d_b u>
        moment = np.einsum("am...,bm...,m...->ab...", elements.conj(), elements, -gaps)
        expected = (-0.5j * np.einsum("ab,ab...->...", system.grid.epsilon, moment)).real
        h_1 = system.general(1).energy[1]
        assert relative(h_1 - expected, h_1) < 1e-8


def test_geometry_sees_a_field_through_the_poisson_tensor_only():
    weak, strong = (textured_plane(0, flux=flux) for flux in (0.1, 0.2))
    band = [effective_band(s.symbol(), 0, 1) for s in (weak, strong)]
    np.testing.assert_allclose(2 * band[0].energy[1], band[1].energy[1], rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(band[0].curvature[0], band[1].curvature[0])
    space = SymbolSpace(weak.grid)
    assert space.grid.epsilon[0, 1] == -0.1
