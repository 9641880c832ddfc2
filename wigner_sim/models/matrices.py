"""Small Hermitian matrices: named ones, matrices typed by a user, and assembly from elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wigner_sim.errors import CaseError
from wigner_sim.expressions import Expression, nearest_match
from wigner_sim.models.hamiltonian import ComplexArray, FloatArray

_PAULI = {
    "0": [[1, 0], [0, 1]],
    "x": [[0, 1], [1, 0]],
    "y": [[0, -1j], [1j, 0]],
    "z": [[1, 0], [0, -1]],
}


def _gell_mann() -> dict[str, ComplexArray]:
    """lambda_1 ... lambda_8 with tr(lambda_a lambda_b) = 2 delta_ab."""
    matrices: list[ComplexArray] = []
    for column in (1, 2):
        for row in range(column):
            real, imaginary = np.zeros((2, 3, 3), dtype=complex)
            real[row, column] = real[column, row] = 1
            imaginary[row, column], imaginary[column, row] = -1j, 1j
            matrices += [real, imaginary]
        diagonal = np.diag([1.0] * column + [-float(column)] + [0.0] * (2 - column)).astype(complex)
        matrices.append(diagonal * np.sqrt(2 / (column * (column + 1))))
    return {f"lambda_{number}": matrix for number, matrix in enumerate(matrices, start=1)}


#: Pauli matrices in two spellings (spin sigma, sublattice or orbital tau) and the Gell-Mann matrices.
MATRICES: dict[str, ComplexArray] = {
    **{f"sigma_{axis}": np.array(matrix, dtype=complex) for axis, matrix in _PAULI.items()},
    **{f"tau_{axis}": np.array(matrix, dtype=complex) for axis, matrix in _PAULI.items()},
    **_gell_mann(),
}


def pauli_combination(d1: ArrayLike, d2: ArrayLike, d3: ArrayLike, d0: ArrayLike = 0.0) -> ComplexArray:
    """``d0 + d . sigma`` from its coefficients: broadcastable arrays (...) -> (..., 2, 2)."""
    d0, d1, d2, d3 = (np.asarray(d) for d in (d0, d1, d2, d3))
    return hermitian_matrix(2, {(0, 0): d0 + d3, (1, 1): d0 - d3, (0, 1): d1 - 1j * d2})


def hermitian_matrix(size: int, elements: Mapping[tuple[int, int], ArrayLike]) -> ComplexArray:
    """Hermitian matrix (..., size, size) from its diagonal and upper elements (...), zero if left out."""
    arrays = {place: np.asarray(element) for place, element in elements.items()}
    shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
    matrix = np.zeros((*shape, size, size), dtype=complex)
    for (row, column), array in arrays.items():
        matrix[..., row, column] = array
        if row != column:
            matrix[..., column, row] = np.conj(array)
    return matrix


def position_convention(matrix: ComplexArray, k: FloatArray, orbital_positions: FloatArray) -> ComplexArray:
    r"""From cell-periodic Bloch matrices to those of the true orbital positions.

    .. math:: H_{oo'}(k) = e^{-ik\cdot(\tau_o-\tau_{o'})}\, H^{\mathrm{cell}}_{oo'}(k)

    Parameters
    ----------
    matrix : array (..., n, n)
    k : array (d, ...), radians
    orbital_positions : array (n, d), lattice vectors

    Returns
    -------
    array (..., n, n)
    """
    if not orbital_positions.any():
        return matrix
    phase = np.exp(-1j * np.einsum("od,d...->...o", orbital_positions, np.asarray(k)))
    return phase[..., :, None] * matrix * phase[..., None, :].conj()


def read_complex(value: Any, what: str) -> complex:
    """A complex number given as a number, a string (``"1 - 2j"``, ``"exp(1j*pi/3)"``) or ``[re, im]``."""
    return Expression(complex_source(value, what), (), what=what, complex_valued=True)().item()


def complex_source(value: Any, what: str) -> Any:
    """Turn ``[re, im]``, of numbers or formulas, into one formula; anything else is left as it is."""
    if not isinstance(value, (list, tuple)):
        return value
    if len(value) != 2 or not all(isinstance(part, (int, float, str)) for part in value):
        raise CaseError(f"{what} must be a number, a formula or [real, imaginary], got {value!r:.60}")
    return f"({value[0]}) + 1j*({value[1]})"


def read_matrix(value: Any, what: str) -> ComplexArray:
    """Read a square matrix.

    Parameters
    ----------
    value : str, array or nested list
        A name in :data:`MATRICES`; several names separated by blanks for a Kronecker product
        (``"tau_z sigma_x"``); or rows of numbers, complex strings or ``[re, im]`` pairs.
    what : str
        Opens the error message.

    Returns
    -------
    array (n, n), complex

    Raises
    ------
    CaseError
        If a name is unknown (with the nearest one), or the rows do not form a square matrix.
    """
    if isinstance(value, str):
        names = value.split() or [value]
        product: ComplexArray = np.ones((1, 1), dtype=complex)
        for name in names:
            product = np.kron(product, _named_matrix(name, what)).astype(complex)
        return product
    rows = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(rows, (list, tuple)) or not all(
        isinstance(row, (list, tuple)) and len(row) == len(rows) > 0 for row in rows
    ):
        raise CaseError(f"{what} must be a matrix name or a square list of rows, got {value!r:.80}")
    elements = [
        [read_complex(element, f"{what}, row {i + 1}, column {j + 1}") for j, element in enumerate(row)]
        for i, row in enumerate(rows)
    ]
    return np.array(elements, dtype=complex)


def _named_matrix(name: str, what: str) -> ComplexArray:
    if name not in MATRICES:
        hint = nearest_match(name, MATRICES) or f"; names are {', '.join(MATRICES)}"
        raise CaseError(f"{what}: unknown matrix '{name}'{hint}")
    return MATRICES[name]
