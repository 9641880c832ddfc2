"""How a block of phase space lies in the cache, and the tables its passes read.

The array is seen as (outer, moved, inner): the moved axes are transformed, a *lane* is one line along them.
A block is two vectors of lanes; the first are real parts, the second imaginary parts of complex columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wigner_sim import fourier
from wigner_sim.kernels.plans import column_plan

Array = NDArray[Any]

#: Kinds of :class:`Divisor`: none, a sum of products, an array.
UNDIVIDED, IN_PRODUCTS, STORED = 0, 1, 2


@dataclass(frozen=True)
class MovedAxes:
    """The axes that a pass transforms, with the rest of the array before and after them."""

    outer: int
    n_points: tuple[int, ...]
    periods: tuple[float, ...]
    inner: int

    @property
    def n_moved(self) -> int:
        """Points of one lane."""
        return prod(self.n_points)

    @property
    def n_lanes(self) -> int:
        """Number of lanes."""
        return self.outer * self.inner


@lru_cache(maxsize=32)
def mode_pairs(n_points: tuple[int, ...]) -> Array:
    """Flat indices of modes q and -q, one row per pair (equal where the mode is its own partner)."""
    index = np.arange(prod(n_points)).reshape(n_points)
    partner = index
    for axis in range(len(n_points)):
        partner = np.roll(np.flip(partner, axis), 1, axis)
    own, other = index.ravel(), partner.ravel()
    return np.stack([own, other], axis=1)[own <= other]


class BlockLayout(NamedTuple):
    """Integer and twiddle tables of a block (see :func:`block_layout`); arrays over moved axes are joined."""

    lanes: Array  # n_lanes, n_moved, inner
    counts: Array  # axes, points of the longest one, pairs of modes
    n_points: Array
    offsets: Array  # element of each moved point in a block
    strides: Array  # elements between neighbours along each axis
    point_strides: Array  # the same in moved points
    first_column: Array
    columns: Array  # first element of every column, axis after axis
    column_points: Array  # its moved point
    plan_at: Array
    plans: Array
    twiddle_at: Array
    twiddles: Array
    wavenumber_at: Array
    wavenumbers: Array
    pairs: Array  # (pairs * 2,), first element of modes q and -q


class Turns(NamedTuple):
    """Turns of the exact flow per unit of time: sums of (function of q) x (function of the lane)."""

    n_terms: Array  # (1,)
    modes: Array  # (pairs * terms,)
    lanes: Array  # (blocks * terms * 2 * vector,)
    stored: Array  # (blocks * pairs * 2 * vector,), read if there are no terms


class Drift(NamedTuple):
    """Velocities along the moved axes: sums of (function of the moved point) x (function of the lane)."""

    n_terms: Array  # (axes,)
    most: Array  # (2,), the largest of them; weights
    moved: Array  # (axes * moved points * most,)
    lanes: Array  # (blocks * axes * most * 2 * vector,)
    weights: Array  # of central differences over the spacing, (axes * taps,); empty: spectral derivatives


class ModeFactors(NamedTuple):
    """Real factors of the modes: sums of (function of q) x (function of the lane), the same at q and -q."""

    n_terms: Array  # (1,)
    modes: Array  # (pairs * terms,)
    lanes: Array  # (blocks * terms * 2 * vector,)


class Divisor(NamedTuple):
    """What is divided by: a sum of (function of the moved point) x (function of the lane), or stored."""

    n_terms: Array  # (1,)
    moved: Array  # (moved points * terms,)
    lanes: Array  # (blocks * terms * 2 * vector,)
    values: Array  # (outer * moved * inner,), read if it is stored


class Sample(NamedTuple):
    """Lanes of a larger array, and the columns among them whose spectra are looked at."""

    counts: Array  # elements between moved points; modes of all axes; 2 with factors, else 1
    starts: Array  # (blocks * 2 * vector,), first element of each lane
    evenly: Array  # (blocks * 2,), whether the lanes of a vector are every second element
    first_column: Array  # (axes + 1,)
    columns: Array  # first element in a block, axis after axis
    modes_at: Array  # (axes + 1,), first mode of each axis


class ModeTables(NamedTuple):
    """Modes q in blocks of one vector, and the products of an operator that is diagonal in them.

    It acts on some modes s of the moved axes, the kept ones.
    """

    d: Array  # (1,), axes
    rows: Array  # (blocks * 2 * vector,), first element of each mode's real and imaginary row
    q: Array  # (blocks * d * vector,)
    turn: Array  # (d * kept modes,), what the field adds to each q, by the mode s
    axes: Array  # (products * 3,), i, j, l
    coefficients: Array  # (products * moved points,)
    kept: Array  # elements of the kept modes in a block
    empty: Array  # the other elements
    first_spread: Array  # (axes + 1,)
    spread: Array  # columns that a transform from the kept modes has to do, axis after axis, last axis first
    first_gathered: Array
    gathered: Array  # the same for one that ends at the kept modes


@lru_cache(maxsize=32)
def block_layout(axes: MovedAxes, bits: int, lanes_per_vector: int) -> BlockLayout:
    """Tables of the blocks of a pass over ``axes``."""
    strides = _padded_strides(axes.n_points, lanes_per_vector)
    points = np.array(list(product(*map(range, axes.n_points))), dtype=np.int64)
    offsets = points @ strides
    point_strides = np.array(
        [prod(axes.n_points[j + 1 :]) for j in range(len(axes.n_points))], dtype=np.int64
    )
    pairs = mode_pairs(axes.n_points)
    starts = [np.nonzero(points[:, axis] == 0)[0] for axis in range(len(axes.n_points))]
    plans, twiddles = zip(*(column_plan(n, bits) for n in axes.n_points), strict=True)
    wavenumbers = [
        fourier.derivative_wavenumbers(n, period)
        for n, period in zip(axes.n_points, axes.periods, strict=True)
    ]
    return BlockLayout(
        lanes=np.array([axes.n_lanes, axes.n_moved, axes.inner], dtype=np.int64),
        counts=np.array([len(axes.n_points), max(axes.n_points), len(pairs)], dtype=np.int64),
        n_points=np.array(axes.n_points, dtype=np.int64),
        offsets=offsets,
        strides=strides,
        point_strides=point_strides,
        first_column=_joined_at(starts),
        columns=offsets[np.concatenate(starts)],
        column_points=np.concatenate(starts),
        plan_at=_joined_at(plans),
        plans=np.concatenate(plans),
        twiddle_at=_joined_at(twiddles),
        twiddles=np.concatenate(twiddles),
        wavenumber_at=_joined_at(wavenumbers),
        wavenumbers=np.concatenate(wavenumbers).astype(f"f{bits // 8}"),
        pairs=offsets[pairs].ravel(),
    )


def _padded_strides(n_points: Sequence[int], width: int) -> Array:
    """Elements between neighbours; no stride between columns is a multiple of a large power of two."""
    strides = [width]
    for n in reversed(n_points[1:]):
        lines = strides[0] // width * n
        strides.insert(0, (lines + (lines % 16 == 0)) * width)
    return np.array(strides, dtype=np.int64)


def _joined_at(parts: Sequence[Array]) -> Array:
    return np.cumsum([0, *(len(part) for part in parts)]).astype(np.int64)


def block_elements(layout: BlockLayout) -> int:
    """Elements of one real block."""
    return int(layout.n_points[0] * layout.strides[0])
