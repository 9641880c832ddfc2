"""Reading a file that may be growing, without ever taking half of a write for a record.

HDF5 has no lock between the run that writes and whoever reads: a read that falls into a write fails, or,
rarely, returns garbage; and what the library has cached of a file goes stale when the file grows.  So a read
counts only if the file was left alone while it took place (or if another one agrees with it), and what was
opened before the last write is opened anew.
"""

from __future__ import annotations

import time as wall_time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from xarray.backends.file_manager import FILE_CACHE

#: A file that was not written to for so long (seconds) is at rest: a record takes a few milliseconds.
REST = 0.03
#: Seconds between attempts.
PAUSES = (0.0, 0.0, 0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

#: When the files that are open were last written to, at the time they were opened.
_opened_at: dict[str, int] = {}

Result = TypeVar("Result")


def load(array: xr.DataArray) -> xr.DataArray:
    """Return a lazily read array in memory, undisturbed by a run that writes to its file.

    Raises
    ------
    OSError, RuntimeError
        If it cannot be read, or the file is never at rest.
    """
    source = str(array.encoding.get("source", ""))
    return undisturbed(source, array.compute, _equal) if Path(source).is_file() else array.compute()


def _equal(first: xr.DataArray, second: xr.DataArray) -> bool:
    return bool(np.array_equal(first.values, second.values, equal_nan=True))


def undisturbed(
    path: str | Path, read: Callable[[], Result], agree: Callable[[Result, Result], bool]
) -> Result:
    """Result of ``read`` from a file that was not written to meanwhile, or of two reads that ``agree``.

    The second way is for files that never come to rest for long enough.
    """
    source, previous = str(Path(path).absolute()), None
    error: Exception = OSError(f"{path} is written to all the time")
    for pause in PAUSES:
        written = _time_of_rest(source)
        if _opened_at.get(source) != written:
            drop_open_file(source)
            _opened_at[source] = written
        try:
            result = read()
        except (OSError, RuntimeError, ValueError) as reason:
            error = reason
        else:
            at_rest = Path(source).stat().st_mtime_ns == written
            if at_rest or (previous is not None and agree(previous, result)):
                return result
            previous = result
        _opened_at.pop(source, None)
        wall_time.sleep(pause)
    raise error


def _time_of_rest(source: str) -> int:
    """Time of the last write (ns), as soon as that is long enough ago (or after ten attempts, in vain)."""
    for _ in range(10):
        written = Path(source).stat().st_mtime_ns
        age = wall_time.time() - 1e-9 * written
        if not 0 <= age < REST:
            break
        wall_time.sleep(REST - age)
    return written


def drop_open_file(source: str) -> None:
    """Close a file that xarray holds open; the next access opens it anew."""
    file: Any
    for key, file in list(FILE_CACHE.items()):
        if getattr(file, "isopen", lambda: False)() and Path(file.filepath()).absolute() == Path(source):
            FILE_CACHE.pop(key, None)
            file.close()
