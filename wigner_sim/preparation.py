"""From a case to something that could be stepped now: every check before a run, and the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wigner_sim import fourier
from wigner_sim.case import Case
from wigner_sim.errors import CaseError
from wigner_sim.feasibility import check_gradients, check_resolution, check_step_count, state_warnings
from wigner_sim.forecast import check_disk, steps_to_end, stream_forecasts
from wigner_sim.kinetics.phase_space_system import PhaseSpaceSystem
from wigner_sim.problem import Problem, build_problem, read_case
from wigner_sim.propagator import Propagator
from wigner_sim.selection import select
from wigner_sim.steppers import StepDoubling


@dataclass(frozen=True)
class Prepared:
    """A case that has passed every check and could be stepped now."""

    case: Case
    problem: Problem
    stack: PhaseSpaceSystem
    propagator: Propagator
    step_reason: str
    warnings: Sequence[str] = ()


def prepare(case: Case) -> Prepared:
    """Build the problem, check it, make the initial state and choose the step.  Nothing is written.

    Raises
    ------
    CaseError
        If the case cannot be run as written.
    """
    problem = build_problem(case)
    select(case.output, problem.grid)
    stack = problem.stack()
    warnings = [
        f"{key} is a function of this Python session: a run of this case can be resumed from here only, or "
        "with functions={...}"
        for key in case.session_functions()
    ]
    warnings += check_resolution(problem.grid, stack)
    if problem.method == "kinetic":  # the matrix equation has no expansion that could fail
        warnings += check_gradients(stack)
    w = problem.initial_density(stack)
    warnings += state_warnings(problem.grid, stack, w, case.monitors.spectral_tail)
    state = stack.assemble(w)
    dt, reason = _time_step(case, problem, stack, state)
    reason += problem.precision_note(stack, state, dt)
    if case.limits.check_disk:
        n_steps = steps_to_end(case.output, problem.duration, dt)
        forecasts = stream_forecasts(case.output, problem.grid, len(stack.bands), problem.duration, n_steps)
        check_disk(forecasts, state.nbytes, case.directory)
    return Prepared(case, problem, stack, _propagator(case, problem, stack, state, dt), reason, warnings)


def prepare_resumed(case: Case, checkpoint: Mapping[str, Any]) -> Prepared:
    """Build the problem and continue from a checkpoint: state and step come from there, not from the case."""
    if known := checkpoint.get("wisdom"):
        fourier.learn(known)
    problem = build_problem(case, with_initial_states=False)
    stack = problem.stack()
    state = checkpoint["propagator"]
    propagator = _propagator(case, problem, stack, state["w"], state["dt"])
    propagator.restore(state)
    return Prepared(case, problem, stack, propagator, checkpoint["step_reason"])


def _propagator(
    case: Case, problem: Problem, stack: PhaseSpaceSystem, w: np.ndarray, dt: float
) -> Propagator:
    adaptive = None
    if case.time.adaptive:
        adaptive = StepDoubling(problem.stepper, problem.tolerance, problem.duration, dt)
    return Propagator(stack, problem.stepper, w, dt, adaptive)


def _time_step(case: Case, problem: Problem, stack: PhaseSpaceSystem, w: np.ndarray) -> tuple[float, str]:
    """The step and the reason for it; one given in the case has to be stable and no longer than the run."""
    if case.time.step == "auto":
        chosen = problem.choose_step(stack, w, problem.tolerance)
        return chosen.dt, chosen.reason
    step, limit = float(case.time.step), problem.stability_limit(stack)
    if step > limit:
        raise CaseError(
            f"time.step = {step:g} is above the stability limit {limit:.4g} of {problem.stepper.name} "
            f'on this grid: use a smaller one, or "auto"'
        )
    if step > problem.duration:
        raise CaseError(f"time.step = {step:g} is longer than the run, time.end = {problem.duration:g}")
    problem.check_backward_steps(stack, step)
    check_step_count(problem.duration / step)
    return step, "given in the case"


def check(case: Case | str | Path, overrides: Sequence[str] = ()) -> Prepared:
    """Check a case as a run would, without writing anything.

    Parameters
    ----------
    case : Case or path
    overrides : sequence of str
        ``"section.key=value"``.

    Raises
    ------
    CaseError
        If it cannot be run as written.
    """
    return prepare(read_case(case, overrides))
