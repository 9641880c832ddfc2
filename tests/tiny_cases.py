"""Cases on tiny grids that run in a fraction of a second, as dictionaries and as directories."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wigner_sim.case import Case
from wigner_sim.run_directory import RunDirectory

OCCUPATION = "exp(0.8*cos(2*pi*x/L - 0.5) + 0.6*cos(k - 1) + 0.3*sin(2*pi*x/L + k))"

TEXTURE: dict[str, Any] = {
    "title": "tiny texture",
    "grid": {"sites": [8], "n_x": [16], "n_k": [16]},
    "hamiltonian": {"source": "named:two_band_texture"},
    "initial_state": {"kind": "symbol", "c": OCCUPATION},
    "time": {"end": 1.0},
    "output": {
        "scalars_every": {"steps": 2},
        "fields_every": 0.3,
        "phase_every": 0.5,
        "checkpoint_every": "never",
    },
    "monitors": {"spectral_tail": "off", "energy_drift": "off"},
}
CHAIN: dict[str, Any] = {**TEXTURE, "title": "tiny chain"} | {
    "hamiltonian": {
        "source": "named:rice_mele",
        "parameters": {"delta": 0.6},
        "potential": "0.2*cos(2*pi*x/L)",
    },
    "initial_state": {"kind": "symbol", "c": "exp(cos(2*pi*x/L) + 0.5*sin(k))"},
}
DRIVEN_CHAIN = CHAIN | {
    "hamiltonian": CHAIN["hamiltonian"] | {"potential": "0.2*cos(2*pi*x/L)*(1 + 0.5*sin(t))"}
}
PUMP = CHAIN | {
    "hamiltonian": {
        "source": "named:rice_mele",
        "parameters": {"delta": "0.6 + 0.1*sin(t)*cos(2*pi*x/L)"},
    }
}


def changed(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with ``{"section.key": value}`` replaced; a section by its own name."""
    data = copy.deepcopy(dict(data))
    for path, value in changes.items():
        section, _, key = path.partition(".")
        if key:
            data.setdefault(section, {})[key] = value
        else:
            data[section] = value
    return data


def make_case(directory: Path, data: Mapping[str, Any] = TEXTURE, **changes: Any) -> Case:
    """A case that lives in a directory; ``time__step=0.1`` changes ``time.step``."""
    dotted = {name.replace("__", "."): value for name, value in changes.items()}
    return Case.from_dict(changed(data, dotted), directory / "case.toml")


def write_case(directory: Path, data: Mapping[str, Any] = TEXTURE, **changes: Any) -> Path:
    """The same as a directory with a file."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "case.toml").write_text(make_case(directory, data, **changes).to_toml(), encoding="utf-8")
    return directory


def stored(run: Any) -> dict[str, np.ndarray]:
    """Every stored number of a run, and its last checkpoint."""
    arrays = {}
    for name in ("scalars", "fields", "phase"):
        with getattr(run.refresh(), name) as dataset:
            arrays |= {f"{name}.{key}": values.values for key, values in dataset.variables.items()}
    run.close()
    state = RunDirectory(run.path).checkpoints.load_latest()["propagator"]
    return arrays | {f"checkpoint.{key}": np.asarray(state[key]) for key in ("w", "time", "n_steps", "dt")}


def assert_identical(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert set(first) == set(second)
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


def environment() -> dict[str, str]:
    """For a process of its own that runs this package, single threaded."""
    root = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
