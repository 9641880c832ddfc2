"""The gradient expansion of one band at one time, done slab by slab of the grid and shared among threads.

Beside what is asked for, only H, its local bands and the lower orders of the projector have the size of phase
space; their derivatives exist on one slab at a time (:mod:`wigner_sim.jets`).

Source: docs/theory.md sections 3 to 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, combinations_with_replacement, pairwise
from math import ceil, prod
from typing import Any

import numpy as np

from wigner_sim import fourier, parallel
from wigner_sim.geometry import curvature_components, metric_components
from wigner_sim.jets import Jet, JetBands
from wigner_sim.projector import LocalBands, moyal_projector
from wigner_sim.symbols import Array, FloatArray, MultiIndex, Symbol, SymbolSpace, star_product_at, trace

#: Points of a slab, and of the pieces of it that are worked on at once.
SLAB_POINTS = 1 << 15
PIECE_POINTS = 1 << 12

#: Derivatives of one array on a slab, each (n, n, points).
Table = dict[MultiIndex, Array]


def slabs(shape: tuple[int, ...]) -> list[slice]:
    """Ranges of the first axis of the grid."""
    rows = max(1, SLAB_POINTS // prod(shape[1:]))
    n_slabs = ceil(shape[0] / rows)
    bounds = [j * shape[0] // n_slabs for j in range(n_slabs + 1)]
    return [slice(first, last) for first, last in pairwise(bounds)]


def for_each_slab(shape: tuple[int, ...], work: Callable[[slice], None]) -> None:
    """Call ``work`` for every slab, in several threads if there are."""
    everything = slabs(shape)

    def several(first: int, last: int) -> None:
        for rows in everything[first:last]:
            work(rows)

    parallel.share_out(several, len(everything), linear_algebra=True)


def local_bands(hamiltonian: Array, n_grid_axes: int, scramble: int | None = None) -> LocalBands:
    """Eigen-decomposition of a matrix symbol ``(n, n, *x, *k)``, slab by slab."""
    shape = hamiltonian.shape[-n_grid_axes:]
    energies = np.empty(hamiltonian.shape[1:])
    vectors = np.empty_like(hamiltonian)

    def solve(rows: slice) -> None:
        seed = None if scramble is None else scramble + rows.start
        here = LocalBands.of(hamiltonian[:, :, rows], seed)
        energies[:, rows], vectors[:, :, rows] = here.energies, here.vectors

    for_each_slab(shape, solve)
    return LocalBands(energies, vectors)


@dataclass(frozen=True)
class BandScalars:
    """What the expansion has to say, each by order; the traces are real.

    Parameters
    ----------
    energy_trace : list of arrays (*x, *k)
        ``tr(pi * H * pi)``.
    projector_trace : list of arrays (*x, *k)
        ``tr pi``.
    curvature : list of dict (a, b) -> array, a < b
        ``Omega*``, time last, one order less.
    metric : dict (a, b) -> array, a <= b
        Empty below order 2.
    """

    energy_trace: list[FloatArray]
    projector_trace: list[FloatArray]
    curvature: list[dict[tuple[int, int], FloatArray]]
    metric: dict[tuple[int, int], FloatArray]


def energy_traces(hamiltonian: Symbol, pi: Sequence[Symbol]) -> list[Any]:
    """``tr(pi * H * pi)`` by order."""
    space, orders = hamiltonian.space, range(len(pi))
    left = [space.symbol(star_product_at(pi, [hamiltonian], m)) for m in orders]
    return [trace(star_product_at(left, pi, m)).real for m in orders]


@dataclass(frozen=True)
class Piece:
    """The symbols of one band at a few points, with the derivatives that the expansion needs."""

    points: slice
    hamiltonian: Symbol
    pi: list[Symbol]
    rates: list[Jet]


@dataclass(frozen=True)
class SlabExpansion:
    """One band of a matrix symbol at one time.

    Parameters
    ----------
    hamiltonian : Symbol (n, n, *x, *k), energy
    bands : LocalBands
        Of the same matrix.
    group : range
    rates : sequence of arrays (n, n, *x, *k)
        ``D_t pi_0, D_t pi_1, ...``; empty if nothing is driven.
    """

    hamiltonian: Symbol
    bands: LocalBands
    group: range
    rates: Sequence[Array] = ()
    _pi: list[Array] = field(default_factory=list)

    @property
    def space(self) -> SymbolSpace:
        """Where symbols live."""
        return self.hamiltonian.space

    def with_rate(self, rate: Array) -> SlabExpansion:
        """With the next rate known."""
        return replace(self, rates=[*self.rates, rate])

    def projector(self, order: int) -> list[Symbol]:
        """The Moyal projector through ``order``."""
        self._through(order)
        return [self.space.symbol(values) for values in self._pi[: order + 1]]

    def scalars(self, order: int) -> BandScalars:
        """Traces, curvature and metric; the projector at ``order`` itself is not kept."""
        self._through(max(0, order - 1))
        grid = self.space.grid
        n_curved = grid.n_axes + bool(self.rates)

        def empty() -> FloatArray:
            return np.empty(grid.shape)

        result = BandScalars(
            energy_trace=[empty() for _ in range(order + 1)],
            projector_trace=[empty() for _ in range(order + 1)],
            curvature=[{pair: empty() for pair in combinations(range(n_curved), 2)} for _ in range(order)],
            metric={p: empty() for p in combinations_with_replacement(range(grid.n_axes), 2) if order == 2},
        )

        def work(rows: slice) -> None:
            for piece in self._pieces(rows, order):
                _fill(result, piece, order)

        for_each_slab(grid.shape, work)
        return result

    def _through(self, order: int) -> None:
        """Make the projector through ``order``."""
        if not self._pi:
            self._pi.append(self.bands.projector(self.group))
        while len(self._pi) <= order:
            m = len(self._pi)
            values = np.empty_like(self._pi[0])

            def work(rows: slice, m: int = m, values: Array = values) -> None:
                for piece in self._pieces(rows, m):
                    _flat(values)[..., piece.points] = piece.pi[m].values.at(())

            for_each_slab(self.space.grid.shape, work)
            self._pi.append(values)

    def _pieces(self, rows: slice, order: int) -> Iterator[Piece]:
        """A slab cut up, with the projector through ``order``."""
        grid = self.space.grid
        known = self._pi[: max(1, order)]
        h_table = derivatives_on_slab(self.space, self.hamiltonian.values, rows, order)
        pi_tables = [derivatives_on_slab(self.space, p, rows, order - m) for m, p in enumerate(known)]
        rate_tables = [
            derivatives_on_slab(self.space, rate, rows, order - 1 - m)
            for m, rate in enumerate(self.rates[:order])
        ]
        energies = self.bands.energies[:, rows].reshape(len(self.bands.energies), -1)
        vectors = _flat(self.bands.vectors[:, :, rows])
        n_points = energies.shape[1]
        start = rows.start * prod(grid.shape[1:])
        n_pieces = ceil(n_points / PIECE_POINTS)
        for j in range(n_pieces):
            cut = slice(j * n_points // n_pieces, (j + 1) * n_points // n_pieces)
            hamiltonian = self._symbol(h_table, cut)
            rates = [_jet(table, cut) for table in rate_tables]
            pi = moyal_projector(
                hamiltonian,
                JetBands(energies[:, cut], vectors[..., cut]),
                self.group,
                order,
                rates,
                known=[self._symbol(table, cut) for table in pi_tables],
            )
            yield Piece(slice(start + cut.start, start + cut.stop), hamiltonian, pi, rates)

    def _symbol(self, table: Table, cut: slice) -> Symbol:
        return self.space.symbol(_jet(table, cut))


def _fill(result: BandScalars, piece: Piece, order: int) -> None:
    """Work out everything on a piece."""
    at = piece.points
    for m, value in enumerate(energy_traces(piece.hamiltonian, piece.pi)):
        result.energy_trace[m].reshape(-1)[at] = value
    for m, p in enumerate(piece.pi):
        result.projector_trace[m].reshape(-1)[at] = trace(p.values).real
    if result.metric:
        for pair, metric in metric_components(piece.pi[0]).items():
            result.metric[pair].reshape(-1)[at] = metric
    if order:
        for pair, components in curvature_components(piece.pi, order - 1, piece.rates):
            for omega, component in zip(result.curvature, components, strict=True):
                omega[pair].reshape(-1)[at] = component


def derivatives_on_slab(space: SymbolSpace, values: Array, rows: slice, order: int) -> Table:
    """All derivatives of a matrix symbol through ``order`` at some rows of the first grid axis.

    Along that axis they are made by a matrix, which needs no transform of the whole array.
    """
    grid = space.grid
    whole = rows == slice(0, grid.shape[0])
    if whole:
        symbol = space.symbol(values)
        return {
            key: _flat(symbol.derivative(*key))
            for m in range(order + 1)
            for key in combinations_with_replacement(range(grid.n_axes), m)
        }
    table: Table = {}
    along = np.eye(grid.shape[0])[rows]
    matrix = fourier.differentiation_matrix(grid.shape[0], grid.periods[0])
    for power in range(order + 1):
        here = values[:, :, rows] if power == 0 else _along_rows(along, values)
        table |= {(0,) * power + key: v for key, v in _within_slab(space, here, order - power).items()}
        along = along @ matrix
    return table


def _along_rows(matrix: FloatArray, values: Array) -> Array:
    """A real matrix acting on the first grid axis of a matrix symbol."""
    n, n_rows = values.shape[0], values.shape[2]
    parts = np.ascontiguousarray(values).view(float).reshape(n * n, n_rows, -1)
    result = np.matmul(matrix, parts)
    return result.view(complex).reshape(n, n, len(matrix), *values.shape[3:])


def _within_slab(space: SymbolSpace, values: Array, order: int) -> Table:
    """Derivatives along all grid axes but the first."""
    table: Table = {(): _flat(values)}
    if not order:
        return table
    axes = tuple(range(1 - space.grid.n_axes, 0))
    hat = fourier.fftn(values, axes)
    factor = {a: space.derivative_factor(a, True) for a in range(1, space.grid.n_axes)}
    for a in factor:
        first = factor[a] * hat
        table[(a,)] = _flat(fourier.ifftn(first, axes))
        for b in range(a, space.grid.n_axes) if order == 2 else ():
            table[a, b] = _flat(fourier.ifftn(factor[b] * first, axes))
    return table


def _flat(values: Array) -> Array:
    """All grid axes as one."""
    return values.reshape(*values.shape[:2], -1)


def _jet(table: Table, cut: slice) -> Jet:
    return Jet.tabulated({key: values[..., cut] for key, values in table.items()})
