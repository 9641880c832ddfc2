"""Observables: every entry of the table, and the sum rules between them."""

import numpy as np
import pytest
from tiny_cases import TEXTURE, make_case

from wigner_sim.observables import OBSERVABLES, BandState, energy, measure, spectral_tail
from wigner_sim.problem import build_problem
from wigner_sim.recorder import FIELDS, SCALARS

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
    return BandState(stack.bands[0].effective(), problem.initial_density(stack)[0])


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
    assert np.shape(values) == shape
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(measure(state.effective, state.w, [name])[name], values)


def test_every_entry_is_stored_somewhere():
    assert set(SCALARS) | set(FIELDS) == set(OBSERVABLES)


@pytest.mark.parametrize("name", OBSERVABLES)
def test_every_entry_is_homogeneous_in_the_state(name, state):
    """Twice the density: twice every observable, and the same spectral tails."""
    twice = BandState(state.effective, 2 * state.w)
    factor = 1 if "tail" in name else 2
    function = OBSERVABLES[name].function
    np.testing.assert_allclose(function(twice), factor * function(state), rtol=1e-12, atol=1e-14)


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
