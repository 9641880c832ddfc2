"""A pass over phase space in place: exact flow along some axes, with kicks before and after it."""

from __future__ import annotations

import gc
import importlib
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim import aligned
from wigner_sim.kernels.layout import (
    BlockLayout,
    Drift,
    MovedAxes,
    Turns,
    block_elements,
    block_layout,
    mode_pairs,
)
from wigner_sim.kernels.plans import factorize
from wigner_sim.parallel import share_out

Array = NDArray[Any]

#: Weights of the antisymmetric central difference of order 8 (Fornberg, Math. Comp. 51, 699 (1988)).
CENTRAL_DIFFERENCE = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
#: Largest eigenvalue of it, times the spacing (spectral: pi).
LARGEST_DIFFERENCE = 1.7306
#: Parts of a pass: all of it, up to the modes of the moved axes, or from them on.
WHOLE, TO_MODES, FROM_MODES = 0, 1, 2
#: Elements below which threads cost more than they bring.
WORTH_SHARING = 1 << 15
_local = threading.local()
_kernels: dict[Any, Any] = {}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SumOfFactors:
    """``sum_t own[:, t] lanes[t, :]``: functions of the moved point (or mode) times functions of the lane.

    Parameters
    ----------
    own : array (moved points, terms)
    lanes : array (terms, lanes)
    """

    own: Array
    lanes: Array


@dataclass(frozen=True)
class BlockPass:
    """Passes with one set of tables.

    Parameters
    ----------
    axes : MovedAxes
    symbol : SumOfFactors or array (moved modes, lanes)
        S(q; lane), odd in q; the exact flow is ``exp(-i S t)``.
    drift : sequence of SumOfFactors or None
        Velocity along each moved axis; None for no kicks.
    stencil : bool
        Central differences of order 8 instead of spectral derivatives in the kicks.
    """

    axes: MovedAxes
    symbol: SumOfFactors | Array
    drift: Sequence[SumOfFactors] | None = None
    stencil: bool = False
    _tables: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)

    def run(
        self,
        source: Array,
        target: Array,
        time: float,
        kicks: Sequence[Sequence[float]] = ((), ()),
        half: int = WHOLE,
    ) -> None:
        """Kick, exact flow for a ``time``, kick.

        Parameters
        ----------
        source, target : arrays (outer * moved * inner,), float64 or float32
            Contiguous; they may be the same.
        kicks : two sequences of float
            Factors f of ``y <- w + f X y``, of the first kick and of the second; empty for none.
        half : int
            ``TO_MODES`` stops at the Fourier modes of the moved axes, ``FROM_MODES`` begins with them: the
            real part at the place of the pair's first mode, the imaginary part at that of the second
            (``layout.mode_pairs``).
        """
        layout, turns, drift = self._tables_for(8 * source.dtype.itemsize)
        size = 6 * block_elements(layout) if self.drift else 2 * block_elements(layout)
        width = 64 // source.dtype.itemsize
        size += width * (6 * max(self.axes.n_points) + 16)
        when = np.array((time, *kicks[0], *kicks[1]), dtype=float)
        how = np.array((len(kicks[0]), len(kicks[1]), half), dtype=np.int64)

        given = (source, target, layout, turns, drift, when, how)
        nothing = np.zeros(2, dtype=np.int64)
        nothing_to_do = (*given, nothing, workspace(size, source.dtype))
        run_blocks = compiled_kernel("wigner_sim.kernels.compiled", source.dtype, nothing_to_do)

        def work(first: int, last: int) -> None:
            blocks = np.array((first, last), dtype=np.int64)
            run_blocks(*given, blocks, workspace(size, source.dtype))

        n_blocks = -(-self.axes.n_lanes // (2 * width))
        share_out(work, n_blocks, source.size >= WORTH_SHARING)

    def largest_rate(self) -> float:
        """Largest ``|S|``."""
        if isinstance(self.symbol, np.ndarray):
            return float(np.abs(self.symbol).max())
        return max(
            float(np.abs(self.symbol.own @ self.symbol.lanes[:, first : first + 64]).max())
            for first in range(0, self.axes.n_lanes, 64)
        )

    def _tables_for(self, bits: int) -> tuple[BlockLayout, Turns, Drift]:
        if bits not in self._tables:
            width = 512 // bits
            layout = block_layout(self.axes, bits, width)
            self._tables[bits] = layout, self._turns(bits, width), self._drift(bits, width)
        return self._tables[bits]

    def _turns(self, bits: int, width: int) -> Turns:
        own = mode_pairs(self.axes.n_points)[:, 0]
        kind = f"f{bits // 8}"
        if isinstance(self.symbol, np.ndarray):
            stored = in_blocks(self.symbol[own] / (2 * np.pi), width).astype(kind).ravel()
            return Turns(np.array([0]), np.empty(0, kind), np.empty(0, kind), stored)
        lanes = in_blocks(self.symbol.lanes / (2 * np.pi), width).astype(kind).ravel()
        modes = self.symbol.own[own].astype(kind)
        return Turns(np.array([modes.shape[1]]), modes.ravel(), lanes, np.empty(0, kind))

    def _drift(self, bits: int, width: int) -> Drift:
        kind = f"f{bits // 8}"
        components = self.drift or [
            SumOfFactors(np.empty((self.axes.n_moved, 0)), np.empty((0, self.axes.n_lanes)))
            for _ in self.axes.n_points
        ]
        n_terms = np.array([len(component.lanes) for component in components], dtype=np.int64)
        most = int(n_terms.max())
        moved = np.zeros((len(components), self.axes.n_moved, most))
        lanes = np.zeros((len(components), most, self.axes.n_lanes))
        for axis, component in enumerate(components):
            moved[axis, :, : n_terms[axis]] = component.own
            lanes[axis, : n_terms[axis]] = component.lanes
        joined = in_blocks(lanes.reshape(len(components) * most, self.axes.n_lanes), width)
        weights = np.empty(0)
        if self.stencil:
            spacing = [period / n for n, period in zip(self.axes.n_points, self.axes.periods, strict=True)]
            weights = np.outer(1 / np.array(spacing), CENTRAL_DIFFERENCE).ravel()
        return Drift(
            n_terms,
            np.array([most, len(weights)]),
            moved.ravel().astype(kind),
            joined.ravel().astype(kind),
            weights.astype(kind),
        )


def compiled_kernel(module: str, dtype: Any, nothing_to_do: tuple[Any, ...]) -> Any:
    """The kernel of a module for one precision; compiled anew if what was kept of it cannot be read."""
    if (module, dtype) not in _kernels:
        with _without_collection():
            compiled = importlib.import_module(module).compiled
            transforms = importlib.import_module("wigner_sim.kernels.transforms")
            transform = transforms.compiled_transform(8 * dtype.itemsize).address
            kernel = partial(compiled(kept=True), transform)
            try:
                kernel(*nothing_to_do)
            except Exception as error:  # whatever reading a damaged file may raise
                _log.warning("the kept kernels are unusable (%s): compiled for this process only", error)
                kernel = partial(compiled(kept=False), transform)
                kernel(*nothing_to_do)
        _kernels[module, dtype] = kernel
    return _kernels[module, dtype]


@contextmanager
def _without_collection() -> Iterator[None]:
    """For compiling: its many objects live until the end, and looking for dead ones takes a tenth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def in_blocks(values: Array, width: int) -> Array:
    """From (terms, lanes) to (blocks, terms, 2 width), zero beyond the last lane."""
    n_terms, n_lanes = values.shape
    n_blocks = -(-n_lanes // (2 * width))
    padded = np.zeros((n_terms, n_blocks * 2 * width))
    padded[:, :n_lanes] = values
    return np.ascontiguousarray(padded.reshape(n_terms, n_blocks, 2 * width).swapaxes(0, 1))


def workspace(size: int, dtype: Any) -> Array:
    """A scratch array of this thread, grown when needed and aligned to cache lines."""
    spaces = _local.__dict__.setdefault("spaces", {})
    if dtype not in spaces or spaces[dtype].size < size:
        spaces[dtype] = aligned.empty(size, dtype)
    return spaces[dtype]


def can_transform(n_points: tuple[int, ...]) -> bool:
    """Whether the compiled transforms know these lengths."""
    return all(factorize(n) is not None for n in n_points)
