"""States of a band: from an occupation symbol, or in equilibrium."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.liouville.operators import hermitian_part
from wigner_sim.liouville.projectors import BandProjector
from wigner_sim.weyl import SymbolFunction, symbol_to_operator

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


def state_from_symbol(
    projector: BandProjector,
    symbol: SymbolFunction | NDArray,
    n_sites: int | Sequence[int],
    orbital_positions: FloatArray,
    grid: PhaseSpaceGrid | None = None,
    cell_flux: ArrayLike | None = None,
    canonical_momentum: Sequence[float] = (),
) -> ComplexArray:
    """State ``rho = Pi Op(c) Pi`` of a band with occupation symbol c (a function, or values on ``grid``).

    The last two parameters are those of :func:`~wigner_sim.liouville.quantize_hamiltonian`.
    """
    occupation = symbol_to_operator(symbol, n_sites, orbital_positions, grid, cell_flux, canonical_momentum)
    basis = projector.basis
    return hermitian_part(basis @ (basis.conj().T @ occupation @ basis) @ basis.conj().T)


def thermal_state(
    operator: ComplexArray, projector: BandProjector, chemical_potential: float, temperature: float
) -> ComplexArray:
    """Equilibrium of the band, ``n_F(Pi H Pi)`` in the range of Pi (temperature: an energy, may be 0)."""
    if temperature < 0:
        raise CaseError(f"the temperature must not be negative, got {temperature}")
    energies, states = np.linalg.eigh(hermitian_part(projector.basis.conj().T @ operator @ projector.basis))
    if temperature == 0:
        occupation = (energies < chemical_potential).astype(float)
    else:
        occupation = expit((chemical_potential - energies) / temperature)
    orbitals = projector.basis @ states
    return (orbitals * occupation) @ orbitals.conj().T
