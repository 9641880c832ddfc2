"""Several bands stepped together: one equation for a state of shape (b, *x, *k)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.collisions import LOCAL_FIELDS, ConservingRelaxation
from wigner_sim.kinetics.phase_space_system import OwnScalar
from wigner_sim.kinetics.terms import Term
from wigner_sim.steppers import Act, Schedule
from wigner_sim.symbols import FloatArray


@dataclass(frozen=True)
class BandStack:
    """The equations of several bands side by side; satisfies ``PhaseSpaceSystem``.

    Parameters
    ----------
    bands : sequence of BandEvolution
        They do not couple by themselves.
    couplings : sequence of Term
        Further terms, which act on the state of all bands together (relaxation, reservoirs).
    """

    bands: Sequence[BandEvolution]
    couplings: Sequence[Term] = ()

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Time derivative: band by band, then the couplings."""
        rate = np.stack([band.rhs(w_band, t) for band, w_band in zip(self.bands, w, strict=True)])
        for coupling in self.couplings:
            rate += coupling.rhs(w, t)
        return rate

    def spectral_radius(self, t: float) -> float:
        """The largest of the bands' bounds, and those of the couplings."""
        return max(band.spectral_radius(t) for band in self.bands) + sum(
            coupling.spectral_radius(t) for coupling in self.couplings
        )

    def assemble(self, densities: FloatArray) -> FloatArray:
        """The densities themselves."""
        return densities

    def densities(self, w: FloatArray, t: float) -> FloatArray:
        """The densities of the bands: the state itself."""
        return w

    @property
    def own_scalars(self) -> Mapping[str, OwnScalar]:
        """None beside those of the bands."""
        return {}

    def measure(self, w: FloatArray, t: float) -> dict[str, FloatArray]:
        """Nothing beside the bands."""
        return {}

    @cached_property
    def flows(self) -> Sequence[StackedFlow | Term]:
        """Flow i of every band that has one, then the couplings."""
        n_flows = max(len(band.flows) for band in self.bands)
        return [*(StackedFlow(self.bands, index) for index in range(n_flows)), *self.couplings]

    def evolutions(self, w: FloatArray, t: float) -> Sequence[BandEvolution]:
        """The bands themselves."""
        return self.bands

    @property
    def local_field_descriptions(self) -> dict[str, str]:
        """Names and long names of :meth:`local_fields`."""
        follows = any(isinstance(coupling, ConservingRelaxation) for coupling in self.couplings)
        return LOCAL_FIELDS if follows else {}

    def local_fields(self, w: FloatArray, t: float) -> dict[str, FloatArray]:
        """What the couplings work out at every position, each (b, *x); see ``collisions.LOCAL_FIELDS``."""
        fields: dict[str, FloatArray] = {}
        for coupling in self.couplings:
            if isinstance(coupling, ConservingRelaxation):
                fields |= coupling.local_fields(w, t)
        return fields

    def compose(
        self, w: FloatArray, t: float, dt: float, schedule: Schedule, out: FloatArray | None = None
    ) -> FloatArray:
        """State after a schedule of the flows: the bands' own between couplings, each band by itself."""
        if out is None:
            out = np.empty(w.shape, w.dtype)
        source = w
        n_band_flows = len(self.flows) - len(self.couplings)
        run: list[Act] = []
        for act in schedule:
            if act.part is None or act.part < n_band_flows:
                run.append(act)
                continue
            t = self._compose_bands(source, out, t, dt, run)
            out[...] = self.couplings[act.part - n_band_flows].flow(out, t, act.fraction * dt)
            source, run = out, []
        self._compose_bands(source, out, t, dt, run)
        return out

    def _compose_bands(
        self, w: FloatArray, out: FloatArray, t: float, dt: float, schedule: Schedule
    ) -> float:
        """Each band's own flows, from ``w`` to ``out``; returns the time after them."""
        for band, before, after in zip(self.bands, w, out, strict=True):
            own = [act for act in schedule if act.part is None or act.part < len(band.flows)]
            band.compose(before, t, dt, own, out=after)
        return t + dt * sum(act.fraction for act in schedule if act.part is None)


@dataclass(frozen=True)
class StackedFlow:
    """One term of every band."""

    bands: Sequence[BandEvolution]
    index: int

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """State after ``dt`` under this term; a band without it stays."""
        return np.stack(
            [
                band.flows[self.index].flow(w_band, t, dt) if self.index < len(band.flows) else w_band
                for band, w_band in zip(self.bands, w, strict=True)
            ]
        )
