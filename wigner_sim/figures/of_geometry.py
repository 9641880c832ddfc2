"""Figure of a run's band geometry: one panel per quantity."""

from __future__ import annotations

import re

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from wigner_sim.errors import CaseError
from wigner_sim.figures import frames
from wigner_sim.figures.frames import FrameSeries, Run
from wigner_sim.figures.panels import (
    COLOURS,
    ImagePanel,
    RunFigure,
    colour_scale,
    line_limits,
    new_figure,
    periodic_axis,
    style_momentum_axis,
    styled,
)

#: Variable name (start of it) -> mathtext symbol.
GEOMETRY_SYMBOLS = {
    "dual_energy": "h_w",
    "band_energy": r"\varepsilon",
    "gap": r"E_\mathrm{gap}",
    "quantum_metric": "g",
    "band_normalized_metric": "T",
    "berry_curvature": r"\Omega",
    "density_of_states": "D",
    "velocity": "V",
}


@styled
def plot_geometry(run: Run, *, band: int | str | None = None) -> RunFigure:
    """Every quantity of the run's geometry stream, one panel each.

    Parameters
    ----------
    run : Run
    band : optional
        Value of the band coordinate; the first band if left out.

    Notes
    -----
    With one position axis the panels show (x, kx); with more, or none, (kx, ky) in the middle of the sample.
    """
    geometry = frames.stream(run, "geometry")
    slices = [(str(name), _geometry_slice(geometry[name], band)) for name in geometry.data_vars]
    slices = [(name, array) for name, array in slices if 1 <= array.ndim <= 2]
    if not slices:
        raise CaseError(
            f"the geometry output of run {run.path} has no array over position or momentum to plot"
        )
    n_columns = min(3, len(slices))
    n_rows = -(-len(slices) // n_columns)
    about = frames.provenance(run)
    figure = new_figure(about, 4.2 * n_columns, 0.6 + 3.1 * n_rows)
    figure.suptitle(frames.heading(about))
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, (name, array) in zip(grid, slices, strict=False):
        _plot_slice(axes, name, array)
    for axes in grid[len(slices) :]:
        axes.set_visible(False)
    return figure


def _geometry_slice(array: xr.DataArray, band: int | str | None) -> xr.DataArray:
    """One band at the first time, at most two axes: (x, k) if there is one of each, else two momenta."""
    array = frames.select_band(array, band)
    if "time" in array.dims:
        array = array.isel(time=0)
    positions, momenta = frames.position_dims(array), frames.momentum_dims(array)
    shown = (
        positions + momenta
        if len(positions + momenta) <= 2
        else (momenta[:2] if momenta[1:] else positions[:2])
    )
    middle = {dim: array.sizes[dim] // 2 for dim in array.dims if dim not in shown}
    return array.isel(middle).transpose(*shown)


def _plot_slice(axes: Axes, name: str, array: xr.DataArray) -> None:
    """Image or curve of one quantity, titled with its name and symbol."""
    values = np.asarray(array.values, dtype=float)
    finite = values[np.isfinite(values)]
    extrema = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    words, mathtext = geometry_label(name, array)
    units = frames.unit_text(str(array.attrs.get("units", "")))
    label = f"${mathtext}$" + (f" ({units})" if units else "")
    axes.set_title(words, fontsize=12)
    if array.ndim == 2:
        series = FrameSeries(array.expand_dims(time=[0.0]), tuple(map(str, array.dims)), label)
        image_panel = ImagePanel(axes, series, colour_scale(*extrema, from_zero=False))
        image_panel.show(0.0)
        axes.figure.colorbar(image_panel.image, ax=axes, label=label)
        return
    dim = str(array.dims[0])
    points = periodic_axis(array, dim)
    axes.plot(points, np.append(values, values[0]), color=COLOURS[0])
    axes.set(
        xlabel=frames.axis_label(dim, array), ylabel=label, xlim=points[[0, -1]], ylim=line_limits(*extrema)
    )
    axes.grid(alpha=0.25)
    if dim.startswith("k"):
        style_momentum_axis(axes, "x")


def geometry_label(name: str, array: xr.DataArray) -> tuple[str, str]:
    r"""Words and symbol of a variable: ``berry_curvature_x_kx`` -> ("Berry curvature", r"\Omega_{x k_x}")."""
    known = next((start for start in GEOMETRY_SYMBOLS if name.startswith(start)), None)
    if known is None:
        return str(
            array.attrs.get("long_name", name.replace("_", " "))
        ), rf"\mathrm{{{name.replace('_', ' ')}}}"
    words = str(array.attrs.get("long_name", known.replace("_", " "))).replace("berry", "Berry")
    words = re.sub(r" (\w+_\w+,\w+|d\w+/dt).*", "", words)  # the symbol stands at the colour bar
    indices = " ".join(frames.symbol(part) for part in name.removeprefix(known).split("_") if part)
    mathtext = GEOMETRY_SYMBOLS[known]
    return words, mathtext + (rf"_{{{indices}}}" if indices else "")
