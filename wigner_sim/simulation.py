"""Run a case and resume a run: the named phases between a validated case and a finished run directory."""

from __future__ import annotations

import logging
import shlex
import time as wall_time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from wigner_sim import fourier, wisdom
from wigner_sim.case import Case
from wigner_sim.errors import (
    BandTouchingError,
    CaseError,
    InterruptedRunError,
    NumericalStopError,
    WallTimeError,
)
from wigner_sim.interrupts import interrupts
from wigner_sim.monitors import Monitors
from wigner_sim.preparation import Prepared, check, prepare, prepare_resumed
from wigner_sim.problem import describe
from wigner_sim.progress import Progress
from wigner_sim.provenance import provenance
from wigner_sim.recorder import make_recorder
from wigner_sim.run_directory import RunDirectory, create_run_directory
from wigner_sim.run_status import run_status
from wigner_sim.runs import Run, open_run
from wigner_sim.schedules import EveryWallSeconds, make_schedule
from wigner_sim.si_attributes import si_globals
from wigner_sim.symbols import FloatArray
from wigner_sim.trajectory_output import write_trajectories
from wigner_sim.validity import validity_summary

__all__ = ["Prepared", "Simulation", "check", "prepare", "resume", "run"]

_log = logging.getLogger("wigner_sim.simulation")

#: Seconds of real time between two updates of status.json.
STATUS_SECONDS = 2.0


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
    started = wall_time.monotonic()
    prepared = check(case, overrides)
    if prepared.case.sweep is not None:
        _log.info("one run as the case stands; for its section [sweep]: wigner-sim sweep")
    directory = create_run_directory(prepared.case)
    return Simulation(prepared, directory, show_progress, started=started).integrate()


def resume(
    path: str | Path,
    show_progress: bool = False,
    until: float | None = None,
    from_step: int | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Run:
    """Continue a stopped run from a checkpoint; nothing but its directory is needed.

    A run that was stopped before its first step, or made by a sweep and not begun, is begun.

    Parameters
    ----------
    path : path
        Run directory, or case directory for its latest run.
    show_progress : bool
    until : float, time, optional
        A new end of the run, also beyond the one it has reached; recorded as its ``time.end``.
    from_step : int, optional
        Step of the checkpoint to continue from; the newest if left out.  What was stored after it is dropped.
    functions : mapping, optional
        Python functions of a case that was made in another Python session, ``{"hamiltonian.source": H}``.

    Raises
    ------
    CaseError
        If there is no such run or checkpoint, or nothing left to do.
    """
    started = wall_time.monotonic()
    directory = open_run(path).directory
    case, store = directory.case, directory.checkpoints
    if functions is not None:
        case = case.with_functions(functions)
    if until is not None:
        case = case.with_overrides([f"time.end={float(until)!r}"])
    if not store.paths() and not directory.read_status().get("n_steps"):
        prepared = prepare(case)
        directory.remove_streams()
        return Simulation(prepared, directory, show_progress, started=started).integrate()
    checkpoint = store.load_latest() if from_step is None else store.load(from_step)
    reached = checkpoint["propagator"]["time"]
    # a run that was killed between its last checkpoint and its last word still has to say that it is complete
    if reached > case.time.end or (reached == case.time.end and _says_complete(directory)):
        where = "is complete (t = {:g})" if _says_complete(directory) else "has reached t = {:g} already"
        remedy = "extend it with --until" if until is None else "it can only be extended"
        raise CaseError(f"{directory.path}: the run {where.format(reached)}; {remedy}")
    prepared = prepare_resumed(case, checkpoint)
    if until is not None:
        with directory.lock():
            directory.replace_case(case)
    return Simulation(prepared, directory, show_progress, checkpoint, started).integrate()


def _says_complete(directory: RunDirectory) -> bool:
    return directory.read_status().get("state") == "complete"


def _is_finite(w: FloatArray) -> bool:
    """Whether all values are finite; the sum of squares is read off faster, and says no too often only."""
    flat = w.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat)) or np.isfinite(flat).all())


class Simulation:
    """One run: records, guards, checkpoints, and the loop.

    Parameters
    ----------
    prepared : Prepared
    directory : RunDirectory
    show_progress : bool
    checkpoint : mapping, optional
        What ``prepared`` continues from.
    started : float, optional
        ``time.monotonic()`` from which the limit of real time counts; now, if left out.
    """

    def __init__(
        self,
        prepared: Prepared,
        directory: RunDirectory,
        show_progress: bool = False,
        checkpoint: Mapping[str, Any] | None = None,
        started: float | None = None,
    ):
        self._started = wall_time.monotonic() if started is None else started
        self._prepared = prepared
        self._case, self._problem = prepared.case, prepared.problem
        self._propagator = prepared.propagator
        self._directory = directory
        self._shown = show_progress
        validity = prepared.case.monitors.validity
        self._recorder = make_recorder(prepared.stack, prepared.case.output, validity, self._problem.duration)
        self._checkpoint_schedule = make_schedule(prepared.case.output.checkpoint_every)
        self._status_schedule = EveryWallSeconds(STATUS_SECONDS)
        self._monitors = Monitors(
            prepared.case.monitors, prepared.problem.hamiltonian, prepared.problem.baths
        )
        self._run_id = str(uuid.uuid4())
        self._progress: Progress | None = None
        self._resumed = checkpoint is not None
        if checkpoint is not None:
            self._restore(checkpoint)

    def integrate(self) -> Run:
        """Step to the end of the run, recording on the way."""
        with ExitStack() as stack:
            stack.enter_context(self._directory.lock())
            stack.enter_context(self._directory.logging_to_file())
            interrupted = stack.enter_context(interrupts())
            self._announce()
            try:
                stack.enter_context(closing(self._recorder))
                self._recorder.open(
                    self._directory, self._attributes(), self._propagator.time if self._resumed else None
                )
                path = self._directory.stream_path("trajectories")
                write_trajectories(path, self._case, self._problem, self._attributes())
                self._recorder.note_stop("none yet: running or killed")
                self._step_to_end(interrupted)
            except InterruptedRunError:
                raise
            except BaseException as error:
                reason = str(error) or type(error).__name__
                with suppress(OSError, RuntimeError):  # the disk may be what failed
                    self._recorder.note_stop(reason)
                    self._directory.write_status(self._status(f"stopped: {reason}"))
                _log.error("stopped at t = %.6g: %s", self._propagator.time, reason)
                raise
            seconds = wall_time.monotonic() - self._started
            _log.info("done: %d steps in %.1f s", self._propagator.n_steps, seconds)
            if summary := validity_summary(self._recorder.latest):
                _log.info("validity at the end: %s", summary)
        return open_run(self._directory.path)

    # --- phases ---

    def _announce(self) -> None:
        for line in describe(self._problem):
            _log.info(line)
        for warning in self._prepared.warnings:
            _log.warning(warning)
        for guard in self._monitors.switched_off:
            _log.info("monitors.%s is off: the baths exchange what it watches", guard)
        kind = "adaptive step, first" if self._case.time.adaptive else "step"
        _log.info("%s %.6g (%s)", kind, self._propagator.dt, self._prepared.step_reason)
        begun = f"resumed at t = {self._propagator.time:.6g}" if self._resumed else "run"
        _log.info("%s in %s", begun, self._directory.path)

    def _attributes(self) -> dict[str, Any]:
        """Global attributes of the output files."""
        sources = self._case.function_sources()
        functions = "\n".join(f"# {key}\n{text}" for key, text in sources.items())
        return provenance(
            self._case.title,
            self._directory.case_text,
            self._case.to_toml(),
            self._run_id,
            case_name=self._case.name,
            time_step_reason=self._prepared.step_reason,
            **({"python_functions": functions} if sources else {}),
        ) | si_globals(self._case.unit_system(self._problem.hamiltonian.lattice_vectors))

    def _step_to_end(self, interrupted: Callable[[], bool]) -> None:
        propagator, end = self._propagator, self._problem.duration
        with Progress(propagator.time, end, self._shown, propagator.n_steps) as progress:
            self._progress = progress
            if not self._resumed:
                self._record()
                self._checkpoint_schedule.due(0, 0.0)
                self._save("running")
            else:
                self._directory.write_status(self._status("running"))
            while propagator.time < end:
                if interrupted():
                    self._stop_for_now("interrupted", InterruptedRunError)
                self._advance(min(end, self._recorder.next_time()))
                self._record()
                progress.update(propagator.time, self._figures(), propagator.n_steps)
                if self._status_schedule.due(propagator.n_steps, propagator.time):
                    self._directory.write_status(self._status("running"))
                # checkpoints never shape a step: when they fall must not change the result
                if propagator.time < end and self._checkpoint_schedule.due(
                    propagator.n_steps, propagator.time
                ):
                    self._save("running")
                # after a step: however short the limit, a run that is resumed again and again gets on
                if propagator.time < end and self._out_of_time():
                    self._stop_for_now("wall-time limit", WallTimeError)
            self._recorder.note_stop("complete")
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
        if not _is_finite(propagator.w):
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
        figures = {"step": str(self._propagator.n_steps), "dt": f"{self._propagator.last_step:.3g}"}
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
        rate = None if self._progress is None else self._progress.rate
        seconds = wall_time.monotonic() - self._started
        guards = self._monitors.summary()
        return run_status(
            state, self._propagator, self._problem.duration, self._run_id, seconds, rate, guards
        )

    def _save(self, state: str) -> None:
        self._directory.checkpoints.save(
            {
                "run_id": self._run_id,
                "step_reason": self._prepared.step_reason,
                "propagator": self._propagator.state(),
                "recorder": self._recorder.state(),
                "checkpoint_schedule": self._checkpoint_schedule.state(),
                **({"wisdom": fourier.wisdom()} if fourier.measures() else {}),
            },
            self._propagator.n_steps,
        )
        wisdom.keep()
        self._directory.write_status(self._status(state))

    def _restore(self, checkpoint: Mapping[str, Any]) -> None:
        self._run_id = str(checkpoint["run_id"])
        self._recorder.restore(checkpoint["recorder"])
        self._checkpoint_schedule.restore(checkpoint["checkpoint_schedule"])

    def _out_of_time(self) -> bool:
        limit = self._case.limits.wall_time
        return limit is not None and wall_time.monotonic() - self._started > limit

    def _stop_for_now(self, reason: str, error: type[InterruptedRunError]) -> NoReturn:
        """Leave a checkpoint and say how to go on."""
        self._recorder.note_stop(reason)
        self._save(f"stopped: {reason}")
        reason = f"{reason} at t = {self._propagator.time:.6g}"
        _log.info(reason)
        path = shlex.quote(str(self._directory.path))
        raise error(f"{reason}; continue with: wigner-sim resume {path}")
