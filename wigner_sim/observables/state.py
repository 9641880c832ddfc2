"""What an observable sees: one band's effective geometry and its density w at one time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.effective_band import EffectiveBand
from wigner_sim.kinetics.faces import Face
from wigner_sim.observables.flow import BandFlow
from wigner_sim.observables.sums import Survey, survey
from wigner_sim.symbols import FloatArray


@dataclass(frozen=True)
class BandState:
    """The density w of one band at one time, with its other faces worked out on demand.

    Parameters
    ----------
    effective : EffectiveBand
    w : array (*x, *k)
    flow : BandFlow, optional
        How w flows at that time; currents need it, nothing else does.
    metered : bool
        Whether the validity meter will ask for the spectrum of f, which is made together with that of w.
    """

    effective: EffectiveBand
    w: FloatArray
    flow: BandFlow | None = None
    metered: bool = False

    @property
    def grid(self) -> PhaseSpaceGrid:
        """The phase-space grid."""
        return self.effective.space.grid

    @cached_property
    def f(self) -> FloatArray:
        """Band density f."""
        return self.face("f")

    @cached_property
    def c(self) -> FloatArray:
        """Occupation c."""
        return self.face("c")

    @cached_property
    def survey(self) -> Survey:
        """Sums and largest values of w."""
        tables = None if self.flow is None or self.w.dtype != float else self.flow.survey_tables
        if tables is not None:
            return tables.survey(self.w)
        return survey(self.grid, self.w, self.effective.total_energy_symbol)

    @cached_property
    def occupation_extremes(self) -> tuple[float, float]:
        """Smallest and largest c."""
        return self.effective.faces.occupation_extremes(self.w, self.survey.lanes)

    @cached_property
    def thinned_band_density(self) -> tuple[FloatArray, tuple[int, ...]]:
        """F at every second point of some axes, and which they are: see ``Faces.thinned_band_density``."""
        return self.effective.faces.thinned_band_density(self.w, 2)

    @cached_property
    def density_spectra(self) -> list[FloatArray] | None:
        """Largest squares of the modes of w along each position axis; see ``Faces.sampled_spectra``."""
        known = self._both_spectra if self.metered else None
        known = known or self.effective.faces.sampled_spectra(self.w, smeared=False)
        return None if known is None else known[0]

    @property
    def band_density_spectra(self) -> list[FloatArray] | None:
        """The same of f."""
        return None if self._both_spectra is None else self._both_spectra[1]

    @cached_property
    def _both_spectra(self) -> list[list[FloatArray]] | None:
        return self.effective.faces.sampled_spectra(self.w, smeared=True)

    @cached_property
    def rate(self) -> FloatArray:
        """``d_t w`` by the band's own equation."""
        return self.known_flow.rate(self.w)

    @property
    def known_flow(self) -> BandFlow:
        """The flow; an error of the caller if it was not given."""
        if self.flow is None:
            raise TypeError("currents need the band's flow: BandState(effective, w, BandFlows(band).at(t))")
        return self.flow

    def face(self, face: Face) -> FloatArray:
        """Any face of the state."""
        return self.effective.faces.to(face, self.w)
