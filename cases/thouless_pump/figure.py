"""Charge pumped by the filled band, and the run of the case beside exact dynamics; draws figure.png.

python cases/thouless_pump/figure.py
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from pump import hamiltonian
from scipy.integrate import solve_ivp

import wigner_sim
from wigner_sim.problem import build_problem

CASE = Path(__file__).parent
PERIODS = (40.0, 56.0, 80.0, 112.0, 160.0)
STYLES = {0: ("#E69F00", ":", "v"), 1: ("#D55E00", "--", "s"), 2: ("#0072B2", "-", "o")}


def homogeneous(order, period, n_k=48, n_times=241):
    """The filled lower band without position axis: times, and the charge pumped until then.

    The current is ``int dk/2 pi w (d_k h_w + Omega_kt)``; the first term is a derivative and drops out.
    """
    case = wigner_sim.load_case(CASE).with_overrides(
        [
            "grid.sites=[]",
            "grid.n_x=[]",
            f"grid.n_k=[{n_k}]",
            "initial_state.c=1.0",
            f"equation.order={order}",
            f"hamiltonian.parameters.period={period}",
            f"time.end={period}",
        ]
    )
    problem = build_problem(case)
    stack = problem.stack()
    w, times = problem.initial_density(stack)[0], np.linspace(0, period, n_times)
    return times, cumulative(times, [current(stack.bands[0].effective(t), w) for t in times])


def current(band, w):
    """Current of a homogeneous band with density w(k)."""
    velocity = band.space.symbol(band.total_energy_symbol).derivative(0)
    if band.rate_curvature is not None:
        velocity = velocity + band.rate_curvature[0]
    return float(np.mean(w * velocity))


def exact_charge(times, period, n_k=48):
    """The same from Schroedinger's equation, ``int dk/2 pi <d_k H>``, started in the local ground state."""
    k, step = -np.pi + 2 * np.pi * np.arange(n_k)[None] / n_k, 1e-4
    ground = np.linalg.eigh(hamiltonian(k, 0.0, period))[1][..., 0]

    def rate(t, psi):
        return -1j * np.einsum("kij,kj->ki", hamiltonian(k, t, period), psi.reshape(n_k, 2)).ravel()

    solution = solve_ivp(rate, times[[0, -1]], ground.ravel(), "DOP853", times, rtol=1e-10, atol=1e-12)
    currents = []
    for t, psi in zip(times, solution.y.T.reshape(-1, n_k, 2), strict=True):
        slope = (hamiltonian(k + step, t, period) - hamiltonian(k - step, t, period)) / (2 * step)
        currents.append(np.einsum("ki,kij,kj->", psi.conj(), slope, psi).real / n_k)
    return cumulative(times, currents)


def cumulative(times, rates):
    """Integral from the first time to each, by the trapezoidal rule (spectral over a period)."""
    rates = np.asarray(rates)
    return np.concatenate([[0.0], np.cumsum(0.5 * (rates[1:] + rates[:-1]) * np.diff(times))])


def displacement(run):
    """Times, and how far the centre of the bump has moved, in cells."""
    density = run.fields["density"].isel(band=0)
    centre = (density * density["x"]).sum("x") / density.sum("x")
    return density["time"].values, (centre - centre[0]).values


def charges():
    """Errors of the pumped charge for every period and order, printed as a table."""
    errors = {order: [] for order in STYLES}
    print("period   exact charge - 1   order 1: charge - 1, max|dQ|   order 2: charge - 1, max|dQ|")
    for period in PERIODS:
        pumped = {order: homogeneous(order, period) for order in STYLES}
        exact = exact_charge(pumped[1][0], period)
        row = f"{period:6.0f} {exact[-1] - 1:12.1e}"
        for order, (_, charge) in pumped.items():
            errors[order].append(np.abs(charge - exact).max())
            row += f"   {charge[-1] - 1:9.1e} {errors[order][-1]:9.1e}" if order else ""
        print(row)
    for order in (1, 2):
        slope = -np.polyfit(np.log(PERIODS[2:]), np.log(errors[order][2:]), 1)[0]
        print(f"order {order}: error inside the cycle falls as period^-{slope:.2f}")
    return pumped, exact, errors


def main():
    pumped, exact, errors = charges()
    runs = {order: wigner_sim.run(CASE, [f"equation.order={order}"]) for order in STYLES}
    reference = wigner_sim.exact(CASE)
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    times, moved = displacement(reference)
    left.plot(times, moved, "o", color="k", mfc="none", label="exact")
    print(f"bump, exact: moved by {moved[-1]:.5f} cells")
    for order, run in runs.items():
        times, moved = displacement(run)
        color, line, _ = STYLES[order]
        left.plot(times, moved, line, color=color, label=f"order {order}")
        print(f"bump, order {order}: moved by {moved[-1]:.5f} cells")
    left.set(xlabel="$t$", title="displacement of the bump (cells)")
    for order, (color, line, marker) in STYLES.items():
        times, charge = pumped[order]
        if order:
            middle.plot(times / times[-1], charge - exact, line, color=color, label=f"order {order}")
        right.loglog(PERIODS, errors[order], line, marker=marker, color=color, label=f"order {order}")
    middle.set(xlabel="$t/T$", title=f"pumped charge minus exact, $T$ = {PERIODS[-1]:.0f}")
    right.set(xlabel="period $T$", title="largest error of the charge in a cycle")
    right.set_xticks(PERIODS, [f"{period:.0f}" for period in PERIODS])
    right.set_xticks([], minor=True)
    for axes in (left, middle, right):
        axes.legend(fontsize=9)
    figure.savefig(CASE / "figure.png", dpi=100, metadata={"Software": "wigner_sim"})


if __name__ == "__main__":
    main()
