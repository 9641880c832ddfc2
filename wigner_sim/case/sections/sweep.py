"""The section ``[sweep]``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from wigner_sim.case.fields import FreeTable, key
from wigner_sim.case.sections.base import Section
from wigner_sim.units import number_and_unit

#: Ways to give values by their first, their last and their number.
RANGES = ("linspace", "geomspace")


def swept_values(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"section.key": values}`` of a table whose keys are dotted, nested, or both."""
    found: dict[str, Any] = {}
    for name, entry in table.items():
        path = f"{prefix}{name}"
        if isinstance(entry, dict) and not set(entry) & set(RANGES):
            found |= swept_values(entry, f"{path}.")
        else:
            found[path] = entry
    return found


def _sweepable(table: dict[str, Any]) -> dict[str, Any]:
    values = swept_values(table)
    for path, entry in values.items():
        if path.startswith("sweep.") or not (_is_range(entry) or (isinstance(entry, list) and entry)):
            raise ValueError(f"{path}: neither a list nor a range")
    if not values:
        raise ValueError("nothing is swept")
    return table


def _is_range(entry: Any) -> bool:
    if not isinstance(entry, dict) or len(entry) != 1:
        return False
    ((kind, range_),) = entry.items()
    if kind not in RANGES or not isinstance(range_, list) or len(range_) != 3:
        return False
    first, last, n = range_
    with_units = [number_and_unit(end) for end in (first, last)]
    if with_units[0] and with_units[1] and with_units[0][1] == with_units[1][1]:
        first, last = with_units[0][0], with_units[1][0]
    if any(isinstance(end, bool | str | list | dict) for end in (first, last)) or type(n) is not int:
        return False
    return 0 < n <= 100_000 and (kind == "linspace" or first * last > 0)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else (value,)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("repeated")
    return names


Collected = Annotated[
    tuple[Literal["scalars", "fields"], ...], AfterValidator(_distinct), BeforeValidator(_as_tuple)
]


class SweepSection(Section):
    """Runs of the same case with different values, made by ``wigner-sim sweep``."""

    values: Annotated[FreeTable, AfterValidator(_sweepable)] = key(
        ...,
        "What is swept: any keys of the case, each with its values.",
        "a table of case keys, each with a list of values, { linspace = [first, last, n] } or "
        "{ geomspace = [first, last, n] }; with units where the key takes them, both ends in the same",
    )
    mode: Literal["product", "zip"] = key(
        "product",
        "Every combination of the values, or the first of each, the second of each, and so on.",
        '"product" or "zip"',
    )
    collect: Collected = key(
        ("scalars",),
        "Streams of all runs that are collected in one file: sweep.nc, sweep_fields.nc.",
        'a list of "scalars" and "fields"',
    )
