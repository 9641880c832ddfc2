"""All runs of a sweep as one Dataset with the swept values as coordinates."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from wigner_sim.case.toml_text import emit_value
from wigner_sim.errors import CaseError
from wigner_sim.provenance import provenance
from wigner_sim.run_directory import RunDirectory
from wigner_sim.runs import open_stream
from wigner_sim.sweeps.plan import Plan
from wigner_sim.units import number_and_unit


def collect(plan: Plan, path: Path, stream: str = "scalars") -> xr.Dataset:
    """One stream of all members.

    Parameters
    ----------
    plan : Plan
    path : path
        Directory of the sweep.
    stream : "scalars" or "fields"

    Returns
    -------
    Dataset
        In a product, every swept key is a dimension; else they are coordinates along ``member``.  ``state``
        says how each run ended; numbers of runs that have none are nan.  Where records fall at different
        times, the dimension is ``record`` and ``time`` a variable along it.

    Raises
    ------
    CaseError
        If no member has any record, or the stream is on different grids.
    """
    directories = [RunDirectory(path / member.name) for member in plan.members]
    found = {
        member.number: dataset
        for member, directory in zip(plan.members, directories, strict=True)
        if (dataset := _records(directory, stream)) is not None
    }
    if not found:
        raise CaseError(f"{path}: no run of this sweep has stored any {stream}")
    joined = _joined(found, len(plan.members), stream, path)
    states = [str(directory.read_status().get("state", "not begun")) for directory in directories]
    joined["state"] = ("member", np.array(states, dtype=object), {"long_name": "how the run ended"})
    joined["run"] = ("member", np.array([member.name for member in plan.members], dtype=object))
    dataset = _with_axes(joined, plan)
    case = plan.case
    dataset.attrs = provenance(case.title, case.source_text, case.to_toml(), case_name=case.name)
    return dataset


def write_collection(dataset: xr.Dataset, path: Path) -> Path:
    """Write a collected Dataset in one piece, in the place of an earlier one."""
    for variable in dataset.variables.values():
        variable.encoding = {"_FillValue": None}
    dataset.encoding = {}
    aside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    dataset.to_netcdf(aside, engine="netcdf4", format="NETCDF4")
    aside.replace(path)
    return path


def _records(directory: RunDirectory, stream: str) -> xr.Dataset | None:
    file = directory.stream_path(stream)
    if not file.exists():
        return None
    with open_stream(file) as dataset:
        if not dataset.sizes["time"]:
            return None
        used = {dim for variable in dataset.data_vars.values() for dim in variable.dims}
        unused = [name for name, values in dataset.coords.items() if not used.issuperset(values.dims)]
        return dataset.drop_vars(unused).load()


def _joined(found: dict[int, xr.Dataset], n_members: int, stream: str, path: Path) -> xr.Dataset:
    """Stack Datasets along ``member``, with nan where there is nothing."""
    datasets = list(found.values())
    first = datasets[0]
    if any(not np.array_equal(other["time"], first["time"]) for other in datasets):
        datasets = [_by_record(dataset) for dataset in datasets]
    axes = [name for name in first.indexes if name not in ("time", "band")]
    if any(not other.indexes[name].equals(first.indexes[name]) for other in datasets for name in axes):
        raise CaseError(
            f"{path}: the runs of this sweep have different grids: their {stream} do not fit together"
        )
    for dataset in datasets:
        dataset.attrs = {}
    numbers = xr.DataArray(list(found), dims="member", name="member")
    joined = xr.concat(
        datasets, dim=numbers, join="outer", combine_attrs="override", coords="minimal", compat="override"
    )
    return joined.reindex(member=np.arange(1, n_members + 1))


def _by_record(dataset: xr.Dataset) -> xr.Dataset:
    """Number the records and keep their times as values, so that runs with fewer of them end earlier."""
    numbered = dataset.drop_indexes("time").rename_dims(time="record").reset_coords("time")
    return numbered.assign_coords(record=np.arange(numbered.sizes["record"]))


def _with_axes(joined: xr.Dataset, plan: Plan) -> xr.Dataset:
    """Give the members their swept coordinates; fold a product into one dimension per key."""
    names = dict(zip(plan.axes, _axis_names(list(plan.axes), joined), strict=True))
    about = {
        key: {"case_key": key, "long_name": f"swept {key}", **_unit_attribute(axis)}
        for key, axis in plan.axes.items()
    }
    if not plan.is_product:
        columns = {key: _coordinate([member.values[key] for member in plan.members]) for key in plan.axes}
        return joined.assign_coords(
            {names[key]: ("member", column, about[key]) for key, column in columns.items()}
        )
    shape = tuple(len(values) for values in plan.axes.values())
    folded: dict[str, Any] = {}
    for name, variable in joined.data_vars.items():
        if "member" not in variable.dims:
            folded[str(name)] = variable
            continue
        variable = variable.transpose("member", ...)
        values = variable.values.reshape(*shape, *variable.shape[1:])
        folded[str(name)] = ((*names.values(), *variable.dims[1:]), values, variable.attrs)
    coordinates: dict[str, Any] = {str(name): joined[name] for name in joined.coords if name != "member"}
    for key, axis in plan.axes.items():
        coordinates[names[key]] = (names[key], _coordinate(axis), about[key])
    return xr.Dataset(folded, coordinates)


def _axis_names(keys: Sequence[str], dataset: xr.Dataset) -> list[str]:
    """The last word of each key, or all of it where that is not unique or taken."""
    short = [key.rpartition(".")[2] for key in keys]
    taken = {str(name) for name in (*dataset.variables, *dataset.dims)}
    return [
        word if short.count(word) == 1 and word not in taken else key.replace(".", "_")
        for key, word in zip(keys, short, strict=True)
    ]


def _coordinate(values: Sequence[Any]) -> np.ndarray:
    """Numbers as they are, also those with one unit for all; anything else as TOML text."""
    if _unit_attribute(values):
        values = [quantity[0] for value in values if (quantity := number_and_unit(value))]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return np.asarray(values)
    texts = [value if isinstance(value, str) else emit_value(value) for value in values]
    return np.array(texts, dtype=object)


def _unit_attribute(values: Sequence[Any]) -> dict[str, str]:
    """``{"units": "T"}`` if all values are written in this unit."""
    quantities = [number_and_unit(value) for value in values]
    units = {quantity[1] if quantity else "" for quantity in quantities}
    return {"units": units.pop()} if len(units) == 1 and "" not in units else {}
