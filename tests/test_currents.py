"""Currents: continuity to rounding, exact dynamics, sum rules, and what breaks them."""

import numpy as np
import pytest
from systems import (
    gentle_texture,
    grid_of,
    named,
    ramped_texture,
    references,
    separable_chain,
    separable_plane,
    slope,
    texture,
    textured_plane,
    three_orbitals,
)

from wigner_sim.kinetics.effective_band import central_difference
from wigner_sim.liouville import exact_system
from wigner_sim.models import build_hamiltonian
from wigner_sim.observables import OBSERVABLES, BandFlows, BandState, currents, measure
from wigner_sim.observables.flow_geometry import PARTS
from wigner_sim.observables.fluxes import position_derivative
from wigner_sim.steppers import STEPPERS

SYSTEMS = {
    "texture": gentle_texture(n=32),
    "three orbitals, middle band": three_orbitals(n=32),
    "chain in a potential": separable_chain(n=32),
    "(x; kx, ky)": separable_plane(1),
    "(x; kx, ky) with B": separable_plane(1, flux=0.02),
    "general (x; kx, ky) with B": textured_plane(1, flux=0.02),
    "(x, y; kx, ky)": separable_plane(2, n_x=10, n_k=12),
    "(x, y; kx, ky) with B": separable_plane(2, n_x=10, n_k=12, flux=0.02),
    "general (x, y; kx, ky) with B": textured_plane(2, n_x=8, n_k=10, flux=0.02),
}
OPTIONS = {
    "one flow": {},
    "split": {"split": True},
    "dealiased": {"dealias": "two_thirds"},
    "dealiased, split": {"dealias": "smooth", "split": True},
    "bounded": {"moyal_filter": "bounded"},
    "bounded, split": {"moyal_filter": "bounded", "split": True},
}


def state_of(system, order=2, t=0.0, w=None, **options):
    evolution = system.evolution(order, **options)
    effective = evolution.effective(t)
    if w is None:
        w = effective.faces.density_from_occupation(system.occupation())
    return BandState(effective, w, BandFlows(evolution).at(t))


def divergence(state, current):
    space = state.effective.space
    return sum(position_derivative(space, current[i], i) for i in range(state.grid.n_position_axes))


def charge_defect(state):
    rate = state.grid.integrate_momenta(state.effective.faces.band_density_from_density(state.rate))
    j = measure(state, ["current"])
    j = np.stack(list(j.values()))
    return np.abs(rate + divergence(state, j)).max() / np.abs(rate).max()


def energy_defect(state):
    f_rate = state.effective.faces.band_density_from_density(state.rate)
    rate = state.grid.integrate_momenta(f_rate * state.effective.band_density_energy)
    j = OBSERVABLES["energy_current"].function(state)
    return np.abs(rate + divergence(state, j)).max() / np.abs(rate).max()


# --- continuity ---


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS.keys())
def test_charge_continuity_to_rounding(system, options, order):
    assert charge_defect(state_of(system, order, **options)) < 1e-12


def test_charge_continuity_of_the_whole_moyal_series():
    for system in (SYSTEMS["chain in a potential"], SYSTEMS["(x; kx, ky)"], SYSTEMS["(x, y; kx, ky)"]):
        every = state_of(system, split=True, moyal_series="all_orders")
        third = state_of(system, split=True)
        assert charge_defect(every) < 1e-12
        difference = currents.current(every) - currents.current(third)
        assert 1e-9 < np.abs(difference).max() < 1e-3


def test_charge_continuity_under_a_force():
    for sites in ((24.0,), ()):
        parameters = {"mass": 1.8, "velocity": 0.2, "wilson": 0.05}
        hamiltonian = build_hamiltonian("massive_dirac", parameters, None, 2, len(sites), sites)
        forced = type(SYSTEMS["(x; kx, ky)"])(
            hamiltonian.__class__(**{**vars(hamiltonian), "force": lambda t: np.array([0.01, 0.03])}),
            grid_of(sites, 16, 24, 2),
        )
        state = state_of(forced)
        if sites:
            assert charge_defect(state) < 1e-12
        power = state.grid.integrate(state.rate * state.effective.total_energy_symbol)
        work = np.dot([0.01, 0.03], OBSERVABLES["current_total"].function(state))
        assert power == pytest.approx(work, rel=1e-5)
        assert abs(work) > 1e-4


@pytest.mark.parametrize("split", [False, True])
def test_charge_continuity_of_a_driven_hamiltonian(split):
    """The metric changes in time as well: n at neighbouring times with the state carried along."""
    system, t, h = ramped_texture(20.0, n=32), 9.0, 0.02
    evolution = system.evolution(difference_step=4e-3, split=split, refresh_interval=1.0)
    flows = BandFlows(evolution)
    w = evolution.effective(t).faces.density_from_occupation(system.occupation())
    state = BandState(flows.at(t).effective, w, flows.at(t))
    rate = flows.at(t).rate(w)
    still = {j: evolution.effective(t + j * h).smearing.apply(w).mean(axis=-1) for j in (-2, -1, 1, 2)}
    n_rate = state.effective.faces.band_density_from_density(rate).mean(axis=-1)
    metric_rate = central_difference(still, 0, h)
    total = n_rate + metric_rate + divergence(state, currents.current(state))
    assert np.abs(total).max() < 1e-7 * np.abs(n_rate).max()
    assert np.abs(metric_rate).max() > 1e-5 * np.abs(n_rate).max()


@pytest.mark.parametrize(
    ("system", "orders"),
    [
        (texture(n=48), (1, 2)),
        (three_orbitals(n=48), (1, 2)),
        (separable_plane(1, n_x=24, n_k=32, flux=0.02), (1, 2)),
        (textured_plane(1, n_x=24, n_k=24, flux=0.02), (1, 2)),
    ],
    ids=["texture", "three orbitals", "separable with B", "general with B"],
)
def test_energy_continuity_to_the_order_kept(system, orders):
    assert energy_defect(state_of(system, 0)) < 1e-9  # antisymmetry of the Poisson tensor: exact
    for order in orders:
        defects = [energy_defect(state_of(system.dilated(d), order)) for d in (1.0, 2.0)]
        assert defects[0] < 1e-4
        assert np.log2(defects[0] / defects[1]) > order + 0.9


@pytest.mark.parametrize("part", ["_moyal_energy_flux", "_quadrupole_energy_flux"])
def test_no_part_of_the_energy_current_can_be_left_out_or_turned_round(part, monkeypatch):
    whole = energy_defect(state_of(texture(n=48)))
    function = getattr(currents, part)
    for factor in (0.0, -1.0):
        monkeypatch.setattr(currents, part, lambda state, factor=factor: factor * function(state))
        assert energy_defect(state_of(texture(n=48))) > 20 * whole


def test_a_wrong_flux_breaks_charge_continuity(monkeypatch):
    state = state_of(SYSTEMS["texture"], split=True)
    flux = currents.position_flux
    monkeypatch.setattr(currents, "position_flux", lambda flow, w: flux(flow, w) * 1.001)
    assert charge_defect(state) > 1e-5
    monkeypatch.setattr(currents, "position_flux", flux)
    assert charge_defect(state) < 1e-12


# --- exact dynamics ---


def current_errors(system, duration, dilations, orders=(0, 1, 2)):
    """Largest and mean error of the current of the exact f: order -> (dilations, directions)."""
    pairs = references(system.problem(duration), dilations)
    largest = {order: [] for order in orders}
    mean = {order: [] for order in orders}
    for dilation, (_, reference) in zip(dilations, pairs, strict=True):
        exact = reference.snapshots[0][-1]
        for order in orders:
            effective = system.dilated(dilation).effective(order)
            w = effective.faces.from_face("f", exact.distribution)
            j = currents.current(state_of(system.dilated(dilation), order, w=w)) - exact.current
            largest[order].append(np.abs(j).reshape(len(j), -1).max(axis=1))
            mean[order].append(np.abs(j.reshape(len(j), -1).mean(axis=1)))
    return {o: np.array(e) for o, e in largest.items()}, {o: np.array(e) for o, e in mean.items()}


def test_current_of_a_texture_has_the_order_of_the_equation():
    largest, _ = current_errors(texture(n=48), 2.0, (1.0, 2.0, 4.0))
    for order in (0, 1, 2):
        assert slope((1.0, 2.0, 4.0), largest[order][:, 0]) > order + 0.9
    assert largest[2][-1] < 1e-5 < 1e-3 < largest[0][-1]


@pytest.mark.parametrize("flux", [0.0, 2 * np.pi / 16])
def test_hall_current_along_the_missing_axis(flux):
    """Locally the magnetization current counts; at second order its corrections by gradients are missing."""
    system = separable_plane(1, sites=16, n_x=16, n_k=16, flux=flux)
    largest, mean = current_errors(system, 2.0, (1.0, 2.0))
    for order, expected in ((0, 1), (1, 2 - bool(flux)), (2, 2)):  # so small a torus is not asymptotic with B
        assert np.log2(largest[order][0, 1] / largest[order][1, 1]) > expected - 0.3
    assert np.log2(mean[2][0, 1] / mean[2][1, 1]) > 2.7
    assert largest[1][1, 1] < 0.1 * largest[0][1, 1]


def test_the_magnetization_current_has_the_right_sign(monkeypatch):
    system = separable_plane(1, sites=16, n_x=16, n_k=16)
    ((_, reference),) = references(system.problem(1.0), (1.0,))
    exact = reference.snapshots[0][-1]
    state = state_of(system, 1, w=exact.distribution)
    error = np.abs(currents.current(state) - exact.current)[1].max()
    moment = state.flow.magnetic_moment
    for factor in (0.0, -1.0):
        state.flow.__dict__["magnetic_moment"] = factor * moment
        assert np.abs(currents.current(state) - exact.current)[1].max() > 5 * error


@pytest.mark.parametrize(
    "system", [three_orbitals(n=24), separable_plane(1, sites=12, n_x=16, n_k=12)], ids=["chain", "plane"]
)
def test_exact_current_obeys_continuity(system):
    dt, exact = 1e-3, exact_system(system.hamiltonian, system.grid)
    rho = exact.band_state_from_symbol(0, system.occupation())
    before, now, after = exact.evolve(rho, [3.0 - dt, 3.0, 3.0 + dt])
    rate = (after.density - before.density) / (2 * dt)
    total = rate + position_derivative(system.space, now.current[0], 0)
    assert np.abs(total).max() < 1e-6 * np.abs(rate).max()


# --- totals and their parts ---


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS.keys())
def test_parts_add_up_to_the_total_and_the_total_is_the_integral(system, order):
    state = state_of(system, order)
    total = OBSERVABLES["current_total"].function(state)
    parts = sum(OBSERVABLES[f"current_{name}"].function(state) for name in PARTS)
    np.testing.assert_allclose(parts, total, atol=1e-13 * np.abs(state.w).sum())
    j = currents.current(state)
    volume = np.prod(state.grid.lengths)
    np.testing.assert_allclose(j.reshape(len(j), -1).mean(axis=1) * volume, total, rtol=1e-6, atol=1e-7)


def test_each_part_is_the_term_it_is_named_after():
    """For H0(k) + U(x) the terms of the equation can be switched off one by one."""
    chain = separable_chain(n=48, sites=12)
    whole = state_of(chain)
    for part, switch in (("metric", "metric"), ("normalized_metric", "band_normalized_metric")):
        effective = chain.effective(2, **{switch: False})
        evolution = chain.evolution(2, terms=type(chain.evolution().options.terms)(**{switch: False}))
        without = BandState(effective, whole.w, BandFlows(evolution).at(0.0))
        change = OBSERVABLES["current_total"].function(whole) - OBSERVABLES["current_total"].function(without)
        np.testing.assert_allclose(OBSERVABLES[f"current_{part}"].function(whole), change, rtol=1e-8)
        assert np.abs(change).max() > 1e-5


def test_free_particles_move_with_their_total_current():
    """d/dt int x n = I for a packet away from the seam."""
    system = free_chain()
    state = state_of(system, w=packet(system))
    centers = []
    for sign in (-1, 1):
        evolution = system.evolution()
        w = STEPPERS["rk4"].step(evolution, state.w, 0.0, sign * 1e-2)
        n = evolution.effective().faces.band_density_from_density(w).mean(axis=-1)
        centers.append(np.sum(n * system.grid.axis_points[0]) * 60 / 96)
    velocity = (centers[1] - centers[0]) / 2e-2
    assert OBSERVABLES["current_total"].function(state)[0] == pytest.approx(velocity, rel=1e-6)
    n = OBSERVABLES["particle_number"].function(state)
    moved = measure(state, ["center"])
    assert moved["center_x"] == pytest.approx(20.0, abs=1e-6)
    assert moved["center_kx"] == pytest.approx(0.7, abs=1e-6)
    assert measure(state, ["variance"])["variance_x"] == pytest.approx(9.0, rel=1e-2)
    assert n > 1


def free_chain():
    return named("rice_mele", {"t1": 0.9, "t2": 0.3, "delta": 0.6}, None, (60,), 96, 96)


def packet(system):
    x, k = system.grid.coordinates
    return np.exp(-((x - 20) ** 2) / 18) * np.exp(4 * (np.cos(k - 0.7) - 1))


def test_filled_chern_band_has_the_quantized_hall_current():
    """j_x = sigma_xy F_y with |sigma_xy| = C/2 pi, all of it anomalous."""
    force = 0.05
    hamiltonian = build_hamiltonian("qi_wu_zhang", {"mass": -1.0}, None, 2, 0, ())
    hamiltonian = hamiltonian.__class__(**{**vars(hamiltonian), "force": lambda t: np.array([0.0, force])})
    system = type(SYSTEMS["texture"])(hamiltonian, grid_of((), 4, 48, 2))
    state = state_of(system, w=np.ones(system.grid.shape))
    total = OBSERVABLES["current_total"].function(state)
    curvature = system.effective(1).curvature[0][0, 1]
    chern = curvature.mean() * (2 * np.pi) ** 2 / (2 * np.pi)
    assert abs(chern) == pytest.approx(1.0, abs=1e-9)
    assert total[0] == pytest.approx(chern * force / (2 * np.pi), rel=1e-9)
    assert total[1] == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(OBSERVABLES["current_anomalous"].function(state), total, atol=1e-12)


def test_bloch_oscillation_of_the_current():
    """Under a force the state moves rigidly in k, so I(t) = int n(k) v(k + F t)."""
    force, t = 0.2, 7.0
    hamiltonian = build_hamiltonian("ssh", {"t1": 1.0, "t2": 0.6}, None, 1, 0, ())
    hamiltonian = hamiltonian.__class__(**{**vars(hamiltonian), "force": lambda t: np.array([force])})
    system = type(SYSTEMS["texture"])(hamiltonian, grid_of((), 4, 128, 1))
    evolution = system.evolution(1, split=True)  # at second order the energy has (1/2) T F^2 as well
    k = system.grid.axis_points[0]
    w = np.exp(2 * (np.cos(k - 0.5) - 1))
    later = w
    for _ in range(10):
        later = STEPPERS["blanes_moan4"].step(evolution, later, 0.0, t / 10)
    state = BandState(evolution.effective(), later, BandFlows(evolution).at(0.0))
    energy = lambda p: -np.sqrt(1 + 0.36 + 1.2 * np.cos(p))  # noqa: E731
    speed = (energy(k + 1e-4 + force * t) - energy(k - 1e-4 + force * t)) / 2e-4
    assert OBSERVABLES["current_total"].function(state)[0] == pytest.approx(np.mean(w * speed), rel=1e-6)


def test_currents_ask_for_the_flow():
    state = state_of(SYSTEMS["texture"])
    with pytest.raises(TypeError, match="currents need the band's flow"):
        currents.current(BandState(state.effective, state.w))
