"""Several bands in their common mean field, stepped together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from wigner_sim.kinetics.band_stack import BandStack, StackedFlow
from wigner_sim.kinetics.effective_band import EffectiveBand
from wigner_sim.kinetics.mean_field import (
    AccelerationByDensity,
    InteractingFlow,
    Interaction,
    MeanField,
    StreamingOfBands,
)
from wigner_sim.kinetics.terms import Term
from wigner_sim.symbols import FloatArray


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
        self, w: FloatArray, t: float, dt: float, schedule: Sequence[tuple[int | None, float]]
    ) -> FloatArray:
        """State after a schedule of the flows; time is one of them."""
        for which, fraction in schedule:
            if which is None:
                t += fraction * dt
            else:
                w = self.flows[which].flow(w, t, fraction * dt)
        return w

    def effective_bands(self, w: FloatArray, t: float) -> list[EffectiveBand]:
        """The bands in the mean field of a state."""
        potentials = self.mean_field.potentials(w)
        return [
            band.effective_in(band.in_field(t, potentials.total, potentials.rate))
            for band in self.mean_field.bands
        ]

    @property
    def local_field_descriptions(self) -> dict[str, str]:
        """Names and long names of :meth:`local_fields`."""
        return {"mean_field_potential": "potential of the electrons' density"}

    def local_fields(self, w: FloatArray, t: float) -> dict[str, FloatArray]:
        """The mean field, the same for every band, shape (b, *x)."""
        total = self.mean_field.potentials(w).total
        return {"mean_field_potential": np.broadcast_to(total, (len(w), *total.shape)).copy()}

    @property
    def scalar_descriptions(self) -> dict[str, str]:
        """Names and long names of :meth:`scalars`."""
        return {"interaction_energy": "interaction energy, (1/2) int (n - n_0) U_mf"}

    def scalars(self, w: FloatArray) -> dict[str, FloatArray]:
        """Interaction energy; ``sum_b energy_b`` less this is conserved, as energy_b has all of U."""
        return {"interaction_energy": np.asarray(self.mean_field.energy(w))}

    @cached_property
    def _whole(self) -> InteractingFlow:
        return InteractingFlow(self.mean_field, remainder=False)
