"""A pass over phase space that multiplies the modes of some axes by real factors, and adds the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim.kernels.layout import (
    IN_PRODUCTS,
    STORED,
    UNDIVIDED,
    BlockLayout,
    Divisor,
    ModeFactors,
    MovedAxes,
    block_elements,
    block_layout,
    mode_pairs,
)
from wigner_sim.kernels.passes import (
    WORTH_SHARING,
    SumOfFactors,
    compiled_kernel,
    in_blocks,
    workspace,
)
from wigner_sim.parallel import share_out

Array = NDArray[Any]


@dataclass(frozen=True)
class FactorPass:
    """``u + sign F^-1[m F u]/divisor`` with ``u = source/divisor``, F the transform over the moved axes.

    Parameters
    ----------
    axes : MovedAxes
    factor : SumOfFactors
        m(q; lane), even in q.
    divisor : SumOfFactors or array (outer * moved * inner,), optional
    """

    axes: MovedAxes
    factor: SumOfFactors
    divisor: SumOfFactors | Array | None = None
    _tables: dict[int, tuple[BlockLayout, ModeFactors, Divisor]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def apply(self, source: Array, target: Array, sign: float = 1.0) -> None:
        """Put it into ``target``, which may be ``source``; both of shape (outer * moved * inner,)."""
        self._run(source, target, sign)

    def extremes(self, source: Array, sign: float = 1.0, blocks: Array | None = None) -> tuple[Array, Array]:
        """Its smallest and its largest value in each lane; both not finite where any of the lane is not.

        Parameters
        ----------
        blocks : array of int, optional
            Only these; nothing is said about the lanes of others.
        """
        extremes = self._run(source, None, sign, blocks)
        lowest, highest = extremes.reshape(-1, 2, 64 // source.dtype.itemsize).swapaxes(0, 1)
        return lowest.ravel()[: self.axes.n_lanes], highest.ravel()[: self.axes.n_lanes]

    def _run(self, source: Array, target: Array | None, sign: float, chosen: Array | None = None) -> Array:
        bits = 8 * source.dtype.itemsize
        layout, factors, divisor = self._tables_for(bits)
        width = 512 // bits
        size = 6 * block_elements(layout) + width * (4 * max(self.axes.n_points) + 16)
        n_blocks = -(-self.axes.n_lanes // (2 * width))
        extremes = np.empty(4 * width * n_blocks, source.dtype)
        given = (
            source,
            divisor,
            source if target is None else target,
            extremes,
            layout,
            factors,
            np.array([sign / self.axes.n_moved]),
            np.array([self._kind, target is not None], dtype=np.int64),
            np.arange(n_blocks) if chosen is None else chosen,
        )
        nothing = (*given, np.zeros(2, dtype=np.int64), workspace(size, source.dtype))
        run_factors = compiled_kernel("wigner_sim.kernels.factors", source.dtype, nothing)

        def work(first: int, last: int) -> None:
            run_factors(*given, np.array((first, last), dtype=np.int64), workspace(size, source.dtype))

        share_out(work, n_blocks if chosen is None else len(chosen), source.size >= WORTH_SHARING)
        return extremes

    @staticmethod
    def lanes_of_a_block(dtype: Any) -> int:
        """How many lanes, one after the other, a block has."""
        return 128 // int(np.dtype(dtype).itemsize)

    @property
    def _kind(self) -> int:
        if self.divisor is None:
            return UNDIVIDED
        return IN_PRODUCTS if isinstance(self.divisor, SumOfFactors) else STORED

    def _tables_for(self, bits: int) -> tuple[BlockLayout, ModeFactors, Divisor]:
        if bits not in self._tables:
            width, kind = 512 // bits, f"f{bits // 8}"
            own = self.factor.own[mode_pairs(self.axes.n_points)[:, 0]]
            lanes = in_blocks(self.factor.lanes, width).astype(kind).ravel()
            factors = ModeFactors(np.array([own.shape[1]]), own.ravel().astype(kind), lanes)
            self._tables[bits] = block_layout(self.axes, bits, width), factors, self._divisor(width, kind)
        return self._tables[bits]

    def _divisor(self, width: int, kind: str) -> Divisor:
        none = np.empty(0, kind)
        if not isinstance(self.divisor, SumOfFactors):
            values = none if self.divisor is None else self.divisor.astype(kind, copy=False)
            return Divisor(np.zeros(1, dtype=np.int64), none, none, values)
        # beyond the last lane nothing is divided by zero
        lanes = np.pad(self.divisor.lanes, ((0, 0), (0, -self.axes.n_lanes % (2 * width))), mode="edge")
        return Divisor(
            np.array([len(lanes)], dtype=np.int64),
            self.divisor.own.astype(kind).ravel(),
            in_blocks(lanes, width).astype(kind).ravel(),
            none,
        )
