r"""Flows that are diagonal in the modes q of the outer axes, as polynomials by blocks, compiled by numba.

.. math:: R\,\hat z = -i P F\sum_p E_p(k)\,F^{-1}(Q_iQ_jQ_l - q_iq_jq_l)_p\,P\hat z,\qquad Q_i = q_i + t_i(s),

with F the transform k -> s and P the modes s that are kept.  A block is one vector of modes q, their real and
imaginary parts.  ``work`` holds four blocks, real parts first: the state and the polynomial so far, in the
modes s that are kept, the sum over products, and one product.

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
    undone: bool,
) -> None:
    """Transform these columns of a block, last axis first; or undo that, with normalisation."""
    for number in range(n_axes):
        axis = number if undone else n_axes - 1 - number
        n, stride = layout.n_points[axis], layout.strides[axis]
        scale = element(work, 1.0 / n)
        for c in range(first[axis], first[axis + 1]):
            own, other = re + columns[c], im + columns[c]
            if undone:
                own, other = other, own
            transform_column(
                transform, work, own, other, stride,
                layout.plans, layout.plan_at[axis], layout.twiddles, layout.twiddle_at[axis], scratch, n,
            )  # fmt: skip
            if undone:
                for at in range(0, n * stride, stride):
                    store(work, own + at, load(work, own + at) * scale)
                    store(work, other + at, load(work, other + at) * scale)


@njit(inline="always")
def _multiply_symbol(
    work: Array,
    of: int,
    goal: int,
    size: int,
    tables: ModeTables,
    n_kept: int,
    n_empty: int,
    block: int,
    p: int,
) -> None:
    """``-i (QQQ - qqq)`` times the modes that are kept, zero at the others."""
    width, d = lane_count(work), tables.d[0]
    i, j, l = tables.axes[3 * p], tables.axes[3 * p + 1], tables.axes[3 * p + 2]  # noqa: E741
    at = block * d * width
    qi, qj, ql = (
        load(tables.q, at + i * width),
        load(tables.q, at + j * width),
        load(tables.q, at + l * width),
    )
    plain = qi * qj * ql
    i, j, l = i * n_kept, j * n_kept, l * n_kept  # noqa: E741
    for m in range(n_kept):
        turned = (qi + tables.turn[i + m]) * (qj + tables.turn[j + m]) * (ql + tables.turn[l + m])
        symbol, own, place = turned - plain, of + tables.kept[m], goal + tables.kept[m]
        store(work, place, load(work, own + size) * symbol)
        store(work, place + size, load(work, own) * (plain - turned))
    nothing = plain - plain
    for m in range(n_empty):
        place = goal + tables.empty[m]
        store(work, place, nothing)
        store(work, place + size, nothing)


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
    factors : array (blocks, most)
        Over the number of moved points, which the transforms leave out.
    blocks : array (2,)
        First block, and the one after the last.
    work : array
    """
    size = layout.n_points[0] * layout.strides[0]
    y, total, one, scratch = 2 * size, 4 * size, 6 * size, 8 * size
    n_axes, n_products = len(layout.n_points), len(tables.axes) // 3
    n_kept, n_empty = len(tables.kept), len(tables.empty)
    layout, tables = pointers(layout), pointers(tables)
    modes, work = pointer(modes), pointer(work)
    for block in range(blocks[0], blocks[1]):
        count = stages[2 * block]
        for part in range(2):
            _copy_rows(modes, layout, tables, block, part, work, part * size, False)
        _transform(
            transform, work, 0, size, scratch, layout, n_axes, tables.first_gathered, tables.gathered, False
        )
        for step in range(count * stages[2 * block + 1]):
            factor = element(work, factors[block, step % count])
            source = y if step % count else 0
            goal = y if (step + 1) % count else 0
            for p in range(n_products):
                _multiply_symbol(work, source, one, size, tables, n_kept, n_empty, block, p)
                _transform(
                    transform, work, one + size, one, scratch, layout, n_axes,
                    tables.first_spread, tables.spread, False,
                )  # fmt: skip
                _add_product(work, one, total, size, layout, tables, p)
            _transform(
                transform, work, total, total + size, scratch, layout, n_axes,
                tables.first_gathered, tables.gathered, False,
            )  # fmt: skip
            for part in range(0, 2 * size, size):
                for m in range(n_kept):
                    place = part + tables.kept[m]
                    changed = load(work, place) + load(work, total + place) * factor
                    store(work, goal + place, changed)
        _transform(
            transform, work, 0, size, scratch, layout, n_axes, tables.first_gathered, tables.gathered, True
        )
        for part in range(1, -1, -1):  # real parts last: a mode that is its own partner has one row for both
            _copy_rows(modes, layout, tables, block, part, work, part * size, True)


#: :func:`run_series` as machine code.
compiled = partial(machine_code, run_series)
