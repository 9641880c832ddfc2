"""Every scheme's order, measured on real, imaginary, matrix-valued and driven problems; step control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.linalg
from scipy.integrate import solve_ivp

from wigner_sim.steppers import (
    STEPPERS,
    ButcherTableau,
    Composition,
    ExplicitRungeKutta,
    StepDoubling,
    choose_step,
    estimate_error,
)
from wigner_sim.steppers.runge_kutta import RK4
from wigner_sim.steppers.splitting import BLANES_MOAN4, STRANG


@dataclass(frozen=True)
class Part:
    """A flow and the right-hand side that belongs to it."""

    rhs: Callable
    flow: Callable


@dataclass(frozen=True)
class Problem:
    """Sum of parts, a start, and a bound on its eigenvalues."""

    flows: tuple[Part, ...]
    start: np.ndarray
    radius: float = 5.0

    def rhs(self, u, t):
        return sum(part.rhs(u, t) for part in self.flows)

    def spectral_radius(self, t):
        return self.radius


def linear(matrix: Callable[[float], np.ndarray]) -> Part:
    """``u' = A(t) u``, frozen at t for the flow."""
    return Part(lambda u, t: matrix(t) @ u, lambda u, t, dt: scipy.linalg.expm(dt * matrix(t)) @ u)


def commutator(matrix: Callable[[float], np.ndarray]) -> Part:
    """``u' = A(t) u - u A(t)``."""

    def flow(u, t, dt):
        e = scipy.linalg.expm(dt * matrix(t))
        return e @ u @ scipy.linalg.inv(e)

    return Part(lambda u, t: matrix(t) @ u - u @ matrix(t), flow)


def random_matrices(n: int, size: int, seed: int, kind: str) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, size, size)) + 1j * rng.normal(size=(n, size, size))
    if kind == "real":
        return list(a.real / 2)
    return list(0.25j * (a + np.swapaxes(a.conj(), -1, -2)))  # i times Hermitian


def constant(matrix):
    return lambda t: matrix


SPLIT_REAL = (
    Part(lambda u, t: u, lambda u, t, dt: np.exp(dt) * u),
    Part(lambda u, t: -(u**2), lambda u, t, dt: u / (1 + dt * u)),
    Part(lambda u, t: 0.5 + 0 * u, lambda u, t, dt: u + 0.5 * dt),
)


def problems(n_parts: int) -> dict[str, Problem]:
    """One of each kind; all parts act in all of them and none commute."""
    imaginary = random_matrices(n_parts, 3, 1, "imaginary")
    real = random_matrices(n_parts, 3, 2, "real")
    drives = (lambda t: 1 + np.cos(2 * t), lambda t: np.exp(-t), lambda t: 0.3 + np.sin(3 * t))
    vector = np.array([1.0, 2.0, -0.5])
    density = np.outer([1, 1j, 0.5], np.conj([1, 1j, 0.5]))
    return {
        "real, nonlinear": Problem(SPLIT_REAL[:n_parts], np.array([0.3, 1.7])),
        "real, linear": Problem(tuple(linear(constant(a)) for a in real), vector),
        "imaginary": Problem(tuple(linear(constant(a)) for a in imaginary), vector + 1j * vector[::-1]),
        "imaginary number, driven": Problem(
            tuple(linear(lambda t, f=f: np.array([[2j * f(t)]])) for f in drives[:n_parts]),
            np.array([1.0 + 0.5j]),
        ),
        "matrix valued": Problem(tuple(commutator(constant(a)) for a in imaginary), density),
        "matrix valued, driven": Problem(
            tuple(commutator(lambda t, a=a, f=f: f(t) * a) for a, f in zip(imaginary, drives, strict=False)),
            density,
        ),
        "real, driven": Problem(
            tuple(linear(lambda t, a=a, f=f: f(t) * a) for a, f in zip(real, drives, strict=False)), vector
        ),
    }


def integrate(stepper, problem, duration, n_steps):
    u, dt = problem.start, duration / n_steps
    for n in range(n_steps):
        u = stepper.step(problem, u, n * dt, dt)
    return u


def exact_end(problem, duration):
    """An eighth-order scheme with error control, from elsewhere."""
    shape = problem.start.shape

    def rhs(t, u):
        return problem.rhs(u.reshape(shape), t).ravel()

    start = problem.start.ravel()
    return solve_ivp(rhs, (0, duration), start, "DOP853", rtol=1e-13, atol=1e-15).y[:, -1].reshape(shape)


@pytest.mark.parametrize("n_parts", [2, 3])
@pytest.mark.parametrize("kind", problems(3))
@pytest.mark.parametrize("name", STEPPERS)
def test_declared_order_is_the_measured_one(name, kind, n_parts):
    stepper, problem, duration = STEPPERS[name], problems(n_parts)[kind], 1.5
    exact = exact_end(problem, duration)
    steps = np.array([24, 36, 54, 80])
    errors = np.array([np.abs(integrate(stepper, problem, duration, n) - exact).max() for n in steps])
    resolved = errors > 2e-12
    assert resolved.sum() >= 3, errors
    measured = -np.polyfit(np.log(steps[resolved]), np.log(errors[resolved]), 1)[0]
    assert measured == pytest.approx(stepper.order, abs=0.15), errors


def test_a_table_entry_declares_what_it_is():
    for name, stepper in STEPPERS.items():
        assert stepper.name == name
    assert STEPPERS["rk4"].order == RK4.order
    assert np.isinf(STEPPERS["strang"].stability_limit)


def test_composition_fractions_sum_to_one_and_are_symmetric():
    for fractions in (STRANG, BLANES_MOAN4):
        assert sum(fractions) == pytest.approx(1.0, abs=1e-14)
        np.testing.assert_allclose(fractions, fractions[::-1], atol=1e-14)
    assert len(BLANES_MOAN4) == 12  # six stages of two half flows each


@pytest.mark.parametrize("name", ["strang", "blanes_moan4"])
def test_symmetric_compositions_run_backwards(name):
    problem = problems(3)["matrix valued, driven"]
    there = STEPPERS[name].step(problem, problem.start, 0.3, 0.2)
    back = STEPPERS[name].step(problem, there, 0.5, -0.2)
    np.testing.assert_allclose(back, problem.start, atol=1e-13)


@pytest.mark.parametrize("name", ["strang", "blanes_moan4"])
def test_compositions_of_unitary_flows_are_unitary(name):
    problem = problems(3)["imaginary"]
    u = integrate(STEPPERS[name], problem, 30.0, 10)
    assert np.linalg.norm(u) == pytest.approx(np.linalg.norm(problem.start), rel=1e-12)


def test_one_part_is_followed_exactly_and_inputs_are_left_alone():
    problem = problems(2)["real, linear"]
    alone = Problem(problem.flows[:1], problem.start)
    start = problem.start.copy()
    exact = alone.flows[0].flow(start, 0.0, 0.7)
    for name in ("strang", "blanes_moan4"):
        np.testing.assert_allclose(STEPPERS[name].step(alone, alone.start, 0.0, 0.7), exact, rtol=1e-12)
    for stepper in STEPPERS.values():
        stepper.step(problem, problem.start, 0.0, 0.1)
        np.testing.assert_array_equal(problem.start, start)


@pytest.mark.parametrize(
    ("a", "b", "c", "sentence"),
    [
        (((0.5,),), (0.0, 1.0), (0.0, 0.4), "row sums"),
        (((0.5,),), (0.0, 1.0), (0.0, 0.5, 1.0), "row sums"),
        (((0.5,),), (0.5, 0.4), (0.0, 0.5), "weights"),
    ],
)
def test_tableau_checks_itself(a, b, c, sentence):
    with pytest.raises(ValueError, match=sentence):
        ButcherTableau(2, 0.0, a, b, c)


def test_stability_limit_of_rk4_is_where_it_is():
    """On the imaginary axis the step of ``u' = i u`` neither grows below the limit nor decays above it."""
    stepper = STEPPERS["rk4"]

    def growth(fraction):
        problem = Problem((linear(constant(np.array([[1j]]))),), np.array([1.0 + 0j]), 1.0)
        return abs(stepper.step(problem, problem.start, 0.0, fraction * stepper.stability_limit)[0])

    assert max(growth(fraction) for fraction in np.linspace(0.01, 1.0, 100)) <= 1.0
    assert growth(1.001) > 1.0


def test_estimated_error_is_the_error_of_the_two_halves():
    problem = problems(2)["imaginary"]
    exact = exact_end(problem, 0.05)
    for name in ("strang", "blanes_moan4"):
        halves, error = estimate_error(STEPPERS[name], problem, problem.start, 0.0, 0.05)
        true = np.abs(halves - exact).max() / np.abs(problem.start).max()
        assert 0.5 < error / true < 3.0, name


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("kind", ["imaginary", "matrix valued, driven", "real, nonlinear"])
@pytest.mark.parametrize("name", STEPPERS)
def test_chosen_step_meets_its_tolerance(name, kind, tolerance):
    stepper, problem, duration = STEPPERS[name], problems(2)[kind], 3.0
    chosen = choose_step(stepper, problem, problem.start, 0.0, duration, tolerance)
    n_steps = round(duration / chosen.dt)
    assert n_steps * chosen.dt == pytest.approx(duration, rel=1e-14)
    exact = exact_end(problem, duration)
    error = np.abs(integrate(stepper, problem, duration, n_steps) - exact).max()
    assert error < 3 * tolerance * np.abs(problem.start).max()  # errors of single steps need not be equal
    if not np.isfinite(stepper.stability_limit):
        assert error > 1e-3 * tolerance  # not smaller than it need be
        assert "accuracy" in chosen.reason


def test_reason_of_a_chosen_step():
    problem = Problem(problems(2)["imaginary"].flows, problems(2)["imaginary"].start, radius=1000.0)
    stable = choose_step(STEPPERS["rk4"], problem, problem.start, 0.0, 1.0, 1e-3)
    assert "stability" in stable.reason
    assert stable.dt * 1000.0 <= 0.7 * STEPPERS["rk4"].stability_limit
    at_rest = Problem((linear(constant(np.zeros((3, 3)))),) * 2, problem.start, radius=0.0)
    whole = choose_step(STEPPERS["strang"], at_rest, at_rest.start, 0.0, 2.0, 1e-6)
    assert whole.dt == 2.0
    assert "whole duration" in whole.reason


@pytest.mark.parametrize("name", STEPPERS)
@pytest.mark.parametrize("kind", ["matrix valued, driven", "real, nonlinear"])
def test_step_doubling_meets_its_tolerance(name, kind):
    problem, duration = problems(2)[kind], 3.0
    exact = exact_end(problem, duration)
    errors = []
    for tolerance in (1e-3, 1e-5, 1e-7):
        _, u, _ = adaptive_run(STEPPERS[name], problem, tolerance, duration)
        errors.append(np.abs(u - exact).max() / np.abs(problem.start).max())
        assert errors[-1] < 3 * tolerance
    assert errors[0] > errors[1] > errors[2]


def adaptive_run(stepper, problem, tolerance, duration, control=None, u=None, t=0.0, n_steps=None):
    control = control or StepDoubling(stepper, tolerance, duration, dt=1.0)
    u, taken = (problem.start if u is None else u), []
    while t < duration * (1 - 1e-13) and (n_steps is None or len(taken) < n_steps):
        u, dt = control.step(problem, u, t, duration - t)
        t += dt
        taken.append(dt)
    return control, u, taken


def test_step_doubling_follows_the_problem():
    """Small steps where the problem is fast, large ones where it rests; rejections are counted."""

    def kick(t):
        return np.array([[20j * np.exp(-200 * (t - 1) ** 2)]])

    problem = Problem((linear(kick), linear(constant(np.array([[0.1j]])))), np.array([1.0 + 0j]), 0.1)
    control, _, taken = adaptive_run(STEPPERS["blanes_moan4"], problem, 1e-6, 3.0)
    times = np.cumsum([0.0, *taken[:-1]])
    near = [dt for t, dt in zip(times, taken, strict=True) if 0.8 < t < 1.2]
    assert max(near) < 0.2 * max(taken)
    assert control.n_rejected > 0


def test_step_doubling_continues_bit_for_bit():
    stepper, problem = STEPPERS["strang"], problems(2)["matrix valued, driven"]
    _, whole, steps = adaptive_run(stepper, problem, 1e-4, 3.0)
    control, half, taken = adaptive_run(stepper, problem, 1e-4, 3.0, n_steps=5)
    fresh = StepDoubling(stepper, 1e-4, 3.0, dt=123.0)
    fresh.restore(control.state())
    assert fresh.state() == control.state()
    t = 0.0
    for dt in taken:
        t += dt
    _, end, rest = adaptive_run(stepper, problem, 1e-4, 3.0, control=fresh, u=half, t=t)
    assert taken + rest == steps
    np.testing.assert_array_equal(end, whole)


def test_step_doubling_respects_the_stability_limit_and_the_largest_step():
    problem = Problem(problems(2)["imaginary"].flows, problems(2)["imaginary"].start, radius=1000.0)
    control = StepDoubling(STEPPERS["rk4"], 1e-2, 1.0, dt=0.5)
    _, dt = control.step(problem, problem.start, 0.0, 1.0)
    assert 0.5 * dt * 1000.0 <= STEPPERS["rk4"].stability_limit
    control = StepDoubling(STEPPERS["strang"], 1e3, 1.0, dt=0.5)
    _, dt = control.step(problem, problem.start, 0.0, 0.125)
    assert dt == 0.125
    assert control.dt == 0.5  # a step cut short by an output time is not remembered


def test_step_doubling_gives_up_on_a_state_that_is_not_finite():
    problem = Problem(problems(2)["imaginary"].flows, np.array([np.nan, 0, 0]), 1.0)
    with pytest.raises(FloatingPointError, match="no longer finite"):
        StepDoubling(STEPPERS["strang"], 1e-3, 1.0, dt=0.5).step(problem, problem.start, 1.0, 1.0)


def test_wrong_coefficients_are_noticed():
    """The measurement of the order sees a scheme that is not what it says."""
    problem = problems(2)["imaginary"]
    exact = exact_end(problem, 1.5)
    spoiled = (*BLANES_MOAN4[:5], BLANES_MOAN4[5] + 1e-3, BLANES_MOAN4[6] - 1e-3, *BLANES_MOAN4[7:])
    lie = Composition("lie", 2, (1.0,))
    weights = ButcherTableau(4, 2.8, RK4.a, (0.25, 0.25, 0.25, 0.25), RK4.c)
    steps = np.array([16, 36, 80])
    for stepper in (Composition("spoiled", 4, spoiled), lie, ExplicitRungeKutta("euler-like", weights)):
        errors = [np.abs(integrate(stepper, problem, 1.5, n) - exact).max() for n in steps]
        assert -np.polyfit(np.log(steps), np.log(errors), 1)[0] < stepper.order - 0.5


def test_a_step_that_was_tried_too_long_is_not_taken_for_rounding(monkeypatch):
    """Errors that jump where the step gets too long, from far below the tolerance to far above it."""
    from wigner_sim.steppers import adaptive

    def estimated(stepper, equation, u, t, dt):
        return u, 1e-14 if dt < 0.1 else 1e-3

    monkeypatch.setattr(adaptive, "estimate_error", estimated)

    class Still:
        def spectral_radius(self, t):
            return 1000.0

    chosen = choose_step(STEPPERS["strang"], Still(), np.ones(3), 0.0, 10.0, 1e-6)
    assert 0.02 < chosen.dt < 0.1
