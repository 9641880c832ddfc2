"""From a value with units to lattice units, for each kind of key."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wigner_sim.errors import CaseError
from wigner_sim.models.build import lattice_vectors
from wigner_sim.models.setting import Setting
from wigner_sim.units import (
    ELECTRIC_FIELD,
    ENERGY,
    FORCE,
    FREQUENCY,
    LENGTH,
    MAGNETIC_FIELD,
    NAMES,
    TEMPERATURE,
    TIME,
    WAVE_NUMBER,
    Dimension,
    Quantity,
    UnitSystem,
    UnknownUnitError,
    parse_quantity,
)

logger = logging.getLogger(__name__)

#: kind of key -> dimensions it takes.
ACCEPTED: dict[str, tuple[Dimension, ...]] = {
    "energy": (ENERGY, TEMPERATURE),
    "hoppings": (ENERGY, TEMPERATURE),
    "terms": (ENERGY, TEMPERATURE),
    "time": (TIME,),
    "rate": (FREQUENCY, ENERGY),
    "sites": (LENGTH,),
    "position": (LENGTH,),
    "momentum": (WAVE_NUMBER,),
    "wavenumber": (WAVE_NUMBER,),
    "density": (WAVE_NUMBER, Dimension(length=-2), Dimension(length=-3)),
    "lattice_vectors": (LENGTH,),
    "orbital_positions": (LENGTH,),
    "force": (FORCE, ELECTRIC_FIELD),
    "electric_field": (ELECTRIC_FIELD,),
    "magnetic_field": (MAGNETIC_FIELD,),
}
#: A Wannier90 model comes in these.
WANNIER_UNITS = {"energy": "1 eV", "length": "1 angstrom"}


def unit_system(units: Mapping[str, Any], vectors: Any) -> UnitSystem | None:
    """The units of a case from its section ``[units]``; ``None`` for a case in lattice units."""
    if not units.get("energy"):
        return None
    rows = tuple(tuple(float(x) for x in row) for row in vectors)
    length = unit_of(units, "length", LENGTH)
    return UnitSystem(unit_of(units, "energy", ENERGY) or 1.0, length, rows)


def unit_of(units: Mapping[str, Any], name: str, dimension: Dimension) -> float | None:
    """One entry of ``[units]`` in SI; ``None`` if it is not there."""
    text = units.get(name)
    if not isinstance(text, str):
        return None
    quantity = parse_quantity(text)
    if quantity is None or quantity.dimension != dimension or quantity.value <= 0:
        raise CaseError(f'expected {NAMES[dimension]} > 0 such as "{WANNIER_UNITS[name]}", got {text!r}')
    return quantity.value


#: "0.3j" is imaginary, in a formula; "0.3 J" would be an energy.
_IMAGINARY = re.compile(r"\s*[-+]?[\d.]+(?:[eE][-+]?\d+)?[jJ]\b")


def has_unit(value: Any) -> bool:
    """Whether a string, or one in a list or table, reads as a number with a unit, known or not."""
    if isinstance(value, list):
        return any(map(has_unit, value))
    if isinstance(value, dict):
        return any(map(has_unit, value.values()))
    if not isinstance(value, str) or _IMAGINARY.match(value):
        return False
    try:
        return parse_quantity(value) is not None
    except UnknownUnitError:
        return True


@dataclass(frozen=True)
class Edge:
    """The units of a case, with the lattice vectors read only if a length asks for them."""

    data: Mapping[str, Any]
    units: Mapping[str, Any]
    directory: Path

    @cached_property
    def without_lengths(self) -> UnitSystem:
        """Energies and times only."""
        system = unit_system(self.units, ((1.0,),))
        if system is None:
            raise CaseError('a value with a unit needs [units] energy, the energy unit of the model ("1 eV")')
        return system

    @cached_property
    def system(self) -> UnitSystem:
        """With the lattice vectors of the model."""
        energy = self.without_lengths.energy
        hamiltonian = _table(self.data, "hamiltonian")
        parameters = dict(_table(hamiltonian, "parameters"))
        for name in ("orbital_positions", "lattice_vectors"):
            if name in hamiltonian:
                parameters[name] = hamiltonian[name]
        if has_unit(parameters.get("orbital_positions")):  # these need the lattice vectors themselves
            del parameters["orbital_positions"]
        source = str(hamiltonian.get("source", "")).removeprefix("named:")
        setting = Setting(_n_dimensions(_table(self.data, "grid")), (), self.directory)
        vectors = lattice_vectors(source, parameters, setting).tolist()
        return UnitSystem(energy, unit_of(self.units, "length", LENGTH), tuple(map(tuple, vectors)))


def _table(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table inside ``data``; empty for anything else, which validation will refuse."""
    table = data.get(name)
    return table if isinstance(table, dict) else {}


def _n_dimensions(grid: Mapping[str, Any]) -> int:
    """As many as momentum axes; by default one for each position axis."""
    n_k, sites = grid.get("n_k"), grid.get("sites")
    given = n_k if n_k is not None else sites
    return min(3, max(1, len(given))) if isinstance(given, list | tuple) else 1


def converted(value: Any, kind: str, edge: Edge) -> Any:
    """A value of a key in lattice units: one entry, a list with one per axis, or lists and tables of them.

    Parameters
    ----------
    value : as read from TOML
    kind : str
        A key of ``ACCEPTED``, ``"parameter"`` or ``"starts"``.
    edge : Edge

    Raises
    ------
    CaseError
        The rest of a sentence that begins with the name of the key.
    """
    match kind:
        case "magnetic_field":
            return _flux(value, edge)
        case "starts" | "orbital_positions":
            return [_along_axes(row, kind, edge) for row in value] if isinstance(value, list) else value
        case "terms":
            return (
                [_term(term, i, edge) for i, term in enumerate(value, 1)]
                if isinstance(value, list)
                else value
            )
        case "sites" | "position" | "momentum" | "force" if isinstance(value, list):
            return [_along_axis(entry, kind, axis, edge) for axis, entry in enumerate(value)]
        case "sites" | "position" | "momentum" | "force":
            return _along_axis(value, kind, 0, edge)
    return _everywhere(value, kind, edge)


def _everywhere(value: Any, kind: str, edge: Edge) -> Any:
    """Convert each text in nested lists and tables."""
    if isinstance(value, list):
        return [_everywhere(entry, kind, edge) for entry in value]
    if isinstance(value, dict):
        return {name: _everywhere(entry, kind, edge) for name, entry in value.items()}
    return _scalar(value, kind, edge)


def _term(term: Any, number: int, edge: Edge) -> Any:
    """One product (function of x) (function of k) matrix: an energy in one of them."""
    with_units = [name for name, factor in term.items() if has_unit(factor)] if isinstance(term, dict) else []
    if len(with_units) > 1:
        raise CaseError(f"term number {number} is an energy twice, in {' and '.join(with_units)}")
    return _everywhere(term, "terms", edge)


def _along_axes(row: Any, kind: str, edge: Edge) -> Any:
    """Positions of an orbital; positions, then momenta, of one packet."""
    if not isinstance(row, list):
        return row
    sites = _table(edge.data, "grid").get("sites")
    s = len(sites) if isinstance(sites, list) else 1
    if kind == "orbital_positions":
        s = len(row)
    return [
        _along_axis(entry, "position", axis, edge)
        if axis < s
        else _along_axis(entry, "momentum", axis - s, edge)
        for axis, entry in enumerate(row)
    ]


def _quantity(entry: Any, kind: str) -> Quantity | None:
    """The entry as a quantity of the right kind; ``None`` for a number or a formula."""
    quantity = parse_quantity(entry) if isinstance(entry, str) and has_unit(entry) else None
    if quantity is not None and quantity.dimension not in ACCEPTED[kind]:
        wanted = " or ".join(NAMES[dimension] for dimension in ACCEPTED[kind])
        raise CaseError(f"expected {wanted}, got {entry!r}, which is {quantity.kind}")
    return quantity


def _scalar(entry: Any, kind: str, edge: Edge) -> Any:
    if kind == "parameter":
        return _parameter(entry, edge)
    quantity = _quantity(entry, kind)
    if quantity is None:
        return entry
    if kind == "electric_field":
        return edge.system.number(quantity, edge.system.spacing(0))
    if kind == "wavenumber":
        return edge.system.number(quantity, edge.system.common_spacing())
    if kind == "lattice_vectors":
        return quantity.value / (unit_of(edge.units, "length", LENGTH) or 1.0)
    if kind == "density":
        return _per_cell(quantity, edge.system)
    return edge.without_lengths.number(quantity)


def _per_cell(density: Quantity, system: UnitSystem) -> float:
    """Particles per length, area or volume as particles per cell."""
    d = len(system.lattice_vectors)
    if density.dimension.length != -d:
        volume = ("length", "area", "volume")[d - 1]
        raise CaseError(f"expected a number per {volume}, got {density.text!r}")
    return density.value * system.cell_volume()


def _parameter(entry: Any, edge: Edge) -> Any:
    """A named number may be of any kind; its lengths count lattice vectors."""
    try:
        quantity = parse_quantity(entry) if isinstance(entry, str) else None
    except UnknownUnitError:
        return entry  # perhaps text with another meaning: its reader will tell
    if quantity is None:
        return entry
    if not quantity.dimension.length:
        return edge.without_lengths.number(quantity)
    return edge.system.number(quantity, edge.system.common_spacing())


def _along_axis(entry: Any, kind: str, axis: int, edge: Edge) -> Any:
    """A component along lattice vector ``axis``."""
    quantity = _quantity(entry, kind)
    if quantity is None:
        return entry
    if axis >= len(edge.system.lattice_vectors):
        raise CaseError(f"{axis + 1} entries for {len(edge.system.lattice_vectors)} lattice vectors")
    number = edge.system.number(quantity, edge.system.spacing(axis))
    if quantity.dimension == ELECTRIC_FIELD:
        return -number  # the charge of the electron
    return _whole(number, quantity, axis, edge.system) if kind == "sites" else number


def _whole(number: float, quantity: Quantity, axis: int, system: UnitSystem) -> int:
    """A length as a whole number of cells."""
    cells = max(1, round(number))
    if abs(cells - number) > 1e-6 * cells:
        length = cells * system.spacing(axis) * 1e9
        logger.debug("sites: %s along a_%d becomes %d cells, %.6g nm", quantity.text, axis + 1, cells, length)
    return cells


def _flux(value: Any, edge: Edge) -> Any:
    """Field in tesla, one number or three Cartesian components, as flux per cell face."""
    entries = list(value) if isinstance(value, list) else [value]
    quantities = [_quantity(entry, "magnetic_field") for entry in entries]
    if any(quantity is None and entry != 0 for quantity, entry in zip(quantities, entries, strict=True)):
        raise CaseError("either all components have a unit or none")
    field = [0.0 if quantity is None else quantity.value for quantity in quantities]
    d = len(edge.system.lattice_vectors)
    if len(field) != {2: 1, 3: 3}.get(d):
        raise CaseError(f"{len(field)} components in {d} dimensions")
    flux = edge.system.flux(field)
    return list(flux) if d == 3 else flux[0]
