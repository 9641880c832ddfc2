"""What output files say about SI: the units of the run, and the factor of each variable.

A run in physical units carries the global attributes ``energy_unit_joule``, ``length_unit_metre``,
``time_unit_second`` and ``lattice_vectors_metre`` (rows, one after the other).  A variable with a dimension
has ``units_dimension`` ("energy length^-2") and ``units_si_factor``, by which its values are multiplied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from wigner_sim.grid import AXIS_LETTERS, FloatArray
from wigner_sim.units import UnitSystem, dimension_text, si_factor

#: Variables -> quantity, for those without an axis in the name.
_PLAIN = {
    "time": "time",
    "time_step": "time",
    "energy": "energy",
    "band_energy": "energy",
    "dual_energy": "energy",
    "gap": "energy",
    "total_energy": "energy",
    "interaction_energy": "energy",
    "density": "density",
    "energy_density": "energy_density",
}
#: Variables with one axis at the end, ``current_x``.
_VECTORS = {
    "current": "current",
    "all_bands_current": "current",
    "energy_current": "energy_current",
    "velocity": "velocity",
}
#: Currents of the whole crystal, ``current_total_x`` and its parts.
_TOTALS = r"total_current|current_(total|group|anomalous|moment|metric|normalized_metric)"
_AXIS = r"(k?[xyz])"


def si_globals(unit_system: UnitSystem | None) -> dict[str, Any]:
    """Global attributes of a run in physical units; none for one in lattice units."""
    if unit_system is None:
        return {}
    found: dict[str, Any] = {
        "energy_unit_joule": unit_system.energy,
        "time_unit_second": unit_system.time,
    }
    if unit_system.length is not None:
        vectors = unit_system.length * np.array(unit_system.lattice_vectors)
        found |= {"length_unit_metre": unit_system.length, "lattice_vectors_metre": vectors.ravel()}
    return found


def si_attributes(name: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a variable or coordinate, from its name and the global attributes of its file."""
    if "energy_unit_joule" not in attributes:
        return {}
    units = _unit_system(attributes)
    axes: tuple[int, ...] = ()
    if name in _PLAIN:
        quantity = _PLAIN[name]
    elif match := re.fullmatch(rf"(quantum_metric|berry_curvature)_{_AXIS}_{_AXIS}", name):
        return _tensor(match[2], match[3], units)
    elif match := re.fullmatch(rf"(?:([a-z_]+)_)?{_AXIS}", name):
        quantity, axes = _of_axis(match[1] or "", match[2])
    else:
        return {}
    if not quantity or (units.length is None and (axes or "density" in quantity)):
        return {}
    dimension = dimension_text(quantity, len(units.lattice_vectors), len(axes))
    return {"units_dimension": dimension, "units_si_factor": si_factor(quantity, units, axes)}


def _of_axis(stem: str, axis: str) -> tuple[str, tuple[int, ...]]:
    """Quantity and lattice vector of ``x``, ``kx``, ``velocity_x``, ``velocity_kx``, ``current_x``."""
    number, momentum = AXIS_LETTERS.index(axis[-1]), axis.startswith("k")
    if not stem:
        return "momentum" if momentum else "position", (number,)
    if stem == "velocity" and momentum:
        return "momentum_velocity", (number,)
    if re.fullmatch(_TOTALS, stem):
        return "velocity", (number,)
    return ("" if momentum else _VECTORS.get(stem, "")), (number,)


def _tensor(first: str, second: str, units: UnitSystem) -> dict[str, Any]:
    """Two lower indices: a length for each momentum, an inverse length for each position."""
    if units.length is None:
        return {}
    factor, power = 1.0, 0
    for axis in (first, second):
        sign = 1 if axis.startswith("k") else -1
        factor *= units.spacing(AXIS_LETTERS.index(axis[-1])) ** sign
        power += sign
    return {"units_dimension": f"length^{power}", "units_si_factor": factor} if power else {}


def _unit_system(attributes: Mapping[str, Any]) -> UnitSystem:
    length = attributes.get("length_unit_metre")
    if length is None:
        return UnitSystem(float(attributes["energy_unit_joule"]))
    flat: FloatArray = np.atleast_1d(attributes["lattice_vectors_metre"]) / float(length)
    rows = flat.reshape(round(np.sqrt(flat.size)), -1)
    return UnitSystem(float(attributes["energy_unit_joule"]), float(length), tuple(map(tuple, rows.tolist())))
