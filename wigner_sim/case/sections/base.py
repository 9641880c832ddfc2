"""What every section of a case file has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

ON_OFF = "true or false"


class Section(BaseModel):
    """A table of the case file: unknown keys are refused, types are not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def _complete(self, **derived: Any) -> None:
        """Fill keys that were left out with values worked out from others."""
        for name, value in derived.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
