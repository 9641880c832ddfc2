"""General H(x, k) in four dimensions: set-up of its geometry, one step, and the memory of both.

    python benchmarks/bench_general.py [--threads 2] [--quick]

A massive Dirac crystal whose mass varies along x and y, in no way H0(k) + U(x).  "dense" is the right-hand
side on whole arrays with stored coefficients.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from harness import Report, Table, alternate, medians, parser, peak_memory

from wigner_sim.feasibility import memory_needed
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.kinetics.equation import unsplit_equation
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.kinetics.velocity import DenseVelocity, ProductVelocity
from wigner_sim.models import Hamiltonian
from wigner_sim.models.matrices import pauli_combination
from wigner_sim.steppers import STEPPERS
from wigner_sim.threads import set_threads

SITES = 20.0
#: After so many steps of rk4 nodes in time and equations are replaced, not added.
DRIVEN_STEPS = 9


def hamiltonian() -> Hamiltonian:
    """Two orbitals, mass from 0.4 to 1.6."""

    def matrix(x: np.ndarray, k: np.ndarray, t: float) -> np.ndarray:
        big_x, big_y = 2 * np.pi * x / SITES
        kx, ky = k
        mass = 1.0 + 0.3 * np.cos(big_x) + 0.2 * np.sin(big_y) + 0.1 * np.cos(big_x + big_y)
        ones = np.ones_like(mass)
        return pauli_combination(ones * np.sin(kx), ones * np.sin(ky), mass + 2 - np.cos(kx) - np.cos(ky))

    return Hamiltonian(matrix, 2, 2, name="textured mass")


def evolution(n: int, order: int = 2, split: bool = False) -> BandEvolution:
    """The lower band on n^4 points."""
    grid = PhaseSpaceGrid((n, n), (n, n), (SITES, SITES))
    return BandEvolution(hamiltonian(), grid, 0, EquationOptions(order, split=split))


def driven_evolution(n: int, order: int) -> BandEvolution:
    """The same with a mass that moves, on n^4 points."""
    still = hamiltonian()

    def matrix(x: np.ndarray, k: np.ndarray, t: float) -> np.ndarray:
        return still.matrix(x - 0.5 * t, k, t)

    grid = PhaseSpaceGrid((n, n), (n, n), (SITES, SITES))
    options = EquationOptions(order, difference_step=1e-3, refresh_interval=0.5, refresh_tolerance=1e-6)
    return BandEvolution(Hamiltonian(matrix, 2, 2, time_dependent=True), grid, 0, options)


def density(grid: PhaseSpaceGrid) -> np.ndarray:
    """A packet in the middle."""
    x, y, kx, ky = grid.coordinates
    return np.exp(-((x - SITES / 2) ** 2 + (y - SITES / 2) ** 2) / 18 - (kx**2 + ky**2) / 1.5)


# --- work measured in a process of its own ---


def set_up(n: int, order: int, threads: int) -> Callable[[], object]:
    """Geometry and coefficients."""
    set_threads(threads)
    band = evolution(n, order)

    def work() -> None:
        band.effective()
        band.equation()

    return work


def stepping(n: int, stepper: str, threads: int) -> Callable[[], object]:
    """Two steps, everything else there already."""
    set_threads(threads)
    band = evolution(n, split=stepper != "rk4")
    band.equation()
    w = density(band.grid)
    step = 0.5 / max(1.0, band.spectral_radius(0.0))

    def work() -> None:
        state = w
        for _ in range(2):
            state = STEPPERS[stepper].step(band, state, 0.0, step)

    return work


def driven(n: int, order: int, threads: int) -> Callable[[], object]:
    """Everything from the geometry on, for as many steps as fill what is kept of earlier times."""
    set_threads(threads)
    band = driven_evolution(n, order)

    def work() -> None:
        w = density(band.grid)
        for step in range(DRIVEN_STEPS):
            w = STEPPERS["rk4"].step(band, w, float(step), 1.0)

    return work


# --- tables ---


def driven_table(sizes: list[int], threads: int) -> Table:
    rows = []
    for n in sizes:
        for order in (0, 1, 2):
            peak = peak_memory(__file__, "driven", n, order, threads).working / (8 * n**4)
            forecast = memory_needed(driven_evolution(n, order).grid, 2, order, False, True) / (8 * n**4)
            row = {"grid": f"{n}^4", "order": order, "peak / w": peak, "forecast / w": forecast}
            rows.append(row | {"forecast / peak": forecast / peak})
    return Table("memory of a driven H(x, k, t)", list(rows[0]), rows, "rk4, set-up and libraries included")


def set_up_table(sizes: list[int], threads: int) -> Table:
    rows = []
    for n in sizes:
        for order in (0, 1, 2):
            set_threads(threads)
            band = evolution(n, order)
            wall, cpu = time.perf_counter(), time.process_time()
            band.effective()
            band.equation()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            peak = peak_memory(__file__, "set_up", n, order, threads).working
            size = 8 * n**4
            rows.append(
                {
                    "grid": f"{n}^4",
                    "order": order,
                    "wall s": wall,
                    "cpu s": cpu,
                    "peak GB": peak / 1e9,
                    "peak / w": peak / size,
                }
            )
    return Table("set-up", list(rows[0]), rows, f"N = 2, {threads} threads; w is one real array on the grid")


def step_table(sizes: list[int], threads: int, repeats: int, clock: str) -> Table:
    set_threads(threads)
    rows = []
    for n in sizes:
        band = evolution(n)
        effective, short = band.effective(), band.equation()
        w = density(band.grid)
        dense = unsplit_equation(effective, band.options, DenseVelocity(phase_space_velocity(effective)))
        candidates = {"blocks": partial(short.rhs, w, 0.0), "dense": partial(dense.rhs, w, 0.0)}
        times = medians(alternate(candidates, repeats, clock=clock))
        velocity = short.flows[0].velocity
        terms = max(velocity.n_terms) if isinstance(velocity, ProductVelocity) else 0
        peak = peak_memory(__file__, "stepping", n, "rk4", threads).working
        rows.append(
            {
                "grid": f"{n}^4",
                "products in V": terms,
                "rate, blocks, ms": 1e3 * times["blocks"],
                "rate, dense, ms": 1e3 * times["dense"],
                "rk4 peak / w": peak / (8 * n**4),
            }
        )
    return Table("one evaluation of d_t w, order 2", list(rows[0]), rows, f"{threads} threads, {clock} time")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    sizes = [16, 20] if chosen.quick else [16, 24, 32]
    report = Report("general")
    report.add(set_up_table(sizes, chosen.threads))
    report.add(step_table(sizes, chosen.threads, chosen.repeats, chosen.clock))
    report.add(driven_table([8] if chosen.quick else [12, 16], chosen.threads))
    report.save(chosen.output)


if __name__ == "__main__":
    main()
