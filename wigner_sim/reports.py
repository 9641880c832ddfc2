"""Text reports: what a case will do (``check``) and what a run did (``info``)."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import xarray as xr

from wigner_sim.errors import CaseError
from wigner_sim.problem import describe
from wigner_sim.recorder import STREAMS, stream_variables
from wigner_sim.runs import Run, open_run
from wigner_sim.selection import select
from wigner_sim.simulation import Prepared
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
            line += f", largest metric length {np.sqrt(np.abs(effective.metric).max()):.3g}"
        lines.append(line)
    n_steps = int(np.ceil(problem.duration / prepared.propagator.dt - 1e-9))
    dt, reason = prepared.propagator.dt, prepared.step_reason
    lines.append(f"step: {dt:.6g}, {n_steps} steps to t = {problem.duration:g} ({reason})")
    state = prepared.propagator.w.nbytes / 1e6
    lines.append(f"memory: about {problem.memory / 1e6:.3g} MB, of which {state:.3g} MB for the state")
    lines += _disk_lines(prepared, n_steps)
    lines += [f"warning: {warning}" for warning in prepared.warnings]
    return "\n".join(lines)


def _disk_lines(prepared: Prepared, n_steps: int) -> list[str]:
    """What each stream will take on disk before compression."""
    output, grid = prepared.case.output, prepared.problem.grid
    n_bands, n_bytes = len(prepared.stack.bands), 4 if output.precision == "float32" else 8
    lines = []
    for name in STREAMS:
        every = getattr(output, f"{name}_every")
        if every == "never":
            continue
        n_records = (
            prepared.problem.duration / every if isinstance(every, float) else n_steps / every["steps"]
        )
        specs = stream_variables(name, select(output, grid), output.face)
        sizes = dict(zip(grid.dims, grid.shape, strict=True)) | {"band": n_bands, "time": 1}
        values = sum(float(np.prod([sizes[dim] for dim in spec.dims])) for spec in specs)
        size = (np.ceil(n_records) + 1) * values * (8 if name == "scalars" else n_bytes)
        lines.append(f"{name}.nc: about {np.ceil(n_records) + 1:.6g} records, {size / 1e6:.3g} MB")
    return lines


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
        status, state = run.status, _state(run)
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


def _state(run: Run) -> str:
    """What the run says of itself, unless it was killed and could not."""
    state = str(run.status.get("state", "unknown"))
    if state == "running":
        with contextlib.suppress(CaseError, OSError), run.directory.lock():
            return "killed; its last checkpoint is where `wigner-sim resume` continues"
    return state


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
