"""Figures of a run, of two runs, of the band geometry, of a convergence study, and of all of them.

Every function returns a matplotlib Figure that was made without pyplot; :func:`save_figure` writes it
as PNG, PDF or SVG by file suffix, with the run id in the file's metadata.
"""

from wigner_sim.figures.of_convergence import plot_convergence
from wigner_sim.figures.of_geometry import plot_geometry
from wigner_sim.figures.of_runs import (
    plot_comparison,
    plot_dataset,
    plot_difference,
    plot_quantity,
    plot_run,
)
from wigner_sim.figures.of_validation import plot_validation
from wigner_sim.figures.of_validity import plot_validity
from wigner_sim.figures.panels import printed
from wigner_sim.figures.saving import figure_suffix, save_figure

__all__ = [
    "figure_suffix",
    "plot_comparison",
    "plot_convergence",
    "plot_dataset",
    "plot_difference",
    "plot_geometry",
    "plot_quantity",
    "plot_run",
    "plot_validation",
    "plot_validity",
    "printed",
    "save_figure",
]
