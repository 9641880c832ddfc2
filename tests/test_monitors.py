"""Guards: what they watch, when they warn, when they stop."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from wigner_sim.case.sections.run import MonitorsSection
from wigner_sim.errors import NumericalStopError
from wigner_sim.monitors import REMEDIES, WATCHED, Monitors

GOOD = {
    "particle_number_drift": np.array([1e-15, -1e-15]),
    "energy_drift": np.array([1e-7, 0.0]),
    "spectral_tail_x": np.array([1e-8, 1e-9]),
    "spectral_tail_k": np.array([1e-8, 1e-9]),
    "particle_number": np.array([3.0, 2.0]),
    "occupation_min": np.array([0.1, 0.0]),
    "occupation_max": np.array([0.9, 1.0]),
}
DRIFTS = [name for guard, names in WATCHED.items() if guard != "occupation" for name in names]


def monitors(driven=False, force=None, **section):
    return Monitors(MonitorsSection(**section), SimpleNamespace(driven=driven, force=force))


def test_every_guard_of_a_case_is_watched_and_has_a_remedy():
    guards = set(MonitorsSection.model_fields) - {"action", "validity"}
    assert guards == set(WATCHED) == set(REMEDIES)


def test_a_good_run_passes_in_silence(caplog):
    monitors(action="stop").check(1.0, GOOD)
    assert not caplog.records


@pytest.mark.parametrize("name", DRIFTS)
def test_each_guard_stops_or_warns_once_on_the_worst_band(name, caplog):
    guard = next(guard for guard, names in WATCHED.items() if name in names)
    bad = GOOD | {name: np.array([0.0, -5.0])}
    with pytest.raises(NumericalStopError, match=rf"{name} is 5 at t = 2, above monitors.{guard} = "):
        monitors(action="stop").check(2.0, bad)
    warning = monitors()
    with caplog.at_level(logging.WARNING, logger="wigner_sim"):
        for time in (1.0, 2.0):
            warning.check(time, bad)
    assert [record.getMessage().split(" at ")[0] for record in caplog.records] == [f"{name} is 5"]
    monitors(action="stop", **{guard: "off"}).check(1.0, bad)
    monitors(action="stop", **{guard: 6.0}).check(1.0, bad)


@pytest.mark.parametrize(("name", "value"), [("occupation_min", -0.2), ("occupation_max", 1.2)])
def test_the_occupation_may_be_held_to_zero_and_one(name, value):
    bad = GOOD | {name: np.array([0.5, value])}
    monitors(action="stop").check(1.0, bad)  # off by default
    monitors(action="stop", occupation=0.3).check(1.0, bad)
    with pytest.raises(NumericalStopError, match=rf"{name} leaves \[0, 1\] by 0.2 at t = 2, above"):
        monitors(action="stop", occupation=0.1).check(2.0, bad)


def test_what_the_guards_saw_is_kept():
    guards = monitors()
    guards.check(1.0, GOOD | {"energy_drift": np.array([0.5, 0.0])})
    summary = guards.summary()
    not_measured = {"predicted_error", "zener_probability", "metric_smearing"}
    assert set(summary) == set(WATCHED) - {"occupation"} - not_measured
    assert summary["energy_drift"]["value"] == 0.5
    assert "above monitors.energy_drift" in summary["energy_drift"]["warning"]
    assert summary["particle_drift"] == {"value": 1e-15, "limit": 1e-10, "warning": ""}


def test_energy_may_change_under_a_drive_or_a_force():
    changing = GOOD | {"energy_drift": np.array([0.5])}
    monitors(driven=True, action="stop").check(1.0, changing)
    monitors(force=lambda t: np.array([0.1]), action="stop").check(1.0, changing)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_always_stop(value):
    with pytest.raises(NumericalStopError, match="particle_number is no longer finite at t = 3"):
        monitors().check(3.0, GOOD | {"particle_number": np.array([1.0, value])})
