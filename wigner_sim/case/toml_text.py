"""TOML as text: write values, and find the line on which a key stands (``tomllib`` does neither)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER_LINE = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]")
_KEY_LINE = re.compile(rf"\s*({_DOTTED})\s*=")
_LONG_LINE = 100


def emit_value(value: Any) -> str:
    """TOML text of a number, string, truth value, sequence or table (inline)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        entries = ", ".join(f"{emit_key(name)} = {emit_value(entry)}" for name, entry in value.items())
        return f"{{ {entries} }}" if entries else "{}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(emit_value(entry) for entry in value) + "]"
    return repr(value) if isinstance(value, int | float) else str(value)


def emit_key(name: str) -> str:
    """Return a key, quoted where TOML needs it."""
    return name if _BARE_KEY.fullmatch(name) else emit_value(name)


def _emit_assignment(name: str, value: Any) -> str:
    line = f"{emit_key(name)} = {emit_value(value)}"
    if len(line) <= _LONG_LINE or not isinstance(value, list | tuple):
        return line
    return f"{emit_key(name)} = [\n" + "".join(f"  {emit_value(entry)},\n" for entry in value) + "]"


def emit_document(data: Mapping[str, Any]) -> str:
    """TOML text of a document: plain keys first, then one ``[section]`` per table; ``None`` is left out."""
    lines = [_emit_assignment(name, entry) for name, entry in data.items() if _is_plain(entry)]
    for section, table in data.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{emit_key(section)}]"]
            lines += [_emit_assignment(name, entry) for name, entry in table.items() if entry is not None]
    return "\n".join(lines).lstrip("\n") + "\n"


def _is_plain(value: Any) -> bool:
    return value is not None and not isinstance(value, Mapping)


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_KEY, dotted))


def _keys_by_line(text: str) -> list[tuple[int, tuple[str, ...]]]:
    """(line number, full key) for every header and every assignment that starts a line."""
    found: list[tuple[int, tuple[str, ...]]] = []
    section: tuple[str, ...] = ()
    inside_string = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not inside_string:
            if header := _HEADER_LINE.match(line):
                section = _split(header[1])
                found.append((number, section))
            elif assignment := _KEY_LINE.match(line):
                found.append((number, section + _split(assignment[1])))
        for quotes in re.findall(r'"""|\'\'\'', line):
            inside_string = "" if inside_string == quotes else inside_string or quotes
    return found


def line_of(text: str, path: Sequence[str]) -> int | None:
    """Line (from 1) of the key ``path``, or of the nearest table around it; ``None`` if nothing matches."""
    path = tuple(path)
    best_line, best_depth = None, 0
    for number, candidate in _keys_by_line(text):
        depth = len(candidate)
        covers = candidate == path[:depth] or candidate[: len(path)] == path
        if covers and min(depth, len(path)) > best_depth:
            best_line, best_depth = number, min(depth, len(path))
    return best_line
