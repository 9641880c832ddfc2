"""Several bands in their common mean field, stepped together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_stack import BandStack, StackedFlow
from wigner_sim.kinetics.mean_field import (
    AccelerationByDensity,
    InteractingFlow,
    Interaction,
    MeanField,
    StreamingOfBands,
)
from wigner_sim.kinetics.phase_space_system import OwnScalar
from wigner_sim.kinetics.terms import Term
from wigner_sim.models.hamiltonian import with_potential
from wigner_sim.steppers import Schedule, compose
from wigner_sim.symbols import FloatArray


@dataclass(frozen=True)
class _PotentialOnGrid:
    """A potential known on the points of the grid only, and its rate of change around one time."""

    grid: PhaseSpaceGrid
    values: FloatArray
    rate: FloatArray
    time: float

    def __call__(self, x: FloatArray, t: float) -> FloatArray:
        spacings = zip(self.grid.n_x, self.grid.lengths, strict=True)
        points = tuple(np.rint(x[i] * n / length).astype(int) % n for i, (n, length) in enumerate(spacings))
        return np.asarray(self.values[points] + (t - self.time) * self.rate[points])


@dataclass(frozen=True)
class InteractingStack(BandStack):
    """The equations of bands that interact through their density; satisfies ``steppers.SplitEquation``.

    Parameters
    ----------
    bands : sequence of BandEvolution
        All of one Hamiltonian.
    couplings : empty
    interaction : Interaction

    Raises
    ------
    CaseError
        As :class:`MeanField`.

    Notes
    -----
    A splitting step has three parts: streaming; acceleration by the part of the mean field that comes from
    ``int_k w``, which acceleration leaves as it is, so that its flow is exact; and everything of second
    order, with the mean field renewed at every stage of RK4.
    """

    interaction: Interaction = field(kw_only=True)

    def __post_init__(self) -> None:
        _ = self.mean_field  # refuses at once what cannot be done

    @cached_property
    def mean_field(self) -> MeanField:
        """The bands with their interaction."""
        return MeanField(self.bands, self.interaction)

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Time derivative of all bands."""
        return self._whole.rhs(w, t)

    def spectral_radius(self, t: float) -> float:
        """Bound on the eigenvalues without the mean field."""
        return self._whole.spectral_radius(t)

    @cached_property
    def flows(self) -> Sequence[StackedFlow | Term]:
        """Streaming, acceleration and, where there is anything, the rest."""
        flows: list[Any] = [StreamingOfBands(self.mean_field), AccelerationByDensity(self.mean_field)]
        if any(band.has_remainder for band in self.mean_field.bands):
            flows.append(InteractingFlow(self.mean_field, remainder=True))
        return flows

    def compose(
        self, w: FloatArray, t: float, dt: float, schedule: Schedule, out: FloatArray | None = None
    ) -> FloatArray:
        """State after a schedule of the flows."""
        after = compose(self.flows, w, t, dt, schedule)
        if out is None:
            return after
        out[...] = after
        return out

    def evolutions(self, w: FloatArray, t: float) -> Sequence[BandEvolution]:
        """The bands in the mean field of a state, which changes at the rate it has there."""
        potentials = self.mean_field.potentials(w)
        first = self.bands[0]
        potential = _PotentialOnGrid(first.grid, potentials.total, potentials.rate, t)
        hamiltonian = with_potential(first.hamiltonian, potential)
        return [BandEvolution(hamiltonian, first.grid, band.band, band.options) for band in self.bands]

    @property
    def local_field_descriptions(self) -> dict[str, str]:
        """Names and long names of :meth:`local_fields`."""
        return {"mean_field_potential": "potential of the electrons' density"}

    def local_fields(self, w: FloatArray, t: float) -> dict[str, FloatArray]:
        """The mean field, the same for every band, shape (b, *x)."""
        total = self.mean_field.potentials(w).total
        return {"mean_field_potential": np.broadcast_to(total, (len(w), *total.shape)).copy()}

    @property
    def own_scalars(self) -> Mapping[str, OwnScalar]:
        """The interaction energy."""
        return {"interaction_energy": OwnScalar(False, "interaction energy", "(1/2) int (n - n_0) U_mf")}

    def measure(self, w: FloatArray, t: float) -> dict[str, FloatArray]:
        """Interaction energy; ``sum_b energy_b`` less it is conserved, as energy_b has all of U."""
        return {"interaction_energy": np.asarray(self.mean_field.energy(w))}

    @cached_property
    def _whole(self) -> InteractingFlow:
        return InteractingFlow(self.mean_field, remainder=False)
