"""Pictures of a run in physical units: time in fs or ps, positions in nm or um; everything else as stored.

Momenta stay ``k.a_i``, where the zone reaches from -pi to pi, and densities per cell.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from wigner_sim.figures.frames import Run
from wigner_sim.grid import AXIS_LETTERS
from wigner_sim.si_attributes import si_attributes

#: Unit and its size in SI, by quantity; the next one from ten thousand of the one before.
_UNITS = {"time": (("fs", 1e-15), ("ps", 1e-12)), "length": (("nm", 1e-9), ("um", 1e-6))}
_MANY = 1e4


class InPhysicalUnits:
    """A run whose streams have their times and positions in physical units.

    Parameters
    ----------
    run : Run
    """

    def __init__(self, run: Run):
        self._run = run

    @property
    def path(self) -> Any:
        """The run directory."""
        return self._run.path

    @property
    def scalars(self) -> xr.Dataset:
        """As of the run."""
        return physical_axes(self._run.scalars)

    @property
    def fields(self) -> xr.Dataset:
        """As of the run."""
        return physical_axes(self._run.fields)

    @property
    def phase(self) -> xr.Dataset:
        """As of the run."""
        return physical_axes(self._run.phase)

    @property
    def geometry(self) -> xr.Dataset:
        """As of the run."""
        return physical_axes(self._run.geometry)

    @property
    def trajectories(self) -> xr.Dataset:
        """As of the run."""
        return physical_axes(self._run.trajectories)  # type: ignore[attr-defined]


def in_physical_units(run: Run) -> Run:
    """Show a run in physical units; one in lattice units stays as it is."""
    return InPhysicalUnits(run)


def physical_axes(dataset: xr.Dataset) -> xr.Dataset:
    """Dataset with time and positions in physical units, if its run had any; other variables stay lazy."""
    converted = {}
    for name in ("time", *AXIS_LETTERS):
        if name in dataset.variables:
            factor = si_attributes(name, dataset.attrs).get("units_si_factor")
            if factor is not None:
                converted[name] = _converted(dataset.variables[name], factor, name)
    coordinates = {name: variable for name, variable in converted.items() if name in dataset.coords}
    others = {name: variable for name, variable in converted.items() if name not in dataset.coords}
    return dataset.assign_coords(coordinates).assign(others)


def _converted(variable: xr.Variable, factor: float, name: str) -> xr.Variable:
    period = float(variable.attrs.get("period", 0.0))
    largest = max(float(np.abs(variable.values).max(initial=0.0)), period) * factor
    (unit, size), larger = _UNITS["time" if name == "time" else "length"]
    if largest > _MANY * size:
        unit, size = larger
    attributes = {key: value for key, value in variable.attrs.items() if key != "units_si_factor"}
    attributes |= {"units": unit} | ({"period": period * factor / size} if period else {})
    return xr.Variable(variable.dims, variable.values * (factor / size), attributes)
