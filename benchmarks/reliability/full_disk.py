"""Take the disk or the permission away while a run writes; nothing stored may be lost, and it must resume."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.reliability.trials import differences, exit_code, in_child, write_case
from wigner_sim.run_directory import RunDirectory
from wigner_sim.simulation import resume, run

#: Files of a whole run take this much (bytes); the disks are smaller.
NOBODY = 65534


def _finish(case: Path, log: Path) -> int:
    """Resume the run, or begin a new one where it had no checkpoint yet."""
    runs = sorted((case / "runs").glob("[0-9]*")) if (case / "runs").exists() else []
    if runs and RunDirectory(runs[-1]).read_status().get("state") == "complete":
        return 0  # only what comes after the last record found no room
    if runs and list((runs[-1] / "checkpoints").glob("checkpoint_*.npz")):
        pid = in_child(lambda: resume(runs[-1]), log)
    else:
        pid = in_child(lambda: run(case), log)
    return exit_code(os.waitpid(pid, 0)[1])


def full_disk(scratch: Path, reference: Path, size: int, log: Path) -> tuple[int, list[str]]:
    """Run on a small disk of its own, then on a larger one; return the exit code and what was lost."""
    disk = scratch / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    subprocess.run(mount, check=True)
    try:
        case = write_case(disk / "case")
        code = exit_code(os.waitpid(in_child(lambda: run(case), log), 0)[1])
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        if _finish(case, log):
            return code, [f"size {size}: not resumed\n{log.read_text()}"]
        latest = sorted((case / "runs").glob("[0-9]*"))[-1]
        return code, differences(latest, reference)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
        disk.rmdir()


def lost_permission(scratch: Path, reference: Path, delay: float, log: Path) -> tuple[int, list[str]]:
    """Make the run directory unwritable after a while, then writable again."""
    case = write_case(scratch / "locked")
    for path in (case, case / "case.toml"):
        os.chown(path, NOBODY, NOBODY)

    def act() -> None:
        os.setuid(NOBODY)
        run(case)

    pid = in_child(act, log)
    time.sleep(delay)
    directories = [path for path in case.rglob("*") if path.is_dir()]
    for path in directories:
        path.chmod(0o500)
    code = exit_code(os.waitpid(pid, 0)[1])
    for path in directories:
        path.chmod(0o700)
    found = [f"delay {delay}: not resumed"] if code and _finish(case, log) else []
    if not found:
        found = differences(sorted((case / "runs").glob("[0-9]*"))[-1], reference)
    shutil.rmtree(case)
    return code, found


def measure(scratch: Path, n_trials: int, seed: int = 4) -> dict[str, Any]:
    """As many trials of each kind; needs to be root (for a disk of its own), otherwise says so."""
    if os.geteuid():
        return {"trials": 0, "note": "not root: no disk of its own could be made", "lost": []}
    generator = random.Random(seed)
    scratch.chmod(0o755)
    reference, log = write_case(scratch / "reference"), scratch / "disk.log"
    if exit_code(os.waitpid(in_child(lambda: run(reference), log), 0)[1]):
        raise RuntimeError(log.read_text())
    quiet = reference / "runs" / "0001"
    n_bytes = sum(path.stat().st_size for path in quiet.rglob("*") if path.is_file())
    results: Counter[str] = Counter()
    lost: list[str] = []
    for _ in range(n_trials):
        for name, (code, found) in {
            "full disk": full_disk(scratch, quiet, int(generator.uniform(0.1, 1.1) * n_bytes), log),
            "no permission": lost_permission(scratch, quiet, generator.uniform(0.05, 1.2), log),
        }.items():
            results[f"{name}: exit {code}"] += 1
            lost += [f"{name}: {entry}" for entry in found]
            if code == 99 or code < 0:
                lost.append(f"{name}: crashed with {code}\n{log.read_text()}")
            log.unlink(missing_ok=True)
    return {"trials": 2 * n_trials, "results": dict(results), "lost": lost}
