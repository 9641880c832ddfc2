"""States of a band: from an occupation symbol, or in equilibrium."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.liouville.occupied import SubspaceState, product
from wigner_sim.liouville.operators import cheapest_form, hermitian_part
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
    state = subspace_state_from_symbol(
        projector, symbol, n_sites, orbital_positions, grid, cell_flux, canonical_momentum
    )
    return state.dense()


def subspace_state_from_symbol(
    projector: BandProjector,
    symbol: SymbolFunction | NDArray,
    n_sites: int | Sequence[int],
    orbital_positions: FloatArray,
    grid: PhaseSpaceGrid | None = None,
    cell_flux: ArrayLike | None = None,
    canonical_momentum: Sequence[float] = (),
) -> SubspaceState:
    """The same state by its elements in the basis of the projector."""
    occupation = symbol_to_operator(symbol, n_sites, orbital_positions, grid, cell_flux, canonical_momentum)
    basis = projector.basis
    image = cheapest_form(occupation) @ basis
    return SubspaceState(basis, hermitian_part(product(basis.conj().T, image)), projector.energies)


def thermal_state(
    operator: ComplexArray, projector: BandProjector, chemical_potential: float, temperature: float
) -> ComplexArray:
    """Equilibrium of the band, ``n_F(Pi H Pi)`` in the range of Pi (temperature: an energy, may be 0)."""
    return thermal_subspace_state(operator, projector, chemical_potential, temperature).dense()


def thermal_subspace_state(
    operator: ComplexArray, projector: BandProjector, chemical_potential: float, temperature: float
) -> SubspaceState:
    """The same state by its elements in the basis of the projector."""
    if temperature < 0:
        raise CaseError(f"the temperature must not be negative, got {temperature}")
    basis, energies = projector.basis, projector.energies
    states = None
    if energies is None:
        energies, states = np.linalg.eigh(hermitian_part(basis.conj().T @ operator @ basis))
    if temperature == 0:
        occupation = (energies < chemical_potential).astype(float)
    else:
        occupation = expit((chemical_potential - energies) / temperature)
    matrix = np.diag(occupation) if states is None else (states * occupation) @ states.conj().T
    return SubspaceState(basis, matrix.astype(complex), projector.energies)
