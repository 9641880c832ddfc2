"""What the panels of a movie show, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wigner_sim.errors import CaseError
from wigner_sim.figures import frames
from wigner_sim.figures.frames import FloatArray, FrameSeries, Run
from wigner_sim.figures.quantities import main_series, quantity_series

#: Name of the panel with the drifts of what is conserved.
DRIFT = "drift"
MOST_PANELS = 6


def usual_series(
    run: Run, other: Run | None, band: int | str | None, quantity: str | None
) -> list[FrameSeries | None]:
    """Main picture, density, momentum distribution (or their differences); None stands for the drifts."""

    def of(one: Run) -> list[FrameSeries]:
        return [main_series(one, quantity, band), *frames.profile_series(one, band)]

    return [*_minus(of(run), of(other) if other is not None else None), None]


def chosen_series(
    run: Run, other: Run | None, band: int | str | None, panels: Sequence[str]
) -> list[FrameSeries | None]:
    """Frames (or their differences) of the panels asked for; None stands for the drifts.

    Raises
    ------
    CaseError
        If there are too many, or only drifts.
    """
    names = [name for name in panels if name != DRIFT]
    if not names or len(panels) > MOST_PANELS:
        raise CaseError(f"a movie has up to {MOST_PANELS} panels, one of them a quantity, got {list(panels)}")

    def of(one: Run) -> list[FrameSeries]:
        return [quantity_series(one, _stored(one, name), band) for name in names]

    series = iter(_minus(of(run), of(other) if other is not None else None))
    return [None if name == DRIFT else next(series) for name in panels]


def _stored(run: Run, name: str) -> str:
    """``current`` is the density with arrows if there is a plane, the current along x otherwise."""
    if name != "current":
        return name
    plane = len(frames.position_dims(frames.stream(run, "fields").get("density", frames.NOTHING))) > 1
    return "density" if plane else "current_x"


def _minus(ours: list[FrameSeries], theirs: list[FrameSeries] | None) -> list[FrameSeries]:
    if theirs is None:
        return ours
    return [frames.difference(a, b) for a, b in zip(ours, theirs, strict=True)]


def times_of(series: FrameSeries) -> FloatArray:
    """Output times, of a difference those that both have."""
    if series.minus is None:
        return series.times
    return frames.common_times(series, replace(series, array=series.minus, minus=None))


def layout(figure: Figure, n_panels: int) -> list[Axes]:
    """Axes for so many panels, the first of which is the largest."""
    if n_panels == 3:
        grid = figure.add_gridspec(2, 2, width_ratios=[1.6, 1])
        return [figure.add_subplot(cell) for cell in (grid[:, 0], grid[0, 1], grid[1, 1])]
    n_rows = 1 if n_panels < 3 else 2
    grid = figure.add_gridspec(n_rows, -(-n_panels // n_rows))
    return [figure.add_subplot(grid[divmod(i, grid.ncols)]) for i in range(n_panels)]


def usual_layout(figure: Figure) -> list[Axes]:
    """A large image, a profile beside and one below it, and a corner."""
    grid = figure.add_gridspec(2, 2, width_ratios=[2.1, 1], height_ratios=[1.9, 1])
    return [figure.add_subplot(grid[cell]) for cell in ((0, 0), (1, 0), (0, 1), (1, 1))]
