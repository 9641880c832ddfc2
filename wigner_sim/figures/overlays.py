"""What is drawn over an image of a movie: trajectories of wave packets, and arrows of the current."""

from __future__ import annotations

import contextlib

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.figures.frames import FloatArray, FrameSeries, Run, position_dims
from wigner_sim.figures.packets import PacketOverlay, packet_overlay
from wigner_sim.figures.panels import ImagePanel
from wigner_sim.figures.quantities import quantity_series

#: At most so many arrows along an axis.
ARROWS = 14


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
) -> list[Arrows | PacketOverlay]:
    """What the run has to draw over an image: arrows on a density in the plane, and trajectories."""
    found: list[Arrows | PacketOverlay] = []
    dims = panel.series.dims
    if panel.series.array.name == "density" and position_dims(panel.series.array)[:2] == dims:
        with contextlib.suppress(CaseError):
            found.append(Arrows(panel, [quantity_series(run, f"current_{dim}", band) for dim in dims], times))
    if packets := packet_overlay(panel.axes, run, panel.series, band):
        found.append(packets)
    return found
