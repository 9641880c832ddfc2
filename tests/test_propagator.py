"""Advancing in time: exact arrival, equal parts, and restart from a state."""

from dataclasses import dataclass

import numpy as np
import pytest

from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS, StepDoubling

RK4 = STEPPERS["rk4"]


@dataclass
class Oscillator:
    """``du/dt = i (1 + t) u``, solved by ``exp(i (t + t^2/2))``."""

    flows: tuple = ()

    def rhs(self, u, t):
        return 1j * (1 + t) * u

    def spectral_radius(self, t):
        return 1 + t


def propagator(dt=0.1, tolerance=None, end=1.0):
    adaptive = None if tolerance is None else StepDoubling(RK4, tolerance, end, dt)
    return Propagator(Oscillator(), RK4, np.ones(3, complex), dt, adaptive)


@pytest.mark.parametrize("tolerance", [None, 1e-6])
def test_times_are_reached_exactly_and_never_passed(tolerance):
    each = propagator(tolerance=tolerance)
    for time in (0.1, 0.1 + 1e-7, 0.35, 2 / 3, 1.0):
        u = each.advance_to(time)
        assert each.time == time
        np.testing.assert_allclose(u, np.exp(1j * (time + time**2 / 2)), atol=1e-5)
    assert each.n_steps >= 10


def test_steps_are_equal_parts_of_the_way():
    each = propagator(dt=0.3)
    each.advance(1.0)
    assert each.last_step == 0.25
    assert each.time == 0.25
    each.advance_to(1.0)
    assert each.n_steps == 4


def test_without_a_limit_the_step_is_the_given_one():
    each = propagator(dt=0.3)
    each.advance(np.inf)
    assert (each.time, each.last_step) == (0.3, 0.3)


def test_rounding_leaves_no_tiny_last_step():
    each = propagator(dt=0.1)
    each.advance_to(0.3)
    assert each.n_steps == 3
    each.advance_to(0.3)
    assert each.n_steps == 3


@pytest.mark.parametrize("tolerance", [None, 1e-7])
@pytest.mark.parametrize("n_before", [0, 1, 4])
def test_a_restart_forgets_nothing(tolerance, n_before):
    first, second = propagator(0.05, tolerance), propagator(0.7, tolerance)
    for _ in range(n_before):
        first.advance(1.0)
    second.restore(first.state())
    for _ in range(5):
        first.advance(1.0)
        second.advance(1.0)
    for name, value in first.state().items():
        np.testing.assert_array_equal(value, second.state()[name], err_msg=name)


def test_a_state_is_a_copy():
    each = propagator()
    state = each.state()
    each.w[:] = 7.0
    assert np.all(state["w"] == 1.0)


def test_adaptive_steps_keep_to_the_tolerance():
    errors = []
    for tolerance in (1e-4, 1e-7):
        each = propagator(1.0, tolerance, end=3.0)
        errors.append(np.abs(each.advance_to(3.0) - np.exp(1j * 7.5)).max())
        assert errors[-1] < tolerance
    assert errors[1] < 1e-2 * errors[0]
