"""The problem of a case in a few lines, for the log of a run and for ``wigner-sim check``."""

from __future__ import annotations

from collections.abc import Sequence

from wigner_sim.kinetics.equation import wants_engine
from wigner_sim.parallel import thread_count
from wigner_sim.problem.definition import Problem


def describe(problem: Problem) -> Sequence[str]:
    """A few lines on what will be solved."""
    grid, options = problem.grid, problem.options
    points = ", ".join(f"{n} points in {name}" for n, name in zip(grid.shape, grid.dims, strict=True))
    size = ", ".join(f"{length:g}" for length in grid.lengths) or "none (homogeneous)"
    h = problem.hamiltonian
    kind = "H0(k) + U(x, t)" if h.separable else "H(x, k, t)"
    driven = "driven" if h.driven else "static"
    force = "" if h.force is None else " with a uniform force"
    bands = ", ".join(map(str, problem.bands))
    off = ", ".join(options.terms.switched_off()) or "nothing"
    equation = (
        f"order {options.order}, switched off: {off}, dealias {options.dealias}, "
        f"Moyal filter {options.moyal_filter}, Moyal series {options.moyal_series}"
    )
    if problem.method == "matrix":
        equation = f"full matrix, all orders; bands to order {options.order}"
    how = "on whole arrays"
    if problem.method == "kinetic" and problem.interaction is None and wants_engine(grid, options):
        how = f"in compiled blocks, remainder {options.remainder}"
    return [
        f"grid: {points}; position periods in lattice constants: {size}",
        f"Hamiltonian: {h.name}, {h.n_orbitals} orbitals, {kind}{force}, {driven}; bands {bands}",
        f"equation: {equation}",
        f"stepping: {problem.stepper.name} {how}, {problem.precision}, threads: {thread_count()}",
        *problem.baths.describe(),
        *([] if problem.interaction is None else [f"mean field: {problem.interaction.kind} interaction"]),
    ]
