"""Arrays that begin at a cache line.

numpy's begin 16 bytes after one, so that every vector of 64 bytes lies in two lines.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

#: Bytes of a cache line, and of the longest vectors.
LINE = 64


def empty(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """A new C-contiguous array whose first element begins a cache line."""
    kind = np.dtype(dtype)
    size = (shape if isinstance(shape, int) else prod(shape)) * kind.itemsize
    raw = np.empty(size + LINE, dtype=np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + size].view(kind).reshape(shape)


def copy(values: NDArray[Any]) -> NDArray[Any]:
    """The same values in such an array."""
    result = empty(values.shape, values.dtype)
    result[...] = values
    return result
