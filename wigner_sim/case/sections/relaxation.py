"""The sections ``[relaxation]`` and ``[[reservoirs]]``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from wigner_sim.case.fields import Expression, Expressions, Positive, inconsistent, key
from wigner_sim.case.sections.base import ON_OFF, Section


class RelaxationSection(Section):
    """Collisions in the relaxation-time form, I = -rate (w - w_eq[mu, T])."""

    rate: float | Expression | Expressions = key(
        0.0,
        "Rate 1/tau of relaxation, not negative; 0 means that there are no collisions.  A list gives one "
        "entry per chosen band.",
        "a number >= 0, an expression of x and k, or a list of these",
        unit="rate",
    )
    conserve: Literal["nothing", "particles", "particles_and_energy"] = key(
        "particles",
        "What collisions conserve at every position: mu(x), or mu(x) and T(x), follow from the state.",
        '"nothing", "particles" or "particles_and_energy"',
    )
    mu: float | Expression | None = key(
        None,
        'Chemical potential, for conserve = "nothing".',
        "a number or an expression of x",
        "none",
        unit="energy",
    )
    temperature: Positive | Expression | None = key(
        None,
        'Temperature; a first guess for conserve = "particles_and_energy".',
        "a number > 0 or an expression of x",
        'none; required unless conserve = "particles_and_energy"',
        unit="energy",
    )
    shared_bands: bool = key(True, "Whether all chosen bands share mu and T.", ON_OFF)

    @model_validator(mode="after")
    def _check_what_is_given(self) -> RelaxationSection:
        if isinstance(self.rate, float) and self.rate < 0:
            raise inconsistent("relaxation", "rate", f"expected a rate >= 0, got {self.rate}")
        if self.rate == 0.0:
            return self
        if self.conserve == "nothing" and self.mu is None:
            problem = 'expected a number or an expression of x, as conserve = "nothing" needs it'
            raise inconsistent("relaxation", "mu", problem)
        if self.conserve != "nothing" and self.mu is not None:
            problem = f'has no effect with conserve = "{self.conserve}", where it follows from the state'
            raise inconsistent("relaxation", "mu", problem)
        if self.conserve != "particles_and_energy" and self.temperature is None:
            problem = f'expected a number > 0 or an expression of x, as conserve = "{self.conserve}" needs it'
            raise inconsistent("relaxation", "temperature", problem)
        return self


class ReservoirSection(Section):
    """A reservoir: relaxation to given mu and T, with a rate that is large in a layer, zero elsewhere."""

    rate: Positive | Expression = key(
        ..., "Rate of exchange.", "a number > 0 or an expression of x and k", unit="rate"
    )
    mu: float | Expression = key(..., "Chemical potential.", "a number or an expression of x", unit="energy")
    temperature: Positive | Expression = key(
        ..., "Temperature.", "a number > 0 or an expression of x", unit="energy"
    )


def _list_as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Reservoirs = Annotated[tuple[ReservoirSection, ...], BeforeValidator(_list_as_tuple)]
