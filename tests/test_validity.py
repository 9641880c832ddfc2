"""The validity meter: its numbers against closed forms, its prediction against exact dynamics."""

from dataclasses import replace

import numpy as np
import pytest
from systems import (
    System,
    gentle_texture,
    grid_of,
    ramped_texture,
    references,
    relative,
    separable_chain,
    separable_plane,
    slope,
    texture,
    textured_plane,
    three_orbitals,
)
from tiny_cases import CHAIN, make_case, write_case

from wigner_sim.convergence import state_errors
from wigner_sim.errors import CaseError
from wigner_sim.figures.of_validity import PANELS
from wigner_sim.liouville import exact_system
from wigner_sim.models import build_hamiltonian
from wigner_sim.monitors import Monitors
from wigner_sim.observables import BandFlows, BandState
from wigner_sim.plotting import plot_validity
from wigner_sim.prediction import predict
from wigner_sim.reports import info
from wigner_sim.simulation import run
from wigner_sim.symbols import adjoint, star_product, star_product_at, trace
from wigner_sim.validity import VALIDITY, ValidityMeter, adiabaticity, cut_series, exact_rate, metric_smearing


def state_of(system, order=2, w=None, t=0.0, **options):
    evolution = system.evolution(order, **options)
    flow = BandFlows(evolution).at(t)
    if w is None:
        w = flow.effective.faces.density_from_occupation(system.occupation())
    return BandState(flow.effective, w, flow)


def residual(system, order, t=0.0, **options):
    state = state_of(system, order, t=t, **options)
    rate = exact_rate(state.flow.evolution, t)(state.f)
    return np.abs(rate - state.flow.band_density_rate(state.w)).max()


# --- the rate of f by star products ---


@pytest.mark.parametrize("rough", [0.0, 0.3])
@pytest.mark.parametrize(
    "system",
    [three_orbitals(n=24), separable_chain(n=24), textured_plane(1, n_x=8, n_k=10, flux=0.1)],
    ids=["three orbitals", "orbitals apart", "plane, field"],
)
def test_the_rate_is_that_of_whole_star_products(system, rough):
    """``-i tr [H, F]_*`` and ``F = pi * c * pi`` by plain products, also where the grid resolves neither."""
    rate, space = exact_rate(system.evolution(2), 0.0), system.space
    f = system.occupation() + rough * np.random.default_rng(0).normal(size=system.grid.shape)
    h, pi, order = [rate._hamiltonian], rate._pi, rate._order
    whole = [np.zeros_like(pi[0].values) for _ in range(order + 1)]
    for m in range(order + 1):
        c = f if m == 0 else -trace(whole[m]).real
        left = star_product(pi, [space.symbol(c)], order - m)
        for n in range(order - m + 1):
            whole[m + n] = whole[m + n] + star_product_at(left, pi, n)
    symbols = [space.symbol(values) for values in whole]
    expected = sum(2 * trace(star_product_at(h, symbols, m)).imag for m in range(1, order + 2))
    assert relative(rate(f) - expected, expected) < 1e-10
    found = [values - other for values, other in zip(rate._state(f), whole, strict=True)]
    assert max(np.abs(each).max() for each in found) < 1e-10 * np.abs(whole[order]).max()
    uneven = max(np.abs(values - adjoint(values)).max() for values in whole)
    if rough:  # F is not Hermitian there
        assert uneven > 1e-3 * np.abs(whole[order]).max()


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("system", [texture(n=48), three_orbitals(n=48)], ids=["texture", "three orbitals"])
def test_the_residual_is_of_the_next_order(system, order):
    dilations = (1.0, 2.0, 4.0)
    residuals = [residual(system.dilated(dilation), order) for dilation in dilations]
    assert slope(dilations, residuals) == pytest.approx(order + 2, abs=0.3)


def test_the_residual_is_of_the_next_order_with_b_and_with_force():
    forced = separable_plane(1, n_x=16, n_k=20, flux=0.03)
    force = replace(forced.hamiltonian, force=lambda t: np.array([0.02, 0.05]))
    forced = System(force, forced.grid)
    residuals = [residual(forced.dilated(dilation), 2) for dilation in (1.0, 2.0)]
    assert np.log2(residuals[0] / residuals[1]) > 3.7


def test_the_residual_of_a_drive_is_of_the_next_order():
    """All time derivatives count: of H, of the projector, of the metric in f = w + S w."""
    residuals = []
    for dilation in (2.0, 4.0):
        system = ramped_texture(30.0 * dilation, sites=24 * dilation, n=40)
        residuals.append(residual(system, 2, t=13.0 * dilation, difference_step=4e-3 * dilation))
    assert np.log2(residuals[0] / residuals[1]) == pytest.approx(4.0, abs=0.5)


def test_star_products_give_the_rate_of_exact_dynamics():
    dilations, differences = (1.0, 2.0), []
    for dilation in dilations:
        system, dt = texture(n=48).dilated(dilation), 2e-3
        exact = exact_system(system.hamiltonian, system.grid)
        rho = exact.band_state_from_symbol(0, system.occupation())
        times = [dt, 2 * dt, 3 * dt, 4 * dt, 5 * dt]
        f = [snapshot.distribution for snapshot in exact.evolve(rho, times)]
        rate = (8 * (f[3] - f[1]) - (f[4] - f[0])) / (12 * dt)
        differences.append(np.abs(exact_rate(system.evolution(2), 0.0)(f[2]) - rate).max())
    assert differences[0] < 2e-3 * np.abs(rate).max()
    assert np.log2(differences[0] / differences[1]) > 4.5


def test_terms_of_the_moyal_series_beyond_the_order_are_no_residual():
    system = separable_chain(n=48)
    whole = system.evolution(2, split=True, moyal_series="all_orders")
    assert cut_series(whole).options.moyal_series == "third_derivative"
    assert cut_series(system.evolution(2)).options == system.evolution(2).options


# --- small numbers ---


def test_adiabaticity_is_that_of_landau_and_zener():
    """Dirac chain under a force: v F/gap^2 at the smallest gap."""
    force, mass, velocity = 0.02, 0.3, 0.8
    parameters = {"mass": mass, "velocity": velocity, "wilson": 0.0}
    hamiltonian = build_hamiltonian("massive_dirac", parameters, None, 1, 0, ())
    forced = replace(hamiltonian, force=lambda t: np.array([force]))
    system = System(forced, grid_of((), 4, 256, 1))
    state = state_of(system, 1, w=np.ones(system.grid.shape))
    gap = float(state.effective.gap.min())
    assert gap == pytest.approx(2 * mass)
    assert adiabaticity(state) == pytest.approx(velocity * force / gap**2, rel=1e-6)
    assert adiabaticity(replace(state, w=np.zeros(system.grid.shape))) == 0.0


def test_smearing_is_that_of_the_metric_at_the_edge():
    system = gentle_texture(n=32)
    x = system.grid.coordinates[0]
    w = np.broadcast_to(1 + 0.5 * np.cos(2 * np.pi * 5 * x / 24), system.grid.shape)
    state = state_of(system, 0, w=np.ascontiguousarray(w))
    metric = system.effective(2).metric
    expected = max(metric[1, 1].max() * (2 * np.pi * 5 / 24) ** 2, 0.0)
    assert metric_smearing(state) == pytest.approx(expected, rel=1e-9)
    assert metric_smearing(replace(state, w=np.ones(system.grid.shape))) == 0.0


# --- the prediction ---


@pytest.mark.parametrize("system", [texture(n=40), gentle_texture(n=40)], ids=["texture", "large gap"])
def test_the_predicted_error_is_the_measured_one(system):
    """Within a fifth at orders 0 and 1 and a third at order 2; asked for is a factor of 3."""
    duration = 3.8
    ((problem, reference),) = references(system.problem(duration), (1.0,))
    for order in (0, 1, 2):
        stack = problem.with_order(order).stack()
        flow = BandFlows(stack.bands[0]).at(0.0)
        first, last = reference.snapshots[0]
        w = flow.effective.faces.from_face("f", first.distribution)
        meter = ValidityMeter(stack.bands, duration)
        n_steps = 120
        for step in range(n_steps + 1):
            if step:
                w = problem.stepper.step(stack.bands[0], w, 0.0, duration / n_steps)
            if step % 20 == 0:
                state = BandState(flow.effective, w, flow)
                values = meter.measure([state], step * duration / n_steps)
        assert list(values) == list(VALIDITY)
        measured = state_errors(state, last).f_max / np.abs(first.distribution).max()
        assert values["predicted_error"][0] / measured == pytest.approx(1.15, abs=0.2)


def test_prediction_of_a_case(tmp_path):
    case = make_case(tmp_path, CHAIN, grid__sites=[16], grid__n_x=[24], grid__n_k=[24])
    rows = predict(case, (1.0,), orders=(0, 2))
    assert [row["order"] for row in rows] == [0, 2]
    for row in rows:
        assert 1 / 3 < row["predicted"] / row["measured"] < 3
        assert set(row) == {"order", "dilation", "measured", "predicted", *VALIDITY} - {"predicted_error"}


def test_the_meter_goes_on_where_it_stopped():
    state = state_of(texture(n=24))
    first = ValidityMeter([state.flow.evolution], 6.0)
    for t in (0.0, 1.0, 2.0):
        first.measure([state], t)
    second = ValidityMeter([state.flow.evolution], 6.0)
    second.restore(first.state())
    for t in (2.5, 3.0, 3.3):
        assert first.measure([state], t) == second.measure([state], t)
    values = first.measure([state], 6.0)
    residual_now = residual(texture(n=24), 2)
    assert values["predicted_error"][0] == pytest.approx(6.0 * residual_now / np.abs(state.f).max())


# --- in a run ---


def test_a_run_stores_the_numbers_and_warns(tmp_path, caplog):
    path = write_case(tmp_path / "case", monitors__predicted_error=1e-5)
    with caplog.at_level("WARNING"), run(path) as finished:
        scalars = finished.scalars
        for name in VALIDITY:
            assert scalars[name].dims == ("time", "band")
            assert scalars[name].attrs["equation"]
        error = scalars["predicted_error"].values[:, 0]
        assert error[0] == 0.0
        assert np.all(np.diff(error) >= 0)
        assert error[-1] > 1e-5
    assert "predicted_error is" in caplog.text
    assert "above monitors.predicted_error = 1e-05" in caplog.text


def test_figure_and_info_of_a_run(tmp_path):
    case = write_case(tmp_path / "case")
    with run(case) as finished:
        figure = plot_validity(finished)
        assert [axes.get_title() for axes in figure.axes] == list(PANELS)
        assert [len(axes.lines) for axes in figure.axes] == [1, 3, 2, 2]
        np.testing.assert_allclose(
            figure.axes[0].lines[0].get_ydata()[1:], finished.scalars["predicted_error"][1:, 0]
        )
    assert "validity, band 0, largest: adiabaticity 0." in info(case)
    with run(write_case(tmp_path / "without", monitors__validity="off")) as finished:
        with pytest.raises(CaseError, match="no numbers of validity"):
            plot_validity(finished)
        assert "validity" not in info(finished.path)


@pytest.mark.parametrize(("choice", "stored"), [("off", set()), ("predict", set(VALIDITY))])
def test_a_case_says_what_the_meter_does(tmp_path, choice, stored):
    with run(write_case(tmp_path / "case", monitors__validity=choice)) as finished:
        assert set(finished.scalars.data_vars) & set(VALIDITY) == stored


def test_costly_predictions_are_made_only_when_asked_for():
    state = state_of(separable_plane(2, n_x=16, n_k=18))
    bands = [state.flow.evolution]
    assert "predicted_error" not in ValidityMeter(bands, 1.0).names
    assert "predicted_error" in ValidityMeter(bands, 1.0, "on").names
    assert "predicted_error" not in ValidityMeter([texture(n=16).evolution()], 1.0, "off").names


def test_a_run_can_stop_by_its_predicted_error(tmp_path):
    case = make_case(tmp_path, monitors__predicted_error=1e-3, monitors__action="stop")
    monitors = Monitors(case.monitors, texture(n=16).hamiltonian)
    numbers = {name: np.zeros(1) for name in ("particle_number_drift", "energy_drift")}
    numbers |= {"spectral_tail_x": np.zeros(1), "spectral_tail_k": np.zeros(1)}
    monitors.check(0.0, numbers)
    with pytest.raises(
        Exception, match=r"predicted_error is 0\.002 at t = 1, above monitors\.predicted_error"
    ):
        monitors.check(1.0, numbers | {"predicted_error": np.array([0.002])})
