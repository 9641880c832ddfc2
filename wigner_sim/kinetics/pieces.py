"""Arrays over phase space cut into pieces that stay in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod


def pieces(shape: tuple[int, ...], whole: Sequence[int], n_points: int = 1 << 17) -> list[tuple[slice, ...]]:
    """Cut an array along its first axis that need not stay ``whole``, into pieces of about ``n_points``."""
    axis = next((axis for axis in range(len(shape)) if axis not in whole), None)
    if axis is None:
        return [(slice(None),) * len(shape)]
    width = max(1, n_points * shape[axis] // max(1, prod(shape)))
    before, after = (slice(None),) * axis, (slice(None),) * (len(shape) - axis - 1)
    return [(*before, slice(first, first + width), *after) for first in range(0, shape[axis], width)]


def cut(piece: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The piece of an array that is constant along axes of length 1."""
    return tuple(part if n > 1 else slice(None) for part, n in zip(piece, shape, strict=True))
