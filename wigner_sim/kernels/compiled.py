"""Passes over blocks, compiled by numba: load a block, kick, transform, turn, transform back, kick, store.

Everything is inlined into one kernel, and each helper is called from one place in it: that keeps the first
compilation short.  ``work`` holds, in this order, real and imaginary part of: the block, two blocks more for
kicks; then the scratch area of the transforms and two columns.

numba keeps the compiled kernel by the time stamp of this file alone: after a change to the other modules of
this package that emit code, touch it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from numba import njit
from numpy.typing import NDArray

from wigner_sim.kernels.fluxes import advect_column
from wigner_sim.kernels.layout import BlockLayout, Drift, Turns
from wigner_sim.kernels.pointers import element, machine_code, pointer, pointers
from wigner_sim.kernels.transforms import transform_column
from wigner_sim.kernels.vectors import block_to_rows, lane_count, load, rows_to_block, store, turn_pair

Array = NDArray[Any]


@njit(inline="always")
def _copy(
    array: Array, layout: BlockLayout, work: Array, begin: int, size: int, block: int, outward: bool
) -> None:
    """Copy two vectors of lanes of the array into a block, or back; lanes beyond the last one are zero.

    The vectors lie side by side: copied together, a point costs one visit to its page.
    """
    n_lanes, n_moved, inner = layout.lanes[0], layout.lanes[1], layout.lanes[2]
    width, offsets = lane_count(array), layout.offsets
    first = 2 * block * width
    if first + 2 * width <= n_lanes and first % inner + 2 * width <= inner:
        base = (first // inner) * n_moved * inner + first % inner
        for m in range(n_moved):
            here, at = base + m * inner, begin + offsets[m]
            if outward:
                store(array, here, load(work, at))
                store(array, here + width, load(work, size + at))
            else:
                store(work, at, load(array, here))
                store(work, size + at, load(array, here + width))
        return
    for part in range(2):
        lane, at, done = first + part * width, begin + part * size, 0
        base = (lane // inner) * n_moved * inner + lane % inner
        whole = lane + width <= n_lanes
        if whole and lane % inner + width <= inner:
            while done < n_moved:
                if outward:
                    store(array, base + done * inner, load(work, at + offsets[done]))
                else:
                    store(work, at + offsets[done], load(array, base + done * inner))
                done += 1
        elif whole and inner == 1:
            while done + width <= n_moved:
                if outward:
                    block_to_rows(array, base + done, n_moved, work, at, offsets, done)
                else:
                    rows_to_block(array, base + done, n_moved, work, at, offsets, done)
                done += width
        for j in range(width):
            start = ((lane + j) // inner) * n_moved * inner + (lane + j) % inner
            for m in range(done, n_moved):
                if lane + j >= n_lanes:
                    work[at + offsets[m] + j] = 0.0
                elif outward:
                    array[start + m * inner] = work[at + offsets[m] + j]
                else:
                    work[at + offsets[m] + j] = array[start + m * inner]


@njit(inline="always")
def _transform(transform: int, work: Array, re: int, im: int, layout: BlockLayout, scratch: int) -> None:
    """Transform a block over its moved axes, last axis first."""
    n_axes = layout.counts[0]
    for step in range(n_axes):
        axis = n_axes - 1 - step
        n, stride = layout.n_points[axis], layout.strides[axis]
        plan, twiddle = layout.plan_at[axis], layout.twiddle_at[axis]
        for c in range(layout.first_column[axis], layout.first_column[axis + 1]):
            at = layout.columns[c]
            transform_column(
                transform,
                work,
                re + at,
                im + at,
                stride,
                layout.plans,
                plan,
                layout.twiddles,
                twiddle,
                scratch,
                n,
            )


@njit(inline="always")
def _turn(
    work: Array, im: int, layout: BlockLayout, turns: Turns, block: int, tau: float, scale: float, rest: float
) -> None:
    """Multiply every mode by its phase ``exp(-2 pi i tau turns)`` and by ``scale + rest``.

    ``rest`` is what rounding takes from the normalisation: left out, it would add up over the steps.  The
    sum is written such that it becomes one multiply-add, rounded once.
    """
    width, pairs, modes = lane_count(work), layout.pairs, turns.modes
    n_terms, lanes, stored = turns.n_terms[0], turns.lanes, turns.stored
    for p in range(layout.counts[2]):
        here, there, mode = pairs[2 * p], pairs[2 * p + 1], p * n_terms
        if here == there:
            for at in (here, im + here):
                value = load(work, at)
                store(work, at, value * scale + value * rest)
            continue
        if n_terms == 0:
            at = (block * layout.counts[2] + p) * 2 * width
            a, b = load(stored, at), load(stored, at + width)
        else:
            at = block * n_terms * 2 * width
            a, b = load(lanes, at) * modes[mode], load(lanes, at + width) * modes[mode]
            for j in range(1, n_terms):
                at += 2 * width
                a = a + load(lanes, at) * modes[mode + j]
                b = b + load(lanes, at + width) * modes[mode + j]
        turn_pair(work, here, there, im, a * tau, b * tau, scale, rest)


@njit(inline="always")
def _separate(work: Array, im: int, layout: BlockLayout) -> None:
    """Modes q and -q of packed real functions a, b: Re a(q), Im a(q); Re b(q), Im b(q) in their places."""
    half, pairs = element(work, 0.5), layout.pairs
    for p in range(layout.counts[2]):
        here, there = pairs[2 * p], pairs[2 * p + 1]
        if here != there:
            fr, fi = load(work, here), load(work, im + here)
            gr, gi = load(work, there), load(work, im + there)
            store(work, here, (fr + gr) * half)
            store(work, there, (fi - gi) * half)
            store(work, im + here, (fi + gi) * half)
            store(work, im + there, (gr - fr) * half)


@njit(inline="always")
def _join(work: Array, im: int, layout: BlockLayout) -> None:
    """The reverse of :func:`_separate`."""
    pairs = layout.pairs
    for p in range(layout.counts[2]):
        here, there = pairs[2 * p], pairs[2 * p + 1]
        if here != there:
            ar, ai = load(work, here), load(work, there)
            br, bi = load(work, im + here), load(work, im + there)
            store(work, here, ar - bi)
            store(work, im + here, ai + br)
            store(work, there, ar + bi)
            store(work, im + there, br - ai)


@njit(inline="always")
def _kick(
    transform: int,
    work: Array,
    size: int,
    scratch: int,
    layout: BlockLayout,
    drift: Drift,
    block: int,
    factors: Array,
    first: int,
    order: int,
) -> None:
    r"""A polynomial in :math:`X w = -\partial_i(V_i w)` by Horner's rule.

    ``y <- w + f X y`` for the factors; w is the block, y alternates between the other two, and the last sum
    is made in the block itself.  With one factor y is the block, too: then the sum over all axes but the last
    is made elsewhere.
    """
    width, n_axes = lane_count(work), layout.counts[0]
    column = scratch + 4 * width * layout.counts[1]
    most, last = drift.most[0], n_axes - 1
    while last > 0 and drift.n_terms[last] == 0:
        last -= 1
    for step in range(order):
        state = 0 if step == 0 else 2 * size * (1 + (step - 1) % 2)
        base = 0
        for axis in range(n_axes):
            n_terms = drift.n_terms[axis]
            if n_terms == 0:
                continue
            n, stride, spectral = layout.n_points[axis], layout.strides[axis], drift.most[1] == 0
            factor = factors[first + step] / (n if spectral else 1)
            goal = 0 if step == order - 1 and (order > 1 or axis == last) else 2 * size * (1 + step % 2)
            slopes = layout.wavenumbers if spectral else drift.weights
            slopes_at = layout.wavenumber_at[axis] if spectral else axis * 4
            moved_at, step_size = axis * layout.lanes[1] * most, layout.point_strides[axis] * most
            lanes_at = (block * n_axes + axis) * most * 2 * width
            for c in range(layout.first_column[axis], layout.first_column[axis + 1]):
                at = layout.columns[c]
                advect_column(
                    transform,
                    work,
                    state + at,
                    base + at,
                    goal + at,
                    size,
                    stride,
                    n,
                    drift.moved,
                    moved_at + layout.column_points[c] * most,
                    step_size,
                    drift.lanes,
                    lanes_at,
                    n_terms,
                    layout.plans,
                    layout.plan_at[axis],
                    layout.twiddles,
                    layout.twiddle_at[axis],
                    slopes,
                    slopes_at,
                    element(work, factor),
                    spectral,
                    column,
                    scratch,
                )
            base = goal


def run_blocks(
    transform: int,
    source: Array,
    target: Array,
    layout: BlockLayout,
    turns: Turns,
    drift: Drift,
    times: Array,
    orders: Array,
    blocks: Array,
    work: Array,
) -> None:
    """Advance some blocks: kick, exact flow, kick.

    Parameters
    ----------
    transform : int
        Address of that of a column (``transforms.compiled_transform``).
    source, target : array (outer * moved * inner,)
        May be the same.
    layout, turns, drift :
        See :mod:`wigner_sim.kernels.layout`.
    times : array
        Of the exact flow; then the factors of the first and of the second kick.
    orders : array (3,)
        Number of these factors, 0 for no kick; and which half is done: 0 for all, 1 to stop at the
        modes of the moved axes (q and -q as real and imaginary part), 2 to begin with them.
    blocks : array (2,)
        First block, and the one after the last.
    work : array
    """
    source, target, times, orders = pointer(source), pointer(target), pointer(times), pointer(orders)
    layout, turns, drift, work = pointers(layout), pointers(turns), pointers(drift), pointer(work)
    size = layout.n_points[0] * layout.strides[0]
    scratch = 6 * size if drift.most[0] else 2 * size
    half, tau = orders[2], element(work, times[0])
    weight = 1.0 if half == 2 else 1.0 / layout.lanes[1]
    scale = element(work, weight)
    rest = element(work, weight - scale)
    for block in range(blocks[0], blocks[1]):
        for stage in range(6):  # in, kick, transform and turn, transform back, kick, out
            if stage == 0 or stage == 5:
                array = source if stage == 0 else target
                _copy(array, layout, work, 0, size, block, stage == 5)
            elif stage == 2 or stage == 3:
                if half == 4 - stage or (tau == 0.0 and half == 0):
                    continue
                re, im = (0, size) if stage == 2 else (size, 0)
                for step in range(2):  # the transform is the first step there, the second one back
                    if step == stage - 2:
                        _transform(transform, work, re, im, layout, scratch)
                    elif stage == 2 or half == 2:
                        if half == 2:
                            _join(work, size, layout)
                        _turn(work, size, layout, turns, block, tau, scale, rest)
                        if half == 1:
                            _separate(work, size, layout)
            else:
                which = stage // 4
                if orders[which]:
                    first = 1 + which * orders[0]
                    _kick(transform, work, size, scratch, layout, drift, block, times, first, orders[which])


#: :func:`run_blocks` as machine code.
compiled = partial(machine_code, run_blocks)
