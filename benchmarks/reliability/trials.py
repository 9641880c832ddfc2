"""One trial of a run in a process of its own, and the comparison of what it left with a quiet run."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from wigner_sim.checkpoint import CheckpointStore, read_checkpoint
from wigner_sim.errors import WignerSimError

CASE = """
title = "reliability"
[grid]
sites = [8]
n_x = [16]
n_k = [16]
[hamiltonian]
source = "named:two_band_texture"
[bands]
select = "all"
[initial_state]
kind = "symbol"
c = "exp(0.8*cos(2*pi*x/L - 0.5) + 0.6*cos(k - 1))"
[time]
end = 6.0
step = 0.05
[output]
scalars_every = {steps = 1}
fields_every = {steps = 2}
phase_every = {steps = 3}
checkpoint_every = {steps = 4}
[monitors]
spectral_tail = "off"
energy_drift = "off"
"""


def write_case(directory: Path, text: str = CASE) -> Path:
    """A case directory with the given text."""
    directory.mkdir(parents=True)
    (directory / "case.toml").write_text(text, encoding="utf-8")
    return directory


def in_child(action: Callable[[], object], log: Path) -> int:
    """Fork, act, exit as the command line would; a traceback goes to the log (exit 99)."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        logging.disable(logging.CRITICAL)
        with log.open("a") as file, contextlib.redirect_stderr(file), contextlib.redirect_stdout(file):
            try:
                action()
                code = 0
            except WignerSimError as error:
                print(f"refused: {error}", file=sys.stderr)
                code = error.exit_code
            except OSError as error:
                print(f"file system: {error}", file=sys.stderr)
                code = 1
            except BaseException:
                traceback.print_exc()
            file.flush()
    finally:
        os._exit(code)


def exit_code(status: int) -> int:
    """Exit code of a waited child; minus the signal if one ended it."""
    return os.waitstatus_to_exitcode(status)


def differences(run: Path, reference: Path) -> list[str]:
    """Everything in which a run's files differ from those of a run that nothing happened to, bit for bit."""
    found = []
    for stream in ("scalars", "fields", "phase", "geometry"):
        with (
            xr.open_dataset(run / f"{stream}.nc", decode_timedelta=False) as ours,
            xr.open_dataset(reference / f"{stream}.nc", decode_timedelta=False) as theirs,
        ):
            found += [
                f"{stream}.{name}"
                for name in theirs.variables
                if name not in ours.variables or not np.array_equal(ours[name].values, theirs[name].values)
            ]
    states = [read_checkpoint(CheckpointStore(path / "checkpoints").paths()[-1]) for path in (run, reference)]
    if not np.array_equal(*(state["propagator"]["w"] for state in states)):
        found.append("checkpoint state")
    return found
