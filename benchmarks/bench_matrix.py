"""Wall time and memory of the full matrix equation, on one core.

    python benchmarks/bench_matrix.py [--repeats 3] [--sizes chain plane]

Prints, for a chain of 256 x 256 points and a plane of 32^4 points, both with two orbitals, the size of the
state, the median time of one step of each splitting scheme (after the first, which makes the exponentials),
and the largest memory the process has had.
"""

import resource
import statistics
import time

import numpy as np
from harness import Report, Table, parser

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.matrix_moyal import MatrixMoyal
from wigner_sim.models import build_hamiltonian
from wigner_sim.steppers import STEPPERS


def chain():
    """Rice-Mele chain in a potential."""
    parameters = {"t1": 1.0, "t2": 0.6, "delta": 0.6}
    hamiltonian = build_hamiltonian("rice_mele", parameters, "0.3*cos(2*pi*x/L)", 1, 1, (256.0,))
    return hamiltonian, PhaseSpaceGrid((256,), (256,), (256.0,))


def plane():
    """Dirac crystal in a potential of x and y."""
    parameters = {"mass": 1.8, "velocity": 0.4, "wilson": 0.2}
    potential = "0.3*cos(2*pi*x/Lx) + 0.2*sin(2*pi*y/Ly)"
    hamiltonian = build_hamiltonian("massive_dirac", parameters, potential, 2, 2, (64.0, 64.0))
    return hamiltonian, PhaseSpaceGrid((32, 32), (32, 32), (64.0, 64.0))


SIZES = {"chain": chain, "plane": plane}


def measure(name, repeats):
    """Seconds of a step of each scheme, and of reading the state in both bands, as rows of a table."""
    hamiltonian, grid = SIZES[name]()
    system = MatrixMoyal(hamiltonian, grid, (0, 1), EquationOptions(order=2))
    occupied = np.ones(grid.shape) * (1 + 0.3 * np.cos(grid.momenta[0]))
    started = time.perf_counter()
    f = system.assemble(np.stack([occupied, 0.0 * occupied]))
    rows = [row("state", f.nbytes / 1e6, "MB"), row("assembled", seconds(started), "s")]
    for scheme in ("strang", "blanes_moan4"):
        taken = []
        for _ in range(repeats + 1):
            started = time.perf_counter()
            f = STEPPERS[scheme].step(system, f, 0.0, 0.1)
            taken.append(seconds(started))
        first, later = taken[0], statistics.median(taken[1:])
        rows += [row(f"{scheme}, first step", first, "s"), row(f"{scheme}, a later step", later, "s")]
    started = time.perf_counter()
    system.densities(f, 0.0)
    rows.append(row("both bands", seconds(started), "s"))
    rows.append(row("peak memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, "GB"))
    return rows


def row(what, value, unit):
    """One line of the table."""
    return {"what": what, "value": value, "unit": unit}


def seconds(started):
    """Wall time since."""
    return time.perf_counter() - started


def main():
    arguments = parser(__doc__)
    arguments.set_defaults(repeats=3)
    arguments.add_argument("--sizes", nargs="*", choices=SIZES, default=list(SIZES))
    options = arguments.parse_args()
    report = Report("bench_matrix")
    for name in options.sizes[:1] if options.quick else options.sizes:
        report.add(Table(name, ("what", "value", "unit"), measure(name, options.repeats)))
    report.save(options.output)


if __name__ == "__main__":
    main()
