"""The table of all keys of a case file, read off the schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from wigner_sim.case.fields import UNIT_EXAMPLES
from wigner_sim.case.schema import CaseSections
from wigner_sim.case.sections.base import Section
from wigner_sim.case.sections.initial_state import INITIAL_STATES
from wigner_sim.case.toml_text import emit_value


@dataclass(frozen=True)
class CaseKey:
    """One key of a case file.

    Parameters
    ----------
    section, name : str
        Section is empty for a key at the top; ``"equation.terms"`` for a table inside one.
    default : str
        As TOML text, ``"required"``, or in words where it follows from other keys.
    expected, description : str
    kind : str
        For keys of ``[initial_state]``, the kind they belong to.
    """

    section: str
    name: str
    default: str
    expected: str
    description: str
    kind: str = ""


def section_model(field: FieldInfo) -> type[Section] | None:
    """Return the model of a field that is a section with fixed keys, optional or listed or neither."""
    given = [kind for kind in get_args(field.annotation) if kind not in (type(None), Ellipsis)]
    annotation = given[0] if len(given) == 1 else field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def is_list_of_tables(section: str) -> bool:
    """Whether a section may stand several times, ``[[section]]``."""
    field = CaseSections.model_fields.get(section)
    return field is not None and get_origin(field.annotation) is tuple


def expected_value(field: FieldInfo) -> str:
    """Return what a valid value of a field is, in words."""
    extra = field.json_schema_extra
    return str(extra["expected"]) if isinstance(extra, dict) and "expected" in extra else "a table"


def unit_kind(field: FieldInfo) -> str:
    """Return which kind of unit the values of a field may have; empty for none."""
    extra = field.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def _default(field: FieldInfo) -> str:
    extra: Any = field.json_schema_extra
    if field.is_required():
        return "required"
    return extra["default_text"] or emit_value(field.default)


def _keys_of(model: type[Section], section: str, kind: str = "") -> Iterator[CaseKey]:
    for name, field in model.model_fields.items():
        inner = section_model(field)
        if inner is not None:
            yield from _keys_of(inner, f"{section}.{name}" if section else name)
        elif name == "initial_state":
            for state_kind, state in INITIAL_STATES.items():
                yield from _keys_of(state, name, state_kind)
        elif name == "kind":
            yield CaseKey(section, name, "required", f'"{kind}"', (model.__doc__ or "").strip(), kind)
        else:
            description = field.description or ""
            expected = expected_value(field)
            if unit := unit_kind(field):
                expected += f"; a number may have a unit, {UNIT_EXAMPLES[unit]}"
            yield CaseKey(section, name, _default(field), expected, description, kind)


def case_keys() -> Iterator[CaseKey]:
    """Every key of a case file in the order of the schema, with default, range and meaning."""
    return _keys_of(CaseSections, "")
