"""Cost of a time step with the numbers of points, dimensions and bands, and with the order in gradients.

    python benchmarks/bench_scaling.py [--quick]

Every series changes one thing and keeps the rest; its members run in turn.  "ns per point" is the time of one
step over the points of phase space times bands: flat where the cost is proportional to the grid.
"""

from pathlib import Path

from harness import Report, Table, alternate, medians, parser

from wigner_sim.case import Case
from wigner_sim.problem import build_problem
from wigner_sim.propagator import Propagator

STEP, FEW = 0.01, 3
#: d -> (model, parameters, potential)
CRYSTALS = {
    1: ("rice_mele", {"delta": 0.6}, "0.2*cos(2*pi*x/L)"),
    2: ("qi_wu_zhang", {"mass": 3.0}, "0.2*cos(2*pi*x/L)"),
}


def stepping(n_x, n_k, bands=(0,), order=2, sites=24):
    """A few steps of a crystal with ``len(n_x)`` position and ``len(n_k)`` momentum axes; and its points."""
    model, parameters, potential = CRYSTALS[len(n_k)]
    length, momentum = "L" if len(n_x) == 1 else "Lx", "k" if len(n_k) == 1 else "kx"
    if len(n_x) > 1:
        potential = "0.2*cos(2*pi*x/Lx) + 0.2*cos(2*pi*y/Ly)"
    case = {
        "title": "scaling",
        "grid": {"sites": [sites] * len(n_x), "n_x": list(n_x), "n_k": list(n_k)},
        "hamiltonian": {"source": f"named:{model}", "parameters": parameters, "potential": potential},
        "bands": {"select": list(bands)},
        "equation": {"order": order},
        "initial_state": {"kind": "symbol", "c": f"exp(cos(2*pi*x/{length}) + 0.5*cos({momentum}))"},
        "time": {"end": 1.0, "stepper": "blanes_moan4"},
    }
    problem = build_problem(Case.from_dict(case, Path(__file__)))
    stack = problem.stack()
    w = problem.initial_density(stack)

    def run():
        Propagator(stack, problem.stepper, w.copy(), STEP).advance_to(FEW * STEP)

    return run, w.size


def series(quick):
    """Name of each series -> what its members are called -> arguments of :func:`stepping`."""
    top = 1 if quick else 2
    return {
        "n_x": {n: ((n,), (64,)) for n in (32, 64, 128, 256, 512)[: 2 + top]},
        "n_k": {n: ((64,), (n,)) for n in (32, 64, 128, 256, 512)[: 2 + top]},
        "axes": {
            "x; k": ((64,), (64,)),
            "x; kx, ky": ((16,), (16, 16)),
            **({} if quick else {"x, y; kx, ky": ((16, 16), (16, 16))}),
        },
        "n in (x, y; kx, ky)": {n: ((n, n), (n, n)) for n in ((8, 12) if quick else (12, 16, 24, 32, 48))},
        "bands": {n: ((128,), (64,), tuple(range(n))) for n in (1, 2)},
        "order": {n: ((128,), (64,), (0,), n) for n in (0, 1, 2)},
    }


def main():
    chosen = parser(__doc__).parse_args()
    report, rows = Report("scaling"), []
    for name, members in series(chosen.quick).items():
        ready = {member: stepping(*arguments) for member, arguments in members.items()}
        seconds = medians(
            alternate({m: run for m, (run, _) in ready.items()}, chosen.repeats, clock=chosen.clock)
        )
        first = next(iter(seconds.values()))
        rows += [
            {
                "series": name,
                "member": member,
                "points": points,
                "ms per step": 1e3 * seconds[member] / FEW,
                "ns per point": 1e9 * seconds[member] / FEW / points,
                "ratio": seconds[member] / first,
            }
            for member, (_, points) in ready.items()
        ]
    note = "blanes_moan4 at order 2, one band, 64 or 128 points where the series does not say."
    report.add(Table("Cost of one step", tuple(rows[0]), rows, note))
    print(report.save(chosen.output))


if __name__ == "__main__":
    main()
