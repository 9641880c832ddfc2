r"""The electrons' own potential: H0(k) + U(x, t) + K * (n - n_0), with the density n of all followed bands.

.. math:: U_{mf}(x) = \int dx'\, K(x - x')\,\big(n(x') - n_0(x')\big),\qquad n = \int_k f = \int_k (w + S w)

The equation of every band is that of docs/theory.md section 5 with the total potential, its rate of change
from the continuity equation, :math:`\partial_t U_{mf} = -K * \partial_i\int_k w\,\partial_{k_i}E`, which
enters at second order only.  What is conserved is
:math:`\sum_b \int w h_w - \int n_0 U_{mf} - \frac12\int (n - n_0)\,U_{mf}`.

Source: docs/theory.md sections 5, 6 and 8; docs/mean_field.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from wigner_sim import fourier
from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_sources import ProductBandSource
from wigner_sim.kinetics.effective_band import EffectiveBand
from wigner_sim.kinetics.equation import dealiasing_factor, moyal_coefficients
from wigner_sim.kinetics.external_field import ExternalField
from wigner_sim.kinetics.terms import Acceleration, PhaseSpaceFlow, Streaming
from wigner_sim.kinetics.velocity import Velocity
from wigner_sim.steppers.runge_kutta import RK4, ExplicitRungeKutta
from wigner_sim.symbols import FloatArray, MultiIndex, SymbolSpace


@dataclass(frozen=True)
class Interaction:
    r"""A periodic kernel K, given by its Fourier coefficients, and a background.

    Parameters
    ----------
    kind : "contact" or "poisson"
        ``K_q = strength``, or ``K_q = strength/(q^2 + screening^2)``, the solution of
        :math:`-\partial^2 U + \kappa^2 U = g\,(n - n_0)`; without screening ``K_0 = 0``.
    strength : float
        Positive for repulsion.
    screening : float
        Inverse length.
    background : float or None
        Density n_0 per cell; None for the mean density of the state.
    """

    kind: str
    strength: float
    screening: float = 0.0
    background: float | None = None

    def kernel(self, grid: PhaseSpaceGrid) -> FloatArray:
        """``K_q`` in the layout of a complex transform over the position axes, shape (*x)."""
        s = grid.n_position_axes
        square: FloatArray = np.zeros((1,) * s)
        for axis in range(s):
            q = fourier.wavenumbers(grid.n_x[axis], grid.lengths[axis])
            square = square + q.reshape([-1 if axis == other else 1 for other in range(s)]) ** 2
        if self.kind == "contact":
            return np.full(square.shape, self.strength)
        square = square + self.screening**2
        return np.where(square > 0, self.strength / np.where(square > 0, square, 1.0), 0.0)

    def dilated(self, dilation: float) -> Interaction:
        """The same potential of the same density on the dilated crystal."""
        if self.kind == "contact":
            return self
        return replace(self, strength=self.strength / dilation**2, screening=self.screening / dilation)


class InteractingBand(ProductBandSource):
    """Coefficients of one band in the total potential."""

    def in_field(self, t: float, potential: FloatArray, rate: FloatArray) -> ExternalField:
        """External and mean field (*x) together, with their rates of change."""
        own = self._field(t)
        known = 0.0 if own.potential_rate is None else own.potential_rate
        return ExternalField(own.potential + potential, own.force, rate + known, own.force_rate)

    def effective_in(self, field: ExternalField) -> EffectiveBand:
        """The band in a field."""
        return self._products.on_grid(self.space, field)

    def velocity_in(self, field: ExternalField, remainder: bool) -> Velocity:
        """Its velocity, or what exact streaming and acceleration leave of it."""
        return self._products.velocity_on(self.space, field, remainder)

    @property
    def has_remainder(self) -> bool:
        """Whether exact streaming and acceleration are not all."""
        return any(part.terms for part in self._products.remainder) or bool(self.metric.any())

    @cached_property
    def band_energy(self) -> FloatArray:
        """E(k), shape (1.., *k)."""
        return self._on_momenta(self._products.energy[0].terms[()])

    @cached_property
    def group_velocity(self) -> list[FloatArray]:
        """``dE/dk`` along the position axes, each (1.., *k)."""
        s = self.space.grid.n_position_axes
        energy = self.space.symbol(self.band_energy)
        return [energy.derivative(s + i) for i in range(s)]

    @cached_property
    def metric(self) -> FloatArray:
        """Quantum metric along the position axes, shape (s, s, 1.., *k); it also smears the density."""
        grid = self.space.grid
        s, d = grid.n_position_axes, grid.n_momentum_axes
        g = self._products.metric[d : d + s, d : d + s]
        return np.broadcast_to(g, (s, s, *g.shape[2 : 2 + d], *grid.n_k)).reshape(s, s, *(1,) * s, *grid.n_k)

    def _on_momenta(self, values: FloatArray) -> FloatArray:
        grid = self.space.grid
        return np.broadcast_to(values.reshape(values.shape[-grid.n_momentum_axes :]), grid.n_k).reshape(
            (1,) * grid.n_position_axes + grid.n_k
        )


@dataclass(frozen=True)
class MeanPotentials:
    """The mean field of a state, each part (*x).

    Parameters
    ----------
    local : array
        From ``int_k w``, which motion in k at fixed x does not change.
    smeared : array
        From ``int_k S w``.
    rate : array
        d/dt of their sum, to leading order.
    """

    local: FloatArray
    smeared: FloatArray
    rate: FloatArray

    @property
    def total(self) -> FloatArray:
        """The whole potential."""
        return self.local + self.smeared


class MeanField:
    """Potential, energy and density of interacting bands.

    Parameters
    ----------
    bands : sequence of BandEvolution
    interaction : Interaction

    Raises
    ------
    CaseError
        If H is not H0(k) + U(x, t), geometric terms are switched off, or there is no position axis.
    """

    def __init__(self, bands: Sequence[BandEvolution], interaction: Interaction):
        first = bands[0]
        if not first.hamiltonian.separable:
            raise CaseError("mean_field needs H0(k) + U(x, t): for a general H(x, k, t) it is too expensive")
        if not first.grid.n_position_axes:
            raise CaseError("mean_field needs a position axis: a homogeneous density makes no potential")
        off = [name for name in first.options.terms.switched_off() if name != "moyal"]
        if off:
            raise CaseError(f"equation.terms.{off[0]} = false cannot be combined with mean_field")
        self.grid = first.grid
        self.interaction = interaction
        self.bands = [
            InteractingBand(band.hamiltonian, band.space, band.band, band.options) for band in bands
        ]
        self._kernel = interaction.kernel(self.grid)
        self._space: SymbolSpace = first.space

    def density(self, w: FloatArray) -> FloatArray:
        """``n(x) = sum_b int_k f``, shape (*x)."""
        return self._bare_density(w) + self._smeared_density(w)

    def potentials(self, w: FloatArray) -> MeanPotentials:
        """The mean field of a state w (b, *x, *k)."""
        s = self.grid.n_position_axes
        current_divergence = np.zeros(self.grid.n_x)
        for i in range(s):
            j = sum(
                self.grid.integrate_momenta(w_band * band.group_velocity[i])
                for w_band, band in zip(w, self.bands, strict=True)
            )
            current_divergence += self.gradient(np.asarray(j), i)
        bare = self._bare_density(w)
        excess = bare - (bare.mean() if self.interaction.background is None else self.interaction.background)
        return MeanPotentials(
            self._convolved(excess),
            self._convolved(self._smeared_density(w)),
            -self._convolved(current_divergence),
        )

    def energy(self, w: FloatArray) -> float:
        """``(1/2) int (n - n_0) U_mf``."""
        n = self.density(w)
        excess = n - (n.mean() if self.interaction.background is None else self.interaction.background)
        return float(0.5 * np.mean(excess * self.potentials(w).total) * np.prod(self.grid.lengths))

    def _bare_density(self, w: FloatArray) -> FloatArray:
        return np.asarray(self.grid.integrate_momenta(w).sum(axis=0))

    def _smeared_density(self, w: FloatArray) -> FloatArray:
        """``sum_b (1/2) d_i d_j int_k g_ij w``."""
        s = self.grid.n_position_axes
        total = np.zeros(self.grid.n_x)
        for i in range(s):
            for j in range(s):
                metric = [band.metric[i, j] for band in self.bands]
                if any(g.any() for g in metric):
                    smeared = sum(
                        self.grid.integrate_momenta(g * w_band) for g, w_band in zip(metric, w, strict=True)
                    )
                    total += 0.5 * self.gradient(np.asarray(smeared), i, j)
        return total

    def gradient(self, values: FloatArray, *axes: int) -> FloatArray:
        """Derivative of a function of position (*x) along axes."""
        d = self.grid.n_momentum_axes
        symbol = self._space.symbol(values.reshape(*values.shape, *(1,) * d))
        return symbol.derivative(*axes).reshape(self.grid.n_x)

    def _convolved(self, values: FloatArray) -> FloatArray:
        axes = tuple(range(self.grid.n_position_axes))
        return fourier.ifftn(self._kernel * fourier.fftn(values, axes), axes).real


@dataclass(frozen=True)
class PushedVelocity:
    """A velocity and an additional force -dU/dx on the momenta."""

    grid: PhaseSpaceGrid
    base: Velocity
    force: Sequence[FloatArray]

    def component(self, axis: int) -> FloatArray | None:
        """One component."""
        base = self.base.component(axis)
        i = axis - self.grid.n_position_axes
        if not 0 <= i < len(self.force):
            return base
        return np.broadcast_to(self.force[i], self.grid.shape) if base is None else base + self.force[i]

    def largest_speed(self, axis: int) -> float:
        """Largest absolute value along one axis."""
        component = self.component(axis)
        return 0.0 if component is None else float(np.abs(component).max())


class InteractingFlow:
    """The right-hand side in flux form for all bands, whole or what the exact flows leave of it.

    Its own flow is RK4 in substeps, with the mean field renewed at every stage.
    """

    def __init__(self, mean_field: MeanField, remainder: bool):
        self._mean_field, self._remainder = mean_field, remainder
        self._third = [self._third_of_bands(band) for band in mean_field.bands]
        band = mean_field.bands[0]
        self._kept = dealiasing_factor(band.space, band.options.dealias)

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Minus the divergence of the flux of every band."""
        parts = self._parts(w, t)
        return np.stack([part.rhs(w_band, t) for part, w_band in zip(parts, w, strict=True)])

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """State after ``dt``, external fields frozen at ``t``."""
        radius = max(part.spectral_radius(t) for part in self._parts(w, t))
        scheme = ExplicitRungeKutta("rk4", RK4)
        n = max(1, int(np.ceil(abs(dt) * radius / (0.5 * scheme.stability_limit))))
        frozen = _AtTime(self, t)
        for _ in range(n):
            w = scheme.step(frozen, w, t, dt / n)
        return w

    def spectral_radius(self, t: float) -> float:
        """That of the external fields alone: the mean field depends on the state."""
        grid = self._mean_field.grid
        return max(
            part.spectral_radius(t) for part in self._parts(np.zeros((len(self._third), *grid.shape)), t)
        )

    def _parts(self, w: FloatArray, t: float) -> list[PhaseSpaceFlow]:
        potentials = self._mean_field.potentials(w)
        parts = []
        for band, third in zip(self._mean_field.bands, self._third, strict=True):
            field = band.in_field(t, potentials.total, potentials.rate)
            velocity = band.velocity_in(field, self._remainder)
            if self._remainder:
                velocity = PushedVelocity(band.space.grid, velocity, self._push(potentials.smeared))
                coefficients: dict[tuple[int, MultiIndex], FloatArray] = third
            else:
                coefficients = {**third, **self._third_of_potential(band, field.potential)}
            bounded = band.options.moyal_filter == "bounded"
            parts.append(PhaseSpaceFlow(band.space, velocity, coefficients, self._kept, bounded))
        return parts

    def _push(self, potential: FloatArray) -> list[FloatArray]:
        grid = self._mean_field.grid
        ones = (1,) * grid.n_momentum_axes
        gradients = (self._mean_field.gradient(potential, i) for i in range(grid.n_position_axes))
        return [-gradient.reshape(*grid.n_x, *ones) for gradient in gradients]

    def _third_of_bands(self, band: InteractingBand) -> dict[tuple[int, MultiIndex], FloatArray]:
        """Moyal coefficients of E(k); beside exact streaming, those that a magnetic field turns into k."""
        if not band.options.third_derivative:
            return {}
        s = band.space.grid.n_position_axes
        third = moyal_coefficients(band.space, band.band_energy)
        kept = {key: c for key, c in third.items() if not self._remainder or max(key[0], *key[1]) >= s}
        return {key: np.broadcast_to(c, band.space.grid.shape) for key, c in kept.items()}

    @staticmethod
    def _third_of_potential(
        band: InteractingBand, potential: FloatArray
    ) -> dict[tuple[int, MultiIndex], FloatArray]:
        if not band.options.third_derivative:
            return {}
        grid = band.space.grid
        return moyal_coefficients(band.space, potential.reshape(*grid.n_x, *(1,) * grid.n_momentum_axes))


@dataclass(frozen=True)
class _AtTime:
    term: InteractingFlow
    time: float

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        return self.term.rhs(w, self.time)

    def spectral_radius(self, t: float) -> float:
        return self.term.spectral_radius(self.time)


class StreamingOfBands:
    """Exact motion in x of every band."""

    def __init__(self, mean_field: MeanField):
        self._terms = [
            Streaming(band.space, band.band_energy, series_orders(band)) for band in mean_field.bands
        ]

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """State after ``dt``."""
        return np.stack([term.flow(w_band, t, dt) for term, w_band in zip(self._terms, w, strict=True)])


class AccelerationByDensity:
    """Exact motion in k under the external potential and the mean field of ``int_k w``, which it keeps."""

    def __init__(self, mean_field: MeanField):
        self._mean_field = mean_field

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """State after ``dt``."""
        local = self._mean_field.potentials(w).local
        return np.stack(
            [
                self._term(band, t, local).flow(w_band, t, dt)
                for band, w_band in zip(self._mean_field.bands, w, strict=True)
            ]
        )

    @staticmethod
    def _term(band: InteractingBand, t: float, local: FloatArray) -> Acceleration:
        grid = band.space.grid
        field = band.in_field(t, local, np.zeros(grid.n_x))
        potential = field.potential.reshape(*grid.n_x, *(1,) * grid.n_momentum_axes)
        return Acceleration(band.space, potential, series_orders(band), field.force)


def series_orders(band: InteractingBand) -> int | None:
    """How much of the Moyal product the exact flows keep, see ``split_equation``."""
    if not band.options.third_derivative:
        return 1
    return None if band.options.moyal_series == "all_orders" else 2
