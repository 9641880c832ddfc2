"""Symbols of H0(k) + U(x, t) as short sums of (function of x) times (function of k).

Every x-function that the gradient expansion makes is a product of derivatives of U, and U itself
commutes with everything, so a symbol is a table: monomial in the derivatives of U -> array over k.
Star products, the Moyal projector and all that follows then run on momentum arrays only; the
algorithms of ``symbols``, ``projector`` and ``geometry`` serve unchanged.

All d position axes are kept here as letters, also those a grid leaves out; where a monomial is
evaluated, a derivative along a missing axis is minus the uniform force.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from wigner_sim.grid import FloatArray, PhaseSpaceGrid
from wigner_sim.projector import LocalBands
from wigner_sim.symbols import Array, MultiIndex, Symbol, SymbolSpace, adjoint, multiply, trace

#: Product of derivatives of U, each given by its sorted axes; () is 1, ((),) is U itself.
Monomial = tuple[MultiIndex, ...]


class SumOfProducts:
    """Sum of (monomial in the derivatives of U) times (array over k).

    Parameters
    ----------
    terms : mapping Monomial -> array (n, n, 1.., *k) or (1.., *k)
    n_grid_axes : int
        Number of grid axes of the arrays, positions (length 1) included.
    """

    __array_ufunc__ = None  # numpy arrays leave arithmetic with it to the methods below

    def __init__(self, terms: Mapping[Monomial, Array], n_grid_axes: int):
        self.terms = dict(terms)
        self.n_grid_axes = n_grid_axes

    @property
    def ndim(self) -> int:
        """Number of array axes of the coefficients."""
        return next(iter(self.terms.values())).ndim if self.terms else self.n_grid_axes

    @property
    def real(self) -> SumOfProducts:
        """Real part of every coefficient."""
        return self.map(np.real)

    def map(self, function: Callable[[Array], Array]) -> SumOfProducts:
        """Apply a linear function to every coefficient."""
        return SumOfProducts({m: function(c) for m, c in self.terms.items()}, self.n_grid_axes)

    def _coerce(self, other: Any) -> SumOfProducts:
        return other if isinstance(other, SumOfProducts) else SumOfProducts({(): other}, self.n_grid_axes)

    def __add__(self, other: Any) -> SumOfProducts:
        terms = dict(self.terms)
        for monomial, coefficient in self._coerce(other).terms.items():
            terms[monomial] = terms[monomial] + coefficient if monomial in terms else coefficient
        return SumOfProducts(terms, self.n_grid_axes)

    __radd__ = __add__

    def __neg__(self) -> SumOfProducts:
        return self.map(np.negative)

    def __sub__(self, other: Any) -> SumOfProducts:
        return self + (-self._coerce(other))

    def __rsub__(self, other: Any) -> SumOfProducts:
        return self._coerce(other) - self

    def __mul__(self, other: Any) -> SumOfProducts:
        """Product with a number, a scalar function of k, or a scalar sum of products."""
        if isinstance(other, SumOfProducts):
            return multiply(self, other, self.n_grid_axes)
        return self.map(lambda coefficient: coefficient * other)

    __rmul__ = __mul__

    @property
    def scale(self) -> float:
        """Largest coefficient of any term."""
        return max((float(np.abs(c).max()) for c in self.terms.values()), default=0.0)

    def pruned(self, relative: float = 1e-15, scale: float | None = None) -> SumOfProducts:
        """Without terms that are zero to rounding, compared with ``scale`` or with the largest of them."""
        smallest = relative * (self.scale if scale is None else scale)
        kept = {m: c for m, c in self.terms.items() if np.abs(c).max() > smallest}
        return SumOfProducts(kept, self.n_grid_axes)

    def as_symbol(self, space: SymbolSpace) -> ProductSymbol:
        """Symbol on the letters' space."""
        return ProductSymbol(space, self)

    def evaluate(self, x_functions: Callable[[Monomial], FloatArray]) -> Array:
        """Values on a grid, given the x-function of each monomial."""
        parts = [x_functions(monomial) * coefficient for monomial, coefficient in self.terms.items()]
        return sum(parts[1:], start=parts[0]) if parts else np.zeros((1,) * self.n_grid_axes)


@multiply.register
def _(a: SumOfProducts, b: SumOfProducts, n_grid_axes: int) -> SumOfProducts:
    total: dict[Monomial, Array] = {}
    for left, x in a.terms.items():
        for right, y in a._coerce(b).terms.items():
            monomial = tuple(sorted(left + right))
            product = multiply(x, y, n_grid_axes)
            total[monomial] = total[monomial] + product if monomial in total else product
    return SumOfProducts(total, n_grid_axes)


@trace.register
def _(a: SumOfProducts) -> SumOfProducts:
    return a.map(trace)


@adjoint.register
def _(a: SumOfProducts) -> SumOfProducts:
    return a.map(adjoint)


class ProductSymbol(Symbol):
    """A sum of products with its derivatives: Leibniz's rule on monomials, spectral in k."""

    def __init__(self, space: SymbolSpace, values: SumOfProducts):
        self.space = space
        self.values: Any = values
        self._derivatives: dict[MultiIndex, Any] = {(): values}
        self._coefficients = {m: Symbol(space, c) for m, c in values.terms.items()}

    @property
    def is_matrix(self) -> bool:
        """Whether the coefficients are matrices."""
        return self.values.ndim == self.space.grid.n_axes + 2

    def derivative(self, *axes: int) -> Any:
        """Derivative with respect to positions, momenta, and time (axis number ``n_axes``)."""
        key = tuple(sorted(axes))
        if key not in self._derivatives:
            grid = self.space.grid
            momenta = [axis for axis in key if grid.n_position_axes <= axis < grid.n_axes]
            total: dict[Monomial, Array] = {}
            for monomial, coefficient in self._coefficients.items():
                others = [axis for axis in key if axis not in momenta]
                for derived, count in _leibniz(monomial, others).items():
                    value = count * coefficient.derivative(*momenta)
                    total[derived] = total[derived] + value if derived in total else value
            self._derivatives[key] = SumOfProducts(total, grid.n_axes)
        return self._derivatives[key]


def _leibniz(monomial: Monomial, axes: list[int]) -> Counter[Monomial]:
    """Monomials of a derivative, with how often each occurs."""
    result: Counter[Monomial] = Counter({monomial: 1})
    for axis in axes:
        once: Counter[Monomial] = Counter()
        for factors, count in result.items():
            for j, factor in enumerate(factors):
                derived = tuple(sorted((*factor, axis)))
                once[tuple(sorted((*factors[:j], derived, *factors[j + 1 :])))] += count
        result = once
    return result


class ProductBands(LocalBands):
    """Local bands of H0(k), acting on sums of products coefficient by coefficient."""

    @classmethod
    def of_bloch(cls, bloch: Array, scramble: int | None = None) -> ProductBands:
        """From the Bloch matrix ``(n, n, 1.., *k)``."""
        bands = LocalBands.of(bloch, scramble)
        return cls(bands.energies, bands.vectors)

    def projector(self, bands: range) -> Any:
        """Local eigenprojector as a sum of products."""
        return SumOfProducts({(): super().projector(bands)}, self.energies.ndim - 1)

    def divide_by_gap(self, operator: Any, bands: range) -> Any:
        """As for arrays, for every coefficient."""
        return operator.map(lambda c: super(ProductBands, self).divide_by_gap(c, bands))


def letter_space(grid: PhaseSpaceGrid, orbital_positions: FloatArray) -> SymbolSpace:
    """All d position axes as letters (length 1 in every array) over the momenta of ``grid``."""
    d = grid.n_momentum_axes
    letters = PhaseSpaceGrid((4,) * d, grid.n_k, (1.0,) * d, grid.cell_flux)
    return SymbolSpace(letters, orbital_positions)


def product_hamiltonian(space: SymbolSpace, bloch: Array) -> Symbol:
    """``H0(k) + U`` as a symbol, from the k-periodic Bloch matrix (n, n, *k)."""
    n, d = bloch.shape[0], space.grid.n_momentum_axes
    ones = (1,) * d
    terms: dict[Monomial, Array] = {
        (): bloch.reshape(n, n, *ones, *space.grid.n_k),
        ((),): np.eye(n).reshape(n, n, *ones, *ones),
    }
    return space.symbol(SumOfProducts(terms, 2 * d))
