r"""Flows that are diagonal in the modes q of the outer axes, as polynomials by blocks, compiled by numba.

.. math:: R\,\hat z = -i P F\sum_p E_p(k)\,F^{-1}(Q_iQ_jQ_l - q_iq_jq_l)_p\,P\hat z,\qquad Q_i = q_i + t_i(s),

with F the transform k -> s and P the modes s that are kept.  A block is one vector of modes q, their real and
imaginary parts.  ``work`` holds four, real part first: the state and the polynomial so far, both in modes s,
the sum over products, and one product.

numba keeps the compiled kernel by the time stamp of this file alone: after a change to the other modules of
this package that emit code, touch it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from numba import njit
from numpy.typing import NDArray

from wigner_sim.kernels.layout import BlockLayout, ModeTables
from wigner_sim.kernels.pointers import OPTIONS, element, machine_code, pointer, pointers
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


@njit(**OPTIONS)
def _transform(
    transform: int,
    work: Array,
    re: int,
    im: int,
    scratch: int,
    layout: BlockLayout,
    n_axes: int,
    first: Array,
    columns: Array,
) -> None:
    """Transform these columns of a block, last axis first; backward with ``re`` and ``im`` exchanged."""
    for number in range(n_axes):
        axis = n_axes - 1 - number
        for c in range(first[axis], first[axis + 1]):
            transform_column(
                transform, work, re + columns[c], im + columns[c], layout.strides[axis],
                layout.plans, layout.plan_at[axis], layout.twiddles, layout.twiddle_at[axis],
                scratch, layout.n_points[axis],
            )  # fmt: skip


@njit(inline="always")
def _multiply_symbol(
    work: Array,
    of: int,
    goal: int,
    size: int,
    layout: BlockLayout,
    tables: ModeTables,
    n_kept: int,
    block: int,
    p: int,
) -> None:
    """``-i (QQQ - qqq)`` times the modes that are kept, zero at the others."""
    width, d, n = lane_count(work), tables.d[0], layout.lanes[1]
    i, j, l = tables.axes[3 * p], tables.axes[3 * p + 1], tables.axes[3 * p + 2]  # noqa: E741
    at = block * d * width
    qi, qj, ql = (
        load(tables.q, at + i * width),
        load(tables.q, at + j * width),
        load(tables.q, at + l * width),
    )
    plain = qi * qj * ql
    for number in range(n_kept):
        m = tables.kept[number]
        turned = (qi + tables.turn[i * n + m]) * (qj + tables.turn[j * n + m]) * (ql + tables.turn[l * n + m])
        symbol, place = turned - plain, layout.offsets[m]
        store(work, goal + place, load(work, of + size + place) * symbol)
        store(work, goal + size + place, load(work, of + place) * (plain - turned))
    nothing = plain - plain
    for number in range(n - n_kept):
        place = layout.offsets[tables.dropped[number]]
        store(work, goal + place, nothing)
        store(work, goal + size + place, nothing)


@njit(inline="always")
def _add_product(
    work: Array, of: int, goal: int, size: int, layout: BlockLayout, tables: ModeTables, p: int
) -> None:
    """Add ``E_p`` times the product to the sum, or begin it."""
    n = layout.lanes[1]
    for m in range(n):
        value, place = tables.coefficients[p * n + m], layout.offsets[m]
        re, im = load(work, of + place) * value, load(work, of + size + place) * value
        if p:
            re, im = re + load(work, goal + place), im + load(work, goal + size + place)
        store(work, goal + place, re)
        store(work, goal + size + place, im)


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
    """Apply ``y <- z + step factor_j R y``, j in turn, to some blocks of modes q; several times where asked.

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
    y, total, one, scratch = 2 * size, 4 * size, 6 * size, 8 * size
    n_axes, n_products, n_kept = len(layout.n_points), len(tables.axes) // 3, len(tables.kept)
    layout, tables, modes, work = pointers(layout), pointers(tables), pointer(modes), pointer(work)
    whole, columns = layout.first_column, layout.columns
    back = element(work, 1.0 / layout.lanes[1])
    for block in range(blocks[0], blocks[1]):
        count = stages[2 * block]
        for part in range(2):
            _copy_rows(modes, layout, tables, block, part, work, part * size, False)
        _transform(transform, work, 0, size, scratch, layout, n_axes, whole, columns)
        for step in range(count * stages[2 * block + 1]):
            factor = element(work, steps[block] * factors[count, step % count])
            source = y if step % count else 0
            goal = y if (step + 1) % count else 0
            for p in range(n_products):
                _multiply_symbol(work, source, one, size, layout, tables, n_kept, block, p)
                _transform(
                    transform, work, one + size, one, scratch, layout, n_axes,
                    tables.first_spread, tables.spread,
                )  # fmt: skip
                _add_product(work, one, total, size, layout, tables, p)
            _transform(
                transform, work, total, total + size, scratch, layout, n_axes,
                tables.first_gathered, tables.gathered,
            )  # fmt: skip
            for number in range(n_kept):
                for part in range(2):
                    at = part * size + layout.offsets[tables.kept[number]]
                    store(work, goal + at, load(work, at) + load(work, total + at) * factor)
        _transform(transform, work, size, 0, scratch, layout, n_axes, whole, columns)
        for at in range(0, 2 * size, lane_count(work)):
            store(work, at, load(work, at) * back)
        for part in range(1, -1, -1):  # real parts last: a mode that is its own partner has one row for both
            _copy_rows(modes, layout, tables, block, part, work, part * size, True)


#: :func:`run_series` as machine code.
compiled = partial(machine_code, run_series)
