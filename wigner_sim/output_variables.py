"""What can be stored: declarations of variables and coordinates, free of how a file is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from wigner_sim.grid import PhaseSpaceGrid

Attribute = str | int | float | np.ndarray | Sequence[float]


@dataclass(frozen=True)
class VariableSpec:
    """Declares a stored variable.

    Parameters
    ----------
    name : str
    dims : tuple of str
        Dimension names; ``"time"`` first for a variable with records.
    units : str
        UDUNITS text, ``"1"`` without dimension.
    long_name : str
    equation : str
        What it is, as a formula.
    attributes : dict
        Further attributes: strings, numbers or arrays of numbers.
    """

    name: str
    dims: tuple[str, ...]
    units: str = "1"
    long_name: str = ""
    equation: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def all_attributes(self) -> dict[str, Attribute]:
        """Attributes as they are stored."""
        named = {"units": self.units, "long_name": self.long_name or self.name, "equation": self.equation}
        if "time" in self.dims:
            named["cell_methods"] = "time: point"  # a record is a moment, not a mean since the last one
        return {name: value for name, value in named.items() if value} | dict(self.attributes)


@dataclass(frozen=True)
class Coordinate:
    """A dimension with its coordinate values (numbers or strings along ``name``) and attributes."""

    name: str
    values: ArrayLike
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


def grid_coordinates(grid: PhaseSpaceGrid, bands: Sequence[int]) -> tuple[Coordinate, ...]:
    """Coordinates ``band, x.., kx..`` of a phase-space grid; each periodic one carries its ``period``."""
    coordinates = [
        Coordinate("band", np.asarray(bands, dtype=np.int32), {"units": "1", "long_name": "band index"})
    ]
    for number, name in enumerate(grid.dims):
        if name in grid.position_names:
            about = {"units": "1", "comment": f"along lattice vector {number + 1}, in units of its length"}
            about["long_name"] = f"position {name}"
        else:
            axis = number - grid.n_position_axes + 1
            about = {"units": "radian", "comment": f"k . a_{axis}, a_{axis} the lattice vector"}
            about["long_name"] = f"momentum {name}"
        coordinates.append(
            Coordinate(name, grid.axis_points[number], about | {"period": grid.periods[number]})
        )
    return tuple(coordinates)
