"""Largest Fourier amplitudes along one axis of an array, of all lines or of a sample."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim.kernels.passes import WORTH_SHARING, compiled_kernel, workspace
from wigner_sim.kernels.plans import column_plan
from wigner_sim.parallel import share_out

Array = NDArray[Any]


def largest_squares(values: Array, axis: int, strides: tuple[int, ...]) -> Array:
    """Squares of the largest amplitudes, unnormalised, of the modes 0..n/2 among lines along an axis.

    Parameters
    ----------
    values : array, float64 or float32
        Contiguous.
    axis : int
    strides : tuple of int
        Every how many-th line is looked at along each of the other axes.
    """
    flat, n, bits = values.reshape(-1), values.shape[axis], 8 * values.dtype.itemsize
    width = 512 // bits
    starts = _line_starts(values.shape, axis, strides, 2 * width)
    steps = starts.reshape(-1, width)
    last = steps[:, 0] + (n - 1) * np.prod(values.shape[axis + 1 :], dtype=np.int64)
    # one element more is read behind the last
    evenly = ((np.diff(steps, axis=1) == 2).all(axis=1) & (last + 2 * width <= flat.size)).astype(np.int64)
    line = np.array([n, np.prod(values.shape[axis + 1 :], dtype=np.int64)])
    size = width * (6 * n + 16)
    given = flat, starts, evenly, np.arange(n) * width, line, *column_plan(n, bits)
    parts: list[Array] = []

    def fresh() -> Array:
        return np.zeros((n // 2 + 1) * width, values.dtype)

    nothing = (*given, fresh(), np.zeros(2, dtype=np.int64), workspace(size, values.dtype))
    run_spectra = compiled_kernel("wigner_sim.kernels.spectra", values.dtype, nothing)

    def work(first: int, last: int) -> None:
        largest = fresh()
        blocks = np.array((first, last), dtype=np.int64)
        run_spectra(*given, largest, blocks, workspace(size, values.dtype))
        parts.append(largest)

    n_blocks = len(starts) // (2 * width)
    share_out(work, n_blocks, len(starts) * n >= WORTH_SHARING)
    return np.asarray(np.max(parts, axis=0).reshape(-1, width).max(axis=1) / 4)


@lru_cache(maxsize=32)
def _line_starts(shape: tuple[int, ...], axis: int, strides: tuple[int, ...], group: int) -> Array:
    """First elements of the sampled lines, the last one repeated up to a multiple of ``group``."""
    elements = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
    sample = tuple(slice(0, 1) if a == axis else slice(None, None, strides[a]) for a in range(len(shape)))
    starts = elements[sample].ravel()
    return np.concatenate([starts, np.repeat(starts[-1:], -len(starts) % group)])
