"""Potential and uniform force at one time, and the products of their derivatives on the position grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from wigner_sim.products import Monomial
from wigner_sim.symbols import FloatArray, MultiIndex, SymbolSpace


@dataclass(frozen=True)
class ExternalField:
    """Potential U(x, t) and uniform force F(t) at one time, with their rates of change.

    Parameters
    ----------
    potential : array (*x), energy
    force : array (d,), energy per lattice constant
    potential_rate : array (*x), optional
    force_rate : array (d,), optional
    """

    potential: FloatArray
    force: FloatArray
    potential_rate: FloatArray | None = None
    force_rate: FloatArray | None = None

    def gradient(self, space: SymbolSpace) -> list[FloatArray]:
        """``d_l (U - F.x)`` for every l, shape (*x, 1..); only the force where a position axis is missing."""
        return [self.derivative(space, (axis,)) for axis in range(len(self.force))]

    def derivative(self, space: SymbolSpace, index: MultiIndex) -> FloatArray:
        """Derivative of ``U - F.x`` along letters: positions 0..d-1, time 2 d (first order in time only).

        Parameters
        ----------
        space : SymbolSpace
            Of the phase-space grid, whose position axes are the first s letters.
        index : MultiIndex

        Returns
        -------
        array (*x, 1..)
        """
        grid = space.grid
        d, s = grid.n_momentum_axes, grid.n_position_axes
        positions = [axis for axis in index if axis < d]
        n_rates = len(index) - len(positions)
        if n_rates > 1:
            raise ValueError("second time derivatives do not occur through second order")
        potential = self.potential_rate if n_rates else self.potential
        force = self.force_rate if n_rates else self.force
        ones = (1,) * grid.n_momentum_axes
        result = np.zeros((*(1,) * s, *ones))
        if potential is not None and all(axis < s for axis in positions):
            symbol = space.symbol(np.asarray(potential, dtype=float).reshape(*grid.n_x, *ones))
            result = result + symbol.derivative(*positions)
        if force is not None and len(positions) == 1:
            result = result - force[positions[0]]
        return result

    def monomials(self, space: SymbolSpace, wanted: Iterable[Monomial]) -> dict[Monomial, FloatArray]:
        """Several of them, each derivative made once."""
        wanted = set(wanted)
        factors = {index: self.derivative(space, index) for index in set().union(*wanted)}
        one = np.ones((1,) * space.grid.n_axes)
        return {each: reduce(np.multiply, [factors[index] for index in each], one) for each in wanted}

    def monomial(self, space: SymbolSpace, monomial: Monomial) -> FloatArray:
        """Product of derivatives, shape (*x, 1..)."""
        return self.monomials(space, [monomial])[monomial]
