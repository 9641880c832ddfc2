"""A case file that lists every key there is, generated from the declarations of the keys."""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from wigner_sim.case.keys import CaseKey, case_keys, is_list_of_tables
from wigner_sim.case.sections.initial_state import INITIAL_STATES
from wigner_sim.case.toml_text import emit_value

_WIDTH = 100


def full_text(text: str) -> str:
    """The case in ``text`` with every key it leaves out as a comment: ``#key = default``, and what it means.

    Parameters
    ----------
    text : str
        A valid case file.

    Returns
    -------
    str
        A case file that means the same.
    """
    data = tomllib.loads(text)
    kind = data["initial_state"]["kind"]
    keys = [key for key in case_keys() if key.kind in ("", kind)]
    lines = [
        "# Every key of a case file.  Lines that begin with #key show the default;",
        "# remove the # to set another value.",
    ]
    for section in dict.fromkeys(key.section for key in keys):
        lines += ["", *_section(section, [key for key in keys if key.section == section], data)]
    return "\n".join(lines) + "\n"


def _section(section: str, keys: list[CaseKey], data: Mapping[str, Any]) -> Iterator[str]:
    table: Any = data
    for name in filter(None, section.split(".")):
        table = table.get(name) if isinstance(table, Mapping) else None
    if is_list_of_tables(section):
        for entry in table or [None]:
            yield f"#[[{section}]]" if entry is None else f"[[{section}]]"
            yield from _keys(keys, entry or {})
        return
    given = table if isinstance(table, Mapping) else {}
    if section:
        # a section that was left out and has keys that are required must stay out
        absent = table is None and any(key.default == "required" for key in keys)
        yield f"#[{section}]" if absent else f"[{section}]"
    if section == "initial_state":
        yield f"# The kind of state is one of {', '.join(map(emit_value, INITIAL_STATES))}."
    yield from _keys(keys, given)


def _keys(keys: list[CaseKey], given: Mapping[str, Any]) -> Iterator[str]:
    for key in keys:
        yield from textwrap.wrap(
            _meaning(key), _WIDTH, initial_indent="# ", subsequent_indent="#   ", break_long_words=False
        )
        if key.name in given:
            yield f"{key.name} = {emit_value(given[key.name])}"
        else:
            yield f"#{key.name} = {_default(key)}"


def _meaning(key: CaseKey) -> str:
    return f"{key.description} ({key.expected})"


def _default(key: CaseKey) -> str:
    """As TOML; in angle brackets where the default is only known in words."""
    if key.default == "required":
        return f"<{key.expected}>"
    try:
        tomllib.loads(f"value = {key.default}")
    except ValueError:
        return f"<{key.default}>"
    return key.default
