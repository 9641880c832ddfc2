"""Exact Liouville-von Neumann reference: projectors, states, evolution."""

import numpy as np
import pytest
import scipy.linalg

from wigner_sim.errors import BandTouchingError, CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.liouville import (
    band_projector,
    evolution,
    evolve_driven,
    evolve_static,
    projectors,
    quantize_hamiltonian,
    run_liouville,
    state_from_symbol,
    thermal_state,
)
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.weyl import site_lattice

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def dot_sigma(d_1, d_2, d_3):
    return np.stack(np.broadcast_arrays(d_1, d_2, d_3), axis=-1) @ PAULI.reshape(3, 4)


def two_band_system(n_sites, potential=0.4, drive=0.0):
    """A generic gapped texture H = d.sigma + U; the bands overlap in energy for a potential above about 1."""
    q = 2 * np.pi / n_sites

    def matrix(x, k, t):
        X, K = q * x[0], k[0]
        d_1 = 1.2 + 0.5 * np.cos(K) + 0.2 * np.cos(X)
        d_2 = 0.5 * np.sin(K) + (0.2 + drive * np.sin(1.3 * t)) * np.sin(X) + 0.1 * np.sin(X + K)
        d_3 = 0.3 * np.sin(X) + 0.3 * np.cos(K - drive * t**2)
        spin = dot_sigma(d_1, d_2, d_3)
        return spin.reshape(*spin.shape[:-1], 2, 2) + (potential * np.cos(X))[..., None, None] * np.eye(2)

    return Hamiltonian(matrix, 2, 1, time_dependent=drive != 0)


def occupation(n_sites):
    q = 2 * np.pi / n_sites
    return lambda x, k: np.exp(
        0.8 * np.cos(q * x[0] - 0.5) + 0.6 * np.cos(k[0] - 1) + 0.3 * np.sin(q * x[0] + k[0])
    )


def three_band_system(n_sites):
    q = 2 * np.pi / n_sites

    def matrix(x, k, _t):
        X, K = np.broadcast_arrays(q * x[0], k[0])
        h = np.zeros((*X.shape, 3, 3), dtype=complex)
        h[..., 0, 0], h[..., 1, 1], h[..., 2, 2] = (
            -3 + 0.3 * np.cos(X),
            0.4 * np.cos(K),
            3 + 0.2 * np.cos(X + K),
        )
        h[..., 0, 1], h[..., 1, 2], h[..., 0, 2] = (
            0.5 * np.exp(1j * K),
            0.4 + 0.3j * np.sin(X),
            0.2 * np.cos(K),
        )
        return h + np.swapaxes(np.triu(h, 1).conj(), -1, -2)

    return Hamiltonian(matrix, 3, 1)


def one_band_chain(time_dependent=False, force=0.0):
    return Hamiltonian(
        lambda x, k, t: (-np.cos(k[0] - force * t) + 0.3 * np.sin(2 * (k[0] - force * t)) + 0 * x[0])[
            ..., None, None
        ],
        n_orbitals=1,
        n_dimensions=1,
        time_dependent=time_dependent,
    )


def start(n_sites, **kinds):
    hamiltonian = two_band_system(n_sites, **kinds)
    operator = quantize_hamiltonian(hamiltonian, n_sites)
    projector = band_projector(operator, hamiltonian, n_sites)
    rho = state_from_symbol(projector, occupation(n_sites), n_sites, hamiltonian.orbital_positions)
    return hamiltonian, operator, projector, rho


def grid_1d(n_sites, n=48):
    return PhaseSpaceGrid((n,), (n,), (float(n_sites),))


def commutator(a, b):
    return np.abs(a @ b - b @ a).max()


# --- projectors ---


@pytest.mark.parametrize("n_sites", [17, 24])
def test_projector_is_a_projector_and_commutes(n_sites):
    hamiltonian, operator, projector, _ = start(n_sites)
    pi = projector.matrix
    assert (projector.method, projector.rank) == ("spectral", n_sites)
    np.testing.assert_allclose(pi @ pi, pi, atol=1e-13)
    assert commutator(pi, operator) < 1e-13
    purified = band_projector(operator, hamiltonian, n_sites, method="purified")
    assert purified.method == "purified"
    np.testing.assert_allclose(purified.matrix, pi, atol=1e-10)


def test_every_band_of_three():
    n_sites, hamiltonian = 20, three_band_system(20)
    operator = quantize_hamiltonian(hamiltonian, n_sites)
    total = np.zeros_like(operator)
    for band in range(3):
        spectral = band_projector(operator, hamiltonian, n_sites, band, method="spectral")
        purified = band_projector(operator, hamiltonian, n_sites, band, method="purified")
        assert spectral.rank == n_sites
        np.testing.assert_allclose(purified.matrix, spectral.matrix, atol=1e-10)
        total += purified.matrix
    np.testing.assert_allclose(total, np.eye(3 * n_sites), atol=1e-10)
    outer = band_projector(operator, hamiltonian, n_sites, (0, 2))
    middle = band_projector(operator, hamiltonian, n_sites, 1)
    assert outer.method == "purified"
    np.testing.assert_allclose(outer.matrix + middle.matrix, np.eye(3 * n_sites), atol=1e-10)


def test_overlapping_bands_are_separated_up_to_tunnelling():
    norms = []
    for n_sites in (48, 96):
        hamiltonian = two_band_system(n_sites, potential=2.0)
        operator = quantize_hamiltonian(hamiltonian, n_sites)
        projector = band_projector(operator, hamiltonian, n_sites)
        assert (projector.method, projector.rank) == ("purified", n_sites)
        np.testing.assert_allclose(projector.basis.conj().T @ projector.basis, np.eye(n_sites), atol=1e-13)
        norms.append(projector.commutator_norm)
    assert norms[0] / norms[1] > 30  # far steeper than any power of the gradients that was cancelled
    assert norms[1] < 5e-6


def test_newton_step_gains_orders_in_gradients():
    sizes, norms = [24, 48, 96], []
    for n_sites in sizes:
        hamiltonian = two_band_system(n_sites)
        operator = quantize_hamiltonian(hamiltonian, n_sites)
        lattice = site_lattice(n_sites, hamiltonian.orbital_positions)
        local = projectors._local_bands(hamiltonian, lattice, (0,), 0.0)
        bases = [projectors._purified_basis(operator, local, steps) for steps in (0, 1)]
        norms.append([projectors._commutator_norm(operator, basis) for basis in bases])
    orders = -np.diff(np.log(norms), axis=0)[-1] / np.log(2)
    assert abs(orders[0] - 1) < 0.05
    assert orders[1] > 2.5


def test_chern_number_of_phase_space_changes_the_rank():
    n_sites = 24
    q = 2 * np.pi / n_sites

    def matrix(x, k, _t):
        X, K = q * x[0], k[0]
        h = dot_sigma(np.sin(X), np.sin(K), 1.0 - np.cos(X) - np.cos(K))
        return h.reshape(*h.shape[:-1], 2, 2)

    hamiltonian = Hamiltonian(matrix, 2, 1)
    operator = quantize_hamiltonian(hamiltonian, n_sites)
    projectors = [
        band_projector(operator, hamiltonian, n_sites, b, m) for b in (0, 1) for m in ("auto", "purified")
    ]
    assert [p.method for p in projectors] == ["spectral", "purified"] * 2
    np.testing.assert_allclose(projectors[0].matrix, projectors[1].matrix, atol=1e-10)
    assert {projectors[0].rank, projectors[2].rank} == {n_sites - 1, n_sites + 1}


# --- states ---


def test_thermal_state_is_the_fermi_function_in_the_band():
    _, operator, projector, _ = start(20)
    energies, states = np.linalg.eigh(operator)
    fermi = (states / (1 + np.exp((energies + 0.9) / 0.2))) @ states.conj().T
    rho = thermal_state(operator, projector, -0.9, 0.2)
    np.testing.assert_allclose(rho, fermi @ projector.matrix, atol=1e-13)
    np.testing.assert_allclose(thermal_state(operator, projector, 0.0, 0.0), projector.matrix, atol=1e-13)
    np.testing.assert_allclose(thermal_state(operator, projector, 0.0, 1e9), projector.matrix / 2, atol=1e-8)


def test_state_on_a_grid_equals_the_function():
    n_sites, grid = 20, grid_1d(20)
    hamiltonian, _, projector, rho = start(n_sites)
    values = occupation(n_sites)(*[z[None] for z in np.broadcast_arrays(*grid.coordinates)])
    sampled = state_from_symbol(projector, values, n_sites, hamiltonian.orbital_positions, grid)
    np.testing.assert_allclose(sampled, rho, atol=1e-12)
    np.testing.assert_allclose(projector.matrix @ rho, rho, atol=1e-12)


# --- evolution ---


def test_number_and_energy_are_conserved_and_the_measure_fits():
    hamiltonian, operator, _, rho = start(24)
    grid = grid_1d(24)
    for snapshot in run_liouville(hamiltonian, grid, rho, [0.0, 2.0, 24 / (2 * np.pi)]):
        f = snapshot.distribution
        assert snapshot.energy == pytest.approx(np.trace(rho @ operator).real, rel=1e-12)
        assert snapshot.particle_number == pytest.approx(np.trace(rho).real, rel=1e-13)
        assert grid.integrate(f) == pytest.approx(snapshot.particle_number, rel=1e-13)
        np.testing.assert_allclose(snapshot.density, grid.integrate_momenta(f), atol=1e-12)
        np.testing.assert_allclose(snapshot.momentum_distribution, grid.integrate_positions(f), atol=1e-11)


def test_static_evolution_solves_the_equation():
    _, operator, _, rho = start(16)
    h = 1e-3
    before, now, after = evolve_static(operator, rho, [1 - h, 1.0, 1 + h])
    rate = (after - before) / (2 * h)
    np.testing.assert_allclose(1j * rate, operator @ now - now @ operator, atol=1e-5)


@pytest.mark.parametrize("inside_one_band", [True, False])
def test_static_and_magnus_agree(inside_one_band):
    _, operator, _, rho = start(16)
    if not inside_one_band:
        rho = rho + np.diag(np.linspace(0, 1, 32)).astype(complex)
    exact = list(evolve_static(operator, rho, [1.0, 3.0], initial_time=0.5))
    for options in ({"time_step": 0.7}, {}):
        stepped = list(evolve_driven(lambda _t: operator, rho, [1.0, 3.0], 0.5, **options))
        np.testing.assert_allclose(stepped, exact, atol=1e-12)


def test_magnus_has_order_four():
    n_sites = 10
    hamiltonian, _, _, rho = start(n_sites, drive=0.3)

    def final(time_step):
        return next(
            evolve_driven(lambda t: quantize_hamiltonian(hamiltonian, n_sites, t), rho, [2.0], 0.0, time_step)
        )

    states = [final(2.0 / n) for n in (5, 10, 20, 80)]
    errors = [np.abs(state - states[-1]).max() for state in states[:-1]]
    np.testing.assert_allclose(np.log2(errors[0] / errors[1]), 4, atol=0.3)
    np.testing.assert_allclose(np.log2(errors[1] / errors[2]), 4, atol=0.15)
    np.testing.assert_allclose(np.linalg.eigvalsh(states[0]), np.linalg.eigvalsh(rho), atol=1e-12)
    automatic = next(evolve_driven(lambda t: quantize_hamiltonian(hamiltonian, n_sites, t), rho, [2.0], 0.0))
    np.testing.assert_allclose(automatic, states[-1], atol=max(1e-7, 2 * errors[-1]))


def wave_packet(n_sites):
    x = np.arange(n_sites)
    psi = np.exp(-((x - n_sites / 3) ** 2) / 18 + 0.8j * x)
    return psi / np.linalg.norm(psi)


@pytest.mark.parametrize("n_sites", [60, 61])
def test_free_spreading_against_wave_functions(n_sites):
    psi, k = wave_packet(n_sites), 2 * np.pi * np.fft.fftfreq(n_sites)
    grid = PhaseSpaceGrid((n_sites,), (64,), (float(n_sites),))
    times = [0.0, 3.0, 8.0]
    for t, snapshot in zip(
        times, run_liouville(one_band_chain(), grid, np.outer(psi, psi.conj()), times), strict=True
    ):
        moved = np.fft.ifft(np.exp(-1j * (-np.cos(k) + 0.3 * np.sin(2 * k)) * t) * np.fft.fft(psi))
        np.testing.assert_allclose(snapshot.density, np.abs(moved) ** 2, atol=1e-13)


def test_uniform_force_against_wave_functions():
    n_sites, force, t = 60, 0.37, 5.0
    psi, k = wave_packet(n_sites), 2 * np.pi * np.fft.fftfreq(n_sites)
    grid = PhaseSpaceGrid((n_sites,), (64,), (float(n_sites),))
    action = (np.sin(k - force * t) - np.sin(k)) / force
    action += 0.3 * (np.cos(2 * (k - force * t)) - np.cos(2 * k)) / (2 * force)
    moved = np.fft.ifft(np.exp(-1j * action) * np.fft.fft(psi))
    hamiltonian = one_band_chain(time_dependent=True, force=force)
    (snapshot,) = run_liouville(hamiltonian, grid, np.outer(psi, psi.conj()), [t], tolerance=1e-9)
    np.testing.assert_allclose(snapshot.density, np.abs(moved) ** 2, atol=1e-8)


def test_a_wave_packet_moves_with_the_group_velocity():
    # Fixes the sign of time: <x> = x_0 + E'(k) t.
    n_sites = 60
    psi = wave_packet(n_sites)
    grid = PhaseSpaceGrid((n_sites,), (64,), (float(n_sites),))
    first, last = run_liouville(one_band_chain(), grid, np.outer(psi, psi.conj()), [0.0, 10.0])
    path = (last.density - first.density) @ grid.axis_points[0]
    velocity = (
        first.momentum_distribution
        @ (np.sin(grid.axis_points[1]) + 0.6 * np.cos(2 * grid.axis_points[1]))
        / 64
    )
    assert path == pytest.approx(10 * velocity, rel=1e-6)


@pytest.mark.parametrize("banded", [True, False])
def test_exponential_action_against_expm(banded):
    n_sites = 40
    operator = quantize_hamiltonian(two_band_system(n_sites), n_sites) + 0.7 * np.eye(2 * n_sites)
    if not banded:
        operator = operator + np.cos(np.add.outer(np.arange(80), np.arange(80))) / 10
    orbitals = np.eye(2 * n_sites, 5, dtype=complex)
    expected = scipy.linalg.expm(-3j * operator) @ orbitals
    np.testing.assert_allclose(evolution._exponential_action(operator, orbitals, 3.0), expected, atol=1e-12)


def test_two_dimensional_torus():
    sites, grid = (7, 8), PhaseSpaceGrid((10, 10), (10, 10), (7.0, 8.0))

    def matrix(x, k, _t):
        X, Y = 2 * np.pi * x[0] / 7, 2 * np.pi * x[1] / 8
        h = dot_sigma(np.sin(k[0]), np.sin(k[1]), 3.0 - np.cos(k[0]) - np.cos(k[1]) + 0.1 * np.sin(X + Y))
        return h.reshape(*h.shape[:-1], 2, 2) + 0.2 * np.cos(X)[..., None, None] * np.eye(2)

    hamiltonian = Hamiltonian(matrix, 2, 2)
    operator = quantize_hamiltonian(hamiltonian, sites)
    spectral, purified = (
        band_projector(operator, hamiltonian, sites, 0, m) for m in ("spectral", "purified")
    )
    assert spectral.rank == 56
    np.testing.assert_allclose(purified.matrix, spectral.matrix, atol=1e-10)
    rho = state_from_symbol(
        spectral, lambda x, k: 1 + 0.5 * np.cos(2 * np.pi * x[1] / 8 - k[0]), sites, np.zeros((2, 2))
    )
    before, after = run_liouville(hamiltonian, grid, rho, [0.0, 2.0])
    for snapshot in (before, after):
        assert grid.integrate(snapshot.distribution) == pytest.approx(np.trace(rho).real, rel=1e-12)
        assert snapshot.energy == pytest.approx(before.energy, rel=1e-12)
        np.testing.assert_allclose(
            snapshot.density, grid.integrate_momenta(snapshot.distribution), atol=1e-12
        )
    assert np.abs(after.density - before.density).max() > 1e-3


# --- errors ---


def touching_bands():
    def matrix(x, k, _t):
        h = dot_sigma(np.cos(k[0]) + 0 * x[0], np.sin(k[0]) * np.sin(x[0]), 0 * x[0])
        return h.reshape(*h.shape[:-1], 2, 2)

    return Hamiltonian(matrix, 2, 1)


def test_bad_input_gets_a_sentence():
    hamiltonian = two_band_system(12, potential=3.0)
    operator = quantize_hamiltonian(hamiltonian, 12)
    with pytest.raises(CaseError, match="more than 4000: use fewer sites"):
        quantize_hamiltonian(hamiltonian, 2001)
    skew = Hamiltonian(
        lambda x, k, t: np.broadcast_to(np.triu(np.ones((2, 2))), (*x[0].shape, 2, 2)), 2, 1, name="skew"
    )
    with pytest.raises(CaseError, match="'skew' is not Hermitian"):
        quantize_hamiltonian(skew, 12)
    with pytest.raises(CaseError, match="no global gap"):
        band_projector(operator, hamiltonian, 12, method="spectral")
    with pytest.raises(CaseError, match="from 0 to 1"):
        band_projector(operator, hamiltonian, 12, bands=2)
    with pytest.raises(BandTouchingError, match="touch another band at"):
        band_projector(operator, touching_bands(), 12)
    with pytest.raises(CaseError, match="must increase"):
        next(evolve_driven(lambda _t: operator, operator, [-1.0]))
    with pytest.raises(CaseError, match="time step must be positive"):
        next(evolve_driven(lambda _t: operator, operator, [1.0], time_step=0.0))
    with pytest.raises(CaseError, match="temperature must not be negative"):
        thermal_state(operator, band_projector(operator, hamiltonian, 12, (0, 1)), 0.0, -1.0)
