"""Run a case and resume a run: the named phases between a validated case and a finished run directory."""

from __future__ import annotations

import logging
import signal
import threading
import time as wall_time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from wigner_sim.case import Case, load_case
from wigner_sim.errors import CaseError, InterruptedRunError, NumericalStopError
from wigner_sim.kinetics.band_stack import BandStack
from wigner_sim.monitors import Monitors
from wigner_sim.observables import BandState
from wigner_sim.output import NetcdfStream, grid_coordinates, resume_stream, write_static
from wigner_sim.problem import Problem, build_problem, check_resolution, describe
from wigner_sim.progress import Progress
from wigner_sim.propagator import Propagator
from wigner_sim.provenance import provenance
from wigner_sim.recorder import (
    band_fields,
    band_phase,
    band_scalars,
    geometry_variables,
    relative_drifts,
    stream_variables,
)
from wigner_sim.run_directory import RunDirectory, create_run_directory
from wigner_sim.runs import Run, open_run
from wigner_sim.schedules import Schedule, make_schedule
from wigner_sim.steppers import StepDoubling, choose_step

_log = logging.getLogger("wigner_sim.simulation")

STREAMS = ("scalars", "fields", "phase")


@dataclass(frozen=True)
class Prepared:
    """A case that has passed every check and could be stepped now."""

    case: Case
    problem: Problem
    stack: BandStack
    propagator: Propagator
    step_reason: str
    warnings: Sequence[str]


def prepare(case: Case) -> Prepared:
    """Build the problem, check it, make the initial state and choose the step.  Nothing is written.

    Raises
    ------
    CaseError
        If the case cannot be run as written.
    """
    problem = build_problem(case)
    stack = problem.stack()
    warnings = check_resolution(problem, stack)
    w = problem.initial_density(stack)
    dt, reason = _time_step(case, problem, stack, w)
    adaptive = None
    if case.time.adaptive:
        adaptive = StepDoubling(problem.stepper, problem.tolerance, problem.duration, dt)
    propagator = Propagator(stack, problem.stepper, w, dt, adaptive)
    return Prepared(case, problem, stack, propagator, reason, warnings)


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
    case = case if isinstance(case, Case) else load_case(case)
    return prepare(case.with_overrides(overrides) if overrides else case)


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
    state = directory.checkpoints.load_latest()
    prepared = prepare(directory.case)
    if state["propagator"]["time"] >= prepared.problem.duration:
        raise CaseError(f"{directory.path}: the run is complete (t = {prepared.problem.duration:g})")
    return Simulation(prepared, directory, show_progress, state).integrate()


class Simulation:
    """One run: streams with their schedules, guards, checkpoints, and the loop.

    Parameters
    ----------
    prepared : Prepared
    directory : RunDirectory
    show_progress : bool
    checkpoint : mapping, optional
        State to continue from.
    """

    def __init__(
        self,
        prepared: Prepared,
        directory: RunDirectory,
        show_progress: bool = False,
        checkpoint: Mapping[str, Any] | None = None,
    ):
        self._case, self._problem, self._stack = prepared.case, prepared.problem, prepared.stack
        self._propagator = prepared.propagator
        self._prepared = prepared
        self._directory = directory
        self._shown = show_progress
        output = prepared.case.output
        self._schedules: dict[str, Schedule] = {
            name: make_schedule(getattr(output, f"{name}_every")) for name in STREAMS
        }
        self._checkpoint_schedule = make_schedule(output.checkpoint_every)
        self._monitors = Monitors(prepared.case.monitors, prepared.problem.hamiltonian)
        self._run_id = str(uuid.uuid4())
        self._initial: dict[str, np.ndarray] = {}
        self._resumed = checkpoint is not None
        self._streams: dict[str, NetcdfStream] = {}
        self._latest: dict[str, np.ndarray] = {}
        if checkpoint is not None:
            self._restore(checkpoint)

    def integrate(self) -> Run:
        """Step to the end of the run, recording on the way."""
        end = self._problem.duration
        with ExitStack() as stack:
            stack.enter_context(self._directory.lock())
            stack.enter_context(self._directory.logging_to_file())
            self._announce()
            self._open_streams(stack)
            progress = stack.enter_context(Progress(self._propagator.time, end, self._shown))
            interrupted = stack.enter_context(_interrupts())
            started = wall_time.monotonic()
            try:
                if not self._resumed:
                    self._record()
                while self._propagator.time < end:
                    self._propagator.advance(min(end, self._next_time()))
                    self._record()
                    progress.update(self._propagator.time, self._figures())
                    if self._checkpoint_schedule.due(self._propagator.n_steps, self._propagator.time):
                        self._save("running")
                    if interrupted():
                        self._stop(f"interrupted at t = {self._propagator.time:.6g}", InterruptedRunError)
            except (NumericalStopError, FloatingPointError) as error:
                self._directory.write_status(self._status(f"stopped: {error}"))
                _log.error("%s", error)
                raise (
                    error if isinstance(error, NumericalStopError) else NumericalStopError(str(error))
                ) from None
            self._save("complete")
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
        _log.info("%s in %s", "resumed" if self._resumed else "run", self._directory.path)

    def _open_streams(self, stack: ExitStack) -> None:
        grid, output = self._problem.grid, self._case.output
        coordinates = grid_coordinates(grid, self._problem.bands)
        attributes = provenance(
            self._case.title,
            self._directory.case_text,
            self._case.to_toml(),
            self._run_id,
            case_name=self._case.name,
            time_step_reason=self._prepared.step_reason,
        )
        for name in STREAMS:
            # drifts would be lost in single precision
            options: dict[str, Any] = {
                "precision": "float64" if name == "scalars" else output.precision,
                "compression": output.compression,
            }
            path, variables = self._directory.stream_path(name), stream_variables(name, grid, output.face)
            if self._resumed:
                time = self._propagator.time
                stream = resume_stream(path, time, variables, coordinates, attributes, **options)
            else:
                stream = NetcdfStream(path, variables, coordinates, attributes, **options)
            self._streams[name] = stack.enter_context(stream)
        path = self._directory.stream_path("geometry")
        if not path.exists():
            specs, arrays = geometry_variables([band.effective(0.0) for band in self._stack.bands])
            write_static(path, specs, coordinates, attributes, arrays, **options)

    def _record(self) -> None:
        """Write what is due at the present time."""
        time, n_steps = self._propagator.time, self._propagator.n_steps
        due = [name for name, schedule in self._schedules.items() if schedule.due(n_steps, time)]
        if time >= self._problem.duration:
            due = [name for name in STREAMS if self._case_stores(name)]
        if not due:
            return
        states = [
            BandState(band.effective(time), w)
            for band, w in zip(self._stack.bands, self._propagator.w, strict=True)
        ]
        if "scalars" in due:
            self._latest = self._scalars(states)
            self._streams["scalars"].append(time, self._latest)
            self._monitors.check(time, self._latest)
        if "fields" in due:
            self._streams["fields"].append(time, band_fields(states))
        if "phase" in due:
            self._streams["phase"].append(time, band_phase(states, self._case.output.face))

    def _scalars(self, states: Sequence[BandState]) -> dict[str, np.ndarray]:
        scalars = band_scalars(states)
        self._initial = self._initial or dict(scalars)
        return {
            **scalars,
            **relative_drifts(scalars, self._initial),
            "time_step": np.asarray(self._propagator.last_step or self._propagator.dt),
        }

    def _case_stores(self, stream: str) -> bool:
        last = self._streams[stream].times
        return getattr(self._case.output, f"{stream}_every") != "never" and not (
            len(last) and last[-1] >= self._propagator.time
        )

    def _next_time(self) -> float:
        return min(
            schedule.next_time() for schedule in (*self._schedules.values(), self._checkpoint_schedule)
        )

    def _figures(self) -> dict[str, str]:
        if not self._latest:
            return {"step": str(self._propagator.n_steps)}
        worst = {name: float(np.abs(values).max()) for name, values in self._latest.items()}
        return {
            "step": str(self._propagator.n_steps),
            "dN": f"{worst['particle_number_drift']:.1e}",
            "dE": f"{worst['energy_drift']:.1e}",
            "tail": f"{max(worst['spectral_tail_x'], worst['spectral_tail_k']):.0e}",
            "c": f"{float(self._latest['occupation_min'].min()):.3g}..{worst['occupation_max']:.3g}",
        }

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
                "propagator": self._propagator.state(),
                "initial": self._initial,
                "schedules": {name: schedule.state() for name, schedule in self._schedules.items()},
                "checkpoint_schedule": self._checkpoint_schedule.state(),
            },
            self._propagator.n_steps,
        )
        self._directory.write_status(self._status(state))

    def _restore(self, checkpoint: Mapping[str, Any]) -> None:
        self._run_id = str(checkpoint["run_id"])
        self._propagator.restore(checkpoint["propagator"])
        self._initial = {name: np.asarray(values) for name, values in checkpoint["initial"].items()}
        for name, schedule in self._schedules.items():
            schedule.restore(checkpoint["schedules"][name])
        self._checkpoint_schedule.restore(checkpoint["checkpoint_schedule"])

    def _stop(self, reason: str, error: type[InterruptedRunError]) -> None:
        self._save(f"stopped: {reason}")
        raise error(f"{reason}; continue with: wigner-sim resume {self._directory.path}")


def _time_step(case: Case, problem: Problem, stack: BandStack, w: np.ndarray) -> tuple[float, str]:
    if case.time.step == "auto":
        chosen = choose_step(problem.stepper, stack, w, 0.0, problem.duration, problem.tolerance)
        return chosen.dt, chosen.reason
    step, radius = float(case.time.step), stack.spectral_radius(0.0)
    limit = problem.stepper.stability_limit / radius if radius else np.inf
    if step > limit:
        raise CaseError(
            f"time.step = {step:g} is above the stability limit {limit:.4g} of {problem.stepper.name} "
            f'on this grid: use a smaller one, or "auto"'
        )
    return step, "given in the case"


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
