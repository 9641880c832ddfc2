"""The section ``[mean_field]``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wigner_sim.case.fields import inconsistent, key
from wigner_sim.case.sections.base import Section


class MeanFieldSection(Section):
    """The electrons' own potential, from the density of all followed bands less a background."""

    kind: Literal["none", "contact", "poisson"] = key(
        "none",
        "U = strength (n - n_0), or the periodic solution of -U'' + screening^2 U = strength (n - n_0).",
        '"none", "contact" or "poisson"',
    )
    strength: float = key(
        0.0, "Strength of the interaction, positive for repulsion.", "a number", unit="energy"
    )
    screening: Annotated[float, Field(ge=0)] = key(
        0.0, 'Inverse screening length, for kind = "poisson".', "a number >= 0", unit="wavenumber"
    )
    background: Literal["mean"] | float = key(
        "mean", "Density n_0 of the background per cell.", '"mean" or a number', unit="density"
    )

    @model_validator(mode="after")
    def _check_what_is_given(self) -> MeanFieldSection:
        if self.kind != "none" and self.strength == 0.0:
            problem = f'expected a number other than 0, as kind = "{self.kind}" needs it'
            raise inconsistent("mean_field", "strength", problem)
        if self.kind == "none" and self.strength != 0.0:
            raise inconsistent("mean_field", "strength", 'has no effect with kind = "none"')
        if self.kind != "poisson" and self.screening != 0.0:
            raise inconsistent("mean_field", "screening", f'has no effect with kind = "{self.kind}"')
        return self
