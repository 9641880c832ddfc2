"""Anomalous drift of a packet, and errors against exact chains; prints the numbers and draws figure.png.

python cases/haldane/figure.py
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import wigner_sim
from wigner_sim.convergence import convergence_table
from wigner_sim.models import build_hamiltonian

CASE = Path(__file__).parent
STYLES = {0: ("#E69F00", ":", "v"), 1: ("#D55E00", "--", "s"), 2: ("#0072B2", "-", "o")}
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


class LowerBand:
    """Velocity and Berry curvature of the lower band, by central differences of its Bloch vector."""

    def __init__(self, parameters, step=1e-4):
        self.model = build_hamiltonian("haldane", parameters, n_dimensions=2)
        self.step = step

    def vector(self, k):
        """Bloch vector d and energy -|d| + tr H/2 at k (2, ...)."""
        matrix = self.model.matrix(np.zeros((0, *k.shape[1:])), k, 0.0)
        d = 0.5 * np.einsum("aij,...ji->a...", PAULI, matrix).real
        return d, 0.5 * np.einsum("...ii->...", matrix).real - np.linalg.norm(d, axis=0)

    def velocity_and_curvature(self, k):
        """dE/dk (2, ...) and Omega = -(1/2) n . (d_1 n x d_2 n), n = d/|d|."""
        velocity, slopes = [], []
        for axis in range(2):
            shift = self.step * np.eye(2)[axis].reshape(2, *(1,) * (k.ndim - 1))
            (ahead, e_ahead), (behind, e_behind) = self.vector(k + shift), self.vector(k - shift)
            velocity.append((e_ahead - e_behind) / (2 * self.step))
            unit = ahead / np.linalg.norm(ahead, axis=0) - behind / np.linalg.norm(behind, axis=0)
            slopes.append(unit / (2 * self.step))
        d, _ = self.vector(k)
        n = d / np.linalg.norm(d, axis=0)
        return np.stack(velocity), -0.5 * np.einsum("a...,a...", n, np.cross(*slopes, axis=0))


def anomalous_displacement(run):
    """Mean y with ``Omega U'`` less that without it, of points that start as the packet does.

    They move by dx/dt = v_x, dk/dt = -U'(x), dy/dt = v_y + Omega U'(x) (RK4).
    """
    case, start = run.case, run.phase["f"].isel(time=0, band=0)[::2, ::2, ::2, ::2]
    length, band = case.grid.sites[0], LowerBand(case.hamiltonian.parameters)
    x, y, *k = (m.ravel() for m in np.meshgrid(*(start[name] for name in start.dims), indexing="ij"))
    weights, times = start.values.ravel(), run.phase["time"].values

    def rate(x, k, bare, anomalous):
        velocity, curvature = band.velocity_and_curvature(k)
        slope = -0.6 * 2 * np.pi / length * np.sin(2 * np.pi * x / length)
        return velocity[0], np.stack([-slope, 0 * slope]), velocity[1], curvature * slope

    def mean(values):  # on a ring, as Dataset.wigner.moments takes it
        return np.angle(np.sum(weights * np.exp(2j * np.pi * values / length))) * length / (2 * np.pi)

    state, found = (x, np.stack(k), y, 0 * y), [0.0]
    for dt in np.diff(times) / 4:
        for _ in range(4):
            a = rate(*state)
            b = rate(*(z + dt / 2 * dz for z, dz in zip(state, a, strict=True)))
            c = rate(*(z + dt / 2 * dz for z, dz in zip(state, b, strict=True)))
            d = rate(*(z + dt * dz for z, dz in zip(state, c, strict=True)))
            rates = (p + 2 * q + 2 * r + s for p, q, r, s in zip(a, b, c, d, strict=True))
            state = tuple(z + dt / 6 * dz for z, dz in zip(state, rates, strict=True))
        with_drift, without = mean(state[2] + state[3]), mean(state[2])
        found.append((with_drift - without + length / 2) % length - length / 2)
    return np.array(found)


def chern_number(run):
    """``int Omega dk/2 pi`` of the stored curvature."""
    curvature = run.geometry["berry_curvature_kx_ky"].isel(band=0, x=0, y=0)
    return float(curvature.mean()) * 2 * np.pi


def drift(figure_axes):
    """Mean position along a_2 of the packet without what order 0 gives."""
    torus = CASE / "torus.toml"
    runs = {order: wigner_sim.run(torus, [f"equation.order={order}"]) for order in STYLES}
    y = {order: run.phase.wigner.moments()["mean_y"].isel(band=0).values for order, run in runs.items()}
    exact = wigner_sim.exact(torus).phase.wigner.moments()["mean_y"].isel(band=0).values
    formula, times = anomalous_displacement(runs[1]), runs[1].phase["time"].values
    print(f"Chern number {chern_number(runs[1]):.4f} (24 x 24 momenta)")
    for order in (1, 2):
        color, line, _ = STYLES[order]
        figure_axes.plot(times, y[order] - y[0], line, color=color, label=f"order {order}")
        print(f"order {order}: anomalous displacement {y[order][-1] - y[0][-1]:+.4f}")
    figure_axes.plot(times, formula, "x", color="#D55E00", label=r"points with $\Omega\,U'$")
    figure_axes.plot(times, exact - y[0], "o", color="k", mfc="none", label="exact")
    print(f"formula: {formula[-1]:+.4f}; exact: {exact[-1] - y[0][-1]:+.4f}")
    figure_axes.set(xlabel="$t$", title=r"drift along $a_2$ beyond order 0 (cells)")
    return runs[1]


def main():
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    run = drift(middle)
    vectors = build_hamiltonian("haldane", run.case.hamiltonian.parameters, n_dimensions=2).lattice_vectors
    line = np.linspace(-5.0, 5.0, 121)
    cartesian = np.stack(np.meshgrid(line, line, indexing="ij"))
    k = np.tensordot(vectors, cartesian, axes=(1, 0))  # k_i = k . a_i
    curvature = LowerBand(run.case.hamiltonian.parameters).velocity_and_curvature(k)[1]
    image = left.pcolormesh(*cartesian, curvature, cmap="Purples")
    figure.colorbar(image, ax=left, label=r"$\Omega_{k_1 k_2}$")
    left.set(xlabel="$k_x$", ylabel="$k_y$", aspect="equal", title="Berry curvature, lower band")

    result = wigner_sim.converge(CASE, [1.0, 1.5, 2.0])
    print(convergence_table(result))
    for order, (color, style, marker) in STYLES.items():
        rows = [row for row in result["rows"] if row["order"] == order]
        sites, errors = [row["sites"] for row in rows], [row["err_f_l2"] for row in rows]
        slope = result["slopes"][str(order)]["f_l2"]
        right.loglog(sites, errors, style, marker=marker, color=color, label=f"order {order}: {slope:.2f}")
    right.set(xlabel="sites", title="rms error of $f$, chains with $B$")
    right.set_xticks([40, 60, 80], ["40", "60", "80"], minor=False)
    right.set_xticks([], minor=True)
    for axes in (middle, right):
        axes.legend(fontsize=9)
    figure.savefig(CASE / "figure.png", dpi=100, metadata={"Software": "wigner_sim"})


if __name__ == "__main__":
    main()
