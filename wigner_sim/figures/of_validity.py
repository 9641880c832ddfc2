"""Figure of the validity meter: how far a run can be trusted, against time."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from wigner_sim.errors import CaseError
from wigner_sim.figures import frames
from wigner_sim.figures.frames import Run
from wigner_sim.figures.panels import COLOURS, LINE_STYLES, RunFigure, new_figure, show_times, styled

#: Panels: title, and name -> label of what is drawn in them.
PANELS = {
    "error of the expansion": {"predicted_error": "predicted"},
    "small numbers of the expansion": {
        "adiabaticity": "adiabaticity",
        "zener_probability": "Zener probability",
        "metric_smearing": r"metric smearing $G q^2$",
    },
    "resolution of the grid": {"spectral_tail_x": "tail in $x$", "spectral_tail_k": "tail in $k$"},
    "occupation out of [0, 1]": {"occupation_min": "below 0", "occupation_max": "above 1"},
}
#: The bottom of the logarithmic scales.
FLOOR = 1e-10


@styled
def plot_validity(run: Run, *, band: int | str | None = None) -> RunFigure:
    """Predicted error, small numbers of the expansion, resolution and occupation bounds of one band.

    What is below the floor of a scale is drawn on the floor.

    Parameters
    ----------
    run : Run
    band : optional
        Value of the band coordinate; the first band if left out.

    Raises
    ------
    CaseError
        If the run was made without the validity meter.
    """
    scalars = frames.stream(run, "scalars")
    if "adiabaticity" not in scalars:
        raise CaseError(f'{run.path}: no numbers of validity (monitors.validity was "off")')
    about = frames.provenance(run)
    figure = new_figure(about, 9.6, 6.4)
    figure.suptitle(frames.heading(about))
    for axes, (title, names) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        _draw(axes, run, band, {name: label for name, label in names.items() if name in scalars})
        axes.set_title(title if any(name in scalars for name in names) else f"{title}: not predicted")
    return figure


def _draw(axes: Axes, run: Run, band: int | str | None, names: dict[str, str]) -> None:
    scalars = frames.stream(run, "scalars")
    largest = FLOOR
    for i, (name, label) in enumerate(names.items()):
        values = frames.select_band(scalars[name], band).values
        if name.startswith("occupation"):
            values = -values if name == "occupation_min" else values - 1.0
        shown = np.maximum(values, FLOOR)
        largest = max(largest, float(shown.max(initial=0.0)))
        axes.plot(scalars["time"], shown, color=COLOURS[i], linestyle=LINE_STYLES[i], label=label)
    axes.set(yscale="log", ylim=(0.5 * FLOOR, 30 * max(largest, 1e-8)))
    axes.set_xlabel(frames.axis_label("time", scalars["energy"]))
    if "predicted_error" in names:
        axes.set_ylabel("relative error of $f$")
    show_times(axes, scalars["time"].values)
    axes.grid(alpha=0.25)
    if names:
        axes.legend(frameon=False, loc="best", fontsize="small")
