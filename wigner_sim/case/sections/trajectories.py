"""The section ``[trajectories]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from wigner_sim.case.fields import Band, Order, as_tuple, distinct, key
from wigner_sim.case.sections.base import Section

Start = Annotated[tuple[float, ...], BeforeValidator(as_tuple)]
Starts = Annotated[tuple[Start, ...], BeforeValidator(as_tuple)]
Orders = Annotated[tuple[Order, ...], AfterValidator(distinct), BeforeValidator(as_tuple)]


class TrajectoriesSection(Section):
    """Wave packets of the semiclassical equations of motion, drawn over the state in figures and movies."""

    starts: Starts = key(
        (),
        "Where packets start: for each one its positions, then its momenta; none if empty.",
        "a list of lists of numbers, one number per axis",
        unit="starts",
    )
    orders: Orders | None = key(
        None,
        "Orders of the equations of motion; each packet is followed at each of them.",
        "a list of distinct orders 0, 1 or 2",
        "[equation.order]",
    )
    band: Band | None = key(
        None, "Band of the packets.", "one of bands.select", "the first one of bands.select"
    )
