"""What a time stepper needs from an equation, and what a simulation needs from a stepper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from numpy.typing import NDArray

from wigner_sim.steppers.truncation import Polynomials


class Flow(Protocol):
    """One part of the equation whose own evolution is known (exactly, or to at least order 4)."""

    def flow(self, u: NDArray, t: float, dt: float) -> NDArray:
        """State after ``dt`` under this part alone, its coefficients frozen at time ``t``."""
        ...


class Equation(Protocol):
    """An equation ``du/dt = rhs(u, t)``."""

    def rhs(self, u: NDArray, t: float) -> NDArray:
        """Time derivative of the state."""
        ...

    def spectral_radius(self, t: float) -> float:
        """Upper bound of the modulus of the eigenvalues of the right-hand side (1/time)."""
        ...


class SplitEquation(Equation, Protocol):
    """An equation that is a sum of parts with known flows."""

    @property
    def flows(self) -> Sequence[Flow]:
        """The parts; their right-hand sides add up to ``rhs``."""
        ...


class Act(NamedTuple):
    """A part, by number, acts for a fraction of a step; None moves the time.

    ``polynomials`` may stand for its exponential, if they do in all acts of this part in the step.
    """

    part: int | None
    fraction: float
    polynomials: Polynomials | None = None


#: What acts in a step, in its order.
Schedule = Sequence[Act]


@runtime_checkable
class ComposedEquation(SplitEquation, Protocol):
    """A split equation that applies a whole schedule of its flows itself, and may join neighbours."""

    def compose(
        self, u: NDArray, t: float, dt: float, schedule: Schedule, out: NDArray | None = None
    ) -> NDArray:
        """State after the schedule, in ``out`` if given, which may be ``u``; else ``u`` is left untouched."""
        ...


class Stepper(Protocol):
    """A one-step scheme.

    Attributes
    ----------
    name : str
    order : int
        Global error falls as dt^order; measured by the tests for every entry of the table.
    stability_limit : float
        Largest ``dt * spectral_radius`` on the imaginary axis; infinite for splitting schemes.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def order(self) -> int: ...  # noqa: D102

    @property
    def stability_limit(self) -> float: ...  # noqa: D102

    def step(self, equation: SplitEquation, u: NDArray, t: float, dt: float) -> NDArray:
        """State at ``t + dt`` (the input is left untouched)."""
        ...
