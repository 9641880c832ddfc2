"""The metric's smearing S where it only multiplies Fourier modes: in pieces that stay in the cache.

Source: docs/theory.md section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from wigner_sim import fourier, parallel
from wigner_sim.kernels import numba_is_usable
from wigner_sim.kernels.factor_passes import FactorPass
from wigner_sim.kernels.layout import MovedAxes
from wigner_sim.kernels.passes import SumOfFactors, can_transform
from wigner_sim.kernels.sampled_spectra import SampledSpectra
from wigner_sim.kernels.survey_passes import LaneSurvey
from wigner_sim.kinetics.lane_bounds import LaneBounds, extremes_within
from wigner_sim.kinetics.low_rank import Factors
from wigner_sim.kinetics.pieces import cut, pieces
from wigner_sim.symbols import FloatArray

#: Points from which compiled passes are worth the time they take to be compiled.
LARGE = 1 << 18
#: On a grid above LARGE, spectra are those of every so many-th line in each direction.
STRIDE = 2


@dataclass(frozen=True)
class ModeSmearing:
    """``u + sign S u / divisor``; S multiplies modes along some axes by ``sum_t q_t(modes) g_t(other axes)``.

    Parameters
    ----------
    shape : tuple of int
    n_position_axes : int
    axes : tuple of int
        Those that are transformed.
    terms : sequence of (array, array)
        q_t and g_t, both broadcastable to the shape.
    divisor : array, optional
        Of the shape, or broadcastable to it.
    divisor_factors : Factors, optional
        The same as a short sum of products.
    """

    shape: tuple[int, ...]
    n_position_axes: int
    axes: tuple[int, ...]
    terms: Sequence[tuple[FloatArray, FloatArray]]
    divisor: FloatArray | None = None
    divisor_factors: Factors | None = None
    _thinned: dict[int, ModeSmearing] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_compiled(self) -> bool:
        """Whether the grid is large and a compiled pass over all positions does it."""
        n_x = self.shape[: self.n_position_axes]
        inside = max(self.axes) < len(n_x) and prod(self.shape) >= LARGE
        return inside and numba_is_usable() and can_transform(n_x)

    def apply(self, u: FloatArray) -> FloatArray:
        """``S u`` alone, without divisor."""
        return self._made(u, 1.0, alone=True)

    def added(self, w: FloatArray, sign: float = 1.0) -> FloatArray:
        """``u + sign S u / divisor`` with ``u = w / divisor``."""
        if not self.is_compiled:
            return self._made(w, sign)
        result = np.empty(self.shape)
        self._pass.apply(_plain(w), result.reshape(-1), sign)
        return result

    def extremes(
        self, w: FloatArray, sign: float = 1.0, seen: LaneSurvey | None = None
    ) -> tuple[float, float]:
        """Smallest and largest value of :meth:`added`, which is not stored.

        If w has been ``seen``, they are looked for only where they can be.
        """
        if self.is_compiled:
            return self._compiled_extremes(_plain(w), sign, seen)
        found: list[tuple[float, float]] = []

        def note(piece: tuple[slice, ...], values: FloatArray) -> None:
            found.append((float(values.min()), float(values.max())))

        self._by_pieces(w, sign, note)
        lowest, highest = np.transpose(found)
        return float(lowest.min()), float(highest.max())

    def _compiled_extremes(self, w: FloatArray, sign: float, seen: LaneSurvey | None) -> tuple[float, float]:
        if seen is None or self._bounds is None:
            lowest, highest = self._pass.extremes(w, sign)
            return float(lowest.min()), float(highest.max())
        lowest, highest = self._bounds.enclosures(seen)
        width = self._pass.lanes_of_a_block(w.dtype)
        starts = np.arange(0, lowest.size, width)

        def measure(blocks: FloatArray) -> tuple[float, float]:
            low, high = self._pass.extremes(w, sign, blocks)
            lanes = (blocks[:, None] * width + np.arange(width)).ravel()
            lanes = lanes[lanes < low.size]
            return float(low[lanes].min()), float(high[lanes].max())

        return extremes_within(
            np.minimum.reduceat(lowest, starts), np.maximum.reduceat(highest, starts), measure
        )

    @cached_property
    def _bounds(self) -> LaneBounds | None:
        n_x = self.shape[: self.n_position_axes]
        factor, below = self._pass.factor, self.divisor
        if below is not None:
            below = np.broadcast_to(below, self.shape).reshape(prod(n_x), -1)
        return LaneBounds.of(n_x, below, factor.own.T.reshape(-1, *n_x), factor.lanes)

    def added_at_every(self, w: FloatArray, stride: int) -> FloatArray:
        """``w + S w`` at every ``stride``-th point of the axes that are not transformed."""
        kept = tuple(slice(None, None, 1 if axis in self.axes else stride) for axis in range(len(self.shape)))
        thin = np.ascontiguousarray(w[kept])
        if stride not in self._thinned:
            terms = [(q, g[kept]) for q, g in self.terms]
            self._thinned[stride] = ModeSmearing(thin.shape, self.n_position_axes, self.axes, terms)
        return self._thinned[stride].added(thin)

    def spectra(self, w: FloatArray) -> list[list[FloatArray]]:
        """Largest squares of the modes of w, and of ``w + S w``, by position axis: see ``SampledSpectra``."""
        return self._samples.largest_squares(w)

    @cached_property
    def _samples(self) -> SampledSpectra:
        s = self.n_position_axes
        return SampledSpectra(self.shape[:s], self.shape[s:], STRIDE, self._pass.factor)

    def _made(self, w: FloatArray, sign: float, alone: bool = False) -> FloatArray:
        result = np.empty(self.shape)

        def put(piece: tuple[slice, ...], values: FloatArray) -> None:
            result[piece] = values

        self._by_pieces(w, sign, put, alone)
        return result

    def _by_pieces(
        self,
        w: FloatArray,
        sign: float,
        use: Callable[[tuple[slice, ...], FloatArray], None],
        alone: bool = False,
    ) -> None:
        """Hand ``u + sign S u / divisor``, or S w alone, to ``use``, piece by piece."""
        parts, n_modes = pieces(self.shape, self.axes), prod(self.shape[axis] for axis in self.axes)
        divisor = None if alone else self.divisor

        def work(first: int, last: int) -> None:
            for piece in parts[first:last]:
                below = 1.0 if divisor is None else divisor[cut(piece, divisor.shape)]
                u = np.asarray(w[piece], dtype=float) / below
                transform = fourier.real_transform(u.shape, self.axes)
                transform.values[...] = u
                modes = transform.forward()
                modes *= self._factor[cut(piece, self._factor.shape)]
                modes *= sign / n_modes
                change = transform.backward()
                if alone:
                    use(piece, change)
                    continue
                change /= below
                change += u
                use(piece, change)

        parallel.share_out(work, len(parts), prod(self.shape) >= fourier.WORTH_SHARING)

    @cached_property
    def _factor(self) -> FloatArray:
        """In the layout of a real transform over the axes."""
        last = self.axes[-1]
        half = range(self.shape[last] // 2 + 1)
        products = ((np.take(q, half, last) if q.shape[last] > 1 else q) * g for q, g in self.terms)
        return np.asarray(sum(products, start=np.zeros((1,) * len(self.shape))))

    @cached_property
    def _pass(self) -> FactorPass:
        s = self.n_position_axes
        n_x, n_k = self.shape[:s], self.shape[s:]
        own = [np.broadcast_to(q.reshape(q.shape[:s]), n_x).ravel() for q, _ in self.terms]
        lanes = [np.broadcast_to(g.reshape(g.shape[s:]), n_k).ravel() for _, g in self.terms]
        factor = SumOfFactors(np.stack(own, axis=1), np.stack(lanes))
        divisor: Any = None
        if self.divisor_factors is not None:
            divisor = SumOfFactors(self.divisor_factors.x, self.divisor_factors.k)
        elif self.divisor is not None:
            divisor = np.array(np.broadcast_to(self.divisor, self.shape)).reshape(-1)
        return FactorPass(MovedAxes(1, n_x, (1.0,) * s, prod(n_k)), factor, divisor)


def _plain(w: FloatArray) -> FloatArray:
    """As the compiled passes want it: flat, in double precision, of one kind for the compiler."""
    return np.require(w, float, ["C", "W"]).reshape(-1)
