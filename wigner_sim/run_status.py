"""``status.json``: what a run says about itself while it goes on, and what others make of it.

A run writes the file every few seconds.  A reader compares its heartbeat, process and host with what it can
see, and so tells a run that goes on from one that was killed, also from another shell or another machine.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wigner_sim.errors import CaseError
from wigner_sim.progress import RecentRate, duration_text
from wigner_sim.propagator import Propagator
from wigner_sim.provenance import timestamp
from wigner_sim.run_directory import RunDirectory
from wigner_sim.runs import open_run

#: A heartbeat older than this (seconds), and than ten steps, is a bad sign.
STALE_SECONDS = 60.0


def run_status(
    state: str,
    propagator: Propagator,
    end: float,
    run_id: str,
    wall_seconds: float,
    rate: RecentRate | None = None,
    guards: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a run writes to ``status.json``.

    Parameters
    ----------
    state : str
        ``"running"``, ``"complete"`` or ``"stopped: REASON"``.
    propagator : Propagator
    end : float, time
    run_id : str
    wall_seconds : float
        Real time used since the run was started or resumed.
    rate : RecentRate, optional
    guards : mapping, optional
        See :meth:`wigner_sim.monitors.Monitors.summary`.
    """
    status = {
        "state": state,
        "time": propagator.time,
        "end": end,
        "n_steps": propagator.n_steps,
        "time_step": propagator.last_step or propagator.dt,
        "wall_seconds": round(wall_seconds, 3),
        "seconds_left": rate.seconds_left(end) if rate else math.nan,
        "steps_per_second": rate.steps_per_second if rate else math.nan,
        "guards": dict(guards or {}),
        "stop_reason": "" if state == "running" else state.removeprefix("stopped: "),
        "heartbeat": timestamp(),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "run_id": run_id,
    }
    return {name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in status.items()}  # fmt: skip


def health(directory: RunDirectory) -> str:
    """One sentence on whether a run goes on: its state, or what became of a run that only says "running"."""
    status = directory.read_status()
    state = str(status.get("state", "not begun"))
    if state != "running":
        return state
    if status.get("host", socket.gethostname()) == socket.gethostname() and _abandoned(directory, status):
        return "killed; its last checkpoint is where `wigner-sim resume` continues"
    age = heartbeat_age(status)
    speed = status.get("steps_per_second") or math.inf
    if age > max(STALE_SECONDS, 10 / speed):
        where = f"process {status['pid']} on {status['host']}"
        return f"stale: no sign of life for {duration_text(age)} from {where}, which may be dead or stuck"
    return "running"


def heartbeat_age(status: Mapping[str, Any]) -> float:
    """Seconds since a status was written; nan if it does not say."""
    try:
        then = datetime.datetime.fromisoformat(status["heartbeat"])
    except (KeyError, ValueError):
        return math.nan
    return (datetime.datetime.now(datetime.UTC) - then).total_seconds()


def _abandoned(directory: RunDirectory, status: Mapping[str, Any]) -> bool:
    """Whether nobody runs it on this machine: its lock is free or, if that may not be tried, no process."""
    if os.name != "posix":
        return False
    try:
        with directory.lock():
            return True
    except CaseError:
        return False
    except OSError:  # somebody else's run
        with contextlib.suppress(PermissionError):
            try:
                os.kill(int(status["pid"]), 0)
            except (ProcessLookupError, KeyError):
                return True
        return False


def status_report(path: str | Path) -> str:
    """Say where a run stands, from its ``status.json`` alone.

    Parameters
    ----------
    path : path
        Run directory, or case directory for its latest run.

    Raises
    ------
    CaseError
        If there is no run.
    """
    directory = open_run(path).directory
    status, state = directory.read_status(), health(directory)
    lines = [f"run: {directory.path}", f"state: {state}"]
    if "time" in status:
        done = status["time"] / status["end"]
        lines.append(
            f"t = {status['time']:.6g} of {status['end']:.6g} ({done:.1%})"
            + (f", step {status['n_steps']}, dt {status['time_step']:.4g}" if "time_step" in status else "")
        )
    if state == "running" and "heartbeat" in status:
        speed = status.get("steps_per_second") or math.nan
        left = duration_text(_number(status.get("seconds_left")))
        lines.append(
            f"{speed:.3g} steps/s, {left} left, running for {duration_text(status['wall_seconds'])} "
            f"(process {status['pid']} on {status['host']}, "
            f"last sign of life {duration_text(max(0.0, heartbeat_age(status)))} ago)"
        )
    for name, guard in status.get("guards", {}).items():
        mark = f"  VIOLATED: {guard['warning']}" if guard["warning"] else ""
        lines.append(f"guard {name}: {guard['value']:.2g}, limit {guard['limit']:.2g}{mark}")
    if state != "running" and state != "complete":
        lines.append(f"continue with: wigner-sim resume {directory.path}")
    return "\n".join(lines)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
