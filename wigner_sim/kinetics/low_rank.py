"""Functions on phase space as short sums of (function of x) times (function of k), to a chosen accuracy.

Source: randomised range finder, Halko, Martinsson, Tropp, SIAM Rev. 53, 217 (2011), algorithm 4.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from wigner_sim import parallel
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.velocity import ProductVelocity
from wigner_sim.symbols import FloatArray, MultiIndex, SymbolSpace, poisson_contractions

#: Smaller arrays are kept as they are: nothing is gained.
WORTH_FACTORING = 1 << 15
#: A sum is short if it has at most this part of the terms that any array needs.
SHORTEST = 1 / 4
#: Accuracy of a velocity, and of the energy whose third derivatives are taken, of their largest values.
VELOCITY_TOLERANCE = 1e-7
ENERGY_TOLERANCE = 1e-9
#: Most terms of a sum that is evaluated at every point, and the accuracy of one that is exact.
FEW, ROUNDING = 8, 5e-16
#: Most functions of x that several sums share, and the accuracy of what is only integrated.
MOST_SHARED, INTEGRATED = 16, 2e-14
#: Rows of an array that are compared at once.
_ROWS = 64


@dataclass(frozen=True)
class Factors:
    """``sum_r x[:, r] k[r, :]`` on the flattened positions and momenta.

    Parameters
    ----------
    x : array (points in x, terms)
    k : array (terms, points in k)
    """

    x: FloatArray
    k: FloatArray

    @property
    def n_terms(self) -> int:
        """Number of products."""
        return len(self.k)

    def rows(self, first: int, last: int) -> FloatArray:
        """Values at some positions, shape (last - first, points in k)."""
        return self.x[first:last] @ self.k

    @cached_property
    def largest(self) -> float:
        """Largest absolute value."""
        parts = (np.abs(self.rows(j, j + _ROWS)).max() for j in range(0, len(self.x), _ROWS))
        return max((float(part) for part in parts), default=0.0) if self.n_terms else 0.0

    def derivative(self, space: SymbolSpace, *axes: int) -> Factors:
        """Spectral derivative with respect to phase-space axes."""
        if not self.n_terms:
            return self
        grid, s = space.grid, space.grid.n_position_axes
        positions = [axis for axis in axes if axis < s]
        momenta = [axis for axis in axes if axis >= s]
        x = space.symbol(np.ascontiguousarray(self.x.T).reshape(-1, *grid.n_x, *(1,) * len(grid.n_k)))
        k = space.symbol(self.k.reshape(-1, *(1,) * s, *grid.n_k))
        along_x = np.asarray(x.derivative(*positions)).reshape(self.n_terms, -1)
        along_k = np.asarray(k.derivative(*momenta)).reshape(self.n_terms, -1)
        return Factors(np.ascontiguousarray(along_x.T), np.ascontiguousarray(along_k))


def factorized(
    grid: PhaseSpaceGrid, values: FloatArray, tolerance: float, scale: float | None = None
) -> Factors | None:
    """A short sum of products that equals ``values`` everywhere to ``tolerance * scale``.

    Parameters
    ----------
    values : array (*x, *k)
    tolerance : float
    scale : float, optional
        Largest absolute value if left out.

    Returns
    -------
    Factors or None
        None where the sum would not be short, or the grid is small.
    """
    n_x, n_k = prod(grid.n_x), prod(grid.n_k)
    if not grid.n_x or values.size < WORTH_FACTORING:
        return None
    matrix = np.broadcast_to(values, grid.shape).reshape(n_x, n_k)
    scale = float(np.abs(matrix).max()) if scale is None else scale
    allowed, most = tolerance * scale, int(SHORTEST * min(n_x, n_k))
    rng = np.random.default_rng(1)
    n_probes = min(32, most)
    while True:
        basis = np.linalg.qr(matrix @ rng.standard_normal((n_k, n_probes)))[0]
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
        u, s, v = np.linalg.svd(basis.T @ matrix, full_matrices=False)
        found = _shortest(matrix, (basis @ u) * s, v, s, allowed)
        if found is not None or n_probes == most:
            return found
        n_probes = min(2 * n_probes, most)


def few_products(grid: PhaseSpaceGrid, values: FloatArray) -> Factors | None:
    """A sum of at most FEW products that equals ``values`` (*x, *k) to rounding, or None; tried once.

    A constant is taken off first, so that rounding is relative to the rest.
    """
    with parallel.algebra_on_one_thread():  # the same bits with any number of threads
        return _few_products(np.broadcast_to(values, grid.shape).reshape(prod(grid.n_x), prod(grid.n_k)))


def _few_products(matrix: FloatArray) -> Factors | None:
    constant = float(matrix[0, 0])
    rest = matrix - constant
    probes = np.random.default_rng(1).standard_normal((matrix.shape[1], min(2 * FEW, *matrix.shape)))
    basis = np.linalg.qr(rest @ probes)[0]
    u, s, v = np.linalg.svd(basis.T @ rest, full_matrices=False)
    scale = float(np.abs(matrix).max())
    n = int(np.count_nonzero(s > 0.1 * ROUNDING * scale * np.sqrt(matrix.size)))
    x = np.column_stack([np.full(len(matrix), constant), basis @ (u[:, :n] * s[:n])])
    factors = Factors(x, np.vstack([np.ones(matrix.shape[1]), v[:n]]))
    return factors if n <= FEW and _is_accurate(matrix, factors, 8 * ROUNDING * scale) else None


@dataclass(frozen=True)
class SharedFactors:
    """Several functions as ``sum_r x[:, r] k[f, r, :]``, with the same functions of x.

    Parameters
    ----------
    x : array (points in x, terms)
    k : array (functions, terms, points in k)
    """

    x: FloatArray
    k: FloatArray


def shared_products(grid: PhaseSpaceGrid, functions: Sequence[FloatArray]) -> SharedFactors | None:
    """Functions (*x, *k) as sums of at most MOST_SHARED products, to INTEGRATED, or None; tried once.

    The first function of x is 1: what the functions are at the first position is taken off, so that
    errors are relative to the rest.
    """
    shape = prod(grid.n_x), prod(grid.n_k)
    matrices = [np.broadcast_to(values, grid.shape).reshape(shape) for values in functions]
    scales = [float(np.abs(matrix).max()) or 1.0 for matrix in matrices]
    with parallel.algebra_on_one_thread():  # the same bits with any number of threads
        x = np.column_stack([np.ones(shape[0]), _shared_basis(matrices, scales)])
        k = [np.vstack([m[0], x[:, 1:].T @ m - np.outer(x[:, 1:].sum(axis=0), m[0])]) for m in matrices]
        known = zip(matrices, k, scales, strict=True)
        exact = x.shape[1] <= MOST_SHARED and all(
            _is_accurate(matrix, Factors(x, each), INTEGRATED * scale) for matrix, each, scale in known
        )
    return SharedFactors(x, np.array(k)) if exact else None


def _shared_basis(matrices: Sequence[FloatArray], scales: Sequence[float]) -> FloatArray:
    """Orthonormal functions of x for all matrices less their first rows, each relative to its scale."""
    n_x, n_k = matrices[0].shape
    probes = np.random.default_rng(1).standard_normal((len(matrices), n_k, min(2 * MOST_SHARED, n_x, n_k)))
    sketches = [
        (m @ probe - m[0] @ probe) / scale for m, probe, scale in zip(matrices, probes, scales, strict=True)
    ]
    basis = np.linalg.qr(np.concatenate(sketches, axis=1))[0]
    rests = [
        (basis.T @ m - np.outer(basis.sum(axis=0), m[0])) / scale
        for m, scale in zip(matrices, scales, strict=True)
    ]
    u, s, _ = np.linalg.svd(np.concatenate(rests, axis=1), full_matrices=False)
    return np.asarray(basis @ u[:, s > 0.1 * INTEGRATED * np.sqrt(n_x * n_k)])


def all_factorized(
    grid: PhaseSpaceGrid,
    values: Sequence[FloatArray] | FloatArray,
    tolerance: float,
    scales: Sequence[float] | FloatArray,
) -> list[Factors | None]:
    """:func:`factorized` for several, shared among threads."""
    found: list[Factors | None] = [None] * len(values)

    def work(first: int, last: int) -> None:
        for j in range(first, last):
            found[j] = factorized(grid, values[j], tolerance, scales[j])

    parallel.share_out(work, len(values), linear_algebra=True)
    return found


def _shortest(
    matrix: FloatArray, x: FloatArray, k: FloatArray, singular: FloatArray, allowed: float
) -> Factors | None:
    """The fewest terms that are accurate everywhere."""
    left_out = np.sqrt(np.cumsum(singular[::-1] ** 2)[::-1] / matrix.size)  # root mean square
    n = int(np.count_nonzero(left_out > 0.5 * allowed))
    while True:
        kept = Factors(np.ascontiguousarray(x[:, :n]), k[:n].copy())
        if _is_accurate(matrix, kept, allowed):
            return kept
        if n == len(singular):
            return None
        n = min(len(singular), n + max(1, n // 8))


def _is_accurate(matrix: FloatArray, factors: Factors, allowed: float) -> bool:
    return all(
        float(np.abs(matrix[j : j + _ROWS] - factors.rows(j, j + _ROWS)).max()) <= allowed
        for j in range(0, len(matrix), _ROWS)
    )


def short_velocity(grid: PhaseSpaceGrid, velocity: FloatArray, scale: FloatArray) -> ProductVelocity | None:
    """A velocity (a, *x, *k) as short sums of products, each to VELOCITY_TOLERANCE of its scale (a,)."""
    components = []
    for factors in all_factorized(grid, velocity, VELOCITY_TOLERANCE, scale):
        if factors is None:
            return None
        components.append((factors.x.T.reshape(-1, *grid.n_x), factors.k.reshape(-1, *grid.n_k)))
    return ProductVelocity(grid, components)


def velocity_scale(grid: PhaseSpaceGrid, velocity: FloatArray) -> FloatArray:
    """Largest speed in x and in k, by axis."""
    s = grid.n_position_axes
    largest = np.array([max(float(v.max()), -float(v.min())) for v in velocity])
    largest[:s], largest[s:] = largest[:s].max(initial=0.0), largest[s:].max()
    return largest


@dataclass(frozen=True)
class ThirdDerivatives:
    """Coefficients of the Moyal flux as weights times third derivatives of a bare energy.

    Parameters
    ----------
    derivatives : dict MultiIndex -> Factors
    terms : dict (b, (d, f)) -> list of (weight, MultiIndex)
        The coefficient of ``d_d d_f w`` in the flux ``J_b``, see ``equation.moyal_coefficients``.
    """

    derivatives: dict[MultiIndex, Factors]
    terms: dict[tuple[int, MultiIndex], list[tuple[float, MultiIndex]]]

    @classmethod
    def of(cls, space: SymbolSpace, energy: Factors) -> ThirdDerivatives:
        """All of them."""
        grid = space.grid
        terms: dict[tuple[int, MultiIndex], list[tuple[float, MultiIndex]]] = {}
        for a, b in zip(*np.nonzero(grid.epsilon), strict=True):
            for weight, left, right in poisson_contractions(grid, 2):
                index = tuple(sorted((int(a), *left)))
                terms.setdefault((int(b), right), []).append((weight * grid.epsilon[a, b] / 24.0, index))
        wanted = {index for parts in terms.values() for _, index in parts}
        derivatives = {index: energy.derivative(space, *index) for index in wanted}
        return cls(derivatives, terms).pruned()

    def pruned(self) -> ThirdDerivatives:
        """Without those that vanish."""
        scale = max((d.largest for d in self.derivatives.values()), default=0.0)
        derivatives = {i: d for i, d in self.derivatives.items() if d.largest > 1e-13 * scale}
        terms = {key: [part for part in parts if part[1] in derivatives] for key, parts in self.terms.items()}
        return ThirdDerivatives(derivatives, {key: parts for key, parts in terms.items() if parts})

    def joined(self, other: ThirdDerivatives) -> ThirdDerivatives:
        """The sum of two; the indices of the other get a mark."""
        derivatives = self.derivatives | {(-1, *index): d for index, d in other.derivatives.items()}
        terms = {key: list(parts) for key, parts in self.terms.items()}
        for key, parts in other.terms.items():
            terms.setdefault(key, []).extend((weight, (-1, *index)) for weight, index in parts)
        return ThirdDerivatives(derivatives, terms)

    def largest(self, key: tuple[int, MultiIndex]) -> float:
        """Largest absolute value of a coefficient."""
        parts = [(weight, self.derivatives[index]) for weight, index in self.terms[key]]
        x = np.concatenate([weight * derivative.x for weight, derivative in parts], axis=1)
        return Factors(x, np.concatenate([derivative.k for _, derivative in parts])).largest


def short_third_derivatives(
    space: SymbolSpace, energy: FloatArray, wanted: bool = True, scale: float | None = None
) -> ThirdDerivatives | None:
    """Of a bare energy (*x, *k) that is a short sum of products; none at all if not wanted."""
    if not wanted:
        return ThirdDerivatives({}, {})
    factors = factorized(space.grid, energy, ENERGY_TOLERANCE, scale)
    return None if factors is None else ThirdDerivatives.of(space, factors)


def short_third_derivatives_of_rest(
    space: SymbolSpace, energy: FloatArray, band_energy: FloatArray, potential: FloatArray, wanted: bool
) -> ThirdDerivatives | None:
    """Of what <h>_x and <h>_k leave of a bare energy, and what a magnetic field adds to those of <h>_x."""
    grid, s = space.grid, space.grid.n_position_axes
    rest = short_third_derivatives(
        space, energy - band_energy - potential, wanted, float(np.abs(energy).max())
    )
    if rest is None or not wanted or not grid.epsilon[s:, s:].any():
        return rest
    x, k = np.ones((prod(grid.n_x), 1)), band_energy.reshape(1, -1)
    of_band = ThirdDerivatives.of(space, Factors(x, k))
    turned = {key: parts for key, parts in of_band.terms.items() if max(key[0], *key[1]) >= s}
    return rest.joined(ThirdDerivatives(of_band.derivatives, turned))
