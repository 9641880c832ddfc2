"""Largest Fourier amplitudes along the moved axes of sampled lanes, before and after a factor of modes.

``work`` holds a block (a vector of lanes as real part, another one as imaginary part), a column of it, and
the scratch area of the transforms.

numba keeps the compiled kernel by the time stamp of this file alone: after a change to the other modules of
this package that emit code, touch it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from numba import njit
from numpy.typing import NDArray

from wigner_sim.kernels.compiled import _transform
from wigner_sim.kernels.factors import _multiply
from wigner_sim.kernels.layout import BlockLayout, ModeFactors, Sample
from wigner_sim.kernels.pointers import element, machine_code, pointer, pointers
from wigner_sim.kernels.transforms import transform_column
from wigner_sim.kernels.vectors import every_second, keep_larger, lane_count, load, store

Array = NDArray[Any]


@njit(inline="always")
def _gather(source: Array, layout: BlockLayout, sample: Sample, work: Array, size: int, block: int) -> None:
    """Fill a block with its lanes."""
    width, jump = lane_count(work), sample.counts[0]
    for m in range(layout.lanes[1]):
        for part in range(2):
            at, vector = part * size + layout.offsets[m], 2 * block + part
            first = vector * width
            if sample.evenly[vector]:
                store(work, at, every_second(source, sample.starts[first] + m * jump))
            else:
                for j in range(width):
                    work[at + j] = source[sample.starts[first + j] + m * jump]


@njit(inline="always")
def _raise(
    transform: int, work: Array, size: int, layout: BlockLayout, sample: Sample, largest: Array, base: int
) -> None:
    """Raise ``largest``, by axis, to the squares of the modes of the sampled columns."""
    width = lane_count(work)
    for axis in range(layout.counts[0]):
        n, stride, goal = layout.n_points[axis], layout.strides[axis], base + sample.modes_at[axis]
        re, im, scratch = 2 * size, 2 * size + n * width, 2 * size + 2 * n * width
        for c in range(sample.first_column[axis], sample.first_column[axis + 1]):
            at = sample.columns[c]
            for m in range(n):
                store(work, re + m * width, load(work, at + m * stride))
                store(work, im + m * width, load(work, size + at + m * stride))
            transform_column(
                transform,
                work,
                re,
                im,
                width,
                layout.plans,
                layout.plan_at[axis],
                layout.twiddles,
                layout.twiddle_at[axis],
                scratch,
                n,
            )
            for q in range(n // 2 + 1):
                here, there = re + q * width, re + ((n - q) % n) * width
                fr, fi = load(work, here), load(work, n * width + here)
                gr, gi = load(work, there), load(work, n * width + there)
                ar, ai, br, bi = fr + gr, fi - gi, fi + gi, gr - fr  # twice the modes of the two functions
                keep_larger(largest, (goal + q) * width, ar * ar + ai * ai)
                keep_larger(largest, (goal + q) * width, br * br + bi * bi)


def run_samples(
    transform: int,
    source: Array,
    layout: BlockLayout,
    sample: Sample,
    factors: ModeFactors,
    weight: Array,
    largest: Array,
    blocks: Array,
    work: Array,
) -> None:
    """Raise ``largest`` to four times the squares of the modes of sampled columns of some blocks.

    Parameters
    ----------
    transform : int
        Address of that of a column (``transforms.compiled_transform``).
    source : array
    layout, sample, factors :
        See :mod:`wigner_sim.kernels.layout`; ``layout`` is that of the sampled lanes.
    weight : array (1,)
        Of the factors; transforms are not normalised.
    largest : array (2 * modes of all axes * vector,)
        Those of the values, then of what the factors make of them.
    blocks : array (2,)
        First block, and the one after the last.
    work : array
    """
    source, largest, work = pointer(source), pointer(largest), pointer(work)
    layout, sample, factors = pointers(layout), pointers(sample), pointers(factors)
    size = layout.n_points[0] * layout.strides[0]
    n_modes, stages = sample.counts[1], sample.counts[2]
    for block in range(blocks[0], blocks[1]):
        _gather(source, layout, sample, work, size, block)
        for stage in range(stages):
            for direction in range(2 * stage):
                re, im = (0, size) if direction == 0 else (size, 0)
                _transform(transform, work, re, im, layout, 2 * size)
                if direction == 0:
                    _multiply(work, size, layout, factors, block, element(work, weight[0]))
            _raise(transform, work, size, layout, sample, largest, stage * n_modes)


#: :func:`run_samples` as machine code.
compiled = partial(machine_code, run_samples)
