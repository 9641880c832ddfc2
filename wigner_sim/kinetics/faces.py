"""The three faces c, w, f of a band's state and the maps between them.

With ``G = eps g eps^T`` (the quantum metric g seen through the Poisson tensor) the metric smears by

    S u = (1/2) d_a d_s (G_as u),        S^T u = (1/2) G_as d_a d_s u,

and to second order ``w = D c + S^T c``, ``f = w + S w``: c is the occupation-like symbol, w the
density that is stepped, f = tr F the density users see.  They are to one another as the P, Wigner
and Husimi functions are, the metric playing the part of the coherent-state width.

Source: docs/theory.md section 4; f is the band density of Park et al., arXiv:2504.10447.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from wigner_sim import fourier
from wigner_sim.kernels import numba_is_usable
from wigner_sim.kernels.passes import can_transform
from wigner_sim.kernels.sampled_spectra import sampled_spectra
from wigner_sim.kernels.survey_passes import LaneSurvey
from wigner_sim.kinetics.low_rank import few_products
from wigner_sim.kinetics.mode_smearing import LARGE, STRIDE, ModeSmearing
from wigner_sim.kinetics.pieces import pieces
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

    def __init__(self, space: SymbolSpace, metric: Any):
        self.space = space
        self._metric = metric

    def apply(self, u: Any) -> Any:
        """``S u = (1/2) d_a d_s (G_as u)``."""
        by_modes = self.by_modes(u)
        if by_modes is not None:
            return by_modes.apply(u)
        if self._by_real_transforms(u):
            return self._values(
                sum(w * self._modes(self._metric[b, c] * u) for b, c, w in self._mode_weights)
            )
        total = None
        for a, s, factor in self._components:
            term = factor * self.space.symbol(self._smearing_tensor(a, s) * u).derivative(a, s)
            total = term if total is None else total + term
        return 0.0 * u if total is None else total

    def apply_transpose(self, u: Any) -> Any:
        """``S^T u = (1/2) G_as d_a d_s u``."""
        by_modes = self.by_modes(u)
        if by_modes is not None:
            return by_modes.apply(u)
        if self._by_real_transforms(u):
            modes, result = self._modes(u), np.zeros(u.shape)
            for b, c, weight in self._mode_weights:
                change = self._values(weight * modes)
                change *= self._metric[b, c]
                result += change
            return result
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

    @cached_property
    def _mode_weights(self) -> list[tuple[int, int, FloatArray]]:
        """``-(1/2) kappa_b kappa_c``, ``kappa_b = eps_ab q_a``, of the metric's components b <= c.

        In the layout of a real transform; S multiplies by g before as many transforms as there are
        components, its transpose after them.
        """
        grid, last = self.space.grid, self._differentiated[-1]
        half = range(grid.shape[last] // 2 + 1)
        waves = enumerate(self.space.axis_wavenumbers)
        q = [np.take(wave, half, last) if axis == last else wave for axis, wave in waves]
        n, eps, zero = grid.n_axes, grid.epsilon, np.zeros(())
        kappa = [sum((eps[a, b] * q[a] for a in np.flatnonzero(eps[:, b])), start=zero) for b in range(n)]
        return [
            (b, c, np.asarray((-0.5 if b == c else -1.0) * kappa[b] * kappa[c]))
            for b in range(n)
            for c in range(b, n)
            if kappa[b].any() and kappa[c].any() and np.any(self._metric[b, c])
        ]

    def _modes(self, u: FloatArray) -> Any:
        return fourier.rfftn(u, self._differentiated)

    def _values(self, modes: Any) -> FloatArray:
        axes = self._differentiated
        return np.asarray(fourier.irfftn(modes, tuple(self.space.grid.shape[axis] for axis in axes), axes))

    def _by_real_transforms(self, u: Any) -> bool:
        """Whether u is a real array on the whole grid."""
        whole = isinstance(u, np.ndarray) and u.shape == self.space.grid.shape
        return whole and not np.iscomplexobj(u) and bool(self._components)

    def by_modes(self, u: Any) -> ModeSmearing | None:
        """S as a factor of the modes of a real array; None unless G is constant where it differentiates."""
        return self._mode_smearing if self._by_real_transforms(u) else None

    @cached_property
    def _mode_smearing(self) -> ModeSmearing | None:
        axes, grid, q = self._differentiated, self.space.grid, self.space.axis_wavenumbers
        if not axes or any(self._metric.shape[2 + axis] > 1 for axis in axes):
            return None
        terms = [(q[a] * q[s], -weight * self._smearing_tensor(a, s)) for a, s, weight in self._components]
        return ModeSmearing(grid.shape, grid.n_position_axes, axes, terms)

    @property
    def vanishes(self) -> bool:
        """Whether S is nothing."""
        return not self._components

    @cached_property
    def of_one(self) -> FloatArray:
        """``S 1 = (1/2) d_a d_s G_as``, what the metric takes from the density of states."""
        return self.apply(np.ones((1,) * self.space.grid.n_axes))


def _range(values: FloatArray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


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
        if self._smearing.by_modes(w) is not None:
            return self._occupation.added(w, -1.0)
        if self._smearing.vanishes:
            return np.asarray(w / self._density_of_states)
        leading = w / self._density_of_states
        correction = self._smearing.apply_transpose(leading)
        if correction.shape != leading.shape:
            return leading - correction / self._density_of_states
        correction /= self._density_of_states  # on a large grid, new arrays cost more than arithmetic
        leading -= correction
        return leading

    def band_density_from_density(self, w: FloatArray) -> FloatArray:
        """``f = w + S w``."""
        by_modes = self._smearing.by_modes(w)
        if by_modes is not None:
            return by_modes.added(w)
        if self._smearing.vanishes:
            return np.array(w)
        smeared = self._smearing.apply(w)
        if smeared.shape != w.shape or smeared.dtype != w.dtype:
            return w + smeared
        smeared += w
        return smeared

    def occupation_extremes(self, w: FloatArray, seen: LaneSurvey | None = None) -> tuple[float, float]:
        """Smallest and largest c, made in pieces and not stored where S allows it.

        What has been ``seen`` of w by momentum says where they need not be looked for.
        """
        if self._smearing.by_modes(w) is not None:
            return self._occupation.extremes(w, -1.0, seen)
        if self._smearing.vanishes:
            below = np.broadcast_to(self._density_of_states, w.shape)
            ranges = [_range(w[piece] / below[piece]) for piece in pieces(w.shape, ())]
            return float(np.min(ranges)), float(np.max(ranges))
        return _range(self.occupation_from_density(w))

    def thinned_band_density(self, w: FloatArray, stride: int = STRIDE) -> tuple[FloatArray, tuple[int, ...]]:
        """F at every ``stride``-th point of the axes along which S does not differentiate, and those axes.

        Where S couples all axes, or none, all of f and no axes.
        """
        by_modes = self._smearing.by_modes(w)
        if by_modes is not None:
            thinned = tuple(axis for axis in range(w.ndim) if axis not in by_modes.axes)
            return by_modes.added_at_every(w, stride), thinned
        return (w if self._smearing.vanishes else self.band_density_from_density(w)), ()

    def sampled_spectra(self, w: FloatArray, smeared: bool) -> list[list[FloatArray]] | None:
        """Largest squares of the modes along positions of w, then of f if it is wanted, of sampled lines.

        None on a small grid, and where S is no compiled factor of the modes along positions.
        """
        grid = self._smearing.space.grid
        usable = w.flags.c_contiguous and w.flags.writeable and w.dtype in (np.float64, np.float32)
        if w.size <= LARGE or not grid.n_x or not (usable and numba_is_usable() and can_transform(grid.n_x)):
            return None
        if not smeared:
            return sampled_spectra(grid.n_x, grid.n_k, STRIDE).largest_squares(w)
        by_modes = self._smearing.by_modes(w)
        if by_modes is None or not by_modes.is_compiled or w.dtype != np.float64:
            return None
        return by_modes.spectra(w)

    @cached_property
    def _occupation(self) -> ModeSmearing:
        """What makes c from w where S multiplies modes."""
        d, grid = self._density_of_states, self._smearing.space.grid
        by_modes = self._smearing.by_modes(np.empty(grid.shape))
        assert by_modes is not None
        factors = few_products(grid, d) if by_modes.is_compiled else None
        return replace(by_modes, divisor=d, divisor_factors=factors)

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
