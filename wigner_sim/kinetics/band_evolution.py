"""One band of a Hamiltonian as an equation that a time stepper can advance, static or driven."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from wigner_sim import fourier
from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_sources import BandSource, ClosedFormBand, GeneralBand, ProductBandSource
from wigner_sim.kinetics.effective_band import EffectiveBand
from wigner_sim.kinetics.equation import KineticEquation, split_equation, unsplit_equation
from wigner_sim.kinetics.fused import FusedFlows, TimedFlow
from wigner_sim.kinetics.magnetic_moyal import MagneticMoyal
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.kinetics.terms import Term
from wigner_sim.kinetics.velocity import stacked
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.parallel import give_memory_back
from wigner_sim.steppers import Act, Schedule, compose
from wigner_sim.symbols import FloatArray, Symbol, SymbolSpace

#: Equations kept at once: those of an adaptive step, a whole one of rk4 and its two halves.
KEPT_TIMES = 6
#: Points from which on the memory that a set-up leaves behind is worth the search for it (0.1 s).
_LARGE = 1 << 16


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
        self._projector: tuple[float, list[Symbol]] | None = None

    def effective(self, t: float = 0.0) -> EffectiveBand:
        """The effective band at time ``t``."""
        key = t if self.driven else 0.0
        if self._effective is None or self._effective[0] != key:
            self._effective = key, self._source.effective(key)
        return self._effective[1]

    def projector(self, t: float = 0.0) -> list[Symbol]:
        """Its Moyal projector at time ``t``, by order."""
        key = t if self.driven else 0.0
        if self._projector is None or self._projector[0] != key:
            self._projector = key, self._source.projector(key)
        return self._projector[1]

    def velocity(self, t: float = 0.0) -> FloatArray:
        """Flow velocity ``V_a`` of w at time ``t``, shape (a, *x, *k)."""
        return stacked(self._source.coefficients(t, remainder=False).velocity, self.grid)

    def equation(self, t: float = 0.0) -> KineticEquation:
        """The kinetic equation with coefficients at time ``t``."""
        key = t if self.driven else 0.0
        if key not in self._equations:
            while len(self._equations) >= KEPT_TIMES:
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
    def flows(self) -> Sequence[Term | DrivenFlow | FusedFlow]:
        """The terms; for a driven Hamiltonian each looks up its coefficients at the time it acts."""
        equation = self.equation()
        if equation.fused is not None:
            return [FusedFlow(self, index) for index in range(len(equation.fused.names))]
        if not self.driven:
            return equation.flows
        return [
            flow if index in self._timeless else DrivenFlow(self, index)
            for index, flow in enumerate(equation.flows)
        ]

    @cached_property
    def in_blocks(self) -> bool:
        """Whether the equation is stepped in compiled blocks."""
        return self.equation().fused is not None

    def compose(
        self, w: FloatArray, t: float, dt: float, schedule: Schedule, out: FloatArray | None = None
    ) -> FloatArray:
        """State after a schedule of the flows, in ``out`` if given (it may be ``w``)."""
        if out is None:
            out = np.empty(w.shape, w.dtype)
        if self.in_blocks:
            self._compose_in_blocks(np.ascontiguousarray(w), out, t, dt, schedule)
        else:
            out[...] = compose(self.flows, w, t, dt, schedule)
        return out

    def _compose_in_blocks(
        self, w: FloatArray, out: FloatArray, t: float, dt: float, schedule: Schedule
    ) -> None:
        """Flows between two moves of the time go to the blocks together.

        What does not depend on time needs no coefficients of its own time: it goes with what comes next, at
        the end of the schedule with what came before.
        """
        source, asked, used = w, False, t
        waiting: list[TimedFlow] = []
        for which, fraction, polynomials in schedule:
            if which is not None:
                # where coefficients move, so may the choice of a polynomial, which has to be one for the step
                own = None if self.driven else polynomials
                waiting.append(TimedFlow(self._names[which], fraction * dt, own))
                asked = asked or which not in self._timeless
            elif self.driven:
                if asked:
                    self._fused(t).advance(source, out, waiting, t)
                    source, waiting, asked, used = out, [], False, t
                t += fraction * dt
        used = t if asked else used
        self._fused(used).advance(source, out, waiting, used)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """Flows of the blocks, the same at all times."""
        return self._fused(0.0).names

    @cached_property
    def _magnetic(self) -> MagneticMoyal | None:
        """Third derivatives of E(k) with a field, which have tables of their own, the same at all times."""
        return self._fused(0.0).magnetic

    @cached_property
    def _timeless(self) -> frozenset[int]:
        """Flows that are the same at all times: streaming under E(k), and third derivatives of E(k)."""
        if not self.driven:
            return frozenset()  # nobody asks
        if isinstance(self._source, GeneralBand) or not self.grid.n_x:
            return frozenset()
        names = self._names if self.in_blocks else ("A",)
        return frozenset(index for index, name in enumerate(names) if name in "MA")

    def _fused(self, t: float) -> FusedFlows:
        fused = self.equation(t).fused
        assert fused is not None
        return fused

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
            equation = split_equation(
                coefficients, self.options, coefficients.velocity, always_rest=self.driven
            )
        else:
            equation = unsplit_equation(coefficients, self.options, coefficients.velocity)
        if self.driven and t and equation.fused is not None and equation.fused.magnetic is not None:
            equation = replace(equation, fused=replace(equation.fused, magnetic=self._magnetic))
        if not self.driven and prod(self.grid.shape) >= _LARGE:  # the set-up needs far more than the steps
            fourier.forget_plans()
            give_memory_back()
        return equation


@dataclass(frozen=True)
class DrivenFlow:
    """One term of a driven equation, its coefficients frozen at the time it is asked for."""

    evolution: BandEvolution
    index: int

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """State after ``dt`` under this term."""
        return self.evolution.equation(t).flows[self.index].flow(w, t, dt)


@dataclass(frozen=True)
class FusedFlow:
    """One flow of an equation in compiled blocks, by itself."""

    evolution: BandEvolution
    index: int

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """State after ``dt`` under this flow."""
        return self.evolution.compose(w, t, dt, [Act(self.index, 1.0)])
