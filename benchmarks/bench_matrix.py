"""Wall time and memory of the full matrix equation, on one core.

    python benchmarks/bench_matrix.py [--repeats 3] [--sizes chain plane]

Prints, for a chain of 256 x 256 points and a plane of 32^4 points, both with two orbitals, the size of the
state, the median time of one step of each splitting scheme (after the first, which makes the exponentials),
and the largest memory the process has had.
"""

import argparse
import resource
import statistics
import time

import numpy as np

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
    """Print one line per scheme, and what reading the state in both bands costs."""
    hamiltonian, grid = SIZES[name]()
    system = MatrixMoyal(hamiltonian, grid, (0, 1), EquationOptions(order=2))
    occupied = np.ones(grid.shape) * (1 + 0.3 * np.cos(grid.momenta[0]))
    started = time.perf_counter()
    f = system.assemble(np.stack([occupied, 0.0 * occupied]))
    print(f"{name}: grid {grid.shape}, state {f.nbytes / 1e6:.3g} MB, assembled in {seconds(started):.3g} s")
    for scheme in ("strang", "blanes_moan4"):
        taken = []
        for _ in range(repeats + 1):
            started = time.perf_counter()
            f = STEPPERS[scheme].step(system, f, 0.0, 0.1)
            taken.append(seconds(started))
        first, later = taken[0], statistics.median(taken[1:])
        print(f"  {scheme:13s} {first:8.3g} s for the first step, {later:8.3g} s after")
    started = time.perf_counter()
    system.densities(f, 0.0)
    print(f"  both bands    {seconds(started):8.3g} s")
    print(f"  peak memory   {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:8.3g} GB")


def seconds(started):
    """Wall time since."""
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=list(SIZES))
    options = parser.parse_args()
    for name in options.sizes:
        measure(name, options.repeats)


if __name__ == "__main__":
    main()
