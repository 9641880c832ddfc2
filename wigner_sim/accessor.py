"""``ds.wigner``: short spellings of plain functions, on any Dataset of a run.

``import wigner_sim.accessor`` gives it to every Dataset; opening a run does so, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from wigner_sim import runs, si_units

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from wigner_sim.movies import Movie


@xr.register_dataset_accessor("wigner")
class WignerAccessor:
    """``ds.wigner``: what is often asked of a stream of a run."""

    def __init__(self, dataset: xr.Dataset):
        self._dataset = dataset

    def density(self) -> xr.DataArray:
        """See :func:`wigner_sim.runs.density`."""
        return runs.density(self._dataset)

    def current(self) -> xr.Dataset:
        """See :func:`wigner_sim.runs.current`."""
        return runs.current(self._dataset)

    def marginal(self, dim: str | tuple[str, ...]) -> xr.DataArray:
        """See :func:`wigner_sim.runs.marginal`."""
        return runs.marginal(self._dataset, dim)

    def moments(self) -> xr.Dataset:
        """See :func:`wigner_sim.runs.moments`."""
        return runs.moments(self._dataset)

    def conservation(self) -> xr.Dataset:
        """See :func:`wigner_sim.runs.conservation`."""
        return runs.conservation(self._dataset)

    def compare(self, other: xr.Dataset) -> xr.Dataset:
        """See :func:`wigner_sim.runs.compare`."""
        return runs.compare(self._dataset, other)

    def to_si(self) -> xr.Dataset:
        """See :func:`wigner_sim.si_units.to_si`."""
        return si_units.to_si(self._dataset)

    def plot(self, quantity: str | None = None, **options: Any) -> Figure:
        """See :func:`wigner_sim.plotting.plot_dataset`."""
        from wigner_sim.plotting import plot_dataset

        return plot_dataset(self._dataset, quantity, **options)

    def animate(self, path: str | Path, quantity: str | None = None, **options: Any) -> Movie:
        """See :func:`wigner_sim.movies.animate_dataset`."""
        from wigner_sim.movies import animate_dataset

        return animate_dataset(self._dataset, path, quantity, **options)
