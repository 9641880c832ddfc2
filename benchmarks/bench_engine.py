"""The stepping engine against the machine and against other ways to step the same equation, side by side.

    python benchmarks/bench_engine.py [--points 48] [--threads 2] [--only pass,time] [--clock cpu]

A 2D crystal, phase space points^4, one band.  Candidates run in turn in one process; medians are given,
and the ratios are what counts (on a busy machine the same kernel differs by a factor between two blocks).
"""

import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
from engine_candidates import (
    FloorOfTrailingTransforms,
    NaiveRungeKutta,
    WellMadeRungeKutta,
    WholeArrays,
    advance,
    crystal,
    evolution,
    packet,
    without_remainder,
)
from harness import Report, Table, alternate, medians, parser

from wigner_sim import parallel
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.fused import TimedFlow
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.steppers import STEPPERS

#: What the project set out to reach, in the words of the tables in docs/performance.md.
GOALS = {
    "order-0 stage / FFT floor": 1.35,
    "order-0 stage / whole-array pyfftw": 0.45,
    "order-0 stage / whole-array pyfftw, 64x64x48x48": 0.6,
    "order 2, stencil / order 0, time to 1e-6": 2.2,
    "order 2, spectral / order 0, time to 1e-6": 4.0,
    "order 2 with B / order 0, time to 1e-6": 3.5,
    "order 2 with B, stencil / order 0, time to 1e-6": 3.5,
    "order 2, spectral / pyfftw RK4, time to 1e-6": 1 / 8,
    "order 2, spectral / naive numpy RK4, time to 1e-6": 1 / 60,
    "two threads, speed-up": 1.7,
    "float32 / float64": 0.65,
    "peak memory / size of w": 1.5,
}


#: Wall time; on a busy machine processor time (one thread) or that of quiet moments.
clock = "wall"


def in_turn(candidates, repeats):
    """Median time of each candidate, all of them run in turn after a first round."""
    return medians(alternate(candidates, repeats, clock=clock))


def stage(equation, w, flows=(("A", 0.1), ("B", 0.1))):
    """One stage of the engine in place."""
    fused = equation.equation().fused

    def call():
        for flow in flows:
            together = [flow] if isinstance(flow[0], str) else flow
            fused.advance(w, w, [TimedFlow(*each) for each in together])

    return call


def measure_pass(n, repeats, threads):
    """Order-0 stage against the floor and whole arrays; kicks; threads; float32."""
    parallel.set_thread_count(threads)
    zero, two = without_remainder(n), evolution(n, 2)
    stencil = evolution(n, 2, remainder="stencil")
    w = packet(zero.grid)
    w32 = w.astype(np.float32)
    tau = 1e-4
    fused = ((("X", tau), ("A", 0.1), ("X", tau)), (("K", tau), ("B", 0.1), ("K", tau)))
    whole, floor = WholeArrays(w.shape, threads), FloorOfTrailingTransforms(n, threads)
    whole.f[...] = w
    times = in_turn(
        {
            "FFT floor": floor,
            "whole-array pyfftw": whole,
            "A": stage(zero, w, (("A", 0.1),)),
            "B": stage(zero, w, (("B", 0.1),)),
            "order-0 stage": stage(zero, w),
            "order-0 stage float32": stage(zero, w32),
            "stage with spectral kicks": stage(two, w, fused),
            "stage with spectral kicks float32": stage(two, w32, fused),
            "stage with stencil kicks": stage(stencil, w, fused),
            "copy of w": lambda: np.copyto(whole.f, w),
        },
        repeats,
    )
    ratios = {
        "order-0 stage / FFT floor": times["order-0 stage"] / times["FFT floor"],
        "order-0 stage / whole-array pyfftw": times["order-0 stage"] / times["whole-array pyfftw"],
        "float32 / float64": times["order-0 stage float32"] / times["order-0 stage"],
        "float32 / float64 with kicks": times["stage with spectral kicks float32"]
        / times["stage with spectral kicks"],
        "stage with spectral kicks / order-0 stage": times["stage with spectral kicks"]
        / times["order-0 stage"],
        "stage with stencil kicks / order-0 stage": times["stage with stencil kicks"]
        / times["order-0 stage"],
    }
    return times, ratios


def measure_wide(n, repeats, threads):
    """Order-0 stage against whole arrays with a third more points in x: 64 x 64 x 48 x 48 for n = 48."""
    parallel.set_thread_count(threads)
    zero = without_remainder(n, n_x=4 * n // 3)
    w = packet(zero.grid)
    whole = WholeArrays(w.shape, threads)
    whole.f[...] = w
    times = in_turn({"whole-array pyfftw": whole, "order-0 stage": stage(zero, w)}, repeats)
    label = f"order-0 stage / whole-array pyfftw, {'x'.join(map(str, w.shape))}"
    return times, {label: times["order-0 stage"] / times["whole-array pyfftw"]}


def measure_threads(n, repeats, threads):
    """One thread against several, run in turn."""
    zero, two = without_remainder(n), evolution(n, 2)
    w = packet(zero.grid)
    tau = 1e-4
    fused = ((("X", tau), ("A", 0.1), ("X", tau)), (("K", tau), ("B", 0.1), ("K", tau)))

    def with_threads(count, call):
        def run():
            parallel.set_thread_count(count)
            call()

        return run

    calls = {"order-0 stage": stage(zero, w), "stage with spectral kicks": stage(two, w, fused)}
    times = in_turn(
        {
            f"{name}, {count} threads": with_threads(count, call)
            for name, call in calls.items()
            for count in (1, threads)
        },
        repeats,
    )
    ratios = {
        "two threads, speed-up": times["order-0 stage, 1 threads"]
        / times[f"order-0 stage, {threads} threads"],
        "two threads, speed-up with kicks": times["stage with spectral kicks, 1 threads"]
        / times[f"stage with spectral kicks, {threads} threads"],
    }
    return times, ratios


def steps_needed(equation, w, duration, tolerance, finest, counts=(4, 6, 8, 10, 12, 16, 20, 24)):
    """Steps (interpolated between whole numbers) to an error of ``tolerance`` of max|w|, and errors seen."""
    reference = advance(equation, w, duration, finest)
    errors = {}
    for n_steps in counts:
        errors[n_steps] = float(
            np.abs(advance(equation, w, duration, n_steps) - reference).max() / np.abs(w).max()
        )
        if errors[n_steps] < tolerance:
            break
    counts, values = np.log(list(errors)), np.log(list(errors.values()))
    return float(np.exp(np.interp(np.log(tolerance), values[::-1], counts[::-1]))), errors


def measure_time(n, repeats, threads, tolerance=1e-6):
    """Time to a temporal error of 1e-6 over half a period, with the remainder and without."""
    parallel.set_thread_count(threads)
    duration = n / 2
    equations = {
        "order 0": without_remainder(n),
        "order 2, stencil": evolution(n, 2, remainder="stencil"),
        "order 2, spectral": evolution(n, 2),
    }
    w = packet(equations["order 0"].grid)
    needed, seen = {}, {}
    for name, equation in equations.items():
        needed[name], seen[name] = steps_needed(equation, w, duration, tolerance, 32)

    def stepping(name):
        u, dt = w.copy(), duration / needed[name]
        return lambda: STEPPERS["blanes_moan4"].step_in_place(equations[name], u, 0.0, dt)

    step = in_turn({name: stepping(name) for name in equations}, repeats)
    times = {f"{name}, one step": value for name, value in step.items()}
    times |= {f"{name}, to {tolerance:g}": step[name] * needed[name] for name in equations}
    ratios = {
        f"{name} / order 0, time to 1e-6": times[f"{name}, to {tolerance:g}"]
        / times[f"order 0, to {tolerance:g}"]
        for name in ("order 2, stencil", "order 2, spectral")
    }
    ratios |= {f"steps to 1e-6, {name}": value for name, value in needed.items()}
    ratios |= {f"error, {name}, {count} steps": error for name in seen for count, error in seen[name].items()}
    return times, ratios


def measure_magnetic(n, repeats, threads, tolerance=1e-6):
    """Time to 1e-6 with a uniform field of eight quanta at order 2, against the exact flows without field."""
    parallel.set_thread_count(threads)
    flux, duration = 16 * np.pi / n**2, n / 2
    equations = {
        "order 0": without_remainder(n),
        "order 2 with B": evolution(n, 2, flux),
        "order 2 with B, stencil": evolution(n, 2, flux, remainder="stencil"),
    }
    w = packet(equations["order 0"].grid)
    needed, seen = {}, {}
    for name, equation in equations.items():
        counts = (6, 8, 10, 12, 16, 20)
        needed[name], seen[name] = steps_needed(equation, w, duration, tolerance, 28, counts)

    def stepping(name):
        u, dt = w.copy(), duration / needed[name]
        return lambda: STEPPERS["blanes_moan4"].step_in_place(equations[name], u, 0.0, dt)

    def without_mixed_derivatives(name):
        flows, u, dt = (
            replace(equations[name].equation().fused, magnetic=None),
            w.copy(),
            duration / needed[name],
        )
        schedule = STEPPERS["blanes_moan4"]._sequence(len(flows.names))
        acting = [
            TimedFlow(flows.names[act.part], act.fraction * dt, act.polynomials)
            for act in schedule
            if act.part is not None
        ]
        return lambda: flows.advance(u, u, acting)

    fields = list(equations)[1:]
    candidates = {name: stepping(name) for name in equations}
    candidates |= {
        f"{name}, without mixed third derivatives": without_mixed_derivatives(name) for name in fields
    }
    step = in_turn(candidates, max(2, repeats // 2))
    times = {f"{name}, one step": value for name, value in step.items()}
    times |= {f"{name}, to {tolerance:g}": step[name] * needed[name] for name in equations}
    ratios = {
        f"{name} / order 0, time to 1e-6": times[f"{name}, to {tolerance:g}"]
        / times[f"order 0, to {tolerance:g}"]
        for name in fields
    }
    ratios |= {f"{name} / order 0, one step": value / step["order 0"] for name, value in step.items()}
    ratios |= {f"steps to 1e-6, {name}": value for name, value in needed.items()}
    ratios |= {f"error, {name}, {count} steps": error for name in seen for count, error in seen[name].items()}
    return times, ratios


def measure_rk4(n, repeats, threads, tolerance=1e-6):
    """The order-2 equation by RK4 (well made with pyfftw on whole arrays, naive in numpy) against the engine.

    RK4's steps follow from its error over the first steps of the stable size, and its order.
    """
    from wigner_sim import fourier

    parallel.set_thread_count(threads)
    fourier.set_threads(threads)
    fourier.set_planner(measured=True)
    duration = n / 2
    engine, rk4, naive = evolution(n, 2), WellMadeRungeKutta(n), NaiveRungeKutta(n)
    w = packet(engine.grid)
    stable = int(np.ceil(duration * rk4.equation.spectral_radius(0.0) / 2.8))
    few = min(8, stable)
    state = w
    for _ in range(few):
        state = rk4(state, duration / stable)
    fine = advance(engine, w, few * duration / stable, few)
    error = float(np.abs(state - fine).max() / np.abs(w).max()) * stable / few
    n_rk4 = int(np.ceil(stable * max(1.0, (error / tolerance) ** 0.25)))
    dt = duration / n_rk4
    needed, _ = steps_needed(engine, w, duration, tolerance, 32)
    u = w.copy()
    step = in_turn(
        {
            "engine, one step": lambda: STEPPERS["blanes_moan4"].step_in_place(
                engine, u, 0.0, duration / needed
            ),
            "pyfftw RK4, one step": lambda: rk4(w, dt),
            "naive numpy RK4, one step": lambda: naive(w, dt),
        },
        max(2, repeats // 3),
    )
    steps = {"engine": needed, "pyfftw RK4": n_rk4, "naive numpy RK4": n_rk4}
    times = step | {f"{name}, to 1e-6": step[f"{name}, one step"] * count for name, count in steps.items()}
    ratios = {
        f"order 2, spectral / {name}, time to 1e-6": times["engine, to 1e-6"] / times[f"{name}, to 1e-6"]
        for name in ("pyfftw RK4", "naive numpy RK4")
    }
    ratios |= {
        "RK4 steps (stability or accuracy)": n_rk4,
        "RK4 steps at the stability limit": stable,
        "engine steps": needed,
        "naive against pyfftw RK4, difference after a step": float(np.abs(naive(w, dt) - rk4(w, dt)).max()),
    }
    return times, ratios


def measure_memory(n, repeats, threads):
    """Peak of all arrays alive while stepping, w among them; and while the flows are set up."""
    parallel.set_thread_count(threads)
    warm_up = evolution(8, 2)
    advance(warm_up, packet(warm_up.grid), 0.1, 1)
    hamiltonian, grid = crystal(n)
    size = 8 * n**4
    tracemalloc.start()
    equation = BandEvolution(hamiltonian, grid, 0, EquationOptions(2, split=True))
    equation.equation()
    setting_up = tracemalloc.get_traced_memory()[1]
    w = packet(grid)
    tracemalloc.reset_peak()
    STEPPERS["blanes_moan4"].step_in_place(equation, w, 0.0, 1.0)
    stepping = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {}, {
        "peak memory / size of w": stepping / size,
        "set-up before w is made / size of w": setting_up / size,
    }


def measure_first_step(n, repeats, threads):
    """Import, set-up and first step in a new process: warm, and cold with an empty cache of kernels."""
    script = (
        "import sys, time; sys.path.insert(0, 'benchmarks'); import engine_candidates as b\n"
        "e = b.evolution(16, 2); w = b.packet(e.grid); i = time.perf_counter(); b.advance(e, w, 0.1, 1)\n"
        "print(time.perf_counter() - i)"
    )
    times = {}
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for name in ("first step, cold", "first step, warm"):
            environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
            result = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
            )
            times[name] = float(result.stdout)
    return times, {}


PARTS = {
    "pass": measure_pass,
    "wide": measure_wide,
    "threads": measure_threads,
    "time": measure_time,
    "magnetic": measure_magnetic,
    "rk4": measure_rk4,
    "memory": measure_memory,
    "first_step": measure_first_step,
}


def rows(times, ratios):
    """A part's numbers as rows of a table."""
    found = [{"what": label, "ms": 1e3 * value} for label, value in times.items()]
    return found + [
        {"what": label, "ratio": value, "goal": GOALS.get(label, "")} for label, value in ratios.items()
    ]


def main():
    options = parser(__doc__)
    options.set_defaults(repeats=7)
    options.add_argument("--points", type=int, default=48)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    arguments = options.parse_args()
    unknown = [name for name in arguments.only.split(",") if name not in PARTS]
    if unknown:
        options.error(f"--only: there is no part {unknown[0]!r}, only {', '.join(PARTS)}")
    global clock
    clock = arguments.clock
    n_points, repeats = (16, 2) if arguments.quick else (arguments.points, arguments.repeats)
    report = Report("bench_engine")
    for name in arguments.only.split(","):
        times, ratios = PARTS[name](n_points, repeats, arguments.threads)
        note = f"{n_points}^4, {arguments.threads} threads, {arguments.clock} time"
        report.add(Table(name, ("what", "ms", "ratio", "goal"), rows(times, ratios), note))
    report.save(arguments.output)


if __name__ == "__main__":
    main()
