"""What an exact state looks like in phase space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.liouville.evolution import evolve_driven, evolve_static
from wigner_sim.liouville.operators import quantize_hamiltonian
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.weyl import grid_sites, momentum_distribution, operator_to_symbol, position_density

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True)
class LiouvilleSnapshot:
    """What the exact state looks like in phase space at one time.

    Parameters
    ----------
    time : float
    distribution : array (*x, *k)
        ``f = tr F``, the trace of the Weyl symbol of the state.
    density : array (*x)
        ``n(x) = int dk/(2 pi)^d f``.
    momentum_distribution : array (*k)
        ``n(k) = int dx f``.
    energy, particle_number : float
        ``tr(rho H)``, ``tr rho``.
    """

    time: float
    distribution: FloatArray
    density: FloatArray
    momentum_distribution: FloatArray
    energy: float
    particle_number: float


def observe_state(
    state: ComplexArray,
    operator: ComplexArray,
    grid: PhaseSpaceGrid,
    orbital_positions: FloatArray,
    time: float,
) -> LiouvilleSnapshot:
    """Phase-space picture of a state.  Density and momentum distribution are exact, also on a coarse grid."""
    return LiouvilleSnapshot(
        time=time,
        distribution=operator_to_symbol(state, grid, orbital_positions, trace=True).real,
        density=position_density(state, grid, orbital_positions),
        momentum_distribution=momentum_distribution(state, grid, orbital_positions),
        energy=float(np.vdot(state, operator).real),
        particle_number=float(np.trace(state).real),
    )


def run_liouville(
    hamiltonian: Hamiltonian,
    grid: PhaseSpaceGrid,
    state: ComplexArray,
    times: Sequence[float],
    initial_time: float = 0.0,
    time_step: float | None = None,
    tolerance: float = 1e-9,
) -> Iterator[LiouvilleSnapshot]:
    """Evolve a state given at ``initial_time`` and yield a snapshot on ``grid`` at each of ``times``.

    The ring has ``grid.lengths`` sites.  ``time_step`` and ``tolerance`` concern a time-dependent Hamiltonian
    only, see :func:`evolve_driven`.
    """
    sites = grid_sites(grid)

    def operator(t: float) -> ComplexArray:
        return quantize_hamiltonian(hamiltonian, sites, t)

    static = operator(initial_time)
    if hamiltonian.time_dependent:
        states = evolve_driven(operator, state, times, initial_time, time_step, tolerance)
    else:
        states = evolve_static(static, state, times, initial_time)
    for t, rho in zip(times, states, strict=True):
        current = operator(t) if hamiltonian.time_dependent else static
        yield observe_state(rho, current, grid, hamiltonian.orbital_positions, t)
