"""Splitting schemes: compositions of the flows of an equation's parts, in any number.

One basic step is ``chi_h = F_1(h) F_2(h) .. F_m(h)`` and its adjoint ``F_m(h) .. F_1(h)``; a scheme
alternates the two with fractions gamma_j of the time step.  Time itself is one more part: it moves
in the middle of chi, the coefficients of the others being frozen, which keeps the order for
time-dependent equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from numpy.typing import NDArray

from wigner_sim.steppers.protocol import Act, ComposedEquation, Flow, Schedule, SplitEquation
from wigner_sim.steppers.truncation import Gathering, Polynomials, Truncation

#: Strang 1968 (Marchuk 1968): chi then its adjoint with half steps.
STRANG = (0.5, 0.5)


def _alternating(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
    """Fractions gamma from the coefficients ``A a_1, B b_1, A a_2, ...`` of a two-part scheme.

    ``gamma_1 = a_1``, ``gamma_2j = b_j - gamma_2j-1``, ``gamma_2j+1 = a_j+1 - gamma_2j``.
    McLachlan, SIAM J. Sci. Comput. 16, 151 (1995).
    """
    gamma = [a[0]]
    for b_j, a_next in zip(b, a[1:], strict=True):
        gamma.append(b_j - gamma[-1])
        gamma.append(a_next - gamma[-1])
    return tuple(gamma[:-1])


def _blanes_moan() -> tuple[float, ...]:
    a = (0.0792036964311957, 0.353172906049774, -0.0420650803577195)
    b = (0.209515106613362, -0.143851773179818)
    middle_a, middle_b = 1 - 2 * sum(a), 0.5 - sum(b)
    return _alternating((*a, middle_a, *a[::-1]), (*b, middle_b, middle_b, *b[::-1]))


#: Order 4 with six stages, S6 of Blanes and Moan, J. Comput. Appl. Math. 142, 313 (2002), table 2.
BLANES_MOAN4 = _blanes_moan()

#: How the series of parts without a flow in closed form are cut; found by search: least error, no growth.
SERIES_CUT = Truncation(
    small=Gathering(1, 2, 4, (0.0409, 0.0)),
    large=Gathering(2, 3, 4, (-0.0074, 0.000497)),
    outer=Gathering(1, 1, 3, (0.0737, 0.0118, 0.0)),
)


def compose(flows: Sequence[Flow], u: NDArray, t: float, dt: float, schedule: Schedule) -> NDArray:
    """Apply flows one after the other."""
    for which, fraction, _ in schedule:
        if which is None:
            t += fraction * dt
        else:
            u = flows[which].flow(u, t, fraction * dt)
    return u


@dataclass(frozen=True)
class Composition:
    """A scheme given by its fractions gamma: chi, adjoint, chi, adjoint, ...

    ``truncation`` says how short the series may be of parts without a flow in closed form.
    """

    name: str
    order: int
    fractions: tuple[float, ...]
    truncation: Truncation | None = None
    stability_limit: float = float("inf")

    def step(self, equation: SplitEquation, u: NDArray, t: float, dt: float) -> NDArray:
        """State at ``t + dt``."""
        flows = equation.flows
        schedule = self._sequence(len(flows))
        if isinstance(equation, ComposedEquation):
            return equation.compose(u, t, dt, schedule)
        return compose(flows, u, t, dt, schedule)

    def step_in_place(self, equation: ComposedEquation, u: NDArray, t: float, dt: float) -> None:
        """Turn ``u`` into the state at ``t + dt``."""
        equation.compose(u, t, dt, self._sequence(len(equation.flows)), out=u)

    @cached_property
    def _sequences(self) -> dict[int, Schedule]:
        return {}

    def _sequence(self, n_flows: int) -> Schedule:
        """Flows in the order they act, ``None`` for time, equal neighbours merged."""
        if n_flows not in self._sequences:
            # time moves after the first part, so that no part acts twice where chi meets its adjoint
            parts: list[int | None] = [0, None, *range(1, n_flows)]
            merged: list[Act] = []
            for j, fraction in enumerate(self.fractions):
                for part in parts if j % 2 == 0 else reversed(parts):
                    if merged and merged[-1].part == part:
                        merged[-1] = Act(part, merged[-1].fraction + fraction)
                    else:
                        merged.append(Act(part, fraction, self._polynomials[j]))
            self._sequences[n_flows] = self._with_outer_polynomials(merged)
        return self._sequences[n_flows]

    @cached_property
    def _polynomials(self) -> Sequence[Polynomials | None]:
        if self.truncation is None:
            return [None] * len(self.fractions)
        return self.truncation.polynomials(self.fractions)

    def _with_outer_polynomials(self, acts: Sequence[Act]) -> Schedule:
        """The acts of the first part with their own polynomials."""
        if self.truncation is None:
            return tuple(acts)
        fractions = [act.fraction for act in acts if act.part == 0]
        polynomials = iter(self.truncation.outer_polynomials(fractions) if len(fractions) > 1 else [None])
        return tuple(act._replace(polynomials=next(polynomials)) if act.part == 0 else act for act in acts)
