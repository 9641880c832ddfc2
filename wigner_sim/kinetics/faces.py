"""The three faces c, w, f of a band's state and the maps between them.

With ``G = eps g eps^T`` (the quantum metric g seen through the Poisson tensor) the metric smears by

    S u = (1/2) d_a d_s (G_as u),        S^T u = (1/2) G_as d_a d_s u,

and to second order ``w = D c + S^T c``, ``f = w + S w``: c is the occupation-like symbol, w the
density that is stepped, f = tr F the density users see.  They are to one another as the P, Wigner
and Husimi functions are, the metric playing the part of the coherent-state width.

Source: docs/theory.md section 4; f is the band density of Park et al., arXiv:2504.10447.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Literal

import numpy as np

from wigner_sim.symbols import FloatArray, SymbolSpace

Face = Literal["f", "w", "c"]


class MetricSmearing:
    """The operators S and its transpose for one band.

    Parameters
    ----------
    space : SymbolSpace
    metric : array (a, a, *x, *k)
        Quantum metric on phase space; zero where it is not to act.
    """

    def __init__(self, space: SymbolSpace, metric: FloatArray):
        eps = space.grid.epsilon
        self.space = space
        self.smearing_tensor = np.einsum("ab,bl...,sl->as...", eps, metric, eps)

    def apply(self, u: FloatArray) -> FloatArray:
        """``S u = (1/2) d_a d_s (G_as u)``."""
        return self._sum(lambda a, s: self.space.symbol(self.smearing_tensor[a, s] * u).derivative(a, s))

    def apply_transpose(self, u: FloatArray) -> FloatArray:
        """``S^T u = (1/2) G_as d_a d_s u``."""
        symbol = self.space.symbol(u)
        return self._sum(lambda a, s: self.smearing_tensor[a, s] * symbol.derivative(a, s))

    @cached_property
    def of_one(self) -> FloatArray:
        """``S 1 = (1/2) d_a d_s G_as``, what the metric takes from the density of states."""
        return self.apply(np.ones(self.space.grid.shape))

    def _sum(self, term: Callable[[int, int], FloatArray]) -> FloatArray:
        n = self.space.grid.n_axes
        total = np.zeros(self.space.grid.shape)
        for a in range(n):
            for s in range(a, n):
                if self.smearing_tensor[a, s].any():
                    total += (0.5 if s == a else 1.0) * term(a, s)
        return total


class Faces:
    """Maps between c, w and f of one band, each local to the order kept (S is never inverted).

    Parameters
    ----------
    density_of_states : array (*x, *k)
        D.
    smearing : MetricSmearing
    """

    def __init__(self, density_of_states: FloatArray, smearing: MetricSmearing):
        self._density_of_states = density_of_states
        self._smearing = smearing

    def density_from_occupation(self, c: FloatArray) -> FloatArray:
        """``w = D c + S^T c``."""
        return self._density_of_states * c + self._smearing.apply_transpose(c)

    def occupation_from_density(self, w: FloatArray) -> FloatArray:
        """``c = (w - S^T (w/D))/D``."""
        leading = w / self._density_of_states
        return leading - self._smearing.apply_transpose(leading) / self._density_of_states

    def band_density_from_density(self, w: FloatArray) -> FloatArray:
        """``f = w + S w``."""
        return w + self._smearing.apply(w)

    def density_from_band_density(self, f: FloatArray) -> FloatArray:
        """``w = f - S f + S S f``."""
        once = self._smearing.apply(f)
        return f - once + self._smearing.apply(once)

    def to(self, face: Face, w: FloatArray) -> FloatArray:
        """The face a user asked for, from w."""
        if face == "f":
            return self.band_density_from_density(w)
        return self.occupation_from_density(w) if face == "c" else w

    def from_face(self, face: Face, values: FloatArray) -> FloatArray:
        """The density w from any face."""
        if face == "f":
            return self.density_from_band_density(values)
        return self.density_from_occupation(values) if face == "c" else values
