r"""Eigenstates of a lattice operator, once per case: real arithmetic, conserved momenta, late vectors.

Three things make the one diagonalisation of a static case cheap (measured in ``docs/performance_exact.md``):

* An operator without imaginary parts has real eigenvectors, a quarter of the work.
* An operator that is invariant under translations by T cells (``T_i`` a divisor of the number ``L_i`` of
  sites) falls into blocks, one for each conserved momentum ``q_i = 2 pi m/L_i``, ``m < L_i/T_i``.  The
  translations are found in the matrix itself, whatever the symbol; with a field, those of its gauge.
* Otherwise the tridiagonal form is diagonalised, and vectors are transformed back only where they are asked
  for, usually those of one band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from wigner_sim.liouville.operators import is_real

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

#: From here on vectors are transformed back late; below, one call of LAPACK is as fast.
_LATE_VECTORS = 500
#: A translation is a symmetry if it changes elements by less than this part of the largest one.
_SYMMETRY = 1e-14


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of a Hermitian operator, and its eigenvectors on demand.

    Parameters
    ----------
    energies : array (states,), ascending
    _vectors : array (states, states), real or complex
        Eigenvectors, or those of the tridiagonal form if ``_reflectors`` are given.
    _reflectors : pair of arrays, optional
        Householder vectors and factors of ``zhetrd``.
    """

    energies: FloatArray
    _vectors: NDArray[Any]
    _reflectors: tuple[ComplexArray, ComplexArray] | None = None

    def vectors(self, chosen: NDArray[Any] | slice = slice(None)) -> NDArray[Any]:
        """Eigenvectors as columns (C order), of all states or of those chosen by a mask or indices."""
        columns = self._vectors[:, chosen]
        if self._reflectors is None:
            return np.ascontiguousarray(columns)
        householder, factors = self._reflectors
        result = np.array(columns, dtype=complex, order="F")
        below = np.asfortranarray(result[1:])
        size = int(lapack.zunmqr("L", "N", householder, factors, below[:, :1], -1)[1][0].real)
        size *= below.shape[1]  # the query is for one column
        result[1:] = lapack.zunmqr("L", "N", householder, factors, below, size, overwrite_c=1)[0]
        return np.ascontiguousarray(result)


def diagonalize(operator: ComplexArray, sites: Sequence[int] = ()) -> Spectrum:
    """Spectrum of a Hermitian operator.

    Parameters
    ----------
    operator : array (states, states)
    sites : sequence of int
        Cells per axis of a site-major operator; translations along them are looked for.
    """
    period = translation_period(operator, sites)
    n_blocks = prod(n // p for n, p in zip(sites, period, strict=True))
    real = is_real(operator)
    if n_blocks > (2 if real else 1):
        return _by_conserved_momentum(operator, tuple(sites), period)
    if real:
        return Spectrum(*np.linalg.eigh(operator.real))
    if len(operator) < _LATE_VECTORS or not hasattr(lapack, "dstevd"):
        return Spectrum(*np.linalg.eigh(operator))
    return _by_tridiagonal_form(operator)


def translation_period(operator: ComplexArray, sites: Sequence[int]) -> tuple[int, ...]:
    """Smallest numbers of cells along each axis by which a translation leaves a site-major operator alone."""
    n = len(operator) // prod(sites)
    matrix = operator.reshape(*sites, n, *sites, n)
    tolerance = _SYMMETRY * max(np.abs(operator.diagonal()).max(), np.abs(operator[0]).max())
    return tuple(
        next(t for t in range(1, length + 1) if length % t == 0 and _invariant(matrix, axis, t, tolerance))
        for axis, length in enumerate(sites)
    )


def _invariant(matrix: ComplexArray, axis: int, step: int, tolerance: float) -> bool:
    """Whether a translation by ``step`` cells along an axis changes no element; few are looked at first."""
    length, other = matrix.shape[axis], axis + matrix.ndim // 2
    if step == length:
        return True
    rows = np.moveaxis(matrix, (axis, other), (0, 1))
    columns = (np.arange(length) + step) % length
    return all(
        bool(np.abs(rows[(r + step) % length, columns] - rows[r]).max() <= tolerance) for r in range(length)
    )


def _by_conserved_momentum(
    operator: ComplexArray, sites: tuple[int, ...], period: tuple[int, ...]
) -> Spectrum:
    """Bloch blocks ``H_q = sum_J H_{0J} exp(i q.J)`` over supercells J, and their states on all sites."""
    n = len(operator) // prod(sites)
    cells = tuple(length // p for length, p in zip(sites, period, strict=True))
    d, size = len(sites), prod(period) * n
    first = operator.reshape(*(sites[i] for i in range(d)), n, *sites, n)[tuple(slice(p) for p in period)]
    split = [number for pair in zip(cells, period, strict=True) for number in pair]
    first = first.reshape(size, *split, n)
    order = (*range(1, 2 * d, 2), 0, *range(2, 2 * d + 1, 2), 2 * d + 1)
    blocks = np.fft.ifftn(first.transpose(order), axes=tuple(range(d)), norm="forward")
    blocks = blocks.reshape(prod(cells), size, size)
    energies, states = np.linalg.eigh((blocks + np.swapaxes(blocks.conj(), -1, -2)) / 2)
    vectors = np.empty((*split, n, prod(cells), size), dtype=complex)
    for b, momentum in enumerate(product(*(range(m) for m in cells))):
        wave = _plane_wave(cells, momentum).reshape([m for c in cells for m in (c, 1)] + [1, 1])
        vectors[..., b, :] = wave * states[b].reshape(*[m for p in period for m in (1, p)], n, size)
    ascending = np.argsort(energies, axis=None, kind="stable")
    return Spectrum(energies.ravel()[ascending], vectors.reshape(len(operator), -1)[:, ascending])


def _plane_wave(cells: tuple[int, ...], momentum: Sequence[int]) -> ComplexArray:
    """Normalised ``exp(i q.J)`` on the supercells, ``q = 2 pi m/M``."""
    angle = np.zeros((1,) * len(cells))
    for axis, (n, m) in enumerate(zip(cells, momentum, strict=True)):
        angle = angle + (2 * np.pi * m / n * np.arange(n)).reshape(
            [-1 if i == axis else 1 for i in range(len(cells))]
        )
    return np.exp(1j * angle) / np.sqrt(prod(cells))


def _by_tridiagonal_form(operator: ComplexArray) -> Spectrum:
    """``H = Q T Q^+`` with a real tridiagonal T, whose eigenvectors are real."""
    n = len(operator)
    size = int(lapack.zhetrd_lwork(n, lower=1)[0].real)
    packed, diagonal, beside, factors, _ = lapack.zhetrd(operator, lower=1, lwork=size)
    energies, vectors, info = lapack.dstevd(diagonal, beside)
    if info:  # pragma: no cover - LAPACK's divide and conquer did not converge
        return Spectrum(*np.linalg.eigh(operator))
    return Spectrum(energies, vectors, (np.asfortranarray(packed[1:, :-1]), factors))
