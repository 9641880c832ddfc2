"""States by the subspace they occupy, ``rho = basis matrix basis^+``, and the wave functions in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

#: Wave functions whose weight is below this part of the largest one are left out.
_NEGLIGIBLE = 1e-15
#: Below this size a plain product is as fast as one of half the work.
_SMALL = 128
#: Rows of a Hermitian matrix that are mirrored at once.
_STRIP = 256


@dataclass(frozen=True, eq=False)
class SubspaceState:
    """``rho = basis matrix basis^+`` on the states of a band.

    Parameters
    ----------
    basis : array (states, rank), orthonormal columns
    matrix : array (rank, rank), Hermitian
    energies : array (rank,), optional
        If the columns are eigenstates of the Hamiltonian.
    """

    basis: NDArray[Any]
    matrix: ComplexArray
    energies: FloatArray | None = None

    def __add__(self, other: SubspaceState) -> SubspaceState:
        """Sum of two states on the same basis."""
        if self.basis is not other.basis:
            raise ValueError("only states on the same basis can be added")
        return SubspaceState(self.basis, self.matrix + other.matrix, self.energies)

    def dense(self) -> ComplexArray:
        """The state as a matrix (states, states)."""
        weights, coefficients = self.factors()
        return weighted_projector(product(self.basis, coefficients), weights)

    def factors(self) -> tuple[FloatArray, ComplexArray]:
        """Weights (m,) and coefficients (rank, m) of the wave functions ``basis @ coefficients``."""
        return factors(self.matrix)


def factors(matrix: ComplexArray) -> tuple[FloatArray, ComplexArray]:
    """Weights and orthonormal columns of ``columns diag(weights) columns^+``, without negligible ones."""
    off_diagonal = matrix.copy()
    np.fill_diagonal(off_diagonal, 0)
    if off_diagonal.any():
        weights, columns = np.linalg.eigh((matrix + matrix.conj().T) / 2)
    else:
        weights, columns = matrix.diagonal().real.copy(), np.eye(len(matrix), dtype=complex)
    kept = np.abs(weights) > _NEGLIGIBLE * np.abs(weights).max(initial=0.0)
    return weights[kept], np.ascontiguousarray(columns[:, kept])


def product(matrix: NDArray[Any], columns: NDArray[Any]) -> NDArray[Any]:
    """``matrix @ columns``, in real arithmetic if the matrix is real."""
    if np.iscomplexobj(matrix) or not np.iscomplexobj(columns):
        return matrix @ columns
    return (matrix @ np.ascontiguousarray(columns).view(np.float64)).view(np.complex128)


def weighted_projector(orbitals: ComplexArray, weights: FloatArray) -> ComplexArray:
    """``sum_j w_j |psi_j><psi_j|``: only one triangle is computed, the other mirrored."""
    n, m = orbitals.shape
    if n < _SMALL or not m:
        return (orbitals * weights) @ orbitals.conj().T
    triangle = None
    for sign in (1.0, -1.0):
        chosen = np.sign(weights) == sign
        if not chosen.any():
            continue
        scaled = np.ascontiguousarray(orbitals[:, chosen] * np.sqrt(np.abs(weights[chosen])))
        # In Fortran order scaled is its transpose: this is the upper triangle of the conjugate of rho.
        so_far: dict[str, Any] = {} if triangle is None else {"beta": 1.0, "c": triangle, "overwrite_c": 1}
        triangle = blas.zherk(sign, scaled.T, trans=2, **so_far)
    if triangle is None:
        return np.zeros((n, n), dtype=complex)
    return _mirrored(triangle.T)


def _mirrored(lower: ComplexArray) -> ComplexArray:
    """Fill the upper triangle of a Hermitian matrix from the lower one, in place."""
    n = len(lower)
    for start in range(0, n, _STRIP):
        stop = min(start + _STRIP, n)
        block = lower[start:stop, start:stop]
        block += np.tril(block, -1).conj().T - np.triu(block, 1)
        lower[start:stop, stop:] = lower[stop:, start:stop].conj().T
    return lower
