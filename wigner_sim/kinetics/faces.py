"""The three faces c, w, f of a band's state and the maps between them.

With ``G = eps g eps^T`` (the quantum metric g seen through the Poisson tensor) the metric smears by

    S u = (1/2) d_a d_s (G_as u),        S^T u = (1/2) G_as d_a d_s u,

and to second order ``w = D c + S^T c``, ``f = w + S w``: c is the occupation-like symbol, w the
density that is stepped, f = tr F the density users see.  They are to one another as the P, Wigner
and Husimi functions are, the metric playing the part of the coherent-state width.

Source: docs/theory.md section 4; f is the band density of Park et al., arXiv:2504.10447.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from wigner_sim.symbols import FloatArray, SymbolSpace

FACES = ("f", "w", "c")


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
        """``S 1``, the second-order metric part of the density of states (with a minus sign)."""
        return self.apply(np.ones(self.space.grid.shape))

    def _sum(self, term) -> FloatArray:  # type: ignore[no-untyped-def]
        n = self.space.grid.n_axes
        total = np.zeros(self.space.grid.shape)
        for a in range(n):
            total += 0.5 * term(a, a)
            for s in range(a + 1, n):
                total += term(a, s)
        return total
