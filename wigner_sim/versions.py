"""What is installed, how many threads it uses, and how to cite it."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from wigner_sim import __version__
from wigner_sim.provenance import git_revision

CORE = ("numpy", "scipy", "pyfftw", "xarray", "netCDF4", "pydantic", "tqdm", "matplotlib", "pillow")
EXTRAS = {"imageio-ffmpeg": "mp4 movies: pip install 'wigner-sim[movie]'"}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

CODE_BIBTEX = """\
@software{{wigner_sim,
  title   = {{wigner_sim: electrons in crystals in phase space, to second order in gradients}},
  author  = {{{{The wigner_sim developers}}}},
  version = {{{version}}},
  license = {{BSD-3-Clause}}
}}"""
THEORY_BIBTEX = """\
@misc{Park2025,
  title         = {Quantum geometry from the Moyal product: quantum kinetic equation and non-linear response},
  author        = {Park, Takamori and Huang, Xiaoyang and Savary, Lucile and Balents, Leon},
  year          = {2025},
  eprint        = {2504.10447},
  archivePrefix = {arXiv}
}"""


def about() -> str:
    """Versions, threads and places, one per line."""
    revision = git_revision()
    lines = [
        f"wigner_sim {__version__}" + (f" ({revision[:12]}{revision[40:]})" if revision else ""),
        f"in {Path(__file__).parent}",
        f"Python {platform.python_version()} ({sys.executable}), {platform.platform()}",
        ", ".join(f"{name} {_version(name)}" for name in CORE),
    ]
    for name, purpose in EXTRAS.items():
        version = _version(name)
        lines.append(f"{name} {version}" if version != "missing" else f"{name} missing ({purpose})")
    settings = ", ".join(f"{name}={os.environ.get(name, 'not set')}" for name in THREAD_VARIABLES)
    lines.append(f"{_usable_cores()} cores may be used; {settings}")
    return "\n".join(lines)


def citation() -> str:
    """BibTeX entries of the code, and of the paper its equations come from."""
    return f"{CODE_BIBTEX.format(version=__version__)}\n\n{THEORY_BIBTEX}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
