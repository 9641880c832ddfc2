"""Truncate, flip and replace the files of a run; every reader must go on or refuse in one sentence."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.reliability.trials import exit_code, in_child, write_case
from wigner_sim.cli import main
from wigner_sim.simulation import run

VICTIMS = (
    "scalars.nc",
    "fields.nc",
    "phase.nc",
    "geometry.nc",
    "case.resolved.toml",
    "status.json",
    "checkpoint",
)
VERBS = (["info"], ["resume", "--quiet"], ["plot"])


def damage(path: Path, generator: random.Random) -> str:
    """Spoil a file in one of the ways that happen; return which."""
    data = bytearray(path.read_bytes())
    way = generator.choice(
        ("truncated", "emptied", "flipped", "overwritten", "foreign", "removed", "directory")
    )
    if way == "truncated":
        path.write_bytes(data[: generator.randrange(len(data))])
    elif way == "emptied":
        path.write_bytes(b"")
    elif way == "flipped":
        for _ in range(8):
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.write_bytes(data)
    elif way == "overwritten":
        start = generator.randrange(len(data))
        data[start : start + 4096] = generator.randbytes(4096)
        path.write_bytes(data)
    elif way == "foreign":
        path.write_bytes(
            generator.choice((b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"GIF89a"))
            + generator.randbytes(999)
        )
    else:
        path.unlink()
        if way == "directory":
            path.mkdir()
    return way


def _spoken(words: list[str]) -> str:
    """Run a verb; a crash is raised, a refusal or success is counted."""
    said = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        warnings.simplefilter("ignore")
        code = main(words)
    if code not in (0, 1, 2, 3) or "Traceback" in said.getvalue():
        raise RuntimeError(f"exit code {code}: {said.getvalue()}")
    return str(code)


def measure(scratch: Path, n_trials: int, seed: int = 3) -> dict[str, Any]:
    """Damage a stopped run that many times and let every reader at it, in a process that may die."""
    generator = random.Random(seed)
    case = write_case(scratch / "whole")
    pid = in_child(lambda: run(case), scratch / "whole.log")
    if exit_code(os.waitpid(pid, 0)[1]):
        raise RuntimeError((scratch / "whole.log").read_text())
    original = case / "runs" / "0001"
    results: Counter[str] = Counter()
    crashes: list[str] = []
    for trial in range(n_trials):
        copy = scratch / f"copy_{trial}"
        shutil.copytree(original, copy)
        for newest in sorted((copy / "checkpoints").glob("*.npz"))[1:]:
            newest.unlink()  # the run has stopped on the way
        victim = generator.choice(VICTIMS)
        path = next((copy / "checkpoints").glob("*.npz")) if victim == "checkpoint" else copy / victim
        way = damage(path, generator)
        verb = generator.choice(VERBS)
        log = scratch / "damaged.log"
        log.unlink(missing_ok=True)

        def act(verb: list[str] = verb, copy: Path = copy) -> None:
            code = _spoken([verb[0], str(copy), *verb[1:]])
            os._exit(int(code))

        code = exit_code(os.waitpid(in_child(act, log), 0)[1])
        results[f"{verb[0]}: exit {code}"] += 1
        if code not in (0, 1, 2, 3):
            text = log.read_text() if log.exists() else traceback.format_exc()
            crashes.append(f"{verb[0]} with {victim} {way}: exit {code}\n{text}")
        shutil.rmtree(copy)
    return {"trials": n_trials, "results": dict(results), "crashes": crashes}
