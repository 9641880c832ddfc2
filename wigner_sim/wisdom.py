"""What FFTW found out about this machine, kept for the user's later runs (``time.transforms = "measured"``).

FFTW can choose how it does a transform by trying ways out, which takes a while once for every kind of array;
what it learned ("wisdom") is a text.  One file per processor, FFTW version and number of threads is kept in
the user's cache directory.  A file that is damaged, foreign or out of reach is as good as none.

Two processes that measure may choose differently, and then differ in rounding.  A run therefore carries its
wisdom in its checkpoints, and is resumed with it: FFTW keeps what it learned first.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Literal

from wigner_sim import fourier
from wigner_sim.parallel import thread_count

_log = logging.getLogger("wigner_sim.wisdom")
_HEAD = "wigner_sim FFTW wisdom"


def set_transforms(how: Literal["estimated", "measured"]) -> None:
    """Plan transforms so from now on; "measured" begins with what is known of this machine."""
    fourier.set_planner(measured=how == "measured")
    if how == "measured":
        recall()


def recall() -> bool:
    """Learn from the user's file; returns whether there was something to learn."""
    path, known = wisdom_path(), False
    with suppress(OSError, ValueError):
        head, digest, text = path.read_text(encoding="ascii").split("\n", 2)
        known = head == _heading() and digest == _digest(text) and fourier.learn(text)
        if not known:
            _log.debug("%s is damaged or of another machine: ignored", path)
    return known


def keep() -> None:
    """Add what this process has learned to the user's file, which is replaced in one piece."""
    if not fourier.measures():
        return
    recall()  # another run may have learned something meanwhile
    path, text = wisdom_path(), fourier.wisdom()
    aside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(f"{_heading()}\n{_digest(text)}\n{text}", encoding="ascii")
        aside.replace(path)
    except OSError as error:
        _log.debug("%s cannot be written (%s)", path, error)


def wisdom_path() -> Path:
    """The user's file for this machine and number of threads."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "wigner_sim" / f"fftw-{_digest(_heading())[:16]}.txt"


def _heading() -> str:
    return f"{_HEAD}: {_processor()}; {fourier.library()}; {thread_count()} threads"


def _processor() -> str:
    """Model and instruction sets of the processor, as well as the system tells."""
    kept = []
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
        about = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        kept = [about.get(name, "") for name in ("model name", "cpu family", "model")]
        kept.append(_digest(about.get("flags", ""))[:8])
    return " ".join(kept) or platform.processor() or platform.machine()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
