"""How one band flows at one time: its equation, and the coefficients that its currents need beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.effective_band import EffectiveBand
from wigner_sim.kinetics.faces import MetricSmearing
from wigner_sim.kinetics.mode_smearing import LARGE
from wigner_sim.observables import flow_geometry
from wigner_sim.observables.sums import SurveyTables
from wigner_sim.symbols import FloatArray, MultiIndex, SymbolSpace


class BandFlows:
    """The flow of one band at any time; made once per run, so that what is static is worked out once.

    Parameters
    ----------
    evolution : BandEvolution
    """

    def __init__(self, evolution: BandEvolution):
        self._evolution = evolution
        self._static: BandFlow | None = None

    def at(self, t: float) -> BandFlow:
        """The flow at time ``t``."""
        if self._evolution.driven:
            return BandFlow(self._evolution, t)
        if self._static is None:
            self._static = BandFlow(self._evolution, 0.0, lasting=True)
        return self._static


@dataclass(frozen=True, eq=False)
class BandFlow:
    """The flow of one band at one time.  Vectors have a component for each of the d directions of k.

    Parameters
    ----------
    evolution : BandEvolution
    t : float, time
    lasting : bool
        Whether it is asked again and again, so that tables are worth their making.
    """

    evolution: BandEvolution
    t: float
    lasting: bool = False

    @cached_property
    def effective(self) -> EffectiveBand:
        """The effective band."""
        return self.evolution.effective(self.t)

    @cached_property
    def survey_tables(self) -> SurveyTables | None:
        """What makes a reading of w cheap, on a large grid."""
        if not self.lasting or prod(self.space.grid.shape) < LARGE:
            return None
        return SurveyTables.of(self.space.grid, self.effective.total_energy_symbol, self.velocity)

    @property
    def space(self) -> SymbolSpace:
        """Where symbols live."""
        return self.evolution.space

    def rate(self, w: FloatArray) -> FloatArray:
        """``d_t w`` by the band's own equation, without collisions."""
        return self.evolution.rhs(w, self.t)

    def band_density_rate(self, w: FloatArray) -> FloatArray:
        """``d_t f = (1 + S) d_t w + (d_t S) w``."""
        rate = self.effective.faces.band_density_from_density(self.rate(w))
        return rate + MetricSmearing(self.space, self.leading_rates[1]).apply(w)

    @cached_property
    def velocity_parts(self) -> dict[str, FloatArray]:
        """``V_i`` by its ingredients, see :func:`flow_geometry.velocity_parts`."""
        return flow_geometry.velocity_parts(self.effective)

    @cached_property
    def velocity(self) -> FloatArray:
        """``V_i``, shape (d, *x, *k)."""
        grid = self.space.grid
        if grid.n_position_axes == grid.n_momentum_axes:  # what moves w along x, without its ingredients
            return self.phase_space_velocity[: grid.n_position_axes]
        return np.sum(list(self.velocity_parts.values()), axis=0)

    @cached_property
    def phase_space_velocity(self) -> FloatArray:
        """``V_a`` along the axes of the grid, shape (a, *x, *k)."""
        return self.evolution.velocity(self.t)

    @cached_property
    def full_metric(self) -> FloatArray:
        """Quantum metric on phase space, also at orders where it does not act."""
        if self.evolution.options.order == 2 and self.effective.metric.any():
            return self.effective.metric
        h = self.evolution.hamiltonian
        return flow_geometry.local_metric(h, self.space, self.evolution.band, self.t)

    @cached_property
    def turning_ratio(self) -> FloatArray:
        """``sqrt(g_ab V_a V_b) / gap``: rate at which the local states turn along the flow, over the gap."""
        velocity = self.phase_space_velocity
        turning = np.einsum("ab...,a...,b...->...", self.full_metric, velocity, velocity)
        return np.asarray(np.sqrt(np.maximum(turning, 0.0)) / self.effective.gap)

    @cached_property
    def largest_turning_ratio(self) -> FloatArray:
        """The largest :attr:`turning_ratio` at each of the flattened positions."""
        return np.asarray(self.turning_ratio.reshape(prod(self.space.grid.n_x), -1).max(axis=1))

    def axis_smearing(self, axis: int) -> FloatArray:
        """``G_aa`` of one axis, also at orders where it does not act; broadcastable to the grid."""
        eps, metric = self.space.grid.epsilon[axis], self.full_metric
        pairs = zip(*np.nonzero(np.outer(eps, eps)), strict=True)
        parts = [eps[b] * eps[c] * metric[int(b), int(c)] for b, c in pairs]
        return np.asarray(sum(parts, start=np.zeros((1,) * self.space.grid.n_axes)))

    @cached_property
    def third_derivatives(self) -> list[dict[MultiIndex, FloatArray]]:
        """Coefficients ``M_i^{df}`` of ``d_d d_f w`` in the flux along each direction i."""
        if not self.evolution.options.third_derivative:
            return [{} for _ in range(self.space.grid.n_momentum_axes)]
        return flow_geometry.moyal_flux_coefficients(self.effective)

    @cached_property
    def smearing_tensor(self) -> FloatArray:
        """``G_ij`` of the metric smearing, i over directions, j over position axes: shape (d, s, *x, *k)."""
        s = self.space.grid.n_position_axes
        return self.effective.metric[s:, s : 2 * s]

    @cached_property
    def magnetic_moment(self) -> FloatArray | None:
        """Orbital moment (d, d, *x, *k), broadcastable; None where the equation is without it, or d = 1."""
        options = self.evolution.options
        if options.order == 0 or self.space.grid.n_momentum_axes == 1 or not options.terms.orbital_moment:
            return None
        return flow_geometry.magnetic_moment(
            self.evolution.hamiltonian, self.space, self.evolution.band, self.t
        )

    @cached_property
    def leading_rates(self) -> tuple[FloatArray, FloatArray]:
        """``d_t h_0`` and ``d_t g_ab`` of a driven Hamiltonian, or zeros."""
        metric = self.effective.metric
        rates = np.zeros((1,) * self.space.grid.n_axes), np.zeros_like(metric)
        if not self.evolution.hamiltonian.time_dependent:
            return rates
        step = self.evolution.options.difference_step
        energy_rate, metric_rate = flow_geometry.leading_rates(
            self.evolution.hamiltonian, self.space, self.evolution.band, self.t, step
        )
        return energy_rate, metric_rate if metric.any() else rates[1]
