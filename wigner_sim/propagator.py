"""Advance a state in time with a fixed or an adaptive step, and say where it stands for a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim import aligned
from wigner_sim.schedules import fitted_step
from wigner_sim.steppers import ComposedEquation, Composition, SplitEquation, StepDoubling, Stepper


class Propagator:
    """State, time and step count of an equation being stepped.

    Parameters
    ----------
    equation : SplitEquation
    stepper : Stepper
    state : array
    dt : float, time
        The step; the first one to try if ``adaptive`` is given.
    adaptive : StepDoubling, optional
    """

    def __init__(
        self,
        equation: SplitEquation,
        stepper: Stepper,
        state: NDArray[Any],
        dt: float,
        adaptive: StepDoubling | None = None,
    ):
        self.equation = equation
        self.stepper = stepper
        self.w = state
        self.dt = dt
        self.adaptive = adaptive
        self.time = 0.0
        self.n_steps = 0
        self.last_step = 0.0
        self._own: NDArray[Any] | None = None

    def advance(self, limit: float) -> None:
        """Take one step that ends at ``limit`` at the latest (exactly there, if it reaches it)."""
        if self.adaptive is not None:
            self.w, taken = self.adaptive.step(self.equation, self.w, self.time, limit - self.time)
        else:
            taken = fitted_step(self.time, limit, self.dt)
            self._step(taken)
        after = self.time + taken
        self.time = limit if after >= limit * (1 - 1e-14) else after
        self.last_step = taken
        self.n_steps += 1

    def _step(self, dt: float) -> None:
        """One step; in place, on an array of its own, where stepper and equation know how."""
        if not (isinstance(self.stepper, Composition) and isinstance(self.equation, ComposedEquation)):
            self.w = self.stepper.step(self.equation, self.w, self.time, dt)
            return
        if self.w is not self._own:
            self.w = self._own = aligned.copy(self.w)
        self.stepper.step_in_place(self.equation, self.w, self.time, dt)

    def advance_to(self, time: float) -> NDArray[Any]:
        """Step until ``time`` and return the state there (later steps may be done in the same array)."""
        while self.time < time:
            self.advance(time)
        return self.w

    def state(self) -> dict[str, Any]:
        """Everything a restart needs, bit for bit."""
        return {
            "w": np.array(self.w),
            "time": self.time,
            "n_steps": self.n_steps,
            "dt": self.dt,
            "last_step": self.last_step,
            "adaptive": {} if self.adaptive is None else self.adaptive.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`state`."""
        self.w = np.asarray(state["w"])
        self.time, self.dt = float(state["time"]), float(state["dt"])
        self.n_steps, self.last_step = int(state["n_steps"]), float(state["last_step"])
        if self.adaptive is not None:
            self.adaptive.restore(state["adaptive"])
