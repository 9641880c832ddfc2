"""Baths: collisions and reservoirs as a case describes them, and the terms of the equation they become.

Source: docs/theory.md section 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.grid import FloatArray, PhaseSpaceGrid
from wigner_sim.initial_states import PhaseSpaceFunction, PositionFunction, phase_space_function
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.collisions import Bath, ConservingRelaxation, PrescribedRelaxation
from wigner_sim.kinetics.terms import Term
from wigner_sim.models.setting import Field, Setting

#: What collisions can conserve at every position, by the name a case gives it.
CONSERVED: dict[str, frozenset[str]] = {
    "nothing": frozenset(),
    "particles": frozenset({"particle_number"}),
    "particles_and_energy": frozenset({"particle_number", "energy"}),
}


@dataclass(frozen=True)
class Relaxation:
    """Collisions with a rate per band; mu or temperature is None where the state sets it.

    Parameters
    ----------
    rates : tuple of functions (x, k) -> rate, one per band
    conserve : str
        A name in :data:`CONSERVED`.
    mu, temperature : functions of x
    shared : bool
        Whether the bands exchange particles.
    what : str
        Opens error messages.
    """

    rates: tuple[PhaseSpaceFunction, ...]
    conserve: str
    mu: PositionFunction | None
    temperature: PositionFunction | None
    shared: bool = True
    what: str = "relaxation"

    def rate_on(self, grid: PhaseSpaceGrid) -> FloatArray:
        """Rates on a grid, shape (b, *x, *k)."""
        x, k = grid.mesh()
        rate = np.stack([np.broadcast_to(each(x, k), grid.shape) for each in self.rates])
        if not (np.isfinite(rate).all() and rate.min() >= 0):
            raise CaseError(f"{self.what}.rate must be finite and not negative, but reaches {rate.min():.3g}")
        return rate

    def bath_on(self, grid: PhaseSpaceGrid) -> Bath:
        """The same with mu and T given, on a grid."""
        assert self.mu is not None
        return Bath(self.rate_on(grid), self._on(grid, self.mu), self._temperature_on(grid))

    def conserving_term(self, bands: Sequence[BandEvolution]) -> ConservingRelaxation:
        """The term that follows the state."""
        grid = bands[0].grid
        if self.temperature is None:
            energies = [band.effective(0.0).energy[0] for band in bands]
            width = max(float(np.ptp(h)) for h in energies)
            temperature = np.asarray(0.25 * width)  # only a first guess
        else:
            temperature = self._temperature_on(grid).reshape(grid.n_x)
        with_energy = "energy" in CONSERVED[self.conserve]
        return ConservingRelaxation(bands, self.rate_on(grid), temperature, with_energy, self.shared)

    def dilated(self, dilation: float) -> Relaxation:
        """For the dilated crystal, all times longer by ``dilation``."""
        return replace(
            self,
            rates=tuple(_slower(rate, dilation) for rate in self.rates),
            mu=_stretched(self.mu, dilation),
            temperature=_stretched(self.temperature, dilation),
        )

    def _temperature_on(self, grid: PhaseSpaceGrid) -> FloatArray:
        assert self.temperature is not None
        temperature = self._on(grid, self.temperature)
        if temperature.min() <= 0:
            raise CaseError(
                f"{self.what}.temperature falls to {temperature.min():.3g}; it must stay positive"
            )
        return temperature

    @staticmethod
    def _on(grid: PhaseSpaceGrid, function: PositionFunction) -> FloatArray:
        x = np.empty((grid.n_position_axes, *grid.n_x))
        for i, values in enumerate(grid.positions):
            x[i] = values.reshape(values.shape[: grid.n_position_axes])
        return np.broadcast_to(function(x), grid.n_x).reshape(*grid.n_x, *(1,) * grid.n_momentum_axes)


@dataclass(frozen=True)
class Baths:
    """Everything the electrons collide or exchange particles with.

    Parameters
    ----------
    relaxation : Relaxation or None
    reservoirs : tuple of Relaxation
        Each with given mu and T.
    """

    relaxation: Relaxation | None = None
    reservoirs: tuple[Relaxation, ...] = ()

    def __bool__(self) -> bool:
        return self.relaxation is not None or bool(self.reservoirs)

    def terms(self, bands: Sequence[BandEvolution]) -> list[Term]:
        """The couplings of a band stack."""
        terms: list[Term] = []
        prescribed = list(self.reservoirs)
        if self.relaxation is not None:
            if self.relaxation.conserve == "nothing":
                prescribed.append(self.relaxation)
            else:
                terms.append(self.relaxation.conserving_term(bands))
        if prescribed:
            grid = bands[0].grid
            terms.append(PrescribedRelaxation(bands, [each.bath_on(grid) for each in prescribed]))
        return terms

    @property
    def conserved(self) -> frozenset[str]:
        """What all of them leave conserved."""
        if self.reservoirs:
            return frozenset()
        return CONSERVED["particles_and_energy" if self.relaxation is None else self.relaxation.conserve]

    @property
    def exchange_between_bands(self) -> bool:
        """Whether only the sum over bands is conserved."""
        return self.relaxation is not None and self.relaxation.shared and len(self.relaxation.rates) > 1

    def dilated(self, dilation: float) -> Baths:
        """For the dilated crystal."""
        relaxation = self.relaxation
        return Baths(
            None if relaxation is None else relaxation.dilated(dilation),
            tuple(each.dilated(dilation) for each in self.reservoirs),
        )

    def describe(self) -> list[str]:
        """Lines for the log."""
        lines = []
        if self.relaxation is not None:
            kept = self.relaxation.conserve.replace("_", " ")
            bands = " shared by the bands" if self.exchange_between_bands else ""
            lines.append(f"collisions: relaxation that conserves {kept} locally{bands}")
        if self.reservoirs:
            lines.append(f"reservoirs: {len(self.reservoirs)}, which exchange particles and energy")
        return lines


def build_baths(
    relaxation: Mapping[str, Any],
    reservoirs: Sequence[Mapping[str, Any]],
    setting: Setting,
    n_bands: int,
) -> Baths:
    """Baths of a case.

    Parameters
    ----------
    relaxation : mapping
        The section ``[relaxation]``; a rate of 0 means that there is none.
    reservoirs : sequence of mapping
        The tables ``[[reservoirs]]``.
    setting : Setting
    n_bands : int

    Raises
    ------
    CaseError
    """
    return Baths(
        _relaxation(relaxation, "relaxation", setting, n_bands) if relaxation["rate"] != 0.0 else None,
        tuple(_relaxation(table, f"reservoirs[{i}]", setting, n_bands) for i, table in enumerate(reservoirs)),
    )


def _relaxation(table: Mapping[str, Any], what: str, setting: Setting, n_bands: int) -> Relaxation:
    given = table["rate"]
    per_band = list(given) if isinstance(given, list | tuple) else [given] * n_bands
    if len(per_band) != n_bands:
        raise CaseError(
            f"{what}.rate lists {len(per_band)} rates for {n_bands} chosen band(s): give one each"
        )
    return Relaxation(
        tuple(phase_space_function(rate, setting, f"{what}.rate") for rate in per_band),
        table.get("conserve", "nothing"),
        _position_function(table.get("mu"), setting, f"{what}.mu"),
        _position_function(table.get("temperature"), setting, f"{what}.temperature"),
        table.get("shared_bands", True),
        what,
    )


def _position_function(source: Any, setting: Setting, what: str) -> PositionFunction | None:
    if source is None:
        return None
    field = Field(source, setting, what)
    if field.time_dependent:
        raise CaseError(f"{what} depends on t: a bath is the same at all times")
    return lambda x: field(x, 0.0).real


def _stretched(function: PositionFunction | None, dilation: float) -> PositionFunction | None:
    if function is None:
        return None
    inner = function
    return lambda x: inner(np.asarray(x) / dilation)


def _slower(rate: PhaseSpaceFunction, dilation: float) -> PhaseSpaceFunction:
    return lambda x, k: np.asarray(rate(np.asarray(x) / dilation, k)) / dilation
