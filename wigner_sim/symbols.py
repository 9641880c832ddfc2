"""Symbol algebra on the phase-space grid: derivatives, star product, Moyal projector.

A symbol is an array ``(*x, *k)`` (scalar) or ``(n, n, *x, *k)`` (matrix), matrix indices first so
that every operation runs over long contiguous grid rows.  An expansion ``A = A_0 + A_1 + ...`` in
gradients is a list of symbols; each factor of the Poisson tensor eps counts as one order.

Matrix symbols are kept periodic in k.  With orbital positions tau the periodic element (o, o') is
``exp(i k . (tau_o - tau_o'))`` times the physical one, and derivatives in k become covariant:
``D_k = d_k - i (tau_o - tau_o')``.  Traces, and all that is built from them, are unaffected.

Source: Park, Huang, Savary, Balents, arXiv:2504.10447; docs/theory.md sections 1 and 3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, cached_property, singledispatch
from itertools import combinations_with_replacement
from math import factorial, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim import fourier
from wigner_sim.grid import FloatArray, PhaseSpaceGrid

#: Real or complex values on the grid.
Array = NDArray[Any]
#: Phase-space indices of a multiple derivative, e.g. (0, 0, 1); the order does not matter.
MultiIndex = tuple[int, ...]


class SymbolSpace:
    """The grid and the orbital positions that symbols live on.

    Parameters
    ----------
    grid : PhaseSpaceGrid
    orbital_positions : array (n, d), optional
        tau_o in reduced coordinates; zeros if left out.
    """

    def __init__(self, grid: PhaseSpaceGrid, orbital_positions: FloatArray | None = None):
        self.grid = grid
        self.orbital_positions = orbital_positions

    @cached_property
    def grid_axes(self) -> tuple[int, ...]:
        """Array axes of the grid, counted from the end."""
        return tuple(range(-self.grid.n_axes, 0))

    @cached_property
    def axis_wavenumbers(self) -> tuple[FloatArray, ...]:
        """Derivative wavenumbers of each grid axis, shaped for broadcasting."""
        shapes = np.eye(self.grid.n_axes, dtype=int)
        return tuple(
            fourier.derivative_wavenumbers(n, period).reshape([-1 if here else 1 for here in shapes[axis]])
            for axis, (n, period) in enumerate(zip(self.grid.shape, self.grid.periods, strict=True))
        )

    @cache  # noqa: B019  (lives as long as the space, which is what is wanted)
    def derivative_factor(self, axis: int, is_matrix: bool) -> Array:
        """Fourier-space factor of d/dz_axis: ``i q``, less ``i (tau_o - tau_o')`` for matrices."""
        q = self.axis_wavenumbers[axis]
        momentum = axis - self.grid.n_position_axes
        if not is_matrix or momentum < 0 or self.orbital_positions is None:
            return 1j * q
        tau = self.orbital_positions[:, momentum]
        offset = (tau[:, None] - tau[None, :]).reshape(len(tau), len(tau), *(1,) * self.grid.n_axes)
        if not offset.any():
            return 1j * q
        n = self.grid.shape[axis]
        kept = np.ones(n)
        if n % 2 == 0:
            kept[n // 2] = 0.0
        return 1j * (q - offset) * kept.reshape(q.shape)

    def symbol(self, values: Any) -> Symbol:
        """Wrap an array on the grid (or a sum of products, which knows its own symbol)."""
        return Symbol(self, values) if isinstance(values, np.ndarray) else values.as_symbol(self)


class Symbol:
    """A scalar or matrix function on phase space with its derivatives, each computed once.

    An axis of length 1 stands for a function that is constant along it (scalars, and matrices without
    orbital offsets).
    """

    def __init__(self, space: SymbolSpace, values: Array):
        self.space = space
        self.values: Any = values
        self._derivatives: dict[MultiIndex, Any] = {(): values}

    @property
    def is_matrix(self) -> bool:
        """Whether the two leading axes are matrix indices."""
        return self.values.ndim == self.space.grid.n_axes + 2

    def _is_constant_along(self, axis: int) -> bool:
        """Whether the values are stored once for a whole axis (length 1, to be broadcast)."""
        grid = self.space.grid
        return self.values.shape[axis - grid.n_axes] == 1 and grid.shape[axis] > 1

    @cached_property
    def _hat(self) -> Array:
        return fourier.fftn(self.values, self.space.grid_axes)

    def derivative(self, *axes: int) -> Any:
        """Spectral derivative with respect to the phase-space axes given (any number, any order)."""
        key = tuple(sorted(axes))
        if any(self._is_constant_along(axis) for axis in key):
            return np.zeros_like(self.values)
        if key not in self._derivatives:
            hat = self._hat
            for axis in key:
                hat = hat * self.space.derivative_factor(axis, self.is_matrix)
            values = fourier.ifftn(hat, self.space.grid_axes)
            self._derivatives[key] = values if np.iscomplexobj(self.values) else values.real
        return self._derivatives[key]

    def forget(self, *axes: int) -> None:
        """Make room: a derivative that will not be asked for again."""
        if axes:
            self._derivatives.pop(tuple(sorted(axes)), None)


@singledispatch
def multiply(a: Any, b: Any, n_grid_axes: int) -> Any:
    """Pointwise product of two symbols' values; matrices are multiplied as matrices."""
    if a.ndim == n_grid_axes or b.ndim == n_grid_axes:
        return a * b
    n = a.shape[0]
    out = np.empty((n, n, *np.broadcast_shapes(a.shape[2:], b.shape[2:])), dtype=complex)
    for i in range(n):
        for j in range(n):
            np.multiply(a[i, 0], b[0, j], out=out[i, j])
            for m in range(1, n):
                out[i, j] += a[i, m] * b[m, j]
    return out


@singledispatch
def trace(a: Any) -> Any:
    """Trace over the matrix indices, shape (*x, *k)."""
    return np.einsum("ii...->...", a)


@singledispatch
def adjoint(a: Any) -> Any:
    """Hermitian conjugate at each point."""
    return np.conj(np.swapaxes(a, 0, 1))


@cache
def _poisson_contractions(
    epsilon: bytes, n_axes: int, order: int
) -> tuple[tuple[float, MultiIndex, MultiIndex], ...]:
    """Terms (weight, left axes, right axes) of ``eps_ab eps_cd ... (d_a d_c ..)(d_b d_d ..)``, merged."""
    eps = np.frombuffer(epsilon).reshape(n_axes, n_axes)
    pairs = [(a, b) for a in range(n_axes) for b in range(n_axes) if eps[a, b] != 0.0]
    weights: Counter[tuple[MultiIndex, MultiIndex]] = Counter()
    for chosen in combinations_with_replacement(pairs, order):
        arrangements = factorial(order) / prod(factorial(m) for m in Counter(chosen).values())
        left, right = tuple(sorted(a for a, _ in chosen)), tuple(sorted(b for _, b in chosen))
        weights[left, right] += arrangements * prod(eps[a, b] for a, b in chosen)
    return tuple((weight, left, right) for (left, right), weight in weights.items() if weight != 0.0)


def poisson_contractions(
    grid: PhaseSpaceGrid, order: int
) -> tuple[tuple[float, MultiIndex, MultiIndex], ...]:
    """Expand ``(eps_ab <-d_a ->d_b)^order`` into (weight, left axes, right axes) terms."""
    return _poisson_contractions(grid.epsilon.tobytes(), grid.n_axes, order)


def star_term(a: Symbol, b: Symbol, order: int) -> Array:
    r"""Order-``n`` term of the star product of two symbols.

    .. math:: (A * B)_n = \frac{(i/2)^n}{n!}\, \epsilon_{ab}\cdots\epsilon_{cd}\,
              (\partial_a \cdots \partial_c A)(\partial_b \cdots \partial_d B)

    Parameters
    ----------
    a, b : Symbol
        Scalar or matrix symbols on the same space.
    order : int >= 0

    Returns
    -------
    array (n, n, *x, *k) or (*x, *k)

    Notes
    -----
    docs/theory.md section 1.  Exact for band-limited symbols up to aliasing of the pointwise products.
    """
    grid = a.space.grid
    terms = [
        weight * multiply(a.derivative(*left), b.derivative(*right), grid.n_axes)
        for weight, left, right in poisson_contractions(grid, order)
    ]
    if not terms:  # no position axis and no field: nothing beyond order 0
        return 0.0 * multiply(a.values, b.values, grid.n_axes)
    total = sum(terms[1:], start=terms[0])
    return total * ((0.5j) ** order / factorial(order))


def star_product(a: Sequence[Symbol], b: Sequence[Symbol], order: int) -> list[Symbol]:
    """Star product of two expansions, through ``order`` in gradients.

    Parameters
    ----------
    a, b : sequences of Symbol
        Expansions ``A_0, A_1, ...``; missing orders count as zero.
    order : int

    Returns
    -------
    list of Symbol, length order + 1
    """
    return [a[0].space.symbol(star_product_at(a, b, m)) for m in range(order + 1)]


def star_product_at(a: Sequence[Symbol], b: Sequence[Symbol], order: int) -> Array:
    """Terms of exactly ``order`` in the star product of two expansions."""
    terms = [star_term(a[i], b[j], n) for i, j, n in _splits(order) if i < len(a) and j < len(b)]
    return sum(terms[1:], start=terms[0])


def _splits(order: int) -> Iterator[tuple[int, int, int]]:
    """All (i, j, n) >= 0 with i + j + n = order."""
    for i in range(order + 1):
        for j in range(order + 1 - i):
            yield i, j, order - i - j
