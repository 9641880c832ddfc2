"""Physical units of stored output: Datasets from lattice units into SI, by the factors stored in the file.

A file of a run in physical units carries the global attributes ``energy_unit_joule``, ``length_unit_metre``
and ``time_unit_second``, and each variable its dimension as text, ``units_dimension = "energy length^-1"``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import xarray as xr

from wigner_sim.errors import CaseError

#: Basis of dimensions: the global attribute with the size of its lattice unit, and its SI unit.
BASIS = {
    "energy": ("energy_unit_joule", "J"),
    "length": ("length_unit_metre", "m"),
    "time": ("time_unit_second", "s"),
    "charge": ("charge_unit_coulomb", "C"),
}
#: The charge of lattice units is the elementary one, unless a file says otherwise.
ELEMENTARY_CHARGE = 1.602176634e-19
#: Global attribute that says which units the numbers are in.
STATE = "unit_system"


def to_si(dataset: xr.Dataset) -> xr.Dataset:
    """Multiply every variable and coordinate by its factor to SI; a Dataset that is in SI stays as it is.

    Parameters
    ----------
    dataset : Dataset
        A stream of a run in physical units.

    Returns
    -------
    Dataset
        With units in every variable's ``units``, and the global attribute ``unit_system = "SI"``.

    Raises
    ------
    CaseError
        If the file has no factors (a run in lattice units), or a dimension cannot be read.

    Notes
    -----
    A variable's own ``units_si_factor`` takes precedence over the product that its ``units_dimension``
    asks for.  One without a dimension is a pure number and stays.
    """
    if dataset.attrs.get(STATE) == "SI":
        return dataset
    has_factors = any("units_si_factor" in variable.attrs for variable in dataset.variables.values())
    if not has_factors and not {key for key, _ in BASIS.values()} & set(dataset.attrs):
        raise CaseError(
            "this output is in lattice units only: the case gave no physical units to convert with"
        )
    converted = {
        str(name): _converted(variable, dataset.attrs) for name, variable in dataset.variables.items()
    }
    result = dataset.assign_coords({name: converted[str(name)] for name in dataset.coords})
    result = result.assign({name: converted[str(name)] for name in dataset.data_vars})
    return result.assign_attrs({STATE: "SI"})


def powers(dimension: str) -> dict[str, float]:
    """Exponents of a dimension: ``"energy length^-1"`` gives ``{"energy": 1, "length": -1}``.

    Factors are separated by blanks or ``*``; one behind ``/`` counts as divided by; ``1`` is a pure number.
    """
    found: dict[str, float] = {}
    for divided, name, exponent in re.findall(
        r"(/?)\s*([A-Za-z]+)(?:(?:\^|\*\*)\(?([-+.\d]+)\)?)?", dimension
    ):
        if name not in BASIS:
            raise CaseError(f"unknown dimension '{name}' in '{dimension}': expected {', '.join(BASIS)}")
        found[name] = found.get(name, 0.0) + float(exponent or 1) * (-1 if divided else 1)
    return {name: power for name, power in found.items() if power}


def si_factor(attributes: Mapping[str, Any], of: Mapping[str, Any]) -> float:
    """Factor from lattice units to SI of a variable with the given ``attributes``, in a file with ``of``."""
    if "units_si_factor" in attributes:
        return float(attributes["units_si_factor"])
    sizes = {BASIS["charge"][0]: ELEMENTARY_CHARGE} | dict(of)
    factor = 1.0
    for name, power in powers(str(attributes.get("units_dimension", "1"))).items():
        key = BASIS[name][0]
        if key not in sizes:
            raise CaseError(
                f"a variable with dimension '{name}' needs the global attribute '{key}', which is not there"
            )
        factor *= float(sizes[key]) ** power
    return factor


def si_text(dimension: str) -> str:
    """SI unit of a dimension as UDUNITS text: ``"energy length^-1"`` gives ``"J m-1"``."""
    parts = [
        BASIS[name][1] + (f"{power:g}" if power != 1 else "") for name, power in powers(dimension).items()
    ]
    return " ".join(parts) or "1"


def _converted(variable: xr.Variable, of: Mapping[str, Any]) -> xr.Variable:
    """One variable in SI, with its unit; a pure number stays as it is."""
    dimension = str(variable.attrs.get("units_dimension", "1"))
    factor = si_factor(variable.attrs, of)
    if factor == 1.0 and not powers(dimension):
        return variable
    attributes = {name: value for name, value in variable.attrs.items() if name != "units_si_factor"}
    attributes["units"] = si_text(dimension)
    if "period" in attributes:
        attributes["period"] = float(attributes["period"]) * factor
    return xr.Variable(variable.dims, variable.data * factor, attributes)
