"""What a run costs beside its steps: finite numbers, scalars, guards, progress, status, records.

    python benchmarks/bench_overhead.py [--points 48] [--clock cpu] [--steps 9]

A 2D crystal in the splitting engine at order 2.  The steps of a run and what lies between them are timed in
turn as they come, in one process; set-up and the first and last record are not counted, they are there once.
"By default" every stream has its default share of records where each step ends in a record of scalars: fields
after every second, the state after every fourth.
"""

import statistics
import tempfile
from pathlib import Path

from bench_output import crystal, timed
from harness import CLOCKS, Report, Table, parser

from wigner_sim.observables import OBSERVABLES, BandFlows, BandState
from wigner_sim.run_directory import create_run_directory
from wigner_sim.simulation import Simulation, prepare
from wigner_sim.validity import adiabaticity, metric_smearing

NEVER = {
    "scalars_every": "never",
    "fields_every": "never",
    "phase_every": "never",
    "checkpoint_every": "never",
}
EVERY_STEP = NEVER | {"scalars_every": {"steps": 1}}
RUNS = {
    "nothing recorded": (NEVER, "off"),
    "scalars after every step, validity off": (EVERY_STEP, "off"),
    "scalars after every step": (EVERY_STEP, "auto"),
    "by default": (EVERY_STEP | {"fields_every": {"steps": 2}, "phase_every": {"steps": 4}}, "auto"),
}
SCALARS = (
    "particle_number",
    "energy",
    "spectral_tail_x",
    "spectral_tail_k",
    "occupation_min",
    "current_total",
)


def between_steps(n, n_steps, output, validity, now):
    """Median seconds of a step, and mean seconds from the end of a step to the beginning of the next one."""
    with tempfile.TemporaryDirectory() as place:
        monitors = {"validity": validity}
        case = crystal(n, Path(place) / "case.toml", n_steps + 1, output=output, monitors=monitors)
        (Path(place) / "case.toml").touch()
        prepared = prepare(case)
        begun, ended, advance = [], [], prepared.propagator.advance

        def timed_step(limit):
            begun.append(now())
            advance(limit)
            ended.append(now())

        prepared.propagator.advance = timed_step
        Simulation(prepared, create_run_directory(case)).integrate()
    steps = [end - begin for begin, end in zip(begun, ended, strict=True)][1:]
    gaps = [begin - end for begin, end in zip(begun[1:], ended, strict=False)]
    return statistics.median(steps), statistics.mean(gaps)


def each_scalar(n, repeats, now):
    """Median seconds of a step, and of each scalar by itself."""
    prepared = prepare(crystal(n))
    propagator, flows = prepared.propagator, BandFlows(prepared.stack.bands[0])
    flow = flows.at(0.0)

    def measured(function):
        return lambda: function(BandState(flow.effective, propagator.w[0], flow))

    work = {"step": lambda: propagator.advance(1e9)}
    work |= {name: measured(OBSERVABLES[name].function) for name in SCALARS}
    work |= {"adiabaticity": measured(adiabaticity), "metric_smearing": measured(metric_smearing)}
    times = {name: [] for name in work}
    for turn in range(repeats + 1):
        for name, run in work.items():
            taken = timed(run, now)
            if turn:
                times[name].append(taken)
    return {name: statistics.median(values) for name, values in times.items()}


def main():
    options = parser(__doc__)
    options.add_argument("--points", type=int)
    options.add_argument("--steps", type=int, default=9)
    chosen = options.parse_args()
    n, now = chosen.points or (16 if chosen.quick else 48), CLOCKS[chosen.clock]
    report, rows = Report("overhead"), []
    for name, (output, validity) in RUNS.items():
        step, gap = between_steps(n, chosen.steps, output, validity, now)
        rows.append({"run": name, "step, ms": 1e3 * step, "between, ms": 1e3 * gap, "ratio": gap / step})
    note = f"{n}^4, order 2, {chosen.clock} time"
    report.add(Table("Between two steps", tuple(rows[0]), rows, note))
    seconds = each_scalar(n, chosen.repeats, now)
    rows = [{"what": name, "ms": 1e3 * t, "ratio": t / seconds["step"]} for name, t in seconds.items()]
    report.add(Table("Single scalars", tuple(rows[0]), rows, note))
    report.save(chosen.output)


if __name__ == "__main__":
    main()
