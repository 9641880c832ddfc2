"""What a run will take of disk and time, before it is run."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wigner_sim.case.sections.run import OutputSection
from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.propagator import Propagator
from wigner_sim.recorder import STREAMS, Recorder, stream_variables
from wigner_sim.selection import select

#: Checkpoints on disk at once: two are kept while a third is written.
N_CHECKPOINTS = 3
#: Steps an adaptive step consists of: one whole and two half ones.
STEPS_PER_ADAPTIVE_STEP = 3
#: Steps that are measured at most, and seconds after which no further one is.
MOST_TRIES, LONGEST_TRY = 3, 1.0
#: Seconds of a first record, which may have much to prepare, up to which a second one is measured.
LONGEST_FIRST = 10.0


@dataclass(frozen=True)
class StreamForecast:
    """Records and bytes, before compression, of one stream."""

    stream: str
    n_records: int
    n_bytes: float


def stream_forecasts(
    output: OutputSection, grid: PhaseSpaceGrid, n_bands: int, duration: float, n_steps: int
) -> list[StreamForecast]:
    """What each stream that is stored will take.

    Parameters
    ----------
    output : OutputSection
    grid : PhaseSpaceGrid
    n_bands : int
    duration : float, time
    n_steps : int
        Steps the run is expected to take.
    """
    forecasts = []
    for stream in STREAMS:
        every = getattr(output, f"{stream}_every")
        if every == "never":
            continue
        intervals = duration / every if isinstance(every, float) else n_steps / every["steps"]
        n_records = math.ceil(intervals - 1e-9) + 1
        sizes = dict(zip(grid.dims, grid.shape, strict=True)) | {"band": n_bands, "time": 1}
        n_values = sum(
            float(np.prod([sizes[dim] for dim in spec.dims], dtype=float))
            for spec in stream_variables(stream, select(output, grid), output.face)
        )
        n_bytes = 4 if output.precision == "float32" and stream != "scalars" else 8
        forecasts.append(StreamForecast(stream, n_records, n_records * n_values * n_bytes))
    return forecasts


def steps_to_end(output: OutputSection, duration: float, dt: float) -> int:
    """Steps of a run: one ends at every record that is set by simulated time."""
    cadences = [every for stream in STREAMS if isinstance(every := getattr(output, f"{stream}_every"), float)]
    interval = min([duration, *cadences])
    n_intervals = math.floor(duration / interval * (1 + 1e-12))
    rest = max(0.0, duration - n_intervals * interval)
    last = math.ceil(rest / dt) if rest > 1e-9 * interval else 0
    return n_intervals * math.ceil(interval / dt - 1e-9) + last


def disk_needed(forecasts: Sequence[StreamForecast], state_bytes: float) -> float:
    """Bytes of all streams and checkpoints, before compression."""
    return sum(forecast.n_bytes for forecast in forecasts) + N_CHECKPOINTS * state_bytes


def free_disk(directory: Path) -> float:
    """Bytes free where a run of a case in ``directory`` is written."""
    existing = next(path for path in (directory.resolve(), *directory.resolve().parents) if path.exists())
    return float(shutil.disk_usage(existing).free)


def check_disk(forecasts: Sequence[StreamForecast], state_bytes: float, directory: Path) -> None:
    """Refuse output that will not fit on the disk.

    Raises
    ------
    CaseError
        Naming the largest stream and the remedy.
    """
    needed, free = disk_needed(forecasts, state_bytes), free_disk(directory)
    if needed <= free:
        return
    largest = max(forecasts, key=lambda forecast: forecast.n_bytes, default=None)
    remedy = "free some space"
    if largest is not None and largest.n_bytes > state_bytes:
        remedy = (
            f"{largest.stream}.nc alone is {bytes_text(largest.n_bytes)}: make output.{largest.stream}_every "
            f'longer (or "never"), use output.precision = "float32", free some space'
        )
    raise CaseError(
        f"the run would write {bytes_text(needed)} before compression, {bytes_text(free)} are free in "
        f"{directory}: {remedy}, or set limits.check_disk = false"
    )


def seconds_per_step(propagator: Propagator) -> float:
    """Real time of one step, the shortest of a few taken from the initial state; nothing is changed.

    The first step also fills what later ones use again; only one that takes long stays alone.
    """
    seconds: list[float] = []
    while len(seconds) < MOST_TRIES and sum(seconds) < LONGEST_TRY:
        started = time.perf_counter()
        propagator.stepper.step(propagator.equation, propagator.w.copy(), propagator.time, propagator.dt)
        seconds.append(time.perf_counter() - started)
    return min(seconds) * (STEPS_PER_ADAPTIVE_STEP if propagator.adaptive is not None else 1)


def seconds_per_record(
    recorder: Recorder, propagator: Propagator, stream: str, directory: Path | None = None
) -> float:
    """Real time to work out one record of a stream from the initial state, and to write it.

    As for steps, the first record also fills what later ones use again.

    Parameters
    ----------
    recorder : Recorder
    propagator : Propagator
    stream : str
    directory : Path, optional
        Where a file may be left; without it, nothing is written, and writing is not in the time.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    seconds: list[float] = []
    with ExitStack() as stack:
        file = None
        if directory is not None:
            file = stack.enter_context(recorder.open_stream(stream, directory / f"{stream}.nc", {}))
        while len(seconds) < MOST_TRIES and sum(seconds) < (LONGEST_FIRST, LONGEST_TRY)[len(seconds) > 1]:
            started = time.perf_counter()
            for _, arrays in recorder.arrays([stream], propagator):
                if file is not None:
                    file.append(float(len(seconds)), arrays)
            seconds.append(time.perf_counter() - started)
    return min(seconds)


@dataclass(frozen=True)
class RecordTimes:
    """Real time of one record of each stream, with or without writing it."""

    seconds: Mapping[str, float]
    written: bool


def record_times(recorder: Recorder, propagator: Propagator, place: Path) -> RecordTimes:
    """Measure records of all streams that are stored, written on the disk of ``place``; no file is left."""
    streams = [name for name in STREAMS if recorder.stores(name)]
    try:
        with tempfile.TemporaryDirectory(prefix=".check-", dir=place) as directory:
            times = {
                name: seconds_per_record(recorder, propagator, name, Path(directory)) for name in streams
            }
            return RecordTimes(times, written=True)
    except OSError:  # a directory one may not write to, a disk that is full
        times = {name: seconds_per_record(recorder, propagator, name) for name in streams}
        return RecordTimes(times, written=False)


def bytes_text(n_bytes: float) -> str:
    """``12 kB``, ``3.4 MB``, ``1.2 TB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if n_bytes < 1000 or unit == "TB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.3g} {unit}"
