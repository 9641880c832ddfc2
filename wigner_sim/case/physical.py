"""Values with units, ``"5 T"``, become lattice units before a case is validated.

Nothing after it sees a unit.  Which keys may have one, and of which kind, is declared with the key:
``key(..., unit="time")``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wigner_sim.case.conversion import WANNIER_UNITS, Edge, converted, has_unit, unit_of
from wigner_sim.case.keys import section_model, unit_kind
from wigner_sim.case.schema import CaseSections
from wigner_sim.case.sections.base import Section
from wigner_sim.case.sections.initial_state import INITIAL_STATES
from wigner_sim.errors import CaseError
from wigner_sim.units import ENERGY, LENGTH, parse_quantity

Where = Callable[[tuple[str, ...]], str]


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
    values = copy.deepcopy(dict(data))
    units = _units_section(values, where)
    edge = Edge(values, units, directory)
    # lengths need the lattice vectors, so these are first
    for path, value, kind, replace in sorted(
        _quantities(values), key=lambda found: found[2] != "lattice_vectors"
    ):
        try:
            new = converted(value, kind, edge)
        except (CaseError, OSError) as error:
            problem = error if isinstance(error, CaseError) else f"model file: {error.strerror}"
            raise CaseError(f"{where(path)}: [{'.'.join(path[:-1])}] {path[-1]}: {problem}") from None
        replace(new)
    return values


def _units_section(data: dict[str, Any], where: Where) -> dict[str, Any]:
    """Check ``[units]``, and fill in what a Wannier90 model, or lattice vectors with units, imply."""
    units = data.get("units", {})
    if not isinstance(units, dict):
        return {}  # validation will say so
    hamiltonian = data.get("hamiltonian")
    source = hamiltonian.get("source") if isinstance(hamiltonian, dict) else None
    if isinstance(source, str) and source.startswith("wannier90:"):
        data["units"] = units = WANNIER_UNITS | units
    if has_unit(_given_vectors(hamiltonian)) and "length" not in units:
        data["units"] = units = units | {"length": WANNIER_UNITS["length"]}
    for name, dimension in (("energy", ENERGY), ("length", LENGTH)):
        try:
            value = unit_of(units, name, dimension)
            if "units" in data and units.get(name) and isinstance(source, str):
                _check_wannier(name, value, source)
        except CaseError as error:
            raise CaseError(f"{where(('units', name))}: [units] {name}: {error}") from None
    return units


def _given_vectors(hamiltonian: Any) -> Any:
    """Lattice vectors of a case, wherever they stand."""
    if not isinstance(hamiltonian, dict):
        return None
    parameters = hamiltonian.get("parameters")
    elsewhere = parameters.get("lattice_vectors") if isinstance(parameters, dict) else None
    return hamiltonian.get("lattice_vectors", elsewhere)


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
            inner = key if key in ("lattice_vectors", "orbital_positions") else "parameter"
            yield from _in_value(value, key, inner, (*path, str(key)))
    elif has_unit(value):

        def replace(new: Any) -> None:
            table[name] = new

        yield path, value, kind, replace
