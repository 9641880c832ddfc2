"""Packets with their trajectories, and how far swarms of trajectories are from one packet's mean position.

python cases/wave_packets/figure.py RUN RUN_OF_ONE_WITHOUT_MOYAL EXACT_OF_ONE FIGURE.png
"""

import sys
from dataclasses import replace

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import wigner_sim
from wigner_sim.kinetics.options import GeometricTerms
from wigner_sim.problem import build_problem
from wigner_sim.trajectories import BandVelocity, TrigonometricSum, wave_packet_trajectories

mpl.rcParams.update({"font.size": 12, "axes.labelsize": 14, "axes.titlesize": 13, "lines.linewidth": 1.8})
COLOURS = ("#56B4E9", "#E69F00", "#FF3B30")
WIDTHS = np.array([3.0, 1 / 6])


def position(harmonic, length):
    """Position on a ring from the mean of exp(2 pi i x/L)."""
    return length / (2 * np.pi) * np.angle(harmonic)


def mean_position(run):
    """Times and mean position of the first band."""
    n = run.fields["density"].isel(band=0)
    length = n["x"].attrs["period"]
    harmonic = (n * np.exp(2j * np.pi * n["x"] / length)).sum("x") / n.sum("x")
    return n["time"].values, position(harmonic.values, length)


def swarm_position(case, order, times):
    """Mean position of a swarm of trajectories that stands for the packet, by Gauss-Hermite quadrature."""
    problem = build_problem(case).with_order(order)
    problem = replace(problem, options=replace(problem.options, terms=GeometricTerms()))
    system, grid = problem.stack(), problem.grid
    w = TrigonometricSum.of(problem.initial_density(system)[0], grid)
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    nodes = np.stack(np.meshgrid(nodes, nodes, indexing="ij")).reshape(2, -1)
    starts = np.reshape(case.trajectories.starts[-1], (2, 1)) + WIDTHS[:, None] * nodes
    weights = np.outer(weights, weights).ravel() * w(starts) * np.exp(0.5 * (nodes**2).sum(axis=0))
    x = wave_packet_trajectories(BandVelocity(system.bands[0]), starts.T, times, grid.periods)[..., 0]
    length = grid.lengths[0]
    return position(np.exp(2j * np.pi * x / length) @ weights / weights.sum(), length)


def show(axes, run):
    """The state at the end, and the trajectories on their way there."""
    f, packets = run.phase["f"].isel(time=-1, band=0), run.trajectories
    axes.pcolormesh(f["x"], f["kx"], f.transpose("kx", "x"), cmap="Greys", vmin=0, vmax=1, shading="nearest")
    for order, colour in zip(packets["order"].values, COLOURS, strict=True):
        for number in packets["packet"].values:
            one = packets.sel(order=order, packet=number)
            label = f"order {order}" if number == 0 else None
            axes.plot(one["x"], one["kx"], color=colour, lw=3.2 - order, label=label)
            axes.plot(one["x"][-1], one["kx"][-1], "o", color=colour, markersize=4)
    axes.set(xlabel="$x$", ylabel="$k$", xlim=(0, f["x"].attrs["period"]), ylim=(-np.pi, np.pi))
    axes.set_title(f"$f(x, k)$ at $t = {run.case.time.end:g}$")
    axes.legend(frameon=False, loc="lower right")


def main(run_path, flow_path, exact_path, figure_path):
    """Draw the figure, and print the deviations at the end."""
    run, flow, exact = map(wigner_sim.open_run, (run_path, flow_path, exact_path))
    times, reference = mean_position(flow)
    exact_times, exact_position = mean_position(exact)
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    show(left, run)
    curves = {f"swarm, order {order}": swarm_position(flow.case, order, times) for order in (0, 1, 2)}
    curves["exact"] = exact_position
    shared = np.abs(times[:, None] - exact_times).argmin(axis=0)  # the exact run is stored less often
    length = flow.case.grid.sites[0]
    styles = [{"color": colour} for colour in COLOURS] + [{"color": "0.3", "ls": "--"}]
    for (name, mean), style in zip(curves.items(), styles, strict=True):
        chosen = shared if name == "exact" else slice(None)
        distance = np.abs((mean - reference[chosen] + length / 2) % length - length / 2)
        right.semilogy(times[chosen], np.maximum(distance, 1e-9), label=name, **style)
        print(f"{name}: {distance.max():.1e} cells from the kinetic packet without Moyal term at most")
    right.set(xlabel="$t$", ylim=(1e-8, 1))
    right.set_title("from the kinetic packet without Moyal term")
    right.set_ylabel("distance of the mean position (cells)")
    right.legend(frameon=False, loc="lower right", ncols=2)
    figure.savefig(figure_path, dpi=100)


if __name__ == "__main__":
    main(*sys.argv[1:])
