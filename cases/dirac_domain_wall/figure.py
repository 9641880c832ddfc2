"""How the wall parts opposite momenta along it: odd part of the density in k_y, at three orders and exactly.

python cases/dirac_domain_wall/figure.py RUN RUN_ORDER_1 RUN_ORDER_0 EXACT_RUN FIGURE.png
"""

import sys

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import wigner_sim

mpl.rcParams.update({"font.size": 12, "axes.labelsize": 14, "axes.titlesize": 12, "lines.linewidth": 1.8})
STYLES = {
    "order 2": {"color": "#0072B2"},
    "order 1": {"color": "#D55E00", "ls": "--"},
    "order 0": {"color": "0.5", "ls": ":"},
    "exact": {"color": "k", "marker": "o", "ms": 4, "ls": ""},
}


def odd_density(run):
    """``n(x, k_y) - n(x, -k_y)`` (t, x, k_y), the mean of f over k_x."""
    n = run.phase["f"].isel(band=0).mean("kx")
    mirrored = n.values[..., (-np.arange(n.sizes["ky"])) % n.sizes["ky"]]
    return n - mirrored


def parting(run):
    """Mean position at k_y > 0 less that at k_y < 0, by time."""
    n = run.phase["f"].isel(band=0).mean("kx")
    means = []
    for half in (n.sel(ky=slice(0.01, 3.1)), n.sel(ky=slice(-3.1, -0.01))):
        profile = half.sum("ky")
        means.append((profile * profile["x"]).sum("x") / profile.sum("x"))
    return means[0] - means[1]


def main(path, path_1, path_0, exact_path, figure_path):
    """Draw the odd part at the end, its profile at k_y = 0.8, and the parting of the mean positions."""
    runs = dict(zip(STYLES, map(wigner_sim.open_run, (path, path_1, path_0, exact_path)), strict=True))
    odd = {name: odd_density(run) for name, run in runs.items()}
    largest = float(np.abs(odd["exact"][-1]).max())
    print(f"largest odd part at the end: {largest:.2e}")
    figure = Figure(figsize=(12, 4), layout="constrained")
    image, profile, parted = figure.subplots(1, 3)
    shown = odd["order 2"][-1]
    mesh = image.pcolormesh(
        shown["x"], shown["ky"], shown.T, cmap="RdBu_r", vmin=-largest, vmax=largest, rasterized=True
    )
    figure.colorbar(mesh, ax=image)
    for name, run in runs.items():
        end = odd[name][-1]
        distance = parting(run)
        profile.plot(end["x"], end.sel(ky=0.8, method="nearest"), label=name, **STYLES[name])
        parted.plot(distance["time"], distance, label=name, **STYLES[name])
        off = np.abs(end.values - odd["exact"][-1].values).max()
        print(f"{name}: odd part off by {off:.1e}, parting {float(distance.max()):.5f} at most")
    image.set(xlabel="$x$", ylabel="$k_y$", title="$n(x,k_y) - n(x,-k_y)$")
    profile.set(xlabel="$x$", title="the same at $k_y = 0.8$")
    parted.set(xlabel=r"$t$ ($\hbar$/energy)", title=r"$\langle x\rangle_{k_y>0} - \langle x\rangle_{k_y<0}$")
    for axes in (profile, parted):
        axes.grid(alpha=0.25)
    parted.legend(frameon=False)
    figure.savefig(figure_path, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
