"""Phase-space velocity fields: stored on the grid, or as short sums of products made when needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.symbols import FloatArray


class Velocity(Protocol):
    """A vector field on phase space."""

    def component(self, axis: int) -> FloatArray | None:
        """Values along one axis, shape (*x, *k) or broadcastable to it; None where it vanishes."""
        ...

    def largest_speed(self, axis: int) -> float:
        """Largest absolute value along one axis."""
        ...


@dataclass(frozen=True)
class DenseVelocity:
    """Stored values, shape (a, *x, *k)."""

    values: FloatArray

    def component(self, axis: int) -> FloatArray | None:
        """One component."""
        return self.values[axis]

    def largest_speed(self, axis: int) -> float:
        """Largest absolute value of a component."""
        return float(np.abs(self.values[axis]).max())


class ProductVelocity:
    """Sum over terms of (function of x) times (function of k), never stored over phase space.

    Parameters
    ----------
    grid : PhaseSpaceGrid
    factors : sequence over axes of (array (terms, *x), array (terms, *k))
    """

    def __init__(self, grid: PhaseSpaceGrid, factors: Sequence[tuple[FloatArray, FloatArray]]):
        self._grid = grid
        n_x, n_k = prod(grid.n_x), prod(grid.n_k)  # not -1: a component may have no terms
        self._factors = [
            (np.ascontiguousarray(x.reshape(len(x), n_x).T), np.ascontiguousarray(k.reshape(len(k), n_k)))
            for x, k in factors
        ]

    @property
    def n_terms(self) -> list[int]:
        """Number of products in each component."""
        return [len(k) for _, k in self._factors]

    def factors(self, axis: int) -> tuple[FloatArray, FloatArray]:
        """Functions of x (points, terms) and of k (terms, points) of one component."""
        return self._factors[axis]

    def component(self, axis: int) -> FloatArray | None:
        """One component, made by one matrix product."""
        x, k = self._factors[axis]
        return (x @ k).reshape(self._grid.shape) if len(k) else None

    def rows(self, axis: int, rows: slice) -> FloatArray | None:
        """One component at some of the flattened positions, shape (rows, points in k)."""
        x, k = self._factors[axis]
        return x[rows] @ k if len(k) else None

    def largest_speed(self, axis: int) -> float:
        """Largest absolute value of a component, found slab by slab."""
        x, k = self._factors[axis]
        slabs = (x[first : first + 64] @ k for first in range(0, len(x), 64))
        return max(float(np.abs(slab).max()) for slab in slabs) if len(k) else 0.0


def no_velocity(grid: PhaseSpaceGrid) -> ProductVelocity:
    """Zero."""
    nothing = np.zeros((0, *grid.n_x)), np.zeros((0, *grid.n_k))
    return ProductVelocity(grid, [nothing] * grid.n_axes)


def stacked(velocity: Velocity, grid: PhaseSpaceGrid) -> FloatArray:
    """All components as one array (a, *x, *k)."""
    result = np.zeros((grid.n_axes, *grid.shape))
    for axis in range(grid.n_axes):
        component = velocity.component(axis)
        if component is not None:
            result[axis] = component
    return result
