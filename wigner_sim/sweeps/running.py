"""Run the members of a sweep, one after the other or in processes of their own, and collect them."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import xarray as xr

from wigner_sim.case import Case
from wigner_sim.case.loading import RESOLVED_FILE
from wigner_sim.errors import CaseError, InterruptedRunError, WallTimeError
from wigner_sim.interrupts import interrupts
from wigner_sim.problem import read_case
from wigner_sim.run_directory import RunDirectory, create_run_directory
from wigner_sim.run_status import health
from wigner_sim.runs import open_stream
from wigner_sim.simulation import resume
from wigner_sim.sweeps.collecting import collect, write_collection
from wigner_sim.sweeps.plan import Member, Plan, sweep_plan

_log = logging.getLogger("wigner_sim.sweeps")

SWEEPS = "sweeps"
SWEEP_FILE = "sweep.toml"
FILES = {"scalars": "sweep.nc", "fields": "sweep_fields.nc"}
_PAUSE = 0.05


@dataclass(frozen=True)
class Sweep:
    """A sweep that was run.

    Parameters
    ----------
    path : Path
        Its directory, with a run directory per member.
    plan : Plan
    """

    path: Path
    plan: Plan

    @property
    def states(self) -> dict[str, str]:
        """How each member ended, by the name of its directory."""
        return {member.name: health(RunDirectory(self.path / member.name)) for member in self.plan.members}

    @property
    def failed(self) -> dict[str, str]:
        """Members that are not complete, and why."""
        return {name: state for name, state in self.states.items() if state != "complete"}

    @property
    def dataset(self) -> xr.Dataset:
        """The collected scalars."""
        return open_stream(self.path / FILES["scalars"])

    @property
    def fields(self) -> xr.Dataset:
        """The collected fields, if the case asks for them."""
        return open_stream(self.path / FILES["fields"])

    def report(self) -> str:
        """One line per member that is not complete, and a summary."""
        failed = self.failed
        members = {member.name: member for member in self.plan.members}
        lines = [f"{name} ({members[name]}): {state}" for name, state in failed.items()]
        n = len(members)
        return "\n".join([*lines, f"{n - len(failed)} of {n} runs complete in {self.path}"])


def sweep(case: Case | str | Path, overrides: Sequence[str] = (), workers: int = 1) -> Sweep:
    """Run a case for all values of its section ``[sweep]``, and collect the results.

    Every run is an ordinary one, in ``sweeps/0001/0001``, ``sweeps/0001/0002``, ... beside the case.  One
    that fails does not stop the others.

    Parameters
    ----------
    case : Case or path
        A case, or the directory of a sweep to go on with: what is complete is left alone, what was
        interrupted or has failed is resumed.
    overrides : sequence of str
        ``"section.key=value"``.
    workers : int
        How many runs go on at once, each in a process of its own; 1 is this process.

    Returns
    -------
    Sweep

    Raises
    ------
    CaseError
        If there is nothing to sweep, or a member is not a valid case; nothing is created then.
    InterruptedRunError
        After an interrupt; ``wigner-sim sweep DIRECTORY`` goes on.
    """
    if workers < 1:
        raise CaseError(f"workers: expected an integer >= 1, got {workers}")
    if not isinstance(case, Case) and is_sweep(case):
        if overrides:
            raise CaseError(f"{case}: a sweep that was begun goes on as it was: no --set")
        begun = open_sweep(case)
        path, plan = begun.path, begun.plan
    else:
        case = read_case(case, overrides)
        _check_functions(case, workers)
        path, plan = _begin(case)
    directories = [_member_directory(plan, member, path) for member in plan.members]
    waiting = [
        (member, directory)
        for member, directory in zip(plan.members, directories, strict=True)
        if directory.read_status().get("state") != "complete"
    ]
    _log.info("%d of %d runs to do in %s", len(waiting), len(plan.members), path)
    perform = _one_by_one if workers == 1 else _in_processes
    try:
        with RunDirectory(path).lock():
            perform(waiting, workers)
    except (InterruptedRunError, KeyboardInterrupt) as error:
        remedy = f"interrupted; continue with: wigner-sim sweep {shlex.quote(str(path))}"
        raise InterruptedRunError(remedy) from error
    finally:
        _collect(plan, path)
    return Sweep(path, plan)


def open_sweep(path: str | Path) -> Sweep:
    """Open a sweep directory.

    Raises
    ------
    CaseError
        If it is none.
    """
    path = Path(path)
    if not (path / SWEEP_FILE).is_file():
        raise CaseError(f"{path}: not the directory of a sweep (no {SWEEP_FILE})")
    return Sweep(path, sweep_plan(Case.from_toml(path / SWEEP_FILE)))


def is_sweep(path: str | Path) -> bool:
    """Whether a path is the directory of a sweep."""
    return (Path(path) / SWEEP_FILE).is_file()


def _check_functions(case: Case, workers: int) -> None:
    if workers > 1 and (keys := case.session_functions()):
        raise CaseError(
            f"{keys[0]} is a function of this Python session, which other processes do not know: use "
            "workers = 1, or put it into a module"
        )


def _begin(case: Case) -> tuple[Path, Plan]:
    """Make the directory of a new sweep; the plan refers to the files in it."""
    sweep_plan(case)
    directory = create_run_directory(case, case.directory / SWEEPS)
    (directory.path / RESOLVED_FILE).rename(directory.path / SWEEP_FILE)
    return directory.path, sweep_plan(Case.from_toml(directory.path / SWEEP_FILE))


def _member_directory(plan: Plan, member: Member, path: Path) -> RunDirectory:
    """The run directory of a member; made if it is not there, or made only in part."""
    directory = RunDirectory(path / member.name)
    if not (directory.path / RESOLVED_FILE).is_file():
        shutil.rmtree(directory.path, ignore_errors=True)
        made = create_run_directory(plan.case_of(member), path)
        if made.path != directory.path:  # somebody deleted one in between
            made.path.rename(directory.path)
    return directory


def _collect(plan: Plan, path: Path) -> None:
    for stream in plan.case.sweep.collect if plan.case.sweep else ():
        try:
            write_collection(collect(plan, path, stream), path / FILES[stream])
        except CaseError as error:
            _log.warning("not collected: %s", error)


def _one_by_one(waiting: Sequence[tuple[Member, RunDirectory]], workers: int) -> None:
    for member, directory in waiting:
        try:
            with _only_own_messages():
                resume(directory.path)
        except (InterruptedRunError, KeyboardInterrupt) as error:
            if not isinstance(error, WallTimeError):
                raise
        except Exception as error:
            _note_failure(directory, str(error) or type(error).__name__)
        _announce(member, directory)


@dataclass
class _Worker:
    member: Member
    directory: RunDirectory
    process: subprocess.Popen[bytes]
    messages: IO[bytes]


def _in_processes(waiting: Sequence[tuple[Member, RunDirectory]], workers: int) -> None:
    """Keep ``workers`` processes busy; an interrupt is passed on to them once, and they leave checkpoints."""
    todo, busy = list(waiting), list[_Worker]()
    environment = _environment(workers)
    with interrupts() as interrupted:
        while todo or busy:
            if interrupted():
                for worker in busy:
                    worker.process.terminate()
                for worker in busy:
                    _finish(worker)
                raise InterruptedRunError("interrupted")
            while todo and len(busy) < workers:
                busy.append(_start(*todo.pop(0), environment))
            for worker in [worker for worker in busy if worker.process.poll() is not None]:
                busy.remove(worker)
                _finish(worker)
            time.sleep(_PAUSE)


def _start(member: Member, directory: RunDirectory, environment: Mapping[str, str]) -> _Worker:
    messages = tempfile.TemporaryFile()  # noqa: SIM115
    command = [sys.executable, "-m", "wigner_sim", "resume", str(directory.path), "--quiet"]
    # a session of its own: Ctrl-C on the terminal reaches this process only, which passes it on
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=messages, start_new_session=True
    )
    return _Worker(member, directory, process, messages)


def _finish(worker: _Worker) -> None:
    code = worker.process.wait()
    with worker.messages:
        worker.messages.seek(0)
        said = worker.messages.read().decode(errors="replace").strip().splitlines()
    if code not in (0, InterruptedRunError.exit_code, WallTimeError.exit_code):
        last = said[-1].removeprefix("wigner-sim: ") if said else ""
        _note_failure(worker.directory, last if code > 0 and last else f"its process ended with code {code}")
    _announce(worker.member, worker.directory)


def _environment(workers: int) -> dict[str, str]:
    """For processes that find this package and share the cores."""
    package = str(Path(__file__).parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    n_threads = str(max(1, (os.cpu_count() or 1) // workers))
    threads = {name: n_threads for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    return {**threads, **os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _note_failure(directory: RunDirectory, reason: str) -> None:
    """Leave the reason with the run, unless it has done so itself."""
    status = directory.read_status()
    if not str(status.get("state", "")).startswith("stopped"):
        directory.write_status({**status, "state": f"failed: {reason}", "stop_reason": reason})


def _announce(member: Member, directory: RunDirectory) -> None:
    _log.info("%s (%s): %s", member.name, member, directory.read_status().get("state", "not begun"))


@contextlib.contextmanager
def _only_own_messages() -> Iterator[None]:
    """Keep what a run says, except warnings, to its own log."""

    def worth_showing(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or record.name == _log.name

    handlers: list[tuple[logging.Handler, Callable[[logging.LogRecord], bool]]] = [
        (handler, worth_showing) for handler in logging.getLogger("wigner_sim").handlers
    ]
    for handler, rule in handlers:
        handler.addFilter(rule)
    try:
        yield
    finally:
        for handler, rule in handlers:
            handler.removeFilter(rule)
