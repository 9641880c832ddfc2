"""Text reports: what a case will do (``check``) and what a run did (``info``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from wigner_sim.feasibility import machine_memory
from wigner_sim.forecast import (
    RecordTimes,
    bytes_text,
    disk_needed,
    free_disk,
    record_times,
    seconds_per_step,
    steps_to_end,
    stream_forecasts,
)
from wigner_sim.kinetics.packed_tensor import largest
from wigner_sim.preparation import Prepared
from wigner_sim.problem import describe
from wigner_sim.progress import duration_text
from wigner_sim.recorder import make_recorder
from wigner_sim.run_status import health
from wigner_sim.runs import open_run
from wigner_sim.sweeps.plan import sweep_plan
from wigner_sim.validity import VALIDITY


def check_report(prepared: Prepared) -> str:
    """Say what a checked case will do: problem, bands, step with its reason, memory."""
    problem, stack = prepared.problem, prepared.stack
    lines = list(describe(problem))
    for band in stack.bands:
        effective = band.effective(0.0)
        h = effective.energy[0]
        states = effective.density_of_states
        line = f"band {band.band}: energy {h.min():.4g} to {h.max():.4g}, "
        line += f"smallest gap {effective.gap.min():.4g}, "
        line += f"density of states {states.min():.4g} to {states.max():.4g}"
        if effective.order == 2:
            line += f", largest metric length {np.sqrt(largest(effective.metric)):.3g}"
        lines.append(line)
    n_steps = steps_to_end(prepared.case.output, problem.duration, prepared.propagator.dt)
    dt, reason = prepared.propagator.dt, prepared.step_reason
    length = f"{dt:.6g}"
    if n_steps > np.ceil(problem.duration / dt * (1 - 1e-9)):
        length = f"up to {dt:.6g}, shorter as one ends at every record"
    lines.append(f"step: {length}, {n_steps} steps to t = {problem.duration:g} ({reason})")
    lines += _resource_lines(prepared, n_steps)
    if prepared.case.sweep is not None:
        plan = sweep_plan(prepared.case)
        axes = ", ".join(f"{len(values)} values of {key}" for key, values in plan.axes.items())
        lines.append(f"sweep: {len(plan.members)} such runs ({plan.mode} of {axes})")
    lines += [f"warning: {warning}" for warning in prepared.warnings]
    return "\n".join(lines)


def _resource_lines(prepared: Prepared, n_steps: int) -> list[str]:
    """Memory, disk by stream before compression, and real time as measured on a few steps."""
    problem, case, propagator = prepared.problem, prepared.case, prepared.propagator
    state = propagator.w.nbytes
    there = machine_memory()
    of = "" if there is None else f" of {bytes_text(there)}"
    lines = [f"memory: about {bytes_text(problem.memory)}{of}, of which {bytes_text(state)} for the state"]
    forecasts = stream_forecasts(
        case.output, problem.grid, len(prepared.stack.bands), problem.duration, n_steps
    )
    lines += [
        f"{each.stream}.nc: about {each.n_records} records, {bytes_text(each.n_bytes)}" for each in forecasts
    ]
    total, free = bytes_text(disk_needed(forecasts, state)), bytes_text(free_disk(case.directory))
    lines.append(f"disk: about {total} before compression, with checkpoints; {free} are free")
    seconds = seconds_per_step(propagator)
    recorder = make_recorder(prepared.stack, case.output, case.monitors.validity, problem.duration)
    records = record_times(recorder, propagator, case.directory)
    in_records = sum(each.n_records * records.seconds[each.stream] for each in forecasts)
    lines += _time_lines(n_steps, seconds, records, in_records)
    limit = case.limits.wall_time
    if limit is not None and n_steps * seconds + in_records > limit:
        lines.append(
            f"warning: more than limits.wall_time, {duration_text(limit)}: it will have to be resumed"
        )
    return lines


def _time_lines(n_steps: int, seconds: float, records: RecordTimes, in_records: float) -> list[str]:
    """Steps, records of each stream, and both together."""
    in_steps = n_steps * seconds
    lines = [f"steps: about {duration_text(seconds)} each (measured), {duration_text(in_steps)} in all"]
    if records.seconds:
        what = ", ".join(f"{duration_text(value)} for {name}" for name, value in records.seconds.items())
        how = "measured, with writing" if records.written else "measured, without writing"
        lines.append(f"records: about {what} ({how}), {duration_text(in_records)} in all")
    total = duration_text(in_steps + in_records)
    return [*lines, f"time: about {total}, besides checkpoints and the start"]


def info(path: str | Path) -> str:
    """Say what a run is, where it stands and how well it kept what is conserved.

    Parameters
    ----------
    path : path
        Run directory, or case directory for its latest run.

    Raises
    ------
    CaseError
        If there is no run.
    """
    with open_run(path) as run:
        status, state = run.status, health(run.directory)
        scalars = run.scalars
        attributes = scalars.attrs
        lines = [
            f"run: {run.path}",
            f"title: {attributes.get('title', '')}",
            "run id: "
            + ", ".join(str(attributes.get(key, "")) for key in ("run_id", "source", "date_created")),
            f"state: {state}, t = {status.get('time', float('nan')):g} "
            f"of {status.get('end', float('nan')):g}",
        ]
        if "time_step_reason" in attributes:
            lines.append(f"step: {attributes['time_step_reason']}")
        lines += _conservation_lines(scalars) + _validity_lines(scalars)
        for stream in ("scalars", "fields", "phase", "geometry"):
            file = run.directory.stream_path(stream)
            if file.exists():
                dataset = getattr(run, stream)
                records = f", {dataset.sizes['time']} records" if "time" in dataset.sizes else ""
                size = f"{file.stat().st_size / 1e6:.3g} MB"
                lines.append(f"{file.name}: {size}{records}: {', '.join(map(str, dataset.data_vars))}")
    return "\n".join(lines)


def _validity_lines(scalars: xr.Dataset) -> list[str]:
    """Largest values of the validity meter, band by band; what the run was made without is left out."""
    if not scalars.sizes["time"]:
        return []
    lines = []
    for band in scalars["band"].values:
        largest = {name: float(scalars[name].sel(band=band).max()) for name in VALIDITY if name in scalars}
        if largest:
            numbers = ", ".join(f"{name} {value:.2g}" for name, value in largest.items())
            lines.append(f"validity, band {band}, largest: {numbers}")
    return lines


def _conservation_lines(scalars: xr.Dataset) -> list[str]:
    """Start value and largest drift of what is conserved, band by band (none before the first record)."""
    if not scalars.sizes["time"]:
        return []
    lines = []
    for name in ("particle_number", "energy"):
        start = scalars[name].isel(time=0).values
        drift = np.abs(scalars[f"{name}_drift"].values).max(axis=0)
        for band, value, worst in zip(scalars["band"].values, start, drift, strict=True):
            lines.append(f"{name}, band {band}: {value:.10g} at start, largest relative drift {worst:.2g}")
    return lines
