"""Read a case from a file, a directory or a dictionary, override single keys, and write it out resolved."""

from __future__ import annotations

import copy
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import PrivateAttr, ValidationError

from wigner_sim.case.conversion import unit_system
from wigner_sim.case.diagnosis import Origin, explain, nearest
from wigner_sim.case.physical import in_lattice_units
from wigner_sim.case.references import Reference, find_references, rename_references
from wigner_sim.case.schema import CaseSections
from wigner_sim.case.toml_text import emit_document, emit_value
from wigner_sim.errors import CaseError
from wigner_sim.models.callables import (
    callable_reference,
    callable_source,
    is_callable_reference,
    is_session_reference,
)
from wigner_sim.units import UnitSystem

CASE_FILE = "case.toml"
RESOLVED_FILE = "case.resolved.toml"


class Case(CaseSections):
    """A validated case: everything a run needs to know, frozen.

    The sections are attributes, for instance ``case.grid.n_x`` or ``case.time.end``; see ``case_keys`` for
    all of them.  Make one with :func:`load_case`, :meth:`from_toml` or :meth:`from_dict`.
    """

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a TOML file.

        Raises
        ------
        CaseError
            If it cannot be read, is not TOML, or any key is unknown, missing or wrong.
        """
        path = Path(path)
        try:
            text = path.read_bytes().decode()
        except OSError as error:
            raise CaseError(f"{path}: cannot be read ({error.strerror or error})") from None
        except UnicodeDecodeError as error:
            raise CaseError(f"{path}: not UTF-8 text (byte {error.start})") from None
        return cls._validated(Origin(path, text, data=_parse(text, str(path))))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], path: str | Path | None = None) -> Self:
        """Make a case from nested dictionaries.

        Parameters
        ----------
        data : mapping
            As in a file.  Where a file would name a Python function, the function itself may stand.
        path : path, optional
            The file that relative file names start from; runs are written beside it.
        """
        return cls._validated(Origin(None if path is None else Path(path), data=_without_functions(data)))

    @classmethod
    def build(
        cls,
        grid: Mapping[str, Any],
        hamiltonian: Mapping[str, Any] | str | Callable[..., Any],
        initial_state: Mapping[str, Any] | str | Callable[..., Any],
        time: Mapping[str, Any] | float,
        directory: str | Path = ".",
        **sections: Any,
    ) -> Self:
        """Make a case from its sections.

        Parameters
        ----------
        grid : mapping
        hamiltonian : mapping, str or callable
            The section, or its ``source`` alone: a name, or a function H(x, k, t) (any of these arguments).
        initial_state : mapping, str or callable
            The section, or the occupation symbol c(x, k) alone, as a formula or a function.
        time : mapping or number
            The section, or its ``end`` alone.
        directory : path
            Where relative file names start, and where runs are written.
        **sections
            ``title``, ``bands``, ``equation``, ``output``, ``monitors``, ``limits``, ``sweep``.
        """
        if not isinstance(hamiltonian, Mapping):
            hamiltonian = {"source": hamiltonian}
        if not isinstance(initial_state, Mapping):
            initial_state = {"kind": "symbol", "c": initial_state}
        time = time if isinstance(time, Mapping) else {"end": time}
        given = {"grid": grid, "hamiltonian": hamiltonian, "initial_state": initial_state, "time": time}
        return cls.from_dict({**given, **sections}, Path(directory) / CASE_FILE)

    @classmethod
    def _validated(cls, origin: Origin) -> Self:
        directory = Path() if origin.path is None else origin.path.parent
        data = in_lattice_units(origin.data, directory, origin.where)
        try:
            case = cls.model_validate(data)
        except ValidationError as error:
            raise CaseError(explain(error, origin)) from None
        case._origin = origin
        return case

    @property
    def path(self) -> Path | None:
        """File the case was read from."""
        return self._origin.path

    @property
    def directory(self) -> Path:
        """Directory that relative file names start from: that of the file, or the current one."""
        return Path() if self.path is None else self.path.parent

    @property
    def name(self) -> str:
        """Name of the directory the case lives in, also for the copy in one of its run directories."""
        directory = self.directory.resolve()
        while directory.name.isdigit() and directory.parent != directory:
            directory = directory.parent
            if not directory.name.isdigit():  # runs, exact or sweeps
                directory = directory.parent
        return directory.name

    @property
    def overrides(self) -> tuple[str, ...]:
        """Overrides applied since the file was read, ``("equation.order=1", ...)``."""
        return self._origin.overrides

    @property
    def source_text(self) -> str:
        """Text of the file as the user wrote it (resolved text for a case made from a dictionary)."""
        return self._origin.text or self.to_toml()

    def to_dict(self) -> dict[str, Any]:
        """Every value, also those left out, as plain nested dictionaries; keys without a value are absent."""
        return self.model_dump(exclude_none=True)

    def to_toml(self) -> str:
        """Every value, also those left out, as TOML that reads back to an equal case."""
        notes = "".join(f"# set on the command line: {emit_comment(text)}\n" for text in self.overrides)
        return notes + emit_document(self.to_dict())

    def with_overrides(self, overrides: Iterable[str]) -> Self:
        """Return the case with single keys changed.

        Parameters
        ----------
        overrides : iterable of str
            ``"section.key=value"``, the value in TOML; a bare word is taken as a string.  Keys that were
            left out are worked out anew.

        Raises
        ------
        CaseError
            Naming the override that is wrong.
        """
        overrides = tuple(overrides)
        data = copy.deepcopy(dict(self._origin.data))
        for override in overrides:
            _apply_override(data, override)
        return self._validated(Origin(self.path, self._origin.text, self.overrides + overrides, data))

    def member(self, values: Mapping[str, Any]) -> Self:
        """Return the case without its sweep, with ``{"section.key": value}`` in it."""
        data = copy.deepcopy({name: table for name, table in self._origin.data.items() if name != "sweep"})
        for path, value in values.items():
            _set_key(data, path.split("."), value, path)
        given = tuple(f"{path}={emit_value(value)}" for path, value in values.items())
        return self._validated(Origin(self.path, self._origin.text, self.overrides + given, data))

    def with_functions(self, functions: Mapping[str, Callable[..., Any]]) -> Self:
        """Return the case with Python functions in it, ``{"hamiltonian.source": H}``."""
        data = copy.deepcopy(dict(self._origin.data))
        for path, function in functions.items():
            _set_key(data, path.split("."), function, path)
        return self._validated(Origin(self.path, self._origin.text, self.overrides, _without_functions(data)))

    def session_functions(self) -> tuple[str, ...]:
        """Keys that hold Python functions known in this Python session only."""
        return tuple(key for key, text in _function_keys(self.to_dict()) if is_session_reference(text))

    def function_sources(self) -> dict[str, str]:
        """Python text of the functions in the case, by key, for the record."""
        return {key: callable_source(text) for key, text in _function_keys(self.to_dict())}

    def unit_system(self, lattice_vectors: Any) -> UnitSystem | None:
        """Units of the case, for the lattice vectors of its Hamiltonian; ``None`` for lattice units."""
        return unit_system(self.units.model_dump(), lattice_vectors)

    def references(self) -> tuple[Reference, ...]:
        """Python and array files the case points to, each once."""
        return tuple(dict.fromkeys(find_references(self.to_dict())))

    def reference_path(self, reference: Reference) -> Path:
        """Existing file of a reference.

        Raises
        ------
        CaseError
            If there is no such file.
        """
        path = self.directory / reference.file
        if path.is_file():
            return path
        siblings = (
            [other.name for other in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
        )
        guess = nearest(path.name, siblings)
        hint = f"; did you mean {guess}?" if guess else ""
        source = "case" if self.path is None else str(self.path)
        raise CaseError(f"{source}: {reference}: no file {path}{hint}")

    def relocated(self, path: Path, rename: Callable[[Reference], Reference]) -> Self:
        """Return the resolved case as it must read in another file.

        Parameters
        ----------
        path : Path
            The file; an earlier run named by a relative path is named relative to its directory.
        rename : callable
            Gives the reference to each file as seen from there.
        """
        data = rename_references(self.to_dict(), rename)
        state = data["initial_state"]
        if state["kind"] == "from_run" and not Path(state["run"]).is_absolute():
            state["run"] = os.path.relpath(self.directory / state["run"], path.parent)
        return self._validated(Origin(path, "", self.overrides, data))


def _without_functions(value: Any) -> Any:
    """A copy of nested tables and lists where references stand for functions."""
    if isinstance(value, Mapping):
        return {name: _without_functions(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_functions(entry) for entry in value]
    return callable_reference(value) if callable(value) else copy.deepcopy(value)


def _function_keys(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Key and reference of every function in nested tables and lists."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _function_keys(entry, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _function_keys(entry, path)
    elif is_callable_reference(value):
        yield path, value


def emit_comment(text: str) -> str:
    """Text on one line, without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        if place := re.search(r" \(at line (\d+), column (\d+)\)$", str(error)):
            where, problem = f"{source} line {place[1]} column {place[2]}", str(error)[: place.start()]
            raise CaseError(f"{where}: not valid TOML: {problem}") from None
        raise CaseError(f"{source}: not valid TOML: {error}") from None


def _apply_override(data: dict[str, Any], override: str) -> None:
    """Set one key in nested tables, making tables on the way."""
    target, equals, text = override.partition("=")
    path = [name.strip() for name in target.split(".")]
    if not equals or not all(path):
        raise CaseError(f"--set {override}: expected section.key=value")
    _set_key(data, path, _override_value(text.strip()), f"--set {override}")


def _set_key(data: dict[str, Any], path: Sequence[str], value: Any, what: str) -> None:
    table: Any = data
    for name in path[:-1]:
        table = _entry(table, name, what) if isinstance(table, list) else table.setdefault(name, {})
        if not isinstance(table, dict | list):
            raise CaseError(f"{what}: {name} is not a table")
    if isinstance(table, list):
        raise CaseError(f"{what}: {path[-2]} is a list: set all of it, or keys of one of its tables")
    table[path[-1]] = value


def _entry(tables: list[Any], name: str, what: str) -> Any:
    """Entry of a list of tables, counted from 0."""
    if not (name.isdigit() and int(name) < len(tables)):
        raise CaseError(f"{what}: expected a number from 0 to {len(tables) - 1}, got {name}")
    return tables[int(name)]


def _override_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def load_case(path: str | Path) -> Case:
    """Load a case from its file, its directory or the directory of one of its runs.

    Parameters
    ----------
    path : path
        A TOML file, a directory with ``case.toml``, or a run directory (``case.resolved.toml``).

    Raises
    ------
    CaseError
        If there is no case, naming the one with the most similar name; or if it is not valid.
    """
    path = Path(path)
    for candidate in (path / RESOLVED_FILE, path / CASE_FILE, path):
        if candidate.is_file():
            return Case.from_toml(candidate)
    if path.is_dir():
        raise CaseError(f"{path}: no {CASE_FILE} in this directory{_suggestion(path / '_')}")
    raise CaseError(f"{path}: no such case{_suggestion(path)}")


def _suggestion(path: Path) -> str:
    """``; did you mean ...?`` from the cases next to ``path``, in the current directory and in ``cases/``."""
    found: dict[str, Path] = {}
    for parent in (Path(), Path("cases"), path.parent):
        if parent.is_dir():
            found |= {file.parent.name: file.parent for file in sorted(parent.glob(f"*/{CASE_FILE}"))}
    files = {file.name: file for file in path.parent.glob("*.toml")} if path.suffix == ".toml" else {}
    guess = nearest(path.name, found | files)
    if guess:
        return f"; did you mean {(found | files)[guess]}?"
    return f"; there is {', '.join(str(case) for case in found.values())}" if 0 < len(found) <= 8 else ""
