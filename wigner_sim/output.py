"""netCDF streams: store what others give, record by record; nothing is computed here.

A stream is one file on one grid with an unlimited ``time``.  Every record is synced to disk, so that a run
can be read while it goes on and after it was killed.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

# HDF5 reads this when it is loaded.  Without it a run would lock its files against every reader.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

import netCDF4
import numpy as np
from numpy.typing import ArrayLike

from wigner_sim import __version__
from wigner_sim.netcdf_contents import checked_values, copy_records, define, fill, set_attributes
from wigner_sim.output_variables import Attribute, Coordinate, VariableSpec, grid_coordinates
from wigner_sim.provenance import timestamp
from wigner_sim.si_attributes import si_attributes

TIME_ATTRIBUTES = {"units": "1", "long_name": "time", "comment": "in units of hbar / energy"}

#: Records after which a stream is closed and opened again: HDF5 keeps the index of chunks of an open file in
#: memory, which grows by 12 MB in 15,000 small records.
_REOPENED_AFTER = 1000

__all__ = [
    "Attribute",
    "Coordinate",
    "NetcdfStream",
    "VariableSpec",
    "complete_times",
    "grid_coordinates",
    "resume_stream",
    "write_static",
]

_log = logging.getLogger("wigner_sim.output")


class NetcdfStream:
    """A netCDF file that grows by one record at a time.

    Parameters
    ----------
    path : path
        Must not exist: nothing is ever overwritten.
    variables : iterable of VariableSpec
        Those with the dimension ``time`` are given with every record, others once through ``static``.
    coordinates : iterable of Coordinate
        All dimensions except ``time``.
    attributes : dict
        Global attributes: strings, numbers or arrays of numbers.
    precision : "float64" or "float32"
        Stored type of real variables; ``time`` and coordinates are always float64.
    compression : "auto", "zlib", "blosc_lz4" or "none"
    static : dict, optional
        Arrays of the variables without ``time``.
    """

    def __init__(
        self,
        path: str | Path,
        variables: Iterable[VariableSpec],
        coordinates: Iterable[Coordinate],
        attributes: Mapping[str, Attribute],
        *,
        precision: str = "float64",
        compression: str = "auto",
        static: Mapping[str, ArrayLike] | None = None,
    ):
        self.path = Path(path)
        specs = tuple(variables)
        with (
            _failing_as_file(self.path),
            netCDF4.Dataset(self.path, "w", clobber=False, format="NETCDF4") as dataset,
        ):
            dataset.createDimension("time", None)
            time = dataset.createVariable("time", "f8", ("time",), fill_value=False)
            set_attributes(time, TIME_ATTRIBUTES | si_attributes("time", attributes))
            define(dataset, specs, coordinates, attributes, precision, compression)
            fill(dataset, [spec for spec in specs if "time" not in spec.dims], static or {})
        self._open()

    @classmethod
    def reopen(cls, path: str | Path) -> Self:
        """Open an existing stream to append to it.

        Raises
        ------
        OSError
            If there is no such file, or it is damaged.
        """
        stream = cls.__new__(cls)
        stream.path = Path(path)
        stream._open()
        return stream

    def _open(self) -> None:
        try:
            self._dataset = _open_to_append(self.path)
        except OSError:
            # HDF5 does not write to a file this process has open for reading: go on with a copy
            if not _readable(self.path):
                raise
            aside = self.path.with_name(f".{self.path.name}.tmp-{os.getpid()}")
            shutil.copyfile(self.path, aside)
            aside.replace(self.path)
            self._dataset = _open_to_append(self.path)
        self._n_appended = 0

    @property
    def times(self) -> np.ndarray:
        """Times of the complete records, strictly increasing."""
        return complete_times(np.asarray(self._dataset["time"][:], dtype=float))

    @property
    def record_names(self) -> tuple[str, ...]:
        """Variables that every record has."""
        variables = self._dataset.variables.items()
        return tuple(name for name, variable in variables if "time" in variable.dimensions and name != "time")

    def append(self, time: float, arrays: Mapping[str, ArrayLike]) -> None:
        """Store one record and sync it to disk.

        Raises
        ------
        ValueError
            If ``time`` does not increase, or the arrays are not those of the stream in name and shape.
        """
        n_records = len(self._dataset.dimensions["time"])
        if n_records and not time > float(self._dataset["time"][n_records - 1]):
            last = float(self._dataset["time"][n_records - 1])
            raise ValueError(f"{self.path.name}: time must increase, got {time} after {last}")
        if set(arrays) != set(self.record_names):
            wrong = ", ".join(sorted(set(arrays) ^ set(self.record_names)))
            raise ValueError(
                f"{self.path.name}: a record has {self.record_names}; missing or unknown: {wrong}"
            )
        checked = {
            name: checked_values(self._dataset[name], arrays[name], self._dataset[name].shape[1:])
            for name in arrays
        }
        with _failing_as_file(self.path):
            for name, values in checked.items():
                self._dataset[name][n_records] = values
            # The time comes last: a record that a kill cut short has none, and is not counted (``times``).
            self._dataset["time"][n_records] = time
            self._dataset.sync()
            self._n_appended += 1
            if self._n_appended == _REOPENED_AFTER:
                self._dataset.close()
                self._open()

    def truncate_after(self, time: float) -> int:
        """Drop every record later than ``time``; return how many.

        netCDF cannot shrink a dimension: the records to keep are copied to a new file that replaces this one.
        """
        n_keep = int(np.count_nonzero(self.times <= time))
        n_drop = len(self._dataset.dimensions["time"]) - n_keep
        if n_drop == 0:
            return 0
        aside = self.path.with_name(f".{self.path.name}.tmp-{os.getpid()}")
        aside.unlink(missing_ok=True)
        try:
            with _failing_as_file(aside), netCDF4.Dataset(aside, "w", format="NETCDF4") as copy:
                copy_records(self._dataset, copy, n_keep)
            self.close()
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        aside.replace(self.path)
        self._open()
        return n_drop

    def add_history(self, entry: str) -> None:
        """Add a line, with the date, to the global attribute ``history``."""
        history = getattr(self._dataset, "history", "")
        self._dataset.history = f"{history}\n{timestamp()} {entry}".lstrip("\n")
        self._dataset.sync()

    def set_attribute(self, name: str, value: Attribute) -> None:
        """Set a global attribute, which need not be there yet."""
        with _failing_as_file(self.path):
            set_attributes(self._dataset, {name: value})
            self._dataset.sync()

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        if self._dataset.isopen():
            with _failing_as_file(self.path):
                self._dataset.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def complete_times(times: np.ndarray) -> np.ndarray:
    """Leading times that increase strictly and were really written (others read as a fill value)."""
    written = np.isfinite(times) & (np.abs(times) < 1e36)
    increasing = np.diff(times, prepend=-np.inf) > 0
    return times[: int(np.argmin(np.append(written & increasing, False)))]


def resume_stream(
    path: str | Path,
    time: float,
    variables: Iterable[VariableSpec],
    coordinates: Iterable[Coordinate],
    attributes: Mapping[str, Attribute],
    **options: Any,
) -> NetcdfStream:
    """Continue a stream from a checkpoint at ``time``: later records are dropped.

    A file that a killed run left unreadable is kept as ``NAME.damaged`` and a new one is begun; the other
    parameters are those of :class:`NetcdfStream`.
    """
    path = Path(path)
    try:
        stream = NetcdfStream.reopen(path)
        stream.truncate_after(time)
        if "case_resolved_toml" in attributes:  # its end may have been moved
            stream.set_attribute("case_resolved_toml", attributes["case_resolved_toml"])
        stream.add_history(f"resumed at time {time!r} by wigner_sim {__version__}")
        return stream
    except FileNotFoundError:
        _log.warning("%s is missing: begun anew", path)
    except CannotWriteError:  # the disk is at fault, not the file
        raise
    except Exception as error:  # damaged files make the library fail in many ways; nothing of them is lost
        damaged = _free_name(path.with_name(f"{path.name}.damaged"))
        path.replace(damaged)
        _log.warning(
            "%s cannot be read (%s): kept as %s, begun anew at time %g", path, error, damaged.name, time
        )
    return NetcdfStream(path, variables, coordinates, attributes, **options)


def _readable(path: Path) -> bool:
    try:
        with netCDF4.Dataset(path) as dataset:
            return "time" in dataset.variables
    except (OSError, RuntimeError):
        return False


def write_static(
    path: str | Path,
    variables: Iterable[VariableSpec],
    coordinates: Iterable[Coordinate],
    attributes: Mapping[str, Attribute],
    arrays: Mapping[str, ArrayLike | Callable[[], ArrayLike]],
    *,
    precision: str = "float64",
    compression: str = "auto",
) -> None:
    """Write a file without time, such as ``geometry.nc``, in one piece (parameters as :class:`NetcdfStream`).

    An array may be given as a function that makes it, which is called when it is written.

    Raises
    ------
    FileExistsError
        If the file is there already.
    """
    path, specs = Path(path), tuple(variables)
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    aside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with _failing_as_file(path):
        with netCDF4.Dataset(aside, "w", format="NETCDF4") as dataset:
            define(dataset, specs, coordinates, attributes, precision, compression)
        with closing(_open_to_append(aside, 0)) as dataset:  # opened anew: the size of caches is settled then
            fill(dataset, specs, arrays)
    aside.replace(path)


def _open_to_append(path: Path, n_chunks: int = 1) -> Any:
    """Open a file; of each variable HDF5 may keep so many chunks in memory.

    A record is written once and never looked at again, but the default cache grows to 16 MB per variable.
    """
    dataset = netCDF4.Dataset(path, "a")
    for variable in dataset.variables.values():
        chunks = variable.chunking()
        if isinstance(chunks, list):
            size = n_chunks * int(np.prod(chunks)) * variable.dtype.itemsize
            variable.set_var_chunk_cache(size=size, nelems=1)
    return dataset


class CannotWriteError(OSError):
    """A file could not be written; what was stored before is whole."""


@contextmanager
def _failing_as_file(path: Path) -> Iterator[None]:
    """Report what the netCDF library could not write as an error of the file system, which it mostly is.

    Raises
    ------
    CannotWriteError
        In place of the library's ``RuntimeError`` or any other ``OSError``.
    """
    try:
        yield
    except (RuntimeError, OSError) as error:
        if isinstance(error, FileExistsError):
            raise
        problem = f"cannot be written ({error}): is the disk full?"
        raise CannotWriteError(errno.EIO, problem, str(path)) from error


def _free_name(path: Path) -> Path:
    """Return ``path``, or with the first number that is free behind it."""
    candidates = (path.with_name(f"{path.name}{number or ''}") for number in range(10_000))
    return next(candidate for candidate in candidates if not candidate.exists())
