"""Kill runs with SIGKILL, resume each until it is done, compare with a run that was left alone.

Half of the kills fall at random moments, half inside what could hurt most: the writing of a record, the
writing of a checkpoint, the reopening of a stream, and just before and after each file is renamed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.reliability.trials import differences, exit_code, in_child, write_case
from wigner_sim import checkpoint, output
from wigner_sim.run_directory import RunDirectory
from wigner_sim.simulation import resume, run

#: When a process dies: at any moment, or inside the package at one of these places.
POINTS = (
    "random",
    "record_variable",
    "record_time",
    "reopening",
    "checkpoint_fsync",
    "before_rename",
    "after_rename",
)

#: Records after which these runs close a stream and open it again, so that short ones do it too.
REOPENED_AFTER = 10


def _kill_at(owner: Any, name: str, visit: int, after: bool) -> None:
    """Die at one visit of a function, before it acts or after."""
    original = getattr(owner, name)
    count = 0

    def replacement(*args: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == visit and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **options)
        if count == visit:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, replacement)


def arm(point: str, generator: random.Random) -> None:
    """Make this process die at a place of the given kind."""
    if point == "record_variable":
        _kill_at(output, "checked_values", generator.randint(20, 900), after=True)
    elif point == "record_time":
        _kill_at(output.NetcdfStream, "append", generator.randint(1, 200), after=generator.random() < 0.5)
    elif point == "reopening":
        _kill_at(output.NetcdfStream, "_open", generator.randint(1, 20), after=generator.random() < 0.5)
    elif point == "checkpoint_fsync":
        _kill_at(checkpoint.os, "fsync", generator.randint(1, 60), after=False)
    elif point in ("before_rename", "after_rename"):
        _kill_at(Path, "replace", generator.randint(1, 60), after=point == "after_rename")


def one_trial(directory: Path, point: str, generator: random.Random, whole: float) -> tuple[int, int]:
    """Run and kill, resume and kill, ... until the run is done; return (kills, refusals to resume)."""
    case, log = write_case(directory), directory / "trial.log"
    action: Callable[[], object] = lambda: run(case)  # noqa: E731
    n_kills = n_begun_anew = 0
    for attempt in range(12):
        deadly = attempt < 3
        seed = generator.random()

        def act(seed: float = seed, deadly: bool = deadly, action: Callable[[], object] = action) -> None:
            if deadly:
                arm(point, random.Random(seed))
            action()

        pid = in_child(act, log)
        if deadly and point == "random":
            time.sleep(generator.uniform(0.0, whole))
            os.kill(pid, signal.SIGKILL)
        code = exit_code(os.waitpid(pid, 0)[1])
        runs = sorted((case / "runs").glob("[0-9]*")) if (case / "runs").exists() else []
        if code == 0 or (code == 2 and _complete(runs)):  # killed between its last checkpoint and its end
            return n_kills, n_begun_anew
        if code == -signal.SIGKILL:
            n_kills += 1
        elif code != 2:
            raise RuntimeError(f"{directory}: exit code {code}\n{log.read_text()}")
        if runs and list((runs[-1] / "checkpoints").glob("checkpoint_*.npz")):
            latest = runs[-1]
            action = lambda latest=latest: resume(latest)  # type: ignore[misc]  # noqa: E731
        else:  # killed before the first checkpoint: there is nothing to resume yet
            n_begun_anew += 1
            action = lambda: run(case)  # noqa: E731
    raise RuntimeError(f"{directory}: not done after 12 attempts\n{log.read_text()}")


def _complete(runs: list[Path]) -> bool:
    return bool(runs) and RunDirectory(runs[-1]).read_status().get("state") == "complete"


@mock.patch.object(output, "_REOPENED_AFTER", REOPENED_AFTER)
def measure(scratch: Path, n_kills: int, seed: int = 1) -> dict[str, Any]:
    """Kill at least ``n_kills`` times; count what was lost."""
    generator = random.Random(seed)
    reference = write_case(scratch / "reference")
    started = time.monotonic()
    pid = in_child(lambda: run(reference), scratch / "reference.log")
    if code := exit_code(os.waitpid(pid, 0)[1]):
        raise RuntimeError(f"the reference run ended with {code}: {(scratch / 'reference.log').read_text()}")
    whole = time.monotonic() - started
    kills: Counter[str] = Counter()
    lost: list[str] = []
    anew = trial = 0
    while sum(kills.values()) < n_kills:
        point = POINTS[1 + trial // 2 % (len(POINTS) - 1)] if trial % 2 else "random"
        directory = scratch / f"trial_{trial}"
        n, begun = one_trial(directory, point, generator, whole)
        kills[point] += n
        anew += begun
        finished = sorted((directory / "runs").glob("[0-9]*"))[-1]
        if found := differences(finished, reference / "runs" / "0001"):
            lost.append(f"{directory.name} ({point}): {', '.join(found)}")
        else:
            shutil.rmtree(directory)
        trial += 1
    return {
        "kills": dict(kills),
        "total": sum(kills.values()),
        "runs": trial,
        "before_first_checkpoint": anew,
        "lost": lost,
    }
