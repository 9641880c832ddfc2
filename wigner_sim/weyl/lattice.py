"""Sites, orbitals and bonds of a ring or torus, with the Peierls phase of a uniform magnetic field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wigner_sim.errors import CaseError
from wigner_sim.grid import AXIS_LETTERS, PhaseSpaceGrid

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SiteLattice:
    """Cells of a ring or torus along the kept position axes; make it with :func:`site_lattice`.

    Parameters
    ----------
    sites : tuple of int, length s
        Cells per kept direction.
    orbital_positions : array (n, d), lattice vectors
    cell_flux : array (d, d)
        Antisymmetric; flux of the magnetic field through the face of a cell.
    """

    sites: tuple[int, ...]
    orbital_positions: FloatArray
    cell_flux: FloatArray

    @property
    def n_orbitals(self) -> int:
        """Orbitals per cell."""
        return len(self.orbital_positions)

    @property
    def n_states(self) -> int:
        """Rows of an operator (of one fibre)."""
        return prod(self.sites) * self.n_orbitals

    @property
    def n_kept(self) -> int:
        """Number s of kept position axes."""
        return len(self.sites)

    @property
    def n_missing(self) -> int:
        """Number d - s of directions without a position axis."""
        return self.orbital_positions.shape[1] - len(self.sites)

    def momentum_shift(self, positions: Sequence[FloatArray]) -> list[FloatArray]:
        """``k - p = sum_i F_ij X_i`` along the missing axes, for broadcastable kept positions."""
        shape = np.broadcast_shapes(*(np.shape(x) for x in positions))
        return [
            sum((self.cell_flux[i, j] * x for i, x in enumerate(positions)), start=np.zeros(shape))
            for j in range(self.n_kept, self.n_kept + self.n_missing)
        ]

    def separations(self, axis: int, parity: int) -> IntArray:
        """All ``|s| < L/2`` of one parity."""
        largest = (self.sites[axis] - 1) // 2
        s = np.arange(-largest, largest + 1)
        return s[s % 2 == parity]

    def bond_ends(
        self, cells: Sequence[IntArray], parity: tuple[int, ...]
    ) -> tuple[list[IntArray], list[IntArray]]:
        """Cells R, R' (not wrapped) of the bonds with midpoint ``m + parity/2``.

        One array per kept axis, broadcastable to (*m, *s).
        """
        d = self.n_kept
        ends, starts = [], []
        for axis, (m, p) in enumerate(zip(cells, parity, strict=True)):
            middle = m.reshape([-1 if i == axis else 1 for i in range(2 * d)])
            s = self.separations(axis, p).reshape([-1 if i == d + axis else 1 for i in range(2 * d)])
            ends.append(middle + (p + s) // 2)
            starts.append(middle + (p - s) // 2)
        return ends, starts

    def flat(self, cells: Sequence[IntArray]) -> IntArray:
        """Number of the site that a cell is wrapped to."""
        index = np.zeros((1,) * (2 * self.n_kept), dtype=np.int64)
        for cell, n in zip(cells, self.sites, strict=True):
            index = index * n + cell % n
        return index

    def peierls_phase(
        self, ends: Sequence[IntArray], starts: Sequence[IntArray], o: int, p: int
    ) -> ComplexArray:
        r"""Magnetic factor of the wrapped element between (R, o) and (R', p), cells as in :meth:`bond_ends`.

        .. math:: \exp\Big(-i\sum_{i<j} F_{ij}\,[X_i (y - y')_j - L_i (a_i y_j - a'_i y'_j)]\Big)

        with the midpoint X, the positions y = R + tau_o and y' = R' + tau_p, and the windings a, a' of R and
        R'.  The first term is the integral of A along the straight line from y' to y, the second one the
        twisted boundary condition.  Along a missing axis y is tau alone: the rest is in the fibre's momentum.
        """
        tau, angle = self.orbital_positions, np.zeros((1,) * (2 * self.n_kept))
        for i, (end, start, n) in enumerate(zip(ends, starts, self.sites, strict=True)):
            midpoint = (end + start + tau[o, i] + tau[p, i]) / 2
            for j in range(i + 1, tau.shape[1]):
                if self.cell_flux[i, j] == 0:
                    continue
                y, y_start = (
                    tau[orbital, j] + (cells[j] if j < self.n_kept else 0)
                    for orbital, cells in ((o, ends), (p, starts))
                )
                twist = n * (end // n * y - start // n * y_start)
                angle = angle + self.cell_flux[i, j] * (midpoint * (y - y_start) - twist)
        return np.exp(-1j * angle)


def site_lattice(
    n_sites: int | Sequence[int],
    orbital_positions: ArrayLike,
    cell_flux: ArrayLike | None = None,
    n_missing: int = 0,
) -> SiteLattice:
    """Checked :class:`SiteLattice`.

    Raises
    ------
    CaseError
        If the numbers of directions do not fit together, the flux is not a whole number of quanta, or a
        magnetic field lies in a plane without a position axis.
    """
    tau = np.asarray(orbital_positions, dtype=float)
    sites = site_numbers(n_sites, tau, n_missing)
    d = tau.shape[1]
    flux = np.zeros((d, d)) if cell_flux is None else np.asarray(cell_flux, dtype=float)
    if flux.shape != (d, d) or not np.array_equal(flux, -flux.T):
        raise CaseError(f"the flux per cell must be an antisymmetric {d} x {d} matrix, got {flux.tolist()}")
    for i in range(d):
        for j in range(i + 1, d):
            _check_flux(flux[i, j], i, j, sites)
    return SiteLattice(sites, tau, flux)


def _check_flux(flux: float, i: int, j: int, sites: tuple[int, ...]) -> None:
    """Whole number of flux quanta through L_i x L_j, or through L_i x 1 if axis j is missing."""
    if flux == 0:
        return
    plane = AXIS_LETTERS[i] + AXIS_LETTERS[j]
    if i >= len(sites):
        raise CaseError(
            f"a magnetic field through the {plane} plane needs a position axis in that plane: "
            f"the grid has {len(sites)}"
        )
    cells = sites[i] * (sites[j] if j < len(sites) else 1)
    quanta = flux * cells / (2 * np.pi)
    if abs(quanta - round(quanta)) > 1e-9 * max(1.0, abs(quanta)):
        allowed = 2 * np.pi * (round(quanta) or np.sign(quanta)) / cells
        where = " x ".join(str(sites[axis]) for axis in (i, j) if axis < len(sites))
        raise CaseError(
            f"the flux {flux:.12g} per {plane} cell does not close on {where} sites: it must be a multiple "
            f"of 2 pi/{cells}, the nearest is {allowed:.12g}"
        )


def site_numbers(
    n_sites: int | Sequence[int], orbital_positions: FloatArray, n_missing: int = 0
) -> tuple[int, ...]:
    """Sites per direction as a tuple that fits the columns of ``orbital_positions``, or a CaseError."""
    sites = (n_sites,) if isinstance(n_sites, int | np.integer) else tuple(n_sites)
    if any(n != int(n) or n < 3 for n in sites):
        raise CaseError(f"a ring needs a whole number of at least 3 sites per direction, got {sites}")
    d = len(sites) + n_missing
    if orbital_positions.ndim != 2 or orbital_positions.shape[1] != d:
        raise CaseError(
            f"orbital positions of shape {orbital_positions.shape} do not fit a lattice with {d} "
            f"directions: expected (n_orbitals, {d})"
        )
    return tuple(int(n) for n in sites)


def grid_lattice(grid: PhaseSpaceGrid, orbital_positions: ArrayLike) -> SiteLattice:
    """Sites and magnetic field under a grid, whose lengths must be whole numbers of sites."""
    if any(length != round(length) for length in grid.lengths):
        raise CaseError(
            f"a lattice operator needs lengths that are whole numbers of sites, got {grid.lengths}"
        )
    sites = tuple(round(length) for length in grid.lengths)
    return site_lattice(sites, orbital_positions, grid.cell_flux, grid.n_momentum_axes - grid.n_position_axes)


def grid_sites(grid: PhaseSpaceGrid) -> tuple[int, ...]:
    """Sites per direction of a grid that has all position axes and no magnetic field, or a CaseError."""
    if grid.n_position_axes != grid.n_momentum_axes:
        raise CaseError(
            f"a single lattice operator needs a position axis for each of the {grid.n_momentum_axes} "
            f"momentum axes, the grid has {grid.n_position_axes}: use an exact system"
        )
    if grid.cell_flux is not None and np.any(grid.cell_flux):
        raise CaseError("this lattice operator has no magnetic field: use an exact system")
    return grid_lattice(grid, np.zeros((1, grid.n_momentum_axes))).sites


def canonical_momenta(n_points: int) -> FloatArray:
    """Labels ``2 pi i/n`` of the fibres along one missing axis."""
    return 2 * np.pi * np.arange(n_points) / n_points
