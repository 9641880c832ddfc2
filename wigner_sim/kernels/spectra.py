"""Largest Fourier amplitudes among many lines of an array, by blocks of lines, compiled by numba.

``work`` holds a column of one vector of lines as its real part, then one of another vector as its imaginary
part, then the scratch area of the transform.

numba keeps the compiled kernel by the time stamp of this file alone: after a change to the other modules of
this package that emit code, touch it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from numba import njit
from numpy.typing import NDArray

from wigner_sim.kernels.pointers import machine_code, pointer
from wigner_sim.kernels.transforms import transform_column
from wigner_sim.kernels.vectors import (
    every_second,
    keep_larger,
    lane_count,
    listed_rows_to_block,
    load,
    store,
)

Array = NDArray[Any]


@njit(inline="always")
def _gather(
    values: Array, starts: Array, evenly: Array, offsets: Array, n: int, step: int, work: Array, vector: int
) -> None:
    """A column of one vector of lines, at the first or second half of ``work``."""
    width, done = lane_count(values), 0
    first, at = vector * width, (vector % 2) * n * width
    if step == 1:
        while done + width <= n:
            listed_rows_to_block(values, starts, first, work, at, offsets, done)
            done += width
    for m in range(done, n):
        if evenly[vector]:
            store(work, at + m * width, every_second(values, starts[first] + m * step))
        else:
            for j in range(width):
                work[at + m * width + j] = values[starts[first + j] + m * step]


def run_spectra(
    transform: int,
    values: Array,
    starts: Array,
    evenly: Array,
    offsets: Array,
    line: Array,
    plan: Array,
    twiddles: Array,
    largest: Array,
    blocks: Array,
    work: Array,
) -> None:
    """Raise ``largest`` to four times the squares of the modes 0..n/2 of the real functions on some lines.

    Parameters
    ----------
    transform : int
        Address of that of a column (``transforms.compiled_transform``).
    values : array
        Contiguous.
    starts : array (blocks * 2 * vector,)
        First element of each line.
    evenly : array (blocks * 2,)
        Whether the lines of a vector begin at every second element.
    offsets : array (points,)
        First element of each vector of a column.
    line : array (2,)
        Points of a line, and the elements from one to the next.
    plan, twiddles :
        See ``plans.column_plan``.
    largest : array ((n//2 + 1) * vector,)
        One vector for each mode.
    blocks : array (2,)
        First block, and the one after the last.
    work : array
    """
    values, starts, plan, twiddles = pointer(values), pointer(starts), pointer(plan), pointer(twiddles)
    evenly, offsets, largest, work = pointer(evenly), pointer(offsets), pointer(largest), pointer(work)
    width, n, step = lane_count(values), line[0], line[1]
    size = n * width
    for block in range(blocks[0], blocks[1]):
        for vector in range(2 * block, 2 * block + 2):
            _gather(values, starts, evenly, offsets, n, step, work, vector)
        transform_column(transform, work, 0, size, width, plan, 0, twiddles, 0, 2 * size, n)
        for q in range(n // 2 + 1):
            here, there = q * width, ((n - q) % n) * width
            fr, fi = load(work, here), load(work, size + here)
            gr, gi = load(work, there), load(work, size + there)
            ar, ai, br, bi = fr + gr, fi - gi, fi + gi, gr - fr  # twice the modes of the two functions
            keep_larger(largest, here, ar * ar + ai * ai)
            keep_larger(largest, here, br * br + bi * bi)


#: :func:`run_spectra` as machine code.
compiled = partial(machine_code, run_spectra)
