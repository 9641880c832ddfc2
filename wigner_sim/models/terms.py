r"""A Hamiltonian typed as a sum of products: (function of x, t) (function of k) matrix.

.. math:: H(x, k, t) = \sum_a f_a(x, t)\, g_a(k)\, M_a
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.expressions import Expression, nearest_match
from wigner_sim.models.hamiltonian import ComplexArray, FloatArray, Hamiltonian, separable_hamiltonian
from wigner_sim.models.matrices import read_matrix
from wigner_sim.models.setting import Field, Setting, read_structure

_KEYS = ("terms", "orbital_positions", "lattice_vectors")
_TERM_KEYS = ("x", "k", "matrix")


@dataclass(frozen=True)
class Term:
    """One product ``f(x, t) g(k) M``."""

    position_factor: Field
    momentum_factor: Expression
    momentum_names: tuple[str, ...]
    matrix: ComplexArray

    @property
    def only_momentum(self) -> bool:
        """Whether it belongs to H0(k)."""
        return self.position_factor.constant

    @property
    def only_potential(self) -> bool:
        """Whether it belongs to U(x, t): no momentum, and a multiple of the identity."""
        scalar = np.array_equal(self.matrix, self.matrix[0, 0] * np.eye(len(self.matrix)))
        return self.momentum_factor.constant and scalar

    def of_momentum(self, k: FloatArray) -> ComplexArray:
        """``g(k) M``: k (d, ...) -> (..., n, n)."""
        points = dict(zip(self.momentum_names, k, strict=True))
        if len(points) == 1:
            points["k"] = points["kx"]
        factor = self.momentum_factor(**points)
        return factor[..., None, None] * self.matrix

    def __call__(self, x: FloatArray, k: FloatArray, t: float) -> ComplexArray:
        """``f(x, t) g(k) M``."""
        return self.position_factor(x, t)[..., None, None] * self.of_momentum(k)


def sum_of_terms(name: str, parameters: Mapping[str, Any], setting: Setting) -> Hamiltonian:
    """Build a Hamiltonian from a list of terms.

    Parameters
    ----------
    name : str
    parameters : mapping
        ``terms``: a list of ``{x = "...", k = "...", matrix = ...}``; ``x`` is a formula of x, y, z, t,
        ``k`` one of kx, ky, kz (or k, in one dimension; both 1 if left out), ``matrix`` a name or rows
        (:func:`wigner_sim.models.matrices.read_matrix`), left out for a single orbital.
        ``orbital_positions`` (n, d), lattice vectors, and ``lattice_vectors`` (d, d): for the record and
        the phases of H(k + G); the ``k`` formulas are used as they are.
        Every other entry is a named number that the formulas may use.
    setting : Setting

    Returns
    -------
    Hamiltonian
        Separable if every term is either free of x and t, or free of k with a multiple of the identity.
    """
    specifications = parameters.get("terms")
    if not isinstance(specifications, (list, tuple)) or not specifications:
        raise CaseError(f"model '{name}' needs 'terms', a list of {{x, k, matrix}}")
    setting = setting.with_free_names(parameters, _KEYS, f"model '{name}'")
    terms = [_read_term(each, number, setting) for number, each in enumerate(specifications, start=1)]
    sizes = {len(term.matrix) for term in terms}
    if len(sizes) > 1:
        raise CaseError(f"the matrices of the terms must have one size, got {sorted(sizes)}")
    n, d = sizes.pop(), setting.n_dimensions
    attributes = {"name": name, "parameters": dict(parameters)}
    attributes |= read_structure(parameters, n, d, f"model '{name}'")
    return _assemble(terms, n, d, attributes)


def _assemble(terms: list[Term], n: int, d: int, attributes: dict[str, Any]) -> Hamiltonian:
    attributes["time_dependent"] = any(term.position_factor.time_dependent for term in terms)
    crystal = [term for term in terms if term.only_momentum]
    scalars = [term for term in terms if not term.only_momentum]

    def whole(x: FloatArray, k: FloatArray, t: float) -> ComplexArray:
        return reduce(np.add, (term(x, k, t) for term in terms))

    def bloch(k: FloatArray) -> ComplexArray:
        start = np.zeros((*np.shape(k)[1:], n, n), dtype=complex)
        return sum((term.position_factor.value * term.of_momentum(k) for term in crystal), start)

    def potential(x: FloatArray, t: float) -> FloatArray:
        start = np.zeros(np.shape(x)[1:])
        return sum(
            (term.of_momentum(np.zeros(d))[0, 0].real * term.position_factor(x, t) for term in scalars), start
        )

    if all(term.only_potential for term in scalars):
        return separable_hamiltonian(bloch, potential, n, d, **attributes)
    return Hamiltonian(whole, n, d, **attributes)


def _read_term(specification: Any, number: int, setting: Setting) -> Term:
    what = f"term number {number}"
    if not isinstance(specification, Mapping):
        raise CaseError(f"{what} must be a table {{x, k, matrix}}, got {specification!r:.60}")
    for key in specification:
        if key not in _TERM_KEYS:
            hint = nearest_match(key, _TERM_KEYS) or f"; a term has {', '.join(_TERM_KEYS)}"
            raise CaseError(f"{what} has an unknown entry '{key}'{hint}")
    matrix = read_matrix(specification.get("matrix", [[1]]), f"matrix of {what}")
    if not np.allclose(matrix, matrix.conj().T, rtol=0, atol=1e-12 * np.abs(matrix).max()):
        raise CaseError(f"the matrix of {what} is not Hermitian")
    names = setting.momentum_names
    variables = (*names, "k") if len(names) == 1 else names  # in one dimension k is kx
    constants = {key: value for key, value in setting.constants.items() if key not in variables}
    position_factor = Field(specification.get("x", 1), setting, f"'x' of {what}")
    momentum_factor = Expression(specification.get("k", 1), variables, constants, f"'k' of {what}")
    return Term(position_factor, momentum_factor, names, matrix)
