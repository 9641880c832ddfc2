"""Observables of one band: numbers and fields made from the density w, in one table.

An observable sees a :class:`BandState` and returns an array; it never writes.  Adding one means adding a
function to the module of its kind and a line in ``OBSERVABLES`` (module ``table``).
"""

from wigner_sim.observables.densities import (
    density,
    energy,
    energy_density,
    momentum_distribution,
    particle_number,
)
from wigner_sim.observables.flow import BandFlow, BandFlows
from wigner_sim.observables.projections import projection
from wigner_sim.observables.quality import spectral_tail
from wigner_sim.observables.state import BandState
from wigner_sim.observables.table import (
    OBSERVABLES,
    Observable,
    component_names,
    measure,
)

__all__ = [
    "OBSERVABLES",
    "BandFlow",
    "BandFlows",
    "BandState",
    "Observable",
    "component_names",
    "density",
    "energy",
    "energy_density",
    "measure",
    "momentum_distribution",
    "particle_number",
    "projection",
    "spectral_tail",
]
