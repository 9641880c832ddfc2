"""One band of a Hamiltonian as an equation that a time stepper can advance, static or driven."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_sources import BandSource, ClosedFormBand, GeneralBand, ProductBandSource
from wigner_sim.kinetics.effective_band import EffectiveBand
from wigner_sim.kinetics.equation import KineticEquation, split_equation, unsplit_equation
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.kinetics.terms import Term
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.symbols import FloatArray, SymbolSpace

#: Effective bands kept at once: the stage times of one step of any scheme in the table.
_KEPT_TIMES = 16


def check_options(options: EquationOptions, separable: bool, magnetic: bool) -> None:
    """Refuse choices that have no meaning for the Hamiltonian.

    Raises
    ------
    CaseError
        For a general H(x, k, t) or with a magnetic field: at second order the geometric terms mix, at first
        order two of them separate, and the Moyal term always does.
    """
    closed_form = separable and not magnetic
    if options.moyal_series == "all_orders" and not (closed_form and options.split):
        raise CaseError(
            'equation.moyal_series = "all_orders" needs H0(k) + U(x, t) without magnetic field and '
            "a splitting stepper (strang or blanes_moan4)"
        )
    if closed_form:
        return
    always = {"moyal"} if options.order == 2 else set(vars(options.terms))
    mixed = [name for name in options.terms.switched_off() if name not in always]
    if mixed:
        raise CaseError(
            f"equation.terms.{mixed[0]} = false has no separate meaning at order 2 for this Hamiltonian: "
            "only for H0(k) + U(x, t) without magnetic field do the geometric terms split (at order 1 berry "
            "and orbital_moment do for any H)"
        )


class BandEvolution:
    """Kinetic equation of one band, with coefficients renewed in time when the Hamiltonian is driven.

    Satisfies ``steppers.SplitEquation``.

    Parameters
    ----------
    hamiltonian : Hamiltonian
    grid : PhaseSpaceGrid
    band : int
    options : EquationOptions

    Raises
    ------
    BandTouchingError, CaseError
    """

    def __init__(self, hamiltonian: Hamiltonian, grid: PhaseSpaceGrid, band: int, options: EquationOptions):
        if not 0 <= band < hamiltonian.n_orbitals:
            last = hamiltonian.n_orbitals - 1
            raise CaseError(f"bands.select: band {band} was asked for, the Hamiltonian has bands 0 to {last}")
        self.hamiltonian = hamiltonian
        self.grid = grid
        self.band = band
        self.options = options
        self.space = SymbolSpace(grid, hamiltonian.orbital_positions)
        self.driven = hamiltonian.driven
        self._source = self._choose_source()
        self._equations: OrderedDict[float, KineticEquation] = OrderedDict()
        self._effective: tuple[float, EffectiveBand] | None = None

    def effective(self, t: float = 0.0) -> EffectiveBand:
        """The effective band at time ``t``."""
        key = t if self.driven else 0.0
        if self._effective is None or self._effective[0] != key:
            self._effective = key, self._source.effective(key)
        return self._effective[1]

    def equation(self, t: float = 0.0) -> KineticEquation:
        """The kinetic equation with coefficients at time ``t``."""
        key = t if self.driven else 0.0
        if key not in self._equations:
            while len(self._equations) >= _KEPT_TIMES:
                self._equations.popitem(last=False)
            self._equations[key] = self._make_equation(key)
        return self._equations[key]

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Time derivative of w."""
        return self.equation(t).rhs(w, t)

    def spectral_radius(self, t: float) -> float:
        """Bound on the eigenvalues at time ``t``."""
        return self.equation(t).spectral_radius(t)

    @cached_property
    def flows(self) -> Sequence[Term | DrivenFlow]:
        """The terms; for a driven Hamiltonian each looks up its coefficients at the time it acts."""
        if not self.driven:
            return self.equation().flows
        return [DrivenFlow(self, index) for index in range(len(self.equation().flows))]

    def _choose_source(self) -> BandSource:
        s = self.grid.n_position_axes
        separable, magnetic = self.hamiltonian.separable, bool(np.any(self.grid.epsilon[s:, s:]))
        check_options(self.options, separable, magnetic)
        geometric = [name for name in self.options.terms.switched_off() if name != "moyal"]
        kind: type[ClosedFormBand | ProductBandSource | GeneralBand] = GeneralBand
        if separable:
            kind = ClosedFormBand if geometric and not magnetic else ProductBandSource
        if separable and magnetic and geometric:  # first order only, see check_options
            kind = GeneralBand
        return kind(self.hamiltonian, self.space, self.band, self.options)

    def _make_equation(self, t: float) -> KineticEquation:
        split = self.options.split
        coefficients = self._source.coefficients(t, remainder=split)
        if split:
            return split_equation(coefficients, self.options, coefficients.velocity, always_rest=self.driven)
        return unsplit_equation(coefficients, self.options, coefficients.velocity)


@dataclass(frozen=True)
class DrivenFlow:
    """One term of a driven equation, its coefficients frozen at the time it is asked for."""

    evolution: BandEvolution
    index: int

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """State after ``dt`` under this term."""
        return self.evolution.equation(t).flows[self.index].flow(w, t, dt)
