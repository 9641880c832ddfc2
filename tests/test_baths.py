"""Collisions and reservoirs of a case: keys, runs, restarts, guards, and the physics of the shipped cases."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import numpy as np
import pytest
from systems import separable_chain, slope, texture
from test_simulation import interrupted_after
from tiny_cases import CHAIN, DRIVEN_CHAIN, assert_identical, make_case, stored, write_case

from wigner_sim.case import Case, case_keys
from wigner_sim.convergence import compare
from wigner_sim.errors import CaseError, InterruptedRunError
from wigner_sim.exact_runs import exact_snapshots
from wigner_sim.kinetics.equilibrium import equilibrium_density
from wigner_sim.monitors import Monitors
from wigner_sim.problem import build_problem, describe
from wigner_sim.propagator import Propagator
from wigner_sim.simulation import check, resume, run
from wigner_sim.steppers import STEPPERS, choose_step

CASES = Path(__file__).parents[1] / "cases"
OCCUPIED = {"kind": "symbol", "c": "0.4*exp(0.5*cos(2*pi*x/L) + 0.3*sin(k))"}
COLLIDING = CHAIN | {
    "initial_state": OCCUPIED,
    "relaxation": {"rate": "0.5 + 0.2*cos(k)", "conserve": "particles_and_energy"},
}
CONTACTS = CHAIN | {
    "initial_state": OCCUPIED,
    "reservoirs": [{"rate": "1 + cos(2*pi*x/L)", "mu": -1.0, "temperature": 0.3}],
}


def script(name):
    """The script of a case."""
    spec = importlib.util.spec_from_file_location(f"figure_of_{name}", CASES / name / "figure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- keys ---


def test_keys_arrive_and_survive_being_written(tmp_path):
    case = make_case(tmp_path, COLLIDING | {"reservoirs": CONTACTS["reservoirs"] * 2})
    path = tmp_path / "again.toml"
    path.write_text(case.to_toml(), encoding="utf-8")
    assert Case.from_toml(path) == case
    changed = Case.from_toml(path).with_overrides(
        ["reservoirs.1.mu=-0.7", "relaxation.conserve=particles", "relaxation.temperature=0.2"]
    )
    assert [each.mu for each in changed.reservoirs] == [-1.0, -0.7]
    problem = build_problem(changed)
    assert problem.baths.conserved == frozenset()
    assert len(problem.stack().couplings) == 2
    assert any("reservoirs: 2" in line for line in describe(problem))
    names = {f"{each.section}.{each.name}" for each in case_keys()}
    assert {"relaxation.rate", "relaxation.conserve", "reservoirs.mu", "reservoirs.rate"} <= names


def test_without_baths_nothing_is_added(tmp_path):
    problem = build_problem(make_case(tmp_path, CHAIN))
    assert not problem.baths
    assert not problem.stack().couplings
    assert not problem.stack().local_field_descriptions


WRONG = {
    "expected a rate >= 0": {"relaxation": {"rate": -1.0}},
    r"\[relaxation\] temperature: expected a number > 0 or an expression of x, as conserve": {
        "relaxation": {"rate": 1.0}
    },
    r"\[relaxation\] mu: has no effect": {"relaxation": {"rate": 1.0, "mu": 0.0, "temperature": 1.0}},
    r"\[relaxation\] mu: expected a number": {"relaxation": {"rate": 1.0, "conserve": "nothing"}},
    "lists 2 rates for 1 chosen band": {"relaxation": {"rate": [1.0, 2.0], "temperature": 1.0}},
    "depends on t": {"reservoirs": [{"rate": 1.0, "mu": "0.1*t", "temperature": 1.0}]},
    "needs the key": {"reservoirs": [{"rate": 1.0, "mu": 0.1}]},
    'unknown key "gamma"': {"reservoirs": [{"gamma": 1.0, "mu": 0.1, "temperature": 1.0}]},
    "expected a number > 0": {"reservoirs": [{"rate": 1.0, "mu": 0.1, "temperature": -1.0}]},
    "not negative, but reaches": {"reservoirs": [{"rate": "cos(2*pi*x/L)", "mu": 0.1, "temperature": 1.0}]},
    "reservoirs: expected a list of tables": {"reservoirs": 3},
}


@pytest.mark.parametrize("sentence", WRONG)
def test_what_does_not_fit_is_one_sentence(sentence, tmp_path):
    with pytest.raises(CaseError, match=sentence):
        build_problem(make_case(tmp_path, CHAIN | WRONG[sentence])).stack()


def test_overrides_of_single_reservoirs_are_checked(tmp_path):
    case = make_case(tmp_path, CONTACTS)
    with pytest.raises(CaseError, match="expected a number from 0 to 0, got 1"):
        case.with_overrides(["reservoirs.1.mu=0"])
    with pytest.raises(CaseError, match="reservoirs is a list"):
        case.with_overrides(["reservoirs.mu=0"])


@pytest.mark.parametrize("data", [COLLIDING, CONTACTS], ids=["collisions", "reservoirs"])
def test_exact_dynamics_has_no_baths(data, tmp_path):
    problem = build_problem(make_case(tmp_path, data))
    with pytest.raises(CaseError, match="neither collisions nor reservoirs"):
        exact_snapshots(problem, 0, [0.0, 1.0])


def test_long_steps_back_in_time_are_refused(tmp_path):
    stiff = CONTACTS | {"reservoirs": [{"rate": 200.0, "mu": -1.0, "temperature": 0.3}]}
    with pytest.raises(CaseError, match=r"lets blanes_moan4 go back in time by .* use a step below"):
        check(make_case(tmp_path, stiff, time={"end": 1.0, "stepper": "blanes_moan4", "step": 0.1}))
    check(make_case(tmp_path, stiff, time={"end": 1.0, "stepper": "strang", "step": 0.1}))
    chosen = check(make_case(tmp_path, stiff, time={"end": 1.0, "stepper": "blanes_moan4"}))
    assert chosen.propagator.dt < 0.1


# --- runs ---


@pytest.mark.parametrize("adaptive", [False, True], ids=["fixed", "adaptive"])
@pytest.mark.parametrize("stepper", list(STEPPERS))
def test_a_resumed_run_is_the_same_to_the_last_bit(stepper, adaptive, tmp_path, monkeypatch):
    data = COLLIDING | {"reservoirs": CONTACTS["reservoirs"]}
    time = {"end": 0.6, "stepper": stepper, "step": "auto" if adaptive else 0.1, "adaptive": adaptive}
    time["tolerance"] = 1e-4
    output = CHAIN["output"] | {"fields_every": 0.1}
    whole = run(write_case(tmp_path / "whole", data, time=time, output=output))
    with interrupted_after(2, monkeypatch), pytest.raises(InterruptedRunError):
        run(write_case(tmp_path / "parts", data, time=time, output=output))
    parts = resume(tmp_path / "parts" / "runs" / "0001")
    assert_identical(stored(whole), stored(parts))


def test_guards_know_what_is_conserved(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        run(write_case(tmp_path / "open", CONTACTS, monitors={"energy_drift": 1e-3}))
    assert "monitors.particle_drift is off" in caplog.text
    assert "monitors.energy_drift is off" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        finished = run(write_case(tmp_path / "closed", COLLIDING, monitors={"energy_drift": 1e-3}))
    assert "is off" not in caplog.text
    assert not [record for record in caplog.records if record.name == "wigner_sim.monitors"]
    assert np.abs(finished.scalars["particle_number_drift"]).max() < 1e-13
    assert np.abs(finished.scalars["energy_drift"]).max() < 1e-4
    mu, temperature = (finished.fields[name] for name in ("local_chemical_potential", "local_temperature"))
    assert mu.dims == temperature.dims == ("time", "band", "x")
    assert np.isfinite(mu).all()
    assert np.isfinite(temperature).all()


def test_bands_that_exchange_particles_are_guarded_in_their_sum(tmp_path, caplog):
    case = make_case(tmp_path, COLLIDING, bands__select=[0, 1])
    monitors = Monitors(case.monitors, build_problem(case).hamiltonian, build_problem(case).baths)
    scalars = {
        "particle_number": np.array([3.0, 1.0]),
        "energy": np.array([3.0, 1.0]),
        "particle_number_drift": np.array([0.5, -0.5]),
        "energy_drift": np.array([0.5, -0.5]),
        "spectral_tail_x": np.zeros(2),
        "spectral_tail_k": np.zeros(2),
    }
    with caplog.at_level(logging.WARNING):
        monitors.check(0.0, scalars)
        monitors.check(1.0, scalars | {"particle_number": np.array([2.0, 2.0])})
        assert not caplog.text
        monitors.check(2.0, scalars | {"particle_number": np.array([2.0, 1.0])})
    assert "particle_number_drift" in caplog.text


def test_a_driven_band_relaxes_to_its_equilibrium_of_the_time(tmp_path):
    data = DRIVEN_CHAIN | {
        "initial_state": {"kind": "thermal", "mu": -1.0, "temperature": 0.3},
        "relaxation": {"rate": 50.0, "conserve": "nothing", "mu": -1.0, "temperature": 0.3},
    }
    problem = build_problem(make_case(tmp_path, data, time={"end": 1.0, "stepper": "strang", "step": 0.02}))
    stack = problem.stack()
    w = Propagator(stack, problem.stepper, problem.initial_density(stack), 0.02).advance_to(1.0)
    now, then = (equilibrium_density(stack.bands[0].effective(t), -1.0, 0.3) for t in (1.0, 0.0))
    assert np.abs(w[0] - now).max() < 0.2 * np.abs(now - then).max()


# --- physics ---


@pytest.mark.slow
@pytest.mark.parametrize("make", [texture, separable_chain])
def test_drift_of_the_thermal_state_over_100_time_units(make):
    """Falls with slope 3 in the dilation; without dealiasing the strongest gradients are noisy by then."""
    dilations, drifts = [1.0, 2.0, 4.0], []
    for dilation in dilations:
        evolution = make(n=48).dilated(dilation).evolution(2, dealias="two_thirds")
        faces = evolution.effective().faces
        w = equilibrium_density(evolution.effective(), -1.2, 0.3)
        step = choose_step(STEPPERS["rk4"], evolution, w, 0.0, 100.0, 1e-9)
        later = Propagator(evolution, STEPPERS["rk4"], w, step.dt).advance_to(100.0)
        drifts.append(np.abs(faces.to("f", later - w)).max())
    assert slope(dilations, drifts) > 2.75, drifts


SHORT = ("grid.sites=[48]", "grid.n_x=[96]", "grid.n_k=[64]", "time.end=120.0")


@pytest.mark.parametrize("rate", [1e-4, 0.05])
def test_conductance_from_landauer_to_drude(rate):
    channel = script("biased_channel")
    problem, stack, w = channel.steady_state(rate, *SHORT)
    value, deviation = channel.conductance(problem, stack, w)
    expected = np.mean(
        [channel.TwoStreams(rate, channel.MU + e, length=48.0, n=400).conductance for e in (-0.05, 0.0, 0.05)]
    )
    assert value == pytest.approx(expected, rel=0.01)
    assert deviation < 1e-3


MEAN_FIELD = CHAIN | {"mean_field": {"kind": "contact", "strength": 1.0}}


@pytest.mark.parametrize("extra", [COLLIDING, CONTACTS, MEAN_FIELD])
def test_the_matrix_equation_refuses_what_it_would_leave_out(extra):
    with pytest.raises(CaseError, match="knows no collisions, no reservoirs and no mean field"):
        build_problem(Case.from_dict(extra | {"equation": {"method": "matrix"}})).stack()
    with pytest.raises(CaseError, match="knows no collisions, no reservoirs and no mean field"):
        compare(Case.from_dict(extra), partner="matrix")
