"""A run of many steps and records: memory must stay flat."""

from __future__ import annotations

import gc
import logging
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reliability.trials import CASE, write_case
from wigner_sim.run_directory import create_run_directory
from wigner_sim.simulation import Simulation, check


def resident_bytes() -> int:
    """Resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmRSS")


def soak_case() -> str:
    """A run without end, by a splitting stepper: the texture of the other trials is far too steep for that.

    On its 16 x 16 points the equation of second order grows slowly, and ends after 100,000 steps.
    """
    text = re.sub(r"end = 6.0", "end = 1e7", CASE).replace("{steps = 4}", "{wall_seconds = 5.0}")
    crystal = 'source = "named:rice_mele"\npotential = "0.2*cos(2*pi*x/L)"'
    text = text.replace('source = "named:two_band_texture"', crystal).replace("sites = [8]", "sites = [24]")
    return text.replace("[time]", '[time]\nstepper = "strang"')


def measure(scratch: Path, minutes: float) -> dict[str, Any]:
    """Step for so long, recording all the while; fit the growth of memory, also in the last third."""
    text = soak_case()
    prepared = check(write_case(scratch / "soak", text), ["limits.check_disk=false"])
    logging.disable(logging.CRITICAL)
    simulation = Simulation(prepared, create_run_directory(prepared.case))
    samples: list[tuple[float, int]] = []
    started = time.monotonic()
    original = prepared.propagator.advance

    def advance(limit: float) -> None:
        elapsed = time.monotonic() - started
        if not samples or elapsed - samples[-1][0] > minutes * 0.6:
            gc.collect()
            samples.append((elapsed, resident_bytes()))
        if elapsed > 60 * minutes:
            raise StopIteration
        original(limit)

    prepared.propagator.advance = advance  # type: ignore[method-assign]
    try:
        simulation.integrate()
    except StopIteration:
        pass
    finally:
        logging.disable(logging.NOTSET)
    seconds, resident = np.array(samples[len(samples) // 10 :], dtype=float).T
    late = np.arange(len(seconds)) >= 2 * len(seconds) // 3
    slope, late_slope = (
        float(np.polyfit(seconds[part], resident[part], 1)[0]) for part in (slice(None), late)
    )
    return {
        "minutes": minutes,
        "steps": prepared.propagator.n_steps,
        "resident_MB_first": resident[0] / 1e6,
        "resident_MB_last": resident[-1] / 1e6,
        "growth_MB_per_hour": 3600 * slope / 1e6,
        "late_growth_MB_per_hour": 3600 * late_slope / 1e6,
        "growth_bytes_per_step": slope * (seconds[-1] - seconds[0]) / max(1, prepared.propagator.n_steps),
    }
