"""Operators of a Hamiltonian on the sites of a ring or torus (dense matrices)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from wigner_sim.errors import CaseError
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.weyl import BondSampler, site_numbers, symbol_to_operator

ComplexArray = NDArray[np.complex128]
#: A dense or sparse matrix.
Matrix = Any

#: Parts of an operator below this fraction of its largest element are rounding errors.
ROUNDING = 2e-16
#: Largest number of states of a dense run.
MAXIMUM_STATES = 4000


def quantize_hamiltonian(
    hamiltonian: Hamiltonian,
    n_sites: int | Sequence[int],
    t: float = 0.0,
    cell_flux: ArrayLike | None = None,
    canonical_momentum: Sequence[float] = (),
) -> ComplexArray:
    """Operator of ``H(x, k, t)`` on a ring or torus, shape (sites * n, sites * n), site-major, Hermitian.

    Parameters
    ----------
    hamiltonian : Hamiltonian
    n_sites : int or tuple of int, length s
    t : float
    cell_flux : array (d, d), optional
        Magnetic flux per cell; a whole number of quanta on the torus.
    canonical_momentum : sequence of float, length d - s
        Label of the fibre if there are fewer position than momentum axes.

    Raises
    ------
    CaseError
        If there are more than ``MAXIMUM_STATES`` states, or the symbol is not Hermitian.
    """
    tau = hamiltonian.orbital_positions
    sites = site_numbers(n_sites, tau, len(canonical_momentum))
    refuse_large(prod(sites) * hamiltonian.n_orbitals)
    operator = symbol_to_operator(
        lambda x, k: hamiltonian.matrix(x, k, t),
        sites,
        tau,
        cell_flux=cell_flux,
        canonical_momentum=canonical_momentum,
    )
    return _checked_hermitian(operator, hamiltonian, t)


def hermitian_operator(hamiltonian: Hamiltonian, sampler: BondSampler, t: float) -> scipy.sparse.csr_array:
    """All fibres of a short-ranged Hamiltonian at time t, checked like :func:`quantize_hamiltonian`."""
    return _checked_hermitian(sampler.operator(t), hamiltonian, t)


def _checked_hermitian(operator: Any, hamiltonian: Hamiltonian, t: float) -> Any:
    defect = abs(operator - operator.conj().T).max()
    if not defect <= 1e-10 * abs(operator).max():
        raise CaseError(
            f"the Hamiltonian {hamiltonian.name!r} is not Hermitian at t = {t:g}: "
            f"its elements differ by {defect:.1e}"
        )
    return (operator + operator.conj().T) / 2


def dense_blocks(operator: scipy.sparse.csr_array, n_blocks: int) -> ComplexArray:
    """Blocks (n_blocks, states, states) of a block-diagonal matrix."""
    n = operator.shape[0] // n_blocks
    blocks = np.zeros((n_blocks, n, n), dtype=complex)
    elements = operator.tocoo()
    rows, columns = elements.coords
    blocks[rows // n, rows % n, columns % n] = elements.data
    return blocks


def hermitian_part(matrix: ComplexArray) -> ComplexArray:
    """Remove the anti-Hermitian rounding error."""
    return (matrix + matrix.conj().T) / 2


def is_sparse(matrix: NDArray[Any]) -> bool:
    """Whether few enough elements are not zero for sparse products to pay."""
    return len(matrix) > 64 and int(np.count_nonzero(matrix)) < 0.1 * matrix.size


def is_real(matrix: ComplexArray) -> bool:
    """Whether imaginary parts are rounding."""
    return float(np.abs(matrix.imag).max(initial=0)) <= ROUNDING * float(np.abs(matrix.real).max(initial=0))


def cheapest_form(operator: ComplexArray) -> Matrix:
    """The same matrix, less rounding, for products from the left: real if it is, sparse if that pays."""
    matrix: NDArray[Any] = operator.real.copy() if is_real(operator) else operator.copy()
    matrix[np.abs(matrix) <= ROUNDING * np.abs(matrix).max(initial=0)] = 0
    return scipy.sparse.csr_array(matrix) if is_sparse(matrix) else matrix


def tidied(operator: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """A sparse matrix without elements (and imaginary parts) that are rounding errors."""
    matrix = operator.real.tocsr() if is_real(operator.data) else operator.copy()
    matrix.data[np.abs(matrix.data) <= ROUNDING * np.abs(matrix.data).max(initial=0)] = 0
    matrix.eliminate_zeros()
    return matrix


def refuse_large(n_states: int) -> None:
    """CaseError if a dense matrix of this many states would be too large."""
    if n_states > MAXIMUM_STATES:
        raise CaseError(
            f"the dense Liouville-von Neumann reference would need {n_states} states, more than "
            f"{MAXIMUM_STATES}: use fewer sites, or the full matrix Moyal equation"
        )
