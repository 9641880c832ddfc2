"""Where the packet is after the passage, band by band, and how much of it crossed the gap.

python cases/landau_zener/figure.py MATRIX_RUN KINETIC_RUN FIGURE.png
"""

import sys

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import wigner_sim
from wigner_sim.problem import build_problem
from wigner_sim.propagator import Propagator

mpl.rcParams.update({"font.size": 12, "axes.labelsize": 14, "axes.titlesize": 13, "lines.linewidth": 1.8})
FORCES = (0.0155, 0.022, 0.032, 0.06, 0.15, 0.6)


def formula(force, mass, velocity):
    """``exp(-pi (2 m)^2/(4 v F))``, Landau and Zener 1932, for the gap 2 m."""
    return np.exp(-np.pi * mass**2 / (velocity * force))


def transferred(case, force):
    """Part of a filled band at k = -pi/2 that is in the upper band when the force has led it to pi/2."""
    overrides = [
        "grid.sites=[]",
        "grid.n_x=[]",
        "grid.n_k=[512]",
        "initial_state.c=[1.0, 0.0]",
        f"hamiltonian.force=[{force}]",
        f"time.end={np.pi / force}",
    ]
    problem = build_problem(case.with_overrides(overrides))
    system = problem.stack()
    state = system.assemble(problem.initial_density(system))
    state = Propagator(system, problem.stepper, state, 0.5).advance_to(problem.duration)
    return system.band_densities(state, problem.duration)[1][3 * 512 // 4]


def show(axes, run, band, title):
    """f of one band at the end."""
    f = run.phase["f"].isel(time=-1).sel(band=band)
    how = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1, "shading": "nearest"}
    image = axes.pcolormesh(f["x"], f["kx"], f.transpose("kx", "x"), **how)
    axes.set(xlabel="$x$", title=title, xlim=(40, 130), ylim=(np.pi / 4, 3 * np.pi / 4))
    axes.set(yticks=np.pi * np.array([0.25, 0.5, 0.75]), yticklabels=[r"$\pi/4$", r"$\pi/2$", r"$3\pi/4$"])
    return image


def main(matrix_path, kinetic_path, figure_path):
    """Draw, and print the probabilities."""
    matrix, kinetic = wigner_sim.open_run(matrix_path), wigner_sim.open_run(kinetic_path)
    parameters, (force,) = matrix.case.hamiltonian.parameters, matrix.case.hamiltonian.force
    mass, velocity = parameters["mass"], parameters["velocity"]
    figure = Figure(figsize=(11, 7.4), layout="constrained")
    top, bottom = figure.subfigures(2, 1)
    row = top.subplots(1, 3, sharey=True)
    show(row[0], kinetic, 0, "kinetic, lower band")
    show(row[1], matrix, 0, "matrix, lower band")
    image = show(row[2], matrix, 1, "matrix, upper band")
    row[0].set_ylabel("$k$")
    top.colorbar(image, ax=list(row), label="$f_n(x, k)$ at the end", pad=0.02)
    left, right = bottom.subplots(1, 2)
    draw_populations(left, matrix, kinetic, formula(force, mass, velocity))
    draw_scan(right, matrix.case, mass, velocity)
    figure.savefig(figure_path, dpi=100)


def draw_populations(axes, matrix, kinetic, expected):
    """Share of each band against the momentum that the force has led the packet to."""
    scalars = matrix.scalars
    t, share = scalars["time"], scalars["particle_number"] / scalars["total_particle_number"][0]
    axes.plot(t, share.sel(band=0), color="#0072B2", label="matrix, lower")
    axes.plot(t, share.sel(band=1), color="#D55E00", label="matrix, upper")
    numbers = kinetic.scalars["particle_number"]
    axes.plot(
        t, (numbers / numbers.isel(time=0).sum("band")).sel(band=0), "--", color="0.4", label="kinetic, lower"
    )
    axes.axhline(expected, color="#D55E00", lw=0.8, ls=":", label="Landau-Zener")
    axes.set(xlabel="$t$", ylabel="share of the particles", ylim=(-0.04, 1.08))
    axes.legend(loc="center left", frameon=False)
    last = float(share.sel(band=1)[-1])
    print(f"packet: {last:.4f} in the upper band at the end, Landau-Zener {expected:.4f}")


def draw_scan(axes, case, mass, velocity):
    """Probability against the inverse force."""
    inverse = np.linspace(1, 70, 200)
    axes.semilogy(inverse, formula(1 / inverse, mass, velocity), color="0.75", lw=5, label="Landau-Zener")
    points = np.array([transferred(case, force) for force in FORCES])
    axes.semilogy(1 / np.array(FORCES), points, "o", color="#D55E00", label="matrix")
    for force, p in zip(FORCES, points, strict=True):
        print(f"F = {force:g}: {p:.5f}, off by {100 * (p / formula(force, mass, velocity) - 1):+.2f} %")
    axes.set(xlabel="$1/F$", ylabel="probability of the passage")
    axes.legend(frameon=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
