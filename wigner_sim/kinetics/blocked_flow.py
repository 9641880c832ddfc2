r"""Flux form of the equation for coefficients that are short sums of products, block by block.

With ``J_b = V_b w + M_b^{df} d_d d_f w`` the derivatives along x are made on blocks of columns (all x, few k),
all else on blocks of rows (all k, few x), where the coefficients are made too.  Beside w and the
result only the first and second derivatives of w along x have the size of phase space.

Source: docs/theory.md section 5.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import prod

import numpy as np

from wigner_sim import fourier, parallel
from wigner_sim.kinetics.low_rank import Factors, ThirdDerivatives
from wigner_sim.kinetics.terms import PhaseSpaceFlow
from wigner_sim.kinetics.velocity import ProductVelocity, no_velocity
from wigner_sim.symbols import Array, FloatArray, MultiIndex, SymbolSpace

#: Points of a block of columns, and of rows.
_COLUMN_POINTS = 1 << 15
_ROW_POINTS = 1 << 13


class BlockedFlow(PhaseSpaceFlow):
    r""":math:`\partial_t w = -\partial_b(w V_b + M_b^{df}\,\partial_d\partial_f w)`, all of it or a part.

    Parameters
    ----------
    space : SymbolSpace
        With at least one position axis.
    velocity : ProductVelocity
    third : ThirdDerivatives
    """

    def __init__(self, space: SymbolSpace, velocity: ProductVelocity, third: ThirdDerivatives):
        super().__init__(space, velocity, third.terms)
        self._products, self._third = velocity, third
        self._s = self._grid.n_position_axes
        self._n_x, self._n_k = prod(self._grid.n_x), prod(self._grid.n_k)

    def without_velocity(self) -> BlockedFlow:
        """Its third derivatives alone."""
        return BlockedFlow(self._space, no_velocity(self._grid), self._third)

    def _largest_third(self, key: tuple[int, MultiIndex]) -> float:
        return self._third.largest(key)

    @cached_property
    def _pairs(self) -> list[MultiIndex]:
        """Second derivatives of w that are needed."""
        return sorted({pair for _, pair in self._third.terms})

    @cached_property
    def _position_indices(self) -> list[MultiIndex]:
        """Derivatives of w along x that are kept, the first ones first."""
        first: list[MultiIndex] = [(i,) for i in range(self._s)]
        return [*first, *(pair for pair in self._pairs if max(pair) < self._s)]

    @cached_property
    def _weighted(self) -> dict[tuple[float, MultiIndex], Factors]:
        """The third derivatives times the weights that they occur with."""
        wanted = {part for parts in self._third.terms.values() for part in parts}
        derivatives = self._third.derivatives
        return {
            (weight, index): Factors(weight * derivatives[index].x, derivatives[index].k)
            for weight, index in wanted
        }

    @cached_property
    def _moving(self) -> list[int]:
        """Axes along which something flows."""
        pulled = {b for b, _ in self._third.terms}
        return [b for b in range(self._grid.n_axes) if b in pulled or self._fastest[b] > 0]

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Minus the divergence of the flux."""
        w = np.ascontiguousarray(w)
        shape = (self._n_x, self._n_k)
        along_x = [b for b in self._moving if b < self._s]
        kept = self._position_indices if self._pairs else [(b,) for b in along_x]
        slopes = {index: np.empty(shape) for index in kept}
        if self._pairs:
            self._over_columns(lambda columns: self._differentiate(w, slopes, columns))
        out: FloatArray = np.empty_like(w)
        self._over_rows(lambda first, last: self._flow_rows(w, slopes, out, first, last))
        if along_x:
            self._over_columns(lambda columns: self._subtract_divergence(slopes, along_x, out, columns))
        return out

    # --- columns: all x at a few k ---

    def _over_columns(self, work: Callable[[slice], None]) -> None:
        n_blocks = max(1, -(-self._n_x * self._n_k // _COLUMN_POINTS))
        bounds = [j * self._n_k // n_blocks for j in range(n_blocks + 1)]

        def several(first: int, last: int) -> None:
            for j in range(first, last):
                if bounds[j] < bounds[j + 1]:
                    work(slice(bounds[j], bounds[j + 1]))

        parallel.share_out(several, n_blocks)

    def _columns(self, values: FloatArray, columns: slice) -> FloatArray:
        return np.ascontiguousarray(values.reshape(*self._grid.n_x, self._n_k)[..., columns])

    @cached_property
    def _position_factors(self) -> list[Array]:
        """``i q`` of each position axis in the layout of a real transform over them, and one for columns."""
        s = self._s
        factors = [1j * q.reshape(q.shape[:s])[..., None] for q in self._wavenumbers[:s]]
        last = factors[-1]
        factors[-1] = last[..., : self._grid.n_x[-1] // 2 + 1, :]
        return factors

    def _differentiate(self, w: FloatArray, slopes: dict[MultiIndex, FloatArray], columns: slice) -> None:
        axes = tuple(range(self._s))
        hat = fourier.rfftn(self._columns(w, columns), axes)
        for index, values in slopes.items():
            factor = self._position_factors[index[0]]
            for i in index[1:]:
                factor = factor * self._position_factors[i]
            part = fourier.irfftn(factor * hat, self._grid.n_x, axes)
            values[:, columns] = part.reshape(self._n_x, -1)

    def _subtract_divergence(
        self, fluxes: dict[MultiIndex, FloatArray], along_x: list[int], out: FloatArray, columns: slice
    ) -> None:
        axes = tuple(range(self._s))
        total: Array | None = None
        for b in along_x:
            part = self._position_factors[b] * fourier.rfftn(self._columns(fluxes[(b,)], columns), axes)
            total = part if total is None else total + part
        assert total is not None
        divergence = fourier.irfftn(total, self._grid.n_x, axes)
        out.reshape(self._n_x, self._n_k)[:, columns] -= divergence.reshape(self._n_x, -1)

    # --- rows: all k at a few x ---

    def _over_rows(self, work: Callable[[int, int], None]) -> None:
        rows = max(1, _ROW_POINTS // self._n_k)

        def several(first: int, last: int) -> None:
            for j in range(first, last):
                work(j * rows, min((j + 1) * rows, self._n_x))

        parallel.share_out(several, -(-self._n_x // rows))

    @cached_property
    def _momentum_factors(self) -> dict[int, Array]:
        """``i q`` of each momentum axis in the layout of a real transform over them."""
        s = self._s
        return {s + j: 1j * q.reshape(1, *q.shape[s:]) for j, q in enumerate(self._wavenumbers[s:])}

    def _flow_rows(
        self, w: FloatArray, slopes: dict[MultiIndex, FloatArray], out: FloatArray, first: int, last: int
    ) -> None:
        """Fluxes at some positions: those along x replace the slopes, those along k are differentiated."""
        rows, n_k = slice(first, last), self._grid.n_k
        axes = tuple(range(1, 1 + len(n_k)))
        here = w.reshape(self._n_x, self._n_k)[rows]
        second = self._second_derivatives(here, slopes, rows)
        coefficients = {key: factors.rows(first, last) for key, factors in self._weighted.items()}
        total: Array | None = None
        for b in self._moving:
            flux = self._flux_rows(b, here, second, coefficients, rows)
            if b < self._s:
                slopes[(b,)][rows] = flux
                continue
            part = self._momentum_factors[b] * fourier.rfftn(flux.reshape(-1, *n_k), axes)
            total = part if total is None else total + part
        target = out.reshape(self._n_x, self._n_k)[rows]
        if total is None:
            target[...] = 0.0
        else:
            np.negative(fourier.irfftn(total, n_k, axes).reshape(target.shape), out=target)

    def _flux_rows(
        self,
        b: int,
        w: FloatArray,
        second: dict[MultiIndex, FloatArray],
        coefficients: dict[tuple[float, MultiIndex], FloatArray],
        rows: slice,
    ) -> FloatArray:
        velocity = self._products.rows(b, rows)
        flux = np.zeros_like(w) if velocity is None else velocity * w
        scratch = np.empty_like(flux)
        for (axis, pair), terms in self._third.terms.items():
            if axis == b:
                for weight, index in terms:
                    np.multiply(coefficients[weight, index], second[pair], out=scratch)
                    flux += scratch
        return flux

    def _second_derivatives(
        self, w: FloatArray, slopes: dict[MultiIndex, FloatArray], rows: slice
    ) -> dict[MultiIndex, FloatArray]:
        """``d_d d_f w`` at some positions."""
        s, n_k = self._s, self._grid.n_k
        axes = tuple(range(1, 1 + len(n_k)))
        hats: dict[MultiIndex, Array] = {}
        result: dict[MultiIndex, FloatArray] = {}
        for d, f in self._pairs:
            if f < s:
                result[d, f] = slopes[d, f][rows]
                continue
            source: MultiIndex = (d,) if d < s else ()
            if source not in hats:
                values = slopes[source][rows] if source else w
                hats[source] = fourier.rfftn(values.reshape(-1, *n_k), axes)
            factor = self._momentum_factors[f]
            if d >= s:
                factor = factor * self._momentum_factors[d]
            result[d, f] = fourier.irfftn(factor * hats[source], n_k, axes).reshape(w.shape)
        return result
