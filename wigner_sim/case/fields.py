"""What a single key of a case file may hold: value types with their validation, and how a key is declared."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, StringConstraints
from pydantic_core import PydanticCustomError

#: When something happens: every time interval, ``{"steps": n}``, ``{"wall_seconds": s}``, or ``"never"``.
Cadence = float | str | dict[str, float]


#: What a value with a unit looks like, by the kind of its key.
UNIT_EXAMPLES = {
    "energy": '"25 meV"',
    "time": '"50 fs"',
    "rate": '"1 1/ps"',
    "sites": '"20 nm"',
    "position": '"5 nm"',
    "momentum": '"0.1 1/nm"',
    "density": '"1 1/nm^2"',
    "hoppings": '"-2.7 eV"',
    "terms": '"0.3 eV"',
    "lattice_vectors": '"2.46 angstrom"',
    "orbital_positions": '"1.42 angstrom"',
    "wavenumber": '"0.1 1/nm"',
    "starts": '"5 nm" or "0.1 1/nm"',
    "force": '"0.1 V/nm"',
    "electric_field": '"0.1 V/nm"',
    "magnetic_field": '"5 T"',
    "parameters": '"50 meV"',
}


def key(default: Any, description: str, expected: str, default_text: str = "", unit: str = "") -> Any:
    """Declare a key: its default (``...`` when required), its meaning, and what a valid value is, in words.

    ``default_text`` describes a default that is worked out from other keys.  With ``unit``, a name in
    ``UNIT_EXAMPLES``, every number may also be given as a string with a unit.
    """
    extra: dict[str, Any] = {"expected": expected, "default_text": default_text, "unit": unit}
    return Field(default, description=description, json_schema_extra=extra)


def inconsistent(section: str, name: str, problem: str) -> PydanticCustomError:
    """Error about a key whose value does not fit to another one; ``problem`` is the rest of the sentence."""
    return PydanticCustomError("inconsistent", "{problem}", {"path": (section, name), "problem": problem})


def as_tuple(value: Any) -> Any:
    """Take a list as a tuple, and a single number as a list of one."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _plain(value: Any) -> Any:
    """Refuse dates and non-finite numbers anywhere inside a free-form value."""
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, bool | str) or _is_number(value):
        return value
    raise ValueError("neither number, string, truth value, list nor table")


def _is_number(value: Any) -> bool:
    """Whether ``value`` is a number that fits into a float and is finite."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and not math.isnan(value)
    )


def _cadence(*units: str) -> Callable[[Any], Cadence]:
    """Validate a cadence given as a time interval or as ``{unit = number}`` with one of ``units``."""

    def validate(value: Any) -> Cadence:
        if value == "never":
            return "never"
        if _is_number(value) and value > 0:
            return float(value)
        if isinstance(value, dict) and len(value) == 1:
            ((unit, amount),) = value.items()
            whole = isinstance(amount, int) or unit != "steps"
            if unit in units and _is_number(amount) and amount > 0 and whole:
                return {unit: int(amount) if unit == "steps" else float(amount)}
        raise ValueError("not a cadence")

    return validate


def distinct(values: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse an empty list and repeated entries."""
    if not values or len(set(values)) != len(values):
        raise ValueError("empty or repeated")
    return values


FILE_REFERENCE = re.compile(
    r"(?P<code>python|pythtb):(?P<script>.+\.py):(?P<function>[^\W\d]\w*)"
    r"|(?P<array>array):(?P<npy>.+\.npy)|(?P<model>wannier90|tbmodels):(?P<data>.+)"
)
SOURCE = re.compile(
    r"named:\w+|(python|pythtb):.+\.py:[^\W\d]\w*|callable:[\w.]*:.+|(wannier90|tbmodels):.+"
    r"|tight_binding|terms"
)


def _expression(text: str) -> str:
    """Check the form of a file reference; an expression itself is checked by the code that evaluates it."""
    if text.startswith(("python:", "array:")) and not FILE_REFERENCE.fullmatch(text):
        raise ValueError("bad file reference")
    return text


def _source(text: str) -> str:
    if not SOURCE.fullmatch(text):
        raise ValueError("unknown kind of source")
    return text


Count = Annotated[int, Field(gt=0, le=10**9)]
Points = Annotated[int, Field(ge=4, le=10**9)]
Band = Annotated[int, Field(ge=0, le=10**6)]
Order = Annotated[int, Field(ge=0, le=2)]
Positive = Annotated[float, Field(gt=0)]
Text = Annotated[str, StringConstraints(min_length=1)]
Expression = Annotated[str, StringConstraints(min_length=1), AfterValidator(_expression)]
Source = Annotated[str, AfterValidator(_source)]
Counts = Annotated[tuple[Count, ...], Field(max_length=3), BeforeValidator(as_tuple)]
PointCounts = Annotated[tuple[Points, ...], Field(max_length=3), BeforeValidator(as_tuple)]
Bands = Annotated[tuple[Band, ...], AfterValidator(distinct), BeforeValidator(as_tuple)]
Numbers = Annotated[tuple[float, ...], Field(max_length=3), BeforeValidator(as_tuple)]
Positives = Annotated[tuple[Positive, ...], Field(max_length=3), BeforeValidator(as_tuple)]
Expressions = Annotated[tuple[float | Expression, ...], Field(min_length=1), BeforeValidator(as_tuple)]
Names = Annotated[tuple[Text, ...], BeforeValidator(as_tuple)]
FreeTable = Annotated[dict[str, Any], AfterValidator(_plain)]
FreeList = Annotated[list[Any], AfterValidator(_plain)]
StreamCadence = Annotated[Any, PlainValidator(_cadence("steps"))]
CheckpointCadence = Annotated[Any, PlainValidator(_cadence("steps", "wall_seconds"))]
