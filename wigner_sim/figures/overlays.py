"""What is drawn over an image of a movie: trajectories of wave packets, and arrows of the current."""

from __future__ import annotations

import contextlib
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib import patheffects
from matplotlib.axes import Axes

from wigner_sim.errors import CaseError
from wigner_sim.figures.frames import FloatArray, FrameSeries, Run, position_dims
from wigner_sim.figures.panels import ImagePanel
from wigner_sim.figures.quantities import quantity_series

#: At most so many arrows along an axis.
ARROWS = 14


class Trajectories:
    """Paths up to the time of a frame, with a dot at their ends.

    Parameters
    ----------
    axes : Axes
    dataset : Dataset with dims (packet, time)
        One variable for each axis of the image.
    series : FrameSeries
        What the image shows: names and periods of its two axes.
    """

    def __init__(self, axes: Axes, dataset: xr.Dataset, series: FrameSeries):
        self.times = np.asarray(dataset["time"].values, dtype=float)
        paths = [
            np.atleast_2d(dataset[dim].transpose(..., "time").values.astype(float)) for dim in series.dims
        ]
        wrapped = [wrap(path, series.array[dim]) for path, dim in zip(paths, series.dims, strict=True)]
        #: Points (packet, axis, time) inside one period, and where a path jumps to the other side.
        self.points = np.stack([points for points, _ in wrapped], axis=1)
        self.jumps = np.any([jumps for _, jumps in wrapped], axis=0)
        width = 0.7 * mpl.rcParams["lines.linewidth"]
        outline = [patheffects.withStroke(linewidth=2 * width, foreground="white")]
        style: Any = {"color": "black", "linewidth": width, "path_effects": outline}
        self.paths = [axes.plot([], [], **style)[0] for _ in self.points]
        self.ends = axes.plot(
            [], [], "o", markeredgecolor="black", markerfacecolor="white", linestyle="none"
        )[0]

    def show(self, time: float) -> None:
        """Show the paths up to ``time``."""
        n = max(1, int(np.searchsorted(self.times, time * (1 + 1e-12) + 1e-12, side="right")))
        for line, points, jumps in zip(self.paths, self.points, self.jumps, strict=True):
            where = np.flatnonzero(jumps[: n - 1]) + 1
            line.set_data(*np.insert(points[:, :n], where, np.nan, axis=1))
        self.ends.set_data(*self.points[:, :, n - 1].T)


def wrap(path: FloatArray, coordinate: xr.DataArray) -> tuple[FloatArray, np.ndarray]:
    """Path (packet, time) inside one period of a periodic axis, and where it jumps to the other side."""
    axis = np.asarray(coordinate.values, dtype=float)
    period = float(coordinate.attrs.get("period", axis.size * (axis[1] - axis[0])))
    inside = (path - axis[0]) % period + axis[0]
    return inside, np.abs(np.diff(inside, axis=-1)) > period / 2


class Arrows:
    """The current as arrows over an image in real space, with one scale for all times."""

    def __init__(self, panel: ImagePanel, components: list[FrameSeries], times: FloatArray):
        self.components = components
        points = [np.asarray(panel.series.array[dim].values, dtype=float) for dim in panel.series.dims]
        self.strides = [max(1, round(axis.size / ARROWS)) for axis in points]
        coarse = [axis[::stride] for axis, stride in zip(points, self.strides, strict=True)]
        spacing = min(float(axis[1] - axis[0]) if axis.size > 1 else 1.0 for axis in coarse)
        largest = max((np.hypot(*self._at(time)).max() for time in times), default=0.0)
        x, y = np.meshgrid(*coarse, indexing="ij")
        self.arrows = panel.axes.quiver(
            x, y, 0 * x, 0 * y, angles="xy", scale_units="xy", scale=(largest or 1.0) / (1.2 * spacing),
            pivot="middle", color="white", edgecolor="black", linewidth=0.3, width=0.007, headwidth=4,
        )  # fmt: skip
        name = components[0].label.split("_", maxsplit=1)[0].strip("$")
        units = components[0].label.partition(" (")[2]
        text = rf"$|{name}|$ = {largest:.2g}" + (f" ({units}" if units else "")
        panel.axes.quiverkey(self.arrows, 0.74, 1.05, largest or 1.0, text, labelpos="E", color="black")

    def _at(self, time: float) -> FloatArray:
        every = tuple(slice(None, None, stride) for stride in self.strides)
        return np.stack([component.at(time)[every] for component in self.components])

    def show(self, time: float) -> None:
        """Show the current at ``time``."""
        self.arrows.set_UVC(*self._at(time))


def overlays_of(
    run: Run, panel: ImagePanel, band: int | str | None, times: FloatArray
) -> list[Arrows | Trajectories]:
    """What the run has to draw over an image: arrows on a density in the plane, and trajectories."""
    found: list[Arrows | Trajectories] = []
    dims = panel.series.dims
    if panel.series.array.name == "density" and position_dims(panel.series.array)[:2] == dims:
        with contextlib.suppress(CaseError):
            found.append(Arrows(panel, [quantity_series(run, f"current_{dim}", band) for dim in dims], times))
    with contextlib.suppress(CaseError):
        paths = getattr(run, "trajectories", None)
        if paths is not None and set(dims) <= set(paths.data_vars) and paths.sizes.get("time"):
            found.append(Trajectories(panel.axes, paths, panel.series))
    return found
