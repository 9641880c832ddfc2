"""Entropy of the beam with and without collisions, and the occupation on the way; draws figure.png.

python cases/relaxing_beam/figure.py
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import wigner_sim

CASE = Path(__file__).parent
SHOWN = (0.0, 5.0, 20.0)


def entropy(run):
    """Times, and ``S = -int dx dk/2 pi D (c ln c + (1 - c) ln(1 - c))``."""
    c = np.clip(run.phase["c"].isel(band=0), 1e-12, 1 - 1e-12)
    density_of_states = run.geometry["density_of_states"].isel(band=0)
    s = -density_of_states * (c * np.log(c) + (1 - c) * np.log1p(-c))
    return c["time"].values, (s.mean(("x", "kx")) * run.case.grid.sites[0]).values


def main():
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    runs = {"collisions": wigner_sim.run(CASE), "none": wigner_sim.run(CASE, ["relaxation.rate=0.0"])}
    for name, run in runs.items():
        times, s = entropy(run)
        left.plot(times, s - s[0], label={"none": "no collisions"}.get(name, name))
        print(f"{name}: entropy from {s[0]:.5f} to {s[-1]:.5f}, smallest step {np.diff(s).min():.1e}")
    left.set(xlabel="$t$", ylabel="$S(t) - S(0)$")
    left.legend()
    c = runs["collisions"].phase["c"].isel(band=0)
    for time in SHOWN:
        at = c.sel(time=time, method="nearest").isel(x=0)
        right.plot(at["kx"], at, label=f"$t = {float(at['time']):.0f}$")
    right.set(xlabel="$k$", ylabel="occupation $c$ at $x = 0$", ylim=(0, 1))
    right.legend()
    figure.savefig(CASE / "figure.png", dpi=100, metadata={"Software": "wigner_sim"})


if __name__ == "__main__":
    main()
