"""Checkpoints: the whole state of a run, bit for bit, written so that a crash never costs the last good one.

A checkpoint is an ``.npz`` archive without pickles: arrays as they are, everything else as one JSON text,
and a SHA-256 over all of it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wigner_sim.errors import CaseError

_log = logging.getLogger("wigner_sim.checkpoint")

FORMAT = 1
_SCALARS, _CHECKSUM = "__scalars__", "__sha256__"


class CheckpointStore:
    """The checkpoints of one run.

    Parameters
    ----------
    directory : path
        Made when the first checkpoint is saved.
    n_keep : int
        How many to keep, newest first.
    """

    def __init__(self, directory: str | Path, n_keep: int = 2):
        self.directory = Path(directory)
        self.n_keep = n_keep

    def paths(self) -> list[Path]:
        """Checkpoint files, oldest first."""
        return sorted(self.directory.glob("checkpoint_*.npz"), key=_step_of)

    def save(self, state: Mapping[str, Any], step: int) -> Path:
        """Write the state at ``step``, then drop old checkpoints.

        Those with a later step are dropped too: the run did not continue from them.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"checkpoint_{step:09d}.npz"
        write_checkpoint(path, state)
        earlier = [other for other in self.paths() if _step_of(other) <= step]
        for other in set(self.paths()) - set(earlier[-self.n_keep :]):
            other.unlink(missing_ok=True)
        return path

    def load(self, step: int) -> dict[str, Any]:
        """State of the checkpoint at a step.

        Raises
        ------
        CaseError
            If there is none, naming those there are; or if it is damaged.
        """
        for path in self.paths():
            if _step_of(path) == step:
                return read_checkpoint(path)
        there = ", ".join(str(_step_of(path)) for path in self.paths()) or "none"
        raise CaseError(f"{self.directory}: no checkpoint at step {step}; there is {there}")

    def load_latest(self) -> dict[str, Any]:
        """State of the newest checkpoint that is whole; damaged ones are skipped with a warning.

        Raises
        ------
        CaseError
            If there is none.
        """
        for path in reversed(self.paths()):
            try:
                return read_checkpoint(path)
            except CaseError as error:
                _log.warning("%s: skipped", error)
        raise CaseError(f"{self.directory}: no checkpoint to resume from")


def _step_of(path: Path) -> int:
    digits = path.stem.removeprefix("checkpoint_")
    return int(digits) if digits.isdigit() else -1


def write_checkpoint(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write a state aside, force it to disk, then rename it into place.

    Parameters
    ----------
    path : path
    state : dict
        Nested dictionaries (keys without ``/``) of arrays, numbers, strings, truth values, ``None`` and
        lists of these.

    Raises
    ------
    TypeError
        If anything else is in it.
    """
    path = Path(path)
    arrays, scalars = _split(state)
    text = json.dumps({"format": FORMAT, "values": scalars})
    members = arrays | {_SCALARS: np.frombuffer(text.encode(), dtype=np.uint8)}
    members[_CHECKSUM] = np.frombuffer(_checksum(members), dtype=np.uint8)
    aside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with aside.open("wb") as file:
            np.savez(file, **members)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    _sync_directory(path.parent)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a state back, equal in every bit.

    Raises
    ------
    CaseError
        If the file is missing, truncated, or its checksum is wrong.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            members = {name: archive[name] for name in archive.files}
        expected = members.pop(_CHECKSUM).tobytes()
        if _checksum(members) != expected:
            raise ValueError("wrong checksum")
        document = json.loads(members.pop(_SCALARS).tobytes())
    except FileNotFoundError:
        raise CaseError(f"{path}: no such checkpoint") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise CaseError(f"{path}: damaged checkpoint ({error})") from None
    if document["format"] != FORMAT:
        raise CaseError(f"{path}: checkpoint of format {document['format']}, expected {FORMAT}")
    return _join(document["values"], members)


def _split(state: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays by their path ``a/b/c``, and the rest of the tree with ``{"/array": path}`` in their place."""
    arrays: dict[str, np.ndarray] = {}

    def convert(value: Any, path: str) -> Any:
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "biufcSU":
                raise TypeError(f"checkpoint entry {path} is a {value.dtype} array: cannot be stored")
            arrays[path] = value
            return {"/array": path}
        if isinstance(value, np.generic):
            return convert(np.asarray(value) if value.dtype.kind == "c" else value.item(), path)
        if isinstance(value, Mapping):
            return {
                _checked_key(name, path): convert(entry, f"{path}/{name}") for name, entry in value.items()
            }
        if isinstance(value, list | tuple):
            return [convert(entry, f"{path}/{number}") for number, entry in enumerate(value)]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(f"checkpoint entry {path} is of type {type(value).__name__}, which cannot be stored")

    return arrays, convert(state, "state")


def _checked_key(name: Any, path: str) -> str:
    if not isinstance(name, str) or "/" in name:
        raise TypeError(f"checkpoint key {name!r} in {path} must be text without /")
    return name


def _join(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Put the arrays back into the tree."""
    if isinstance(value, dict):
        if set(value) == {"/array"}:
            return arrays[value["/array"]]
        return {name: _join(entry, arrays) for name, entry in value.items()}
    return [_join(entry, arrays) for entry in value] if isinstance(value, list) else value


def _checksum(members: Mapping[str, np.ndarray]) -> bytes:
    digest = hashlib.sha256()
    for part in _bytes_of(members):
        digest.update(part)
    return digest.digest()


def _bytes_of(members: Mapping[str, np.ndarray]) -> Iterator[bytes | memoryview]:
    for name in sorted(members):
        array = members[name]
        yield f"{name} {array.dtype.str} {array.shape}\n".encode()
        yield np.ascontiguousarray(array).data


def _sync_directory(directory: Path) -> None:
    """Make a rename durable (not possible, and not needed, on every system)."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
