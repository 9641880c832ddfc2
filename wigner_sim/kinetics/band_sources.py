"""Where a band's coefficients come from: three routes from a Hamiltonian to an effective band at time t.

- :class:`GeneralBand`: any H(x, k, t), the gradient expansion on phase-space arrays.
- :class:`ProductBandSource`: H0(k) + U(x, t) with force and magnetic field, as short sums of products.
- :class:`ClosedFormBand`: the same without magnetic field, with each geometric term switchable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from wigner_sim.kinetics.effective_band import (
    Drive,
    EffectiveBand,
    central_difference,
    driven_effective_band,
    driven_expansion,
    effective_band,
    phase_space_velocity,
)
from wigner_sim.kinetics.equation import exact_flow_remainder
from wigner_sim.kinetics.external_field import ExternalField
from wigner_sim.kinetics.low_rank import short_velocity, velocity_scale
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.kinetics.product_band import ProductBand, product_band
from wigner_sim.kinetics.separable import MomentumGeometry, momentum_geometry, separable_effective_band
from wigner_sim.kinetics.time_table import TimeTable
from wigner_sim.kinetics.velocity import DenseVelocity, Velocity
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.symbols import Array, FloatArray, Symbol, SymbolSpace

_PRIMES = (2.0, 3.0, 5.0, 7.0, 11.0, 13.0)
_N_PROBES = 12


@dataclass(frozen=True)
class Coefficients:
    """A band as the equation sees it: bare energy, force and velocity (or its remainder).

    ``parts`` are E(k) and U(x) where they are all of the energy, which is then left out with a remainder.
    """

    space: SymbolSpace
    energy: list[FloatArray]
    force: FloatArray | None
    velocity: Velocity
    parts: tuple[FloatArray, FloatArray] | None = None


class BandSource(Protocol):
    """A band's coefficients as functions of time."""

    def effective(self, t: float) -> EffectiveBand:
        """The band at time ``t``."""
        ...

    def projector(self, t: float) -> list[Symbol]:
        """Its Moyal projector at time ``t``, by order."""
        ...

    def coefficients(self, t: float, remainder: bool) -> Coefficients:
        """What the equation needs at time ``t``, with the velocity or what exact flows leave of it."""
        ...


@dataclass(frozen=True)
class _Source:
    hamiltonian: Hamiltonian
    space: SymbolSpace
    band: int
    options: EquationOptions

    def projector(self, t: float) -> list[Symbol]:
        """The Moyal projector at time ``t``, by order."""
        options = self.options
        step = options.difference_step if self.hamiltonian.driven else 0.0
        drive = Drive(self._symbol, self._force, step)
        gap, scramble = options.minimum_gap, options.scramble
        return driven_expansion(drive, t, self.band, options.order, gap, scramble).projector(options.order)

    @property
    def _is_static(self) -> bool:
        return not self.hamiltonian.driven

    def _symbol(self, t: float) -> Symbol:
        return self.space.symbol(periodic_symbol(self.hamiltonian, self.space, t))

    def _force(self, t: float) -> FloatArray:
        if self.hamiltonian.force is None:
            return np.zeros(self.space.grid.n_momentum_axes)
        return np.asarray(self.hamiltonian.force(t), dtype=float)

    def _potential(self, t: float) -> FloatArray:
        grid = self.space.grid
        x = np.empty((grid.n_position_axes, *grid.n_x))
        for i, values in enumerate(grid.positions):
            x[i] = values.reshape(values.shape[: grid.n_position_axes])
        assert self.hamiltonian.potential is not None
        return np.broadcast_to(self.hamiltonian.potential(x, t), grid.n_x)

    def _field(self, t: float) -> ExternalField:
        """Potential and force with their rates of change."""
        potential_rate, force_rate = None, np.zeros(self.space.grid.n_momentum_axes)
        if self.hamiltonian.driven:
            h = self.options.difference_step
            times = {j: t + j * h for j in (-2, -1, 1, 2)}
            potential_rate = central_difference({j: self._potential(time) for j, time in times.items()}, 0, h)
            force_rate = central_difference({j: self._force(time) for j, time in times.items()}, 0, h)
        return ExternalField(self._potential(t), self._force(t), potential_rate, force_rate)

    @cached_property
    def _bloch(self) -> Array:
        """k-periodic Bloch matrix (n, n, *k)."""
        grid = self.space.grid
        assert self.hamiltonian.bloch is not None
        k = np.stack(np.broadcast_arrays(*(m.reshape(m.shape[grid.n_position_axes :]) for m in grid.momenta)))
        return to_periodic(self.hamiltonian, self.hamiltonian.bloch(k), k)


class GeneralBand(_Source):
    """Any H(x, k, t); renewed by running the whole expansion again."""

    def effective(self, t: float) -> EffectiveBand:
        """The band at time ``t``, without the first-order terms that are switched off."""
        return self._at_any_time if self._is_static else self._expand(t)

    @cached_property
    def _at_any_time(self) -> EffectiveBand:
        return self._expand(0.0)

    def _expand(self, t: float) -> EffectiveBand:
        order, gap, scramble = self.options.order, self.options.minimum_gap, self.options.scramble
        if not self.hamiltonian.driven and self.hamiltonian.force is None:
            return self._switched(effective_band(self._symbol(t), self.band, order, gap, scramble))
        step = self.options.difference_step if self.hamiltonian.driven else 0.0
        drive = Drive(self._symbol, self._force, step)
        return self._switched(driven_effective_band(drive, t, self.band, order, gap, scramble))

    def coefficients(self, t: float, remainder: bool) -> Coefficients:
        """From the effective band, interpolated in time when driven."""
        if self._is_static:
            return self._static_coefficients(remainder)
        h_0, *velocity = self._table.at(t)
        return _with_velocity(self.space, h_0, self._force(t), np.array(velocity), remainder)

    def _static_coefficients(self, remainder: bool) -> Coefficients:
        """As short sums of products where they are."""
        band, grid = self.effective(0.0), self.space.grid
        velocity = phase_space_velocity(band)
        scale = velocity_scale(grid, velocity)
        whole = _with_velocity(self.space, band.energy[0], band.force, velocity, remainder)
        short = short_velocity(grid, velocity, scale)
        return whole if short is None else replace(whole, velocity=short)

    @cached_property
    def _table(self) -> TimeTable:
        def stacked(t: float) -> FloatArray:
            band = self.effective(t)
            return np.concatenate([band.energy[0][None], phase_space_velocity(band)])

        options = self.options
        return TimeTable(stacked, options.refresh_interval, options.refresh_tolerance, self._probe)

    def _probe(self, t: float) -> Array:
        """The Hamiltonian and the force at a few points: they show any change in time, at little cost."""
        grid = self.space.grid
        spread = np.modf(np.outer(np.sqrt(_PRIMES[: grid.n_axes]), np.arange(1, _N_PROBES + 1)))[0]
        points = spread * np.reshape(grid.periods, (-1, 1))
        s = grid.n_position_axes
        matrix = self.hamiltonian.matrix(points[:s], points[s:], t)
        return np.concatenate([np.ravel(matrix), self._force(t)])

    def _switched(self, effective: EffectiveBand) -> EffectiveBand:
        terms = self.options.terms
        if effective.order != 1:
            return effective
        if not terms.orbital_moment:
            effective = replace(effective, energy=[effective.energy[0], np.zeros_like(effective.energy[1])])
        if not terms.berry:
            effective = replace(
                effective,
                curvature=[0.0 * effective.curvature[0]],
                density_of_states=np.ones(self.space.grid.shape),
                rate_curvature=None,
            )
        return effective


class ProductBandSource(_Source):
    """H0(k) + U(x, t) with uniform force and magnetic field; only the potential is renewed in time."""

    def effective(self, t: float) -> EffectiveBand:
        """The band at time ``t``."""
        return self._products.on_grid(self.space, self._field(t))

    def projector(self, t: float) -> list[Symbol]:
        """The Moyal projector at time ``t``, by order."""
        return self._products.projector_on_grid(self.space, self._field(t))

    def coefficients(self, t: float, remainder: bool) -> Coefficients:
        """Short sums of products."""
        field = self._field(t)
        velocity = self._products.velocity_on(self.space, field, remainder)
        if remainder:
            parts = self._products.bare_parts(self.space, field)
            return Coefficients(self.space, [], field.force, velocity, parts)
        return Coefficients(
            self.space, [self._products.bare_energy(self.space, field)], field.force, velocity
        )

    @cached_property
    def _products(self) -> ProductBand:
        return product_band(
            self._bloch,
            self.space.grid,
            self.hamiltonian.orbital_positions,
            self.band,
            self.options.order,
            self.options.minimum_gap,
            self.options.scramble,
        )


class ClosedFormBand(_Source):
    """H0(k) + U(x, t) with uniform force, without magnetic field; every term switchable."""

    def effective(self, t: float) -> EffectiveBand:
        """The band at time ``t``."""
        return separable_effective_band(
            self.space, self._geometry, self._field(t), self.options.order, self.options.terms
        )

    def coefficients(self, t: float, remainder: bool) -> Coefficients:
        """From the effective band."""
        return _dense_coefficients(self.effective(t), remainder)

    @cached_property
    def _geometry(self) -> MomentumGeometry:
        tau = self.hamiltonian.orbital_positions
        options = self.options
        return momentum_geometry(
            self._bloch, self.space.grid.n_k, tau, self.band, options.minimum_gap, options.scramble
        )


def _dense_coefficients(band: EffectiveBand, remainder: bool) -> Coefficients:
    return _with_velocity(band.space, band.energy[0], band.force, phase_space_velocity(band), remainder)


def _with_velocity(
    space: SymbolSpace, h_0: FloatArray, force: FloatArray | None, velocity: FloatArray, remainder: bool
) -> Coefficients:
    whole = Coefficients(space, [h_0], force, DenseVelocity(velocity))
    return replace(whole, velocity=exact_flow_remainder(whole, velocity)) if remainder else whole


def periodic_symbol(hamiltonian: Hamiltonian, space: SymbolSpace, t: float) -> Array:
    """Matrix symbol in the k-periodic form ``exp(i k (tau_o - tau_o')) H_oo'``, shape (n, n, *x, *k)."""
    x, k = space.grid.mesh()
    return to_periodic(hamiltonian, hamiltonian.matrix(x, k, t), k)


def to_periodic(hamiltonian: Hamiltonian, matrix: Array, k: FloatArray) -> Array:
    """From the position convention (..., n, n) to the k-periodic one (n, n, ...)."""
    values = np.ascontiguousarray(np.moveaxis(matrix, (-2, -1), (0, 1)))
    tau = hamiltonian.orbital_positions
    if tau.any():
        phase = np.exp(1j * np.tensordot(tau, k, axes=(1, 0)))
        values = phase[:, None] * values * phase[None].conj()
    return values
