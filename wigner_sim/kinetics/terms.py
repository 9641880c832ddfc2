"""The parts of the kinetic equation, each with its right-hand side and its own flow.

- :class:`Streaming`: motion in x at fixed k under a band energy E(k).
- :class:`Acceleration`: motion in k at fixed x under a potential U(x).
- :class:`PhaseSpaceFlow`: everything else, ``-d_b J_b`` with velocities and third-derivative
  coefficients on the grid.

Source: docs/theory.md section 5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property, reduce
from itertools import combinations_with_replacement
from math import factorial, prod
from typing import Any, Protocol

import numpy as np

from wigner_sim import fourier, parallel
from wigner_sim.kinetics.pieces import cut, pieces
from wigner_sim.kinetics.velocity import Velocity, no_velocity
from wigner_sim.steppers.runge_kutta import RK4, ExplicitRungeKutta
from wigner_sim.symbols import Array, FloatArray, MultiIndex, SymbolSpace


class Term(Protocol):
    """One part of the equation."""

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Its contribution to d_t w."""
        ...

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """State after ``dt`` under this part alone."""
        ...

    def spectral_radius(self, t: float) -> float:
        """Upper bound of its eigenvalues' modulus."""
        ...


#: A product of wavenumbers (by partner axes, sorted) and the function of the own axes that it multiplies.
SymbolTerm = tuple[MultiIndex, FloatArray]


class MixedPhase:
    """A part that is diagonal after a Fourier transform over some axes: ``d_t w = -i S w``.

    Parameters
    ----------
    space : SymbolSpace
    axes : tuple of int
        Axes that are transformed, leading or trailing ones of a block of neighbours.
    terms : sequence of SymbolTerm, optional
        S as a short sum of (product of wavenumbers) x (function of the other axes).
    symbol : callable () -> array, optional
        S on the grid of a real transform over ``axes``, where it is no short sum.

    Notes
    -----
    An array of S is made only if it is asked for: the compiled engine reads the short sum.
    """

    def __init__(
        self,
        space: SymbolSpace,
        axes: tuple[int, ...],
        terms: Sequence[SymbolTerm] | None,
        symbol: Callable[[], FloatArray] | None = None,
    ):
        self.space = space
        self.axes = axes
        self.terms = terms
        self._make_symbol = symbol or self._sum_of_terms
        self._shape = tuple(space.grid.shape[axis] for axis in axes)
        self._phases: dict[float, Array] = {}

    @cached_property
    def symbol(self) -> FloatArray:
        """S, its last transformed axis halved."""
        return self._make_symbol()

    def _sum_of_terms(self, piece: tuple[slice, ...] | None = None) -> FloatArray:
        """S, or a piece of it that is whole along the axes."""
        total = np.zeros((1,) * self.space.grid.n_axes)
        for index, coefficient in self.terms or ():
            product = coefficient if piece is None else coefficient[cut(piece, coefficient.shape)]
            for axis in index:
                product = product * _halved(self.space, axis, self.axes[-1])
            total = total + product
        return total

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """``-i S w`` by a transform over the axes and back; S is made piece by piece if it is a short sum."""
        if self.terms is None or "symbol" in self.__dict__ or w.shape != self.space.grid.shape:
            return self._multiply(w, -1j * self.symbol)
        result = np.empty(w.shape)
        parts = pieces(w.shape, self.axes)

        def work(first: int, last: int) -> None:
            for piece in parts[first:last]:
                transform = fourier.real_transform(w[piece].shape, self.axes)
                transform.values[...] = w[piece]
                modes = transform.forward()
                modes *= self._sum_of_terms(piece) * (-1j / prod(self._shape))
                result[piece] = transform.backward()

        parallel.share_out(work, len(parts), w.size >= fourier.WORTH_SHARING)
        return result

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """``exp(-i S dt) w``, exact for any dt."""
        if dt not in self._phases:
            if len(self._phases) > 16:
                self._phases.clear()
            self._phases[dt] = np.exp(-1j * dt * self.symbol)
        return self._multiply(w, self._phases[dt])

    def spectral_radius(self, t: float) -> float:
        """Largest frequency."""
        return self._largest_frequency

    @cached_property
    def _largest_frequency(self) -> float:
        """Computed slab by slab along the first axis, so that no array of S is left behind."""
        if self.terms is None or "symbol" in self.__dict__:
            return float(np.abs(self.symbol).max())
        largest = 0.0
        factors = [
            [coefficient, *(_halved(self.space, axis, self.axes[-1]) for axis in index)]
            for index, coefficient in self.terms
        ]
        for first in range(max((factor.shape[0] for product in factors for factor in product), default=0)):
            slabs = ((f[first : first + 1] if len(f) > 1 else f for f in product) for product in factors)
            total = sum((reduce(np.multiply, slab) for slab in slabs), start=np.zeros(()))
            largest = max(largest, float(np.abs(total).max()))
        return largest

    def _multiply(self, w: FloatArray, factor: Array) -> FloatArray:
        return fourier.irfftn(factor * fourier.rfftn(w, self.axes), self._shape, self.axes)


def _gradient_terms(
    space: SymbolSpace, values: FloatArray, own: range, partner: range, n_orders: int
) -> list[SymbolTerm]:
    """Gradient series of ``F(z + p/2) - F(z - p/2)``: products of p with derivatives of F.

    ``n_orders`` 1 keeps the first derivatives, 2 the third too.
    """
    symbol = space.symbol(values)
    partners = dict(zip(own, partner, strict=False))
    terms: list[SymbolTerm] = []
    for degree in (1, 3)[:n_orders]:
        for index in combinations_with_replacement(sorted(partners), degree):
            arrangements = factorial(degree) / prod(factorial(count) for count in Counter(index).values())
            weight = arrangements * 0.5 ** (degree - 1) / factorial(degree)
            derivative = symbol.derivative(*index)
            if derivative.any():
                terms.append((tuple(partners[axis] for axis in index), weight * derivative))
    return terms


def _shifted_difference(
    space: SymbolSpace, values: FloatArray, own: range, partner: range, last: int
) -> FloatArray:
    """``F(z + p/2) - F(z - p/2)`` to all orders, mode by mode ``2 i sin(m . p / 2)``.

    F is a function of the ``own`` axes, p the partner axes' wavenumbers; axis ``last`` is halved.
    """
    theta: FloatArray = np.zeros(())
    for a, b in zip(own, partner, strict=False):
        theta = theta + 0.5 * space.axis_wavenumbers[a] * _halved(space, b, last)
    axes = tuple(own)
    return fourier.ifftn(2j * np.sin(theta) * fourier.fftn(values, axes), axes).real


def _halved(space: SymbolSpace, axis: int, last: int) -> FloatArray:
    """Wavenumbers of an axis in the layout of a real transform, whose last axis is halved."""
    q = space.axis_wavenumbers[axis]
    if axis != last:
        return q
    return np.moveaxis(np.moveaxis(q, axis, -1)[..., : space.grid.shape[axis] // 2 + 1], -1, axis)


class Streaming(MixedPhase):
    r"""Motion in x under E(k): :math:`\partial_t w = -i[E(k+q/2)-E(k-q/2)]\,w` in (q, k).

    Parameters
    ----------
    space : SymbolSpace
    energy : array (1.., *k), energy
    n_orders : int or None
        1: group velocity only; 2: with the third derivative; None: all orders of the Moyal product.

    Notes
    -----
    docs/theory.md section 5; unitary, exact for any time step.
    """

    def __init__(self, space: SymbolSpace, energy: FloatArray, n_orders: int | None):
        s, d = space.grid.n_position_axes, space.grid.n_momentum_axes
        own, moved = range(s, s + d), range(s)
        if n_orders is None:
            super().__init__(
                space, tuple(moved), None, lambda: _shifted_difference(space, energy, own, moved, s - 1)
            )
        else:
            super().__init__(space, tuple(moved), _gradient_terms(space, energy, own, moved, n_orders))


class Acceleration(MixedPhase):
    r"""Motion in k under U(x) and a uniform force.

    With s dual to k,

    .. math:: \partial_t w = i[U(x+s/2)-U(x-s/2) - F\cdot s]\,w .

    Parameters
    ----------
    space : SymbolSpace
    potential : array (*x, 1..), energy
    n_orders : int or None
        As in :class:`Streaming`.
    force : array (d,), optional
    """

    def __init__(
        self, space: SymbolSpace, potential: FloatArray, n_orders: int | None, force: FloatArray | None = None
    ):
        grid = space.grid
        s = grid.n_position_axes
        n_moved = grid.n_momentum_axes if not s or (force is not None and np.any(force[s:])) else s
        own, moved = range(s), range(s, s + n_moved)
        ones = np.ones((1,) * grid.n_axes)
        pull: list[SymbolTerm] = (
            [] if force is None else [((axis,), force[axis - s] * ones) for axis in moved]
        )
        if n_orders is None and s:

            def symbol() -> FloatArray:
                total = -_shifted_difference(space, potential, own, moved, moved[-1])
                for (axis,), value in pull:
                    total = total + value * _halved(space, axis, moved[-1])
                return total

            super().__init__(space, tuple(moved), None, symbol)
            return
        gradients = _gradient_terms(space, potential, own, moved, n_orders or 1) if s else []
        super().__init__(space, tuple(moved), [*((index, -value) for index, value in gradients), *pull])


class PhaseSpaceFlow:
    r"""Flux form on the grid, :math:`\partial_t w = -\partial_b(w V_b + M_b^{df}\,\partial_d\partial_f w)`.

    Parameters
    ----------
    space : SymbolSpace
    velocity : Velocity
        V.
    third_derivative : dict (b, (d, f)) -> array (*x, *k)
        Coefficients M of the Moyal term, see ``equation.moyal_coefficients``.
    kept : array (*q half), optional
        Factor between 0 and 1 on each Fourier mode of the result (dealiasing).
    bounded : bool
        Multiply the modes of w under the third derivatives by ``1/(1 + r)``, r the ratio of the largest
        rates of the third-derivative and the first-derivative terms.  As ``r = O(eps^2)`` this is a
        correction of fourth order in gradients, and it leaves only the limit of the first derivatives
        on an explicit time step.

    Notes
    -----
    Being a divergence it keeps the particle number to rounding.  Its flow is RK4 with as many equal
    substeps as stability asks for, so a composition scheme keeps its order up to four.
    """

    _scheme = ExplicitRungeKutta("rk4", RK4)

    def __init__(
        self,
        space: SymbolSpace,
        velocity: Velocity,
        third_derivative: dict[tuple[int, MultiIndex], Any],
        kept: FloatArray | None = None,
        bounded: bool = False,
    ):
        self._space = space
        self._grid = space.grid
        self.velocity = velocity
        self.third_derivative = third_derivative
        self._kept = kept
        self._axes = tuple(range(-self._grid.n_axes, 0))
        half = self._grid.shape[-1] // 2 + 1
        self._wavenumbers = [*space.axis_wavenumbers[:-1], space.axis_wavenumbers[-1][..., :half]]
        self._kept_third = 1.0 / (1.0 + self._rate_ratio()) if bounded and third_derivative else None

    @property
    def space(self) -> SymbolSpace:
        """Where symbols live."""
        return self._space

    @property
    def vanishes(self) -> bool:
        """Whether nothing is left in it."""
        return not self.third_derivative and self._fastest.max() == 0.0

    @property
    def has_third(self) -> bool:
        """Whether it holds third derivatives."""
        return bool(self.third_derivative)

    def third_coefficient(self, key: tuple[int, MultiIndex]) -> FloatArray:
        """The coefficient of ``d_d d_f w`` in ``J_b``, by (b, (d, f))."""
        return np.asarray(self.third_derivative[key])

    def without_velocity(self) -> PhaseSpaceFlow:
        """Its third derivatives alone."""
        return PhaseSpaceFlow(self._space, no_velocity(self._grid), self.third_derivative)

    @cached_property
    def _fastest(self) -> FloatArray:
        """Largest speed along each axis."""
        return np.array([self.velocity.largest_speed(axis) for axis in range(self._grid.n_axes)])

    def _first_rate(self) -> FloatArray:
        """Largest rate of the first-derivative terms for each Fourier mode."""
        return np.asarray(sum(v * np.abs(q) for v, q in zip(self._fastest, self._wavenumbers, strict=True)))

    def _third_rate(self) -> FloatArray:
        """Largest rate of the third-derivative term for each Fourier mode."""
        q = self._wavenumbers
        rates = (
            self._largest_third((b, (d, f))) * np.abs(q[b] * q[d] * q[f])
            for b, (d, f) in self.third_derivative
        )
        return np.asarray(sum(rates, start=np.zeros(1)))

    def _largest_third(self, key: tuple[int, MultiIndex]) -> float:
        """Largest third-derivative coefficient."""
        return float(np.abs(self.third_derivative[key]).max())

    def _rate_ratio(self) -> FloatArray:
        first = self._first_rate()
        return self._third_rate() / np.where(first > 0, first, 1.0)

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Minus the divergence of the flux."""
        q = self._wavenumbers
        second: dict[MultiIndex, FloatArray] = {}
        if self.third_derivative:
            w_hat = fourier.rfftn(w, self._axes)
            if self._kept_third is not None:
                w_hat = w_hat * self._kept_third
            for d, f in sorted({pair for _, pair in self.third_derivative}):
                second[d, f] = fourier.irfftn(-q[d] * q[f] * w_hat, self._grid.shape, self._axes)
        total: Array = np.zeros(())
        for b in range(self._grid.n_axes):
            flux = self._flux(b, w, second)
            if flux is not None:
                total = total - 1j * q[b] * fourier.rfftn(flux, self._axes)
        if total.ndim == 0:
            return np.zeros_like(w)
        if self._kept is not None:
            total = total * self._kept
        return fourier.irfftn(total, self._grid.shape, self._axes)

    def _flux(self, b: int, w: FloatArray, second: dict[MultiIndex, FloatArray]) -> FloatArray | None:
        """Flux ``J_b``, or None where nothing flows."""
        velocity = self.velocity.component(b)
        flux = None if velocity is None else velocity * w
        for (axis, pair), coefficient in self.third_derivative.items():
            if axis == b:
                flux = coefficient * second[pair] if flux is None else flux + coefficient * second[pair]
        return flux

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """RK4 in equal substeps of at most half the stability limit."""
        n = max(1, int(np.ceil(abs(dt) * self.spectral_radius(t) / (0.5 * self._scheme.stability_limit))))
        for _ in range(n):
            w = self._scheme.step(self, w, t, dt / n)
        return w

    def spectral_radius(self, t: float) -> float:
        """Bound from the largest coefficients and wavenumbers."""
        return self._spectral_radius

    @cached_property
    def _spectral_radius(self) -> float:
        third = self._third_rate()
        if self._kept_third is not None:
            third = third * self._kept_third
        return float((self._first_rate() + third).max())
