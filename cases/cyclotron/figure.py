"""Orbit of a packet in a magnetic field, with and without electric field, beside semiclassical trajectories.

python cases/cyclotron/figure.py RUN RUN_WITH_FORCE FIGURE.png
"""

import sys

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp

import wigner_sim

mpl.rcParams.update({"font.size": 12, "axes.labelsize": 14, "lines.linewidth": 1.8})


def dirac(k, m, w):
    """d(k) of H = d . sigma, as in case.toml; k (2, n) -> (3, n)."""
    odd = 4 / 3 * np.sin(k) - np.sin(2 * k) / 6
    even = (5 / 4 - 4 / 3 * np.cos(k) + np.cos(2 * k) / 12).sum(axis=0)
    return np.array([*odd, m + w * even])


def energy_and_curvature(k, model, step=1e-3):
    """Energy ``E = |d|`` and Berry curvature ``n . (d_x n x d_y n)/2`` of the upper band."""
    d = dirac(k, **model)
    shifts = step * np.eye(2)[:, :, None]
    d_x, d_y = ((dirac(k + h, **model) - dirac(k - h, **model)) / (2 * step) for h in shifts)
    size = np.linalg.norm(d, axis=0)
    return size, (d * np.cross(d_x, d_y, axis=0)).sum(axis=0) / (2 * size**3)


def velocity(k, b, force, model, moment, step=1e-3):
    """``dx/dt = (dh/dk + Omega F x z)/(1 - B Omega)``, with ``h = E + B E Omega``."""

    def h(k):
        energy, omega = energy_and_curvature(k, model)
        return energy * (1 + moment * b * omega)

    shifts = step * np.eye(2)[:, :, None]
    slope = np.array([(h(k + s) - h(k - s)) / (2 * step) for s in shifts])
    omega = energy_and_curvature(k, model)[1]
    drift = np.array([omega * force[1], -omega * force[0]])
    return (slope + drift) / (1 - b * omega)


def trajectories(times, k_0, b, force, model, moment=1.0):
    """Displacements and momenta (t, 2, n) of electrons that start with momenta ``k_0`` (2, n)."""

    def rates(_, state):
        k = state.reshape(4, -1)[2:]
        v = velocity(k, b, force, model, moment)
        return np.array([*v, force[0] - b * v[1], force[1] + b * v[0]]).ravel()

    start = np.array([*np.zeros_like(k_0), *k_0]).ravel()
    path = solve_ivp(rates, (0, times[-1]), start, t_eval=times, rtol=1e-8, atol=1e-10).y.T
    path = path.reshape(len(times), 4, -1)
    return path[:, :2], path[:, 2:]


def centre(run):
    """Position of the packet (t, 2), from the first harmonic of the density, less its start."""
    density, positions = run.fields["density"].isel(band=0), []
    for axis, other in ("xy", "yx"):
        length = density[axis].attrs["period"]
        harmonic = (density.sum(other) * np.exp(2j * np.pi * density[axis] / length)).sum(axis)
        positions.append(np.unwrap(np.angle(harmonic)) * length / (2 * np.pi))
    return np.transpose(positions) - np.transpose(positions)[0]


def frequency(run):
    """Mean rate at which the mean momentum (sin k_x, sin k_y) turns."""
    n = run.fields["momentum_distribution"].isel(band=0)
    k_x, k_y = ((n * np.sin(n[axis])).sum(("kx", "ky")) for axis in ("kx", "ky"))
    return float(np.unwrap(np.arctan2(k_y, k_x))[-1]) / run.case.time.end


def ensemble(run, moment=1.0):
    """Displacements and momenta of electrons that start as in the run, with their weights."""
    case, n = run.case, run.fields["momentum_distribution"].isel(band=0, time=0)
    k = np.array(np.meshgrid(n["kx"], n["ky"], indexing="ij")).reshape(2, -1)
    weight = n.values.ravel() / n.values.sum()
    kept = weight > 1e-7 * weight.max()
    model = {name: case.hamiltonian.parameters[name] for name in ("m", "w")}
    times, force = run.fields["time"].values, case.hamiltonian.force
    x, k = trajectories(times, k[:, kept], case.grid.magnetic_field, force, model, moment)
    return x, k, weight[kept]


def centre_of_ensemble(run, moment=1.0):
    """What ``centre`` and ``frequency`` would find for the trajectories."""
    x, k, weight = ensemble(run, moment)
    length = np.array(run.case.grid.sites)
    harmonic = np.exp(2j * np.pi * x / length[:, None]) @ weight
    return np.unwrap(np.angle(harmonic), axis=0) * length / (2 * np.pi), frequency_of_ensemble(run, k, weight)


def frequency_of_ensemble(run, k, weight):
    """Mean rate at which the mean of (sin k_x, sin k_y) turns."""
    k_x, k_y = (np.sin(k) @ weight).T
    return np.unwrap(np.arctan2(k_y, k_x))[-1] / run.case.time.end


def main(orbit_path, drift_path, exact_path, figure_path):
    """Draw both orbits; print frequencies and distances."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    panels = zip(figure.subplots(1, 2), (orbit_path, drift_path), ("$F = 0$", "$F$ along $y$"), strict=True)
    for axes, path, title in panels:
        run = wigner_sim.open_run(path)
        measured = centre(run)
        print(f"{title}: frequency {frequency(run):.5f}")
        for moment, label in ((1.0, "trajectories"), (0.0, "without orbital moment")):
            x, rate = centre_of_ensemble(run, moment)
            off = np.linalg.norm(x - measured, axis=1).max()
            print(f"  {label}: frequency {rate:.5f}, off the run by {off:.3f} lattice constants")
            style = {"color": "0.7", "lw": 5} if moment else {"color": "#D55E00", "ls": "--"}
            axes.plot(*x.T, label=label, **style)
        axes.plot(*measured.T, color="#0072B2", label=f"run, order {run.case.equation.order}")
        axes.set(xlabel=r"$\langle x\rangle - x_0$", title=title, aspect="equal")
        axes.grid(alpha=0.25)
    exact = wigner_sim.open_run(exact_path)
    position, run = centre(exact), wigner_sim.open_run(orbit_path)
    shared = np.searchsorted(run.fields["time"].values, exact.fields["time"].values - 1e-9)
    off = np.linalg.norm(position - centre(run)[shared], axis=1).max()
    print(f"exact: frequency {frequency(exact):.5f}, off the run by {off:.4f} lattice constants")
    left = figure.axes[0]
    left.plot(*position.T, color="k", marker="o", ms=4, ls="", label="exact")
    left.set(ylabel=r"$\langle y\rangle - y_0$")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(figure_path, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
