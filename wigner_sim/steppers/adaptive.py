"""Step size: measured error of one step, choice of a fixed step, and adaptive control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim.errors import CaseError
from wigner_sim.steppers.protocol import SplitEquation, Stepper

#: Fraction of the stability limit that a chosen step may use.
STABILITY_SAFETY = 0.7
#: First step tried for a scheme without a limit, times the spectral radius.
FIRST_TRIAL = 5.0
#: Estimated error of one step that may be rounding, and its growth, added up, with shorter steps if it is.
ROUNDING = 1e-12
ROUNDING_TAKES_OVER = 10.0


def estimate_error(
    stepper: Stepper, equation: SplitEquation, u: NDArray, t: float, dt: float
) -> tuple[NDArray, float]:
    """Two half steps, and their error relative to max|u| estimated by comparison with one whole step.

    For a scheme of order p the difference of the two results is ``2^p - 1`` times the error of the finer one.
    """
    whole = stepper.step(equation, u, t, dt)
    half = stepper.step(equation, u, t, 0.5 * dt)
    halves = stepper.step(equation, half, t + 0.5 * dt, 0.5 * dt)
    scale = max(float(np.abs(u).max()), np.finfo(float).tiny)
    error = float(np.abs(halves - whole).max()) / scale / (2**stepper.order - 1)
    return halves, error


@dataclass(frozen=True)
class ChosenStep:
    """A time step and the reason for it, in words."""

    dt: float
    reason: str


def choose_step(
    stepper: Stepper, equation: SplitEquation, u: NDArray, t: float, duration: float, tolerance: float
) -> ChosenStep:
    """Largest fixed step that is stable and keeps the estimated error over ``duration`` below ``tolerance``.

    Parameters
    ----------
    u : array
        State at time ``t``, on which the error of one step is measured.
    duration : float, time
    tolerance : float
        Allowed error at the end relative to max|u|, if errors of single steps add up.

    Returns
    -------
    ChosenStep
        Its ``dt`` divides ``duration``.

    Raises
    ------
    CaseError
        If rounding keeps the error above the tolerance however short the step, with the smallest tolerance.
    """
    radius = equation.spectral_radius(t)
    stable = STABILITY_SAFETY * stepper.stability_limit / radius if radius > 0 else np.inf
    largest = min(stable, duration)
    # up from a short step: a long one costs many substeps where a flow is not known in closed form
    trial = min(largest, FIRST_TRIAL / radius) if radius > 0 else largest
    shrunk, lowest = False, np.inf
    for _ in range(60):
        _, error = estimate_error(stepper, equation, u, t, trial)
        # halves have been measured: one step of size trial makes 2^p times that error
        accumulated = error * 2**stepper.order * duration / trial
        gain = tolerance / max(accumulated, np.finfo(float).tiny) if np.isfinite(accumulated) else 0.0
        factor = 0.9 * gain ** (1 / stepper.order)
        if gain >= 1:
            if shrunk or trial == largest or factor < 1.2:
                break
            trial = min(largest, trial * min(8.0, factor))
        elif error < ROUNDING and accumulated > ROUNDING_TAKES_OVER * lowest:  # more steps, more of it
            break
        else:
            shrunk, lowest = True, np.fmin(lowest, accumulated)
            trial *= max(0.25, min(0.9, factor))
    if gain < 1 and error < ROUNDING and np.isfinite(lowest):
        raise CaseError(
            f"time.tolerance = {tolerance:g} is below rounding: with shorter steps the estimated error over "
            f"the run does not fall below {lowest:.2g} of max|w|; the smallest sensible value is "
            f"{2 * lowest:.0e}"
        )
    if trial == duration:
        reason = f"the whole duration in one step is within the tolerance {tolerance:g}"
    elif trial == stable:
        limit = f"{stepper.stability_limit:.3g}/{radius:.3g}"
        reason = f"stability: {STABILITY_SAFETY:g} of the limit {limit} of {stepper.name}"
    else:
        reason = f"accuracy: estimated error {tolerance:g} of max|w| over the run with {stepper.name}"
    n_steps = max(1, int(np.ceil(duration / trial * (1 - 1e-12))))
    return ChosenStep(duration / n_steps, reason)


@dataclass
class StepDoubling:
    """Adaptive control: accepts two half steps when their measured error rate is within the tolerance.

    Parameters
    ----------
    stepper : Stepper
    tolerance : float
        Allowed error over ``duration``, relative to max|u|; a step may use its share ``dt/duration``.
    duration : float, time
    dt : float
        First step to try; afterwards the next one to try.

    Notes
    -----
    No local extrapolation: the result is the scheme's own, with its conservation properties.
    """

    stepper: Stepper
    tolerance: float
    duration: float
    dt: float
    n_rejected: int = 0

    def step(self, equation: SplitEquation, u: NDArray, t: float, largest: float) -> tuple[NDArray, float]:
        """Advance by an accepted step of at most ``largest``; returns the state and the step taken."""
        radius = equation.spectral_radius(t)
        stable = 2 * STABILITY_SAFETY * self.stepper.stability_limit / radius if radius > 0 else np.inf
        while True:
            dt = min(self.dt, largest, stable)
            new, error = estimate_error(self.stepper, equation, u, t, dt)
            allowed = self.tolerance * dt / self.duration
            ratio = allowed / error if error > 0 else np.inf
            factor = 0.9 * ratio ** (1 / self.stepper.order) if np.isfinite(error) else 0.2
            if np.isfinite(error) and error <= allowed:
                if dt == self.dt or factor < 1:
                    self.dt = dt * min(2.0, max(0.5, factor))
                return new, dt
            self.n_rejected += 1
            self.dt = dt * max(0.2, min(0.9, factor))
            if t + self.dt == t:
                raise FloatingPointError(
                    "the adaptive step fell to zero: time.tolerance is below rounding, or the state is no "
                    "longer finite or smooth"
                )

    def state(self) -> dict[str, Any]:
        """What a restart needs."""
        return {"dt": self.dt, "n_rejected": self.n_rejected}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state`."""
        self.dt, self.n_rejected = float(state["dt"]), int(state["n_rejected"])
