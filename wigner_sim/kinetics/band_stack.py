"""Several bands stepped together: one equation for a state of shape (b, *x, *k).  Bands do not couple."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.symbols import FloatArray


@dataclass(frozen=True)
class BandStack:
    """The equations of several bands side by side; satisfies ``steppers.SplitEquation``."""

    bands: Sequence[BandEvolution]

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Time derivative, band by band."""
        return np.stack([band.rhs(w_band, t) for band, w_band in zip(self.bands, w, strict=True)])

    def spectral_radius(self, t: float) -> float:
        """The largest of the bands' bounds."""
        return max(band.spectral_radius(t) for band in self.bands)

    @cached_property
    def flows(self) -> Sequence[StackedFlow]:
        """Flow i of every band that has one."""
        n_flows = max(len(band.flows) for band in self.bands)
        return [StackedFlow(self.bands, index) for index in range(n_flows)]


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
