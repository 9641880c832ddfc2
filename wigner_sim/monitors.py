"""Guards on a running simulation: drifts, resolution, finite numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from wigner_sim.baths import Baths
from wigner_sim.case.sections.run import MonitorsSection
from wigner_sim.errors import NumericalStopError
from wigner_sim.models.hamiltonian import FloatArray, Hamiltonian

_log = logging.getLogger("wigner_sim.monitors")

#: guard -> the scalars it watches
WATCHED = {
    "particle_drift": ("particle_number_drift",),
    "energy_drift": ("energy_drift",),
    "spectral_tail": ("spectral_tail_x", "spectral_tail_k"),
    "predicted_error": ("predicted_error",),
    "zener_probability": ("zener_probability",),
    "metric_smearing": ("metric_smearing",),
    "occupation": ("occupation_min", "occupation_max"),
}
#: How far a scalar is from where it should be; its size, unless said otherwise.
EXCESS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "occupation_min": lambda c: -c,
    "occupation_max": lambda c: c - 1.0,
}
REMEDIES = {
    "particle_drift": "the equation conserves it to rounding, so a number has become large or not finite: "
    "reduce time.step",
    "energy_drift": "reduce time.tolerance or time.step; if that does not help, gradients are too strong "
    "for this order",
    "spectral_tail": "the state has structure at the grid scale: use more points along that axis",
    "predicted_error": "gradients are strong for this order: use a higher one, or weaker fields",
    "zener_probability": "gradients, force or field are strong against the gap: compare with exact dynamics",
    "metric_smearing": "f has structure finer than the band's states: the expansion does not converge there",
    "occupation": "more than one electron or less than none per state: use more points, a smaller step, or "
    "weaker gradients",
}


class Monitors:
    """Compare scalars with the limits of a case; warn once per guard, or stop.

    Parameters
    ----------
    section : MonitorsSection
    hamiltonian : Hamiltonian
        Under a drive or a uniform force the energy is not conserved, so its guard is off.
    baths : Baths
        What they exchange is not guarded; what bands exchange is guarded in their sum.
    """

    def __init__(self, section: MonitorsSection, hamiltonian: Hamiltonian, baths: Baths | None = None):
        baths = baths or Baths()
        self._limits = {name: getattr(section, name) for name in WATCHED}
        if hamiltonian.driven or hamiltonian.force is not None:
            self._limits["energy_drift"] = "off"
        self.switched_off: list[str] = []
        for quantity, guard in (("particle_number", "particle_drift"), ("energy", "energy_drift")):
            if quantity not in baths.conserved and self._limits[guard] != "off":
                self._limits[guard] = "off"
                self.switched_off.append(guard)
        self._over_bands = baths.exchange_between_bands
        self._sums: dict[str, float] = {}
        self._stops = section.action == "stop"
        #: What each guard saw last, and the messages of those that were violated.
        self.seen: dict[str, float] = {}
        self.warnings: dict[str, str] = {}

    def check(self, time: float, scalars: Mapping[str, FloatArray]) -> None:
        """Look at one record.

        Raises
        ------
        NumericalStopError
            If a number is not finite, or a guard is violated and the case says stop.
        """
        for name, values in scalars.items():
            if not np.all(np.isfinite(values)):
                raise NumericalStopError(
                    f"{name} is no longer finite at t = {time:.6g}: the step is unstable; reduce time.step"
                )
        for guard, watched in WATCHED.items():
            limit, present = self._limits[guard], [name for name in watched if name in scalars]
            if limit == "off" or not present:
                continue
            excess, name = max((self._excess(name, scalars), name) for name in present)
            self.seen[guard] = excess
            if excess <= limit or guard in self.warnings:
                continue
            what = f"{name} leaves [0, 1] by" if guard == "occupation" else f"{name} is"
            message = (
                f"{what} {excess:.2g} at t = {time:.6g}, above monitors.{guard} = {limit:g}; "
                f"{REMEDIES[guard]}"
            )
            self.warnings[guard] = message
            if self._stops:
                raise NumericalStopError(message)
            _log.warning(message)

    def _excess(self, name: str, scalars: Mapping[str, FloatArray]) -> float:
        """How far a watched scalar is off; a drift of the sum where bands exchange what they hold."""
        quantity = name.removesuffix("_drift")
        interacting = quantity == "energy" and "interaction_energy" in scalars
        if not (name.endswith("_drift") and (self._over_bands or interacting)):
            return float(np.max(EXCESS.get(name, np.abs)(scalars[name])))
        total = float(scalars[quantity].sum())
        if interacting:  # the potential of the others is in everybody's energy
            total -= float(scalars["interaction_energy"])
        first = self._sums.setdefault(quantity, total)
        return abs(total - first) / max(float(np.abs(scalars[quantity]).sum()), np.finfo(float).tiny)

    def summary(self) -> dict[str, Any]:
        """Per guard that is on: what it saw last, its limit, and its warning if there was one."""
        return {
            guard: {"value": value, "limit": self._limits[guard], "warning": self.warnings.get(guard, "")}
            for guard, value in self.seen.items()
        }
