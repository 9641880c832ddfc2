"""Run a case and resume a run: the named phases between a validated case and a finished run directory."""

from __future__ import annotations

import logging
import shlex
import signal
import threading
import time as wall_time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from wigner_sim.case import Case
from wigner_sim.errors import BandTouchingError, CaseError, InterruptedRunError, NumericalStopError
from wigner_sim.feasibility import check_gradients, check_resolution, check_step_count, state_warnings
from wigner_sim.kinetics.band_stack import BandStack
from wigner_sim.monitors import Monitors
from wigner_sim.problem import Problem, build_problem, describe, read_case
from wigner_sim.progress import Progress
from wigner_sim.propagator import Propagator
from wigner_sim.provenance import provenance
from wigner_sim.recorder import Recorder
from wigner_sim.run_directory import RunDirectory, create_run_directory
from wigner_sim.runs import Run, open_run
from wigner_sim.schedules import EveryWallSeconds, make_schedule
from wigner_sim.steppers import StepDoubling

_log = logging.getLogger("wigner_sim.simulation")

#: Seconds of real time between two updates of status.json.
STATUS_SECONDS = 2.0


@dataclass(frozen=True)
class Prepared:
    """A case that has passed every check and could be stepped now."""

    case: Case
    problem: Problem
    stack: BandStack
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
    stack = problem.stack()
    warnings = [*check_resolution(problem.grid, stack), *check_gradients(stack)]
    w = problem.initial_density(stack)
    warnings += state_warnings(problem.grid, stack, w, case.monitors.spectral_tail)
    dt, reason = _time_step(case, problem, stack, w)
    reason += problem.precision_note(stack, w, dt)
    return Prepared(case, problem, stack, _propagator(case, problem, stack, w, dt), reason, warnings)


def prepare_resumed(case: Case, checkpoint: Mapping[str, Any]) -> Prepared:
    """Build the problem and continue from a checkpoint: state and step come from there, not from the case."""
    problem = build_problem(case, with_initial_states=False)
    stack = problem.stack()
    state = checkpoint["propagator"]
    propagator = _propagator(case, problem, stack, state["w"], state["dt"])
    propagator.restore(state)
    return Prepared(case, problem, stack, propagator, checkpoint["step_reason"])


def _propagator(case: Case, problem: Problem, stack: BandStack, w: np.ndarray, dt: float) -> Propagator:
    adaptive = None
    if case.time.adaptive:
        adaptive = StepDoubling(problem.stepper, problem.tolerance, problem.duration, dt)
    return Propagator(stack, problem.stepper, w, dt, adaptive)


def _time_step(case: Case, problem: Problem, stack: BandStack, w: np.ndarray) -> tuple[float, str]:
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


def run(case: Case | str | Path, overrides: Sequence[str] = (), show_progress: bool = False) -> Run:
    """Run a case in a new run directory and return the finished run.

    Parameters
    ----------
    case : Case or path
        A case, or the path of its directory or file.
    overrides : sequence of str
        ``"section.key=value"``, recorded with the run.
    show_progress : bool

    Raises
    ------
    CaseError
        If the case cannot be run as written; nothing is created then.
    NumericalStopError
        If a guard stops the run; what was computed is kept.
    InterruptedRunError
        After an interrupt, with a checkpoint to resume from.
    """
    prepared = check(case, overrides)
    directory = create_run_directory(prepared.case)
    return Simulation(prepared, directory, show_progress).integrate()


def resume(path: str | Path, show_progress: bool = False) -> Run:
    """Continue a stopped run from its last checkpoint; nothing but its directory is needed.

    Raises
    ------
    CaseError
        If there is no such run, no checkpoint, or nothing left to do.
    """
    directory = open_run(path).directory
    if not directory.checkpoints.paths():
        raise CaseError(f"{directory.path}: no checkpoint to resume from")
    checkpoint = directory.checkpoints.load_latest()
    case = directory.case
    if checkpoint["propagator"]["time"] >= case.time.end:
        raise CaseError(f"{directory.path}: the run is complete (t = {case.time.end:g})")
    return Simulation(prepare_resumed(case, checkpoint), directory, show_progress, checkpoint).integrate()


class Simulation:
    """One run: records, guards, checkpoints, and the loop.

    Parameters
    ----------
    prepared : Prepared
    directory : RunDirectory
    show_progress : bool
    checkpoint : mapping, optional
        What ``prepared`` continues from.
    """

    def __init__(
        self,
        prepared: Prepared,
        directory: RunDirectory,
        show_progress: bool = False,
        checkpoint: Mapping[str, Any] | None = None,
    ):
        self._prepared = prepared
        self._case, self._problem = prepared.case, prepared.problem
        self._propagator = prepared.propagator
        self._directory = directory
        self._shown = show_progress
        self._recorder = Recorder(prepared.stack, prepared.case.output)
        self._checkpoint_schedule = make_schedule(prepared.case.output.checkpoint_every)
        self._status_schedule = EveryWallSeconds(STATUS_SECONDS)
        self._monitors = Monitors(prepared.case.monitors, prepared.problem.hamiltonian)
        self._run_id = str(uuid.uuid4())
        self._resumed = checkpoint is not None
        if checkpoint is not None:
            self._restore(checkpoint)

    def integrate(self) -> Run:
        """Step to the end of the run, recording on the way."""
        started = wall_time.monotonic()
        with ExitStack() as stack:
            stack.enter_context(self._directory.lock())
            stack.enter_context(self._directory.logging_to_file())
            interrupted = stack.enter_context(_interrupts())
            self._announce()
            try:
                stack.enter_context(closing(self._recorder))
                self._recorder.open(
                    self._directory, self._attributes(), self._propagator.time if self._resumed else None
                )
                self._step_to_end(interrupted)
            except InterruptedRunError:
                raise
            except BaseException as error:
                reason = str(error) or type(error).__name__
                self._directory.write_status(self._status(f"stopped: {reason}"))
                _log.error("stopped at t = %.6g: %s", self._propagator.time, reason)
                raise
            _log.info("done: %d steps in %.1f s", self._propagator.n_steps, wall_time.monotonic() - started)
        return open_run(self._directory.path)

    # --- phases ---

    def _announce(self) -> None:
        for line in describe(self._problem):
            _log.info(line)
        for warning in self._prepared.warnings:
            _log.warning(warning)
        kind = "adaptive step, first" if self._case.time.adaptive else "step"
        _log.info("%s %.6g (%s)", kind, self._propagator.dt, self._prepared.step_reason)
        begun = f"resumed at t = {self._propagator.time:.6g}" if self._resumed else "run"
        _log.info("%s in %s", begun, self._directory.path)

    def _attributes(self) -> dict[str, str]:
        """Global attributes of the output files."""
        return provenance(
            self._case.title,
            self._directory.case_text,
            self._case.to_toml(),
            self._run_id,
            case_name=self._case.name,
            time_step_reason=self._prepared.step_reason,
        )

    def _step_to_end(self, interrupted: Callable[[], bool]) -> None:
        propagator, end = self._propagator, self._problem.duration
        with Progress(propagator.time, end, self._shown) as progress:
            if not self._resumed:
                self._record()
                self._checkpoint_schedule.due(0, 0.0)
                self._save("running")
            while propagator.time < end:
                if interrupted():
                    self._stop_for_now()
                self._advance(min(end, self._recorder.next_time()))
                self._record()
                progress.update(propagator.time, self._figures())
                if self._status_schedule.due(propagator.n_steps, propagator.time):
                    self._directory.write_status(self._status("running"))
                # checkpoints never shape a step: when they fall must not change the result
                if propagator.time < end and self._checkpoint_schedule.due(
                    propagator.n_steps, propagator.time
                ):
                    self._save("running")
            self._save("complete")

    def _advance(self, limit: float) -> None:
        """Take one step; a state that is not finite never gets into a checkpoint."""
        propagator = self._propagator
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                propagator.advance(limit)
        except FloatingPointError as error:
            raise NumericalStopError(f"at t = {propagator.time:.6g} {error}") from None
        except BandTouchingError as error:
            raise NumericalStopError(f"shortly after t = {propagator.time:.6g}: {error}") from None
        if not np.isfinite(propagator.w).all():
            raise NumericalStopError(
                f"the state is no longer finite at t = {propagator.time:.6g}: the step is unstable; "
                "reduce time.step"
            )

    def _record(self) -> None:
        """Write what is due at the present time, and let the guards look at it."""
        if self._recorder.record(self._propagator, last=self._propagator.time >= self._problem.duration):
            self._monitors.check(self._propagator.time, self._recorder.latest)

    def _figures(self) -> dict[str, str]:
        """What the progress line says besides the time."""
        latest = self._recorder.latest
        figures = {"step": str(self._propagator.n_steps)}
        if latest:
            worst = {name: float(np.abs(values).max()) for name, values in latest.items()}
            figures |= {
                "dN": f"{worst['particle_number_drift']:.1e}",
                "dE": f"{worst['energy_drift']:.1e}",
                "tail": f"{max(worst['spectral_tail_x'], worst['spectral_tail_k']):.0e}",
                "c": f"{latest['occupation_min'].min():.3g}..{latest['occupation_max'].max():.3g}",
            }
        return figures

    # --- state ---

    def _status(self, state: str) -> dict[str, Any]:
        propagator = self._propagator
        return {
            "state": state,
            "time": propagator.time,
            "end": self._problem.duration,
            "n_steps": propagator.n_steps,
        }

    def _save(self, state: str) -> None:
        self._directory.checkpoints.save(
            {
                "run_id": self._run_id,
                "step_reason": self._prepared.step_reason,
                "propagator": self._propagator.state(),
                "recorder": self._recorder.state(),
                "checkpoint_schedule": self._checkpoint_schedule.state(),
            },
            self._propagator.n_steps,
        )
        self._directory.write_status(self._status(state))

    def _restore(self, checkpoint: Mapping[str, Any]) -> None:
        self._run_id = str(checkpoint["run_id"])
        self._recorder.restore(checkpoint["recorder"])
        self._checkpoint_schedule.restore(checkpoint["checkpoint_schedule"])

    def _stop_for_now(self) -> None:
        """Leave a checkpoint and say how to go on."""
        self._save("stopped: interrupted")
        reason = f"interrupted at t = {self._propagator.time:.6g}"
        _log.info(reason)
        path = shlex.quote(str(self._directory.path))
        raise InterruptedRunError(f"{reason}; continue with: wigner-sim resume {path}")


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Turn the first SIGINT or SIGTERM into a flag; a second one acts as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    caught: list[int] = []
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handler(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        for each, action in previous.items():
            signal.signal(each, action)

    for number in previous:
        signal.signal(number, handler)
    try:
        yield lambda: bool(caught)
    finally:
        for number, action in previous.items():
            signal.signal(number, action)
