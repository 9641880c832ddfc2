r"""Flows that are diagonal in the modes q of the outer axes, as polynomials by blocks, compiled by numba.

.. math:: R\,z = -i\sum_p E_p(k)\,F^{-1}\bigl[(Q_iQ_jQ_l - q_iq_jq_l)_p\,F z\bigr],\qquad Q_i = q_i + t_i(s),

with F the transform k -> s.  A block is one vector of modes q, their real and imaginary parts.  ``work``
holds four, real part first: the state, the polynomial so far, its transform, one product's transform.

numba keeps the compiled kernel by the time stamp of this file alone: after a change to the other modules of
this package that emit code, touch it.
"""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray

from wigner_sim.kernels.layout import BlockLayout, ModeTables
from wigner_sim.kernels.pointers import OPTIONS, element, pointer, pointers
from wigner_sim.kernels.transforms import transform_column
from wigner_sim.kernels.vectors import block_to_listed_rows, lane_count, listed_rows_to_block, load, store

Array = NDArray[Any]


@njit(inline="always")
def _copy_rows(
    modes: Array,
    layout: BlockLayout,
    tables: ModeTables,
    block: int,
    part: int,
    work: Array,
    at: int,
    out: bool,
) -> None:
    """Copy the real (part 0) or imaginary (part 1) rows of a block's modes in, or back."""
    width, n = lane_count(modes), layout.lanes[1]
    start = (2 * block + part) * width
    done = 0
    while done + width <= n:
        if out:
            block_to_listed_rows(modes, tables.rows, start, work, at, layout.offsets, done)
        else:
            listed_rows_to_block(modes, tables.rows, start, work, at, layout.offsets, done)
        done += width
    for j in range(width):
        row = tables.rows[start + j]
        for m in range(done, n):
            if out:
                modes[row + m] = work[at + layout.offsets[m] + j]
            else:
                work[at + layout.offsets[m] + j] = modes[row + m]


@njit(inline="always")
def _multiply_symbol(
    work: Array, of: int, goal: int, size: int, layout: BlockLayout, tables: ModeTables, block: int, p: int
) -> None:
    """The conjugate of ``-i (QQQ - qqq)`` times the transform, so that a forward transform is next."""
    width, d, n = lane_count(work), tables.d[0], layout.lanes[1]
    i, j, l = tables.axes[3 * p], tables.axes[3 * p + 1], tables.axes[3 * p + 2]  # noqa: E741
    at = block * d * width
    qi, qj, ql = (
        load(tables.q, at + i * width),
        load(tables.q, at + j * width),
        load(tables.q, at + l * width),
    )
    plain = qi * qj * ql
    for m in range(n):
        turned = (qi + tables.turn[i * n + m]) * (qj + tables.turn[j * n + m]) * (ql + tables.turn[l * n + m])
        symbol, place = turned - plain, layout.offsets[m]
        store(work, goal + place, load(work, of + size + place) * symbol)
        store(work, goal + size + place, load(work, of + place) * symbol)


@njit(inline="always")
def _add_product(
    work: Array,
    of: int,
    base: int,
    goal: int,
    size: int,
    layout: BlockLayout,
    tables: ModeTables,
    p: int,
    f: float,
) -> None:
    """``goal = base + f E_p conj(product)``."""
    n = layout.lanes[1]
    for m in range(n):
        value, place = tables.coefficients[p * n + m] * f, layout.offsets[m]
        store(work, goal + place, load(work, base + place) + load(work, of + place) * value)
        store(
            work, goal + size + place, load(work, base + size + place) - load(work, of + size + place) * value
        )


def run_series(
    transform: int,
    modes: Array,
    layout: BlockLayout,
    tables: ModeTables,
    stages: Array,
    steps: Array,
    factors: Array,
    blocks: Array,
    work: Array,
) -> None:
    """Apply ``y <- z + step factor_j R y``, j in turn, to some blocks of modes; several times where asked.

    Parameters
    ----------
    transform : int
        Address of that of a column (``transforms.compiled_transform``).
    modes : array (modes * moved,)
        Rows of functions of k, see ``passes.TO_MODES``.
    layout, tables :
        See :mod:`wigner_sim.kernels.layout`.
    stages : array (2 * blocks,)
        How many factors each block's polynomial has, and how often it is applied.
    steps : array (blocks,)
        Over the number of moved points, which the transforms leave out.
    factors : array (counts, most)
        Row j holds those of a polynomial with j factors.
    blocks : array (2,)
        First block, and the one after the last.
    work : array
    """
    size = layout.n_points[0] * layout.strides[0]
    scratch, n_axes = 8 * size, len(layout.n_points)
    n_products = len(tables.axes) // 3
    transformed = 4 * size
    layout, tables, modes, work = pointers(layout), pointers(tables), pointer(modes), pointer(work)
    for block in range(blocks[0], blocks[1]):
        count, base, y, goal = stages[2 * block], 0, 0, 2 * size
        for part in range(2):
            _copy_rows(modes, layout, tables, block, part, work, part * size, False)
        for step in range(count * stages[2 * block + 1]):
            factor = element(work, steps[block] * factors[count, step % count])
            if step % count == 0:
                base, goal = y, 2 * size - y
            for p in range(-1, n_products):
                if p < 0:
                    here = transformed
                    for at in range(0, 2 * size, lane_count(work)):
                        store(work, here + at, load(work, y + at))
                else:
                    here = 6 * size
                    _multiply_symbol(work, transformed, here, size, layout, tables, block, p)
                for number in range(n_axes):
                    axis = n_axes - 1 - number
                    for c in range(layout.first_column[axis], layout.first_column[axis + 1]):
                        at = here + layout.columns[c]
                        transform_column(
                            transform, work, at, at + size, layout.strides[axis],
                            layout.plans, layout.plan_at[axis], layout.twiddles, layout.twiddle_at[axis],
                            scratch, layout.n_points[axis],
                        )  # fmt: skip
                if p >= 0:
                    before = base if p == 0 else goal
                    _add_product(work, here, before, goal, size, layout, tables, p, factor)
            y = goal
        for part in range(1, -1, -1):  # real parts last: a mode that is its own partner has one row for both
            _copy_rows(modes, layout, tables, block, part, work, y + part * size, True)


def compiled(kept: bool) -> Any:
    """:func:`run_series` as machine code; ``kept`` between processes if there is a directory for it."""
    if kept:
        try:
            return njit(cache=True, no_cfunc_wrapper=True, **OPTIONS)(run_series)
        except RuntimeError:  # neither the package nor the user has a directory that can be written
            pass
    return njit(no_cfunc_wrapper=True, **OPTIONS)(run_series)
