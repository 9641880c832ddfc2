"""What an exact state looks like in phase space."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.liouville.occupied import weighted_projector
from wigner_sim.liouville.operators import Matrix
from wigner_sim.weyl import momentum_distribution, operator_to_symbol, position_density

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
        ``tr(rho H)``, ``tr rho``; per cell of the directions without a position axis.
    current : array (d, *x)
        Particle current density, see :mod:`wigner_sim.liouville.currents`.
    """

    time: float
    distribution: FloatArray
    density: FloatArray
    momentum_distribution: FloatArray
    energy: float
    particle_number: float
    current: FloatArray


def observe_state(
    state: ComplexArray,
    operator: ComplexArray,
    grid: PhaseSpaceGrid,
    orbital_positions: FloatArray,
    time: float,
    current: FloatArray,
) -> LiouvilleSnapshot:
    """Phase-space picture of a state.  Density and momentum distribution are exact, also on a coarse grid.

    ``state`` and ``operator`` have shape (*p, states, states), with an axis of fibres for each missing
    position axis; energy and particle number are means over fibres.
    """
    n_fibres = prod(state.shape[:-2])
    return LiouvilleSnapshot(
        time=time,
        distribution=operator_to_symbol(state, grid, orbital_positions, trace=True).real,
        density=position_density(state, grid, orbital_positions),
        momentum_distribution=momentum_distribution(state, grid, orbital_positions),
        energy=float(np.vdot(state, operator).real) / n_fibres,
        particle_number=float(np.trace(state, axis1=-2, axis2=-1).real.sum()) / n_fibres,
        current=current,
    )


def observe_waves(
    columns: ComplexArray,
    weights: FloatArray,
    operator: Matrix,
    grid: PhaseSpaceGrid,
    orbital_positions: FloatArray,
    time: float,
    current: FloatArray,
) -> LiouvilleSnapshot:
    """The same picture of ``sum_j w_j |psi_j><psi_j|``, orbitals at one place at a time.

    ``columns`` has shape (states, rank); nothing larger than sites x sites is made.
    """
    n, parts = len(orbital_positions), []
    for place in np.unique(orbital_positions, axis=0):
        here = np.flatnonzero((orbital_positions == place).all(axis=1))
        waves = np.concatenate([columns[o::n] for o in here], axis=1)
        state = weighted_projector(waves, np.tile(weights, len(here)))
        tau = place[None]
        parts.append(
            (
                operator_to_symbol(state, grid, tau, trace=True).real,
                position_density(state, grid, tau),
                momentum_distribution(state, grid, tau),
            )
        )
    distribution, density, momenta = (sum(arrays[1:], start=arrays[0]) for arrays in zip(*parts, strict=True))
    energies = np.einsum("ij,ij->j", columns.conj(), operator @ columns).real
    return LiouvilleSnapshot(
        time=time,
        distribution=distribution,
        density=density,
        momentum_distribution=momenta,
        energy=float(weights @ energies),
        particle_number=float(weights @ np.einsum("ij,ij->j", columns.conj(), columns).real),
        current=current,
    )
