r"""Exact particle current of a state on the sites: every hop carries its particle along a straight line.

With separation ``s = y - y'`` and midpoint X of the bond between two orbitals, and the velocity
``v = i [H, y]`` (along a kept axis ``-i s H``, along a missing one the derivative in the fibre's momentum),

.. math:: j_i(q) = \sum_\text{bonds} \mathrm{Re}(v_i)_{yy'}\,\rho_{y'y}\;
                   \frac{\sin(q\cdot s/2)}{q\cdot s/2}\; e^{-iq\cdot X}

obeys ``d_t n(q) + i q . j(q) = 0`` exactly.  Products of elements on one bond do not depend on the gauge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.weyl import SiteLattice

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

#: Elements of H below this part of the largest are no bonds.
_SMALLEST = 1e-13
#: Step of the canonical momentum for the velocity along a missing axis.
_STEP = 1e-3


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
        self._lattice = lattice
        self._n_fibres = len(labels)
        operators = np.array([operator_at(label) for label in labels])
        largest = np.abs(operators).max(axis=0)
        self._rows, self._columns = np.nonzero(largest > _SMALLEST * largest.max())
        self._separations, self._midpoints = self._bonds()
        elements = operators[:, self._rows, self._columns]
        velocities = [-1j * s * elements for s in self._separations]
        for axis in range(lattice.n_missing):
            velocities[lattice.n_kept + axis] = velocities[lattice.n_kept + axis] + self._momentum_derivative(
                axis, labels, operator_at
            )
        self._velocities = np.array(velocities)

    def __call__(self, state: ComplexArray, grid: PhaseSpaceGrid) -> FloatArray:
        """Current density of a state (*p, states, states) on the positions of a grid, shape (d, *x)."""
        fibres = state.reshape(-1, *state.shape[-2:])
        hops = fibres[:, self._columns, self._rows]
        carried = np.einsum("dpb,pb->db", self._velocities, hops).real / self._n_fibres
        return self._on_grid(carried, grid)

    def _bonds(self) -> tuple[FloatArray, FloatArray]:
        """Separations (d, bonds), the short way round, and midpoints (s, bonds)."""
        lattice = self._lattice
        tau, s = lattice.orbital_positions, lattice.n_kept
        row_cells, row_orbitals = self._cells(self._rows)
        column_cells, column_orbitals = self._cells(self._columns)
        separations = (tau[row_orbitals] - tau[column_orbitals]).T
        midpoints = np.empty((s, len(self._rows)))
        for i, n in enumerate(lattice.sites):
            hop = (row_cells[i] - column_cells[i] + n // 2) % n - n // 2
            separations[i] += hop
            midpoints[i] = column_cells[i] + tau[column_orbitals, i] + separations[i] / 2
        return separations, midpoints

    def _cells(self, states: NDArray) -> tuple[tuple[NDArray, ...], NDArray]:
        sites, n = self._lattice.sites, self._lattice.n_orbitals
        return (np.unravel_index(states // n, sites) if sites else ()), states % n

    def _momentum_derivative(
        self,
        axis: int,
        labels: Sequence[tuple[float, ...]],
        operator_at: Callable[[tuple[float, ...]], ComplexArray],
    ) -> ComplexArray:
        """Derivative of the bonds' elements in a canonical momentum (fourth-order difference)."""

        def elements(step: int) -> ComplexArray:
            shift = np.zeros(self._lattice.n_missing)
            shift[axis] = step * _STEP
            operators = (operator_at(tuple(np.add(label, shift))) for label in labels)
            return np.array([operator[self._rows, self._columns] for operator in operators])

        return (8 * (elements(1) - elements(-1)) - (elements(2) - elements(-2))) / (12 * _STEP)

    def _on_grid(self, carried: FloatArray, grid: PhaseSpaceGrid) -> FloatArray:
        sites, s = self._lattice.sites, self._lattice.n_kept
        current = np.zeros((len(carried), *grid.n_x))
        for numbers in product(*(range(-((n - 1) // 2), n // 2 + 1) for n in sites)):
            q = [2 * np.pi * m / n for m, n in zip(numbers, sites, strict=True)]
            angle = sum((q_i * x for q_i, x in zip(q, self._midpoints, strict=True)), start=0.0)
            spread = sum((q_i * sep for q_i, sep in zip(q, self._separations[:s], strict=True)), start=0.0)
            amplitude = carried @ (
                np.sinc(spread / (2 * np.pi)) * np.exp(-1j * angle) * np.ones(carried.shape[1])
            )
            wave = np.exp(
                1j * sum((q_i * x for q_i, x in zip(q, self._positions(grid), strict=True)), start=0.0)
            )
            current += np.multiply.outer(amplitude, wave).real
        return current / np.prod(sites, dtype=float)

    @staticmethod
    def _positions(grid: PhaseSpaceGrid) -> list[FloatArray]:
        return [x.reshape(x.shape[: grid.n_position_axes]) for x in grid.positions]
