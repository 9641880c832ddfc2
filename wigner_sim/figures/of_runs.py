"""Figures of one run, of the difference of two, and of a kinetic run beside the exact one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from wigner_sim.errors import CaseError
from wigner_sim.figures import frames
from wigner_sim.figures.frames import FloatArray, FrameSeries, Run
from wigner_sim.figures.overlays import overlays_of
from wigner_sim.figures.packets import packet_overlay
from wigner_sim.figures.panels import (
    COLOURS,
    LINE_STYLES,
    ColourScale,
    ImagePanel,
    LinePanel,
    RunFigure,
    colour_scale,
    line_limits,
    new_figure,
    panel,
    show_times,
    styled,
    two_rows,
)
from wigner_sim.figures.quantities import DatasetRun, main_series
from wigner_sim.reading import load

#: Relative drifts below this are rounding.
#: Numbers above it, in a damaged file, set no limits: an axis must end at a number, too.
MOST_DRAWN = 1e150
DRIFT_FLOOR = 1e-17


@styled
def plot_run(
    run: Run, time: float | Sequence[float] | None = None, *, band: int | str | None = None
) -> RunFigure:
    """Phase-space density at a few times, density, momentum distribution and drifts of one band.

    Parameters
    ----------
    run : Run
        What ``wigner_sim.open_run`` returns.
    time : float or sequence of float, optional
        Shown are the nearest output times; first, middle and last if left out.
    band : optional
        Value of the band coordinate; the first band if left out.

    Returns
    -------
    Figure

    Raises
    ------
    CaseError
        If the run lacks the output or the band.

    Notes
    -----
    With two position axes the density n(x, y) takes the place of f(x, kx).
    """
    main = frames.image_series(run, band)
    times = _chosen_times(main.times, time)
    about = frames.provenance(run)
    figure = new_figure(about, 12.0, 7.2)
    figure.suptitle(frames.heading(about))
    top, bottom = two_rows(figure)
    row = _image_row(top, main, times, colour_scale(*main.extrema(times)))
    for axes, shown in zip(row, times, strict=True):
        if packets := packet_overlay(axes, run, main, band, legend=axes is row[0]):
            packets.show(shown)
    left, middle, right = bottom.subplots(1, 3)
    density, momentum = frames.profile_series(run, band)
    _overlay(left, density, times)
    _overlay(middle, momentum, times)
    plot_drifts(right, run, band)
    return figure


def _chosen_times(available: FloatArray, time: float | Sequence[float] | None) -> FloatArray:
    """Return first, middle and last output time, or those nearest to the ones asked for, each once."""
    if time is None:
        indices = [0, len(available) // 2, len(available) - 1]
    else:
        indices = [_nearest_index(available, t) for t in np.atleast_1d(np.asarray(time, dtype=float))]
    return available[sorted(set(indices))]


def _nearest_index(available: FloatArray, time: float) -> int:
    """Index of the nearest output time, which may not be further away than output times are apart."""
    index = int(np.argmin(np.abs(available - time)))
    apart = float(np.diff(available).max(initial=0.0))
    if not abs(available[index] - time) <= apart + 1e-9 * abs(time):
        raise CaseError(f"no output near time {time:g}: it goes from {available[0]:g} to {available[-1]:g}")
    return index


def _image_row(parent: Any, series: FrameSeries, times: Iterable[float], scale: ColourScale) -> list[Axes]:
    """Frames side by side with one colour bar."""
    times = list(times)
    row = np.atleast_1d(parent.subplots(1, len(times), sharey=True))
    for axes, time in zip(row, times, strict=True):
        image_panel = ImagePanel(axes, series, scale)
        image_panel.show(time)
        axes.set_title(frames.time_text(time, series.array))
        axes.label_outer()
    parent.colorbar(image_panel.image, ax=list(row), label=series.label, extend=scale.extend, pad=0.02)
    return list(row)


def _overlay(axes: Axes, series: FrameSeries, times: FloatArray) -> None:
    """Curves at the given times in one panel; of frames with two axes, an image at the last time."""
    if len(series.dims) == 2:
        times = times[-1:]
    labels = [frames.time_text(time, series.array) for time in times]
    curves = [
        {"color": COLOURS[i % len(COLOURS)], "linestyle": LINE_STYLES[i % len(LINE_STYLES)], "label": label}
        for i, label in enumerate(labels)
    ]
    shown = panel(axes, series, series.extrema(times), curves=curves)
    if isinstance(shown, LinePanel):
        for i, time in enumerate(times):
            shown.show(time, i)
        _legend_above(axes)
    else:
        shown.show(times[0])
        axes.set_title(labels[0])
        axes.figure.colorbar(shown.image, ax=axes, label=series.label)


def _legend_above(axes: Axes) -> None:
    """Legend between the axes and what is above them, where it hides no curve (nor the power of ten)."""
    largest = max(map(abs, axes.get_ylim()))
    power_of_ten_shown = axes.get_yscale() == "linear" and not 1e-2 <= largest < 1e4
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.09 if power_of_ten_shown else 1.0),
        ncols=3,
        frameon=False,
        handlelength=1.6,
        columnspacing=1.0,
        borderaxespad=0.2,
    )


def plot_drifts(axes: Axes, run: Run, band: int | str | None) -> None:
    """Relative drifts of the conserved quantities against time, on a logarithmic scale.

    What is below the floor of the scale, zero for one, is drawn on the floor.
    """
    scalars = frames.stream(run, "scalars")
    names = {"particle_number_drift": "particle number", "energy_drift": "energy"}
    largest = 0.0
    for i, (name, label) in enumerate(names.items()):
        if name in scalars:
            drift = np.abs(load(frames.select_band(scalars[name], band)).values)
            largest = max(largest, float(np.nanmax(np.where(drift < MOST_DRAWN, drift, 0.0), initial=0.0)))
            label += "" if drift.any() else " (exactly 0)"
            visible = np.maximum(drift, DRIFT_FLOOR)
            visible[:1] = np.nan  # zero by definition
            axes.plot(scalars["time"], visible, color=COLOURS[i], linestyle=LINE_STYLES[i], label=label)
    axes.set_yscale("log")
    axes.set_ylim(0.3 * DRIFT_FLOOR, 10 ** np.ceil(np.log10(max(largest, 1e-13)) + 0.2))
    axes.set(xlabel=frames.axis_label("time", scalars[next(iter(scalars))]), ylabel="relative drift")
    show_times(axes, scalars["time"].values)
    axes.grid(alpha=0.25)
    if axes.lines:
        _legend_above(axes)


@styled
def plot_quantity(
    run: Run,
    quantity: str | None = None,
    time: float | Sequence[float] | None = None,
    *,
    band: int | str | None = None,
    upright: bool = False,
) -> RunFigure:
    """One quantity and nothing else: images side by side, or curves in one panel.

    Parameters
    ----------
    run : Run
    quantity : str, optional
        Any stored variable, such as ``"density"`` or ``"f(kx, ky; x=3)"``; the usual picture if left out.
    time : float or sequence of float, optional
        Shown are the nearest output times; first, middle and last if left out.  A number against time
        is shown at all times.
    band : optional
        Value of the band coordinate; the first band if left out.
    upright : bool
        Images above each other, as suits a narrow column.

    Raises
    ------
    CaseError
        If the run lacks the quantity or the band.
    """
    series = main_series(run, quantity, band)
    times = _chosen_times(series.times, time)
    about = frames.provenance(run)
    if len(series.dims) == 2:
        n_rows, n_columns = (len(times), 1) if upright else (1, len(times))
        figure = new_figure(about, 4.2 * n_columns + 1.4, 3.8 * n_rows)
        _images(figure, series, times, run, band, upright)
        return figure
    figure = new_figure(about, 6.0, 4.4)
    axes = figure.add_subplot()
    if series.dims:
        _overlay(axes, series, times)
    else:
        axes.plot(series.times, [series.at(t) for t in series.times], color=COLOURS[0])
        axes.set(xlabel=frames.axis_label("time", series.array), ylabel=series.label)
        show_times(axes, series.times)
        axes.grid(alpha=0.25)
    return figure


def _images(
    figure: RunFigure, series: FrameSeries, times: FloatArray, run: Run, band: int | str | None, upright: bool
) -> None:
    """Frames on one colour scale with what the run has to draw over them."""
    shape = (len(times), 1) if upright else (1, len(times))
    scale = colour_scale(*series.extrema(times))
    grid = np.ravel(
        np.asarray(figure.subplots(*shape, sharex=True, sharey=True, squeeze=False), dtype=object)
    )
    for axes, time in zip(grid, times, strict=True):
        shown = ImagePanel(axes, series, scale)
        for each in (shown, *overlays_of(run, shown, band, times)):
            each.show(time)
        if len(times) > 1 or "time" in series.array.coords:
            axes.set_title(frames.time_text(time, series.array), loc="left")
        axes.label_outer()
    aspect = 20 * (len(times) if upright else 1)
    figure.colorbar(
        shown.image, ax=list(grid), label=series.label, extend=scale.extend, pad=0.02, aspect=aspect
    )


def plot_dataset(
    dataset: xr.Dataset,
    quantity: str | None = None,
    time: float | Sequence[float] | None = None,
    *,
    band: int | str | None = None,
) -> RunFigure:
    """Figure of one quantity of a Dataset: see :func:`plot_quantity`; usually the state or the density."""
    source = DatasetRun(dataset)
    return plot_quantity(source, quantity or source.usual_quantity(), time, band=band)


# ---------------------------------------------------------------- two runs


@styled
def plot_difference(run_a: Run, run_b: Run, *, band: int | str | None = None) -> RunFigure:
    """Run a minus run b: phase space at three common times, profiles, largest difference against time.

    Parameters
    ----------
    run_a, run_b : Run
        On the same grid, with output times in common.
    band : optional
        Value of the band coordinate; the first band if left out.

    Raises
    ------
    CaseError
        If grids, faces or output times do not match.
    """
    first, second = frames.image_series(run_a, band), frames.image_series(run_b, band)
    delta = frames.difference(first, second)
    all_times = frames.common_times(first, second)
    times = _chosen_times(all_times, None)
    about = frames.joint_provenance(run_a, run_b)
    figure = new_figure(about, 12.0, 7.2)
    figure.suptitle(frames.heading(about))
    top, bottom = two_rows(figure)
    _image_row(top, delta, times, colour_scale(*delta.extrema(times), signed=True))
    left, middle, right = bottom.subplots(1, 3)
    pairs = zip(frames.profile_series(run_a, band), frames.profile_series(run_b, band), strict=True)
    for axes, (a, b) in zip((left, middle), pairs, strict=True):
        _overlay(axes, frames.difference(a, b), times)
    plot_largest_difference(right, delta, all_times)
    return figure


def plot_largest_difference(axes: Axes, delta: FrameSeries, times: FloatArray) -> None:
    """Largest absolute difference against time, on a logarithmic scale if it grows by much."""
    largest = np.array([np.abs(delta.extrema([time])).max() for time in times])
    axes.plot(times, largest, color=COLOURS[0])
    if 0 < 30 * largest.min() < largest.max():
        axes.set_yscale("log")
    else:
        axes.set_ylim(0.0, 1.08 * largest.max() or 1.0)
    name = delta.label.split("(", maxsplit=1)[0].removeprefix("$")
    axes.set(xlabel=frames.axis_label("time", delta.array), ylabel=rf"$\max\,|{name}|$")
    show_times(axes, times)
    axes.grid(alpha=0.25)


@styled
def plot_comparison(
    kinetic: Run, exact: Run, time: float | None = None, *, band: int | str | None = None
) -> RunFigure:
    """Kinetic and exact phase-space density side by side, their difference, and both runs' profiles.

    Parameters
    ----------
    kinetic, exact : Run
        On the same grid, with output times in common.
    time : float, optional
        Shown is the nearest common output time; the last one if left out.
    band : optional
        Value of the band coordinate; the first band if left out.
    """
    ours, reference = frames.image_series(kinetic, band), frames.image_series(exact, band)
    delta = frames.difference(ours, reference)
    times = frames.common_times(ours, reference)
    when = times[-1] if time is None else times[_nearest_index(times, time)]
    about = frames.joint_provenance(kinetic, exact)
    figure = new_figure(about, 12.0, 7.2)
    figure.suptitle(f"{frames.heading(frames.provenance(kinetic))}, {frames.time_text(when, ours.array)}")
    top, bottom = two_rows(figure)
    lows, highs = zip(ours.extrema([when]), reference.extrema([when]), strict=True)
    scale = colour_scale(min(lows), max(highs))
    signed = colour_scale(*delta.extrema([when]), signed=True)
    row = top.subplots(1, 3, sharey=True)
    _titled_image(row[0], ours, scale, when, "kinetic")
    pair = _titled_image(row[1], reference, scale, when, "exact")
    last = _titled_image(row[2], delta, signed, when, "kinetic $-$ exact")
    top.colorbar(pair.image, ax=list(row[:2]), label=reference.label, extend=scale.extend, pad=0.02)
    top.colorbar(last.image, ax=row[2], label=delta.label, pad=0.04)
    left, middle, right = bottom.subplots(1, 3)
    pairs = zip(frames.profile_series(kinetic, band), frames.profile_series(exact, band), strict=True)
    for axes, (a, b) in zip((left, middle), pairs, strict=True):
        _overlay_pair(axes, a, b, when)
    plot_largest_difference(right, delta, times)
    return figure


def _titled_image(axes: Axes, series: FrameSeries, scale: ColourScale, time: float, title: str) -> ImagePanel:
    """One image of a row that shares its vertical axis."""
    shown = ImagePanel(axes, series, scale)
    shown.show(time)
    axes.set_title(title)
    axes.label_outer()
    return shown


def _overlay_pair(axes: Axes, kinetic: FrameSeries, exact: FrameSeries, time: float) -> None:
    """Two profiles in one panel; of frames with two axes, the image of their difference."""
    delta = frames.difference(kinetic, exact)
    if len(kinetic.dims) == 2:
        _overlay(axes, delta, np.array([time]))
        return
    lows, highs = zip(kinetic.extrema([time]), exact.extrema([time]), strict=True)
    curves: list[dict[str, Any]] = [
        {"color": "0.65", "linewidth": 5, "label": "exact"},
        {"color": COLOURS[1], "label": "kinetic"},
    ]
    shown = LinePanel(axes, exact, line_limits(min(lows), max(highs)), curves=curves)
    shown.show(time, 0)
    shown.series = kinetic
    shown.show(time, 1)
    _legend_above(axes)
