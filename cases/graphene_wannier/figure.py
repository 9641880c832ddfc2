"""Bands of the Wannier model, and the sideways drift of packets in its two valleys, in nm and fs.

python cases/graphene_wannier/figure.py RUN_K RUN_K_PRIME RUN_ORDER_0 FIGURE.png
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import wigner_sim
from wigner_sim.models.wannier90 import read_bands, read_wannier90
from wigner_sim.problem import build_problem

HERE = Path(__file__).parent
mpl.rcParams.update({"font.size": 12, "axes.labelsize": 14, "axes.titlesize": 12, "lines.linewidth": 1.8})
SMALL = 1e-4


def layer():
    """The model as the case uses it."""
    return read_wannier90(HERE / "graphene_tb.dat").on_axes((0, 1))


def velocity(model, k, force, band):
    """``dx_1/dt = dE/dk_1 + Omega_12 F_2`` at momenta k (2, ...), in cells and hbar/eV."""
    energies, projectors = [], []
    for step in ([0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]):
        shift = SMALL * np.reshape(step, (2, *(1,) * (k.ndim - 1)))
        values, vectors = np.linalg.eigh(model.bloch(k + shift))
        energies.append(values[..., band])
        projectors.append(vectors[..., :, band, None] * vectors[..., None, :, band].conj())
    p, d_1, d_2 = projectors[0], projectors[1] - projectors[2], projectors[3] - projectors[4]
    commutator = (d_1 @ d_2 - d_2 @ d_1) / (2 * SMALL) ** 2
    curvature = (-1j * np.einsum("...ij,...ji->...", p, commutator)).real
    return (energies[1] - energies[2]) / (2 * SMALL), curvature * force[1]


def formula(run, n_times=81):
    """Mean of x_1 less its start at equally spaced times, from velocities along k + F t."""
    n = run.fields["momentum_distribution"].isel(band=0, time=0)
    weight = n.values / n.values.sum()
    kept = weight > 1e-6 * weight.max()
    k = np.array(np.meshgrid(n["kx"].values, n["ky"].values, indexing="ij"))[:, kept]
    force, band = build_problem(run.case).hamiltonian.force(0.0), run.case.bands.select[0]
    times = np.linspace(0, run.case.time.end, n_times)
    model = layer()
    rates = np.array(
        [
            [(weight[kept] * v).sum() for v in velocity(model, k + force[:, None] * t, force, band)]
            for t in times
        ]
    )
    rates = rates.sum(axis=1)
    steps = 0.5 * np.diff(times) * (rates[1:] + rates[:-1])
    return times, np.concatenate([[0], np.cumsum(steps)])


def measured(run):
    """Times and mean of x_1 less its start, in cells; x - x_0 is taken within half a period."""
    density = run.fields["density"].isel(band=0)
    period = density["x"].attrs["period"]
    centre = run.case.initial_state.center_x[0]
    x = (density["x"] - centre + period / 2) % period - period / 2
    mean = ((density * x).sum("x") / density.sum("x")).values
    return density["time"].values, mean - mean[0]


def in_nanometres(run, x):
    """Across a_2: cells along a_1 times its component normal to a_2."""
    a_1, a_2 = np.reshape(run.fields.attrs["lattice_vectors_metre"], (2, 2))
    return x * 1e9 * abs(a_1[0] * a_2[1] - a_1[1] * a_2[0]) / np.linalg.norm(a_2)


def draw_bands(axes):
    """The file's bands, and those that were computed apart from it."""
    momenta, energies = read_bands(HERE / "graphene_band.dat")
    ours = read_wannier90(HERE / "graphene_tb.dat").energies(momenta)
    distance = np.loadtxt(HERE / "graphene_band.dat")[: momenta.shape[1], 0]
    axes.plot(distance[::3], energies[::3], "o", ms=4, color="0.6")
    axes.plot(distance, ours, color="k", lw=1)
    corners = distance[[0, 40, 80, 120]]
    axes.set(
        xlim=corners[[0, -1]], ylabel="energy (eV)", title="bands: graphene_tb.dat (line), graphene_band.dat"
    )
    axes.set_xticks(corners, [r"$\Gamma$", "K", "M", r"$\Gamma$"])
    axes.grid(alpha=0.25, axis="x")


def main(k_path, k_prime_path, order_0_path, figure_path):
    """Draw both panels and print the drifts."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_bands(left)
    for path, name, colour in (
        (k_path, "valley K", "#0072B2"),
        (k_prime_path, "valley K'", "#D55E00"),
        (order_0_path, "valley K, order 0", "0.4"),
    ):
        run = wigner_sim.open_run(path)
        to_fs = 1e15 * run.fields["time"].attrs["units_si_factor"]
        t, x = measured(run)
        right.plot(to_fs * t, in_nanometres(run, x), color=colour, marker="o", ms=4, lw=1, label=name)
        text = f"{name}: {in_nanometres(run, x[-1]):.4f} nm"
        if run.case.equation.order:
            t_formula, x_formula = formula(run)
            right.plot(to_fs * t_formula, in_nanometres(run, x_formula), color="0.8", lw=5, zorder=0)
            text += f", formula {in_nanometres(run, x_formula[-1]):.4f} nm"
        print(text)
    right.plot([], [], color="0.8", lw=5, label=r"$\int\langle\partial_1 E + \Omega_{12} F_2\rangle\,dt$")
    right.set(xlabel="time (fs)", ylabel="drift across the field (nm)", title="0.3 V/nm along $a_2$")
    right.grid(alpha=0.25)
    right.legend(frameon=False)
    figure.savefig(figure_path, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
