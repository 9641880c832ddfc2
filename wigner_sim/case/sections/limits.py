"""The section ``[limits]``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from wigner_sim.case.fields import key
from wigner_sim.case.sections.base import ON_OFF, Section

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d*)?)s)?")
_SECONDS = (86400.0, 3600.0, 60.0, 1.0)


def _seconds(value: Any) -> Any:
    """Seconds from text such as ``"23h50m"``; anything else is left to be judged as a number."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.replace(" ", ""))
    if not match or not match[0]:
        raise ValueError("not a duration")
    return sum(float(part or 0) * unit for part, unit in zip(match.groups(), _SECONDS, strict=True))


Duration = Annotated[float, Field(gt=0, le=1e10), BeforeValidator(_seconds)]


class LimitsSection(Section):
    """What a run may use."""

    wall_time: Duration | None = key(
        None,
        "Real time after which a run, or the part of it that was resumed, stops with a checkpoint and exit "
        "code 4; leave a few minutes before the end of a batch job.",
        'a number of seconds > 0, or text such as "23h50m"',
        "none",
    )
    check_disk: bool = key(
        True,
        "Refuse a run whose output, before compression, will not fit on the disk.",
        ON_OFF,
    )
