"""Largest Fourier amplitudes among many lines of an array, by blocks of lines, compiled by numba.

``work`` holds a column of one vector of lines as its real part, then one of another vector as its imaginary
part, then the scratch area of the transform.

numba keeps the compiled kernel by the time stamp of this file alone: after a change to the other modules of
this package that emit code, touch it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from numpy.typing import NDArray

from wigner_sim.kernels.pointers import machine_code, pointer
from wigner_sim.kernels.transforms import transform_column
from wigner_sim.kernels.vectors import keep_larger, lane_count, load

Array = NDArray[Any]


def run_spectra(
    transform: int,
    values: Array,
    starts: Array,
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
    largest, work = pointer(largest), pointer(work)
    width, n, step = lane_count(values), line[0], line[1]
    size = n * width
    for block in range(blocks[0], blocks[1]):
        for j in range(2 * width):
            start, at = starts[block * 2 * width + j], (j // width) * size + j % width
            for m in range(n):
                work[at + m * width] = values[start + m * step]
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
