"""Steady state of the channel, and its conductance for long to short mean free paths; draws figure.png.

python cases/biased_channel/figure.py
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

import wigner_sim
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.problem import build_problem
from wigner_sim.propagator import Propagator

CASE = Path(__file__).parent
MU = -1.15
RATES = (1e-4, 3e-3, 0.01, 0.03, 0.1, 0.3)
#: The part of the ring between the layers that is averaged over, in units of L; the barrier is at 1/2.
CHANNEL = (0.39, 0.61)


def steady_state(rate, *overrides):
    """Problem, equations, and density w at the end of the case with collisions at another rate."""
    case = wigner_sim.load_case(CASE).with_overrides([f"relaxation.rate={rate}", *overrides])
    problem = build_problem(case)
    stack = problem.stack()
    propagator = Propagator(stack, problem.stepper, problem.initial_density(stack), case.time.step)
    return problem, stack, propagator.advance_to(case.time.end)


def current(effective, w):
    """Current ``j(x) = int dk/2 pi (w V_x - h_kkk d_x d_x w / 24)`` of one band."""
    space = effective.space
    third = space.symbol(effective.energy[0]).derivative(1, 1, 1)
    flux = w * phase_space_velocity(effective)[0] - third * space.symbol(w).derivative(0, 0) / 24
    return flux.mean(axis=-1)


def conductance(problem, stack, w):
    """Current over bias in the channel in units of e^2/h, and its largest relative deviation there."""
    j = current(stack.bands[0].effective(), w[0])
    position = problem.grid.axis_points[0] / problem.grid.lengths[0]
    inside = j[(position > CHANNEL[0]) & (position < CHANNEL[1])]
    return 2 * np.pi * inside.mean() / bias(problem), np.abs(inside / inside.mean() - 1).max()


def bias(problem):
    """Difference of the chemical potentials of the two reservoirs."""
    left, right = (float(each.mu(np.zeros((1, 1)))[0]) for each in problem.baths.reservoirs)
    return left - right


class TwoStreams:
    """Electrons of one energy that move to the right and to the left: Boltzmann's equation of the channel.

    ``+-v d_x f_+- = -gamma (f_+- - (f_+ + f_-)/2) - sum_r gamma_r (f_+- - f_r)`` on the ring, by a box
    scheme, written without any of the package's kinetics.
    """

    def __init__(self, rate, energy, n=800, length=96.0, t1=1.0, t2=0.6, delta=0.6):
        x = (np.arange(n) + 0.5) * length / n
        kinetic = energy - 0.05 * (1 + np.cos(4 * np.pi * x / length))
        cosine = (kinetic**2 - delta**2 - t1**2 - t2**2) / (2 * t1 * t2)
        self.speed = t1 * t2 * np.sqrt(1 - cosine**2) / np.abs(kinetic)
        layers = [0.8 * np.exp(-((np.sin(np.pi * (x / length - at)) / 0.2) ** 6)) for at in (0.25, 0.75)]
        self.x, self.length = x, length
        self.conductance = self._solve(rate, layers)

    def _solve(self, rate, layers):
        """Current for a unit difference of the occupations in the layers: the conductance over e^2/h."""
        n, step = len(self.x), self.length / len(self.x)
        matrix, right = lil_matrix((2 * n, 2 * n)), np.zeros(2 * n)
        total = layers[0] + layers[1]
        for i in range(n):  # cell i lies between the points i and i + 1; unknowns f_+, f_- at the points
            here, there = 2 * i, 2 * ((i + 1) % n)
            for own, sign in ((0, 1.0), (1, -1.0)):
                row = 2 * i + own
                for point, way in ((here, -1.0), (there, 1.0)):
                    matrix[row, point + own] += sign * way * self.speed[i] / step + total[i] / 2 + rate / 4
                    matrix[row, point + 1 - own] += -rate / 4
                right[row] = layers[0][i]
        f = spsolve(matrix.tocsr(), right).reshape(n, 2)
        return float((f[:, 0] - f[:, 1])[n // 2])


def thermal_average(rate, mu=MU, temperature=0.05):
    """Conductance of two streams averaged over energies with ``-n_F'``."""
    energies = np.linspace(-0.38, 0.28, 23)
    weights = 1 / np.cosh(energies / (2 * temperature)) ** 2
    values = [TwoStreams(rate, mu + e).conductance for e in energies]
    return np.average(values, weights=weights)


def main():
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    measured = []
    print("  rate   G h/e^2   two streams   current not uniform by")
    for rate in RATES:
        problem, stack, w = steady_state(rate)
        value, deviation = conductance(problem, stack, w)
        measured.append(value)
        print(f"{rate:7.4f} {value:8.4f} {thermal_average(rate):10.4f} {deviation:16.1e}", flush=True)
        x = problem.grid.axis_points[0]
        mu = stack.local_fields(w, 0.0)["local_chemical_potential"][0]
        left.plot(x, mu, label=rf"$\gamma = {rate:g}$")
    for number, each in enumerate(problem.baths.reservoirs):
        layer = each.rates[0](x[None], np.zeros((1, len(x))))
        left.fill_between(
            x, -1.205, -1.205 + 0.11 * layer / 0.8, alpha=0.15, color=("C3", "C0")[number], lw=0
        )
    left.set(xlabel="$x$", ylabel=r"local chemical potential $\mu(x)$", ylim=(-1.205, -1.095), xlim=(0, 96))
    draw_conductance(right, measured)
    left.legend(fontsize=8, ncol=2)
    figure.savefig(CASE / "figure.png", dpi=100, metadata={"Software": "wigner_sim"})


def draw_conductance(axes, measured):
    """Conductance against the mean free path, with both limits."""
    streams = TwoStreams(0.0, MU)
    mean_speed = 1 / np.mean(1 / streams.speed)
    rates = np.geomspace(8e-5, 0.5, 25)
    values = np.array([TwoStreams(rate, MU).conductance for rate in rates])
    per_rate = np.diff(1 / values[-2:])[0] / np.diff(rates[-2:])[0]
    axes.loglog(mean_speed / rates, values, color="0.6", label="two streams at the mean $\\mu$")
    axes.loglog(mean_speed / rates, 1 / (per_rate * rates), ":", color="C1", label="Drude")
    axes.axhline(1.0, ls="--", color="C2", label="Landauer, $e^2/h$")
    axes.loglog(mean_speed / np.array(RATES), measured, "o", color="C0", mfc="none", label="kinetic, order 2")
    axes.set(xlabel="mean free path $v\\tau$ (sites)", ylabel="conductance $G$ ($e^2/h$)", ylim=(0.04, 1.5))
    axes.legend(fontsize=9)


if __name__ == "__main__":
    main()
