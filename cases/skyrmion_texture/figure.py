"""Run the case at orders 0, 1, 2 and exactly, print the deflections, and draw figure.png.

python cases/skyrmion_texture/figure.py
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from texture import magnetization

import wigner_sim
from wigner_sim.runs import compare

CASE = Path(__file__).parent


def emergent_field(x, lengths, **parameters):
    """b = (1/2) n . (d_x n x d_y n) by central differences, shape (...)."""
    step = 1e-4

    def slope(axis):
        shift = step * np.eye(2)[axis].reshape(2, *(1,) * (np.ndim(x) - 1))
        ahead, behind = (magnetization(x + sign * shift, *lengths, **parameters) for sign in (1, -1))
        return (ahead - behind) / (2 * step)

    return 0.5 * np.einsum(
        "a...,a...", magnetization(x, *lengths, **parameters), np.cross(slope(0), slope(1), axis=0)
    )


def trajectories(x, k, times, lengths, hopping, **parameters):
    """Points that move by dx/dt = v(k), dk/dt = b(x) (-v_y, v_x): yields x, k at ``times`` (RK4)."""

    def rate(x, k):
        vx, vy = 2 * hopping * np.sin(k)
        b = emergent_field(x, lengths, **parameters)
        return np.stack([vx, vy]), np.stack([-b * vy, b * vx])

    yield x, k
    for dt in np.diff(times) / 8:
        for _ in range(8):
            a1, b1 = rate(x, k)
            a2, b2 = rate(x + dt / 2 * a1, k + dt / 2 * b1)
            a3, b3 = rate(x + dt / 2 * a2, k + dt / 2 * b2)
            a4, b4 = rate(x + dt * a3, k + dt * b3)
            x, k = x + dt / 6 * (a1 + 2 * a2 + 2 * a3 + a4), k + dt / 6 * (b1 + 2 * b2 + 2 * b3 + b4)
        yield x, k


def circular_mean(values, weights, period, start):
    """Mean position on a ring, as ``Dataset.wigner.moments`` takes it."""
    angle = np.angle(np.sum(weights * np.exp(2j * np.pi * values / period)))
    return (period * angle / (2 * np.pi) - start) % period + start


def formula(run):
    """Mean y and ky of points that start as the packet does and feel the emergent field alone."""
    case, start = run.case, run.phase["f"].isel(time=0, band=0)
    parameters = {name: case.hamiltonian.parameters[name] for name in ("hopping", "tilt")}
    thinned = start[::2, ::2, ::2, ::2]
    names = ("x", "y", "kx", "ky")
    points = np.stack([m.ravel() for m in np.meshgrid(*(thinned[n].values for n in names), indexing="ij")])
    weights = thinned.values.ravel()
    times = run.phase["time"].values
    moving = trajectories(points[:2], points[2:], times, case.grid.sites, **parameters)
    return np.array(
        [
            (
                circular_mean(x[1], weights, case.grid.sites[1], 0.0),
                circular_mean(k[1], weights, 2 * np.pi, -np.pi),
            )
            for x, k in moving
        ]
    ).T


def main():
    runs = {f"order {n}": wigner_sim.run(CASE, [f"equation.order={n}"]) for n in (0, 1, 2)}
    runs["exact"] = wigner_sim.exact(CASE)
    means = {name: run.phase.wigner.moments().isel(band=0) for name, run in runs.items()}
    times = means["exact"]["time"].values
    curves = {name: (m["mean_y"].values, m["mean_ky"].values) for name, m in means.items()}
    curves["formula"] = formula(runs["order 1"])
    geometry = runs["order 1"].geometry
    b = geometry["berry_curvature_x_y"].isel(band=0)
    flux = b.mean(("x", "y")) * np.prod(runs["exact"].case.grid.sites) / (2 * np.pi)
    print(f"flux of the emergent field / 2 pi = {float(flux.min()):.6f} .. {float(flux.max()):.6f}")
    for name, (y, ky) in curves.items():
        print(f"{name:8s} deflection y {y[-1] - y[0]:+.4f}  ky {ky[-1] - ky[0]:+.4f}")
    for n in (0, 1, 2):
        worst = compare(runs[f"order {n}"].phase, runs["exact"].phase)["f_max"].max()
        print(f"order {n}: largest |f - f_exact| {float(worst):.1e}")
    drift = float(abs(runs["order 2"].scalars["particle_number_drift"]).max())
    print(f"particle number drift {drift:.1e}")

    draw(runs, curves, times)


def draw(runs, curves, times):
    """The texture with its field and the packet; mean y and ky against time."""
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    draw_texture(figure, left, runs)
    styles = {"order 0": ("#E69F00", ":"), "order 1": ("#D55E00", "--"), "order 2": ("#0072B2", "-")}
    for axes, index, label in ((middle, 0, r"$\langle y\rangle$"), (right, 1, r"$\langle k_y\rangle$")):
        for name, (color, line) in styles.items():
            axes.plot(times, curves[name][index], line, color=color, label=name)
        axes.plot(times, curves["formula"][index], "x", color="#D55E00", label="points in the field")
        axes.plot(times, curves["exact"][index], "o", color="k", mfc="none", label="exact")
        axes.set(xlabel="$t$", title=label)
    middle.legend(fontsize=9)
    figure.savefig(CASE / "figure.png", dpi=100, metadata={"Software": "wigner_sim"})


def draw_texture(figure, axes, runs):
    """Emergent field in colour, in-plane magnetization as arrows, density of the packet as contours."""
    case = runs["exact"].case
    field = runs["order 1"].geometry["berry_curvature_x_y"].isel(band=0, kx=0, ky=0)
    image = axes.pcolormesh(field["x"], field["y"], field.T, cmap="Purples_r", shading="nearest")
    figure.colorbar(image, ax=axes, label=r"$\Omega_{xy}$")
    x = np.stack(np.meshgrid(*(np.arange(0.0, n) for n in case.grid.sites), indexing="ij"))
    n = magnetization(x, *case.grid.sites, case.hamiltonian.parameters["tilt"])
    axes.quiver(*x, n[0], n[1], n[2], cmap="coolwarm", scale=26, width=0.005)
    density = runs["order 2"].fields["density"].isel(band=0)
    for i, style in ((0, "--"), (-1, "-")):
        profile = density.isel(time=i)
        axes.contour(profile["x"], profile["y"], profile.T, levels=3, colors="#009E73", linestyles=style)
    axes.set(xlabel="$x$", ylabel="$y$", aspect="equal", title="start (dashed) and end")


if __name__ == "__main__":
    main()
