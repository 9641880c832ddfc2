"""Symbols on a slab of the grid whose products are differentiated by Leibniz's rule.

The gradient expansion through second order needs, at each point, a few derivatives of the Hamiltonian and of
the projector there, and nothing else: derivatives of products follow from those of the factors.  So a slab
of the grid is worked on by itself, in pieces that stay in the cache.  A :class:`Jet` stands for values with
their derivatives, each computed when it is asked for; the algorithms of ``symbols``, ``projector`` and
``geometry`` serve unchanged.

Source: docs/theory.md sections 3 to 5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from itertools import product as cartesian
from typing import Any

import numpy as np

from wigner_sim.projector import LocalBands
from wigner_sim.symbols import Array, MultiIndex, Symbol, SymbolSpace, adjoint, multiply, trace


class Jet:
    """Values at a set of points, ``(points)`` or ``(n, n, points)``, with their derivatives on demand.

    None of them refers to itself, so that arrays are freed as soon as nothing needs them.
    """

    __array_ufunc__ = None  # numpy arrays leave arithmetic with it to the methods below
    is_matrix = True

    def at(self, axes: MultiIndex) -> Array:
        """Derivative by its sorted axes; ``()`` are the values."""
        raise NotImplementedError

    @classmethod
    def tabulated(cls, table: Mapping[MultiIndex, Array]) -> Jet:
        """From the derivatives there are."""
        return _Made(table.__getitem__, table[()].ndim > 1)

    @classmethod
    def constant(cls, values: Array) -> Jet:
        """The same in all of phase space."""
        return _Made(lambda axes: np.zeros_like(values) if axes else values, values.ndim > 1)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.at(()), dtype=dtype)

    @property
    def real(self) -> Jet:
        """Real part."""
        return _Made(lambda axes: self.at(axes).real, self.is_matrix)

    def adjoint(self) -> Jet:
        """Hermitian conjugate at each point."""
        return _Made(lambda axes: adjoint(self.at(axes)), self.is_matrix)

    def trace(self) -> Jet:
        """Trace over the matrix indices."""
        return _Made(lambda axes: trace(self.at(axes)), False)

    def as_symbol(self, space: SymbolSpace) -> JetSymbol:
        """Symbol of these values."""
        return JetSymbol(space, self)

    def __add__(self, other: Any) -> Jet:
        return _Sum([(1.0, self), (1.0, _as_jet(other))])

    def __neg__(self) -> Jet:
        return _Sum([(-1.0, self)])

    def __sub__(self, other: Any) -> Jet:
        return _Sum([(1.0, self), (-1.0, _as_jet(other))])

    def __rsub__(self, other: Any) -> Jet:
        return _Sum([(-1.0, self), (1.0, _as_jet(other))])

    def __mul__(self, other: Any) -> Jet:
        return _Product(self, other) if isinstance(other, Jet) else _Sum([(other, self)])

    __radd__ = __add__
    __rmul__ = __mul__


class _Made(Jet):
    """A jet given by a function."""

    def __init__(self, function: Callable[[MultiIndex], Array], is_matrix: bool):
        self._function = function
        self.is_matrix = is_matrix

    def at(self, axes: MultiIndex) -> Array:
        return self._function(axes)


class _Sum(Jet):
    """Sum of numbers times jets; a sum of sums is one sum."""

    def __init__(self, terms: list[tuple[complex, Jet]]):
        self._terms: list[tuple[complex, Jet]] = []
        for weight, jet in terms:
            if isinstance(jet, _Sum):
                self._terms += [(weight * inner, part) for inner, part in jet._terms]
            else:
                self._terms.append((weight, jet))
        self.is_matrix = terms[0][1].is_matrix

    def at(self, axes: MultiIndex) -> Array:
        parts = ((weight, jet.at(axes)) for weight, jet in self._terms)
        total: Any = None
        for weight, part in parts:
            scaled = part if weight == 1 else weight * part
            total = scaled if total is None else total + scaled
        return np.asarray(total)

    def trace(self) -> Jet:
        return _Sum([(weight, jet.trace()) for weight, jet in self._terms])


class _Product(Jet):
    """Product of two jets."""

    def __init__(self, a: Jet, b: Jet):
        self._a, self._b = a, b
        self.is_matrix = a.is_matrix or b.is_matrix

    def at(self, axes: MultiIndex) -> Array:
        return self._leibniz(axes, lambda a, b: multiply(a, b, 1))

    def trace(self) -> Jet:
        if not (self._a.is_matrix and self._b.is_matrix):
            return super().trace()
        return _Made(lambda axes: self._leibniz(axes, _trace_of_product), False)

    def _leibniz(self, axes: MultiIndex, product: Callable[[Array, Array], Array]) -> Array:
        total: Any = 0
        for number, (count, left, right) in enumerate(_splits(axes)):
            part = product(self._a.at(left), self._b.at(right))
            part = part if count == 1 else count * part
            total = total + part if number else part
        return np.asarray(total)


@cache
def _splits(axes: MultiIndex) -> tuple[tuple[int, MultiIndex, MultiIndex], ...]:
    """(how often, derivatives of the left factor, of the right factor) by Leibniz's rule."""
    counts: Counter[tuple[MultiIndex, MultiIndex]] = Counter()
    for goes_left in cartesian((True, False), repeat=len(axes)):
        left = tuple(axis for axis, chosen in zip(axes, goes_left, strict=True) if chosen)
        right = tuple(axis for axis, chosen in zip(axes, goes_left, strict=True) if not chosen)
        counts[left, right] += 1
    return tuple((count, left, right) for (left, right), count in counts.items())


def _trace_of_product(a: Array, b: Array) -> Array:
    """``tr(a b)`` without the rest of the product."""
    n = len(a)
    total = a[0, 0] * b[0, 0]
    for i, j in list(np.ndindex(n, n))[1:]:
        total += a[i, j] * b[j, i]
    return total


def _as_jet(values: Any) -> Jet:
    return values if isinstance(values, Jet) else Jet.constant(np.asarray(values))


@multiply.register
def _(a: Jet, b: Any, n_grid_axes: int) -> Jet:
    return _Product(a, _as_jet(b))


@trace.register
def _(a: Jet) -> Jet:
    return a.trace()


@adjoint.register
def _(a: Jet) -> Jet:
    return a.adjoint()


class JetSymbol(Symbol):
    """A jet with each of its derivatives computed once."""

    def __init__(self, space: SymbolSpace, jet: Jet):
        self.space = space
        self._jet = jet
        self._known: dict[MultiIndex, Array] = {}

    @property
    def is_matrix(self) -> bool:
        """Whether the values are matrices."""
        return self._jet.is_matrix

    @property
    def values(self) -> Jet:
        """The values, which can be differentiated."""
        return self.derivative()

    def at(self, axes: MultiIndex) -> Array:
        """A derivative by its sorted axes."""
        if axes not in self._known:
            self._known[axes] = self._jet.at(axes)
        return self._known[axes]

    def derivative(self, *axes: int) -> Jet:
        """A derivative, which can be differentiated further."""
        return _Made(lambda further: self.at(tuple(sorted((*axes, *further)))), self.is_matrix)


class JetBands(LocalBands):
    """Local bands at a set of points, acting on jets (their values only)."""

    def projector(self, bands: range) -> Any:
        """Local eigenprojector, without derivatives."""
        return Jet.tabulated({(): super().projector(bands)})

    def divide_by_gap(self, operator: Any, bands: range) -> Any:
        """As for arrays, without derivatives."""
        return Jet.tabulated({(): super().divide_by_gap(operator.at(()), bands)})
