"""Sideways motion of a filled and of a partly filled droplet, beside the integral of the Berry curvature.

python cases/anomalous_hall/figure.py RUN RUN_PARTLY_FILLED FIGURE.png
"""

import sys

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import wigner_sim

mpl.rcParams.update({"font.size": 12, "axes.labelsize": 14, "axes.titlesize": 12, "lines.linewidth": 1.8})


def curvature(k_x, k_y, mass):
    """``Omega = -n . (d_x n x d_y n)/2`` of the lower band, n = d/|d|, d that of qi_wu_zhang."""
    zero = 0 * (k_x + k_y)
    d = np.array([np.sin(k_x) + zero, np.sin(k_y) + zero, mass + np.cos(k_x) + np.cos(k_y)])
    d_x = np.array([np.cos(k_x) + zero, zero, -np.sin(k_x) + zero])
    d_y = np.array([zero, np.cos(k_y) + zero, -np.sin(k_y) + zero])
    return -(d * np.cross(d_x, d_y, axis=0)).sum(axis=0) / (2 * np.linalg.norm(d, axis=0) ** 3)


def displacement(run):
    """``F int_0^t <Omega(k_x, k_y + F s)> ds``, < > the mean over the momenta at the start."""
    n = run.fields["momentum_distribution"].isel(band=0, time=0)
    weight = n.values / n.values.sum()
    force, mass = run.case.hamiltonian.force[1], run.case.hamiltonian.parameters["mass"]
    times = np.linspace(0, run.case.time.end, 401)
    k_x, k_y = n["kx"].values[:, None], n["ky"].values
    rates = [force * (weight * curvature(k_x, k_y + force * t, mass)).sum() for t in times]
    steps = 0.5 * np.diff(times) * (np.array(rates[1:]) + rates[:-1])
    return times, np.concatenate([[0], np.cumsum(steps)])


def measured(run):
    """Times and mean of x less its start."""
    density = run.fields["density"].isel(band=0)
    mean = (density * density["x"]).sum("x") / density.sum("x")
    return density["time"].values, mean.values - mean.values[0]


def main(filled_path, partly_path, figure_path):
    """Draw the displacements and print them."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = figure.subplots()
    for path, name, colour in (
        (filled_path, "filled band", "#0072B2"),
        (partly_path, "partly filled", "#D55E00"),
    ):
        run = wigner_sim.open_run(path)
        t, x = measured(run)
        t_formula, x_formula = displacement(run)
        off = np.abs(x - np.interp(t, t_formula, x_formula)).max()
        print(
            f"{name}: moved by {x[-1]:.6f} cells, formula {x_formula[-1]:.6f}, largest difference {off:.1e}"
        )
        axes.plot(t_formula, x_formula, color="0.75", lw=5)
        axes.plot(t, x, color=colour, marker="o", ms=4, lw=1, label=name)
    axes.plot([], [], color="0.75", lw=5, label=r"$F\int\langle\Omega\rangle\,dt$")
    axes.set(xlabel=r"$t$ ($\hbar$/energy)", ylabel=r"$\langle x\rangle - x_0$ (cells)", title=run.case.title)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(figure_path, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
