"""Turn what pydantic says about a wrong case into one sentence: file, line, key, expected, given."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from wigner_sim.case.keys import expected_value, section_model
from wigner_sim.case.schema import CaseSections
from wigner_sim.case.sections.base import Section
from wigner_sim.case.sections.initial_state import INITIAL_STATES
from wigner_sim.case.toml_text import emit_value, line_of

_LONGEST_VALUE = 60


@dataclass(frozen=True)
class Origin:
    """Where the values of a case were written: file, its text and values, overrides.

    It takes no part in comparisons: cases are equal when all their values are.
    """

    path: Path | None = field(default=None, compare=False)
    text: str = field(default="", compare=False)
    overrides: tuple[str, ...] = field(default=(), compare=False)
    data: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def where(self, path: tuple[str, ...]) -> str:
        """``FILE line N``, or the override that set the key."""
        for override in reversed(self.overrides):
            target = tuple(override.partition("=")[0].strip().split("."))
            if path[: len(target)] == target:
                return f"--set {override}"
        name = "case" if self.path is None else str(self.path)
        line = line_of(self.text, path) if path else None
        return f"{name} line {line}" if line else name


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most similar to ``name``, if any is."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return matches[0] if matches else None


def explain(error: ValidationError, origin: Origin) -> str:
    """One sentence about the most telling of the errors: unknown keys first, as they explain missing ones."""
    problems = error.errors(include_url=False, include_context=True)
    unknown_first = sorted(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    return _sentence(unknown_first[0], origin)


def _sentence(problem: Any, origin: Origin) -> str:
    if problem["type"] == "inconsistent":
        path = tuple(problem["ctx"]["path"])
        return f"{origin.where(path)}: {_label(path)}: {problem['ctx']['problem']}"
    path, model, declared = _locate(problem["loc"])
    where = origin.where(path)
    if path == ("initial_state",) and problem["type"] in ("union_tag_not_found", "union_tag_invalid"):
        return _about_kind(origin)
    if declared is None:
        return f"{where}: {_about_unknown(path, model)}"
    if problem["type"] == "missing":
        if len(path) == 1:
            return f"{where}: section [{path[0]}] is missing"
        section = ".".join(path[:-1])
        return f'{where}: [{section}] needs the key "{path[-1]}" ({expected_value(declared)})'
    return f"{where}: {_label(path)}: {_about_value(_lookup(origin.data, path), expected_value(declared))}"


def _locate(location: tuple[Any, ...]) -> tuple[tuple[str, ...], type[Section], FieldInfo | None]:
    """Key path, its model and its field (``None`` if unknown), from the location pydantic gives."""
    path: tuple[str, ...] = ()
    model: type[Section] = CaseSections
    parts = list(location)
    while True:
        path += (str(parts.pop(0)),)
        declared = model.model_fields.get(path[-1])
        inner = section_model(declared) if declared else None
        if path == ("initial_state",) and len(parts) > 1:
            inner = INITIAL_STATES[parts.pop(0)]
        if declared is None or inner is None or not parts:
            return path, model, declared
        if isinstance(parts[0], int):  # one of a list of tables
            path += (str(parts.pop(0)),)
            if not parts:
                return path, model, declared
        model = inner


def _label(path: tuple[str, ...]) -> str:
    """``[section] key``, or what stands at the top of the file."""
    return f"[{'.'.join(path[:-1])}] {path[-1]}" if len(path) > 1 else path[0]


def _about_unknown(path: tuple[str, ...], model: type[Section]) -> str:
    name, section = path[-1], ".".join(path[:-1])
    known = model.model_fields
    guess = nearest(name, known)
    what = f'unknown key "{name}" in [{section}]' if section else f'unknown section or key "{name}"'
    tables = {table: keys for table, keys in _section_keys().items() if name in keys}
    home = None if section in tables else next(iter(tables), None)
    if home:
        return f"{what}; it belongs to [{home}]"
    if guess:
        return f'{what}; did you mean "{guess}"?'
    return f"{what}; known: {', '.join(known)}"


def _section_keys() -> dict[str, set[str]]:
    keys = {
        name: set(inner.model_fields)
        for name, declared in CaseSections.model_fields.items()
        if (inner := section_model(declared))
    }
    return keys | {
        "initial_state": {name for state in INITIAL_STATES.values() for name in state.model_fields}
    }


def _about_kind(origin: Origin) -> str:
    known = ", ".join(emit_value(kind) for kind in INITIAL_STATES)
    where = origin.where(("initial_state",))
    table = origin.data.get("initial_state")
    if not isinstance(table, Mapping):
        return f"{where}: initial_state: expected a table, got {_shown(table)}"
    if "kind" not in table:
        return f'{where}: [initial_state] needs the key "kind" (one of {known})'
    about = _about_value(table["kind"], f"one of {known}")
    return f"{origin.where(('initial_state', 'kind'))}: [initial_state] kind: {about}"


def _about_value(value: Any, expected: str) -> str:
    sentence = f"expected {expected}, got {_shown(value)}"
    quoted = expected.split('"')[1::2]
    guess = nearest(value, quoted) if isinstance(value, str) else None
    return f'{sentence}; did you mean "{guess}"?' if guess and guess != value else sentence


def _lookup(data: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if isinstance(data, list) and name.isdigit() and int(name) < len(data):
            data = data[int(name)]
        else:
            data = data.get(name) if isinstance(data, Mapping) else None
    return data


def _shown(value: Any) -> str:
    text = emit_value(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + " ..."
