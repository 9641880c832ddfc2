"""Figure of all convergence studies: a small panel each, errors against the dilation."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from wigner_sim.errors import CaseError
from wigner_sim.figures.panels import COLOURS, ROUNDING, RunFigure, new_figure, styled

_COLUMNS = 4


@styled
def plot_validation(result: dict[str, Any], *, error: str = "f_max") -> RunFigure:
    """Errors of every study on logarithmic axes, with fitted slopes and guide lines.

    Parameters
    ----------
    result : dict
        ``{"studies": {name: {"title", "axes", "rows": [{"order", "dilation", "err_f_max", ...}],
        "slopes": {"0": {"f_max": ...}, ...}}}}``, as JSON of a validation run holds it.
    error : str
        ``f_max`` reads the rows' ``err_f_max``.

    Raises
    ------
    CaseError
        If there is no study.
    """
    studies = list(result["studies"].items())
    if not studies:
        raise CaseError("the validation result holds no study")
    n_columns = min(_COLUMNS, len(studies))
    n_rows = -(-len(studies) // n_columns)
    figure = new_figure(
        {"title": "validation", "case": ", ".join(name for name, _ in studies), "run_id": ""},
        3.7 * n_columns,
        3.4 * n_rows,
    )
    panels = np.ravel(figure.subplots(n_rows, n_columns, squeeze=False))
    for axes, (_, study) in zip(panels, studies, strict=False):
        _panel(axes, study, error)
    for axes in panels[len(studies) :]:
        axes.set_visible(False)
    points = [
        Line2D([], [], color=COLOURS[m], marker="os^"[m], linestyle="none", label=f"order {m}")
        for m in range(3)
    ]
    guide = Line2D(
        [], [], color="0.65", linestyle="--", label=r"$\propto\lambda^{-1}, \lambda^{-2}, \lambda^{-3}$"
    )
    figure.legend(handles=[*points, guide], loc="outside upper center", ncols=4, frameon=False)
    figure.supxlabel(r"dilation $\lambda$")
    figure.supylabel(r"$\max\,|f - f_\mathrm{exact}|$" if error == "f_max" else error)
    return figure


def _panel(axes: Axes, study: dict[str, Any], error: str) -> None:
    for order in sorted({int(row["order"]) for row in study["rows"]}):
        rows = sorted((r for r in study["rows"] if r["order"] == order), key=lambda row: row["dilation"])
        x = np.array([row["dilation"] for row in rows], dtype=float)
        y = np.maximum(np.array([row[f"err_{error}"] for row in rows], dtype=float), ROUNDING)
        through_middle = np.exp(np.log(y).mean()) * (x / np.exp(np.log(x).mean())) ** -(order + 1)
        axes.loglog(x, through_middle, color="0.65", linestyle="--", linewidth=1.1, zorder=1)
        axes.loglog(x, y, "os^"[order], color=COLOURS[order], markersize=6.5)
        slope = study["slopes"].get(str(order), {}).get(error, np.nan)
        axes.annotate(
            f"{slope:.2f}",
            (x[-1], y[-1]),
            (7, 0),
            textcoords="offset points",
            va="center",
            color=COLOURS[order],
            fontsize=10,
        )
    ticks = sorted({float(row["dilation"]) for row in study["rows"]})
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks], fontsize=10)
    axes.set_xticks([], minor=True)
    axes.set_xlim(ticks[0] * 0.9, ticks[-1] * (ticks[-1] / ticks[0]) ** 0.35)
    axes.margins(y=0.15)
    axes.yaxis.set_major_locator(LogLocator(numticks=9))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="y", labelsize=10)
    axes.grid(alpha=0.25)
    axes.set_title(f"{study['title']}\n{study['axes']}", fontsize=10.5)
