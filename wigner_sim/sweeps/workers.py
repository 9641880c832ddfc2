"""Run the members of a sweep: one after the other, or in processes of their own."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from wigner_sim.errors import InterruptedRunError, WallTimeError
from wigner_sim.interrupts import interrupts
from wigner_sim.run_directory import RunDirectory
from wigner_sim.simulation import resume
from wigner_sim.sweeps.plan import Member

_log = logging.getLogger("wigner_sim.sweeps")

#: Members that are to be run, with their directories.
Waiting = Sequence[tuple[Member, RunDirectory]]
_PAUSE = 0.05


def run_one_by_one(waiting: Waiting, workers: int = 1) -> None:
    """Run members in this process, each after the one before it, whether that failed or not."""
    for member, directory in waiting:
        try:
            with _only_own_messages():
                resume(directory.path)
        except (InterruptedRunError, KeyboardInterrupt) as error:
            if not isinstance(error, WallTimeError):
                raise
        except Exception as error:
            _note_failure(directory, str(error) or type(error).__name__)
        _announce(member, directory)


@dataclass
class _Worker:
    member: Member
    directory: RunDirectory
    process: subprocess.Popen[bytes]
    messages: IO[bytes]


def run_in_processes(waiting: Waiting, workers: int) -> None:
    """Keep ``workers`` processes busy; an interrupt is passed on to them once, and they leave checkpoints."""
    todo, busy = list(waiting), list[_Worker]()
    environment = _environment(workers)
    with interrupts() as interrupted:
        while todo or busy:
            if interrupted():
                for worker in busy:
                    worker.process.terminate()
                for worker in busy:
                    _finish(worker)
                raise InterruptedRunError("interrupted")
            while todo and len(busy) < workers:
                busy.append(_start(*todo.pop(0), environment))
            for worker in [worker for worker in busy if worker.process.poll() is not None]:
                busy.remove(worker)
                _finish(worker)
            time.sleep(_PAUSE)


def _start(member: Member, directory: RunDirectory, environment: Mapping[str, str]) -> _Worker:
    messages = tempfile.TemporaryFile()  # noqa: SIM115
    command = [sys.executable, "-m", "wigner_sim", "resume", str(directory.path), "--quiet"]
    # a session of its own: Ctrl-C on the terminal reaches this process only, which passes it on
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=messages, start_new_session=True
    )
    return _Worker(member, directory, process, messages)


def _finish(worker: _Worker) -> None:
    code = worker.process.wait()
    with worker.messages:
        worker.messages.seek(0)
        said = worker.messages.read().decode(errors="replace").strip().splitlines()
    if code not in (0, InterruptedRunError.exit_code, WallTimeError.exit_code):
        last = said[-1].removeprefix("wigner-sim: ") if said else ""
        _note_failure(worker.directory, last if code > 0 and last else f"its process ended with code {code}")
    _announce(worker.member, worker.directory)


def _environment(workers: int) -> dict[str, str]:
    """For processes that find this package and share the cores."""
    package = str(Path(__file__).parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    n_threads = str(max(1, (os.cpu_count() or 1) // workers))
    threads = {name: n_threads for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    return {**threads, **os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _note_failure(directory: RunDirectory, reason: str) -> None:
    """Leave the reason with the run, unless it has done so itself."""
    status = directory.read_status()
    if not str(status.get("state", "")).startswith("stopped"):
        directory.write_status({**status, "state": f"failed: {reason}", "stop_reason": reason})


def _announce(member: Member, directory: RunDirectory) -> None:
    _log.info("%s (%s): %s", member.name, member, directory.read_status().get("state", "not begun"))


@contextlib.contextmanager
def _only_own_messages() -> Iterator[None]:
    """Keep what a run says, except warnings, to its own log."""

    def worth_showing(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or record.name == _log.name

    handlers: list[tuple[logging.Handler, Callable[[logging.LogRecord], bool]]] = [
        (handler, worth_showing) for handler in logging.getLogger("wigner_sim").handlers
    ]
    for handler, rule in handlers:
        handler.addFilter(rule)
    try:
        yield
    finally:
        for handler, rule in handlers:
            handler.removeFilter(rule)
