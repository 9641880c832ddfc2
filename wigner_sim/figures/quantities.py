"""What to draw, in a few letters: ``density``, ``current_x``, ``f(x, ky)``, ``f(kx, ky; x=3, y=0)``.

In parentheses stand the axes that are shown and, behind a semicolon, where others are cut; an axis that is
not mentioned is averaged over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import xarray as xr

from wigner_sim.errors import CaseError
from wigner_sim.figures.frames import (
    FACES,
    FrameSeries,
    Run,
    frame_series,
    image_series,
    momentum_dims,
    position_dims,
)

STREAMS = ("phase", "fields", "scalars", "geometry")
SYMBOLS = {"density": "n", "momentum_distribution": "n", "energy_density": "e", "f": "f", "w": "w", "c": "c"}
SYMBOLS |= {"particle_number": "N", "energy": "E"} | {f"current_{axis}": f"j_{axis}" for axis in "xyz"}


@dataclass(frozen=True)
class Quantity:
    """A stored variable and how it is to be seen.

    Parameters
    ----------
    name : str
        Of the variable.
    dims : tuple of str
        Axes that are shown; left open if empty.
    at : dict
        Where other axes are cut: dimension -> coordinate value (the nearest grid point is taken).
    """

    name: str
    dims: tuple[str, ...] = ()
    at: dict[str, float] = field(default_factory=dict)


def parse_quantity(text: str) -> Quantity:
    """Read ``name``, ``name(axes)`` or ``name(axes; axis=value, ...)``.

    Raises
    ------
    CaseError
        If it is none of them.
    """
    found = re.fullmatch(r"\s*(\w+)\s*(?:\(([^;()]*)(?:;([^;()]*))?\))?\s*", text)
    if not found:
        raise CaseError(f"cannot read the quantity '{text}': expected NAME or NAME(axes; axis=value, ...)")
    dims = tuple(word.strip() for word in (found[2] or "").split(",") if word.strip())
    at = {}
    for part in filter(str.strip, (found[3] or "").split(",")):
        name, _, value = part.partition("=")
        try:
            at[name.strip()] = float(value)
        except ValueError:
            raise CaseError(f"cannot read '{part.strip()}' in '{text}': expected axis=number") from None
    if len(dims) > 2:
        raise CaseError(f"'{text}' shows {len(dims)} axes: a picture has room for two")
    return Quantity(found[1], dims, at)


def quantity_series(run: Run, text: str, band: int | str | None) -> FrameSeries:
    """Frames of a quantity of a run (docs/output_format.md lists what is stored).

    Parameters
    ----------
    run : Run
    text : str
        As :func:`parse_quantity` reads it; ``state`` stands for the stored face, f, w or c.
    band : optional
        Value of the band coordinate; the first band if None.

    Raises
    ------
    CaseError
        If nothing of that name is stored, or it has no such axis.
    """
    wanted = parse_quantity(text)
    array = variable_of(run, wanted.name)
    axes = [str(dim) for dim in array.dims if dim not in ("time", "band")]
    for dim in (*wanted.dims, *wanted.at):
        if dim not in axes:
            raise CaseError(f"'{array.name}' has no axis '{dim}'; it has {', '.join(axes) or 'none'}")
    dims = wanted.dims or _usual_dims(array, tuple(wanted.at))
    if both := set(dims) & set(wanted.at):
        raise CaseError(f"'{text}' both shows and cuts the axis {', '.join(sorted(both))}")
    name = str(array.name)
    return frame_series(array, SYMBOLS.get(name, _upright(name)), dims, band, wanted.at)


def main_series(run: Run, quantity: str | None, band: int | str | None) -> FrameSeries:
    """Frames of the quantity, or of the usual main picture."""
    return image_series(run, band) if quantity is None else quantity_series(run, quantity, band)


def variable_of(run: Run, name: str) -> xr.DataArray:
    """Return the variable of that name from whichever stream has it."""
    streams = list(stored_streams(run))
    names = FACES if name == "state" else (name,)
    for dataset in streams:
        for candidate in names:
            if candidate in dataset.data_vars:
                return dataset[candidate]
    known = sorted({str(variable) for dataset in streams for variable in dataset.data_vars})
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there is {', '.join(known) or 'nothing'}"
    raise CaseError(f"no '{name}' is stored in run {run.path}; {hint}")


def stored_streams(run: Run) -> Iterator[xr.Dataset]:
    """Streams of a run that are there."""
    for name in STREAMS:
        try:
            dataset = getattr(run, name, None)
        except CaseError:  # not written (yet)
            continue
        if dataset is not None and dataset.sizes.get("time") != 0:
            yield dataset


def _usual_dims(array: xr.DataArray, cut: tuple[str, ...]) -> tuple[str, ...]:
    """Up to two axes: all that are left, or the first position beside the first momentum."""
    positions = tuple(dim for dim in position_dims(array) if dim not in cut)
    momenta = tuple(dim for dim in momentum_dims(array) if dim not in cut)
    if len(positions + momenta) <= 2:
        return positions + momenta
    return positions[:1] + momenta[:1] if positions and momenta else (positions + momenta)[:2]


def _upright(name: str) -> str:
    words = name.replace("_", r"\ ")
    return rf"\mathrm{{{words}}}"


@dataclass(frozen=True)
class DatasetRun:
    """A single Dataset in the place of a run."""

    dataset: xr.Dataset

    @property
    def phase(self) -> xr.Dataset:
        """The Dataset."""
        return self.dataset

    fields = scalars = geometry = phase

    @property
    def path(self) -> Path:
        """Directory it was read from."""
        return Path(self.dataset.encoding.get("source", "dataset")).parent

    def usual_quantity(self) -> str:
        """What is drawn if nothing is asked for."""
        names = [str(name) for name in self.dataset.data_vars]
        known = [name for name in (*FACES, *SYMBOLS) if name in names]
        if not names:
            raise CaseError("this Dataset has no variables: nothing to draw")
        return (known or names)[0]
