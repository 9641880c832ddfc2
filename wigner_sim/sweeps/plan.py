"""The members of a sweep: which values each of them gets."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from wigner_sim.case import Case
from wigner_sim.case.sections.sweep import swept_values
from wigner_sim.case.toml_text import emit_value
from wigner_sim.errors import CaseError
from wigner_sim.units import number_and_unit

#: More members than this are taken for a mistake.
MOST_MEMBERS = 100_000


@dataclass(frozen=True)
class Member:
    """One run of a sweep: its number, from 1, and the values it has."""

    number: int
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return ", ".join(
            f"{path.rpartition('.')[2]} = {emit_value(value)}" for path, value in self.values.items()
        )

    @property
    def name(self) -> str:
        """Name of its directory."""
        return f"{self.number:04d}"


@dataclass(frozen=True)
class Plan:
    """What a case sweeps.

    Parameters
    ----------
    case : Case
        With its section ``[sweep]``.
    axes : mapping str -> list
        The values of each swept key.
    """

    case: Case
    axes: Mapping[str, list[Any]]

    @property
    def mode(self) -> str:
        """``"product"`` or ``"zip"``."""
        return self.case.sweep.mode if self.case.sweep is not None else "product"

    @property
    def is_product(self) -> bool:
        """Whether every combination is run."""
        return self.mode == "product"

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """All members; in a product the last key runs fastest."""
        rows = (
            itertools.product(*self.axes.values())
            if self.is_product
            else zip(*self.axes.values(), strict=True)
        )
        return tuple(
            Member(number, dict(zip(self.axes, row, strict=True))) for number, row in enumerate(rows, start=1)
        )

    def case_of(self, member: Member) -> Case:
        """The case of one member.

        Raises
        ------
        CaseError
            If it is not valid, naming the member.
        """
        try:
            return self.case.member(member.values)
        except CaseError as error:
            raise CaseError(f"sweep member {member.name} ({member}): {error}") from None


def sweep_plan(case: Case) -> Plan:
    """Read what a case sweeps, and validate the case of every member.

    Raises
    ------
    CaseError
        If it has no sweep, values that do not fit together, or a member that is not a valid case.
    """
    source = "case" if case.path is None else str(case.path)
    if case.sweep is None:
        raise CaseError(
            f"{source}: nothing to sweep: add a section [sweep], for instance values = "
            '{ "time.end" = [1.0, 2.0] }'
        )
    axes = {path: _values(entry) for path, entry in swept_values(case.sweep.values).items()}
    lengths = {path: len(values) for path, values in axes.items()}
    n_members = int(np.prod(list(lengths.values()), dtype=float))
    if case.sweep.mode == "zip":
        n_members = min(lengths.values())
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{path} has {n}" for path, n in lengths.items())
            raise CaseError(f'{source}: [sweep] mode = "zip" needs as many values of each key; {counts}')
    if n_members > MOST_MEMBERS:
        raise CaseError(f"{source}: [sweep] has {n_members} members, more than {MOST_MEMBERS}")
    for path, values in axes.items():
        texts = [emit_value(value) for value in values]
        if case.sweep.mode == "product" and len(set(texts)) < len(texts):
            raise CaseError(f"{source}: [sweep] values: {path} has the same value twice")
    plan = Plan(case, axes)
    for member in plan.members:
        plan.case_of(member)
    return plan


def _values(entry: Any) -> list[Any]:
    """A list of values, also from a range; whole numbers stay whole, units stay what they are."""
    if isinstance(entry, list):
        return entry
    ((kind, (first, last, n)),) = entry.items()
    if (start := number_and_unit(first)) and (stop := number_and_unit(last)):
        numbers = _values({kind: [start[0], stop[0], n]})
        return [f"{number:.15g} {start[1]}" for number in numbers]
    spaced = np.linspace(first, last, n) if kind == "linspace" else np.geomspace(first, last, n)
    values: list[Any] = spaced.tolist()
    if type(first) is int and type(last) is int and np.array_equal(spaced, np.round(spaced)):
        values = [int(value) for value in values]
    return values
