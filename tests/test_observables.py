"""Observables: every entry of the table, and the sum rules between them."""

from pathlib import Path

import numpy as np
import pytest
from systems import texture
from tiny_cases import CHAIN, TEXTURE, make_case

from wigner_sim.errors import CaseError
from wigner_sim.observables import (
    OBSERVABLES,
    BandFlows,
    BandState,
    component_names,
    energy,
    measure,
    projection,
    spectral_tail,
)
from wigner_sim.problem import build_problem
from wigner_sim.selection import select
from wigner_sim.simulation import check
from wigner_sim.steppers import STEPPERS

PLANE = {
    "grid": {"sites": [8], "n_x": [12], "n_k": [12, 10]},
    "hamiltonian": {"source": "named:qi_wu_zhang", "parameters": {"mass": "1 + 0.2*cos(2*pi*x/L)"}},
    "initial_state": {"kind": "symbol", "c": "exp(cos(2*pi*x/L) + 0.5*sin(kx) + 0.3*cos(ky))"},
    "time": {"end": 1.0},
}
SYSTEMS = {"chain": TEXTURE, "plane with one position axis": PLANE}


@pytest.fixture(params=SYSTEMS.values(), ids=SYSTEMS.keys())
def state(request, tmp_path):
    return state_of(make_case(tmp_path, request.param))


def state_of(case, dilation=1.0):
    problem = build_problem(case).dilated(dilation)
    stack = problem.stack()
    flow = BandFlows(stack.bands[0]).at(0.0)
    return BandState(flow.effective, problem.initial_density(stack)[0], flow)


# --- the table ---


@pytest.mark.parametrize("name", OBSERVABLES)
def test_every_entry_says_what_it_is_and_has_its_shape(name, state):
    observable = OBSERVABLES[name]
    assert observable.long_name
    assert observable.units == "1"
    assert observable.equation == observable.function.__doc__.strip().splitlines()[0]
    assert observable.equation.endswith(".")
    values = observable.function(state)
    shape = {"": (), "positions": state.grid.n_x, "momenta": state.grid.n_k}[observable.over]
    labels = observable.labels(state.grid)
    assert np.shape(values) == ((len(labels), *shape) if labels else shape)
    assert np.isfinite(values).all()
    measured = measure(state, [name])
    assert list(measured) == component_names(name, state.grid)
    np.testing.assert_array_equal(list(measured.values()) if labels else measured[name], values)


@pytest.mark.parametrize("name", sorted(set(OBSERVABLES) - {"entropy"}))
def test_every_entry_is_homogeneous_in_the_state(name, state):
    """Twice the density: twice every observable, and the same shape of the state."""
    twice = BandState(state.effective, 2 * state.w, state.flow)
    of_the_shape = ("spectral_tail_x", "spectral_tail_k", "center", "variance")
    factor = {"purity": 4, **dict.fromkeys(of_the_shape, 1)}.get(name, 2)
    function = OBSERVABLES[name].function
    np.testing.assert_allclose(function(twice), factor * function(state), rtol=1e-12, atol=1e-14)


def test_every_entry_is_documented():
    page = (Path(__file__).parents[1] / "docs" / "observables.md").read_text(encoding="utf-8")
    assert [name for name in OBSERVABLES if f"`{name}`" not in page] == []


# --- what a case may ask for ---


def test_a_case_chooses_what_is_recorded(tmp_path):
    wanted = {
        "scalars": ["center", "purity", "energy"],
        "fields": ["current"],
        "projections": ["kx , x", "ky"],
    }
    case = make_case(tmp_path, PLANE, output=wanted)
    selection = select(case.output, build_problem(case).grid)
    assert [spec.name for spec in selection.scalar_variables()][6:] == [
        "center_x", "center_kx", "center_ky", "purity",
    ]  # fmt: skip
    fields = {spec.name: spec.dims[2:] for spec in selection.field_variables()}
    assert fields == {"current_x": ("x",), "current_y": ("x",), "f_x_kx": ("x", "kx"), "f_ky": ("ky",)}
    state = state_of(case)
    values = selection.field_values([state, state])
    assert set(values) == set(fields)
    assert values["f_x_kx"].shape == (2, 12, 12)
    assert set(selection.scalar_values([state])) == {spec.name for spec in selection.scalar_variables()}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"scalars": ["curent_total"]}, "output.scalars: no observable 'curent_total'.*mean 'current_total'"),
        ({"scalars": ["density"]}, "output.scalars: no observable 'density'"),
        ({"fields": ["purity"]}, "output.fields: no observable 'purity'"),
        ({"projections": ["x, kz"]}, "output.projections: expected some, but not all, of the axes x, kx, ky"),
        ({"projections": ["x, kx, ky"]}, "but not all"),
        ({"projections": ["x, x"]}, "output.projections"),
    ],
)
def test_names_that_do_not_exist_are_refused(tmp_path, wanted, message):
    with pytest.raises(CaseError, match=message):
        check(make_case(tmp_path, PLANE, output=wanted))


# --- sum rules ---


def table(state):
    return {name: observable.function(state) for name, observable in OBSERVABLES.items()}


def test_all_ways_to_count_particles_agree(state):
    values, grid = table(state), state.grid
    number = values["particle_number"]
    assert number > 1
    cell = grid.lengths[0] / grid.n_x[0]
    assert grid.integrate(state.f) == pytest.approx(number, rel=1e-13)
    assert values["density"].sum() * cell == pytest.approx(number, rel=1e-13)
    assert values["momentum_distribution"].mean() == pytest.approx(number, rel=1e-13)


def test_marginals_are_those_of_f_not_of_w(state):
    grid, values = state.grid, table(state)
    k_axes = tuple(range(1, grid.n_axes))
    np.testing.assert_allclose(values["density"], state.f.mean(axis=k_axes), atol=1e-14)
    np.testing.assert_allclose(values["momentum_distribution"], 8 * state.f.mean(axis=0), atol=1e-13)
    assert np.abs(values["density"] - state.w.mean(axis=k_axes)).max() > 1e-4


def test_occupations_are_the_extremes_of_c(state):
    values = table(state)
    assert values["occupation_min"] == state.c.min()
    assert values["occupation_max"] == state.c.max()
    assert values["occupation_min"] < values["occupation_max"]


def test_the_two_dual_energies_agree_to_second_order(tmp_path):
    """int w h_w and int f h_f are dual order by order: their difference falls with the third power."""
    differences = []
    for dilation in (2.0, 4.0):
        state = state_of(make_case(tmp_path), dilation)
        density = OBSERVABLES["energy_density"].function(state)
        whole = density.mean() * state.grid.lengths[0]
        differences.append(abs(whole - energy(state)) / state.grid.lengths[0])
    assert np.log2(differences[0] / differences[1]) > 2.7
    assert differences[0] < 1e-4


@pytest.mark.parametrize("order", [0, 1])
def test_below_second_order_the_dual_energies_are_the_same(order, tmp_path):
    state = state_of(make_case(tmp_path, equation__order=order))
    density = OBSERVABLES["energy_density"].function(state)
    assert density.mean() * 8 == pytest.approx(float(energy(state)), rel=1e-13)
    np.testing.assert_array_equal(state.f, state.w)


def test_projections_are_marginals_of_f(tmp_path):
    state = state_of(make_case(tmp_path, PLANE))
    whole = projection(state, ("x", "kx"))
    np.testing.assert_allclose(whole, state.f.mean(axis=2), atol=1e-15)
    np.testing.assert_allclose(whole.mean(axis=1), OBSERVABLES["density"].function(state), atol=1e-15)
    momenta = projection(state, ("kx", "ky"))
    np.testing.assert_allclose(momenta, OBSERVABLES["momentum_distribution"].function(state), atol=1e-14)
    np.testing.assert_allclose(projection(state, ("x",)), OBSERVABLES["density"].function(state), atol=1e-15)


def test_filling_counts_states_of_the_band(tmp_path):
    state = state_of(make_case(tmp_path))
    d = state.effective.density_of_states
    full = BandState(state.effective, state.effective.faces.density_from_occupation(np.ones(d.shape)))
    assert OBSERVABLES["filling"].function(full) == pytest.approx(1.0, rel=1e-12)
    assert OBSERVABLES["entropy"].function(full) == pytest.approx(0.0, abs=1e-12)
    half = BandState(state.effective, 0.5 * full.w)
    n_states = state.grid.integrate(d)
    assert OBSERVABLES["entropy"].function(half) == pytest.approx(n_states * np.log(2), rel=1e-3)
    assert OBSERVABLES["purity"].function(full) == pytest.approx(n_states, rel=1e-2)


def test_center_and_variance_know_the_ring(tmp_path):
    """A packet across the seam: the mean of x would be in the middle of the crystal."""
    case = make_case(tmp_path, CHAIN, initial_state={"kind": "gaussian", "center_x": 0.3, "width_x": 0.8,
        "center_k": 3.0, "width_k": 0.4}, grid__n_x=[48], grid__n_k=[48])  # fmt: skip
    state = state_of(case)
    values = measure(state, ["center", "variance"])
    assert values["center_x"] == pytest.approx(0.3, abs=0.02)
    assert values["center_kx"] == pytest.approx(3.0, abs=0.02)
    metric = state.grid.integrate(state.effective.metric[1, 1] * state.w) / state.grid.integrate(state.w)
    assert metric > 0.1  # S^T widens c to w, S widens w to f
    assert values["variance_x"] == pytest.approx(0.64 + 2 * metric, abs=0.03)
    assert values["variance_kx"] == pytest.approx(0.16, abs=0.02)


# --- conserved functionals of the occupation ---


def casimir_drifts(dilation, order):
    system = texture(n=40).dilated(dilation)
    evolution = system.evolution(order)
    effective = evolution.effective()
    w = effective.faces.density_from_occupation(0.1 * system.occupation())
    dt = 1e-4 * dilation
    before, after = (
        BandState(effective, STEPPERS["rk4"].step(evolution, w, 0.0, sign * dt)) for sign in (-1, 1)
    )
    volume = system.grid.lengths[0]
    return {
        name: abs(OBSERVABLES[name].function(after) - OBSERVABLES[name].function(before)) / (2e-4 * volume)
        for name in ("purity", "entropy")
    }


@pytest.mark.parametrize("order", [0, 1, 2])
def test_casimirs_drift_with_the_error_of_the_order(order):
    """Change per (dilated) time and length: the purity has the order of the equation, the entropy first."""
    drifts = [casimir_drifts(dilation, order) for dilation in (1.0, 2.0)]
    for name, expected in (("purity", order + 1), ("entropy", min(order, 1) + 1)):
        if drifts[0][name] > 1e-9:
            assert np.log2(drifts[0][name] / drifts[1][name]) > expected - 0.2


# --- resolution ---


def test_spectral_tail_is_the_largest_amplitude_in_the_top_third():
    n = 24
    q = 2 * np.pi * np.arange(n) / n
    for mode, expected in ((3, 0.0), (7, 0.0), (8, 0.2), (11, 0.2)):
        values = np.add.outer(2.0 + 0.8 * np.cos(mode * q), np.zeros(6))
        assert spectral_tail(values, [0]) == pytest.approx(expected, abs=1e-14)
        assert spectral_tail(values, [1]) == pytest.approx(0.0, abs=1e-14)
        assert spectral_tail(values, [0, 1]) == pytest.approx(expected, abs=1e-14)
    assert spectral_tail(np.zeros((8, 8)), [0, 1]) == 0.0


def test_tails_tell_positions_from_momenta(state):
    values = table(state)
    k_axes = range(1, state.grid.n_axes)
    assert values["spectral_tail_x"] == spectral_tail(state.w, [0])
    assert values["spectral_tail_k"] == max(spectral_tail(state.w, [axis]) for axis in k_axes)
