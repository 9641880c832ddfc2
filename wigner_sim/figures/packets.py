"""Wave packets drawn over the state: where each one has been, and where it is."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from wigner_sim.errors import CaseError
from wigner_sim.figures.frames import FloatArray, FrameSeries, Run

#: By order of the equations of motion: read on bright and on dark colour maps.
COLOURS = {0: "#56B4E9", 1: "#E69F00", 2: "#FF3B30"}


class PacketOverlay:
    """Paths of packets in the plane of an image.

    Parameters
    ----------
    axes : Axes
    trajectories : Dataset
        ``trajectories.nc`` of a run.
    dims : tuple of str
        Horizontal and vertical axis of the image.
    legend : bool
        Say which colour is which order, if there are several.
    """

    def __init__(self, axes: Axes, trajectories: xr.Dataset, dims: tuple[str, ...], legend: bool = True):
        self._times = trajectories["time"].values
        self._periods = np.array([float(trajectories[dim].attrs["period"]) for dim in dims])
        #: Line, dot and path (2, t) of every packet.
        self.paths: list[tuple[Any, Any, FloatArray]] = []
        for order in trajectories["order"].values.tolist():
            for packet in trajectories["packet"].values.tolist():
                one = trajectories.sel(order=order, packet=packet)
                path = np.stack([_within_period(one[dim], axes, which) for dim, which in zip(dims, "xy")])  # noqa: B905
                colour = COLOURS[order]
                (line,) = axes.plot([], [], color=colour, linewidth=1.4, zorder=4)
                (dot,) = axes.plot([], [], "o", color=colour, markersize=5, markeredgecolor="white", zorder=5)
                label = f"packet, order {order}" if packet == trajectories["packet"].values[0] else None
                line.set_label(label or "_")
                self.paths.append((line, dot, path))
        if legend and len(trajectories["order"]) > 1:
            axes.legend(loc="upper right", fontsize=9, framealpha=0.8)

    def show(self, time: float) -> None:
        """Show the paths up to a time."""
        for line, dot, path in self.paths:
            until = self._times <= time * (1 + 1e-12)
            line.set_data(*_broken_at_jumps(path[:, until], self._periods))
            dot.set_data(path[0, until][-1:], path[1, until][-1:])


def packet_overlay(
    axes: Axes, run: Run, series: FrameSeries, band: int | str | None, legend: bool = True
) -> PacketOverlay | None:
    """The packets of a run over an image of its state; None if it has none in this band."""
    trajectories = None
    with contextlib.suppress(CaseError, AttributeError):
        trajectories = run.trajectories  # type: ignore[attr-defined]
    if trajectories is None or len(series.dims) != 2 or not set(series.dims) <= set(trajectories.data_vars):
        return None
    shown = run.scalars["band"].values[0] if band is None else band
    if str(trajectories[series.dims[0]].attrs["band"]) != str(shown):
        return None
    return PacketOverlay(axes, trajectories, series.dims, legend)


def _within_period(values: xr.DataArray, axes: Axes, which: str) -> FloatArray:
    """Coordinates brought into the range that the image shows."""
    low = axes.get_xlim()[0] if which == "x" else axes.get_ylim()[0]
    period = float(values.attrs["period"])
    return np.asarray((values.values - low) % period + low)


def _broken_at_jumps(path: FloatArray, periods: FloatArray) -> FloatArray:
    """A path (2, t) with a gap wherever it leaves the image and enters at the other side."""
    jumps = (np.abs(np.diff(path, axis=1)) > 0.5 * periods[:, None]).any(axis=0)
    return np.insert(path, np.flatnonzero(jumps) + 1, np.nan, axis=1)
