"""The table of observables: name -> function, what it is a function of, unit and equation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from wigner_sim.grid import AXIS_LETTERS, PhaseSpaceGrid
from wigner_sim.observables import casimirs, currents, densities, moments, quality, totals
from wigner_sim.observables.flow_geometry import PARTS
from wigner_sim.observables.state import BandState
from wigner_sim.symbols import FloatArray


@dataclass(frozen=True)
class Observable:
    """A named observable: what it is a function of, its unit, and its equation (the first docstring line).

    Parameters
    ----------
    function : callable BandState -> array
    over : {"", "positions", "momenta"}
        A number, or a field.
    units, long_name : str
    components : {"", "directions", "axes"}
        A vector has one component for each direction of k (``current_x``, also where there is no position
        axis), or for each axis of phase space (``center_x``, ``center_kx``); they come first in the array.
    """

    function: Callable[[BandState], FloatArray]
    over: Literal["", "positions", "momenta"]
    units: str
    long_name: str
    components: Literal["", "directions", "axes"] = ""

    @property
    def equation(self) -> str:
        """The defining equation, in words and letters."""
        return (self.function.__doc__ or "").strip().splitlines()[0]

    def labels(self, grid: PhaseSpaceGrid) -> tuple[str, ...]:
        """Names of the components; empty for a scalar."""
        if self.components == "directions":
            return AXIS_LETTERS[: grid.n_momentum_axes]
        return grid.dims if self.components else ()


_PART_NAMES = {
    "group": "total current of the bare band",
    "anomalous": "total anomalous current",
    "moment": "total current of the orbital moment",
    "metric": "total current of the quantum metric",
    "normalized_metric": "total current of the band-normalized metric",
}

OBSERVABLES: dict[str, Observable] = {
    "particle_number": Observable(densities.particle_number, "", "1", "particle number"),
    "energy": Observable(densities.energy, "", "1", "energy"),
    "filling": Observable(densities.filling, "", "1", "particles per state of the band"),
    "occupation_min": Observable(quality.occupation_minimum, "", "1", "smallest occupation c"),
    "occupation_max": Observable(quality.occupation_maximum, "", "1", "largest occupation c"),
    "spectral_tail_x": Observable(quality.spectral_tail_position, "", "1", "spectral tail in position"),
    "spectral_tail_k": Observable(quality.spectral_tail_momentum, "", "1", "spectral tail in momentum"),
    "current_total": Observable(totals.total_current, "", "1", "total particle current", "directions"),
    **{
        f"current_{name}": Observable(totals.part(name), "", "1", _PART_NAMES[name], "directions")
        for name in PARTS
    },
    "center": Observable(moments.centers, "", "1", "center of f", "axes"),
    "variance": Observable(moments.variances, "", "1", "variance of f", "axes"),
    "purity": Observable(casimirs.purity, "", "1", "purity tr rho^2"),
    "entropy": Observable(casimirs.entropy, "", "1", "entropy of independent fermions"),
    "density": Observable(densities.density, "positions", "1", "density per cell"),
    "energy_density": Observable(densities.energy_density, "positions", "1", "energy density per cell"),
    "current": Observable(currents.current, "positions", "1", "particle current density", "directions"),
    "energy_current": Observable(
        currents.energy_current, "positions", "1", "energy current density", "directions"
    ),
    "momentum_distribution": Observable(
        densities.momentum_distribution, "momenta", "1", "momentum distribution"
    ),
}


def component_names(name: str, grid: PhaseSpaceGrid) -> list[str]:
    """Names under which an observable is stored: ``energy``; ``current_x``, ``current_y``."""
    labels = OBSERVABLES[name].labels(grid)
    return [f"{name}_{label}" for label in labels] if labels else [name]


def measure(state: BandState, names: Sequence[str]) -> dict[str, FloatArray]:
    """Evaluate observables of one band's state, by the names of their components."""
    values: dict[str, FloatArray] = {}
    for name in names:
        result = OBSERVABLES[name].function(state)
        parts = result if OBSERVABLES[name].components else [result]
        values.update(zip(component_names(name, state.grid), parts, strict=True))
    return values
