"""The state of an earlier run as the start of a new one: read, checked, and put on the grid of the new one.

The grids may differ in their numbers of points, the crystal and its periods may not: values go from one grid
to the other by Fourier interpolation (:meth:`wigner_sim.initial_states.StoredDensity.on`), which is exact
for what both grids resolve and keeps the mean, and so the number of particles, to rounding.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.initial_states import StoredDensity
from wigner_sim.runs import Run, open_run, phase_variable


def stored_density(path: Path, time: float, band: int, grid: PhaseSpaceGrid) -> StoredDensity:
    """Phase-space values of one band from an earlier run.

    Parameters
    ----------
    path : path
        Run or case directory.
    time : float
        A stored time; -1 means the last one, or the last checkpoint where no state was stored.
    band : int
    grid : PhaseSpaceGrid
        Where they are wanted.

    Raises
    ------
    CaseError
        If there is no such run, band or time, or the run is of another crystal.
    """
    with open_run(path) as earlier:
        where = f"initial_state.run: {earlier.path}"
        stored = _stored_states(earlier)
        if band not in stored["band"].values:
            raise CaseError(f"{where} has no band {band}, only {', '.join(map(str, stored['band'].values))}")
        _check_crystal(stored, grid, where)
        times = stored["time"].values
        if not times.size:
            raise CaseError(f'{where} has stored no state (its output.phase_every was "never"?)')
        nearest = times[np.abs(times - time).argmin()] if time >= 0 else times[-1]
        if time >= 0 and abs(nearest - time) > 1e-9 * max(1.0, time):
            raise CaseError(
                f"initial_state.time: {earlier.path} has no state at {time:g}; nearest: {nearest:g}"
            )
        values = np.asarray(stored.sel(band=band, time=nearest), dtype=float)
        face = str(stored.name)
    return StoredDensity(face, values)  # type: ignore[arg-type]


def _stored_states(earlier: Run) -> xr.DataArray:
    """Its phase stream, or the state of its last checkpoint if that is all there is."""
    phase = phase_variable(earlier.phase)
    if phase.sizes["time"] or not earlier.directory.checkpoints.paths():
        return phase
    state = earlier.directory.checkpoints.load_latest()["propagator"]
    coordinates = {name: phase[name] for name in phase.dims if name != "time"}
    values = np.asarray(state["w"])[None]
    return xr.DataArray(values, {"time": [state["time"]], **coordinates}, dims=phase.dims, name="w")


def _check_crystal(stored: xr.DataArray, grid: PhaseSpaceGrid, where: str) -> None:
    axes = tuple(map(str, stored.dims[2:]))
    if axes != grid.dims:
        raise CaseError(f"{where} has the axes {', '.join(axes)}, this case {', '.join(grid.dims)}")
    for name, period in zip(grid.dims, grid.periods, strict=True):
        theirs = float(stored[name].attrs["period"])
        if not np.isclose(theirs, period, rtol=1e-9):
            raise CaseError(f"{where} has the period {theirs:g} along {name}, this case {period:g}")
