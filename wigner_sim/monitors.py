"""Guards on a running simulation: drifts, resolution, finite numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping

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
}
REMEDIES = {
    "particle_drift": "the equation conserves it to rounding, so a number has become large or not finite: "
    "reduce time.step",
    "energy_drift": "reduce time.tolerance or time.step; if that does not help, gradients are too strong "
    "for this order",
    "spectral_tail": "the state has structure at the grid scale: use more points along that axis",
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
        self._warned: set[str] = set()

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
            limit = self._limits[guard]
            worst = max((self._worst(name, scalars), name) for name in watched)
            if limit == "off" or worst[0] <= limit or guard in self._warned:
                continue
            message = (
                f"{worst[1]} is {worst[0]:.2g} at t = {time:.6g}, above monitors.{guard} = {limit:g}; "
                f"{REMEDIES[guard]}"
            )
            if self._stops:
                raise NumericalStopError(message)
            self._warned.add(guard)
            _log.warning(message)

    def _worst(self, name: str, scalars: Mapping[str, FloatArray]) -> float:
        """Largest value of a watched scalar; a drift of the sum where bands exchange what they hold."""
        quantity = name.removesuffix("_drift")
        interacting = quantity == "energy" and "interaction_energy" in scalars
        if not (name.endswith("_drift") and (self._over_bands or interacting)):
            return float(np.abs(scalars[name]).max())
        total = float(scalars[quantity].sum())
        if interacting:  # the potential of the others is in everybody's energy
            total -= float(scalars["interaction_energy"])
        first = self._sums.setdefault(quantity, total)
        return abs(total - first) / max(float(np.abs(scalars[quantity]).sum()), np.finfo(float).tiny)
