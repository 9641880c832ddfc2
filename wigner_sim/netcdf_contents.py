"""Inside one netCDF file: dimensions, variables and attributes as declared, values checked, copies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wigner_sim.output_variables import Attribute, Coordinate, VariableSpec
from wigner_sim.si_attributes import si_attributes

#: Records smaller than this (bytes) share a chunk and are not compressed.
SMALL_RECORD = 4096
#: Records larger than this (bytes) are not compressed by themselves: zlib would take as long as a time step.
LARGE_RECORD = 1 << 20
#: Size (bytes) of a chunk of a large record: a compressor works in the cache.
CHUNK = 4 << 20


class UnreadableError(Exception):
    """A stored file is damaged."""


def define(
    dataset: Any,
    specs: Iterable[VariableSpec],
    coordinates: Iterable[Coordinate],
    attributes: Mapping[str, Attribute],
    precision: str,
    compression: str,
) -> None:
    """Create dimensions, coordinates, variables and global attributes."""
    set_attributes(dataset, attributes)
    for coordinate in coordinates:
        values = np.asarray(coordinate.values)
        if values.dtype.kind in "US":
            values = values.astype(object)
        kind = str if values.dtype == object else values.dtype
        dataset.createDimension(coordinate.name, len(values))
        variable = dataset.createVariable(coordinate.name, kind, (coordinate.name,), fill_value=False)
        variable[:] = values
        set_attributes(variable, dict(coordinate.attributes) | si_attributes(coordinate.name, attributes))
    for spec in specs:
        variable = _create_variable(dataset, spec, precision, compression)
        set_attributes(variable, spec.all_attributes() | si_attributes(spec.name, attributes))


def _create_variable(dataset: Any, spec: VariableSpec, precision: str, compression: str) -> Any:
    """Create one variable; a chunk is one record, several small ones, or a slab of a large one."""
    sizes = [1 if dim == "time" else len(dataset.dimensions[dim]) for dim in spec.dims]
    n_bytes = int(np.prod(sizes)) * np.dtype(precision).itemsize
    if compression == "auto":  # what is written once, and often constant along some axes, is always packed
        compression = "none" if n_bytes > LARGE_RECORD and spec.dims[0] == "time" else "zlib"
    options: dict[str, Any] = {}
    if spec.dims and min(sizes) > 0:
        options["chunksizes"] = _chunk(sizes, n_bytes, spec.dims[0] == "time")
        if compression != "none" and n_bytes >= SMALL_RECORD:
            options |= {"compression": compression, "complevel": 1, "shuffle": True}
    return dataset.createVariable(spec.name, np.dtype(precision), spec.dims, fill_value=False, **options)


def _chunk(sizes: Sequence[int], n_bytes: int, has_time: bool) -> list[int]:
    """Sizes of a chunk of a variable whose record has these sizes (1 along time)."""
    chunk = list(sizes)
    if has_time and n_bytes < SMALL_RECORD:
        chunk[0] = SMALL_RECORD // n_bytes
    for axis, size in enumerate(sizes):  # slabs along the first axes
        if n_bytes <= CHUNK:
            break
        n_slabs = ceil(size / max(1, size * CHUNK // n_bytes))
        chunk[axis] = ceil(size / n_slabs)  # all of about the same size: the last one is stored whole
        n_bytes = n_bytes * chunk[axis] // size
    return chunk


def fill(
    dataset: Any, specs: Iterable[VariableSpec], arrays: Mapping[str, ArrayLike | Callable[[], ArrayLike]]
) -> None:
    """Store arrays, or what functions return, one for each of the variables."""
    names = [spec.name for spec in specs]
    if set(arrays) != set(names):
        wrong = ", ".join(sorted(set(arrays) ^ set(names)))
        raise ValueError(f"{Path(dataset.filepath()).name}: missing or unknown: {wrong}")
    for name in names:
        given = arrays[name]
        values = given() if callable(given) else given
        dataset[name][...] = checked_values(dataset[name], values, dataset[name].shape)


def checked_values(variable: Any, values: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Real array of exactly the declared shape: netCDF4 would broadcast or grow silently."""
    array = np.asarray(values)
    if array.shape != tuple(shape):
        dims = [dim for dim in variable.dimensions if dim != "time"]
        raise ValueError(f"{variable.name} has shape {tuple(shape)} over {dims}, got {array.shape}")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{variable.name} must be real numbers, got {array.dtype}")
    return array


def set_attributes(target: Any, attributes: Mapping[str, Attribute]) -> None:
    """Set attributes that every netCDF reader and writer can keep: text, numbers, arrays of numbers."""
    for name, value in attributes.items():
        is_plain = isinstance(value, str | int | float | np.integer | np.floating) and not isinstance(
            value, bool
        )
        if not is_plain and np.asarray(value).dtype.kind not in "fiu":
            raise TypeError(f"attribute {name} must be text, a number or an array of numbers, got {value!r}")
        target.setncattr(name, value)


def copy_records(source: Any, target: Any, n_records: int) -> None:
    """Copy a stream with its first ``n_records`` records, one record at a time."""
    target.setncatts(source.__dict__)
    for name, dimension in source.dimensions.items():
        target.createDimension(name, None if dimension.isunlimited() else len(dimension))
    for name, variable in source.variables.items():
        options = _storage_options(variable)
        twin = target.createVariable(name, variable.dtype, variable.dimensions, fill_value=False, **options)
        twin.setncatts(variable.__dict__)
        if "time" in variable.dimensions:
            for record in range(n_records):
                twin[record] = _read(variable, record)
        else:
            twin[...] = _read(variable, ...)


def _read(variable: Any, index: Any) -> np.ndarray:
    try:
        return variable[index]
    except (RuntimeError, OSError) as error:
        raise UnreadableError(f"{variable.name}: {error}") from error


def _storage_options(variable: Any) -> dict[str, Any]:
    chunks = variable.chunking()
    options: dict[str, Any] = {} if chunks in ("contiguous", None) else {"chunksizes": chunks}
    filters = variable.filters() or {}
    if filters.get("zlib"):
        options |= {"compression": "zlib", "complevel": filters["complevel"], "shuffle": filters["shuffle"]}
    elif filters.get("blosc"):
        options |= {"compression": filters["blosc"]["compressor"], "complevel": filters["complevel"]}
    return options
