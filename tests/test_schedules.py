"""Schedules: nothing dropped, nothing repeated, also over a restart and with accumulated rounding."""

import json
import math

import numpy as np
import pytest

from wigner_sim.schedules import (
    AnyOf,
    AtTimes,
    EverySteps,
    EveryTime,
    EveryWallSeconds,
    Never,
    fitted_step,
    make_schedule,
)


def occasions(schedule, n_steps, dt, restart_at=None, make=None):
    """Steps at which a run with a summed-up time finds the schedule due."""
    found, time = [], 0.0
    for step in range(n_steps + 1):
        if schedule.due(step, time):
            found.append(step)
        if step == restart_at:
            state = json.loads(json.dumps(schedule.state()))
            schedule = make()
            schedule.restore(state)
        time += dt
    return found


def test_every_time_is_robust_to_accumulated_rounding():
    found = occasions(EveryTime(0.3), n_steps=30_000, dt=0.1)
    assert found == list(range(0, 30_001, 3))


@pytest.mark.parametrize("dt", [1e-6, 0.1, 1 / 3, 7e5])
def test_every_time_scales(dt):
    assert occasions(EveryTime(7 * dt), n_steps=700, dt=dt) == list(range(0, 701, 7))


def test_every_time_counts_a_long_jump_once():
    schedule = EveryTime(1.0)
    found = [schedule.due(0, t) for t in (0.0, 0.5, 3.7, 3.9, 4.0, 4.0)]
    assert found == [True, False, True, False, True, False]


def test_every_steps():
    assert occasions(EverySteps(4), n_steps=20, dt=0.1) == [0, 4, 8, 12, 16, 20]


def test_at_times_are_hit_in_order_and_once():
    schedule = AtTimes([0.3, 0.1, 0.1])
    assert schedule.next_time() == 0.1
    assert [schedule.due(0, t) for t in (0.0, 0.1, 0.2, 0.1 + 0.2, 0.4)] == [False, True, False, True, False]
    assert schedule.next_time() == math.inf


MAKERS = {
    "steps": lambda: EverySteps(3),
    "time": lambda: EveryTime(0.25),
    "times": lambda: AtTimes([0.2, 0.9, 1.7]),
    "any": lambda: AnyOf(EverySteps(4), AtTimes([0.5, 1.3])),
    "never": Never,
}


@pytest.mark.parametrize("restart_at", range(0, 21))
@pytest.mark.parametrize("name", MAKERS)
def test_restart_drops_and_repeats_nothing(name, restart_at):
    make = MAKERS[name]
    expected = occasions(make(), 20, 0.1)
    assert occasions(make(), 20, 0.1, restart_at, make) == expected
    assert (name == "never") == (expected == [])


def test_wall_clock_counts_running_time_only():
    now = [100.0]
    schedule = EveryWallSeconds(60, clock=lambda: now[0])
    assert not schedule.due(0, 0.0)
    now[0] += 45
    state = schedule.state()
    now[0] += 1e6
    resumed = EveryWallSeconds(60, clock=lambda: now[0])
    resumed.restore(state)
    assert not resumed.due(0, 0.0)
    now[0] += 14
    assert not resumed.due(0, 0.0)
    now[0] += 2
    assert resumed.due(0, 0.0)
    assert not resumed.due(0, 0.0)


def test_any_of_settles_coinciding_occasions_together():
    schedule = AnyOf(EveryTime(0.5), AtTimes([0.5]))
    assert [schedule.due(0, t) for t in (0.0, 0.5, 0.6)] == [True, True, False]
    assert schedule.next_time() == 1.0


def test_stepping_to_next_time_hits_every_occasion_exactly():
    schedule, time, hit = EveryTime(0.1), 0.0, []
    while len(hit) < 200:
        if schedule.due(0, time):
            hit.append(time)
        goal = schedule.next_time()
        step = fitted_step(time, goal, 0.03)
        assert 0.02 < step <= 0.03
        time = goal if time + step >= goal - 1e-12 else time + step
    assert hit == [n * 0.1 for n in range(200)]


def test_fitted_step_is_the_whole_way_if_it_fits_up_to_rounding():
    assert fitted_step(0.0, 0.3, 0.1) == pytest.approx(0.1, rel=1e-12)
    assert fitted_step(0.0, 0.1, 0.5) == 0.1
    assert fitted_step(1.0, math.inf, 0.5) == 0.5


@pytest.mark.parametrize(
    ("every", "kind"),
    [
        (0.5, EveryTime),
        (2, EveryTime),
        ({"steps": 3}, EverySteps),
        ({"wall_seconds": 9}, EveryWallSeconds),
        ("never", Never),
    ],
)
def test_make_schedule(every, kind):
    assert type(make_schedule(every)) is kind


@pytest.mark.parametrize(
    "every", ["always", {"hours": 3}, 0, -1.0, {"steps": 0}, {"wall_seconds": 0}, np.nan]
)
def test_impossible_cadences(every):
    with pytest.raises(ValueError, match=r"cadence|interval"):
        make_schedule(every)
