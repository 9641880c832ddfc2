"""Read runs back: ``open_run(path)`` gives xarray Datasets; functions for what is often asked of them.

The same functions are methods of ``ds.wigner`` (module ``accessor``).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr

from wigner_sim.case import Case
from wigner_sim.case.loading import RESOLVED_FILE, load_case
from wigner_sim.errors import CaseError
from wigner_sim.output import complete_times
from wigner_sim.reading import undisturbed
from wigner_sim.run_directory import EXACT, RUNS, STREAMS, RunDirectory, numbered_directories

FACES = ("f", "w", "c")
CONSERVED = ("particle_number", "energy")
CURRENTS = ("current_x", "current_y", "current_z")


class Run:
    """A finished or running run; its Datasets are opened when first asked for, and read lazily.

    Parameters
    ----------
    path : path
        A run directory.  :func:`open_run` also takes a case directory.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.directory = RunDirectory(self.path)
        self._open: dict[str, xr.Dataset] = {}

    @property
    def scalars(self) -> xr.Dataset:
        """Numbers per record: particle number, energy, drifts, ..."""
        return self._stream("scalars")

    @property
    def fields(self) -> xr.Dataset:
        """Functions of position or of momentum alone: densities, currents, ..."""
        return self._stream("fields")

    @property
    def phase(self) -> xr.Dataset:
        """The state on phase space."""
        return self._stream("phase")

    @property
    def geometry(self) -> xr.Dataset:
        """Band geometry on phase space, at the start."""
        return self._stream("geometry")

    @property
    def trajectories(self) -> xr.Dataset:
        """Wave packets beside the state, if the case has any."""
        return self._stream("trajectories")

    @property
    def case(self) -> Case:
        """The resolved case."""
        return load_case(self.path / RESOLVED_FILE)

    @property
    def status(self) -> dict[str, Any]:
        """Last status the run wrote."""
        return self.directory.read_status()

    def refresh(self) -> Self:
        """Forget what was read, so that records written since are seen."""
        self.close()
        return self

    def close(self) -> None:
        """Close all files."""
        for dataset in self._open.values():
            dataset.close()
        self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        streams = ", ".join(sorted(file.name for file in self.path.glob("*.nc")))
        return f"Run({str(self.path)!r}: {streams or 'no output yet'})"

    def _stream(self, name: str) -> xr.Dataset:
        if name not in self._open:
            self._open[name] = open_stream(self.directory.stream_path(name))
        return self._open[name]


def open_run(path: str | Path) -> Run:
    """Open a run directory, or the latest run of a case directory.

    Parameters
    ----------
    path : path
        ``cases/NAME/runs/0001``, ``cases/NAME/runs`` or ``cases/NAME``.

    Raises
    ------
    CaseError
        If there is no run.
    """
    path = Path(path)
    if (path / RESOLVED_FILE).is_file() or any(RunDirectory(path).stream_path(s).is_file() for s in STREAMS):
        return Run(path)
    numbered = numbered_directories(path / RUNS) or numbered_directories(path)
    if numbered:
        return Run(numbered[-1])
    siblings = numbered_directories(path.parent)
    if siblings and path.name.isdigit():
        known = ", ".join(sibling.name for sibling in siblings[-8:])
        raise CaseError(f"{path}: no such run; there is {known}")
    if path.is_dir():
        raise CaseError(f"{path}: no run here yet; start one with `wigner-sim run {path}`")
    load_case(path)  # knows the nearest case by name
    raise CaseError(f"{path}: not a run directory")


def open_exact_run(path: str | Path) -> Run:
    """Open an exact run, or the latest one of a case directory.

    Raises
    ------
    CaseError
        If there is none, or ``path`` is a run of another kind.
    """
    path = Path(path)
    numbered = numbered_directories(path / EXACT)
    if not numbered and numbered_directories(path / RUNS):
        raise CaseError(f"{path}: no exact run here yet; make one with `wigner-sim exact {path}`")
    run = Run(numbered[-1]) if numbered else open_run(path)
    if run.status.get("method") != "exact":
        raise CaseError(f"{run.path} is no exact run: --diff shows the difference of any two runs")
    return run


def open_stream(path: str | Path) -> xr.Dataset:
    """Open one file of a run lazily; a record that is still being written is left out.

    Raises
    ------
    CaseError
        If it is missing, or cannot be read after several attempts.
    """
    import_module("wigner_sim.accessor")  # gives Datasets their .wigner; by name: it lies above this module
    path = Path(path)
    if not path.exists():
        there = ", ".join(sorted(file.name for file in path.parent.glob("*.nc"))) or "none"
        raise CaseError(f"{path}: not written (yet); output files there: {there}")
    try:
        dataset = undisturbed(path, lambda: _open(path), lambda *_: True)
    except CaseError:
        raise
    except Exception as problem:  # damaged files make the libraries fail in many ways
        raise CaseError(
            f"{path}: cannot be read: locked by another program, or damaged ({problem})"
        ) from None
    for variable in dataset.variables.values():
        variable.encoding["_FillValue"] = None  # nothing is ever missing: keep it out of copies, too
    return dataset


def _open(path: Path) -> xr.Dataset:
    """Open a file with its complete records."""
    dataset = xr.open_dataset(path, engine="netcdf4", decode_timedelta=False)
    if "time" not in dataset.dims:
        return dataset
    # cut even where nothing is cut off: opened anew later, a longer file still gives these records only
    return dataset.isel(time=slice(0, len(complete_times(dataset["time"].values))))


def phase_variable(dataset: xr.Dataset) -> xr.DataArray:
    """Return the stored face of the state, ``f``, ``w`` or ``c``.

    Raises
    ------
    CaseError
        If the Dataset has none of them.
    """
    for name in FACES:
        if name in dataset:
            return dataset[name]
    raise CaseError(f"no phase-space variable {', '.join(FACES)} in this Dataset: it has {list(dataset)}")


def marginal(dataset: xr.Dataset, dim: str | tuple[str, ...]) -> xr.DataArray:
    """Integrate the state over all phase-space axes but ``dim``, measure dx dk/(2 pi)^d.

    ``marginal(ds, "x")`` is the density n(x) per cell, ``marginal(ds, "kx")`` the momentum distribution,
    whose mean over ``kx`` is the particle number.
    """
    values = phase_variable(dataset)
    kept = (dim,) if isinstance(dim, str) else tuple(dim)
    axes = [str(name) for name in values.dims if name not in ("time", "band")]
    if unknown := set(kept) - set(axes):
        raise CaseError(f"no axis {', '.join(sorted(unknown))}; the state has {', '.join(axes)}")
    others = [name for name in axes if name not in kept]
    lengths = [float(dataset[name].attrs["period"]) for name in others if not name.startswith("k")]
    return values.mean(others, keep_attrs=False).rename("marginal") * float(np.prod(lengths))


def density(dataset: xr.Dataset) -> xr.DataArray:
    """Particles per cell, n(x) = int f dk/(2 pi)^d, by band."""
    axes = tuple(str(name) for name in phase_variable(dataset).dims if name in ("x", "y", "z"))
    return marginal(dataset, axes).rename("density")


def current(dataset: xr.Dataset) -> xr.Dataset:
    """Return the stored current along every axis, ``current_x``, ..., by band.

    Raises
    ------
    CaseError
        If the Dataset has none: it needs the velocities, which only the run itself knows.
    """
    names = [name for name in CURRENTS if name in dataset]
    if not names:
        raise CaseError(
            f"no current is stored here (it would be in fields.nc as {CURRENTS[0]}); there is {list(dataset)}"
        )
    return dataset[names]


def moments(dataset: xr.Dataset) -> xr.Dataset:
    """Particle number, and mean and spread along every axis.

    On a periodic axis of period L they come from the first harmonic R = <exp(2 pi i z / L)>: mean
    ``L arg(R) / 2 pi``, spread ``(L / 2 pi) sqrt(-2 ln |R|)``; both tend to the ordinary ones
    for a narrow packet.
    """
    values = phase_variable(dataset)
    axes = [str(name) for name in values.dims if name not in ("time", "band")]
    found = {"particle_number": marginal(dataset, ()).rename("particle_number")}
    for name in axes:
        period, start = float(dataset[name].attrs["period"]), float(dataset[name][0])
        profile = marginal(dataset, name)
        harmonic = (profile * np.exp(2j * np.pi * dataset[name] / period)).mean(name) / profile.mean(name)
        mean = period / (2 * np.pi) * xr.apply_ufunc(np.angle, harmonic)
        found[f"mean_{name}"] = (mean - start) % period + start
        found[f"spread_{name}"] = period / (2 * np.pi) * np.sqrt(-2 * np.log(abs(harmonic)))
    return xr.Dataset(found)


def conservation(dataset: xr.Dataset) -> xr.Dataset:
    """Drifts of the conserved quantities, relative to their first value and summed over bands."""
    stored: Mapping[str, xr.DataArray] = {name: dataset[name] for name in CONSERVED if name in dataset}
    totals = stored or {"particle_number": marginal(dataset, ())}
    drifts = {}
    for name, values in totals.items():
        total = values.sum("band") if "band" in values.dims else values
        scale = xr.DataArray(abs(total.isel(time=0)))
        drifts[f"{name}_drift"] = (total - total.isel(time=0)) / scale.where(scale > 0, 1.0)
    return xr.Dataset(drifts)


def compare(first: xr.Dataset, second: xr.Dataset) -> xr.Dataset:
    """Largest and root-mean-square difference of every shared variable, at the times both have.

    Raises
    ------
    CaseError
        If the grids differ, or no time or variable is shared.
    """
    for name in sorted(set(first.indexes) & set(second.indexes) - {"time"}, key=str):
        if not first.indexes[name].equals(second.indexes[name]):
            raise CaseError(f"the two Datasets have different {name} coordinates and cannot be compared")
    shared = [name for name in first.data_vars if name in second.data_vars]
    if not shared:
        raise CaseError(f"nothing to compare: {list(first.data_vars)} and {list(second.data_vars)}")
    if "time" in first.dims:
        first, second = _at_shared_times(first, second)
    found: dict[str, xr.DataArray] = {}
    for name in shared:
        difference = first[name] - second[name]
        axes = [axis for axis in difference.dims if axis not in ("time", "band")]
        found[f"{name}_max"] = xr.DataArray(abs(difference)).max(axes)
        found[f"{name}_rms"] = (difference**2).mean(axes) ** 0.5
    return xr.Dataset(found)


def _at_shared_times(first: xr.Dataset, second: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Both at their common times; times that agree up to rounding count as equal."""
    times, others = first["time"].values, second["time"].values
    close = np.isclose(times[:, None], others[None, :], rtol=1e-9, atol=1e-12)
    if not close.any():
        raise CaseError("the two Datasets have no time in common")
    second = second.isel(time=close.argmax(axis=1)[close.any(axis=1)])
    first = first.isel(time=np.flatnonzero(close.any(axis=1)))
    return first, second.assign_coords(time=first["time"])
