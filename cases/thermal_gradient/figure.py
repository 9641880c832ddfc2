"""Temperature along the channel, and the current that it drives at any chemical potential; draws figure.png.

python cases/thermal_gradient/figure.py
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.integrate import quad

import wigner_sim
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.problem import build_problem
from wigner_sim.propagator import Propagator

CASE = Path(__file__).parent
CHEMICAL_POTENTIALS = (-1.85, -1.75, -1.65, -1.5, -1.2, -0.9, -0.75, -0.65, -0.55)
COLLISIONS = (0.003, 0.02, 0.1)
#: Band edges of the case, from its parameters: -(delta^2 + (t1 +- t2)^2)^(1/2).
BOTTOM, TOP = -np.sqrt(0.36 + 1.6**2), -np.sqrt(0.36 + 0.4**2)
HOT, COLD = 0.09, 0.07
#: The part of the ring between the layers that is averaged over, in units of L.
CHANNEL = (0.42, 0.58)


def steady_state(*overrides):
    """Problem, equations and density w at the end of the case."""
    case = wigner_sim.load_case(CASE).with_overrides(overrides)
    problem = build_problem(case)
    stack = problem.stack()
    propagator = Propagator(stack, problem.stepper, problem.initial_density(stack), case.time.step)
    return problem, stack, propagator.advance_to(case.time.end)


def current(problem, stack, w):
    """Current in the channel, ``j = int dk/2 pi (w V_x - h_kkk d_x d_x w / 24)``, and its deviation there."""
    effective = stack.bands[0].effective()
    space = effective.space
    third = space.symbol(effective.energy[0]).derivative(1, 1, 1)
    flux = w[0] * phase_space_velocity(effective)[0] - third * space.symbol(w[0]).derivative(0, 0) / 24
    position = problem.grid.axis_points[0] / problem.grid.lengths[0]
    j = flux.mean(axis=-1)[(position > CHANNEL[0]) & (position < CHANNEL[1])]
    return j.mean(), np.abs(j - j.mean()).max()


def without_collisions(mu, *overrides):
    """Kinetic current at a chemical potential, when no electron is scattered on its way."""
    at = [f"reservoirs.{i}.mu={mu}" for i in (0, 1)]
    return current(*steady_state("relaxation.rate=0.0", f"initial_state.mu={mu}", *at, *overrides))


def boltzmann(mu, hot=HOT, cold=COLD):
    """Current of electrons that fly freely from either reservoir, ``int dE/2 pi (f_hot - f_cold)``."""

    def difference(energy):
        return 1 / (np.exp((energy - mu) / hot) + 1) - 1 / (np.exp((energy - mu) / cold) + 1)

    return quad(difference, BOTTOM, TOP)[0] / (2 * np.pi)


def main():
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for rate in COLLISIONS:
        problem, stack, w = steady_state(f"relaxation.rate={rate}")
        x = problem.grid.axis_points[0]
        temperature = stack.local_fields(w, 0.0)["local_temperature"][0]
        left.plot(x, temperature, label=rf"$\gamma = {rate:g}$")
        j, deviation = current(problem, stack, w)
        print(f"rate {rate:g}: current {j:.3e}, not uniform by {deviation:.0e}", flush=True)
    for each, color in zip(problem.baths.reservoirs, ("C3", "C0"), strict=True):
        layer = each.rates[0](x[None], np.zeros((1, len(x)))) / 0.8
        left.fill_between(x, 0.0685, 0.0685 + 0.023 * layer, alpha=0.15, color=color, lw=0)
    left.set(xlabel="$x$", ylabel="local temperature $T(x)$", xlim=(0, 64), ylim=(0.0685, 0.0915))
    left.legend(fontsize=9)
    fine = np.linspace(-1.95, -0.45, 200)
    right.axvspan(BOTTOM, TOP, color="0.93", label="band")
    right.plot(fine, [1e3 * boltzmann(mu) for mu in fine], color="0.4", label="Boltzmann integral")
    measured = [without_collisions(mu) for mu in CHEMICAL_POTENTIALS]
    for mu, (j, deviation) in zip(CHEMICAL_POTENTIALS, measured, strict=True):
        print(f"mu {mu:5.2f}: {j:11.4e}, integral {boltzmann(mu):11.4e}, not uniform by {deviation:.0e}")
    right.plot(CHEMICAL_POTENTIALS, [1e3 * j for j, _ in measured], "o", mfc="none", label="kinetic, order 2")
    right.set(xlabel=r"chemical potential $\mu$", ylabel="$10^3 j$ from hot to cold, no collisions")
    right.legend(fontsize=9)
    figure.savefig(CASE / "figure.png", dpi=100, metadata={"Software": "wigner_sim"})


if __name__ == "__main__":
    main()
