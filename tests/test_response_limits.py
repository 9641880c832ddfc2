"""Linear response in limits that are known from elsewhere: Lindhard at small q, Drude, polarizability.

Every reference is a sum over states, evaluated here at the finite wavenumber itself.
"""

from dataclasses import replace

import numpy as np
import pytest
from systems import System, grid_of, named, slope

from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.kinetics.equilibrium import equilibrium_density, fermi_function
from wigner_sim.models.hamiltonian import separable_hamiltonian
from wigner_sim.models.matrices import pauli_combination
from wigner_sim.observables import BandState, density

N_K = 96
WEAK = 1e-4


def bloch(k):
    """Two bands without inversion symmetry."""
    d1, d2 = 0.9 + 0.4 * np.cos(k[0]), 0.4 * np.sin(k[0])
    return pauli_combination(d1, d2, 0.5 + 0.2 * np.sin(k[0]), 0.3 * np.cos(k[0]) + 0.1 * np.sin(k[0]))


def crystal(length, band):
    """In a weak potential cos(q x), q = 2 pi/length."""
    hamiltonian = separable_hamiltonian(bloch, lambda x, t: WEAK * np.cos(2 * np.pi * x[0] / length), 2, 1)
    return System(hamiltonian, grid_of((length,), 16, N_K, 1), band)


def eigenstates(q):
    """Energies and vectors at k - q/2 and k + q/2."""
    k = -np.pi + 2 * np.pi * np.arange(N_K) / N_K
    return [np.linalg.eigh(bloch((k + shift)[None])) for shift in (-q / 2, q / 2)]


def response(found):
    """Coefficient of cos(q x) in the density, divided by that of the potential."""
    n_x = len(found)
    return 2 * np.mean(found * np.cos(2 * np.pi * np.arange(n_x) / n_x)) / WEAK


# --- static susceptibility ---


def lindhard(q, mu, temperature):
    """chi(q) = sum_mn int dk/2pi |<m, k+q/2|n, k-q/2>|^2 (n_F(E_n) - n_F(E_m))/(E_n - E_m), both bands."""
    (e_left, u_left), (e_right, u_right) = eigenstates(q)
    total = 0.0
    for n in range(2):
        for m in range(2):
            overlap = np.abs(np.einsum("ko,ko->k", u_right[..., m].conj(), u_left[..., n])) ** 2
            e_n, e_m = e_left[:, n], e_right[:, m]
            gap = e_n - e_m
            middle, small = 0.5 * (e_n + e_m), np.abs(gap) < 1e-6
            p = fermi_function(middle, mu, temperature)
            ratio = np.where(
                small,
                -p * (1 - p) / temperature,
                (fermi_function(e_n, mu, temperature) - fermi_function(e_m, mu, temperature))
                / np.where(small, 1, gap),
            )
            total += np.mean(overlap * ratio)
    return total


def thermal_response(length, order, mu, temperature):
    total = 0.0
    for band in (0, 1):
        effective = crystal(length, band).effective(order)
        w = equilibrium_density(effective, mu, temperature)
        total = total + density(BandState(effective, w))
    return response(total)


@pytest.mark.parametrize(("mu", "temperature"), [(-1.0, 0.3), (0.2, 0.5), (1.1, 0.4)])
def test_static_susceptibility_of_a_metal(mu, temperature):
    """Both bands in equilibrium: -dn/dmu at q = 0, and the q^2 term of Lindhard's function at order 2."""
    lengths = (24.0, 36.0, 54.0)
    errors = {order: [] for order in (0, 2)}
    for length in lengths:
        exact = lindhard(2 * np.pi / length, mu, temperature)
        for order, fall in errors.items():
            fall.append(abs(thermal_response(length, order, mu, temperature) - exact))
    assert abs(lindhard(0.2, mu, temperature)) > 0.05
    assert slope(lengths, errors[0]) == pytest.approx(2, abs=0.25), errors
    assert slope(lengths, errors[2]) == pytest.approx(4, abs=0.3), errors


@pytest.mark.parametrize("band", [0, 1])
def test_polarizability_of_an_insulator(band):
    """A filled band: delta n = d_x(<T> d_x U), the interband part of Lindhard's function at small q."""
    lengths, errors = (24.0, 36.0, 54.0), []
    for length in lengths:
        q = 2 * np.pi / length
        (e_left, u_left), (e_right, u_right) = eigenstates(q)
        n, m = band, 1 - band
        up, down = (
            np.abs(np.einsum("ko,ko->k", a[..., m].conj(), b[..., n])) ** 2
            for a, b in ((u_right, u_left), (u_left, u_right))
        )
        one, two = up / (e_left[:, n] - e_right[:, m]), down / (e_right[:, n] - e_left[:, m])
        exact = np.mean(one + two)
        effective = crystal(length, band).effective(2)
        filled = density(BandState(effective, effective.density_of_states))
        found = response(filled)
        errors.append(abs(found - exact))
        assert found == pytest.approx(exact, rel=0.1)
        assert np.sign(exact) == (-1 if band == 0 else 1)
    assert slope(lengths, errors) == pytest.approx(4, abs=0.2), errors


# --- uniform fields ---


def test_drude_weight():
    """A uniform force accelerates the current of a state at the rate F int f d^2E/dk^2."""
    force = 0.02
    system = named("cosine_band", {"t1": 0.5, "t2": 0.1}, None, (24.0,), 4, 48)
    system = replace(system, hamiltonian=replace(system.hamiltonian, force=lambda t: np.array([force])))
    k = system.grid.coordinates[1]
    w = np.broadcast_to(np.exp(np.cos(k - 0.7)), system.grid.shape)
    velocity = phase_space_velocity(system.effective(2))[0]
    rate = (system.evolution(2).rhs(w, 0.0) * velocity).mean()
    curvature = np.cos(k) + 0.8 * np.cos(2 * k)
    assert rate == pytest.approx(force * (w * curvature).mean(), rel=1e-10)


def test_anomalous_drift_of_a_packet():
    """dx/dt - dE/dk_x = Omega_xy F_y for every k (Omega in the sign of docs/theory.md)."""
    force, n_k = 0.03, 48
    system = named("qi_wu_zhang", {"mass": -1.5}, None, (24.0,), 4, n_k, d=2)
    pushed = replace(system, hamiltonian=replace(system.hamiltonian, force=lambda t: np.array([0.0, force])))
    still, moving = (phase_space_velocity(each.effective(1))[0, 0] for each in (system, pushed))
    k = np.stack(np.meshgrid(*(2 * [-np.pi + 2 * np.pi * np.arange(n_k) / n_k]), indexing="ij"))
    mass = -1.5 + np.cos(k).sum(axis=0)
    d = np.stack([np.sin(k[0]), np.sin(k[1]), mass])
    d_x = np.stack([np.cos(k[0]), 0 * k[0], -np.sin(k[0])])
    d_y = np.stack([0 * k[0], np.cos(k[1]), -np.sin(k[1])])
    # for the lower band -i tr P[d_x P, d_y P] = -n.(d_x n x d_y n)/2 with n = -d/|d|
    omega = 0.5 * (d * np.cross(d_x, d_y, axis=0)).sum(axis=0) / (d**2).sum(axis=0) ** 1.5
    ratio = (moving - still) / force
    np.testing.assert_allclose(ratio, np.sign((ratio * omega).mean()) * omega, atol=1e-5)
    np.testing.assert_allclose(ratio, system.effective(1).curvature[0][1, 2, 0], atol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_no_current_in_equilibrium(order):
    """A static thermal state carries no net current, although no band is symmetric under k -> -k."""
    effective = crystal(24.0, 0).effective(order)
    w = equilibrium_density(effective, -1.0, 0.4)
    velocity = phase_space_velocity(effective)[0]
    assert abs((velocity * w).mean()) < 1e-7 * np.abs(velocity * w).mean()
