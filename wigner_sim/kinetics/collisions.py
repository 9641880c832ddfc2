r"""Relaxation-time collisions, which couple momenta and bands at one position.

.. math:: I[w] = -\gamma(x, k)\,\big(w - w_{eq}[\mu, T]\big),\qquad \gamma = 1/\tau

- :class:`PrescribedRelaxation`: mu(x), T(x) are given, as in reservoirs; it exchanges particles and energy.
- :class:`ConservingRelaxation`: mu(x), or mu(x) and T(x), follow the state so that the density
  :math:`\int_k w`, and the energy density :math:`\int_k w h_w`, stay what they are at every position.

Source: docs/theory.md section 7; what is conserved: docs/decisions/007-collisions-conserve-w.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.equilibrium import equilibrium_density
from wigner_sim.kinetics.local_equilibrium import (
    LocalEquilibrium,
    ThermalFamily,
    join_bands,
    local_equilibrium,
    part_bands,
)
from wigner_sim.steppers.runge_kutta import RK4, ExplicitRungeKutta
from wigner_sim.symbols import FloatArray

#: Names and long names of what a conserving collision solves for.
LOCAL_FIELDS = {
    "local_chemical_potential": "chemical potential that collisions relax to",
    "local_temperature": "temperature that collisions relax to",
}


@dataclass(frozen=True)
class Bath:
    """A rate (b, *x, *k), and mu and T broadcastable to (*x, *k)."""

    rate: FloatArray
    mu: FloatArray
    temperature: FloatArray


class PrescribedRelaxation:
    r"""Relaxation to given equilibria, :math:`\sum_r \gamma_r (w_{eq}[\mu_r, T_r] - w)`; its flow is exact.

    Parameters
    ----------
    bands : sequence of BandEvolution
    baths : sequence of Bath
    """

    def __init__(self, bands: Sequence[BandEvolution], baths: Sequence[Bath]):
        self._bands, self._baths = bands, baths
        self._rate: FloatArray = sum((bath.rate for bath in baths), start=np.zeros(1))
        self._gains: dict[float, FloatArray] = {}

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Gain less loss."""
        return self._gain(t) - self._rate * w

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """``w exp(-gamma dt)`` and what has been gained."""
        decayed = -np.expm1(-self._rate * dt)
        gained = np.where(self._rate > 0, decayed / np.where(self._rate > 0, self._rate, 1.0), dt)
        return w - decayed * w + gained * self._gain(t)

    def spectral_radius(self, t: float) -> float:
        """Largest rate."""
        return float(self._rate.max())

    def _gain(self, t: float) -> FloatArray:
        """``sum_r gamma_r w_eq,r`` at time ``t``."""
        key = t if any(band.driven for band in self._bands) else 0.0
        if key not in self._gains:
            self._gains.clear()
            self._gains[key] = np.stack(
                [
                    sum(
                        bath.rate[b] * equilibrium_density(band.effective(key), bath.mu, bath.temperature)
                        for bath in self._baths
                    )
                    for b, band in enumerate(self._bands)
                ]
            )
        return self._gains[key]


class ConservingRelaxation:
    r"""Relaxation to the local equilibrium with the particles (and energy) of the state.

    .. math:: \int_k \gamma\,(w_{eq} - w) = 0 \quad\text{and, if asked,}\quad
              \int_k \gamma\,h_w\,(w_{eq} - w) = 0 \quad\text{at every } x,

    summed over the bands that share mu and T.

    Parameters
    ----------
    bands : sequence of BandEvolution
    rate : array (b, *x, *k)
    temperature : array broadcastable to (*x,)
        T(x); the first guess of it if the energy is conserved.
    conserve_energy : bool
    shared : bool
        Whether all bands have one mu and T, and exchange particles; otherwise each has its own.

    Notes
    -----
    Where gamma is the same for all momenta and bands, mu and T do not change during a step and the flow is
    exact.  Otherwise it is RK4 in substeps of at most ``1/gamma``, whose every stage conserves.
    """

    _scheme = ExplicitRungeKutta("rk4", RK4)

    def __init__(
        self,
        bands: Sequence[BandEvolution],
        rate: FloatArray,
        temperature: FloatArray,
        conserve_energy: bool,
        shared: bool = True,
    ):
        self._bands, self._rate = bands, rate
        grid = bands[0].grid
        self._positions = grid.n_x
        self._beta = np.broadcast_to(1.0 / np.asarray(temperature, dtype=float), grid.n_x).reshape(-1)
        self._conserve_energy = conserve_energy
        every = range(len(bands))
        self._groups: list[slice] = [slice(0, len(bands))] if shared else [slice(b, b + 1) for b in every]
        self._uniform = [self._is_uniform(rate[group]) for group in self._groups]
        self._families: dict[float, list[ThermalFamily]] = {}

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """``gamma (w_eq - w)``."""
        return self._rate * (self._target(w, t) - w)

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """State after ``dt``, with particles (and energy) at every position kept to rounding."""
        if all(self._uniform):
            return w - np.expm1(-self._rate * dt) * (self._target(w, t) - w)
        n = max(1, int(np.ceil(abs(dt) * self.spectral_radius(t))))
        frozen = _AtTime(self, t)
        for _ in range(n):
            w = self._scheme.step(frozen, w, t, dt / n)
        return w

    def spectral_radius(self, t: float) -> float:
        """Largest rate."""
        return float(self._rate.max())

    def local_fields(self, w: FloatArray, t: float) -> dict[str, FloatArray]:
        """Chemical potential and temperature of the local equilibrium, each (b, *x)."""
        shape = (len(w), *self._positions)
        fields = {name: np.empty(shape) for name in LOCAL_FIELDS}
        for group, found in zip(self._groups, self._equilibria(w, t), strict=True):
            fields["local_chemical_potential"][group] = found.chemical_potential.reshape(self._positions)
            fields["local_temperature"][group] = found.temperature.reshape(self._positions)
        return fields

    def _target(self, w: FloatArray, t: float) -> FloatArray:
        target = np.empty_like(w)
        for group, found in zip(self._groups, self._equilibria(w, t), strict=True):
            target[group] = part_bands(found.density, w[group].shape)
        return target

    def _equilibria(self, w: FloatArray, t: float) -> list[LocalEquilibrium]:
        n_axes = len(self._positions)
        return [
            local_equilibrium(
                family,
                join_bands(w[group], n_axes),
                join_bands(self._rate[group], n_axes),
                self._beta,
                self._conserve_energy,
            )
            for group, family in zip(self._groups, self._families_at(t), strict=True)
        ]

    def _families_at(self, t: float) -> list[ThermalFamily]:
        key = t if any(band.driven for band in self._bands) else 0.0
        if key not in self._families:
            effective = [band.effective(key) for band in self._bands]
            self._families.clear()
            self._families[key] = [ThermalFamily.of(effective[group]) for group in self._groups]
        return self._families[key]

    def _is_uniform(self, rate: FloatArray) -> bool:
        """Whether the rate depends on position alone."""
        per_cell = join_bands(rate, len(self._positions))
        return bool((per_cell == per_cell[:, :1]).all())


@dataclass(frozen=True)
class _AtTime:
    """A term with its coefficients frozen at one time."""

    term: ConservingRelaxation
    time: float

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        return self.term.rhs(w, self.time)

    def spectral_radius(self, t: float) -> float:
        return self.term.spectral_radius(self.time)
