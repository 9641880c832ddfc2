"""Start several runs at once in one case directory, and resume one run twice at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.reliability.trials import differences, exit_code, in_child, write_case
from wigner_sim.simulation import resume, run


def measure(scratch: Path, n_trials: int) -> dict[str, Any]:
    """In each trial four runs start together, then two processes resume the same stopped run."""
    reference, log = write_case(scratch / "reference"), scratch / "rivals.log"
    os.waitpid(in_child(lambda: run(reference), log), 0)
    quiet = reference / "runs" / "0001"
    lost: list[str] = []
    refused = 0
    for trial in range(n_trials):
        case = write_case(scratch / f"rivals_{trial}")
        children = [in_child(lambda case=case: run(case), log) for _ in range(4)]  # type: ignore[misc]
        codes = [exit_code(os.waitpid(pid, 0)[1]) for pid in children]
        runs = sorted((case / "runs").glob("[0-9]*"))
        if any(codes) or len(runs) != 4:
            lost.append(f"four runs at once: exit codes {codes}, {len(runs)} directories\n{log.read_text()}")
        lost += [entry for path in runs for entry in differences(path, quiet)]
        stopped = runs[0]
        sorted((stopped / "checkpoints").glob("*.npz"))[-1].unlink()
        children = [in_child(lambda stopped=stopped: resume(stopped), log) for _ in range(2)]  # type: ignore[misc]
        codes = sorted(exit_code(os.waitpid(pid, 0)[1]) for pid in children)
        refused += codes == [0, 2]
        if codes not in ([0, 2],):
            lost.append(f"two resumes at once: exit codes {codes}\n{log.read_text()}")
        lost += differences(stopped, quiet)
    return {"trials": n_trials, "second_resume_refused": refused, "lost": lost}
