"""One band of a Hamiltonian as an equation that a time stepper can advance, static or driven."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.effective_band import (
    Drive,
    EffectiveBand,
    central_difference,
    driven_effective_band,
    effective_band,
)
from wigner_sim.kinetics.equation import KineticEquation, split_equation, unsplit_equation
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.kinetics.separable import (
    ExternalField,
    MomentumGeometry,
    momentum_geometry,
    separable_effective_band,
)
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.symbols import Array, FloatArray, Symbol, SymbolSpace

#: Effective bands kept at once: the stage times of one step of any scheme in the table.
_KEPT_TIMES = 16


def periodic_symbol(hamiltonian: Hamiltonian, space: SymbolSpace, t: float) -> Array:
    """Matrix symbol in the k-periodic form ``exp(i k (tau_o - tau_o')) H_oo'``, shape (n, n, *x, *k)."""
    grid = space.grid
    x = np.empty((grid.n_position_axes, *grid.shape))
    k = np.empty((grid.n_momentum_axes, *grid.shape))
    for i, values in enumerate(grid.positions):
        x[i] = values
    for i, values in enumerate(grid.momenta):
        k[i] = values
    return _to_periodic(hamiltonian, hamiltonian.matrix(x, k, t), k)


def _to_periodic(hamiltonian: Hamiltonian, matrix: Array, k: FloatArray) -> Array:
    values = np.ascontiguousarray(np.moveaxis(matrix, (-2, -1), (0, 1)))
    tau = hamiltonian.orbital_positions
    if tau.any():
        phase = np.exp(1j * np.tensordot(tau, k, axes=(1, 0)))
        values = phase[:, None] * values * phase[None].conj()
    return values


def check_options(options: EquationOptions, closed_form: bool) -> None:
    """Refuse switches of terms that have no meaning of their own.

    Raises
    ------
    CaseError
        For a general H(x, k, t) or with a magnetic field: at second order the geometric terms mix, at first
        order the two of them separate, and the Moyal term always does.
    """
    if options.moyal_series == "all_orders" and not (closed_form and options.split):
        raise CaseError(
            'equation.moyal_series = "all_orders" needs H0(k) + U(x, t) without magnetic field and '
            "a splitting stepper (strang or blanes_moan4)"
        )
    if closed_form:
        return
    separate = (
        {"moyal"}
        if options.order == 2
        else {"moyal", "berry", "orbital_moment", "metric", "band_normalized_metric"}
    )
    mixed = [name for name in options.terms.switched_off() if name not in separate]
    if mixed:
        raise CaseError(
            f"equation.terms.{mixed[0]} = false has no separate meaning at order 2 for this Hamiltonian: "
            "only for H0(k) + U(x, t) without magnetic field do the geometric terms split (at order 1 berry "
            "and orbital_moment do for any H)"
        )


class BandEvolution:
    """Kinetic equation of one band, with coefficients renewed in time when the Hamiltonian is driven.

    Satisfies ``steppers.SplitEquation``.

    Parameters
    ----------
    hamiltonian : Hamiltonian
    grid : PhaseSpaceGrid
    band : int
    options : EquationOptions

    Raises
    ------
    BandTouchingError, CaseError
    """

    def __init__(self, hamiltonian: Hamiltonian, grid: PhaseSpaceGrid, band: int, options: EquationOptions):
        if not 0 <= band < hamiltonian.n_orbitals:
            raise CaseError(
                f"band {band} was asked for, but the Hamiltonian has bands 0 to {hamiltonian.n_orbitals - 1}"
            )
        self.hamiltonian = hamiltonian
        self.grid = grid
        self.band = band
        self.options = options
        self.space = SymbolSpace(grid, hamiltonian.orbital_positions)
        self.driven = hamiltonian.driven
        self.closed_form = hamiltonian.separable and not np.any(
            grid.epsilon[grid.n_position_axes :, grid.n_position_axes :]
        )
        check_options(options, self.closed_form)
        self._at: OrderedDict[float, tuple[EffectiveBand, KineticEquation]] = OrderedDict()

    def effective(self, t: float = 0.0) -> EffectiveBand:
        """The effective band at time ``t``."""
        return self._get(t)[0]

    def equation(self, t: float = 0.0) -> KineticEquation:
        """The kinetic equation with coefficients at time ``t``."""
        return self._get(t)[1]

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Time derivative of w."""
        return self.equation(t).rhs(w, t)

    def spectral_radius(self, t: float) -> float:
        """Bound on the eigenvalues at time ``t``."""
        return self.equation(t).spectral_radius(t)

    @cached_property
    def flows(self) -> Sequence[DrivenFlow]:
        """The terms; for a driven Hamiltonian each looks up its coefficients at the time it acts."""
        if not self.driven:
            return self.equation().flows  # type: ignore[return-value]
        return [DrivenFlow(self, index) for index in range(len(self.equation().flows))]

    def _get(self, t: float) -> tuple[EffectiveBand, KineticEquation]:
        key = t if self.driven else 0.0
        if key not in self._at:
            while len(self._at) >= _KEPT_TIMES:
                self._at.popitem(last=False)
            effective = self._effective(key)
            if self.options.split:
                equation = split_equation(effective, self.options, always_rest=self.driven)
            else:
                equation = unsplit_equation(effective, self.options)
            self._at[key] = effective, equation
        return self._at[key]

    def _effective(self, t: float) -> EffectiveBand:
        if self.closed_form:
            return self._closed_form(t)
        order, gap = self.options.order, self.options.minimum_gap
        if not self.driven and self.hamiltonian.force is None:
            return self._switched(effective_band(self._symbol(t), self.band, order, gap))
        step = self.options.difference_step if self.driven else 0.0
        drive = Drive(self._symbol, self._force, step)
        return self._switched(driven_effective_band(drive, t, self.band, order, gap))

    def _force(self, t: float) -> FloatArray:
        if self.hamiltonian.force is None:
            return np.zeros(self.grid.n_momentum_axes)
        return np.asarray(self.hamiltonian.force(t), dtype=float)

    def _symbol(self, t: float) -> Symbol:
        return self.space.symbol(periodic_symbol(self.hamiltonian, self.space, t))

    def _switched(self, effective: EffectiveBand) -> EffectiveBand:
        """Drop the first-order terms that are switched off."""
        terms = self.options.terms
        if effective.order != 1:
            return effective
        if not terms.orbital_moment:
            effective = replace(effective, energy=[effective.energy[0], 0.0 * effective.energy[1]])
        if not terms.berry:
            effective = replace(
                effective,
                curvature=[0.0 * effective.curvature[0]],
                density_of_states=np.ones(self.grid.shape),
                rate_curvature=None,
            )
        return effective

    @cached_property
    def _momentum_geometry(self) -> MomentumGeometry:
        assert self.hamiltonian.bloch is not None
        k = np.stack(
            np.broadcast_arrays(*(m.reshape(m.shape[self.grid.n_position_axes :]) for m in self.grid.momenta))
        )
        bloch = _to_periodic(self.hamiltonian, self.hamiltonian.bloch(k), k)
        tau = self.hamiltonian.orbital_positions
        return momentum_geometry(bloch, self.grid.n_k, tau, self.band, self.options.minimum_gap)

    def _closed_form(self, t: float) -> EffectiveBand:
        potential_rate, force_rate = None, np.zeros(self.grid.n_momentum_axes)
        if self.driven:
            h = self.options.difference_step
            times = {j: t + j * h for j in (-2, -1, 1, 2)}
            potential_rate = central_difference({j: self._potential(time) for j, time in times.items()}, 0, h)
            force_rate = central_difference({j: self._force(time) for j, time in times.items()}, 0, h)
        field = ExternalField(self._potential(t), self._force(t), potential_rate, force_rate)
        options = self.options
        return separable_effective_band(
            self.space, self._momentum_geometry, field, options.order, options.terms
        )

    def _potential(self, t: float) -> FloatArray:
        grid = self.grid
        x = np.empty((grid.n_position_axes, *grid.n_x))
        for i, values in enumerate(grid.positions):
            x[i] = values.reshape(values.shape[: grid.n_position_axes])
        assert self.hamiltonian.potential is not None
        return np.broadcast_to(self.hamiltonian.potential(x, t), grid.n_x)


@dataclass(frozen=True)
class DrivenFlow:
    """One term of a driven equation, its coefficients frozen at the time it is asked for."""

    evolution: BandEvolution
    index: int

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """State after ``dt`` under this term."""
        return self.evolution.equation(t).flows[self.index].flow(w, t, dt)
