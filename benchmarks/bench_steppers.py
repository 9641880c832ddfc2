"""Time to a tolerance of every stepper, on problems of every kind: what time.stepper = "auto" rests on.

    python benchmarks/bench_steppers.py [--problems chain ...] [--orders 0 1 2] [--tolerances 1e-3 1e-6 1e-9]

The step is the one the program chooses for the tolerance; the error is that of the state at the end against
many steps of the fourth-order splitting, relative to max|w| and the tolerance.  A time is that of one step,
the median of a few taken in turn with the other steppers', times the number of steps, without the set-up.
"""

import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
from harness import CLOCKS, Report, Table, parser

from wigner_sim.case import Case
from wigner_sim.problem import build_problem
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS

#: Runs that would take longer are left out of the table.
LONGEST_SECONDS = 8.0
#: Part of the tightest tolerance that the reference is allowed.
REFERENCE = 0.1

BUMP = "exp(cos(2*pi*x/L - 1) + 0.7*cos(k - 1) - 1.7)"
BUMP_4D = "exp(cos(2*pi*x/Lx - 1) + cos(2*pi*y/Ly) - 2 + 0.7*(cos(kx - 1) + cos(ky)) - 1.4)"


def chain(n_x=64, n_k=64, potential="0.4*cos(2*pi*x/L) - 0.1*cos(4*pi*x/L)", end=8.0, **sections):
    """A Rice-Mele chain in a potential."""
    hamiltonian = {
        "source": "named:rice_mele",
        "parameters": {"t1": 1.0, "t2": 0.6, "delta": 0.6},
        "orbital_positions": [[0.0], [0.5]],
        "potential": potential,
        **sections.pop("hamiltonian", {}),
    }
    return {
        "grid": {"sites": [32], "n_x": [n_x], "n_k": [n_k]},
        "hamiltonian": {key: value for key, value in hamiltonian.items() if value is not None},
        "initial_state": {"kind": "symbol", "c": BUMP},
        "time": {"end": end},
        **sections,
    }


def homogeneous(force):
    """A chain without position axis under a force."""
    case = chain(potential=None, end=20.0, hamiltonian={"force": [force]})
    grid = {"sites": [], "n_x": [], "n_k": [128]}
    return case | {"grid": grid, "initial_state": {"kind": "symbol", "c": "exp(cos(k) - 1)"}}


def texture(strength, end=4.0, n=64):
    """Spins that turn along the chain, by more or less: nothing separates."""
    terms = [
        {"k": "-cos(k)", "matrix": "sigma_0"},
        {"k": "0.5*sin(k)", "matrix": "sigma_x"},
        {"x": f"{strength}*cos(2*pi*x/L)", "k": "1 + 0.3*cos(k)", "matrix": "sigma_x"},
        {"x": f"{strength}*sin(2*pi*x/L)", "matrix": "sigma_y"},
        {"k": "1.5 - 0.3*cos(k)", "matrix": "sigma_z"},
    ]
    left_out = {"potential": None, "orbital_positions": None}
    return chain(n, n, end=end, hamiltonian={"source": "terms", "terms": terms, "parameters": {}, **left_out})


def plane(n=16, flux=0.0, **hamiltonian):
    """A massive Dirac crystal with both position axes."""
    return {
        "grid": {"sites": [24, 24], "n_x": [n, n], "n_k": [n, n], "magnetic_field": flux},
        "hamiltonian": {
            "source": "named:massive_dirac",
            "parameters": {"mass": 1.0},
            "potential": "0.3*cos(2*pi*x/Lx) + 0.3*cos(2*pi*y/Ly)",
            **hamiltonian,
        },
        "initial_state": {"kind": "symbol", "c": BUMP_4D},
        "time": {"end": 4.0},
    }


BATH = {"mu": -1.2, "temperature": 0.3, "conserve": "nothing"}
PROBLEMS = {
    "chain": chain(),
    "chain, 62 points": chain(62, 62),
    "chain, force": chain(potential=None, hamiltonian={"force": [0.3]}),
    "chain, driven": chain(potential="0.4*cos(2*pi*x/L - 0.8*t)"),
    "chain, dealias": chain(equation={"dealias": "two_thirds"}),
    "chain, bounded": chain(equation={"moyal_filter": "bounded"}),
    "chain, metric off": chain(equation={"terms": {"metric": False}}),
    "chain, relaxation": chain(relaxation={"rate": 0.1, **BATH}),
    "chain, fast relaxation": chain(relaxation={"rate": 5.0, **BATH}),
    "chain, conserving relaxation": chain(
        relaxation={"rate": 0.1, "conserve": "particles", "temperature": 0.3}
    ),
    "chain, mean field": chain(mean_field={"kind": "contact", "strength": 1.0}),
    "chain, matrix": chain(equation={"method": "matrix"}),
    "k only, force": homogeneous(0.3),
    "k only, driven force": homogeneous("0.3 + 0.2*cos(t)"),
    "weak texture": texture(0.05),
    "texture": texture(0.8),
    "plane": plane(),
    "plane, B": plane(flux=2 * np.pi / 24),
}


def problem_of(name, order):
    """One of the problems at an order in gradients, or a shipped case."""
    return build_problem(Case.from_dict({"title": name, **PROBLEMS[name]}, Path(__file__))).with_order(order)


class Candidate:
    """A problem stepped by one of the steppers."""

    def __init__(self, problem, name):
        options = replace(problem.options, split=hasattr(STEPPERS[name], "fractions"))
        self.problem = replace(problem, stepper=STEPPERS[name], options=options)
        self.stack = self.problem.stack()
        self.start = self.stack.assemble(self.problem.initial_density(self.stack))

    def n_steps(self, tolerance):
        """Steps the program takes for a tolerance."""
        return round(self.problem.duration / self.problem.choose_step(self.stack, self.start, tolerance).dt)

    def advance(self, n_steps, n_taken=None):
        """State after some of the steps (all of them by default)."""
        dt = self.problem.duration / n_steps
        propagator = Propagator(self.stack, self.problem.stepper, self.start.copy(), dt)
        return propagator.advance_to(self.problem.duration if n_taken is None else n_taken * dt)


def seconds_per_step(candidates, steps, repeats, now):
    """Median seconds of one step of each candidate, taken in turn."""
    times = {name: [] for name in candidates}
    for turn in range(-1, repeats):
        for name, candidate in candidates.items():
            n_taken = min(steps[name], 20 if turn >= 0 else 1)
            started = now()
            candidate.advance(steps[name], n_taken)
            if turn >= 0:
                times[name].append((now() - started) / n_taken)
    return {name: statistics.median(values) for name, values in times.items()}


def rows_of(name, order, options):
    """Steps, error and time of every stepper at every tolerance."""
    problem = problem_of(name, order)
    candidates = {stepper: Candidate(problem, stepper) for stepper in STEPPERS}
    reference = candidates["blanes_moan4"]
    exact = reference.advance(2 * reference.n_steps(REFERENCE * min(options.tolerances)))
    largest = np.abs(exact).max()
    rows = []
    for tolerance in options.tolerances:
        steps = {stepper: candidate.n_steps(tolerance) for stepper, candidate in candidates.items()}
        each = seconds_per_step(candidates, steps, options.repeats, CLOCKS[options.clock])
        row = {"problem": name, "order": order, "tolerance": tolerance}
        for stepper, candidate in candidates.items():
            seconds = steps[stepper] * each[stepper]
            if seconds > LONGEST_SECONDS:
                error = float("nan")
            else:
                error = float(np.abs(candidate.advance(steps[stepper]) - exact).max() / largest)
            row[f"{stepper} steps"] = steps[stepper]
            row[f"{stepper} error"] = error / tolerance
            row[f"{stepper} ms"] = 1e3 * seconds
        rows.append(row)
    return rows


def main():
    arguments, report = parser(__doc__), Report("steppers")
    arguments.add_argument(
        "--problems",
        nargs="*",
        choices=list(PROBLEMS),
        default=list(PROBLEMS),
    )
    arguments.add_argument("--orders", nargs="*", type=int, default=[0, 2])
    arguments.add_argument("--tolerances", nargs="*", type=float, default=[1e-3, 1e-6])
    options = arguments.parse_args()
    if options.quick:
        options.problems, options.orders = ["chain", "texture"], [2]
    for name in options.problems:
        rows = [row for order in options.orders for row in rows_of(name, order, options)]
        stepper = build_problem(
            Case.from_dict({"title": name, **PROBLEMS[name]}, Path(__file__))
        ).stepper.name
        report.add(Table(name, tuple(rows[0])[1:], rows, f'time.stepper = "auto" is {stepper} here.'))
    print(report.save(options.output))


if __name__ == "__main__":
    main()
