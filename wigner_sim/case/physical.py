"""Values with units, ``"5 T"``, become lattice units before a case is validated.

Nothing after it sees a unit.  Which keys may have one, and of which kind, is declared with the key:
``key(..., unit="time")``.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wigner_sim.case.keys import section_model, unit_kind
from wigner_sim.case.schema import CaseSections
from wigner_sim.case.sections.base import Section
from wigner_sim.case.sections.initial_state import INITIAL_STATES
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

Where = Callable[[tuple[str, ...]], str]

#: kind of key -> dimensions it takes.
ACCEPTED: dict[str, tuple[Dimension, ...]] = {
    "energy": (ENERGY, TEMPERATURE),
    "time": (TIME,),
    "rate": (FREQUENCY, ENERGY),
    "sites": (LENGTH,),
    "position": (LENGTH,),
    "momentum": (WAVE_NUMBER,),
    "wavenumber": (WAVE_NUMBER,),
    "force": (FORCE, ELECTRIC_FIELD),
    "electric_field": (ELECTRIC_FIELD,),
    "magnetic_field": (MAGNETIC_FIELD,),
}
#: A Wannier90 model comes in these.
WANNIER_UNITS = {"energy": "1 eV", "length": "1 angstrom"}


def in_lattice_units(data: Mapping[str, Any], directory: Path, where: Where) -> dict[str, Any]:
    """Copy of a case's values with every quantity converted.

    Parameters
    ----------
    data : nested mapping
        As read from TOML, not validated.
    directory : Path
        Of the case; a model file is looked up for its lattice vectors where a length is given.
    where : callable
        Names the place of a key in messages.

    Raises
    ------
    CaseError
        For an unknown unit, a quantity of the wrong kind, or a missing ``[units]``.
    """
    converted = copy.deepcopy(dict(data))
    units = _units_section(converted, where)
    edge = _Edge(converted, units, directory)
    for path, value, kind, replace in _quantities(converted):
        try:
            new = _converted(value, kind, edge)
        except (CaseError, OSError) as error:
            problem = error if isinstance(error, CaseError) else f"model file: {error.strerror}"
            raise CaseError(f"{where(path)}: [{'.'.join(path[:-1])}] {path[-1]}: {problem}") from None
        replace(new)
    return converted


def unit_system(units: Mapping[str, Any], vectors: Any) -> UnitSystem | None:
    """The units of a case from its section ``[units]``; ``None`` for a case in lattice units."""
    if not units.get("energy"):
        return None
    rows = tuple(tuple(float(x) for x in row) for row in vectors)
    length = _unit_of(units, "length", LENGTH)
    return UnitSystem(_unit_of(units, "energy", ENERGY) or 1.0, length, rows)


def _units_section(data: dict[str, Any], where: Where) -> dict[str, Any]:
    """Check ``[units]``, and fill in what a Wannier90 model implies."""
    units = data.get("units", {})
    if not isinstance(units, dict):
        return {}  # validation will say so
    hamiltonian = data.get("hamiltonian")
    source = hamiltonian.get("source") if isinstance(hamiltonian, dict) else None
    if isinstance(source, str) and source.startswith("wannier90:"):
        data["units"] = units = WANNIER_UNITS | units
    for name, dimension in (("energy", ENERGY), ("length", LENGTH)):
        try:
            value = _unit_of(units, name, dimension)
            if "units" in data and units.get(name) and isinstance(source, str):
                _check_wannier(name, value, source)
        except CaseError as error:
            raise CaseError(f"{where(('units', name))}: [units] {name}: {error}") from None
    return units


def _unit_of(units: Mapping[str, Any], name: str, dimension: Dimension) -> float | None:
    text = units.get(name)
    if not isinstance(text, str):
        return None
    quantity = parse_quantity(text)
    if quantity is None or quantity.dimension != dimension or quantity.value <= 0:
        raise CaseError(f'expected {NAMES[dimension]} > 0 such as "{WANNIER_UNITS[name]}", got {text!r}')
    return quantity.value


def _check_wannier(name: str, value: float | None, source: str) -> None:
    own = parse_quantity(WANNIER_UNITS[name])
    if source.startswith("wannier90:") and own and value is not None and abs(value / own.value - 1) > 1e-12:
        raise CaseError(f"a Wannier90 model has the unit {WANNIER_UNITS[name]}, which cannot be changed")


# --- which values ---

Found = tuple[tuple[str, ...], Any, str, Callable[[Any], None]]


def _quantities(data: dict[str, Any]) -> Iterator[Found]:
    """Every value that has a unit: path, value, kind of its key, and how to replace it."""
    yield from _in_section(data, CaseSections, ())


def _in_section(table: Any, model: type[Section], path: tuple[str, ...]) -> Iterator[Found]:
    if not isinstance(table, dict):
        return
    for name, field in model.model_fields.items():
        if name not in table:
            continue
        inner = section_model(field)
        if name == "initial_state" and isinstance(table[name], dict):
            inner = INITIAL_STATES.get(str(table[name].get("kind")))
        if inner is not None and isinstance(table[name], list):
            for i, entry in enumerate(table[name]):
                yield from _in_section(entry, inner, (*path, name, str(i)))
        elif inner is not None:
            yield from _in_section(table[name], inner, (*path, name))
        elif kind := unit_kind(field):
            yield from _in_value(table, name, kind, (*path, name))


def _in_value(table: dict[str, Any], name: str, kind: str, path: tuple[str, ...]) -> Iterator[Found]:
    value = table[name]
    if kind == "parameters":
        for key in list(value) if isinstance(value, dict) else []:
            yield from _in_value(value, key, "parameter", (*path, str(key)))
    elif _has_unit(value):

        def replace(new: Any) -> None:
            table[name] = new

        yield path, value, kind, replace


def _has_unit(value: Any) -> bool:
    """Whether a string, or one in a list, reads as a number with a unit, known or not."""
    if isinstance(value, list):
        return any(map(_has_unit, value))
    if not isinstance(value, str):
        return False
    try:
        return parse_quantity(value) is not None
    except UnknownUnitError:
        return True


# --- conversion ---


@dataclass(frozen=True)
class _Edge:
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
        source = str(hamiltonian.get("source", "")).removeprefix("named:")
        setting = Setting(_n_dimensions(_table(self.data, "grid")), (), self.directory)
        vectors = lattice_vectors(source, parameters, setting).tolist()
        return UnitSystem(energy, _unit_of(self.units, "length", LENGTH), tuple(map(tuple, vectors)))


def _table(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table inside ``data``; empty for anything else, which validation will refuse."""
    table = data.get(name)
    return table if isinstance(table, dict) else {}


def _n_dimensions(grid: Mapping[str, Any]) -> int:
    """As many as momentum axes; by default one for each position axis."""
    n_k, sites = grid.get("n_k"), grid.get("sites")
    given = n_k if n_k is not None else sites
    return min(3, max(1, len(given))) if isinstance(given, list | tuple) else 1


def _converted(value: Any, kind: str, edge: _Edge) -> Any:
    """One value, or a list with one entry per axis."""
    if kind == "magnetic_field":
        return _flux(value, edge)
    if kind == "starts":
        return [_start(row, edge) for row in value] if isinstance(value, list) else value
    entries = list(value) if isinstance(value, list) else [value]
    if kind in ("sites", "position", "momentum", "force"):
        new = [_along_axis(entry, kind, axis, edge) for axis, entry in enumerate(entries)]
    else:
        new = [_scalar(entry, kind, edge) for entry in entries]
    return new if isinstance(value, list) else new[0]


def _start(row: Any, edge: _Edge) -> Any:
    """Positions, then momenta, of one packet."""
    if not isinstance(row, list):
        return row
    sites = _table(edge.data, "grid").get("sites")
    s = len(sites) if isinstance(sites, list) else 1
    return [
        _along_axis(entry, "position", axis, edge)
        if axis < s
        else _along_axis(entry, "momentum", axis - s, edge)
        for axis, entry in enumerate(row)
    ]


def _quantity(entry: Any, kind: str) -> Quantity | None:
    """The entry as a quantity of the right kind; ``None`` for a number or a formula."""
    quantity = parse_quantity(entry) if isinstance(entry, str) else None
    if quantity is not None and quantity.dimension not in ACCEPTED[kind]:
        wanted = " or ".join(NAMES[dimension] for dimension in ACCEPTED[kind])
        raise CaseError(f"expected {wanted}, got {entry!r}, which is {quantity.kind}")
    return quantity


def _scalar(entry: Any, kind: str, edge: _Edge) -> Any:
    if kind == "parameter":
        return _parameter(entry, edge)
    quantity = _quantity(entry, kind)
    if quantity is None:
        return entry
    if kind == "electric_field":
        return edge.system.number(quantity, edge.system.spacing(0))
    if kind == "wavenumber":
        return edge.system.number(quantity, edge.system.common_spacing())
    return edge.without_lengths.number(quantity)


def _parameter(entry: Any, edge: _Edge) -> Any:
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


def _along_axis(entry: Any, kind: str, axis: int, edge: _Edge) -> Any:
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


def _flux(value: Any, edge: _Edge) -> Any:
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
