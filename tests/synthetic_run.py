"""Runs made up from formulas, with the attributes and the schema of a run directory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

X_ATTRS = {"units": "lattice constants"}
K_ATTRS = {"units": "1/a"}


@dataclass
class SyntheticRun:
    phase: xr.Dataset = field(default_factory=xr.Dataset)
    fields: xr.Dataset = field(default_factory=xr.Dataset)
    scalars: xr.Dataset = field(default_factory=xr.Dataset)
    geometry: xr.Dataset = field(default_factory=xr.Dataset)
    path: Path = Path("runs/synthetic")
    case: object = None


def attrs(run_id: str) -> dict[str, str]:
    return {
        "title": "Bloch oscillation of a cat state",
        "case_name": "ssh_bloch_oscillation",
        "run_id": run_id,
    }


def coordinates(n_times: int, n_x: int, n_k: int, length: float, n_axes: int) -> dict[str, tuple]:
    x, k = np.arange(n_x) * length / n_x, -np.pi + 2 * np.pi * np.arange(n_k) / n_k
    names = ("x", "y")[:n_axes]
    return (
        {"time": ("time", np.linspace(0, 30, n_times), {"units": "hbar/energy"}), "band": ("band", [0, 1])}
        | {name: (name, x, X_ATTRS) for name in names}
        | {f"k{name}": (f"k{name}", k, K_ATTRS) for name in names}
    )


def packets(t, x, k, length, fringes):
    """Two Gaussian packets that drift with velocity sin k while k moves; with interference between them."""
    centre, shift = 0.35 * length + 4 * (1 - np.cos(0.2 * t)), 0.2 * t - 1.2
    width, distance = length / 16, length / 4
    angle = np.angle(np.exp(1j * (k - shift)))

    def packet(x_0):
        dx = (x - x_0 + length / 2) % length - length / 2
        return np.exp(-(dx**2) / (2 * width**2) - angle**2 * 2)

    between = packet(centre + distance / 2) * np.cos(distance * angle)
    return 0.5 * (packet(centre) + packet(centre + distance)) + fringes * between


def one_dimensional_run(
    n_times=5, n_x=48, n_k=40, length=48.0, fringes=0.5, scale=1.0, run_id="run-a", face="f"
):
    t, x, k = (
        np.linspace(0, 30, n_times),
        np.arange(n_x) * length / n_x,
        -np.pi + 2 * np.pi * np.arange(n_k) / n_k,
    )
    band = scale * np.stack([packets(s, x[:, None], k, length, fringes) for s in t])
    values = np.stack([band, 0.2 * band], axis=1)
    coords = coordinates(n_times, n_x, n_k, length, 1)
    phase = xr.Dataset({face: (("time", "band", "x", "kx"), values, {"units": "1"})}, coords, attrs(run_id))
    density, momentum = values.mean(-1), values.mean(-2) * length
    fields = xr.Dataset(
        {
            "density": (("time", "band", "x"), density, {"units": "1/a"}),
            "momentum_distribution": (("time", "band", "kx"), momentum, {"units": "1"}),
        },
        coords,
        attrs(run_id),
    )
    return SyntheticRun(phase, fields, scalars(n_times, run_id), geometry(x, k, coords, run_id))


def two_dimensional_run(n_times=4, n_x=20, n_k=16, length=20.0, run_id="run-2d"):
    coords = coordinates(n_times, n_x, n_k, length, 2)
    t, x, k = (np.asarray(coords[name][1], dtype=float) for name in ("time", "x", "kx"))
    u = np.exp(np.cos(2 * np.pi * x / length - 0.1 * t[:, None])) / 6
    v = np.exp(np.cos(k - 0.1 * t[:, None]))
    n_xy = np.stack([u[:, :, None] * u[:, None, :]] * 2, axis=1)
    n_k_xy = np.stack([v[:, :, None] * v[:, None, :]] * 2, axis=1)
    fields = xr.Dataset(
        {
            "density": (("time", "band", "x", "y"), n_xy, {"units": "1/a^2"}),
            "momentum_distribution": (("time", "band", "kx", "ky"), n_k_xy),
        },
        coords,
        attrs(run_id),
    )
    return SyntheticRun(fields=fields, scalars=scalars(n_times, run_id))


def scalars(n_times: int, run_id: str) -> xr.Dataset:
    t = np.linspace(0, 30, n_times)
    drift = {"particle_number_drift": 1e-15 * t, "energy_drift": 3e-9 * t}
    data = {name: (("time", "band"), np.stack([values, values], axis=1)) for name, values in drift.items()}
    coords = {"time": ("time", t, {"units": "hbar/energy"}), "band": ("band", [0, 1])}
    return xr.Dataset(data, coords, attrs(run_id))


def geometry(x, k, coords, run_id: str) -> xr.Dataset:
    """Shapes like those of a two-band chain whose mass varies with position."""
    mass, hopping = 0.5 + 0.2 * np.cos(2 * np.pi * x[:, None] / x.size), np.exp(-1j * k)
    energy = np.abs(1 + mass * hopping)
    curvature = 0.1 * np.sin(2 * np.pi * x[:, None] / x.size) * np.cos(k) / energy**3
    data = {
        "band_energy": (-energy, "energy"),
        "gap": (2 * energy, "energy"),
        "quantum_metric_kx_kx": ((0.25 / energy**2) ** 2, "a^2"),
        "berry_curvature_x_kx": (curvature, "1"),
        "density_of_states": (1 + curvature, "1"),
        "dual_energy": (-energy + 0.05 * curvature, "energy"),
    }
    arrays = {
        name: (("band", "x", "kx"), np.stack([values, values]), {"units": units})
        for name, (values, units) in data.items()
    }
    kept = {name: coords[name] for name in ("band", "x", "kx")}
    return xr.Dataset(arrays, kept, attrs(run_id))


def convergence_result() -> dict:
    """Errors of a kinetic equation of orders 0, 1, 2 against the exact dynamics."""
    table = {
        0: (5.5e-2, 2.5e-2, 1.2e-2, 9.0e-3),
        1: (1.7e-2, 4.2e-3, 1.05e-3, 5.9e-4),
        2: (1.6e-3, 1.7e-4, 2.5e-5, 1.07e-5),
    }
    rows = [
        {"order": order, "dilation": sites / 24, "sites": sites, "err_f_max": error, "err_n_max": error / 3,
         "err_f_l2": error / 5, "err_energy": error / 7, "seconds_kinetic": 1.0, "seconds_exact": 5.0}
        for order, errors in table.items()
        for sites, error in zip((24, 48, 96, 128), errors, strict=True)
    ]  # fmt: skip
    slopes = {
        "0": {"f_max": 1.08, "n_max": 1.08},
        "1": {"f_max": 2.01, "n_max": 2.01},
        "2": {"f_max": 2.98, "n_max": 2.98},
    }
    return {"rows": rows, "slopes": slopes}
