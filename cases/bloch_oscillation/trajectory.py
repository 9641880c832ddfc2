"""Mean position of the packet in a kinetic and an exact run, beside the semiclassical trajectory.

python cases/bloch_oscillation/trajectory.py KINETIC_RUN EXACT_RUN FIGURE.png
"""

import sys

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import wigner_sim

mpl.rcParams.update({"font.size": 12, "axes.labelsize": 14, "lines.linewidth": 1.8})

FORCE = 0.15  # of case.toml
GREY = {"color": "0.65", "linewidth": 5}
STYLES = {"kinetic": {"color": "#0072B2"}, "exact": {"color": "#D55E00", "marker": "o", "ms": 4, "ls": ""}}


def band(k, t1, t2, delta):
    """Energy E and band-normalized metric T = g/|E| of the lower band, atoms half a cell apart."""
    d = np.array([(t1 + t2) * np.cos(k / 2), (t1 - t2) * np.sin(k / 2), delta + 0 * k])
    slope = np.array([-(t1 + t2) * np.sin(k / 2), (t1 - t2) * np.cos(k / 2), 0 * k]) / 2
    size = np.linalg.norm(d, axis=0)
    turn = slope / size - d * (d * slope).sum(axis=0) / size**3  # derivative of the unit vector
    g = (turn**2).sum(axis=0) / 4
    return -size, g / size


def semiclassical(times, force, k0, width_k, model):
    """Displacements [h(k0 + F t) - h(k0)]/F for h = E and for h = T F^2/2, averaged over the packet."""
    spread = np.linspace(-5, 5, 201) * width_k
    weight = np.exp(-(spread**2) / (2 * width_k**2))
    start, now = band(k0 + spread, **model), band(k0 + spread + force * times[:, None], **model)
    energy, metric = (np.average(b - a, axis=1, weights=weight) for a, b in zip(start, now, strict=True))
    return energy / force, 0.5 * metric * force


def mean_position(run):
    """Times and mean of x over the density of the first band."""
    density = run.fields["density"].isel(band=0)
    mean = (density * density["x"]).sum("x") / density.sum("x")
    return density["time"].values, mean.values


def main(kinetic_path, exact_path, figure_path):
    """Draw x(t), and what is left of it without the motion under the bare band energy."""
    kinetic, exact = wigner_sim.open_run(kinetic_path), wigner_sim.open_run(exact_path)
    state, model = kinetic.case.initial_state, kinetic.case.hamiltonian.parameters
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    found = {}
    for name, run in (("kinetic", kinetic), ("exact", exact)):
        times, x = mean_position(run)
        bare, shift = semiclassical(times, FORCE, state.center_k[0], state.width_k[0], model)
        bare += state.center_x[0]
        found[name] = x
        label = f"kinetic, order {kinetic.case.equation.order}" if name == "kinetic" else "exact"
        if name == "kinetic":
            top.plot(times, bare, label="semiclassical with $E(k)$", **GREY)
            bottom.plot(times, shift, label=r"$\frac{F}{2}[T(k_0 + Ft) - T(k_0)]$", **GREY)
        top.plot(times, x, label=label, **STYLES[name])
        bottom.plot(times, x - bare, **STYLES[name])
        print(f"{name} minus semiclassical: E(k) alone {np.abs(x - bare).max():.1e}, ", end="")
        print(f"with T {np.abs(x - bare - shift).max():.1e} lattice constants")
    every = (len(found["kinetic"]) - 1) // (len(found["exact"]) - 1)
    print(f"kinetic minus exact: {np.abs(found['kinetic'][::every] - found['exact']).max():.1e}")
    top.set(ylabel=r"$\langle x\rangle$ (lattice constants)", title=kinetic.case.title)
    bottom.set(xlabel=r"$t$ ($\hbar$/energy)", ylabel="the same beyond $E(k)$", xlim=times[[0, -1]])
    for axes in (top, bottom):
        axes.grid(alpha=0.25)
        axes.legend(loc="upper center", frameon=False)
    figure.savefig(figure_path, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
