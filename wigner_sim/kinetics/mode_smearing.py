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
from wigner_sim.symbols import FloatArray

#: Points from which compiled passes are worth the time they take to be compiled.
LARGE = 1 << 18


def pieces(shape: tuple[int, ...], whole: Sequence[int], n_points: int = 1 << 17) -> list[tuple[slice, ...]]:
    """Cut an array along its first axis that need not stay ``whole``, into pieces of about ``n_points``."""
    axis = next((axis for axis in range(len(shape)) if axis not in whole), None)
    if axis is None:
        return [(slice(None),) * len(shape)]
    width = max(1, n_points * shape[axis] // max(1, prod(shape)))
    before, after = (slice(None),) * axis, (slice(None),) * (len(shape) - axis - 1)
    return [(*before, slice(first, first + width), *after) for first in range(0, shape[axis], width)]


@dataclass(frozen=True)
class ModeSmearing:
    """``S u``: the modes of u along some axes times ``sum_t q_t(modes) g_t(the other axes)``.

    Parameters
    ----------
    shape : tuple of int
    n_position_axes : int
    axes : tuple of int
        Those that are transformed.
    terms : sequence of (array, array)
        q_t and g_t, both broadcastable to the shape.
    """

    shape: tuple[int, ...]
    n_position_axes: int
    axes: tuple[int, ...]
    terms: Sequence[tuple[FloatArray, FloatArray]]
    _thinned: dict[int, ModeSmearing] = field(default_factory=dict, repr=False, compare=False)

    def apply(self, u: FloatArray) -> FloatArray:
        """``S u``."""
        return self._made(u, None, 1.0, alone=True)

    def added(self, w: FloatArray, divisor: FloatArray | None = None, sign: float = 1.0) -> FloatArray:
        """``u + sign S u / divisor`` with ``u = w / divisor``."""
        if not self._is_compiled_for(w, divisor):
            return self._made(w, divisor, sign)
        result = np.empty(self.shape, w.dtype)
        self._pass.apply(w.reshape(-1), result.reshape(-1), _flat(divisor), sign)
        return result

    def extremes(
        self, w: FloatArray, divisor: FloatArray | None = None, sign: float = 1.0
    ) -> tuple[float, float]:
        """Smallest and largest value of :meth:`added`, which is not stored."""
        if self._is_compiled_for(w, divisor):
            lowest, highest = self._pass.extremes(w.reshape(-1), _flat(divisor), sign)
            return float(lowest.min()), float(highest.max())
        found: list[tuple[float, float]] = []

        def note(piece: tuple[slice, ...], values: FloatArray) -> None:
            found.append((float(values.min()), float(values.max())))

        self._by_pieces(w, divisor, sign, note)
        return float(np.min(found)), float(np.max(found))

    def added_at_every(self, w: FloatArray, stride: int) -> FloatArray:
        """``w + S w`` at every ``stride``-th point of the axes that are not transformed."""
        kept = tuple(slice(None, None, 1 if axis in self.axes else stride) for axis in range(len(self.shape)))
        thin = np.ascontiguousarray(w[kept])
        if stride not in self._thinned:
            terms = [(q, g[kept]) for q, g in self.terms]
            self._thinned[stride] = ModeSmearing(thin.shape, self.n_position_axes, self.axes, terms)
        return self._thinned[stride].added(thin)

    def _made(
        self, w: FloatArray, divisor: FloatArray | None, sign: float, alone: bool = False
    ) -> FloatArray:
        result = np.empty(self.shape)

        def put(piece: tuple[slice, ...], values: FloatArray) -> None:
            result[piece] = values

        self._by_pieces(w, divisor, sign, put, alone)
        return result

    def _by_pieces(
        self,
        w: FloatArray,
        divisor: FloatArray | None,
        sign: float,
        use: Callable[[tuple[slice, ...], FloatArray], None],
        alone: bool = False,
    ) -> None:
        """Hand ``u + sign S u / divisor``, or S u alone, to ``use``, piece by piece."""
        parts, n_modes = pieces(self.shape, self.axes), prod(self.shape[axis] for axis in self.axes)

        def work(first: int, last: int) -> None:
            for piece in parts[first:last]:
                u = np.asarray(w[piece], dtype=float)
                below = None if divisor is None else divisor[piece]
                if below is not None:
                    u = u / below
                transform = fourier.real_transform(u.shape, self.axes)
                transform.values[...] = u
                modes = transform.forward()
                modes *= self._factor[_kept(piece, self._factor.shape)]
                modes *= sign / n_modes
                change = transform.backward()
                if below is not None:
                    change /= below
                if not alone:
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

    def _is_compiled_for(self, w: FloatArray, divisor: FloatArray | None) -> bool:
        """Whether a pass over all positions does it, here and for these arrays."""
        s = self.n_position_axes
        contiguous = all(each is None or each.flags.c_contiguous for each in (w, divisor))
        same = divisor is None or divisor.dtype == w.dtype
        known = w.size >= LARGE and contiguous and same and w.dtype == np.float64
        return known and max(self.axes) < s and numba_is_usable() and can_transform(self.shape[:s])

    @cached_property
    def _pass(self) -> FactorPass:
        s = self.n_position_axes
        n_x, n_k = self.shape[:s], self.shape[s:]
        own = [np.broadcast_to(q.reshape(q.shape[:s]), n_x).ravel() for q, _ in self.terms]
        lanes = [np.broadcast_to(g.reshape(g.shape[s:]), n_k).ravel() for _, g in self.terms]
        axes = MovedAxes(1, n_x, (1.0,) * s, prod(n_k))
        return FactorPass(axes, SumOfFactors(np.stack(own, axis=1), np.stack(lanes)))


def _kept(piece: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(part if n > 1 else slice(None) for part, n in zip(piece, shape, strict=True))


def _flat(values: Any) -> Any:
    return None if values is None else values.reshape(-1)
