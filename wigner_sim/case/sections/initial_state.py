"""The section ``[initial_state]``: one model per kind of state."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wigner_sim.case.fields import (
    Expression,
    Expressions,
    Numbers,
    Positive,
    Positives,
    Text,
    inconsistent,
    key,
)
from wigner_sim.case.sections.base import Section

SYMBOL_VALUE = 'an expression of x and k, a number, "python:FILE.py:FUNCTION" or "array:FILE.npy"'


class SymbolState(Section):
    """The occupation symbol c(x, k) itself."""

    kind: Literal["symbol"]
    c: float | Expression | Expressions = key(
        ...,
        "The symbol c(x, k); a list gives one entry per chosen band.",
        SYMBOL_VALUE + ", or a list of these",
    )


class GaussianState(Section):
    """A Gaussian packet in phase space, periodic."""

    kind: Literal["gaussian"]
    center_x: Numbers | None = key(
        None,
        "Centre along each position axis.",
        "a list of numbers, one per position axis",
        "sites / 2",
        unit="position",
    )
    center_k: Numbers | None = key(
        None,
        "Centre along each momentum axis.",
        "a list of numbers, one per momentum axis",
        "0 on each axis",
        unit="momentum",
    )
    width_x: Positives = key(
        ...,
        "Standard deviation along each position axis.",
        "a list of numbers > 0, one per position axis",
        unit="position",
    )
    width_k: Positives = key(
        ...,
        "Standard deviation along each momentum axis.",
        "a list of numbers > 0, one per momentum axis",
        unit="momentum",
    )
    amplitude: float = key(1.0, "Height of the packet.", "a number")


class ThermalState(Section):
    """Local equilibrium of the chosen bands, to second order in gradients."""

    kind: Literal["thermal"]
    mu: float | Expression = key(0.0, "Chemical potential.", "a number or an expression of x", unit="energy")
    temperature: Positive | Expression = key(
        ...,
        "Temperature (energy).",
        "a number > 0 or an expression of x",
        unit="energy",
    )


class ThermalBumpState(GaussianState):
    """A Gaussian bump on top of local equilibrium."""

    kind: Literal["thermal_bump"]  # type: ignore[assignment]
    mu: float | Expression = key(0.0, "Chemical potential.", "a number or an expression of x", unit="energy")
    temperature: Positive | Expression = key(
        ...,
        "Temperature (energy).",
        "a number > 0 or an expression of x",
        unit="energy",
    )


class EarlierRunState(Section):
    """The state stored by an earlier run."""

    kind: Literal["from_run"]
    run: Text = key(..., "Run or case directory, relative to the case file.", "a path")
    time: float = key(
        -1.0,
        "Which stored time to take; -1 is the last one.",
        "a time >= 0, or -1 for the last one",
        unit="time",
    )

    @model_validator(mode="after")
    def _check_time(self) -> EarlierRunState:
        if self.time < 0 and self.time != -1.0:
            raise inconsistent(
                "initial_state", "time", f"expected a time >= 0, or -1 for the last one, got {self.time}"
            )
        return self


InitialState = Annotated[
    SymbolState | GaussianState | ThermalState | ThermalBumpState | EarlierRunState,
    Field(discriminator="kind"),
]


INITIAL_STATES: dict[str, type[Section]] = {
    "symbol": SymbolState,
    "gaussian": GaussianState,
    "thermal": ThermalState,
    "thermal_bump": ThermalBumpState,
    "from_run": EarlierRunState,
}
