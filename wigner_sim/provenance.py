"""Where a file comes from: the global attributes that every output file carries."""

from __future__ import annotations

import datetime
import functools
import platform
import subprocess
import uuid
from pathlib import Path

import numpy as np

from wigner_sim import __version__

REFERENCE = "Park, Huang, Savary, Balents, arXiv:2504.10447"


def provenance(
    title: str, case_toml: str, case_resolved_toml: str, run_id: str | None = None, **further: str
) -> dict[str, str]:
    """Global attributes (CF-1.11) that say what a file is, and what made it from what.

    Parameters
    ----------
    title : str
    case_toml, case_resolved_toml : str
        The case as written, and with every value filled in.
    run_id : str, optional
        A fresh UUID if left out; give the same one to all files of a run.
    **further
        More attributes, for instance ``restart_from_run_id``.
    """
    now = timestamp()
    attributes = {
        "Conventions": "CF-1.11",
        "title": title or "wigner_sim run",
        "source": f"wigner_sim {__version__}",
        "history": f"{now} created by wigner_sim {__version__}",
        "references": REFERENCE,
        "date_created": now,
        "run_id": run_id or str(uuid.uuid4()),
        "wigner_sim_version": __version__,
        "platform": f"{platform.platform()}, Python {platform.python_version()}, numpy {np.__version__}",
        "case_toml": case_toml,
        "case_resolved_toml": case_resolved_toml,
    }
    if revision := git_revision():
        attributes["git_revision"] = revision
    return attributes | further


def timestamp() -> str:
    """Date and time, UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@functools.cache
def git_revision() -> str:
    """Commit of the source tree the package runs from (``-dirty`` if changed); empty when installed."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        # A package installed inside somebody's repository is not part of it.
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return ""
