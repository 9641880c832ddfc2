"""Measure all of it, print a table, keep it: ``python -m benchmarks.reliability --output docs/_static``.

The figures in the documentation come from the defaults; ``--quick`` is a tenth of them, for CI.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.reliability import damaged_files, full_disk, kills, rivals, soak, wrong_cases

TRIALS = {
    "kills": (kills.measure, 200),
    "wrong_cases": (wrong_cases.measure, 10_000),
    "damaged_files": (damaged_files.measure, 300),
    "full_disk": (full_disk.measure, 50),
    "rivals": (rivals.measure, 10),
    "soak": (soak.measure, 30.0),
}


def table(results: dict[str, Any]) -> str:
    """The results as a Markdown table."""
    r = results
    rows = [("what was done", "how often", "what came of it", "lost")]
    if kill := r.get("kills"):
        where = ", ".join(f"{n} at {point.replace('_', ' ')}" for point, n in sorted(kill["kills"].items()))
        outcome = (
            f"{kill['runs']} runs resumed to their end and equal bit for bit to an undisturbed one ({where})"
        )
        rows.append(("SIGKILL", str(kill["total"]), outcome, str(len(kill["lost"]))))
    if wrong := r.get("wrong_cases"):
        codes = ", ".join(f"exit code {code}: {n}" for code, n in sorted(wrong["exit_codes"].items()))
        unnamed, crashes = len(wrong["unnamed"]), len(wrong["crashes"])
        outcome = f"{codes}; refusals that do not name the key: {unnamed}; crashes: {crashes}"
        rows.append(("mutated case files, `check`", str(wrong["cases"]), outcome, "0"))
    if bad := r.get("damaged_files"):
        outcome = "; ".join(f"{verb}: {n}" for verb, n in sorted(bad["results"].items()))
        rows.append(
            (
                "files of a run truncated, flipped, overwritten, replaced or removed",
                str(bad["trials"]),
                f"{outcome}; crashes: {len(bad['crashes'])}",
                "what was damaged",
            )
        )
    if disk := r.get("full_disk"):
        outcome = "; ".join(f"{what}: {n}" for what, n in sorted(disk.get("results", {}).items()))
        outcome = disk.get("note") or f"{outcome}; all resumed once there was room or permission again"
        rows.append(
            ("disk full, permission taken away", str(disk["trials"]), outcome, str(len(disk["lost"])))
        )
    if rival := r.get("rivals"):
        outcome = "each run got a directory of its own; of two resumes of one run the second was refused"
        rows.append(
            (
                "four runs at once in one case, two resumes at once",
                str(rival["trials"]),
                outcome,
                str(len(rival["lost"])),
            )
        )
    if long := r.get("soak"):
        growth = round(long["growth_bytes_per_step"])
        outcome = (
            f"{long['steps']} steps with records: resident memory {long['resident_MB_first']:.1f} MB "
            f"at first, {long['resident_MB_last']:.1f} at the end ({growth} bytes per step"
        )
        late = long.get("late_growth_MB_per_hour")
        outcome += ")" if late is None else f"; in the last third {late:+.1f} MB per hour)"
        rows.append((f"soak, {long['minutes']:g} minutes", "1", outcome, "0"))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---|---|---|---|", *lines[1:], ""])


def save(directory: Path, results: dict[str, Any]) -> None:
    """Write JSON and table; parts that were not measured now keep what was measured earlier."""
    path = directory / "reliability.json"
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    together = {name: (earlier | results)[name] for name in TRIALS if name in earlier | results}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(together, indent=1) + "\n", encoding="utf-8")
    (directory / "reliability_table.md").write_text(table(together), encoding="utf-8")


def failures(results: dict[str, Any]) -> list[str]:
    """Whatever went wrong."""
    found = []
    for name, result in results.items():
        for key in ("lost", "crashes"):
            found += [f"{name}: {entry}" for entry in result.get(key, [])]
    return found


def main() -> int:
    """Measure what was asked for; exit code 1 if anything was lost or crashed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("--only", metavar="A,B", help=f"of {','.join(TRIALS)}")
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    parser.add_argument(
        "--output", metavar="DIR", help="leave reliability.json and reliability_table.md there"
    )
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(TRIALS)
    unknown = [name for name in names if name not in TRIALS]
    if unknown:
        parser.error(f"--only: there is no trial {unknown[0]!r}, only {', '.join(TRIALS)}")
    scratch = Path(tempfile.mkdtemp(prefix="reliability-"))
    results: dict[str, Any] = {}
    for name in names:
        measure, n = TRIALS[name]
        place = scratch / name
        place.mkdir()
        amount = n / 10 if options.quick else n
        results[name] = measure(place, amount if name == "soak" else int(amount))
        print(f"{name}: done", file=sys.stderr, flush=True)
    bad = failures(results)
    print(table(results), *bad, sep="\n")
    if options.output:
        save(Path(options.output), results)
    if bad:
        print(f"the files of failed trials are in {scratch}", file=sys.stderr)
    else:
        shutil.rmtree(scratch)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
