r"""Exact particle current of a state on the sites: every hop carries its particle along a straight line.

With separation ``s = y - y'`` and midpoint X of the bond between two orbitals, and the velocity
``v = i [H, y]`` (along a kept axis ``-i s H``, along a missing one the derivative in the fibre's momentum),

.. math:: j_i(q) = \sum_\text{bonds} \mathrm{Re}(v_i)_{yy'}\,\rho_{y'y}\;
                   \frac{\sin(q\cdot s/2)}{q\cdot s/2}\; e^{-iq\cdot X}

obeys ``d_t n(q) + i q . j(q) = 0`` exactly.  Products of elements on one bond do not depend on the gauge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.liouville.operators import Matrix
from wigner_sim.weyl import SiteLattice

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

#: Elements of H below this part of the largest are no bonds.
_SMALLEST = 1e-13
#: Step of the canonical momentum for the velocity along a missing axis.
_STEP = 1e-3
#: Digits to which separations and midpoints of bonds are told apart.
_DIGITS = 9
#: Wave functions looked at together.
_COLUMNS = 16


class Bonds:
    """Pairs of orbitals between which a Hamiltonian hops, with their geometry.

    Parameters
    ----------
    lattice : SiteLattice
    rows, columns : array (bonds,), int
        States of an operator that the bonds lead to and from.
    """

    def __init__(self, lattice: SiteLattice, rows: NDArray, columns: NDArray):
        self.lattice, self.rows, self.columns = lattice, rows, columns
        tau, s = lattice.orbital_positions, lattice.n_kept
        row_cells, row_orbitals = self._cells(rows)
        column_cells, column_orbitals = self._cells(columns)
        #: The short way round, (d, bonds).
        self.separations = (tau[row_orbitals] - tau[column_orbitals]).T
        midpoints = np.empty((s, len(rows)))
        for i, n in enumerate(lattice.sites):
            hop = (row_cells[i] - column_cells[i] + n // 2) % n - n // 2
            self.separations[i] += hop
            midpoints[i] = column_cells[i] + tau[column_orbitals, i] + self.separations[i] / 2
        midpoints = np.round(midpoints, _DIGITS)
        self._first_cells = np.floor(midpoints).astype(int)
        self._offsets = midpoints - self._first_cells

    def _cells(self, states: NDArray) -> tuple[tuple[NDArray, ...], NDArray]:
        sites, n = self.lattice.sites, self.lattice.n_orbitals
        return (np.unravel_index(states // n, sites) if sites else ()), states % n

    def current_density(self, carried: FloatArray, grid: PhaseSpaceGrid) -> FloatArray:
        """Current density (d, *x) of what each bond carries, (d, bonds)."""
        sites = self.lattice.sites
        if not sites:
            return carried.sum(axis=1)
        waves = np.zeros((len(carried), *sites), dtype=complex)
        for bonds, separation, offset in self._alike():
            by_cell = np.zeros((len(carried), *sites))
            cells = tuple(c[bonds] % n for c, n in zip(self._first_cells, sites, strict=True))
            for i, values in enumerate(carried[:, bonds]):
                np.add.at(by_cell[i], cells, values)
            q = self._wavenumbers()
            spread = sum((q_i * s for q_i, s in zip(q, separation, strict=False)), start=np.zeros(sites))
            shift = sum((q_i * o for q_i, o in zip(q, offset, strict=True)), start=np.zeros(sites))
            turned = np.sinc(spread / (2 * np.pi)) * np.exp(-1j * shift)
            waves += turned * np.fft.fftn(by_cell, axes=range(1, 1 + len(sites)))
        return self._on_grid(waves, grid)

    def _alike(self) -> Iterator[tuple[NDArray, FloatArray, FloatArray]]:
        """Bonds that differ by lattice vectors only: their numbers, separation and midpoint in the cell."""
        s = self.lattice.n_kept
        kinds = np.round(np.concatenate([self.separations[:s], self._offsets]), _DIGITS).T
        unique, kind = np.unique(kinds, axis=0, return_inverse=True)
        order = np.argsort(kind.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(kind.ravel(), minlength=len(unique)))[:-1]
        for bonds, values in zip(np.split(order, ends), unique, strict=True):
            yield bonds, values[:s], values[s:]

    def _wavenumbers(self) -> list[FloatArray]:
        """``2 pi m/n`` along each kept axis, broadcastable, the Nyquist wave with m = n/2."""
        sites, axes = self.lattice.sites, []
        for i, n in enumerate(sites):
            m = np.arange(n)
            m[m > n // 2] -= n
            axes.append((2 * np.pi * m / n).reshape([-1 if j == i else 1 for j in range(len(sites))]))
        return axes

    def _on_grid(self, waves: FloatArray, grid: PhaseSpaceGrid) -> FloatArray:
        """Sum of plane waves at the positions of the grid."""
        values = waves
        for axis, (q, x) in enumerate(zip(self._wavenumbers(), grid.axis_points, strict=False)):
            phase = np.exp(1j * np.outer(x, q)) / q.size
            values = np.moveaxis(np.tensordot(phase, values, axes=(1, 1 + axis)), 0, 1 + axis)
        return values.real


def current_of_waves(
    bonds: Bonds, elements: ComplexArray, columns: ComplexArray, weights: FloatArray, grid: PhaseSpaceGrid
) -> FloatArray:
    """Current density (d, *x) of ``sum_j w_j |psi_j><psi_j|`` on a lattice with all position axes.

    Parameters
    ----------
    bonds : Bonds
    elements : array (bonds,)
        Of the Hamiltonian.
    columns : array (states, rank)
    weights : array (rank,)
    grid : PhaseSpaceGrid
    """
    hops = np.zeros(len(elements), dtype=complex)
    for start in range(0, len(weights), _COLUMNS):
        part = slice(start, start + _COLUMNS)
        psi = columns[:, part]
        hops += np.einsum("bj,bj,j->b", psi[bonds.columns], psi[bonds.rows].conj(), weights[part])
    return bonds.current_density((-1j * bonds.separations * elements * hops).real, grid)


def sparse_bonds(operator: Matrix, lattice: SiteLattice) -> tuple[Bonds, ComplexArray]:
    """Bonds of a sparse (or full) Hamiltonian and its elements on them."""
    entries = scipy.sparse.coo_array(operator)
    present = np.abs(entries.data) > _SMALLEST * np.abs(entries.data).max(initial=0.0)
    rows, columns = (index[present] for index in entries.coords)
    return Bonds(lattice, rows, columns), entries.data[present].astype(complex)


class BondCurrents:
    """Bonds of a Hamiltonian with their velocities, ready to measure the current of any state.

    Parameters
    ----------
    lattice : SiteLattice
    labels : sequence of tuple of float
        Canonical momenta of the fibres; one empty tuple if no axis is missing.
    operator_at : callable label -> array (states, states)
        Hamiltonian of one fibre.
    """

    def __init__(
        self,
        lattice: SiteLattice,
        labels: Sequence[tuple[float, ...]],
        operator_at: Callable[[tuple[float, ...]], ComplexArray],
    ):
        self._n_fibres, self._n_missing = len(labels), lattice.n_missing
        operators = np.array([operator_at(label) for label in labels])
        largest = np.abs(operators).max(axis=0)
        self._bonds = Bonds(lattice, *np.nonzero(largest > _SMALLEST * largest.max()))
        elements = operators[:, self._bonds.rows, self._bonds.columns]
        velocities = [-1j * s * elements for s in self._bonds.separations]
        for axis in range(lattice.n_missing):
            derivative = self._momentum_derivative(axis, labels, operator_at)
            velocities[lattice.n_kept + axis] = velocities[lattice.n_kept + axis] + derivative
        self._velocities = np.array(velocities)

    def __call__(self, state: ComplexArray, grid: PhaseSpaceGrid) -> FloatArray:
        """Current density of a state (*p, states, states) on the positions of a grid, shape (d, *x)."""
        fibres = state.reshape(-1, *state.shape[-2:])
        hops = fibres[:, self._bonds.columns, self._bonds.rows]
        carried = np.einsum("dpb,pb->db", self._velocities, hops).real / self._n_fibres
        return self._bonds.current_density(carried, grid)

    def _momentum_derivative(
        self,
        axis: int,
        labels: Sequence[tuple[float, ...]],
        operator_at: Callable[[tuple[float, ...]], ComplexArray],
    ) -> ComplexArray:
        """Derivative of the bonds' elements in a canonical momentum (fourth-order difference)."""

        def elements(step: int) -> ComplexArray:
            shift = np.zeros(self._n_missing)
            shift[axis] = step * _STEP
            operators = (operator_at(tuple(np.add(label, shift))) for label in labels)
            return np.array([operator[self._bonds.rows, self._bonds.columns] for operator in operators])

        return (8 * (elements(1) - elements(-1)) - (elements(2) - elements(-2))) / (12 * _STEP)
