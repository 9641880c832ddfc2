"""Run directories ``runs/0001``, ``runs/0002``, ...: numbered, never overwritten, complete in themselves."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wigner_sim.case import Case, Reference
from wigner_sim.case.loading import CASE_FILE, RESOLVED_FILE
from wigner_sim.checkpoint import CheckpointStore
from wigner_sim.errors import CaseError
from wigner_sim.models.wannier90 import companions

RUNS = "runs"
#: Where exact runs of a case are kept, beside its ``runs``.
EXACT = "exact"
STREAMS = ("scalars", "fields", "phase", "geometry")


class RunDirectory:
    """The files of one run.

    Parameters
    ----------
    path : path
        An existing run directory; :func:`create_run_directory` makes a new one.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def stream_path(self, stream: str) -> Path:
        """File of a stream, ``"scalars"``, ``"fields"``, ``"phase"`` or ``"geometry"``."""
        return self.path / f"{stream}.nc"

    def remove_streams(self) -> None:
        """Forget what a run stored that has to begin anew."""
        with self.lock():
            for stream in STREAMS:
                self.stream_path(stream).unlink(missing_ok=True)

    @property
    def log_path(self) -> Path:
        """The log."""
        return self.path / "run.log"

    @property
    def status_path(self) -> Path:
        """Progress as JSON."""
        return self.path / "status.json"

    @property
    def checkpoints(self) -> CheckpointStore:
        """Checkpoints of the run."""
        return CheckpointStore(self.path / "checkpoints")

    @property
    def case(self) -> Case:
        """The resolved case."""
        return Case.from_toml(self.path / RESOLVED_FILE)

    @property
    def case_text(self) -> str:
        """The case as the user wrote it."""
        return (self.path / CASE_FILE).read_text(encoding="utf-8")

    def replace_case(self, case: Case) -> None:
        """Put a changed case in the place of the resolved one, with the remarks on earlier changes."""
        resolved = self.path / RESOLVED_FILE
        lines = resolved.read_text(encoding="utf-8").splitlines(keepends=True)
        remarks = "".join(itertools.takewhile(lambda line: line.startswith("#"), lines))
        self._replace(resolved, remarks + case.to_toml())

    def write_status(self, status: Mapping[str, Any]) -> None:
        """Replace ``status.json`` in one piece, so that a reader never sees half of it."""
        self._replace(self.status_path, json.dumps(dict(status), indent=2, default=float) + "\n")

    def _replace(self, path: Path, text: str) -> None:
        aside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)

    def read_status(self) -> dict[str, Any]:
        """Last status written; empty if there is none."""
        try:
            return dict(json.loads(self.status_path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    @contextlib.contextmanager
    def logging_to_file(self, logger: logging.Logger | None = None) -> Iterator[None]:
        """Append what the logger ``wigner_sim`` says to ``run.log``."""
        logger = logger or logging.getLogger("wigner_sim")
        handler = logging.FileHandler(self.log_path, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        level = logger.level
        if logger.getEffectiveLevel() > logging.INFO:  # the log is complete also where nobody else listens
            logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.setLevel(level)
            logger.removeHandler(handler)
            handler.close()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep a second process from writing to the same run; a killed process leaves no lock behind.

        Raises
        ------
        CaseError
            If another process writes to it.
        """
        try:
            import fcntl
        except ImportError:  # no such lock on this system
            yield
            return
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise CaseError(f"{self.path}: another process is running it") from None
            yield


def create_run_directory(case: Case, parent: str | Path | None = None) -> RunDirectory:
    """Make the next free ``runs/NNNN`` with everything needed to repeat or resume the run.

    It gets ``case.toml`` (as written), ``case.resolved.toml`` (every value) and copies of the Python and
    array files the case refers to; the resolved case refers to the copies.

    Parameters
    ----------
    case : Case
    parent : path, optional
        Where numbered directories are made; ``runs`` next to the case if left out.

    Raises
    ------
    CaseError
        If a file the case refers to is missing, or the directory cannot be made.
    """
    sources = {reference.file: case.reference_path(reference) for reference in case.references()}
    runs = case.directory / RUNS if parent is None else Path(parent)
    try:
        path = _next_directory(runs)
    except OSError as error:
        raise CaseError(f"{runs}: cannot make a run directory ({error.strerror})") from None
    copies = _copy_files(sources, path)
    for reference in case.references():
        if reference.kind == "wannier90":
            _copy_companions(sources[reference.file], path / copies[reference.file])

    def to_copy(reference: Reference) -> Reference:
        return reference.renamed(copies[reference.file])

    (path / CASE_FILE).write_text(case.source_text, encoding="utf-8")
    resolved = path / RESOLVED_FILE
    resolved.write_text(case.relocated(resolved, to_copy).to_toml(), encoding="utf-8")
    return RunDirectory(path)


def numbered_directories(runs: Path) -> list[Path]:
    """Run directories in ``runs``, in order of their number."""
    found = (
        (path for path in runs.iterdir() if path.name.isdigit() and path.is_dir()) if runs.is_dir() else ()
    )
    return sorted(found, key=lambda path: int(path.name))


def _next_directory(runs: Path) -> Path:
    """Make the directory after the last one; ``mkdir`` lets only one of several processes have it."""
    runs.mkdir(parents=True, exist_ok=True)
    number = max((int(path.name) for path in numbered_directories(runs)), default=0)
    while True:
        number += 1
        path = runs / f"{number:04d}"
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            return path


def _copy_files(sources: Mapping[str, Path], target: Path) -> dict[str, str]:
    """Copy files flat into ``target``; return the new name of each, distinct also where names coincide."""
    copies: dict[str, str] = {}
    for file, source in sources.items():
        name = source.name
        while name in copies.values():
            name = f"other_{name}"
        shutil.copyfile(source, target / name)
        copies[file] = name
    return copies


def _copy_companions(source: Path, copy: Path) -> None:
    """Centres and lattice of a Wannier90 model, beside the copy and named like it."""
    prefix = copy.name.removesuffix(source.name)
    for companion in companions(source):
        shutil.copyfile(companion, copy.with_name(prefix + companion.name))
