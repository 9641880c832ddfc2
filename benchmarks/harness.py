"""What every benchmark shares: candidates run in turn, medians, peak memory, machine, JSON and table.

    times = alternate({"ours": run_ours, "peer": run_peer}, repeats=5)
    report = Report("engine")
    report.add(Table("one step", ("kernel", "ms", "ratio"), rows, "48^4, two threads"))
    report.save(options.output)

Candidates run A, B, C, A, B, C, ... in one process after a warm-up: on a shared machine the speed drifts by
more than most differences, so only ratios inside one such block mean anything, and they are medians of the
ratios of each round.  Memory is measured in a process of its own, see :func:`peak_memory`.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import platform
import resource
import runpy
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
LIBRARIES = ("numpy", "scipy", "pyfftw", "numba", "jax", "qutip", "dedalus")


# --- time ---


#: What times are taken with: the processor's time is the fairer one for single threads on a busy machine.
#: "quiet" is wall time of the moments in which nobody else computes, see :func:`undisturbed`.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time, "quiet": time.perf_counter}


def alternate(
    candidates: Mapping[str, Callable[[], object]], repeats: int = 5, warm_ups: int = 1, clock: str = "wall"
) -> dict[str, list[float]]:
    """Seconds of each candidate, one number per round; every round runs all of them once, in order."""
    if clock == "quiet":
        return undisturbed(candidates, repeats)
    now = CLOCKS[clock]
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(-warm_ups, repeats):
        for name, run in candidates.items():
            gc.collect()
            started = now()
            run()
            if turn >= 0:
                times[name].append(now() - started)
    return times


#: How long to wait for quiet moments (s), the cores that others may use in one, and its length (s).
PATIENCE, DISTURBANCE, MOMENT = 400.0, 0.05, 0.3


def undisturbed(candidates: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Wall seconds of each candidate per call, from the ``repeats`` samples in which others computed least.

    A sample is as many calls as fill a moment, so that the kernel's count of busy time (ticks of 10 ms) says
    who else was running.  The candidates run in turn; rounds end when each has enough quiet samples, or after
    ``PATIENCE`` seconds; how quiet the samples taken were is printed.
    """
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for run in candidates.values():
        run()
    ended = time.monotonic() + PATIENCE
    while time.monotonic() < ended and not all(_quiet(taken) >= repeats for taken in samples.values()):
        while others_share(lambda: time.sleep(0.1))[0] > 2 * DISTURBANCE and time.monotonic() < ended:
            time.sleep(0.2)
        for name, run in candidates.items():
            if _quiet(samples[name]) < repeats:
                samples[name].append(others_share(run, MOMENT))
    taken = {name: sorted(found)[:repeats] for name, found in samples.items()}
    worst = max(share for found in taken.values() for share, _ in found)
    print(f"cores used by others in the noisiest sample taken: {worst:.2f}", file=sys.stderr)
    return {name: [seconds for _, seconds in found] for name, found in taken.items()}


def _quiet(samples: Sequence[tuple[float, float]]) -> int:
    return sum(share <= DISTURBANCE for share, _ in samples)


def others_share(run: Callable[[], object], moment: float = 0.0) -> tuple[float, float]:
    """Cores that others used while ``run`` was called over and over for a moment, and seconds per call."""
    gc.collect()
    calls, others, started = 0, others_seconds(), time.perf_counter()
    while not calls or time.perf_counter() - started < moment:
        run()
        calls += 1
    elapsed = time.perf_counter() - started
    return max(0.0, others_seconds() - others) / elapsed, elapsed / calls


def others_seconds() -> float:
    """Processor seconds since boot that this process did not use: other processes, and the host's (Linux)."""
    words = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    user, nice, system, _idle, _waiting, hard, soft, steal = (int(word) for word in words)
    busy = (user + nice + system + hard + soft + steal) / os.sysconf("SC_CLK_TCK")
    return busy - time.process_time()


def medians(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Median seconds of each candidate."""
    return {name: statistics.median(values) for name, values in times.items()}


def ratios(times: Mapping[str, Sequence[float]], base: str) -> dict[str, float]:
    """Median over the rounds of each candidate's time over that of ``base`` in the same round."""
    return {
        name: statistics.median(a / b for a, b in zip(values, times[base], strict=True))
        for name, values in times.items()
    }


# --- memory ---


@dataclass(frozen=True)
class Memory:
    """Resident memory of a process, bytes: with everything imported and set up, and at its peak."""

    idle: int
    peak: int

    @property
    def working(self) -> int:
        """What the work itself needed."""
        return max(0, self.peak - self.idle)


def peak_memory(script: str | Path, function: str, *arguments: Any) -> Memory:
    """Peak resident memory of work done in a fresh process.

    Parameters
    ----------
    script : path
        Python file (usually ``__file__``) that defines ``function`` and does nothing else on import.
    function : str
        Called with ``arguments`` (anything that JSON knows), it sets up and returns the work, a callable.

    Returns
    -------
    Memory
        The set-up counts as idle.
    """
    command = [sys.executable, __file__, str(script), function, json.dumps(arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(f"{function}{arguments} failed:\n{finished.stderr}")
    return Memory(**json.loads(finished.stdout.splitlines()[-1]))


def _measure_here(script: str, function: str, arguments: str) -> Memory:
    """Body of the process that :func:`peak_memory` starts."""
    sys.path.insert(0, str(Path(script).resolve().parent))
    work = runpy.run_path(script, run_name="measured")[function](*json.loads(arguments))
    gc.collect()
    idle = _forget_peak()
    work()
    return Memory(idle, _status_bytes("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _forget_peak() -> int:
    """Let the kernel restart its high-water mark; returns the resident memory now (0 if unknown)."""
    with contextlib.suppress(OSError):  # then the peak includes the set-up
        Path("/proc/self/clear_refs").write_text("5")
    return _status_bytes("VmRSS")


def _status_bytes(name: str) -> int:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)


# --- machine ---


def machine() -> dict[str, Any]:
    """Processor, caches, memory, threads and library versions, as far as the system tells."""
    return {
        "processor": _first_line("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "caches": _caches(),
        "memory": _first_line("/proc/meminfo", "MemTotal"),
        "system": platform.system(),
        "python": platform.python_version(),
        "threads": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
    }


def _first_line(path: str, key: str) -> str:
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _caches() -> dict[str, str]:
    """``{"L2 Unified": "1024K", ...}`` of the first core."""
    found = {}
    for cache in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((cache / name).read_text().strip() for name in ("level", "type", "size"))
        found[f"L{level} {kind}"] = size
    return found


def _version(library: str) -> str | None:
    """Version of an installed library (without importing it)."""
    from importlib import metadata

    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


# --- results ---


@dataclass
class Table:
    """Rows of one measurement.

    Parameters
    ----------
    title : str
    columns : sequence of str
        Keys of the rows, and heads of the table, in this order; a row may have more keys.
    rows : list of dict
    note : str
        What has to be known to read it.
    """

    title: str
    columns: Sequence[str]
    rows: list[dict[str, Any]]
    note: str = ""

    def markdown(self) -> str:
        """The table as text that reads well as it is."""
        cells = [list(self.columns)]
        cells += [[_text(row.get(column, "")) for column in self.columns] for row in self.rows]
        widths = [max(len(line[i]) for line in cells) for i in range(len(self.columns))]
        padded = [[c.ljust(width) for c, width in zip(line, widths, strict=True)] for line in cells]
        lines = [f"| {' | '.join(line)} |" for line in padded]
        lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
        return "\n".join([f"**{self.title}**", "", *lines, *(["", self.note] if self.note else [])])


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@dataclass
class Report:
    """All tables of one benchmark script."""

    name: str
    tables: list[Table] = field(default_factory=list)

    def add(self, table: Table) -> None:
        """Keep a table, and print it."""
        self.tables.append(table)
        print(table.markdown(), end="\n\n", flush=True)

    def save(self, directory: str | Path) -> Path:
        """Write ``NAME.json`` (with the machine) and ``NAME.md``; returns the first."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        tables = [asdict(table) for table in self.tables]
        content = {"name": self.name, "machine": machine(), "tables": tables}
        path = directory / f"{self.name}.json"
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        text = "\n\n".join(table.markdown() for table in self.tables)
        path.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
        return path


def parser(description: str) -> argparse.ArgumentParser:
    """Options that every benchmark has."""
    options = argparse.ArgumentParser(description=description.strip().splitlines()[0])
    options.add_argument("--output", default="benchmarks/results", metavar="DIR", help="for JSON and tables")
    options.add_argument("--repeats", type=int, default=5, help="rounds of every comparison (default: 5)")
    options.add_argument("--clock", choices=list(CLOCKS), default="wall", help="default: wall")
    options.add_argument("--quick", action="store_true", help="small sizes only")
    return options


if __name__ == "__main__":
    print(json.dumps(asdict(_measure_here(*sys.argv[1:]))))
