"""One number of threads for everything: blocks of phase space, transforms, linear algebra."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Literal

from wigner_sim import fourier, parallel
from wigner_sim.errors import CaseError

#: Environment variable that says how many threads ``"auto"`` is.
VARIABLE = "WIGNER_SIM_THREADS"
#: More than this brings little: the passes are then limited by the memory.
MOST_BY_ITSELF = 8


def automatic_thread_count() -> int:
    """The environment's word (WIGNER_SIM_THREADS, then OMP_NUM_THREADS), else the cores this process may use.

    Raises
    ------
    CaseError
        If the variable is not a whole number above zero.
    """
    for name in (VARIABLE, "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").split(",")[0].strip()
        if text.isdigit() and int(text) > 0:
            return int(text)
        if text and name == VARIABLE:
            raise CaseError(f"the environment variable {name} must be a whole number > 0, got {text!r}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_BY_ITSELF)


def set_threads(threads: int | Literal["auto"]) -> int:
    """Use so many threads everywhere from now on; returns the number.

    The linear algebra behind numpy follows where ``threadpoolctl`` is installed, and its own environment
    variables otherwise.
    """
    n = automatic_thread_count() if threads == "auto" else threads
    parallel.set_thread_count(n)
    fourier.set_threads(n)
    if importlib.util.find_spec("threadpoolctl") is not None:
        importlib.import_module("threadpoolctl").threadpool_limits(n)
    return n
