"""Uniform electric force: Bloch oscillations, AC drives, and slopes against exact dynamics."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from systems import convergence, gentle_texture, named, relative, separable_plane, texture

from wigner_sim.kinetics import effective_band
from wigner_sim.kinetics.band_sources import GeneralBand, ProductBandSource
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.models.hamiltonian import separable_hamiltonian
from wigner_sim.models.moving_frame import in_moving_frame, momentum_gain
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS


def under_force(system, force, varies=False):
    return replace(system, hamiltonian=replace(system.hamiltonian, force=force, force_varies=varies))


def constant(*force):
    return lambda t: np.array(force)


# --- oscillations ---


def packet(grid):
    x, k = grid.coordinates
    return np.exp(-((x - grid.lengths[0] / 2) ** 2) / 12 + 2 * np.cos(k - 0.6))


def mean_position(w, grid):
    x = grid.coordinates[0]
    return float((w * x).sum() / w.sum())


def test_bloch_oscillation_over_ten_periods():
    """<x>(t) = <x>(0) + <E(k + F t) - E(k)>/F, and the k profile returns after each period."""
    force, t1 = 0.2, 0.2
    system = under_force(named("cosine_band", {"t1": t1}, None, (48,), 48, 32), constant(force))
    w, period = packet(system.grid), 2 * np.pi / force
    k, weight = system.grid.axis_points[1], w.sum(axis=0) / w.sum()
    propagator = Propagator(system.evolution(2, split=True), STEPPERS["blanes_moan4"], w, period / 240)
    swing = 0.0
    for time in (0.3 * period, 0.5 * period, period, 9.7 * period, 10 * period):
        moved = mean_position(propagator.advance_to(time), system.grid) - mean_position(w, system.grid)
        expected = float((weight * 2 * t1 * (np.cos(k) - np.cos(k + force * time))).sum()) / force
        assert moved == pytest.approx(expected, abs=2e-10)
        swing = max(swing, abs(expected))
    assert swing > 2.0  # lattice constants
    assert relative(propagator.w.sum(axis=0) - w.sum(axis=0), w.sum(axis=0)) < 1e-11


@pytest.mark.parametrize("amplitude", [1.0, 0.9 * 2.404825557695773])
def test_alternating_drive_localizes(amplitude):
    """Under F cos(wt) <v> = <v(k + (F/w) sin wt)>: at a zero of J_0(F/w) a packet stays on average."""
    t1, omega = 0.2, 0.9
    drive = lambda t: np.array([amplitude * np.cos(omega * t)])  # noqa: E731
    system = under_force(named("cosine_band", {"t1": t1}, None, (48,), 48, 32), drive, True)
    w, end = packet(system.grid), 2 * 2 * np.pi / omega
    k, weight = system.grid.axis_points[1], w.sum(axis=0) / w.sum()
    propagator = Propagator(system.evolution(2, split=True), STEPPERS["blanes_moan4"], w, 0.1)
    moved = mean_position(propagator.advance_to(end), system.grid) - mean_position(w, system.grid)

    def speed(t):
        return float((weight * 2 * t1 * np.sin(k + amplitude / omega * np.sin(omega * t))).sum())

    assert moved == pytest.approx(quad(speed, 0, end, epsabs=1e-11, limit=400)[0], abs=1e-6)
    assert abs(moved) < 1e-6 if amplitude > 2 else abs(moved) > 1.0


def test_second_order_in_a_constant_force():
    """A band in a uniform force moves as one of energy E + T F^2/2 (docs/theory.md section 6)."""
    force = 0.15
    parameters = {"t1": 0.9, "t2": 0.3, "delta": 0.6, "orbital_positions": [0.0, 0.5]}
    system = under_force(named("rice_mele", parameters, None, (24.0,), 4, 64), constant(force))
    band = system.effective(2)
    k = system.grid.axis_points[1]
    h = 0.9**2 + 0.3**2 + 0.6**2 + 2 * 0.9 * 0.3 * np.cos(k)
    energy = -np.sqrt(h)
    u_k = system.hamiltonian.bloch
    step = 1e-4
    d_h = (u_k(np.array([k + step])) - u_k(np.array([k - step]))) / (2 * step)
    _, u = np.linalg.eigh(u_k(np.array([k])))
    between = np.abs(np.einsum("ko,kop,kp->k", u[..., 1].conj(), d_h, u[..., 0])) ** 2
    shifted = energy + 0.5 * (2 * between / (-2 * energy) ** 3) * force**2
    np.testing.assert_allclose(band.total_energy_symbol[0], shifted, atol=1e-9)
    slope = np.fft.ifft(1j * np.fft.fftfreq(64, 1 / 64) * np.fft.fft(shifted)).real
    velocity = phase_space_velocity(band)
    np.testing.assert_allclose(velocity[0, 0], slope, atol=1e-8)
    np.testing.assert_allclose(velocity[1], force, atol=1e-13)
    assert np.abs(shifted - energy).max() > 1e-4


# --- routes ---


@pytest.mark.parametrize("flux", [0.0, 0.1])
def test_force_drive_and_field_together_by_two_routes(flux):
    """Potential and force that change in time, in a field: sums of products against the general expansion."""
    base = separable_plane(1, n_x=12, n_k=32, flux=flux)
    bloch = base.hamiltonian.bloch

    def potential(x, t):
        return (0.3 + 0.1 * np.sin(0.2 * t)) * np.cos(2 * np.pi * x[0] / 24 - 0.1 * t)

    hamiltonian = separable_hamiltonian(bloch, potential, 2, 2, time_dependent=True)
    force = lambda t: np.array([0.05 + 0.02 * np.sin(0.3 * t), -0.04 * np.cos(0.2 * t)])  # noqa: E731
    system = under_force(replace(base, hamiltonian=hamiltonian), force, True)
    ours, theirs = (
        system.by(route, 2, 1.7, difference_step=2e-3) for route in (ProductBandSource, GeneralBand)
    )
    found, expected = phase_space_velocity(ours), phase_space_velocity(theirs)
    assert relative(found - expected, expected) < 1e-6
    for a, b in zip(ours.energy, theirs.energy, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    still = phase_space_velocity(replace(ours, rate_curvature=None))
    assert np.abs(still - expected).max() > 1e-4


def test_moving_frame_is_the_same_crystal():
    """H(x, p + K(t)) with K = int F dt, also of a force with a closed integral and of a plane."""
    system = under_force(separable_plane(1, n_x=8, n_k=8), lambda t: np.array([0.1 * np.cos(t), 0.2]), True)
    gain = momentum_gain(system.hamiltonian)
    for t in (0.0, 0.7, 5.0, 0.7):
        np.testing.assert_allclose(gain(t), [0.1 * np.sin(t), 0.2 * t], atol=1e-11)
    x, k = np.zeros((1, 5)), np.linspace(0, 1, 10).reshape(2, 5)
    moving = in_moving_frame(system.hamiltonian)
    shifted = k + np.array([0.1 * np.sin(0.7), 0.14])[:, None]
    np.testing.assert_allclose(
        moving.matrix(x, k, 0.7), system.hamiltonian.matrix(x, shifted, 0.7), atol=1e-11
    )
    assert moving.force is None
    assert moving.driven


# --- slopes ---


def ramped(duration, *force):
    """Rises as sin^4, so that the exact state can follow the dressed band from the start."""
    return lambda t: np.array(force) * np.sin(np.pi * t / (2 * duration)) ** 4


def slopes_of(system, duration, dilations, orders=(0, 1, 2)):
    measured = convergence(system.problem(duration), dilations, orders)
    return {order: slopes["f_max"] for order, (_, slopes) in measured.items()}


@pytest.mark.slow
def test_slopes_under_a_ramped_force():
    system = under_force(gentle_texture(12, 32), ramped(4.0, 0.15), True)
    for order, found in slopes_of(system, 4.0, (1.5, 2.0)).items():
        assert found == pytest.approx(order + 1, abs=0.4), order


def test_the_force_belongs_to_the_rate_of_the_projector(monkeypatch):
    """With d_t alone in place of D_t = d_t + F.d_k the slope at second order is lost."""
    original = effective_band._convective_derivative

    def without_force(drive, t, values, j, space):
        return original(replace(drive, force_at=lambda t: np.zeros(1)), t, values, j, space)

    monkeypatch.setattr(effective_band, "_convective_derivative", without_force)
    system = under_force(gentle_texture(12, 32), ramped(4.0, 0.15), True)
    assert slopes_of(system, 4.0, (1.5, 2.0), (2,))[2] < 1.8


@pytest.mark.slow
def test_slopes_under_an_alternating_force():
    """A force that swings through zero, switched on smoothly, on a texture."""
    duration = 8.0
    force = lambda t: np.array([0.1 * np.sin(np.pi * t / 16) ** 4 * np.cos(0.8 * t)])  # noqa: E731
    system = under_force(texture(24, 48), force, True)
    for order, found in slopes_of(system, duration, (2.0, 3.0)).items():
        assert found == pytest.approx(order + 1, abs=0.35), order


@pytest.mark.slow
def test_slopes_under_a_force_across_a_plane():
    """Both components of the force, also along the axis without positions, and a field."""
    system = separable_plane(1, n_x=16, n_k=16, flux=2 * np.pi / 24)
    system = under_force(system, ramped(4.0, 0.06, -0.05), True)
    for order, found in slopes_of(system, 4.0, (1.0, 1.5), (0, 1, 2)).items():
        assert found == pytest.approx(order + 1, abs=0.4), order
