"""One reading of an array by blocks: weighted sums over the moved axes, range and roughness of every lane.

``work`` holds one block: a vector of lanes as its first part, another one as its second.

numba keeps the compiled kernel by the time stamp of this file alone: after a change to the other modules of
this package that emit code, touch it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from numba import njit
from numpy.typing import NDArray

from wigner_sim.kernels.compiled import _copy
from wigner_sim.kernels.layout import BlockLayout
from wigner_sim.kernels.pointers import element, machine_code, pointer, pointers
from wigner_sim.kernels.vectors import lane_count, larger, load, smaller, store

Array = NDArray[Any]

#: Sums that are made together: with two vectors of lanes they are half of the registers.
TOGETHER = 4
#: What is kept of each lane beside its sums.
RANGES = 4


@njit(inline="always")
def _add_up(work: Array, size: int, layout: BlockLayout, weights: Array, first: int, n_terms: int) -> Any:
    """Sums of a lane times ``weights[:, first : first + 4]``, of the two vectors of lanes in turn."""
    at = layout.offsets[0]
    u, v, t = load(work, at), load(work, size + at), first
    a, b, c, d = u * weights[t], u * weights[t + 1], u * weights[t + 2], u * weights[t + 3]
    e, f, g, h = v * weights[t], v * weights[t + 1], v * weights[t + 2], v * weights[t + 3]
    for m in range(1, layout.lanes[1]):
        at, t = layout.offsets[m], t + n_terms
        u, v = load(work, at), load(work, size + at)
        p, q, r, s = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
        a, b, c, d = a + u * p, b + u * q, c + u * r, d + u * s
        e, f, g, h = e + v * p, f + v * q, g + v * r, h + v * s
    return a, e, b, f, c, g, d, h


@njit(inline="always")
def _look(work: Array, size: int, layout: BlockLayout, neighbours: Array, n_neighbours: int) -> Any:
    """Range of the values, then of the sum of differences to the neighbours, of both vectors of lanes."""
    at = layout.offsets[0]
    low, high = load(work, at), load(work, at)
    low_2, high_2 = load(work, size + at), load(work, size + at)
    zero, number = element(work, 0.0), element(work, n_neighbours)
    down, up, down_2, up_2 = low * zero, low * zero, low_2 * zero, low_2 * zero
    for m in range(layout.lanes[1]):
        at, near = layout.offsets[m], m * n_neighbours
        u, v = load(work, at), load(work, size + at)
        around, around_2 = load(work, neighbours[near]), load(work, size + neighbours[near])
        for j in range(near + 1, near + n_neighbours):
            around = around + load(work, neighbours[j])
            around_2 = around_2 + load(work, size + neighbours[j])
        low, high, low_2, high_2 = smaller(u, low), larger(u, high), smaller(v, low_2), larger(v, high_2)
        u, v = around - u * number, around_2 - v * number
        down, up, down_2, up_2 = smaller(u, down), larger(u, up), smaller(v, down_2), larger(v, up_2)
    return low, low_2, high, high_2, down, down_2, up, up_2


def run_survey(
    transform: int,
    source: Array,
    layout: BlockLayout,
    weights: Array,
    neighbours: Array,
    counts: Array,
    result: Array,
    blocks: Array,
    work: Array,
) -> None:
    """Weighted sums and ranges of the lanes of some blocks.

    Parameters
    ----------
    transform : int
        Not used.
    source : array (outer * moved * inner,)
    layout :
        See :mod:`wigner_sim.kernels.layout`.
    weights : array (moved points * terms,)
        The number of terms is a multiple of TOGETHER.
    neighbours : array (moved points * neighbours,)
        First element of each in a block.
    counts : array (2,)
        Terms; neighbours of a point.
    result : array (blocks * (terms + RANGES) * 2 * vector,)
        Sums; smallest and largest value; smallest and largest sum of differences to the neighbours, at
        most and at least 0.
    blocks : array (2,)
        First block, and the one after the last.
    work : array
    """
    source, weights, neighbours = pointer(source), pointer(weights), pointer(neighbours)
    layout, result, work = pointers(layout), pointer(result), pointer(work)
    size = layout.n_points[0] * layout.strides[0]
    n_terms, n_neighbours, width = counts[0], counts[1], lane_count(source)
    for block in range(blocks[0], blocks[1]):
        _copy(source, layout, work, 0, size, block, False)
        first = 0
        while first < n_terms + RANGES:
            if first < n_terms:
                a, b, c, d, e, f, g, h = _add_up(work, size, layout, weights, first, n_terms)
            else:
                a, b, c, d, e, f, g, h = _look(work, size, layout, neighbours, n_neighbours)
            at = (block * (n_terms + RANGES) + first) * 2 * width
            store(result, at, a)
            store(result, at + width, b)
            store(result, at + 2 * width, c)
            store(result, at + 3 * width, d)
            store(result, at + 4 * width, e)
            store(result, at + 5 * width, f)
            store(result, at + 6 * width, g)
            store(result, at + 7 * width, h)
            first += TOGETHER


#: :func:`run_survey` as machine code.
compiled = partial(machine_code, run_survey)
