"""A pass over the Fourier modes of the outer axes, in place: the flow of what couples none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim.kernels.layout import BlockLayout, ModeTables, MovedAxes, block_elements, block_layout
from wigner_sim.kernels.passes import WORTH_SHARING, compiled_kernel, workspace
from wigner_sim.parallel import share_out

Array = NDArray[Any]


def low_modes(largest: int, n: int) -> Array:
    """Places of the modes 0, 1, ..., largest, -largest, ..., -1 among n."""
    return np.r_[0 : largest + 1, n - largest : n]


@dataclass(frozen=True)
class ModePass:
    """Passes over an array of modes, each a row of functions of the moved axes, as ``TO_MODES`` leaves them.

    Parameters
    ----------
    axes : MovedAxes
        ``inner`` is 1.
    pairs : array (modes, 2)
        Rows of the real and of the imaginary part of each mode.
    classes : array (modes,)
        Modes of one class have the same polynomial and share blocks.
    q : array (d, modes)
    largest : sequence of int
        Largest mode s of each moved axis on which the operator acts.
    turn : array (d, kept)
        What is added to each q, by the mode s, in the order 0, 1, ..., -1 along each axis.
    indices : sequence of (i, j, l)
    coefficients : array (len(indices), moved)
    """

    axes: MovedAxes
    pairs: Array
    classes: Array
    q: Array
    largest: Sequence[int]
    turn: Array
    indices: Sequence[tuple[int, ...]]
    coefficients: Array
    _tables: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)

    def run(self, modes: Array, series: Sequence[tuple[Sequence[float], int]]) -> None:
        """Apply polynomials.

        Parameters
        ----------
        modes : array (outer * moved,), float64 or float32
            Overwritten.
        series : sequence over classes
            Factors f of ``y <- z + f R y``, first to last, and how often all of them are applied.
        """
        layout, tables, class_of = self._tables_for(8 * modes.dtype.itemsize)
        width = 64 // modes.dtype.itemsize
        size = 8 * block_elements(layout) + width * (4 * max(self.axes.n_points) + 16)
        stages = np.array([(len(own), times) for own, times in series], dtype=np.int64)
        factors = np.zeros((len(series), stages[:, 0].max()))
        for row, (own, _) in zip(factors, series, strict=True):
            row[: len(own)] = np.array(own) / self.axes.n_moved
        given = (modes, layout, tables, stages[class_of].ravel(), factors[class_of])
        nothing = (*given, np.zeros(2, dtype=np.int64), workspace(size, modes.dtype))
        run_series = compiled_kernel("wigner_sim.kernels.series", modes.dtype, nothing)

        def work(first: int, last: int) -> None:
            run_series(*given, np.array((first, last), dtype=np.int64), workspace(size, modes.dtype))

        share_out(work, len(class_of), modes.size >= WORTH_SHARING)

    def _tables_for(self, bits: int) -> tuple[BlockLayout, ModeTables, Array]:
        if bits not in self._tables:
            width = 512 // bits
            layout = block_layout(self.axes, bits, width)
            members, class_of = self._blocks(width)
            rows = self.pairs[members] * self.axes.n_moved
            kind = f"f{bits // 8}"
            kept = self._places(layout)
            first_spread, spread = self._columns(layout, lambda axis: range(axis))
            first_gathered, gathered = self._columns(layout, lambda axis: range(axis + 1, len(self.largest)))
            tables = ModeTables(
                d=np.array([len(self.q)], dtype=np.int64),
                rows=np.ascontiguousarray(rows.reshape(-1, width, 2).swapaxes(1, 2)).ravel(),
                q=np.ascontiguousarray(self.q[:, members].reshape(len(self.q), -1, width).swapaxes(0, 1))
                .ravel()
                .astype(kind),
                turn=self.turn.ravel().astype(kind),
                axes=np.array(self.indices, dtype=np.int64).ravel(),
                coefficients=self.coefficients.ravel().astype(kind),
                kept=kept,
                empty=np.setdiff1d(layout.offsets, kept),
                first_spread=first_spread,
                spread=spread,
                first_gathered=first_gathered,
                gathered=gathered,
            )
            self._tables[bits] = layout, tables, class_of
        return self._tables[bits]

    def _places(self, layout: BlockLayout) -> Array:
        """Elements of the kept modes in a block."""
        modes = [low_modes(b, n) for b, n in zip(self.largest, layout.n_points, strict=True)]
        return layout.offsets.reshape(layout.n_points)[np.ix_(*modes)].ravel()

    def _columns(self, layout: BlockLayout, in_modes: Callable[[int], Iterable[int]]) -> tuple[Array, Array]:
        """Columns along each axis that lie in the kept modes of ``in_modes(axis)``; first of each axis."""
        chosen = []
        for axis in range(len(self.largest)):
            own = slice(layout.first_column[axis], layout.first_column[axis + 1])
            place = np.unravel_index(layout.column_points[own], layout.n_points)
            needed = np.ones(len(place[0]), dtype=bool)
            for other in in_modes(axis):
                needed &= np.isin(place[other], low_modes(self.largest[other], layout.n_points[other]))
            chosen.append(layout.columns[own][needed])
        return np.cumsum([0, *map(len, chosen)]), np.concatenate(chosen)

    def _blocks(self, width: int) -> tuple[Array, Array]:
        """Modes block by block, a class's last one repeated where they do not fill it; each block's class."""
        members: list[Array] = []
        class_of: list[int] = []
        for each in np.unique(self.classes):
            own = np.nonzero(self.classes == each)[0]
            n_blocks = -(-len(own) // width)
            members.append(np.r_[own, np.repeat(own[-1:], n_blocks * width - len(own))])
            class_of += [int(each)] * n_blocks
        return np.concatenate(members), np.array(class_of)
