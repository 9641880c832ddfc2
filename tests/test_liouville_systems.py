"""Exact systems: fields, missing position axes, and their agreement with each other."""

import numpy as np
import pytest

from wigner_sim.errors import BandTouchingError, CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.liouville import exact_system, run_liouville
from wigner_sim.models import build_hamiltonian
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.projector import LocalBands, moyal_projector
from wigner_sim.symbols import SymbolSpace, trace


def flux(xy=0.0, xz=0.0, yz=0.0, d=2):
    upper = np.zeros((d, d))
    upper[0, 1] = xy
    if d == 3:
        upper[0, 2], upper[1, 2] = xz, yz
    return upper - upper.T


def chern_crystal(lengths, potential="0.3*cos(2*pi*x/L)", model="qi_wu_zhang"):
    return build_hamiltonian(model, potential=potential, n_dimensions=2, lengths=lengths)


def occupation(length):
    """Few harmonics, so that also a torus of few sites holds all of them."""

    def symbol(x, k):
        X = 2 * np.pi * x[0] / length
        return 1.5 + 0.4 * np.cos(X - 0.5) + 0.4 * np.cos(k[0] - 1) + 0.5 * np.sin(X + k[1])

    return symbol


def chern_number(hamiltonian, n=24):
    """Integral of -i tr P [d_x P, d_y P] / 2 pi of the lowest band, by link variables."""
    k = 2 * np.pi * np.arange(n) / n
    mesh = np.stack(np.meshgrid(k, k, indexing="ij"))
    u = np.linalg.eigh(hamiltonian.matrix(np.zeros((1, 1, 1)), mesh, 0.0))[1][..., 0]
    tau = hamiltonian.orbital_positions
    u = u * np.exp(1j * np.einsum("i...,oi->...o", mesh, tau))  # periodic in k
    link_x, link_y = (np.einsum("abo,abo->ab", u.conj(), np.roll(u, -1, axis)) for axis in (0, 1))
    around = link_x * np.roll(link_y, -1, 0) / (np.roll(link_x, -1, 1) * link_y)
    return round(np.angle(around).sum() / (2 * np.pi))


def assert_same(first, second, atol=1e-11):
    for name in ("distribution", "density", "momentum_distribution", "energy", "particle_number"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), atol=atol, err_msg=name)


# --- chains ---


def test_without_a_field_every_momentum_is_a_chain_of_its_own():
    plane = chern_crystal((14.0,))
    grid = PhaseSpaceGrid((16,), (18, 6), (14.0,))
    system = exact_system(plane, grid)
    assert system.n_fibres == (36,)
    state = system.band_state_from_symbol(0, occupation(14))
    (snapshot,) = system.evolve(state, [2.0])
    for j, k_y in enumerate(grid.axis_points[2]):
        chain = Hamiltonian(
            lambda x, k, t, k_y=k_y: plane.matrix(x, np.stack([k[0], np.full_like(k[0], k_y)]), t), 2, 1
        )
        line = PhaseSpaceGrid((16,), (18,), (14.0,))
        single = exact_system(chain, line)
        symbol = lambda x, k, k_y=k_y: occupation(14)(x, [k[0], k_y])  # noqa: E731
        (expected,) = single.evolve(single.band_state_from_symbol(0, symbol), [2.0])
        np.testing.assert_allclose(snapshot.distribution[..., j], expected.distribution, atol=1e-12)


@pytest.mark.parametrize(("model", "quanta"), [("qi_wu_zhang", 1), ("haldane", -1)])
def test_chains_in_a_field_are_a_torus(model, quanta):
    b = 2 * np.pi * quanta / 12
    hamiltonian = chern_crystal((12.0,), "0.1*cos(2*pi*x/L)", model)
    chains = exact_system(hamiltonian, PhaseSpaceGrid((14,), (12, 8), (12.0,), flux(b)), n_fibres=7)
    plane = PhaseSpaceGrid((14, 7), (12, 8), (12.0, 7.0), flux(b))
    torus = exact_system(
        build_hamiltonian(model, potential="0.1*cos(2*pi*x/Lx)", n_dimensions=2, lengths=(12.0, 7.0)), plane
    )
    pairs = [
        (s.band_state_from_symbol(0, occupation(12)), s.thermal_band_state(0, -0.5, 0.4))
        for s in (chains, torus)
    ]
    for of_chains, of_torus in zip(*pairs, strict=True):
        (first,), (second,) = chains.evolve(of_chains, [1.5]), torus.evolve(of_torus, [1.5])
        np.testing.assert_allclose(
            np.broadcast_to(first.distribution[:, None], plane.shape), second.distribution, atol=1e-11
        )
        np.testing.assert_allclose(
            np.broadcast_to(first.density[:, None], plane.n_x), second.density, atol=1e-12
        )
        np.testing.assert_allclose(7 * first.momentum_distribution, second.momentum_distribution, atol=1e-10)
        assert 7 * first.energy == pytest.approx(second.energy, rel=1e-12)
        assert 7 * first.particle_number == pytest.approx(second.particle_number, rel=1e-12)
        assert chains.grid.integrate(first.distribution) == pytest.approx(first.particle_number, rel=1e-10)


def test_wires_in_three_dimensions_are_slabs():
    b = flux(2 * np.pi / 8, -4 * np.pi / 8, d=3)

    def matrix(x, k, t):
        energy = -np.cos(k[0]) - 0.7 * np.cos(k[1]) - 0.5 * np.cos(k[2] - 0.3) - 0.3 * np.cos(k[1] + k[2])
        return (energy + 0.4 * np.cos(2 * np.pi * x[0] / 8))[..., None, None]

    hamiltonian = Hamiltonian(matrix, 1, 3)
    wires = exact_system(hamiltonian, PhaseSpaceGrid((8,), (6, 6, 4), (8.0,), b), n_fibres=(5, 6))
    slabs = exact_system(hamiltonian, PhaseSpaceGrid((8, 4), (6, 6, 4), (8.0, 5.0), b), n_fibres=6)
    (first,), (second,) = (
        s.evolve(s.band_state_from_symbol(0, occupation(8)), [1.0]) for s in (wires, slabs)
    )
    expected = np.broadcast_to(first.distribution[:, None], second.distribution.shape)
    np.testing.assert_allclose(second.distribution, expected, atol=1e-11)
    assert 5 * first.energy == pytest.approx(second.energy, rel=1e-12)


def test_a_packet_turns_the_right_way_round():
    # dk_x/dt = -B v_y, dk_y/dt = B v_x, dx/dt = v_x; exact for cosine bands with B -> 2 sin(B/2).
    n_sites, step = 40, 1e-3
    b = 2 * np.pi * 2 / n_sites
    grid = PhaseSpaceGrid((n_sites,), (24, 24), (float(n_sites),), flux(b))

    def packet(x, k):
        return np.exp(-((x[0] - 18) ** 2) / 18 + np.cos(k[0] - 0.5) + 1.5 * np.cos(k[1] - 0.9))

    hamiltonian = build_hamiltonian("cosine_band", n_dimensions=2, lengths=(float(n_sites),))
    system = exact_system(hamiltonian, grid)
    state = system.band_state_from_symbol(0, packet)
    before, now, after = system.evolve(state, [1 - step, 1.0, 1 + step])
    energy = hamiltonian.matrix(
        np.zeros((1, 24, 24)), np.stack(np.broadcast_arrays(*grid.momenta))[:, 0], 0.0
    )
    k_x, k_y = (np.squeeze(k, 0) for k in grid.momenta)
    v_x, v_y = (slope(energy[..., 0, 0].real, axis) for axis in (0, 1))

    def rate(values, weight=lambda s: s.momentum_distribution):
        return np.sum(values * (weight(after) - weight(before))) / (2 * step * 24**2)

    def mean(values):
        return np.sum(values * now.momentum_distribution) / 24**2

    turning = 2 * np.sin(b / 2)
    assert rate(np.sin(k_x)) == pytest.approx(-turning * mean(v_y * np.cos(k_x)), rel=1e-5)
    assert rate(np.sin(k_y)) == pytest.approx(turning * mean(v_x * np.cos(k_y)), rel=1e-5)
    path = (after.density - before.density) @ grid.axis_points[0] / (2 * step)
    assert path == pytest.approx(mean(v_x), rel=1e-5)
    assert abs(mean(v_y)) > 0.1 * now.particle_number


def slope(values, axis):
    """Derivative along a momentum axis."""
    n = values.shape[axis]
    wavenumbers = np.fft.fftfreq(n, 1 / n) * (np.abs(np.fft.fftfreq(n)) < 0.5)
    factor = 1j * wavenumbers.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return np.fft.ifft(factor * np.fft.fft(values, axis=axis), axis=axis).real


# --- bands in a field ---


@pytest.mark.parametrize("model", ["qi_wu_zhang", "haldane"])
@pytest.mark.parametrize("n_phi", [1, -2])
def test_filled_band_follows_streda(model, n_phi):
    # n = int dk/(2 pi)^2 (1 + eps_{kx ky} Omega_{kx ky}) = 1 - B C/(2 pi), Omega signed as in chern_number.
    lengths, area = (9.0, 8.0), 72
    b = 2 * np.pi * n_phi / area
    hamiltonian = chern_crystal(lengths, None, model)
    chern = chern_number(hamiltonian)
    assert abs(chern) == 1
    system = exact_system(hamiltonian, PhaseSpaceGrid((8, 8), (8, 8), lengths, flux(b)))
    for method in ("auto", "purified"):
        (projector,) = system.band_projectors(0, method=method)
        assert projector.rank == area - chern * n_phi
    assert system.band_projectors(0)[0].method == "spectral"
    np.testing.assert_allclose(projector.matrix, system.band_projectors(0)[0].matrix, atol=1e-9)
    filled = system.observe(system.thermal_band_state(0, 10.0, 0.0))
    np.testing.assert_allclose(filled.density, 1 - b * chern / (2 * np.pi), rtol=3e-3)
    assert filled.particle_number == pytest.approx(area - chern * n_phi, rel=1e-12)
    chain = exact_system(hamiltonian, PhaseSpaceGrid((8,), (8, 8), (24.0,), flux(2 * np.pi * n_phi / 24)), 4)
    assert [p.rank for p in chain.band_projectors(0)] == [24 - chern * n_phi] * 4


def test_overlapping_bands_of_chains_are_purified():
    hamiltonian = chern_crystal((32.0,), "2*cos(2*pi*x/L)")
    system = exact_system(hamiltonian, PhaseSpaceGrid((32,), (8, 8), (32.0,), flux(2 * np.pi / 32)), 3)
    lower, upper = system.band_projectors(0), system.band_projectors(1)
    for down, up in zip(lower, upper, strict=True):
        assert (down.method, up.method) == ("purified", "purified")
        assert {down.rank, up.rank} == {31, 33}
        assert down.commutator_norm < 0.02
        np.testing.assert_allclose(down.matrix + up.matrix, np.eye(64), atol=1e-6)


def test_occupation_on_a_grid_equals_the_function():
    grid = PhaseSpaceGrid((32,), (24, 24), (16.0,), flux(2 * np.pi / 16))
    system = exact_system(chern_crystal((16.0,)), grid, 5)
    values = occupation(16)(*np.split(np.stack(np.broadcast_arrays(*grid.coordinates)), [1]))
    np.testing.assert_allclose(
        system.band_state_from_symbol(0, values), system.band_state_from_symbol(0, occupation(16)), atol=1e-9
    )


# --- driven systems, no position axis ---


def test_driven_chains_agree_with_static_ones():
    grid = PhaseSpaceGrid((12,), (8, 8), (12.0,), flux(2 * np.pi / 12))
    static = chern_crystal((12.0,))
    driven = Hamiltonian(static.matrix, 2, 2, time_dependent=True)
    systems = [exact_system(h, grid, 3) for h in (static, driven)]
    state = systems[0].band_state_from_symbol(0, occupation(12))
    histories = [list(s.evolve(state, [1.0, 2.5], 0.5)) for s in systems]
    for first, second in zip(*histories, strict=True):
        assert_same(first, second)
    assert_same(histories[0][1], next(run_liouville(static, grid, state, [2.5], 0.5)), 1e-13)


def test_a_homogeneous_drive_moves_particles_between_bands_only():
    force, t = 0.3, 2.0
    grid = PhaseSpaceGrid((), (4, 6), ())
    bloch = chern_crystal((), None)
    driven = Hamiltonian(
        lambda x, k, t: bloch.matrix(x, np.stack([k[0], k[1] - force * t]), 0.0), 2, 2, time_dependent=True
    )
    system = exact_system(driven, grid)
    state = system.thermal_band_state(0, -1.0, 0.2)
    (snapshot,) = system.evolve(state, [t])
    np.testing.assert_allclose(snapshot.distribution, system.observe(state).distribution, atol=1e-8)
    assert abs(snapshot.energy - system.observe(state).energy) > 0.01


def test_homogeneous_equilibrium_is_the_fermi_function():
    grid = PhaseSpaceGrid((), (8, 6), ())
    hamiltonian = chern_crystal((), None, "haldane")
    system = exact_system(hamiltonian, grid)
    energies = np.linalg.eigvalsh(
        hamiltonian.matrix(np.zeros((0, 8, 6)), np.stack(np.broadcast_arrays(*grid.momenta)), 0.0)
    )
    f = system.observe(system.thermal_band_state(1, 0.4, 0.3)).distribution
    np.testing.assert_allclose(f, 1 / (1 + np.exp((energies[..., 1] - 0.4) / 0.3)), atol=1e-13)


# --- errors ---


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda h: exact_system(h, PhaseSpaceGrid((8,), (8, 8), (20.0,), flux(0.3))),
            "nearest is 0.31415926",
        ),
        (lambda h: exact_system(h, PhaseSpaceGrid((8,), (8, 8), (20.5,))), "whole numbers of sites"),
        (lambda h: exact_system(h, PhaseSpaceGrid((8,), (8,), (20.0,))), "has 2 dimensions"),
        (lambda h: exact_system(h, PhaseSpaceGrid((8,), (8, 8), (20.0,)), (3, 3)), "1 positive numbers"),
        (
            lambda h: exact_system(h, PhaseSpaceGrid((8,), (8, 64), (600.0,))),
            "64 fibres of 1200 states.* 44",
        ),
        (lambda h: exact_system(h, PhaseSpaceGrid((8, 8), (8, 8), (50.0, 50.0))), "more than 4000"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(CaseError, match=sentence):
        call(chern_crystal((20.0,)))


def test_a_touching_is_found_at_its_kinetic_momentum():
    def matrix(x, k, t):
        h = np.zeros((*np.broadcast_shapes(x[0].shape, k[0].shape), 2, 2), dtype=complex)
        h[..., 0, 0] = np.sin(k[0]) ** 2 + 1 - np.cos(k[1])
        h[..., 0, 1] = h[..., 1, 0] = np.sin(k[0])
        return h

    system = exact_system(Hamiltonian(matrix, 2, 2), PhaseSpaceGrid((8,), (8, 8), (8.0,), flux(np.pi / 4)))
    with pytest.raises(BandTouchingError) as error:
        system.band_projectors(0)
    assert np.cos(error.value.momentum[1]) == pytest.approx(1.0)
    assert len(error.value.momentum) == 2


# --- the gradient expansion, an independent route ---


def spinful(length):
    """Generic gapped two-band plane in a field U(x), with a band bottom of its own."""

    def matrix(x, k, _t):
        X = 2 * np.pi * x[0] / length
        d_1, d_2 = 0.6 * np.sin(k[0]) + 0.2 * np.cos(X), 0.6 * np.sin(k[1])
        d_3 = 2.2 + 0.4 * np.cos(k[0]) + 0.4 * np.cos(k[1]) + 0.2 * np.sin(X)
        scalar = 0.5 * np.cos(k[0] - 0.3) + 0.4 * np.cos(k[1]) + 0.3 * np.cos(X)
        return np.moveaxis(
            np.array([[scalar + d_3, d_1 - 1j * d_2], [d_1 + 1j * d_2, scalar - d_3]]), (0, 1), (-2, -1)
        )

    return Hamiltonian(matrix, 2, 2)


@pytest.mark.parametrize("quanta", [1, -1])
def test_filled_band_has_the_density_of_states_of_the_moyal_projector(quanta):
    errors = []
    for length in (40, 80):
        grid = PhaseSpaceGrid((20,), (20, 20), (float(length),), flux(2 * np.pi * quanta / length))
        system = exact_system(spinful(length), grid, 20)
        exact = system.observe(system.thermal_band_state(0, 10.0, 0.0)).distribution
        coordinates = np.stack(np.broadcast_arrays(*grid.coordinates))
        values = np.moveaxis(spinful(length).matrix(coordinates[:1], coordinates[1:], 0.0), (-2, -1), (0, 1))
        space = SymbolSpace(grid)
        orders = moyal_projector(space.symbol(values), LocalBands.of(values), range(1), 2)
        expected = np.cumsum([trace(order.values).real for order in orders], axis=0)
        errors.append([np.std(exact - density) for density in expected])
    slopes = -np.diff(np.log(errors), axis=0)[0] / np.log(2)
    np.testing.assert_allclose(slopes, [1, 2, 3], atol=0.25)
