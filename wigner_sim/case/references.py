"""Files a case points to, anywhere in its values.

``python:FILE.py:FUNCTION``, ``array:FILE.npy``, and models of other programs: ``wannier90:FILE``,
``tbmodels:FILE``, ``pythtb:FILE.py:NAME``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wigner_sim.case.fields import FILE_REFERENCE


@dataclass(frozen=True)
class Reference:
    """A file named in a case.

    Parameters
    ----------
    kind : "python", "array", "wannier90", "tbmodels" or "pythtb"
    file : str
        As written: relative to the directory of the case, or absolute.
    function : str
        Name of the function in a Python file; empty for an array.
    """

    kind: str
    file: str
    function: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference | None:
        """Read a reference, or return ``None`` for any other text."""
        match = FILE_REFERENCE.fullmatch(text)
        if match is None:
            return None
        if match["code"] is not None:
            return cls(match["code"], match["script"], match["function"])
        return cls(match["array"] or match["model"], match["npy"] or match["data"])

    def renamed(self, file: str) -> Reference:
        """Return the same reference to another file name."""
        return Reference(self.kind, file, self.function)

    def __str__(self) -> str:
        return f"{self.kind}:{self.file}" + (f":{self.function}" if self.function else "")


def find_references(value: Any) -> Iterator[Reference]:
    """Every reference in nested tables and lists."""
    if isinstance(value, str):
        reference = Reference.parse(value)
        if reference is not None:
            yield reference
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from find_references(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from find_references(entry)


def rename_references(value: Any, rename: Callable[[Reference], Reference]) -> Any:
    """Return a copy of nested tables and lists with every reference replaced by ``rename(reference)``."""
    if isinstance(value, str):
        reference = Reference.parse(value)
        return value if reference is None else str(rename(reference))
    if isinstance(value, Mapping):
        return {name: rename_references(entry, rename) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rename_references(entry, rename) for entry in value]
    return value
