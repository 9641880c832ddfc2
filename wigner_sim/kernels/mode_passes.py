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
    turn : array (d, moved)
        What is added to each q, by the mode of the moved axes.
    indices : sequence of (i, j, l)
    coefficients : array (len(indices), moved)
    kept : sequence of arrays of bool, one for each moved axis
        Modes on which the operator acts.
    """

    axes: MovedAxes
    pairs: Array
    classes: Array
    q: Array
    turn: Array
    indices: Sequence[tuple[int, ...]]
    coefficients: Array
    kept: Sequence[Array]
    _tables: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)

    def run(
        self,
        modes: Array,
        dt: float,
        stages: Sequence[tuple[int, int]],
        polynomials: Sequence[Sequence[float]],
    ) -> None:
        """Apply the flow for ``dt``.

        Parameters
        ----------
        modes : array (outer * moved,), float64 or float32
            Overwritten.
        stages : sequence over classes of (int, int)
            Factors of the polynomial (one of ``polynomials``), and how often it is applied.
        polynomials : sequence of sequences
            Factors f of ``y <- z + dt f R y``, first to last.
        """
        layout, tables, class_of = self._tables_for(8 * modes.dtype.itemsize)
        width = 64 // modes.dtype.itemsize
        size = 8 * block_elements(layout) + width * (4 * max(self.axes.n_points) + 16)
        factors = np.zeros((1 + max(map(len, polynomials)), max(map(len, polynomials))))
        for factor in polynomials:
            factors[len(factor), : len(factor)] = factor
        chosen = np.array(stages, dtype=np.int64)[class_of]
        steps = dt / (chosen[:, 1] * self.axes.n_moved)
        given = (modes, layout, tables, chosen.ravel(), steps, factors)
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
            kept = np.prod(np.meshgrid(*self.kept, indexing="ij"), axis=0).ravel()
            first_spread, spread = self._columns(layout, lambda axis: range(axis))
            first_gathered, gathered = self._columns(layout, lambda axis: range(axis + 1, len(self.kept)))
            tables = ModeTables(
                d=np.array([len(self.q)], dtype=np.int64),
                rows=np.ascontiguousarray(rows.reshape(-1, width, 2).swapaxes(1, 2)).ravel(),
                q=np.ascontiguousarray(self.q[:, members].reshape(len(self.q), -1, width).swapaxes(0, 1))
                .ravel()
                .astype(kind),
                turn=self.turn.ravel().astype(kind),
                axes=np.array(self.indices, dtype=np.int64).ravel(),
                coefficients=self.coefficients.ravel().astype(kind),
                kept=np.nonzero(kept)[0],
                dropped=np.nonzero(kept == 0)[0],
                first_spread=first_spread,
                spread=spread,
                first_gathered=first_gathered,
                gathered=gathered,
            )
            self._tables[bits] = layout, tables, class_of
        return self._tables[bits]

    def _columns(self, layout: BlockLayout, in_modes: Callable[[int], Iterable[int]]) -> tuple[Array, Array]:
        """Columns along each axis that lie in the kept modes of ``in_modes(axis)``; first of each axis."""
        chosen = []
        for axis in range(len(self.kept)):
            own = slice(layout.first_column[axis], layout.first_column[axis + 1])
            place = np.unravel_index(layout.column_points[own], self.axes.n_points)
            needed = np.ones(len(place[0]), dtype=bool)
            for other in in_modes(axis):
                needed &= self.kept[other][place[other]]
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
