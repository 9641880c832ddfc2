"""The three faces c, w, f of a band's state and the maps between them.

With ``G = eps g eps^T`` (the quantum metric g seen through the Poisson tensor) the metric smears by

    S u = (1/2) d_a d_s (G_as u),        S^T u = (1/2) G_as d_a d_s u,

and to second order ``w = D c + S^T c``, ``f = w + S w``: c is the occupation-like symbol, w the
density that is stepped, f = tr F the density users see.  They are to one another as the P, Wigner
and Husimi functions are, the metric playing the part of the coherent-state width.

Source: docs/theory.md section 4; f is the band density of Park et al., arXiv:2504.10447.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np

from wigner_sim import fourier
from wigner_sim.symbols import FloatArray, SymbolSpace

Face = Literal["f", "w", "c"]


def pieces(shape: tuple[int, ...], whole: Sequence[int], n_points: int = 1 << 17) -> list[tuple[slice, ...]]:
    """Cut an array along its first axis that need not stay ``whole``, into pieces of about ``n_points``."""
    axis = next((axis for axis in range(len(shape)) if axis not in whole), None)
    if axis is None:
        return [(slice(None),) * len(shape)]
    width = max(1, n_points * shape[axis] // max(1, prod(shape)))
    before, after = (slice(None),) * axis, (slice(None),) * (len(shape) - axis - 1)
    return [(*before, slice(first, first + width), *after) for first in range(0, shape[axis], width)]


class MetricSmearing:
    """The operators S and its transpose for one band.

    Parameters
    ----------
    space : SymbolSpace
    metric : array (a, a, *x, *k)
        Quantum metric on phase space; zero where it is not to act.
    """

    def __init__(self, space: SymbolSpace, metric: Any):
        self.space = space
        self._metric = metric

    def apply(self, u: Any) -> Any:
        """``S u = (1/2) d_a d_s (G_as u)``."""
        if self._is_diagonal_for(u):
            return self._by_modes(u)
        total = None
        for a, s, factor in self._components:
            term = factor * self.space.symbol(self._smearing_tensor(a, s) * u).derivative(a, s)
            total = term if total is None else total + term
        return 0.0 * u if total is None else total

    def apply_transpose(self, u: Any) -> Any:
        """``S^T u = (1/2) G_as d_a d_s u``."""
        if self._is_diagonal_for(u):
            return self._by_modes(u)
        symbol = self.space.symbol(u)
        total = None
        for a, s, factor in self._components:
            term = factor * self._smearing_tensor(a, s) * symbol.derivative(a, s)
            symbol.forget(a, s)
            total = term if total is None else total + term
        return 0.0 * u if total is None else total

    def _smearing_tensor(self, a: int, s: int) -> FloatArray:
        """``G_as = eps_ab g_bc eps_sc``, made when it is needed."""
        eps = self.space.grid.epsilon
        parts = [
            eps[a, b] * eps[s, c] * self._metric[b, c]
            for b, c in zip(*np.nonzero(np.outer(eps[a], eps[s])), strict=True)
        ]
        return np.asarray(sum(parts[1:], start=parts[0]))

    @cached_property
    def _components(self) -> list[tuple[int, int, float]]:
        """Non-zero (a, s, weight) with a <= s; a mixed pair counts twice."""
        n, eps = self.space.grid.n_axes, self.space.grid.epsilon
        return [
            (a, s, 0.5 if a == s else 1.0)
            for a in range(n)
            for s in range(a, n)
            if eps[a].any() and eps[s].any() and self._smearing_tensor(a, s).any()
        ]

    @cached_property
    def _differentiated(self) -> tuple[int, ...]:
        """Axes along which S takes derivatives."""
        return tuple(sorted({axis for a, s, _ in self._components for axis in (a, s)}))

    def _is_diagonal_for(self, u: Any) -> bool:
        """Whether S only multiplies the modes of u, a real array: G is constant where it differentiates."""
        axes, grid = self._differentiated, self.space.grid
        if not axes or not isinstance(u, np.ndarray) or u.shape != grid.shape or np.iscomplexobj(u):
            return False
        return all(self._metric.shape[2 + axis] == 1 for axis in axes)

    @cached_property
    def _mode_factor(self) -> FloatArray:
        """``-(1/2) G_as q_a q_s`` in the layout of a real transform over the axes differentiated."""
        last = self._differentiated[-1]
        q = {axis: self.space.axis_wavenumbers[axis] for axis in self._differentiated}
        q[last] = np.take(q[last], range(self.space.grid.shape[last] // 2 + 1), last)
        factors = (weight * self._smearing_tensor(a, s) * (q[a] * q[s]) for a, s, weight in self._components)
        return np.asarray(-sum(factors, start=np.zeros(())))

    def _by_modes(self, u: FloatArray) -> FloatArray:
        """``S u = S^T u``, in pieces that stay in the cache."""
        axes, shape = self._differentiated, self.space.grid.shape
        lengths = tuple(shape[axis] for axis in axes)
        result = np.empty(u.shape)
        for piece in pieces(u.shape, axes):
            kept = tuple(
                part if n > 1 else slice(None) for part, n in zip(piece, self._mode_factor.shape, strict=True)
            )
            modes = fourier.rfftn(np.asarray(u[piece], dtype=float), axes)
            modes *= self._mode_factor[kept]
            result[piece] = fourier.irfftn(modes, lengths, axes)
        return result

    @cached_property
    def of_one(self) -> FloatArray:
        """``S 1 = (1/2) d_a d_s G_as``, what the metric takes from the density of states."""
        return self.apply(np.ones((1,) * self.space.grid.n_axes))


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
        correction = self._smearing.apply_transpose(leading)
        if correction.shape != leading.shape:
            return leading - correction / self._density_of_states
        correction /= self._density_of_states  # on a large grid, new arrays cost more than arithmetic
        leading -= correction
        return leading

    def band_density_from_density(self, w: FloatArray) -> FloatArray:
        """``f = w + S w``."""
        smeared = self._smearing.apply(w)
        if smeared.shape != w.shape or smeared.dtype != w.dtype:
            return w + smeared
        smeared += w
        return smeared

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
