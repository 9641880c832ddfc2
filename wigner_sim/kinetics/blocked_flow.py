r"""Flux form of the equation for coefficients that are short sums of products, block by block.

With ``J_b = V_b w + M_b^{df} d_d d_f w`` the derivatives along x are made on columns (all x at a few k), all
else on rows (all k at a few x), where the coefficients are made too.  Beside w and the result only the first
and second derivatives of w along x have the size of phase space.

Source: docs/theory.md section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from math import prod

import numpy as np

from wigner_sim import fourier, parallel
from wigner_sim.kinetics.low_rank import Factors, ThirdDerivatives
from wigner_sim.kinetics.terms import PhaseSpaceFlow
from wigner_sim.kinetics.velocity import ProductVelocity, no_velocity
from wigner_sim.symbols import Array, FloatArray, MultiIndex, SymbolSpace

#: Order of a flow's Taylor series by ``time * largest rate``, as in ``magnetic_moyal``; longer ones are cut.
TAYLOR_ORDERS = ((0.001, 2), (0.01, 3), (2.4, 4))
#: Points of a block of columns, and of rows.
_COLUMN_POINTS = 1 << 15
_ROW_POINTS = 1 << 14


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

    def third_coefficient(self, key: tuple[int, MultiIndex]) -> FloatArray:
        """The coefficient of ``d_d d_f w`` in ``J_b``, by (b, (d, f)), on the grid."""
        parts = (self._weighted[part].rows(0, self._n_x) for part in self._third.terms[key])
        return np.asarray(sum(parts, start=np.zeros((self._n_x, self._n_k)))).reshape(self._grid.shape)

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
        self._over_rows(lambda rows: self._flow_rows(w, slopes, out, rows))
        if along_x:
            self._over_columns(lambda columns: self._subtract_divergence(slopes, along_x, out, columns))
        return out

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """Taylor series, of the order and in as many equal steps as stability asks for."""
        reach = abs(dt) * self.spectral_radius(t)
        n = max(1, int(np.ceil(reach / TAYLOR_ORDERS[-1][0])))
        order = next(order for limit, order in TAYLOR_ORDERS if reach / n <= limit)
        for _ in range(n):
            stage = w
            for j in range(order, 0, -1):
                slope = self.rhs(stage, t)
                slope *= dt / (n * j)
                slope += w
                stage = slope
            w = stage
        return w

    # --- columns: all x at a few k ---

    def _over_columns(self, work: Callable[[slice], None]) -> None:
        n_blocks = max(1, -(-self._n_x * self._n_k // _COLUMN_POINTS))
        bounds = [j * self._n_k // n_blocks for j in range(n_blocks + 1)]

        def several(first: int, last: int) -> None:
            for j in range(first, last):
                if bounds[j] < bounds[j + 1]:
                    work(slice(bounds[j], bounds[j + 1]))

        parallel.share_out(several, n_blocks)

    def _transform_of(self, columns: slice) -> fourier.RealTransform:
        shape = (*self._grid.n_x, columns.stop - columns.start)
        return fourier.real_transform(shape, tuple(range(self._s)))

    @cached_property
    def _position_factors(self) -> list[Array]:
        """``i q`` of each position axis in the layout of a real transform over them, and one for columns."""
        s = self._s
        factors = [1j * q.reshape(q.shape[:s])[..., None] for q in self._wavenumbers[:s]]
        last = factors[-1]
        factors[-1] = last[..., : self._grid.n_x[-1] // 2 + 1, :]
        return factors

    def _differentiate(self, w: FloatArray, slopes: dict[MultiIndex, FloatArray], columns: slice) -> None:
        transform = self._transform_of(columns)
        transform.values[...] = w.reshape(*self._grid.n_x, self._n_k)[..., columns]
        hat = transform.forward() * (1 / self._n_x)
        for index, values in slopes.items():
            factor = self._position_factors[index[0]]
            for i in index[1:]:
                factor = factor * self._position_factors[i]
            np.multiply(factor, hat, out=transform.modes)
            values[:, columns] = transform.backward().reshape(self._n_x, -1)

    def _subtract_divergence(
        self, fluxes: dict[MultiIndex, FloatArray], along_x: list[int], out: FloatArray, columns: slice
    ) -> None:
        transform = self._transform_of(columns)
        total = np.zeros_like(transform.modes)
        for b in along_x:
            transform.values[...] = fluxes[(b,)].reshape(*self._grid.n_x, self._n_k)[..., columns]
            total += self._position_factors[b] * transform.forward()
        np.multiply(total, 1 / self._n_x, out=transform.modes)
        out.reshape(self._n_x, self._n_k)[:, columns] -= transform.backward().reshape(self._n_x, -1)

    # --- rows: all k at a few x ---

    def _over_rows(self, work: Callable[[slice], None]) -> None:
        rows = max(1, _ROW_POINTS // self._n_k)

        def several(first: int, last: int) -> None:
            for j in range(first, last):
                work(slice(j * rows, min((j + 1) * rows, self._n_x)))

        parallel.share_out(several, -(-self._n_x // rows), linear_algebra=True)

    @cached_property
    def _momentum_factors(self) -> dict[int, Array]:
        """``i q`` of each momentum axis in the layout of a real transform over them."""
        s = self._s
        return {s + j: 1j * q.reshape(1, *q.shape[s:]) for j, q in enumerate(self._wavenumbers[s:])}

    def _flow_rows(
        self, w: FloatArray, slopes: dict[MultiIndex, FloatArray], out: FloatArray, rows: slice
    ) -> None:
        """Fluxes at some positions: those along x replace the slopes, those along k are differentiated."""
        shape = (rows.stop - rows.start, *self._grid.n_k)
        transform = fourier.real_transform(shape, tuple(range(1, len(shape))))
        here = w.reshape(self._n_x, self._n_k)[rows]
        fluxes = self._fluxes(here, slopes, rows, transform)
        total = np.zeros_like(transform.modes)
        for b, flux in fluxes.items():
            if b < self._s:
                slopes[(b,)][rows] = flux
            else:
                transform.values[...] = flux.reshape(shape)
                total += self._momentum_factors[b] * transform.forward()
        np.multiply(total, -1 / self._n_k, out=transform.modes)
        out.reshape(self._n_x, self._n_k)[rows] = transform.backward().reshape(here.shape)

    def _fluxes(
        self,
        w: FloatArray,
        slopes: dict[MultiIndex, FloatArray],
        rows: slice,
        transform: fourier.RealTransform,
    ) -> dict[int, FloatArray]:
        """``V_b w + M_b^{df} d_d d_f w`` at some positions."""
        fluxes = {}
        for b in self._moving:
            velocity = self._products.rows(b, rows)
            fluxes[b] = np.zeros_like(w) if velocity is None else velocity * w
        known = {key: factors.rows(rows.start, rows.stop) for key, factors in self._weighted.items()}
        scratch = np.empty_like(w)
        for pair, second in self._second_derivatives(w, slopes, rows, transform):
            for b in self._moving:
                for part in self._third.terms.get((b, pair), ()):
                    np.multiply(known[part], second, out=scratch)
                    fluxes[b] += scratch
        return fluxes

    def _second_derivatives(
        self,
        w: FloatArray,
        slopes: dict[MultiIndex, FloatArray],
        rows: slice,
        transform: fourier.RealTransform,
    ) -> Iterator[tuple[MultiIndex, FloatArray]]:
        """``d_d d_f w`` at some positions, one after the other in the same place."""
        last, hat = None, transform.modes
        for d, f in self._pairs:
            if f < self._s:
                yield (d, f), slopes[d, f][rows]
                continue
            source: MultiIndex = (d,) if d < self._s else ()
            if source != last:
                values = slopes[source][rows] if source else w
                transform.values[...] = values.reshape(transform.values.shape)
                last, hat = source, transform.forward() * (1 / self._n_k)
            factor = self._momentum_factors[f]
            if d >= self._s:
                factor = factor * self._momentum_factors[d]
            np.multiply(factor, hat, out=transform.modes)
            yield (d, f), transform.backward().reshape(w.shape)
