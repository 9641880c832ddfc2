"""Multiplication of modes by real factors, or the smallest and largest result of it, compiled by numba.

``work`` holds three blocks, real part first (one vector of lanes), then imaginary part (another one): what is
transformed, the values themselves, one over the divisor; then the scratch area of the transforms.

numba keeps the compiled kernel by the time stamp of this file alone: after a change to the other modules of
this package that emit code, touch it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from numba import njit
from numpy.typing import NDArray

from wigner_sim.kernels.compiled import _copy, _transform
from wigner_sim.kernels.layout import IN_PRODUCTS, STORED, UNDIVIDED, BlockLayout, Divisor, ModeFactors
from wigner_sim.kernels.pointers import element, machine_code, pointer, pointers
from wigner_sim.kernels.vectors import keep_larger, keep_smaller, lane_count, load, store

Array = NDArray[Any]


@njit(inline="always")
def _prepare(work: Array, size: int, layout: BlockLayout, divisor: Divisor, block: int, how: int) -> None:
    """Divide, and keep what the transform will overwrite."""
    one, width, n_moved = element(work, 1.0), lane_count(work), layout.lanes[1]
    n_terms = divisor.n_terms[0]
    if how == STORED:  # beyond the last lane nothing is divided by zero
        for j in range(max(0, layout.lanes[0] - 2 * block * width), 2 * width):
            for m in range(n_moved):
                work[(4 + j // width) * size + layout.offsets[m] + j % width] = one
    for part in range(2):
        for m in range(n_moved):
            at = part * size + layout.offsets[m]
            value = load(work, at)
            if how != UNDIVIDED:
                if how == IN_PRODUCTS:
                    lane = (block * n_terms * 2 + part) * width
                    below = load(divisor.lanes, lane) * divisor.moved[m * n_terms]
                    for j in range(1, n_terms):
                        lane += 2 * width
                        below = below + load(divisor.lanes, lane) * divisor.moved[m * n_terms + j]
                else:
                    below = load(work, 4 * size + at)
                inverse = one / below
                store(work, 4 * size + at, inverse)
                value = value * inverse
                store(work, at, value)
            store(work, 2 * size + at, value)


@njit(inline="always")
def _multiply(
    work: Array, im: int, layout: BlockLayout, factors: ModeFactors, block: int, weight: float
) -> None:
    """Multiply the modes of two packed real functions, each by its own factor, the same at q and -q."""
    width, pairs, modes, lanes = lane_count(work), layout.pairs, factors.modes, factors.lanes
    n_terms = factors.n_terms[0]
    half = element(work, 0.5) * weight
    for p in range(layout.counts[2]):
        here, there, mode = pairs[2 * p], pairs[2 * p + 1], p * n_terms
        at = block * n_terms * 2 * width
        a, b = load(lanes, at) * modes[mode], load(lanes, at + width) * modes[mode]
        for j in range(1, n_terms):
            at += 2 * width
            a = a + load(lanes, at) * modes[mode + j]
            b = b + load(lanes, at + width) * modes[mode + j]
        if here == there:
            store(work, here, load(work, here) * (a * weight))
            store(work, im + here, load(work, im + here) * (b * weight))
            continue
        a, b = a * half, b * half
        fr, fi = load(work, here), load(work, im + here)
        gr, gi = load(work, there), load(work, im + there)
        ar, ai, br, bi = (fr + gr) * a, (fi - gi) * a, (fi + gi) * b, (gr - fr) * b
        store(work, here, ar - bi)
        store(work, im + here, ai + br)
        store(work, there, ar + bi)
        store(work, im + there, br - ai)


@njit(inline="always")
def _finish(
    work: Array, size: int, layout: BlockLayout, extremes: Array, block: int, divided: bool, stored: bool
) -> None:
    """Add to the values, and put the sums into the block, or keep the smallest and largest of each lane.

    What is not finite in any of a lane makes both not finite.
    """
    width, zero = lane_count(work), element(work, 0.0)
    for part in range(2):
        low = (2 * block + part) * 2 * width
        not_finite = load(work, 2 * size + part * size) * zero
        for m in range(layout.lanes[1]):
            at = part * size + layout.offsets[m]
            change = load(work, at)
            if divided:
                change = change * load(work, 4 * size + at)
            value = load(work, 2 * size + at) + change
            if stored:
                store(work, at, value)
                continue
            not_finite = not_finite + value * zero
            if m == 0:
                store(extremes, low, value)
                store(extremes, low + width, value)
            keep_smaller(extremes, low, value)
            keep_larger(extremes, low + width, value)
        if not stored:
            store(extremes, low, load(extremes, low) + not_finite)
            store(extremes, low + width, load(extremes, low + width) + not_finite)


def run_factors(
    transform: int,
    source: Array,
    divisor: Divisor,
    target: Array,
    extremes: Array,
    layout: BlockLayout,
    factors: ModeFactors,
    weight: Array,
    how: Array,
    chosen: Array,
    span: Array,
    work: Array,
) -> None:
    """For some blocks ``u + (factor of the modes of u)/divisor`` with ``u = source/divisor``.

    Parameters
    ----------
    transform : int
        Address of that of a column (``transforms.compiled_transform``).
    source, target : array (outer * moved * inner,)
        The target is written only if ``how`` says so; it may be the source.
    extremes : array (blocks * 2 * 2 * vector,)
        Smallest, then largest value of each lane, vector by vector; written if the target is not.
    divisor, layout, factors :
        See :mod:`wigner_sim.kernels.layout`.
    weight : array (1,)
        Of the factors; transforms are not normalised.
    how : array (2,)
        UNDIVIDED, IN_PRODUCTS or STORED, the divisor; and whether the target is written.
    chosen : array of int
        Numbers of blocks.
    span : array (2,)
        First of them that is done, and the one after the last.
    work : array
    """
    source, target, extremes, work = pointer(source), pointer(target), pointer(extremes), pointer(work)
    layout, factors, divisor = pointers(layout), pointers(factors), pointers(divisor)
    size = layout.n_points[0] * layout.strides[0]
    scratch = 6 * size
    divided, stored = how[0] != UNDIVIDED, how[1] > 0
    for which in range(span[0], span[1]):
        block = int(chosen[which])
        for stage in range(5):  # in; transform and multiply; transform back; add; out
            if stage == 0 or (stage == 4 and stored):
                for part in range(2):  # source or target, then the divisor
                    if part == 0 or (stage == 0 and how[0] == STORED):
                        array = target if stage == 4 else source if part == 0 else divisor.values
                        _copy(array, layout, work, 4 * part * size, size, block, stage == 4)
                if stage == 0:
                    _prepare(work, size, layout, divisor, block, how[0])
            elif stage == 3:
                _finish(work, size, layout, extremes, block, divided, stored)
            elif stage < 3:
                re, im = (0, size) if stage == 1 else (size, 0)
                _transform(transform, work, re, im, layout, scratch)
                if stage == 1:
                    _multiply(work, size, layout, factors, block, element(work, weight[0]))


#: :func:`run_factors` as machine code.
compiled = partial(machine_code, run_factors)
