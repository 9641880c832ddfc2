"""Density at the end against exact chains, and the Hall current of the filled band; draws figure.png.

python cases/weyl/figure.py
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from weyl import hamiltonian

import wigner_sim
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.external_field import ExternalField
from wigner_sim.kinetics.product_band import product_band
from wigner_sim.liouville import exact_system
from wigner_sim.problem import build_problem
from wigner_sim.symbols import SymbolSpace

CASE = Path(__file__).parent
STYLES = {0: ("#E69F00", ":"), 1: ("#D55E00", "--"), 2: ("#0072B2", "-")}


def hall_current(potential, length, n_k, **parameters):
    """Current density along y, ``j_y(x) = int dk/(2 pi)^3 V_y``, of the filled lower band without B."""
    n_x = len(potential)
    grid = PhaseSpaceGrid((n_x,), n_k, (length,))
    momenta = (-np.pi + 2 * np.pi * np.arange(n) / n for n in n_k)
    k = np.stack(np.meshgrid(*momenta, indexing="ij"))
    bloch = np.moveaxis(hamiltonian(k, **parameters), (-2, -1), (0, 1))
    band = product_band(bloch, grid, np.zeros((2, 3)), 0, order=1)
    space, field = SymbolSpace(grid), ExternalField(potential, np.zeros(3))
    along_y = band.velocity[1].terms
    current = sum(field.monomial(space, monomial).ravel() * c.mean() for monomial, c in along_y.items())
    return current * np.ones(n_x)


def exact_snapshot(case):
    """Exact state at the end: one chain for each (p_y, p_z) of the grid."""
    problem = build_problem(case)
    system = exact_system(problem.hamiltonian, problem.grid, problem.grid.n_k[1:])
    state = system.band_state_from_symbol(0, problem.initial_states[0].occupation)
    (snapshot,) = system.evolve(state, [case.time.end])
    return snapshot


def main():
    runs = {order: wigner_sim.run(CASE, [f"equation.order={order}"]) for order in STYLES}
    case = runs[2].case
    exact = exact_snapshot(case)
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    field = runs[1].geometry["berry_curvature_kx_ky"].isel(band=0, x=0, kz=0)
    image = left.pcolormesh(field["kx"], field["ky"], field.T, cmap="Purples_r", shading="nearest")
    figure.colorbar(image, ax=left, label=r"$\Omega_{k_x k_y}$ at $k_z = \pi$")
    left.set(xlabel="$k_x$", ylabel="$k_y$", aspect="equal", title="Berry curvature, lower band")
    for order, (color, line) in STYLES.items():
        density = runs[order].fields["density"].isel(band=0, time=-1)
        f = runs[order].phase["f"].isel(band=0, time=-1).values
        f_error, n_error = np.abs(f - exact.distribution), np.abs(density.values - exact.density)
        rms = np.sqrt(np.mean(f_error**2))
        print(f"order {order}: f max {f_error.max():.1e}, rms {rms:.1e}, n {n_error.max():.1e}")
        middle.plot(density["x"], density - exact.density, line, color=color, label=f"order {order}")
    middle.set(xlabel="$x$", title="density at the end, minus exact")
    middle.set_yscale("symlog", linthresh=1e-5)

    length, parameters = float(case.grid.sites[0]), case.hamiltonian.parameters
    x = np.arange(24) * length / 24
    angle = 2 * np.pi * x / length
    current = hall_current(0.3 * np.cos(angle), length, (48, 48, 12), **parameters)
    formula = 0.3 * np.sin(angle) / length  # -U'/(2 pi)
    print(f"Hall current of the filled band: largest deviation {np.abs(current - formula).max():.1e}")
    right.plot(x, formula, color="0.6", label=r"$-U'/2\pi$")
    right.plot(x, current, "o", color="#0072B2", mfc="none", label="filled band, order 1")
    right.set(xlabel="$x$", title="Hall current $j_y$ per layer, $B = 0$")
    for axes in (middle, right):
        axes.legend(fontsize=9)
    figure.savefig(CASE / "figure.png", dpi=100, metadata={"Software": "wigner_sim"})


if __name__ == "__main__":
    main()
