"""Spectra along positions at every second momentum, of an array and of what factors of modes make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim.kernels.layout import (
    BlockLayout,
    ModeFactors,
    MovedAxes,
    Sample,
    block_elements,
    block_layout,
    mode_pairs,
)
from wigner_sim.kernels.passes import WORTH_SHARING, SumOfFactors, compiled_kernel, in_blocks, workspace
from wigner_sim.parallel import share_out

Array = NDArray[Any]


@dataclass(frozen=True)
class SampledSpectra:
    """Largest amplitudes along each position axis at every ``stride``-th point of all others.

    Parameters
    ----------
    n_x, n_k : tuple of int
    stride : int
    factor : SumOfFactors, optional
        m(q; lane) of all lanes (points in k), even in q: the second spectrum is that of ``u + F^-1[m F u]``.
    """

    n_x: tuple[int, ...]
    n_k: tuple[int, ...]
    stride: int
    factor: SumOfFactors | None = None
    _tables: dict[int, tuple[BlockLayout, Sample, ModeFactors]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def largest_squares(self, source: Array) -> list[list[Array]]:
        """Squares, unnormalised, of the modes 0..n/2 by axis: of the array (*x, *k), then with the factor."""
        flat, bits = source.reshape(-1), 8 * source.dtype.itemsize
        layout, sample, factors = self._tables_for(bits)
        width = 512 // bits
        given = flat, layout, sample, factors, np.array([1.0 / prod(self.n_x)])
        size = 2 * block_elements(layout) + width * (6 * max(self.n_x) + 16)
        parts: list[Array] = []

        def fresh() -> Array:
            return np.zeros(2 * sample.counts[1] * width, source.dtype)

        nothing = (*given, fresh(), np.zeros(2, dtype=np.int64), workspace(size, source.dtype))
        run_samples = compiled_kernel("wigner_sim.kernels.samples", source.dtype, nothing)

        def work(first: int, last: int) -> None:
            largest = fresh()
            run_samples(
                *given, largest, np.array((first, last), dtype=np.int64), workspace(size, source.dtype)
            )
            parts.append(largest)

        share_out(work, len(sample.evenly) // 2, source.size >= WORTH_SHARING)
        squares = np.max(parts, axis=0).reshape(2, -1, width).max(axis=2) / 4
        stages = squares[: sample.counts[2]]
        return [np.split(stage, sample.modes_at[1:-1]) for stage in stages]

    def _tables_for(self, bits: int) -> tuple[BlockLayout, Sample, ModeFactors]:
        if bits not in self._tables:
            width = 512 // bits
            lanes = np.arange(prod(self.n_k)).reshape(self.n_k)[
                (slice(None, None, self.stride),) * len(self.n_k)
            ]
            axes = MovedAxes(1, self.n_x, (1.0,) * len(self.n_x), lanes.size)
            layout = block_layout(axes, bits, width)
            # the last lane again where the last block is not full
            lanes = np.pad(lanes.ravel(), (0, -lanes.size % (2 * width)), mode="edge")
            sample = self._sample(lanes.astype(np.int64), width, layout)
            self._tables[bits] = layout, sample, self._factors(lanes, bits)
        return self._tables[bits]

    def _sample(self, lanes: Array, width: int, layout: BlockLayout) -> Sample:
        steps = lanes.reshape(-1, width)
        inside = steps[:, 0] + 2 * width <= prod(self.n_k)  # one more is read behind the last
        evenly = inside & (np.diff(steps, axis=1) == 2).all(axis=1)
        columns = [self._columns(axis) @ layout.strides for axis in range(len(self.n_x))]
        n_modes = [n // 2 + 1 for n in self.n_x]
        stages = 1 if self.factor is None else 2
        return Sample(
            counts=np.array([prod(self.n_k), sum(n_modes), stages]),
            starts=lanes,
            evenly=evenly.astype(np.int64),
            first_column=np.cumsum([0, *map(len, columns)]),
            columns=np.concatenate(columns),
            modes_at=np.cumsum([0, *n_modes]),
        )

    def _columns(self, axis: int) -> Array:
        """First points of the columns along an axis, at every stride-th point of the others."""
        ranges = (range(1) if a == axis else range(0, n, self.stride) for a, n in enumerate(self.n_x))
        return np.array(list(product(*ranges)), dtype=np.int64)

    def _factors(self, lanes: Array, bits: int) -> ModeFactors:
        width, kind = 512 // bits, f"f{bits // 8}"
        own, of_lane = np.empty((prod(self.n_x), 0)), np.empty((0, prod(self.n_k)))
        if self.factor is not None:
            own, of_lane = self.factor.own, self.factor.lanes
        one = np.ones((len(own), 1)), np.ones((1, of_lane.shape[1]))
        own, of_lane = np.hstack([own, one[0]]), np.vstack([of_lane, one[1]])  # u itself
        modes = own[mode_pairs(self.n_x)[:, 0]]
        return ModeFactors(
            np.array([modes.shape[1]]),
            modes.ravel().astype(kind),
            in_blocks(of_lane[:, lanes], width).astype(kind).ravel(),
        )


@lru_cache(maxsize=8)
def sampled_spectra(n_x: tuple[int, ...], n_k: tuple[int, ...], stride: int) -> SampledSpectra:
    """Those of an array alone."""
    return SampledSpectra(n_x, n_k, stride)
