"""What there is to draw in a run: quantities against time, read one frame at a time, with their labels.

Nothing here computes physics: arrays come from the netCDF streams of a run and are shown as they are.
Axes that a picture cannot show (say ``ky`` in a picture of ``f(x; kx, ky)``) are averaged over, and the
label says so.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from wigner_sim.errors import CaseError
from wigner_sim.reading import load

FloatArray = NDArray[np.float64]

#: Names a phase-space array may have: the faces f, w and c of a band's state, in order of preference.
FACES = ("f", "w", "c")


#: An array without dimensions, for what is not stored.
NOTHING = xr.DataArray(0.0)


class Run(Protocol):
    """What a figure needs of a run: its netCDF streams as lazily loaded Datasets."""

    @property
    def scalars(self) -> xr.Dataset: ...  # noqa: D102
    @property
    def fields(self) -> xr.Dataset: ...  # noqa: D102
    @property
    def phase(self) -> xr.Dataset: ...  # noqa: D102
    @property
    def geometry(self) -> xr.Dataset: ...  # noqa: D102
    @property
    def path(self) -> Path: ...  # noqa: D102


def stream(run: Run, name: str) -> xr.Dataset:
    """Return one stream of the run; a missing or empty one is a CaseError."""
    dataset = getattr(run, name, None)
    if dataset is None or not dataset.data_vars or dataset.sizes.get("time") == 0:
        raise CaseError(
            f"run {run.path} has no '{name}' output, which this picture needs: ask for it in the case"
        )
    return dataset


def provenance(run: Run) -> dict[str, str]:
    """Title, case name, run id and equation of a run, from the attributes of its streams."""
    attrs: dict[str, Any] = {}
    for name in ("scalars", "fields", "phase", "geometry"):
        with contextlib.suppress(CaseError):  # an exact run has no geometry, for instance
            dataset = getattr(run, name, None)
            attrs = {**(dataset.attrs if dataset is not None else {}), **attrs}
    case = str(attrs.get("case_name", Path(run.path).name))
    return {
        "title": str(attrs.get("title") or case),
        "case": case,
        "run_id": str(attrs.get("run_id", "unknown")),
        "equation": _equation(attrs),
    }


def _equation(attrs: Mapping[str, Any]) -> str:
    """What was solved: ``exact``, ``matrix``, or ``order 2 without metric``; else empty."""
    if attrs.get("method") == "exact":
        return "exact"
    equation = tomllib.loads(str(attrs.get("case_resolved_toml", ""))).get("equation", {})
    if "order" not in equation:
        return ""
    if equation.get("method") == "matrix":
        return "matrix"
    off = [name.replace("_", " ") for name, on in equation.get("terms", {}).items() if not on]
    return f"order {equation['order']}" + (f" without {', '.join(off)}" if off else "")


def heading(about: Mapping[str, str]) -> str:
    """Title of a figure: the case's own, and what was solved."""
    return about["title"] + (f" ({about['equation']})" if about["equation"] else "")


def joint_provenance(run_a: Run, run_b: Run) -> dict[str, str]:
    """Provenance of "a minus b"."""
    a, b = provenance(run_a), provenance(run_b)
    joint = {key: f"{a[key]} minus {b[key]}" for key in a}
    if a["title"] == b["title"]:
        joint["title"] = a["title"]
        if a["equation"] == b["equation"]:
            joint["equation"] = f"run {Path(run_a.path).name} minus run {Path(run_b.path).name}"
    return joint


def band_index(array: xr.DataArray, band: int | str | None) -> int:
    """Return the index along "band" of the coordinate value ``band`` (of the first one if None)."""
    values = array["band"].values.tolist() if "band" in array.coords else list(range(array.sizes["band"]))
    if band is None:
        return 0
    if band not in values:
        raise CaseError(f"band {band!r} is not in the output; it has bands {', '.join(map(str, values))}")
    return values.index(band)


def select_band(array: xr.DataArray, band: int | str | None) -> xr.DataArray:
    """One band of an array, not loaded; an array without the dimension "band" is returned as it is."""
    return array.isel(band=band_index(array, band)) if "band" in array.dims else array


def symbol(name: str) -> str:
    """Return the mathtext symbol of a dimension name: ``kx`` -> ``k_x``."""
    return f"k_{name[1:]}" if re.fullmatch(r"k[xyz]", name) else name


def unit_text(units: str) -> str:
    r"""Units as they appear on an axis, in mathtext: ``hbar/energy`` -> ``$\hbar$/energy``."""
    units = {"1": "", "dimensionless": ""}.get(units, units)
    units = re.sub(r"\b1/a\b", "$1/a$", units)
    units = re.sub(r"(\^|\*\*)(-?\d+)", r"$^{\2}$", units)
    return re.sub(r"\bhbar\b", r"$\\hbar$", units)


def units_of(dimension: str, array: xr.DataArray) -> str:
    """Units of a position, momentum or time axis in words of the field.

    Files hold UDUNITS, which know no lattice constant: there they are 1 and radian.
    """
    usual = "hbar/energy" if dimension == "time" else "1/a" if dimension[0] == "k" else "lattice constants"
    attrs = array[dimension].attrs if dimension in array.coords else {}
    units = str(attrs.get("units", usual))
    return usual if units in ("1", "radian") else units


def time_text(time: float, array: xr.DataArray) -> str:
    """``t = ...``, with the unit of the array's time if it is a physical one."""
    units = str(array["time"].attrs.get("units", "")) if "time" in array.coords else ""
    return f"$t = {time:.4g}$" + (f" {units}" if re.fullmatch(r"[a-z]?s", units) else "")


def axis_label(dimension: str, array: xr.DataArray) -> str:
    """Label with units of a position, momentum or time axis."""
    name = "t" if dimension == "time" else symbol(dimension)
    units = unit_text(units_of(dimension, array))
    return f"${name}$ ({units})" if units else f"${name}$"


def band_subscript(array: xr.DataArray) -> str:
    """Subscript for a symbol of the band chosen by :func:`select_band`."""
    if "band" not in array.coords or array["band"].ndim:
        return ""
    value = array["band"].item()
    return f"_{{{value}}}" if isinstance(value, int) else rf"_{{\mathrm{{{value}}}}}"


def with_subscript(text: str, subscript: str) -> str:
    """Add a band's subscript to a symbol that may have one of its own: ``j_x``, ``_{0}`` -> ``j_{x,0}``."""
    head, _, own = text.partition("_")
    return f"{head}_{{{own},{subscript[2:-1]}}}" if own and subscript else text + subscript


def time_format(times: Iterable[float]) -> str:
    """Format with as many decimals as it takes to tell the times apart (a constant width in a movie)."""
    points = np.asarray(list(times), dtype=float)
    step = np.abs(np.diff(points)).min() if points.size > 1 else 0.01
    decimals = int(np.clip(np.ceil(-np.log10(max(step, 1e-12)) + 0.5), 0, 6))
    return f"{{:{len(f'{np.abs(points).max():.{decimals}f}')}.{decimals}f}}"


@dataclass(frozen=True)
class FrameSeries:
    """A quantity against time, read from file one frame at a time.

    Parameters
    ----------
    array : DataArray, dims (time, ...), not loaded
    dims : one or two dimension names
        What a frame shows; every other dimension is averaged over.
    label : str
        Mathtext with units, for an axis or colour bar.
    minus : DataArray, optional
        Subtracted from ``array`` at its nearest output time.
    """

    array: xr.DataArray
    dims: tuple[str, ...]
    label: str
    minus: xr.DataArray | None = None

    @property
    def times(self) -> FloatArray:
        """Output times."""
        return np.asarray(self.array["time"].values, dtype=float)

    def at(self, time: float) -> FloatArray:
        """Frame at the output time nearest to ``time``, axes in the order of ``dims``."""
        values = self._read(self.array, time)
        return values if self.minus is None else values - self._read(self.minus, time)

    def _read(self, array: xr.DataArray, time: float) -> FloatArray:
        index = int(np.argmin(np.abs(np.asarray(array["time"].values, dtype=float) - time)))
        frame = load(array.isel(time=index))
        hidden = [dim for dim in frame.dims if dim not in self.dims]
        return np.asarray(frame.mean(hidden).transpose(*self.dims).values, dtype=float)

    def extrema(self, times: Iterable[float]) -> tuple[float, float]:
        """Smallest and largest finite value over the given times, holding one frame at a time."""
        low, high = np.inf, -np.inf
        for time in times:
            frame = self.at(time)
            finite = frame[np.isfinite(frame)]
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        return (low, high) if low <= high else (0.0, 0.0)


def frame_series(
    array: xr.DataArray,
    name: str,
    dims: tuple[str, ...],
    band: int | str | None,
    at: Mapping[str, float] | None = None,
) -> FrameSeries:
    """Frames of one band of ``array``, labelled ``name_band(dims; cuts)`` with the averaged axes named.

    ``at`` cuts axes at the nearest grid points; others that are not in ``dims`` are averaged over.
    """
    chosen = select_band(array, band)
    text = with_subscript(name, band_subscript(chosen))
    cuts = []
    for dim, value in (at or {}).items():
        chosen = chosen.isel({dim: _nearest(chosen[dim], value)})
        cuts.append(f"{symbol(dim)}={chosen[dim].item():.3g}")
    if "time" not in chosen.dims:
        chosen = chosen.expand_dims("time") if "time" in chosen.coords else chosen.expand_dims(time=[0.0])
    hidden = [symbol(str(dim)) for dim in chosen.dims if dim not in (*dims, "time")]
    if hidden:
        text = rf"\langle {text} \rangle_{{{','.join(hidden)}}}"
    units = unit_text(str(array.attrs.get("units", "")))
    arguments = "; ".join(filter(None, [", ".join(map(symbol, dims)), ", ".join(cuts)]))
    label = f"${text}({arguments})$" if arguments else f"${text}$"
    return FrameSeries(chosen, dims, label + (f" ({units})" if units else ""))


def _nearest(coordinate: xr.DataArray, value: float) -> int:
    """Index of the grid point nearest to a value, around the period if there is one."""
    distance = np.asarray(coordinate.values, dtype=float) - value
    if period := float(coordinate.attrs.get("period", 0.0)):
        distance = (distance + period / 2) % period - period / 2
    return int(np.argmin(np.abs(distance)))


def position_dims(array: xr.DataArray) -> tuple[str, ...]:
    """Position dimensions of an array, in order."""
    return tuple(str(dim) for dim in array.dims if dim in ("x", "y", "z"))


def momentum_dims(array: xr.DataArray) -> tuple[str, ...]:
    """Momentum dimensions of an array, in order."""
    return tuple(str(dim) for dim in array.dims if dim in ("kx", "ky", "kz"))


def image_series(run: Run, band: int | str | None) -> FrameSeries:
    """Return the main picture: ``f(x, kx)`` with one position axis, the density ``n(x, y)`` with more."""
    if "density" in (getattr(run, "fields", None) or ()) and run.fields.sizes["time"]:
        density = run.fields["density"]
        if len(position_dims(density)) > 1:
            return frame_series(density, "n", position_dims(density)[:2], band)
    phase = stream(run, "phase")
    face = next((name for name in FACES if name in phase), None)
    if face is None:
        raise CaseError(
            f"the phase output of run {run.path} has none of {', '.join(FACES)}, only {list(phase)}"
        )
    dims = position_dims(phase[face])[:1] + momentum_dims(phase[face])[:1]
    if len(dims) < 2:
        raise CaseError(f"a phase-space picture needs a position axis, but run {run.path} has none")
    return frame_series(phase[face], face, dims, band)


def profile_series(run: Run, band: int | str | None) -> tuple[FrameSeries, FrameSeries]:
    """Density along the first position axis, and momentum distribution over one or two momentum axes."""
    fields = stream(run, "fields")
    for name in ("density", "momentum_distribution"):
        if name not in fields:
            raise CaseError(f"the fields output of run {run.path} lacks '{name}', which this picture needs")
    density, momentum = fields["density"], fields["momentum_distribution"]
    return (
        frame_series(density, "n", position_dims(density)[:1], band),
        frame_series(momentum, "n", momentum_dims(momentum)[:2], band),
    )


def difference(first: FrameSeries, second: FrameSeries) -> FrameSeries:
    """Frames of ``first - second``; both must live on the same grid and show the same face."""
    if first.array.name != second.array.name:
        raise CaseError(
            f"cannot subtract '{second.array.name}' from '{first.array.name}': write the same face in both"
        )
    for dim in first.dims:
        a, b = first.array[dim].values, second.array[dim].values if dim in second.array.dims else np.zeros(0)
        if a.shape != b.shape or not np.allclose(a, b):
            raise CaseError(f"the runs have different grids along {dim}: {a.size} points and {b.size} points")
    label = "$" + r"\Delta " + first.label.removeprefix("$")
    return replace(first, label=label, minus=second.array)


def common_times(first: FrameSeries, second: FrameSeries) -> FloatArray:
    """Output times that both have (to a millionth of the spacing)."""
    times, others = first.times, second.times
    spacing = np.diff(times).min() if times.size > 1 else 1.0
    shared = times[np.abs(times[:, None] - others).min(axis=1) < 1e-6 * spacing]
    if not shared.size:
        raise CaseError("the two runs have no output time in common: nothing to subtract")
    return shared
