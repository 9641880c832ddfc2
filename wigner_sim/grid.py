"""The phase-space grid: position axes (some may be absent), momentum axes, Poisson tensor and measure.

Everything inside the package lives in *reduced* coordinates: position ``x_i`` along lattice vector
``a_i`` in units of that vector, and its partner ``k_i = k . a_i`` in radians, so that
``[x_i, k_j] = i delta_ij`` on every lattice.  For a square lattice with unit spacing these are the
Cartesian ones.

Axis alphabet used in all shape comments of the package: ``*x`` position axes, ``*k`` momentum axes,
``n`` orbitals, ``b`` bands, ``a`` phase-space index (positions first, then momenta), ``...`` any batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim.errors import CaseError

#: Real values; numpy's precise element types are not tracked.
FloatArray = NDArray[Any]

AXIS_LETTERS = ("x", "y", "z")


@dataclass(frozen=True, eq=False)
class PhaseSpaceGrid:
    """A periodic grid over ``s`` position and ``d >= s`` momentum axes.

    Parameters
    ----------
    n_x : tuple of int, length s
        Points along each kept position axis.
    n_k : tuple of int, length d
        Points along each momentum axis.
    lengths : tuple of float, length s
        Period of each position axis, in lattice constants (that is, the number of sites).
    cell_flux : array (d, d), optional
        Antisymmetric; ``cell_flux[i, j] = B . (a_i x a_j)``, magnetic flux through the cell face
        (hbar = e = 1).  Zero if left out.

    Raises
    ------
    CaseError
        If the numbers of axes do not fit together, or an axis has fewer than 4 points.

    Notes
    -----
    A missing position axis (s < d) means translation invariance along it: ``f(x; kx, ky)``.
    """

    n_x: tuple[int, ...]
    n_k: tuple[int, ...]
    lengths: tuple[float, ...]
    cell_flux: FloatArray | None = field(default=None)

    def __post_init__(self) -> None:
        if not 1 <= len(self.n_k) <= 3:
            raise CaseError(f"a crystal has 1 to 3 momentum axes, got {len(self.n_k)}")
        if len(self.n_x) > len(self.n_k):
            raise CaseError(
                f"{len(self.n_x)} position axes for {len(self.n_k)} momentum axes: at most as many"
            )
        if len(self.lengths) != len(self.n_x):
            raise CaseError(f"{len(self.n_x)} position axes but {len(self.lengths)} lengths")
        if min(self.shape) < 4:
            raise CaseError(f"every axis needs at least 4 points, got {self.shape}")
        if any(length <= 0 for length in self.lengths):
            raise CaseError(f"lengths must be positive, got {self.lengths}")

    @property
    def n_position_axes(self) -> int:
        """Number ``s`` of kept position axes."""
        return len(self.n_x)

    @property
    def n_momentum_axes(self) -> int:
        """Number ``d`` of momentum axes."""
        return len(self.n_k)

    @property
    def n_axes(self) -> int:
        """Number ``s + d`` of phase-space axes."""
        return self.n_position_axes + self.n_momentum_axes

    @property
    def shape(self) -> tuple[int, ...]:
        """Grid shape ``(*x, *k)``."""
        return (*self.n_x, *self.n_k)

    @property
    def periods(self) -> tuple[float, ...]:
        """Period of every phase-space axis: lengths, then 2 pi."""
        return (*self.lengths, *(2 * np.pi for _ in self.n_k))

    @property
    def position_names(self) -> tuple[str, ...]:
        """Names of the kept position axes, ``("x", "y", ...)``."""
        return AXIS_LETTERS[: self.n_position_axes]

    @property
    def momentum_names(self) -> tuple[str, ...]:
        """Names of the momentum axes, ``("kx", "ky", ...)``."""
        return tuple(f"k{letter}" for letter in AXIS_LETTERS[: self.n_momentum_axes])

    @property
    def dims(self) -> tuple[str, ...]:
        """Dimension names of an array on the grid."""
        return (*self.position_names, *self.momentum_names)

    @property
    def position_axes(self) -> tuple[int, ...]:
        """Array axes of the positions, counted from the end so that leading batch axes are allowed."""
        return tuple(range(-self.n_axes, -self.n_momentum_axes))

    @property
    def momentum_axes(self) -> tuple[int, ...]:
        """Array axes of the momenta, counted from the end."""
        return tuple(range(-self.n_momentum_axes, 0))

    @cached_property
    def axis_points(self) -> tuple[FloatArray, ...]:
        """Coordinates along each axis: positions from 0, momenta from -pi."""
        positions = tuple(
            np.arange(n) * (length / n) for n, length in zip(self.n_x, self.lengths, strict=True)
        )
        momenta = tuple(-np.pi + 2 * np.pi * np.arange(n) / n for n in self.n_k)
        return positions + momenta

    @cached_property
    def coordinates(self) -> tuple[FloatArray, ...]:
        """The axis coordinates shaped for broadcasting against an array on the grid."""
        return tuple(
            points.reshape([-1 if axis == other else 1 for other in range(self.n_axes)])
            for axis, points in enumerate(self.axis_points)
        )

    @property
    def positions(self) -> tuple[FloatArray, ...]:
        """Broadcastable position coordinates, one per kept axis."""
        return self.coordinates[: self.n_position_axes]

    @property
    def momenta(self) -> tuple[FloatArray, ...]:
        """Broadcastable momentum coordinates, one per axis."""
        return self.coordinates[self.n_position_axes :]

    def mesh(self) -> tuple[FloatArray, FloatArray]:
        """Full coordinate arrays, positions (s, *x, *k) and momenta (d, *x, *k)."""
        positions = np.empty((self.n_position_axes, *self.shape))
        momenta = np.empty((self.n_momentum_axes, *self.shape))
        for i, values in enumerate(self.positions):
            positions[i] = values
        for i, values in enumerate(self.momenta):
            momenta[i] = values
        return positions, momenta

    @cached_property
    def epsilon(self) -> FloatArray:
        """Poisson tensor ``[z_a, z_b] = i eps_ab`` (shape (a, a), antisymmetric).

        ``eps_{x_i k_j} = delta_ij``, ``eps_{k_i k_j} = -B . (a_i x a_j)``.
        """
        s, n_axes = self.n_position_axes, self.n_axes
        eps = np.zeros((n_axes, n_axes))
        for i in range(s):
            eps[i, s + i], eps[s + i, i] = 1.0, -1.0
        if self.cell_flux is not None:
            eps[s:, s:] = -np.asarray(self.cell_flux)
        return eps

    @property
    def cell_measure(self) -> float:
        """Weight of one grid point in ``int dx dk / (2 pi)^d``."""
        return float(np.prod(self.lengths) / np.prod(self.shape))

    def integrate(self, values: FloatArray) -> FloatArray:
        """Integrate over phase space with the measure ``dx dk/(2 pi)^d`` (leading batch axes are kept)."""
        return values.sum(axis=tuple(range(-self.n_axes, 0))) * self.cell_measure

    def integrate_momenta(self, values: FloatArray) -> FloatArray:
        """Integrate over momenta with ``dk/(2 pi)^d``: density per cell from a phase-space density."""
        return values.mean(axis=self.momentum_axes)

    def integrate_positions(self, values: FloatArray) -> FloatArray:
        """Integrate over the kept position axes."""
        if not self.n_x:
            return values
        return values.mean(axis=self.position_axes) * float(np.prod(self.lengths))

    def dilated(self, dilation: float) -> PhaseSpaceGrid:
        """Same points over lengths stretched by ``dilation``; the flux per cell falls as 1/dilation."""
        flux = None if self.cell_flux is None else np.asarray(self.cell_flux) / dilation
        return PhaseSpaceGrid(self.n_x, self.n_k, tuple(dilation * length for length in self.lengths), flux)
