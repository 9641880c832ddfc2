"""Colour scales, styles and panels that figures and movies share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from io import BytesIO
from typing import Any, Literal, ParamSpec

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MultipleLocator

from wigner_sim.errors import CaseError
from wigner_sim.figures.frames import FloatArray, FrameSeries, axis_label, units_of

#: Okabe and Ito's colours, told apart with every common kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINE_STYLES = ("-", "--", "-.", ":")

STYLE: Any = {
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.labelsize": 14,
    "legend.fontsize": 11,
    "figure.titlesize": 15,
    "lines.linewidth": 1.8,
    "axes.linewidth": 0.9,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-3, 4),
    "pdf.fonttype": 42,
}

#: Widths (inches) of figures for print, and the scale of everything in them beside the screen's.
PRINTED = {"column": 3.375, "page": 7.0}
PRINT_SCALE = 0.6
_SCALED = {
    "xtick.major.size": 3.5,
    "ytick.major.size": 3.5,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
}
_SCALED |= {"grid.linewidth": 0.8, "lines.markersize": 6.0}
_SCALED |= {name: value for name, value in STYLE.items() if name.endswith(("size", "linewidth"))}
_size: ContextVar[str] = ContextVar("size", default="screen")

#: Below this fraction of the maximum a negative value is a ripple that needs no diverging colours.
NEGATIVE_OF_NOTE = 0.02
#: Fields smaller than this everywhere are zero to rounding; their noise is not magnified into a picture.
ROUNDING = 1e-13


Parameters = ParamSpec("Parameters")


@contextmanager
def printed(size: str) -> Iterator[None]:
    """Make the figures inside for print: ``"column"`` (86 mm), ``"page"`` (178 mm); ``"screen"`` as usual.

    Letters are 7 to 8 points high, lines in proportion.

    Raises
    ------
    CaseError
        For another size.
    """
    if size not in ("screen", *PRINTED):
        raise CaseError(f"unknown figure size '{size}': expected screen, {' or '.join(PRINTED)}")
    token = _size.set(size)
    try:
        yield
    finally:
        _size.reset(token)


def current_style() -> Any:
    """Return matplotlib settings for the size that is wanted."""
    if _size.get() == "screen":
        return STYLE
    return STYLE | {name: PRINT_SCALE * value for name, value in _SCALED.items()}


class RunFigure(Figure):
    """A Figure that knows the run it shows, so that the file it is saved to can say so, and its style."""

    provenance: dict[str, str]
    style: Any

    def _repr_png_(self) -> bytes:
        """Show the figure in a notebook."""
        with BytesIO() as buffer, mpl.rc_context(self.style):
            self.savefig(buffer, format="png", dpi=80 if self.get_figwidth() > 7 else 130)
            return buffer.getvalue()


def new_figure(provenance: dict[str, str], width: float, height: float, **options: Any) -> RunFigure:
    """Empty figure (inches) with constrained layout, free of pyplot's global state."""
    scale = 1.0
    if width_printed := PRINTED.get(_size.get()):
        scale, height, width = PRINT_SCALE, height * width_printed / width, width_printed
    layout = ConstrainedLayoutEngine(w_pad=0.09 * scale, h_pad=0.07 * scale, wspace=0.02, hspace=0.02)
    figure = RunFigure(figsize=(width, height), layout=layout, **options)
    figure.provenance, figure.style = provenance, current_style()
    return figure


def two_rows(figure: Figure) -> list[Any]:
    """Two subfigures above each other, laid out independently."""
    return list(np.ravel(np.asarray(figure.subfigures(2, 1, height_ratios=[1.05, 1]), dtype=object)))


def styled(make: Callable[Parameters, RunFigure]) -> Callable[Parameters, RunFigure]:
    """Make the figure under the package's style."""

    @wraps(make)
    def with_style(*args: Parameters.args, **options: Parameters.kwargs) -> RunFigure:
        with mpl.rc_context(current_style()):
            return make(*args, **options)

    return with_style


def style_momentum_axis(axes: Axes, which: Literal["x", "y"], *, coarse: bool = False) -> None:
    """Ticks at multiples of pi/2 (of pi if coarse)."""

    def as_multiple_of_pi(value: float, _position: int) -> str:
        halves = round(2 * value / np.pi)
        text = {0: "0", 2: r"\pi", -2: r"-\pi", 1: r"\pi/2", -1: r"-\pi/2"}.get(halves, rf"{halves / 2:g}\pi")
        return f"${text}$"

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MultipleLocator(np.pi if coarse else np.pi / 2))
    axis.set_major_formatter(FuncFormatter(as_multiple_of_pi))


@dataclass(frozen=True)
class ColourScale:
    """A colour map with its limits; ``extend`` marks values beyond them on the colour bar."""

    cmap: str
    low: float
    high: float
    extend: str = "neither"


def colour_scale(low: float, high: float, *, signed: bool = False, from_zero: bool = True) -> ColourScale:
    """Diverging map with symmetric limits if values of both signs matter, sequential otherwise.

    Parameters
    ----------
    low, high : float
        Extrema of what will be shown.
    signed : bool
        Differences: always diverging about zero.
    from_zero : bool
        Start the sequential map at zero if nothing of note lies below, as suits a distribution.
    """
    largest = max(abs(low), abs(high))
    if largest < ROUNDING:
        return (
            ColourScale("RdBu_r", -1.0, 1.0) if signed or not from_zero else ColourScale("viridis", 0.0, 1.0)
        )
    if signed or (low < 0 < high and min(-low, high) > NEGATIVE_OF_NOTE * largest):
        return ColourScale("RdBu_r", -largest, largest)
    if from_zero and high > 0:
        return ColourScale("viridis", 0.0, high, "min" if low < -1e-6 * high else "neither")
    if high - low < 1e-9 * largest:
        return ColourScale("viridis", low - 0.05 * largest, high + 0.05 * largest)
    return ColourScale("viridis", low, high)


def line_limits(low: float, high: float) -> tuple[float, float]:
    """Axis limits with a margin; they start at zero when that is close."""
    if max(abs(low), abs(high)) < ROUNDING:
        return -1.0, 1.0
    if 0 <= low < 0.5 * high:
        low = 0.0
    margin = 0.06 * max(high - low, 1e-9 * abs(high))
    return (0.0 if low == 0 else low - margin), high + margin


def show_times(axes: Axes, times: FloatArray) -> None:
    """Horizontal axis from the first to the last time."""
    if times[-1] > times[0]:
        axes.set_xlim(times[0], times[-1])


def periodic_axis(array: xr.DataArray, dim: str) -> FloatArray:
    """Coordinates along a periodic axis with the first point repeated one period later."""
    points = np.asarray(array[dim].values, dtype=float)
    return np.append(points, 2 * points[-1] - points[-2])


class ImagePanel:
    """A frame with two axes as an image, over one whole period of each."""

    def __init__(self, axes: Axes, series: FrameSeries, scale: ColourScale):
        self.axes, self.series, self.scale = axes, series, scale
        horizontal, vertical = (periodic_axis(series.array, dim) for dim in series.dims)
        self.image = axes.imshow(
            np.zeros((vertical.size, horizontal.size)),
            origin="lower",
            extent=(*_pixel_edges(horizontal), *_pixel_edges(vertical)),
            aspect="equal" if _same_kind(series.dims) else "auto",
            cmap=scale.cmap,
            norm=Normalize(scale.low, scale.high),
            interpolation="bilinear",
        )
        axes.set(xlim=horizontal[[0, -1]], ylim=vertical[[0, -1]])
        axes.set(
            xlabel=axis_label(series.dims[0], series.array), ylabel=axis_label(series.dims[1], series.array)
        )
        if units_of(series.dims[0], series.array) == "1/a":
            style_momentum_axis(axes, "x")
        if units_of(series.dims[1], series.array) == "1/a":
            style_momentum_axis(axes, "y")

    def show(self, time: float) -> None:
        """Show the frame nearest to ``time``; limits stay."""
        self.image.set_data(np.pad(self.series.at(time), (0, 1), mode="wrap").T)


class LinePanel:
    """Frames with one axis as curves, over one whole period; ``upright`` swaps the two axes of the plot."""

    def __init__(
        self,
        axes: Axes,
        series: FrameSeries,
        limits: tuple[float, float],
        *,
        upright: bool = False,
        curves: Sequence[dict[str, Any]] = ({},),
    ):
        self.axes, self.series, self.upright = axes, series, upright
        self.points = periodic_axis(series.array, series.dims[0])
        along, across = ("y", "x") if upright else ("x", "y")
        axes.set(**{f"{along}lim": self.points[[0, -1]], f"{across}lim": limits})
        axes.set(
            **{f"{along}label": axis_label(series.dims[0], series.array), f"{across}label": series.label}
        )
        axes.grid(alpha=0.25)
        if units_of(series.dims[0], series.array) == "1/a":
            style_momentum_axis(axes, "y" if upright else "x")
        if limits[0] < 0 < limits[1]:
            (axes.axvline if upright else axes.axhline)(0.0, color="0.6", linewidth=0.8, zorder=1)
        style = {"color": COLOURS[0]}
        self.lines = [axes.plot([], [], **(style | options))[0] for options in curves]

    def show(self, time: float, curve: int = 0) -> None:
        """Show the frame nearest to ``time`` as the given curve; limits stay."""
        values = np.pad(self.series.at(time), (0, 1), mode="wrap")
        self.lines[curve].set_data(*((values, self.points) if self.upright else (self.points, values)))


class TimePanel:
    """A number against time, with a line at the time of the frame."""

    def __init__(self, axes: Axes, series: FrameSeries, times: FloatArray):
        self.axes, self.series = axes, series
        axes.plot(times, [series.at(time) for time in times], color=COLOURS[0])
        axes.set(xlabel=axis_label("time", series.array), ylabel=series.label)
        show_times(axes, times)
        axes.grid(alpha=0.25)
        self.marker = axes.axvline(times[0], color="0.35", linewidth=1.5)

    def show(self, time: float) -> None:
        """Move the line to ``time``."""
        self.marker.set_xdata([time, time])


Panel = ImagePanel | LinePanel | TimePanel


def panel(
    axes: Axes, series: FrameSeries, extrema: tuple[float, float], **options: Any
) -> ImagePanel | LinePanel:
    """Return the panel that suits the number of axes of a frame, with limits from its extrema."""
    if len(series.dims) == 2:
        return ImagePanel(axes, series, colour_scale(*extrema, signed=series.minus is not None))
    return LinePanel(axes, series, line_limits(*extrema), **options)


def _pixel_edges(points: FloatArray) -> tuple[float, float]:
    half = (points[1] - points[0]) / 2
    return float(points[0] - half), float(points[-1] + half)


def _same_kind(dims: tuple[str, ...]) -> bool:
    return dims[0].startswith("k") == dims[1].startswith("k")
