"""What the quantum metric does to the density: difference of two runs, the closed formula, exact dynamics.

python cases/quantum_metric_field/figure.py RUN RUN_WITHOUT_METRIC EXACT_RUN FIGURE.png
"""

import sys

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import wigner_sim

mpl.rcParams.update({"font.size": 12, "axes.labelsize": 14, "lines.linewidth": 1.8})
COLOURS = ("#0072B2", "#D55E00", "#009E73")


def occupation(k):
    """The symbol c(k) of case.toml."""
    return 0.5 + 0.5 * np.sin(2 * k)


def metric_density(x, times, length, height, turn, **_):
    """``-d_x [U''/2 int_0^t <g' c(k + U' s)> ds] + d_x^2 <g c(k + U' t)>/2``, <> the mean over k; (t, x)."""
    q, k = 2 * np.pi / length, np.linspace(-np.pi, np.pi, 64, endpoint=False)[:, None]
    slope, curvature = -height * q * np.sin(q * x), -height * q**2 * np.cos(q * x)
    g, g_slope = 0.25 * turn**2 * np.cos(k) ** 2, -0.25 * turn**2 * np.sin(2 * k)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    result = []
    for t in times:
        moved = sum(
            0.5 * t * w * (g_slope * occupation(k + slope * 0.5 * t * (s + 1))).mean(axis=0)
            for s, w in zip(nodes, weights, strict=True)
        )
        smeared = (g * occupation(k + slope * t)).mean(axis=0)
        result.append(derivative(-0.5 * curvature * moved, length) + derivative(0.5 * smeared, length, 2))
    return np.array(result)


def derivative(values, length, order=1):
    """Derivative of a periodic function on equidistant points."""
    q = 2 * np.pi * np.fft.rfftfreq(len(values), length / len(values))
    return np.fft.irfft((1j * q) ** order * np.fft.rfft(values), len(values))


def main(path, path_without, exact_path, figure_path):
    """Draw the density and its metric part at three times, and print the largest deviations."""
    run, without, exact = (wigner_sim.open_run(each) for each in (path, path_without, exact_path))
    length, parameters = run.case.grid.sites[0], run.case.hamiltonian.parameters
    n, n_without, n_exact = (each.fields["density"].isel(band=0) for each in (run, without, exact))
    times = n_exact["time"].values
    n, n_without = (each.sel(time=times, method="nearest") for each in (n, n_without))
    formula = metric_density(n["x"].values, times, length, **parameters)
    figure = Figure(figsize=(9, 7), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    for part, colour in zip((0.2, 0.6, 1.0), COLOURS, strict=True):
        i = round(part * (len(times) - 1))
        x, label = n["x"], f"$t = {times[i]:g}$"
        top.plot(x, n[i], color=colour, label=label)
        top.plot(x, n_without[i], color=colour, ls="--", lw=1.2)
        top.plot(x, n_exact[i], color=colour, ls="", marker="o", ms=3.5)
        bottom.plot(x, formula[i], color="0.75", lw=5)
        bottom.plot(x, n[i] - n_without[i], color=colour, label=label)
        bottom.plot(x, n_exact[i] - n_without[i], color=colour, ls="", marker="o", ms=3.5)
    print(f"largest n - n(0): {np.abs(n - 0.5).max():.2e}, part of the metric: {np.abs(formula).max():.2e}")
    print(f"metric part of the runs minus formula: {np.abs(n - n_without - formula).values.max():.1e}")
    print(f"exact minus run: with metric {np.abs(n_exact.values - n.values).max():.1e}, ", end="")
    print(f"without {np.abs(n_exact.values - n_without.values).max():.1e}")
    top.set(ylabel="$n(x)$ per cell", title=run.case.title)
    bottom.set(xlabel="$x$ (lattice constants)", ylabel="part of the metric", xlim=(0, length))
    top.plot([], [], color="0.3", ls="--", lw=1.2, label="without metric")
    top.plot([], [], color="0.3", ls="", marker="o", ms=3.5, label="exact")
    bottom.plot([], [], color="0.75", lw=5, label="formula")
    for axes in (top, bottom):
        axes.grid(alpha=0.25)
        axes.legend(loc="upper right", frameon=False, ncols=2)
    figure.savefig(figure_path, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
