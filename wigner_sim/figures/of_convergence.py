"""Figure of a convergence study: errors against the size of the sample, order by order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from wigner_sim.errors import CaseError
from wigner_sim.figures.frames import FloatArray
from wigner_sim.figures.panels import COLOURS, ROUNDING, RunFigure, new_figure, styled


@styled
def plot_convergence(
    result: dict[str, Any], *, errors: Sequence[str] = ("f_max", "n_max"), against: str = "dilation"
) -> RunFigure:
    """Errors against the dilation of the sample, one curve per order, on logarithmic axes.

    Parameters
    ----------
    result : dict
        ``{"rows": [{"order", "dilation", "sites", "err_f_max", ...}], "slopes": {"0": {"f_max": ...}}}``;
        a slope that is not given is fitted here.
    errors : sequence of str
        One panel each; ``f_max`` reads the rows' ``err_f_max``.
    against : {"dilation", "sites"}

    Notes
    -----
    Order m is expected to fall as dilation^-(m+1): the grey guide lines.
    """
    rows = result["rows"]
    about = {
        "title": "convergence",
        "case": str(result.get("case", "")),
        "run_id": str(result.get("run_id", "")),
    }
    figure = new_figure(about, 6.0 * len(errors), 5.2)
    if result.get("title"):
        figure.suptitle(str(result["title"]))
    for axes, error in zip(np.atleast_1d(figure.subplots(1, len(errors))), errors, strict=True):
        _require_column(rows, f"err_{error}")
        for order in sorted({int(row["order"]) for row in rows}):
            chosen = sorted((row for row in rows if row["order"] == order), key=lambda row: row[against])
            x = np.array([row[against] for row in chosen], dtype=float)
            y = np.array([row[f"err_{error}"] for row in chosen], dtype=float)
            slope = float(result.get("slopes", {}).get(str(order), {}).get(error, _fitted_slope(x, y)))
            fit = f": slope {abs(slope):.2f}" if np.isfinite(slope) else ""
            axes.loglog(
                x,
                np.maximum(y, ROUNDING),
                marker="os^Dv"[order % 5],
                color=COLOURS[order % len(COLOURS)],
                markersize=8,
                label=f"order {order}{fit}",
            )
            _guide_line(axes, x, y, order + 1)
        _label_convergence(axes, error, against, sorted({float(row[against]) for row in rows}))
    return figure


def _require_column(rows: Sequence[dict[str, Any]], column: str) -> None:
    if not rows or column not in rows[0]:
        known = [name.removeprefix("err_") for name in (rows[0] if rows else {}) if name.startswith("err_")]
        raise CaseError(
            f"the convergence table has no error '{column.removeprefix('err_')}', only {', '.join(known)}"
        )


def _fitted_slope(x: FloatArray, y: FloatArray) -> float:
    good = y > 0
    return float(np.polyfit(np.log(x[good]), np.log(y[good]), 1)[0]) if good.sum() > 1 else np.nan


def _guide_line(axes: Axes, x: FloatArray, y: FloatArray, slope: int) -> None:
    """Grey line of the expected slope through the last point of the curve, shifted down a little."""
    line = 0.6 * y[-1] * (x / x[-1]) ** -slope
    axes.loglog(x, line, color="0.6", linestyle="--", linewidth=1.1, zorder=1)
    axes.annotate(
        f"$\\propto\\lambda^{{-{slope}}}$",
        (x[-1], line[-1]),
        (4, -4),
        textcoords="offset points",
        color="0.4",
    )


def _label_convergence(axes: Axes, error: str, against: str, ticks: Sequence[float]) -> None:
    quantity, _, norm = error.partition("_")
    names = {"f": "f", "n": "n(x)", "energy": "E"}
    size = {"max": r"\max\,|{0} - {0}_\mathrm{{exact}}|", "l2": r"\|{0} - {0}_\mathrm{{exact}}\|_2"}
    text = size.get(norm, r"|{0} - {0}_\mathrm{{exact}}|").format(names.get(quantity, quantity))
    axes.set_ylabel(f"${text}$")
    axes.set_xlabel({"dilation": r"dilation $\lambda$", "sites": r"sites $L$"}.get(against, against))
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.margins(x=0.14)
    axes.grid(alpha=0.25, which="both")
    axes.legend(frameon=False)
