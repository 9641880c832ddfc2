"""Time to solution of every stepper at equal error, on shipped cases, candidates run in turn.

    python benchmarks/bench_steppers.py [--repeats 5] [--tolerance 1e-6]

Prints, for each case, the steps, right-hand sides or stages, and the median wall time relative to the first
stepper.  Ratios within one table can be compared, times between tables cannot.
"""

import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from harness import Report, Table, parser

from wigner_sim.case import load_case
from wigner_sim.problem import build_problem
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS, Composition, choose_step

CASES = Path(__file__).parents[1] / "cases"


def prepared(problem, name, tolerance):
    """Equation, initial state and step of one stepper."""
    stepper = STEPPERS[name]
    problem = replace(
        problem, stepper=stepper, options=replace(problem.options, split=isinstance(stepper, Composition))
    )
    stack = problem.stack()
    w = problem.initial_density(stack)
    step = choose_step(stepper, stack, w, 0.0, problem.duration, tolerance)
    return stepper, stack, w, step.dt


def run(stepper, stack, w, dt, duration):
    """Final state and wall time."""
    started = time.perf_counter()
    state = Propagator(stack, stepper, w, dt).advance_to(duration)
    return state, time.perf_counter() - started


def main():
    arguments, report = parser(__doc__), Report("steppers")
    arguments.add_argument("--cases", nargs="*", default=["texture_1d", "rice_mele_potential"])
    arguments.add_argument("--tolerance", type=float, default=1e-6)
    options = arguments.parse_args()
    for case in options.cases[:1] if options.quick else options.cases:
        problem = build_problem(load_case(CASES / case))
        setups = {name: prepared(problem, name, options.tolerance) for name in STEPPERS}
        _, stack, w, _ = setups["blanes_moan4"]
        reference, _ = run(STEPPERS["blanes_moan4"], stack, w, problem.duration / 400, problem.duration)
        times = {name: [] for name in setups}
        states = {}
        for _ in range(options.repeats):
            for name, (stepper, stack, w, dt) in setups.items():
                states[name], seconds = run(stepper, stack, w, dt, problem.duration)
                times[name].append(seconds)
        base = statistics.median(times["rk4"])
        rows = []
        for name, (_, _, _, dt) in setups.items():
            error = float(np.abs(states[name] - reference).max() / np.abs(reference).max())
            median = statistics.median(times[name])
            steps = round(problem.duration / dt)
            rows.append(
                {"stepper": name, "steps": steps, "error": error, "seconds": median, "ratio": median / base}
            )
        title = f"{case}, grid {problem.grid.shape}, tolerance {options.tolerance:g}"
        report.add(Table(title, tuple(rows[0]), rows))
    print(report.save(options.output))


if __name__ == "__main__":
    main()
