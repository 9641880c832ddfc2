"""Sparse operators of short-ranged symbols: all fibres and bonds from one small sample per time.

A symbol with harmonics up to ``reach`` in the momenta is known from ``2 reach + 1`` momenta, however long the
ring is.  Where its elements go is worked out once; an operator at another time is one evaluation of the
symbol and a small Fourier sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from wigner_sim.weyl.lattice import SiteLattice
from wigner_sim.weyl.sampling import cell_convention
from wigner_sim.weyl.transform import pairs_by_midpoint

FloatArray = NDArray[Any]
ComplexArray = NDArray[np.complex128]
IntArray = NDArray[np.int64]

#: (x, k, t) -> (..., n, n); the position convention, reduced coordinates.
MatrixFunction = Callable[[FloatArray, FloatArray, float], NDArray]

#: Harmonics below this part of the largest one are rounding.
_ROUNDING = 1e-14
#: Points at which a sampled operator is checked against its symbol.
_CHECKS = 200
#: Symbol values held at once, and largest number of bonds of all fibres.
_MOST_POINTS = 1 << 21
_MOST_BONDS = 1 << 23


@dataclass(frozen=True, eq=False)
class BondSampler:
    """Operators of a matrix symbol ``S(x, k, t)``, all fibres as blocks of one sparse matrix.

    Parameters
    ----------
    symbol : callable (x, k, t) -> array (..., n, n)
    lattice : SiteLattice
    labels : array (P, d - s)
        Canonical momenta of the fibres.
    reach : tuple of int, length s
        Largest separation of two cells that the symbol joins.
    """

    symbol: MatrixFunction
    lattice: SiteLattice
    labels: FloatArray
    reach: tuple[int, ...]

    def operator(self, t: float) -> scipy.sparse.csr_array:
        """Operator at time t, block diagonal in the fibres, shape (P * states, P * states)."""
        order, columns, starts = self._structure
        data = np.concatenate([group.elements(t) for group in self._groups])[order]
        size = len(self.labels) * self.lattice.n_states
        return scipy.sparse.csr_array((data, columns, starts), shape=(size, size))

    def represents(self, t: float) -> bool:
        """Whether harmonics up to the reach give the symbol back at random points of phase space."""
        rng = np.random.default_rng(2)
        lattice, s = self.lattice, self.lattice.n_kept
        x = np.stack([rng.uniform(0, n, _CHECKS) for n in lattice.sites]) if s else np.empty((0, _CHECKS))
        k = rng.uniform(-np.pi, np.pi, (s + lattice.n_missing, _CHECKS))
        wanted = np.asarray(self.symbol(x, k, t)) * cell_convention(list(k), lattice.orbital_positions)
        counts = [2 * reach + 1 for reach in self.reach]
        mesh = np.meshgrid(*(2 * np.pi * np.arange(n) / n for n in counts), indexing="ij")
        nodes = np.stack([m.ravel() for m in mesh]) if s else np.empty((0, 1))
        at_nodes = np.concatenate(
            [
                np.broadcast_to(nodes[:, None], (s, _CHECKS, nodes.shape[1])),
                np.broadcast_to(k[s:, :, None], (lattice.n_missing, _CHECKS, nodes.shape[1])),
            ]
        )
        many_x = np.broadcast_to(x[..., None], (s, _CHECKS, nodes.shape[1]))
        values = np.asarray(self.symbol(many_x, at_nodes, t))
        values = values * cell_convention(list(at_nodes), lattice.orbital_positions)
        weights = np.ones((_CHECKS, nodes.shape[1]))
        for axis, n in enumerate(counts):
            u = k[axis][:, None] - nodes[axis]
            u -= 2 * np.pi * np.round(u / (2 * np.pi))
            weights = weights * np.sinc(n * u / (2 * np.pi)) / np.sinc(u / (2 * np.pi))
        found = np.einsum("cq,cqij->cij", weights, values)
        return bool(np.abs(found - wanted).max() <= 1e-13 * max(1.0, np.abs(wanted).max()))

    @cached_property
    def _groups(self) -> list[_BondGroup]:
        """Bonds with the same kind of midpoint, in pieces that stay small in memory."""
        groups = []
        sites = self.lattice.sites
        points = len(self.labels) * prod(2 * r + 1 for r in self.reach) * prod(sites[1:])
        rows = max(1, _MOST_POINTS // points)
        for offset, pairs in pairs_by_midpoint(self.lattice.orbital_positions, diagonal=False).items():
            for parity in product((0, 1), repeat=len(sites)):
                for first in range(0, sites[0] if sites else 1, rows):
                    cells = [np.arange(n) for n in sites]
                    if sites:
                        cells[0] = cells[0][first : first + rows]
                    groups.append(_BondGroup(self, offset, pairs, parity, cells))
        return groups

    @cached_property
    def _structure(self) -> tuple[IntArray, IntArray, IntArray]:
        """Order of the elements in compressed rows, their columns, and where rows start."""
        rows, columns = (np.concatenate(part) for part in zip(*(g.places for g in self._groups), strict=True))
        order = np.lexsort((columns, rows))
        size = len(self.labels) * self.lattice.n_states
        return order, columns[order], np.searchsorted(rows[order], np.arange(size + 1))


class _BondGroup:
    """Bonds between some pairs of orbitals whose midpoints have one offset and one parity."""

    def __init__(
        self,
        sampler: BondSampler,
        offset: tuple[float, ...],
        pairs: list[tuple[int, int]],
        parity: tuple[int, ...],
        cells: list[IntArray],
    ):
        self.sampler, self.pairs = sampler, pairs
        lattice, s = sampler.lattice, sampler.lattice.n_kept
        separations = [
            (found := lattice.separations(axis, q))[np.abs(found) <= reach]
            for axis, (q, reach) in enumerate(zip(parity, sampler.reach, strict=True))
        ]
        ends, starts = _bond_ends(cells, parity, separations)
        shape = (len(sampler.labels), *(len(m) for m in cells), *(len(r) for r in separations))
        fibre = np.arange(shape[0]).reshape(-1, *(1,) * (2 * s)) * lattice.n_states
        to, of = (fibre + lattice.flat(c) * lattice.n_orbitals for c in (ends, starts))
        self.places = tuple(
            np.concatenate([np.broadcast_to(at + pair[i], shape).ravel() for pair in pairs])
            for i, at in enumerate((to, of))
        )
        self.phases = [lattice.peierls_phase(ends, starts, o, p) for o, p in pairs]
        counts = [2 * reach + 1 for reach in sampler.reach]
        self.momenta = [2 * np.pi * np.arange(n) / n for n in counts]
        self.harmonics = [
            np.exp(1j * np.outer(r, k)) / len(k) for r, k in zip(separations, self.momenta, strict=True)
        ]
        self.x, self.k = self._mesh([m + q / 2 + o for m, q, o in zip(cells, parity, offset, strict=False)])
        self.convention = cell_convention(list(self.k), lattice.orbital_positions)

    def _mesh(self, midpoints: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Coordinates (P, *m, *k) of the sample: kept positions and all momenta, ``p + F X`` if missing."""
        labels, lattice, s = self.sampler.labels, self.sampler.lattice, self.sampler.lattice.n_kept
        axes = [np.arange(len(labels)), *midpoints, *self.momenta]
        mesh = [
            np.asarray(points, dtype=float).reshape([-1 if i == axis else 1 for i in range(2 * s + 1)])
            for axis, points in enumerate(axes)
        ]
        shape = tuple(len(points) for points in axes)
        x = np.stack([np.broadcast_to(c, shape) for c in mesh[1 : s + 1]]) if s else np.empty((0, *shape))
        shifts = lattice.momentum_shift(mesh[1 : s + 1])
        missing = [
            labels[:, j].reshape(-1, *(1,) * (2 * s)) + np.broadcast_to(shift, shape)
            for j, shift in enumerate(shifts)
        ]
        kept = [np.broadcast_to(c, shape) for c in mesh[s + 1 :]]
        return x, np.stack([*kept, *missing])

    def elements(self, t: float) -> ComplexArray:
        """Matrix elements at time t, in the order of ``places``."""
        s = self.sampler.lattice.n_kept
        values = np.asarray(self.sampler.symbol(self.x, self.k, t)) * self.convention
        parts = []
        for (o, p), phase in zip(self.pairs, self.phases, strict=True):
            element = np.ascontiguousarray(np.broadcast_to(values[..., o, p], self.k.shape[1:]))
            for axis, matrix in enumerate(self.harmonics):
                element = np.moveaxis(np.tensordot(matrix, element, axes=(1, 1 + s + axis)), 0, 1 + s + axis)
            parts.append((element * phase).ravel())
        return np.concatenate(parts)


def _bond_ends(
    cells: Sequence[IntArray], parity: tuple[int, ...], separations: Sequence[IntArray]
) -> tuple[list[IntArray], list[IntArray]]:
    """As :meth:`SiteLattice.bond_ends`, for some of the separations."""
    d = len(cells)
    ends, starts = [], []
    for axis, (m, q, r) in enumerate(zip(cells, parity, separations, strict=True)):
        middle = m.reshape([-1 if i == axis else 1 for i in range(2 * d)])
        apart = r.reshape([-1 if i == d + axis else 1 for i in range(2 * d)])
        ends.append(middle + (q + apart) // 2)
        starts.append(middle + (q - apart) // 2)
    return ends, starts


def bond_sampler(
    symbol: MatrixFunction,
    lattice: SiteLattice,
    labels: Sequence[tuple[float, ...]],
    times: Sequence[float] = (0.0,),
) -> BondSampler | None:
    """Sampler of a short-ranged symbol; None if it joins cells over a quarter of the ring, or too many.

    The reach is read off a few positions and checked at random points of phase space, at each of ``times``.
    """
    rng = np.random.default_rng(1)
    fibres = np.array(labels, dtype=float).reshape(len(labels), lattice.n_missing)
    reach = np.zeros(lattice.n_kept, dtype=int)
    for t in times:
        reach = np.maximum(reach, _reach(symbol, lattice, fibres, rng, t))
    n_bonds = len(fibres) * prod(int(n * (4 * r + 2)) for r, n in zip(reach, lattice.sites, strict=True))
    if any(4 * r + 2 > n for r, n in zip(reach, lattice.sites, strict=True)) or n_bonds > _MOST_BONDS:
        return None
    found = BondSampler(symbol, lattice, fibres, tuple(int(r) for r in reach))
    return found if all(map(found.represents, times)) else None


def _reach(
    symbol: MatrixFunction, lattice: SiteLattice, labels: FloatArray, rng: np.random.Generator, t: float
) -> list[int]:
    """Largest separation along each kept axis with a harmonic above rounding, at a few random positions."""
    s, n_points, n_k = lattice.n_kept, 24, 64
    reach = []
    for axis in range(s):
        x = np.stack([rng.uniform(0, n, (n_points, 1)) * np.ones(n_k) for n in lattice.sites])
        k = rng.uniform(-np.pi, np.pi, (s + lattice.n_missing, n_points, 1)) * np.ones(n_k)
        k[axis] = 2 * np.pi * np.arange(n_k) / n_k
        values = np.asarray(symbol(x, k, t)) * cell_convention(list(k), lattice.orbital_positions)
        harmonics = np.abs(np.fft.fft(values, axis=1)).max(axis=(0, 2, 3))
        present = np.flatnonzero(harmonics > _ROUNDING * harmonics.max())
        reach.append(int(np.minimum(present, n_k - present).max()))
    return reach
