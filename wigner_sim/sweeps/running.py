"""A sweep from its case to its collected results: directories of the members, who runs them, what is left."""

from __future__ import annotations

import logging
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from wigner_sim.case import Case
from wigner_sim.case.loading import RESOLVED_FILE
from wigner_sim.errors import CaseError, InterruptedRunError
from wigner_sim.problem import read_case
from wigner_sim.run_directory import RunDirectory, create_run_directory
from wigner_sim.run_status import health
from wigner_sim.runs import open_stream
from wigner_sim.sweeps.collecting import collect, write_collection
from wigner_sim.sweeps.plan import Member, Plan, sweep_plan
from wigner_sim.sweeps.workers import run_in_processes, run_one_by_one

_log = logging.getLogger("wigner_sim.sweeps")

SWEEPS = "sweeps"
SWEEP_FILE = "sweep.toml"
FILES = {"scalars": "sweep.nc", "fields": "sweep_fields.nc"}


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
    perform = run_one_by_one if workers == 1 else run_in_processes
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
