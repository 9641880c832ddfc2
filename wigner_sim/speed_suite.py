"""The speed benchmarks of a source checkout, one script after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from wigner_sim.errors import CaseError

SCRIPTS = Path(__file__).parents[1] / "benchmarks"


def run_speed_suite(output: str | Path, quick: bool = False) -> list[Path]:
    """Run every ``benchmarks/bench_*.py``; each writes ``NAME.json`` and ``NAME.md`` to a directory.

    Parameters
    ----------
    output : path
    quick : bool
        Small sizes only.

    Returns
    -------
    list of Path
        The files written, and the figure of them.

    Raises
    ------
    CaseError
        If there is no source checkout around the package, or a script fails.
    """
    scripts = sorted(SCRIPTS.glob("bench_*.py"))
    if not scripts:
        raise CaseError(
            "the speed benchmarks are scripts of the source checkout, and the package is installed without "
            "one: clone the repository, or use --suite validation"
        )
    for script in [*scripts, SCRIPTS / "figure.py"]:
        print(f"== {script.name}", flush=True)
        command = [sys.executable, str(script), "--output", str(output), *(["--quick"] if quick else [])]
        if subprocess.run(command, check=False).returncode:
            raise CaseError(f"the benchmark {script.name} failed")
    return sorted(path for path in Path(output).iterdir() if path.suffix in (".json", ".md", ".png"))
