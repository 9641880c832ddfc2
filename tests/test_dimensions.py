"""Missing position axes, three dimensions, lattices that are not orthogonal, filled Hall bands."""

from dataclasses import replace

import numpy as np
import pytest
from systems import System, convergence, grid_of, named, relative

from wigner_sim.errors import CaseError
from wigner_sim.geometry import berry_curvature, quantum_metric
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.liouville import exact_system
from wigner_sim.models.hamiltonian import Hamiltonian, separable_hamiltonian
from wigner_sim.models.matrices import pauli_combination
from wigner_sim.models.planar import haldane
from wigner_sim.projector import LocalBands
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS

PLANE = {"mass": 1.8, "velocity": 0.3, "wilson": 0.05}


def flux_tensor(b_x, b_y, b_z):
    return np.array([[0.0, b_z, -b_y], [-b_z, 0.0, b_x], [b_y, -b_x, 0.0]])


def advance(system, w, time, dt=0.1, order=2):
    return Propagator(system.evolution(order), STEPPERS["rk4"], w, dt).advance_to(time)


# --- the same crystal with more axes ---


def plane_without_y_dependence(s, flux=0.0):
    potential = "0.3*cos(2*pi*x/Lx)" if s else None
    return named("massive_dirac", PLANE, potential, (24.0, 12.0)[:s], 12, 16, d=2, flux=flux)


@pytest.mark.parametrize("flux", [0.0, 0.15])
def test_a_missing_axis_is_an_axis_without_dependence(flux):
    """f(x; kx, ky) stepped as f(x, y; kx, ky) that does not depend on y."""
    stripe, plane = (plane_without_y_dependence(s, flux) for s in (1, 2))
    x, kx, ky = stripe.grid.coordinates
    w = np.exp(0.5 * np.cos(2 * np.pi * x / 24) + 0.5 * np.cos(kx - 1) + 0.3 * np.sin(ky))
    wide = np.broadcast_to(w[:, None], plane.grid.shape).copy()
    for order in (0, 1, 2):
        narrow = stripe.evolution(order).rhs(w, 0.0)
        found = plane.evolution(order).rhs(wide, 0.0)
        assert relative(found - narrow[:, None], narrow) < 1e-11, order


def test_three_dimensions_hold_the_plane():
    """H without k_z in three dimensions and B along z: every k_z slice is the plane."""
    b = 0.15
    plane = plane_without_y_dependence(1, b)
    matrix = plane.hamiltonian.matrix
    space = System(
        Hamiltonian(lambda x, k, t: matrix(x, k[:2], t), 2, 3),
        PhaseSpaceGrid((12,), (16, 16, 4), (24.0,), flux_tensor(0.0, 0.0, b)),
    )
    x, kx, ky = plane.grid.coordinates
    w = np.exp(0.5 * np.cos(2 * np.pi * x / 24) + 0.5 * np.cos(kx - 1) + 0.3 * np.sin(ky))
    thick = np.repeat(w[..., None], 4, axis=-1)
    for order in (1, 2):
        flat = plane.evolution(order).rhs(w, 0.0)
        found = space.evolution(order).rhs(thick, 0.0)
        # one by sums of products, the other by the general expansion
        assert relative(found - flat[..., None], flat) < 1e-5
        assert np.ptp(found, axis=-1).max() < 1e-12


def test_axes_of_space_may_be_renamed():
    """k_y <-> k_z with B mirrored: the same physics through other components of every tensor."""

    def bloch(k):
        d1, d2 = 0.25 * np.sin(k[0]) + 0.1 * np.cos(k[2]), 0.25 * np.sin(k[1])
        return pauli_combination(d1, d2, 1.6 - 0.1 * np.cos(k).sum(axis=0), 0.2 * np.cos(k[0] + k[1]))

    def crystal(swapped):
        order = [0, 2, 1] if swapped else [0, 1, 2]
        hamiltonian = separable_hamiltonian(
            lambda k: bloch(k[order]), lambda x, t: 0.3 * np.cos(2 * np.pi * x[0] / 24), 2, 3
        )
        b = np.array([0.0, 0.08, -0.12])
        flux = flux_tensor(*b)[np.ix_(order, order)]
        return System(hamiltonian, PhaseSpaceGrid((8,), (10, 10, 10), (24.0,), flux))

    one, other = crystal(False), crystal(True)
    x, kx, ky, kz = one.grid.coordinates
    w = np.exp(
        0.3 * np.cos(2 * np.pi * x / 24) + 0.3 * np.cos(kx - 1) + 0.3 * np.sin(ky) + 0.2 * np.cos(kz - 2)
    )
    found = other.evolution(2).rhs(np.ascontiguousarray(np.swapaxes(w, 2, 3)), 0.0)
    expected = one.evolution(2).rhs(w, 0.0)
    assert relative(np.swapaxes(found, 2, 3) - expected, expected) < 1e-11


def test_number_is_conserved_in_every_dimension():
    for s, d in [(0, 1), (1, 1), (0, 2), (1, 2), (2, 2), (0, 3), (1, 3)]:
        sites = (12.0,) * s
        potential = "0.2*cos(2*pi*x/Lx)" if s else None
        model, parameters = (
            ("cosine_band", {"t1": 0.3}) if d == 3 else ("massive_dirac", PLANE if d == 2 else {})
        )
        system = named(model, parameters, potential, sites, 8, 10, d=d, flux=0.1 if d == 2 else 0.0)
        w = system.evolution(2).effective().faces.density_from_occupation(system.occupation())
        rate = system.evolution(2).rhs(w, 0.0)
        assert abs(rate.sum()) < 1e-11 * np.abs(w).sum(), (s, d)


# --- no position axis ---


def test_homogeneous_states_move_with_force_and_field_only():
    """s = 0: without B, f(k - int F dt) to rounding, whatever the bands; one matrix per k agrees."""
    force = np.array([0.11, -0.07])
    system = named("qi_wu_zhang", {"mass": -1.3}, None, (), 4, 32, d=2)
    pushed = replace(system, hamiltonian=replace(system.hamiltonian, force=lambda t: force))
    kx, ky = system.grid.momenta
    w = np.exp(0.5 * np.cos(kx - 0.3) + 0.4 * np.sin(ky))
    still = advance(system, w, 3.0)
    np.testing.assert_allclose(still, w, atol=1e-14)
    moved = advance(pushed, w, 3.0, 0.02)
    expected = np.exp(0.5 * np.cos(kx - 3 * force[0] - 0.3) + 0.4 * np.sin(ky - 3 * force[1]))
    np.testing.assert_allclose(moved, expected, atol=1e-8)
    exact = exact_system(system.hamiltonian, system.grid)
    state = exact.band_state_from_symbol(
        0, lambda x, k: np.exp(0.5 * np.cos(k[0] - 0.3) + 0.4 * np.sin(k[1]))
    )
    (snapshot,) = exact.evolve(state, [3.0])
    np.testing.assert_allclose(snapshot.distribution, still, atol=1e-12)


def test_a_homogeneous_state_turns_in_a_field():
    """s = 0 with B equals the stripe at a state uniform in x, second order included."""
    homogeneous, stripe = (
        named("qi_wu_zhang", {"mass": -1.5}, None, (24.0,) * s, 4, 24, d=2, flux=0.1) for s in (0, 1)
    )
    kx, ky = homogeneous.grid.momenta
    w = np.exp(0.5 * np.cos(kx - 0.3) + 0.4 * np.sin(ky))
    one = advance(homogeneous, w, 3.0)
    other = advance(stripe, np.broadcast_to(w, stripe.grid.shape).copy(), 3.0)
    np.testing.assert_allclose(other, np.broadcast_to(one, other.shape), atol=1e-11)
    assert relative(one - w, w) > 0.01


def test_a_field_needs_a_closed_flux_in_the_exact_partner():
    hamiltonian = named("qi_wu_zhang", {}, None, (24.0,), 8, 8, d=2).hamiltonian
    with pytest.raises(CaseError, match="flux"):
        exact_system(hamiltonian, grid_of((24.0,), 8, 8, 2, flux=0.123))


# --- lattices ---


def gapped(k):
    """Haldane's model with a gap wide enough for every part of its geometry to be resolved."""
    return haldane(k, t1=0.4, t2=0.1, mass=1.5)


def sheared(k):
    """The same with lattice vectors (a_1, a_1 + a_2) in place of (a_1, a_2)."""
    return gapped(np.stack([k[0], k[1] - k[0]]))


def shifted_positions(bloch, positions):
    """From cell-periodic to position convention."""
    tau = np.asarray(positions)

    def with_phases(k):
        phase = np.exp(-1j * np.einsum("oi,i...->...o", tau, k))
        return phase[..., :, None] * bloch(k) * phase[..., None, :].conj()

    return with_phases


def honeycomb(basis, n_k=64, flux=0.12):
    """The same honeycomb crystal in two reduced coordinate systems; B sits at (a_1 + a_2)/3."""
    tau = np.array([[0.0, 0.0], [1 / 3, 1 / 3]] if basis == "given" else [[0.0, 0.0], [0.0, 1 / 3]])
    function = gapped if basis == "given" else sheared
    hamiltonian = separable_hamiltonian(
        shifted_positions(function, tau), lambda x, t: np.zeros(x.shape[1:]), 2, 2, orbital_positions=tau
    )
    return System(hamiltonian, grid_of((), 4, n_k, 2, flux))


def to_sheared(values, n_k=64):
    """values(k1, k2) on the grid of k1, k2 + k1."""
    index = np.arange(n_k) - n_k // 2
    out = np.empty_like(values)
    for i, k1 in enumerate(index):
        out[i] = np.roll(values[i], k1)
    return out


def test_any_reduced_coordinates_give_the_same_band():
    """D and h_w are scalars, gap and flux too: lattice vectors (a_1, a_2) against (a_1, a_1 + a_2)."""
    one, other = honeycomb("given").effective(2), honeycomb("sheared").effective(2)
    scalars = [[*band.energy, band.density_of_states] for band in (one, other)]
    for a, b in zip(*scalars, strict=True):
        np.testing.assert_allclose(to_sheared(a), b, atol=1e-5 * np.ptp(b))
    assert np.abs(one.energy[1]).max() > 1e-3
    assert np.abs(one.energy[2]).max() > 1e-5
    omega, omega_sheared = (band.curvature[0][0, 1] for band in (one, other))
    np.testing.assert_allclose(to_sheared(omega), omega_sheared, atol=1e-5)


def test_real_orbital_positions_make_the_metric_of_the_honeycomb_isotropic():
    """C3 makes the Cartesian metric, averaged over k, a multiple of 1: for the real positions alone."""
    vectors, metrics = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]]), {}
    for where, tau in {"real": [[0, 0], [1 / 3, 1 / 3]], "one place": [[0, 0], [0, 0]]}.items():
        system = named("haldane", {"orbital_positions": tau}, None, (), 4, 48, d=2)
        g = quantum_metric(system.space.symbol(to_projector(system))).mean(axis=(2, 3))
        metrics[where] = vectors.T @ g @ vectors
    real, wrong = metrics["real"], metrics["one place"]
    np.testing.assert_allclose(real, np.trace(real) / 2 * np.eye(2), atol=1e-4)
    assert np.abs(wrong - np.trace(wrong) / 2 * np.eye(2)).max() > 1e-2


def to_projector(system):
    return LocalBands.of(system.symbol().values).projector(range(system.band, system.band + 1))


# --- Hall response of filled bands ---

CHERN = [
    ("qi_wu_zhang", {}, 1),
    ("qi_wu_zhang", {"mass": 1.0}, 1),
    ("haldane", {}, 1),
    ("massive_dirac", {"mass": 1.0}, 0),
]


@pytest.mark.parametrize("band", [0, 1])
@pytest.mark.parametrize(("model", "parameters", "magnitude"), CHERN)
def test_hall_conductivity_of_a_filled_band(model, parameters, magnitude, band):
    """j_x = (C/2 pi) F_y, j_y = -(C/2 pi) F_x to 1e-6, at first and at second order."""
    system = named(model, parameters, None, (8.0, 8.0), 4, 64, d=2, band=band)
    symbol = System(system.hamiltonian, grid_of((), 4, 64, 2), band)
    omega = berry_curvature(symbol.space.symbol(to_projector(symbol)))[0, 1]
    chern = round(float(omega.mean()) * 2 * np.pi)
    assert abs(chern) == magnitude
    for order in (1, 2):
        for force, current in [((0.0, 0.05), (chern, 0)), ((0.05, 0.0), (0, -chern))]:
            pushed = replace(
                system, hamiltonian=replace(system.hamiltonian, force=lambda t, f=force: np.array(f))
            )
            effective = pushed.effective(order)
            flow = phase_space_velocity(effective)[:2] * effective.density_of_states
            sigma = flow.mean(axis=(1, 2, 3, 4)) / 0.05
            np.testing.assert_allclose(sigma * 2 * np.pi, current, atol=1e-6)


def test_filled_bands_together_carry_no_current():
    """Chern numbers of all bands add up to zero."""
    total = 0.0
    for band in (0, 1):
        symbol = System(
            named("qi_wu_zhang", {}, None, (), 4, 48, d=2).hamiltonian, grid_of((), 4, 48, 2), band
        )
        total = total + berry_curvature(symbol.space.symbol(to_projector(symbol)))[0, 1]
    np.testing.assert_allclose(total, 0, atol=1e-12)


# --- slopes in three dimensions ---


@pytest.mark.slow
def test_slopes_in_three_dimensions():
    """(x; kx, ky, kz) with B in both planes that contain x."""

    def matrix(x, k, t):
        angle = 2 * np.pi * x[0] / 16
        d1 = 0.3 * np.sin(k[0]) + 0.15 * np.sin(angle)
        d2 = 0.3 * np.sin(k[1]) + 0.15 * np.cos(angle) + 0.1 * np.sin(k[2])
        d3 = 1.6 + 0.2 * np.sin(angle) - 0.15 * np.cos(k).sum(axis=0)
        return pauli_combination(d1, d2, d3, 0.4 * np.cos(angle))

    b = 2 * np.pi / 16
    grid = PhaseSpaceGrid((12,), (16, 12, 12), (16.0,), flux_tensor(0.0, -b, b))
    system = System(Hamiltonian(matrix, 2, 3), grid)
    measured = convergence(system.problem(2.0), (1.0, 1.5), (1, 2))
    for order, (_, slopes) in measured.items():
        assert slopes["f_max"] == pytest.approx(order + 1, abs=0.4), order
