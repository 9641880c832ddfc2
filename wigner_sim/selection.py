"""What a case wants recorded: names of observables turned into variables and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from wigner_sim.case.sections.run import OutputSection
from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.observables import OBSERVABLES, BandState, component_names, measure, projection
from wigner_sim.output import VariableSpec
from wigner_sim.symbols import FloatArray

#: Scalars that guards and drifts need: recorded always.
ALWAYS = (
    "particle_number",
    "energy",
    "occupation_min",
    "occupation_max",
    "spectral_tail_x",
    "spectral_tail_k",
)


@dataclass(frozen=True)
class Selection:
    """Observables of the scalars and fields streams; made by :func:`select`."""

    grid: PhaseSpaceGrid
    scalars: tuple[str, ...]
    fields: tuple[str, ...]
    projections: tuple[tuple[str, ...], ...]

    def scalar_variables(self) -> list[VariableSpec]:
        """Variables of ``scalars.nc`` that are observables."""
        return [spec for name in self.scalars for spec in self._specs(name)]

    def field_variables(self) -> list[VariableSpec]:
        """Variables of ``fields.nc``."""
        specs = [spec for name in self.fields for spec in self._specs(name)]
        for axes in self.projections:
            about = f"band density f along {', '.join(axes)}, integrated over the other axes"
            specs.append(VariableSpec(_projection_name(axes), ("time", "band", *axes), "1", about))
        return specs

    def scalar_values(self, states: Sequence[BandState]) -> dict[str, FloatArray]:
        """Scalars of all bands, each of shape (b,)."""
        return _stacked([measure(state, self.scalars) for state in states])

    def field_values(self, states: Sequence[BandState]) -> dict[str, FloatArray]:
        """Fields of all bands, stacked over bands."""
        values = []
        for state in states:
            projected = {_projection_name(axes): projection(state, axes) for axes in self.projections}
            values.append(measure(state, self.fields) | projected)
        return _stacked(values)

    def _specs(self, name: str) -> list[VariableSpec]:
        observable = OBSERVABLES[name]
        axes = {"": (), "positions": self.grid.position_names, "momenta": self.grid.momentum_names}
        dims = ("time", "band", *axes[observable.over])
        labels = observable.labels(self.grid) or ("",)
        return [
            VariableSpec(
                component,
                dims,
                observable.units,
                f"{observable.long_name} along {label}" if label else observable.long_name,
                observable.equation,
            )
            for component, label in zip(component_names(name, self.grid), labels, strict=True)
        ]


def select(output: OutputSection, grid: PhaseSpaceGrid) -> Selection:
    """The selection of a case on its grid.

    Raises
    ------
    CaseError
        If a name is unknown, or belongs to the other stream.
    """
    scalars = [name for name, observable in OBSERVABLES.items() if not observable.over]
    fields = [name for name, observable in OBSERVABLES.items() if observable.over]
    return Selection(
        grid=grid,
        scalars=(
            *ALWAYS,
            *(name for name in _known(output.scalars, scalars, "scalars") if name not in ALWAYS),
        ),
        fields=_known(output.fields, fields, "fields"),
        projections=tuple(_axes(text, grid) for text in output.projections),
    )


def _known(names: Sequence[str], allowed: Sequence[str], key: str) -> tuple[str, ...]:
    for name in names:
        if name not in allowed:
            near = get_close_matches(name, allowed, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise CaseError(f"output.{key}: no observable {name!r} there, only {', '.join(allowed)}{hint}")
    return tuple(dict.fromkeys(names))


def _axes(text: str, grid: PhaseSpaceGrid) -> tuple[str, ...]:
    """``"x, kx"`` as names of axes in the order of the grid."""
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in grid.dims]
    if unknown or len(set(names)) != len(names) or len(names) == grid.n_axes:
        raise CaseError(
            f"output.projections: expected some, but not all, of the axes {', '.join(grid.dims)} with commas "
            f"between them, got {text!r}"
        )
    return tuple(name for name in grid.dims if name in names)


def _projection_name(axes: Sequence[str]) -> str:
    return "_".join(["f", *axes])


def _stacked(values: Sequence[dict[str, FloatArray]]) -> dict[str, FloatArray]:
    return {name: np.stack([each[name] for each in values]) for name in values[0]}
