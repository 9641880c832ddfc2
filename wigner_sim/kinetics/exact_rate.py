r"""The rate of f by star products alone, at any order: what a kinetic equation of lower order leaves out.

With the Moyal projector ``pi`` of a band, ``F = pi * c * pi`` and ``f = tr F``,

.. math:: \partial_t f = -i\,\mathrm{tr}\,[H, F]_* - F_i\,\partial_{k_i} f

(F_i a uniform force), expanded like everything else.  c follows from f order by order.  Nothing of the
kinetic equation enters; against it, this is the residual of a given order on a given state.

Source: docs/theory.md sections 3, 4 and 8.
"""

from __future__ import annotations

from math import factorial

import numpy as np

from wigner_sim import fourier
from wigner_sim.kinetics.effective_band import Drive, central_difference
from wigner_sim.projector import LocalBands, moyal_projector
from wigner_sim.symbols import (
    Array,
    FloatArray,
    MultiIndex,
    Symbol,
    SymbolSpace,
    adjoint,
    multiply,
    poisson_contractions,
    star_product_at,
    trace,
)


class ExactRate:
    """Rate of f of one band at one time, through ``order`` in gradients.

    Parameters
    ----------
    drive : Drive
        Hamiltonian and force; ``difference_step`` 0 if nothing depends on time.
    t : float, time
    band : int
    order : int
        As of the kinetic equation: the rate holds orders 1 to ``order + 1`` in eps.

    Notes
    -----
    The projector is made once; each state then costs about ``order**2`` star products of matrices.
    """

    def __init__(self, drive: Drive, t: float, band: int, order: int):
        self._order = order
        self._hamiltonian = drive.matrix_at(t)
        self._force = drive.force_at(t)
        self._pi = driven_projector(drive, t, band, order)

    def __call__(self, f: FloatArray) -> FloatArray:
        """``d_t f``, shape (*x, *k)."""
        space, order = self._hamiltonian.space, self._order
        rate = np.zeros(f.shape)
        for j, values in enumerate(self._state(f)):
            # (i/2)^n is imaginary for odd n, which F then enters by its Hermitian part, and real for even n
            even = 0.5 * (values + adjoint(values))
            rate += self._commutator_trace(HermitianSymbol(space, even), range(1, order + 2 - j, 2))
            if j:  # what products on the grid lack in Hermiticity; F_0 is made point by point
                odd = -0.5j * (values - adjoint(values))
                rate += self._commutator_trace(HermitianSymbol(space, odd), range(0, order + 2 - j, 2))
        for i, force in enumerate(self._force):
            if force:
                rate -= force * space.symbol(f).derivative(space.grid.n_position_axes + i)
        return rate

    def _commutator_trace(self, part: HermitianSymbol, gradients: range) -> FloatArray:
        """Twice the imaginary part of ``tr H * F``, by numbers of gradients that are all even or all odd."""
        grid, total = self._hamiltonian.space.grid, np.zeros(())
        for n in gradients:
            along: dict[MultiIndex, Array] = {}
            for weight, left, right in poisson_contractions(grid, n):
                along[right] = along.get(right, 0.0) + weight * self._hamiltonian.derivative(*left)
            factor = 2 * (0.5j**n / (1j if n % 2 else 1)).real / factorial(n)
            for right, derivative in along.items():
                total = total + factor * part.trace_with(derivative, right)
        return total

    def _state(self, f: FloatArray) -> list[Array]:
        """``F = pi * c * pi`` by orders, with c such that its trace is f."""
        space, pi = self._hamiltonian.space, self._pi
        c, left, whole = [space.symbol(f)], [], []
        for m in range(self._order + 1):
            left.append(space.symbol(star_product_at(pi, c, m)))
            values = star_product_at(left, pi, m)
            if m:  # c_m takes from the trace what lower orders of c have put there
                c.append(space.symbol(-trace(values).real))
                own = multiply(pi[0].values, c[m].values, space.grid.n_axes)
                left[m], values = space.symbol(left[m].values + own), values + own
            whole.append(values)
        return whole


class HermitianSymbol:
    """A Hermitian matrix symbol by its upper triangle; two real diagonal elements are one complex function.

    Parameters
    ----------
    space : SymbolSpace
    values : array (n, n, *x, *k)
    """

    def __init__(self, space: SymbolSpace, values: Array):
        self._space, self._n = space, len(values)
        self._above = [(i, j) for i in range(self._n) for j in range(i + 1, self._n)]
        diagonal = [values[i, i].real for i in range(self._n)] + [np.zeros(())] * (self._n % 2)
        pairs = [a + 1j * b for a, b in zip(diagonal[::2], diagonal[1::2], strict=True)]
        self._hats = [
            fourier.fftn(each, self._axes) for each in (*pairs, *(values[at] for at in self._above))
        ]

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(range(self._space.grid.n_axes))

    def _derivative(self, axes: MultiIndex) -> list[Array]:
        """Of the pairs, then of the elements above the diagonal."""
        factors = [self._space.derivative_factor(axis, True) for axis in axes]
        places = [(0, 0)] * (len(self._hats) - len(self._above)) + self._above
        results = []
        for place, hat in zip(places, self._hats, strict=True):
            for factor in factors:
                hat = hat * (factor[place] if factor.ndim > hat.ndim else factor)
            results.append(fourier.ifftn(hat, self._axes))
        return results

    def trace_with(self, other: Array, axes: MultiIndex) -> FloatArray:
        """``tr A d_axes F`` with a Hermitian A, shape (n, n, *x, *k)."""
        elements = self._derivative(axes)
        total = np.zeros(())
        for i in range(self._n):
            element = elements[i // 2]
            total = total + other[i, i].real * (element.imag if i % 2 else element.real)
        for (i, j), element in zip(self._above, elements[-len(self._above) :], strict=self._n > 1):
            total = total + 2 * (other[i, j].real * element.real + other[i, j].imag * element.imag)
        return total


def driven_projector(drive: Drive, t: float, band: int, order: int) -> list[Symbol]:
    """Moyal projector at any order under drive and force, ``[H, pi]_* = i D_t pi``, ``D_t = d_t + F . d_k``.

    Explicit time derivatives are central differences, which reach two steps to either side for each order.
    """
    step = drive.difference_step
    reach = 2 * order if step else 0
    symbols = {j: drive.matrix_at(t + j * step) for j in range(-reach, reach + 1)}
    bands = {j: LocalBands.of(symbol.values) for j, symbol in symbols.items()}
    group = range(band, band + 1)
    moving = bool(step) or bool(np.any(drive.force_at(t)))
    rates: dict[int, list[Array]] = {j: [] for j in symbols}
    pi = {j: moyal_projector(symbols[j], bands[j], group, 0)[0].values for j in symbols}
    for m in range(order if moving else 0):
        inner = [j for j in symbols if abs(j) <= reach - 2 * (m + 1)] if step else [0]
        for j in inner:
            rates[j].append(_convective(drive, t, pi, j, symbols[0]))
        pi = {j: moyal_projector(symbols[j], bands[j], group, m + 1, rates[j])[m + 1].values for j in inner}
    return moyal_projector(symbols[0], bands[0], group, order, rates[0])


def _convective(drive: Drive, t: float, values: dict[int, Array], j: int, like: Symbol) -> Array:
    step, symbol = drive.difference_step, like.space.symbol(values[j])
    rate = central_difference(values, j, step) if step else np.zeros_like(values[j])
    for i, force in enumerate(drive.force_at(t + j * step)):
        if force:
            rate = rate + force * symbol.derivative(like.space.grid.n_position_axes + i)
    return rate
