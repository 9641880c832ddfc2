"""A reading of phase space that tells sums over some axes, and how large and how rough every lane is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim.kernels.layout import BlockLayout, MovedAxes, block_elements, block_layout
from wigner_sim.kernels.passes import WORTH_SHARING, compiled_kernel, workspace
from wigner_sim.parallel import share_out

Array = NDArray[Any]
#: As in :mod:`wigner_sim.kernels.surveys`, which needs numba.
TOGETHER, RANGES = 4, 4


@dataclass(frozen=True)
class LaneSurvey:
    """What :class:`SurveyPass` finds.

    Parameters
    ----------
    sums : array (terms, lanes)
        Of the lane times each weight; not finite where any value of the lane is not.
    lowest, highest : array (lanes,)
        Range of the values.
    roughest : array (lanes,)
        Largest ``|sum over the neighbours of (value there - value here)|``.
    """

    sums: Array
    lowest: Array
    highest: Array
    roughest: Array


@dataclass(frozen=True)
class SurveyPass:
    """Sums of an array (outer, moved, inner) over its moved axes with several weights, and its ranges.

    Parameters
    ----------
    axes : MovedAxes
    weights : array (moved points, terms)
    """

    axes: MovedAxes
    weights: Array
    _tables: dict[int, tuple[BlockLayout, Array, Array]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def run(self, source: Array) -> LaneSurvey:
        """Read ``source``, of shape (outer * moved * inner,), once."""
        layout, weights, neighbours = self._tables_for(8 * source.dtype.itemsize)
        width, n_terms = 64 // source.dtype.itemsize, weights.size // self.axes.n_moved
        n_blocks = -(-self.axes.n_lanes // (2 * width))
        result = np.empty(n_blocks * (n_terms + RANGES) * 2 * width, source.dtype)
        counts = np.array([n_terms, neighbours.size // self.axes.n_moved])
        size = 2 * block_elements(layout)
        given = source, layout, weights, neighbours, counts, result
        nothing = (*given, np.zeros(2, dtype=np.int64), workspace(size, source.dtype))
        run_survey = compiled_kernel("wigner_sim.kernels.surveys", source.dtype, nothing)

        def work(first: int, last: int) -> None:
            run_survey(*given, np.array((first, last), dtype=np.int64), workspace(size, source.dtype))

        share_out(work, n_blocks, source.size >= WORTH_SHARING)
        lanes = result.reshape(n_blocks, -1, 2 * width).swapaxes(0, 1).reshape(n_terms + RANGES, -1)
        lanes = lanes[:, : self.axes.n_lanes]
        low, high, down, up = lanes[n_terms:]
        return LaneSurvey(lanes[: self.weights.shape[1]], low, high, np.maximum(-down, up))

    def _tables_for(self, bits: int) -> tuple[BlockLayout, Array, Array]:
        if bits not in self._tables:
            layout = block_layout(self.axes, bits, 512 // bits)
            more = -self.weights.shape[1] % TOGETHER
            weights = np.pad(self.weights, ((0, 0), (0, more))).astype(f"f{bits // 8}").ravel()
            neighbours = layout.offsets[_neighbours(self.axes.n_points)].ravel()
            self._tables[bits] = layout, weights, neighbours
        return self._tables[bits]


def _neighbours(n_points: tuple[int, ...]) -> Array:
    """Flat indices of the nearest points along every axis, shape (points, 2 axes)."""
    index = np.arange(np.prod(n_points)).reshape(n_points)
    steps = [np.roll(index, by, axis) for axis in range(len(n_points)) for by in (1, -1)]
    return np.stack([step.ravel() for step in steps], axis=1)
