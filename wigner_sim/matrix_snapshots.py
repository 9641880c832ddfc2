"""States of the full matrix equation in the form that comparisons use, whole or band by band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.exact_runs import exact_matrix_symbol
from wigner_sim.liouville import LiouvilleSnapshot
from wigner_sim.matrix_moyal import MatrixMoyal
from wigner_sim.problem import Problem
from wigner_sim.propagator import Propagator
from wigner_sim.symbols import Array, trace


def matrix_snapshots(
    problem: Problem,
    indices: Sequence[int],
    times: Sequence[float],
    tolerance: float,
    exact_start: bool = False,
) -> Iterator[LiouvilleSnapshot]:
    """Evolve the initial states of some bands together by the matrix equation; traces over all orbitals.

    Parameters
    ----------
    problem : Problem
    indices : sequence of int
        Positions among ``problem.bands``.
    times : sequence of float, increasing
    tolerance : float
        Error of the time step by the end, relative to the largest element of F.
    exact_start : bool
        Start from the symbol of the exact state rather than from ``pi * c * pi``.

    Raises
    ------
    CaseError
        If the Hamiltonian is not of the form that the matrix equation needs.
    """
    system = replace(problem, method="matrix").stack()
    assert isinstance(system, MatrixMoyal)
    f = matrix_state(problem, system, indices, exact_start)
    step = problem.choose_step(system, f, tolerance)
    propagator = Propagator(system, problem.stepper, f, step.dt)
    for time in times:
        yield matrix_snapshot(system, propagator.advance_to(time), time)


def matrix_state(problem: Problem, system: MatrixMoyal, indices: Sequence[int], exact: bool) -> Array:
    """Matrix symbol of the initial states of some bands."""
    if exact:
        return np.sum([exact_matrix_symbol(problem, index) for index in indices], axis=0)
    densities = problem.initial_density(system)
    for index in set(range(len(problem.bands))) - set(indices):
        densities[index] = 0.0
    return system.assemble(densities)


def matrix_snapshot(system: MatrixMoyal, f: Array, time: float) -> LiouvilleSnapshot:
    """What a matrix symbol looks like after the trace over orbitals."""
    grid, distribution = system.grid, trace(f).real
    return LiouvilleSnapshot(
        time=time,
        distribution=distribution,
        density=grid.integrate_momenta(distribution),
        momentum_distribution=grid.integrate_positions(distribution),
        energy=system.energy(f, time),
        particle_number=system.particle_number(f),
        current=system.current(f, time),
    )


def together(snapshots: Sequence[LiouvilleSnapshot]) -> LiouvilleSnapshot:
    """Sum of the states of several bands at one time."""
    if len({snapshot.time for snapshot in snapshots}) != 1:
        raise CaseError("states at different times cannot be added")

    def add(a: LiouvilleSnapshot, b: LiouvilleSnapshot) -> LiouvilleSnapshot:
        sums = {name: np.add(value, vars(b)[name]) for name, value in vars(a).items() if name != "time"}
        return LiouvilleSnapshot(time=a.time, **sums)

    return reduce(add, snapshots)
