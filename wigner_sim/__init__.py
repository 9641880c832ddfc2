"""wigner_sim: electrons in crystals in phase space, to second order in gradients.

Every verb of the command line is one function here: :func:`check`, :func:`run`, :func:`resume`,
:func:`sweep`, :func:`status_report`, :func:`info`, :func:`exact`, :func:`compare`, :func:`converge`,
:func:`make_movie`, :func:`make_viewer`, :func:`plot_run`, :func:`new_case`, :func:`import_model`,
:func:`examples`, :func:`copy_example`, :func:`about`.
They are imported when first used, so that ``import wigner_sim`` stays fast.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Case": "wigner_sim.case",
    "load_case": "wigner_sim.case",
    "check": "wigner_sim.simulation",
    "run": "wigner_sim.simulation",
    "resume": "wigner_sim.simulation",
    "sweep": "wigner_sim.sweeps",
    "open_sweep": "wigner_sim.sweeps",
    "status_report": "wigner_sim.run_status",
    "check_report": "wigner_sim.reports",
    "info": "wigner_sim.reports",
    "exact": "wigner_sim.exact_runs",
    "compare": "wigner_sim.convergence",
    "converge": "wigner_sim.convergence",
    "make_movie": "wigner_sim.movies",
    "make_viewer": "wigner_sim.viewer",
    "plot_run": "wigner_sim.plotting",
    "open_run": "wigner_sim.runs",
    "Run": "wigner_sim.runs",
    "new_case": "wigner_sim.starting_points",
    "examples": "wigner_sim.starting_points",
    "copy_example": "wigner_sim.starting_points",
    "import_model": "wigner_sim.importing",
    "about": "wigner_sim.versions",
    "citation": "wigner_sim.versions",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'wigner_sim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
