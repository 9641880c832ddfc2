"""Sources that are models of other programs: ``wannier90:FILE``, ``tbmodels:FILE``, ``pythtb:FILE.py:NAME``.

Their parameters: ``fermi_energy`` (zero of energy), ``axes`` (lattice vectors to keep, counted from 0) and
``other_momenta`` (see :meth:`LatticeModel.on_axes`), ``orbital_positions`` and ``lattice_vectors`` in place
of the file's.  Every other entry is a named number that the formula of the potential may use.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.expressions import nearest_match
from wigner_sim.grid import FloatArray
from wigner_sim.models.adapters import from_pythtb, read_tbmodels
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.models.lattice_model import LatticeModel
from wigner_sim.models.python_file import load_module
from wigner_sim.models.setting import Setting, real_array
from wigner_sim.models.wannier90 import read_wannier90

logger = logging.getLogger(__name__)

PREFIXES = ("wannier90:", "tbmodels:", "pythtb:")
#: Parameters that the lattice depends on.
STRUCTURE_OF_IMPORTED = ("axes", "other_momenta", "orbital_positions", "lattice_vectors")
_KEYS = ("fermi_energy", *STRUCTURE_OF_IMPORTED)
#: A hopping dropped with a third dimension is worth a warning above this part of the largest one kept.
_WORTH_A_WARNING = 0.01


def is_imported_source(source: Any) -> bool:
    """Whether ``source`` names a model of another program."""
    return isinstance(source, str) and source.startswith(PREFIXES)


def read_model(source: str, setting: Setting, structure: Mapping[str, Any] | None = None) -> LatticeModel:
    """Read the whole model of a source, in all its dimensions.

    Parameters
    ----------
    source : str
    setting : Setting
        For the directory of the case.
    structure : mapping, optional
        ``orbital_positions`` and ``lattice_vectors`` for a ``_hr.dat`` without companions.

    Raises
    ------
    CaseError
        One sentence on what is missing or malformed.
    """
    kind, _, name = source.partition(":")
    structure = structure or {}
    if kind == "wannier90":
        vectors, centres = structure.get("lattice_vectors"), structure.get("orbital_positions")
        if vectors is not None:
            vectors = real_array(vectors, (3, 3), f"lattice_vectors of {source}")
        if centres is not None:
            centres = _rows(centres, (3,), f"orbital_positions of {source}")
        return read_wannier90(_existing(setting.path(name)), centres, vectors)
    if kind == "tbmodels":
        return read_tbmodels(_existing(setting.path(name)))
    file, _, variable = name.rpartition(":")
    if not file or not variable:
        raise CaseError(f"the source '{source}' must read pythtb:FILE.py:NAME")
    module = load_module(setting.path(file))
    if not hasattr(module, variable):
        raise CaseError(f"python file {file} has no '{variable}'{nearest_match(variable, vars(module))}")
    model = getattr(module, variable)
    return from_pythtb(model() if callable(model) and not hasattr(model, "_hoptable") else model, source)


def imported_model(source: str, parameters: Mapping[str, Any], setting: Setting) -> LatticeModel:
    """The model of a source with its parameters applied, in as many dimensions as the case has.

    Raises
    ------
    CaseError
        Also if the model has more dimensions than the case and ``axes`` does not say which to keep.
    """
    model = read_model(source, setting, parameters)
    if model.positions.shape != (model.n_orbitals, model.n_dimensions):
        raise CaseError(f"{source}: {len(model.positions)} orbital_positions for {model.n_orbitals} orbitals")
    model = _reduced_to(model, source, parameters, setting.n_dimensions)
    fermi_energy = float(real_array(parameters.get("fermi_energy", 0.0), (), f"fermi_energy of {source}"))
    return model.shifted(fermi_energy)


def imported_hamiltonian(source: str, parameters: Mapping[str, Any], setting: Setting) -> Hamiltonian:
    """The same as a Hamiltonian H0(k); its report goes to the log at level DEBUG."""
    setting.with_free_names(parameters, _KEYS, source)
    model = imported_model(source, parameters, setting)
    for line in model.report():
        logger.debug("%s", line)
    return model.hamiltonian(source, parameters)


def _reduced_to(
    model: LatticeModel, source: str, parameters: Mapping[str, Any], n_dimensions: int
) -> LatticeModel:
    axes = parameters.get("axes")
    if axes is None:
        used = model.periodic_axes()
        if model.n_dimensions == n_dimensions:
            axes = range(n_dimensions)
        elif len(used) == n_dimensions:
            axes = used
        else:
            raise CaseError(
                f"{source} hops along {len(used)} lattice vectors, the case has {n_dimensions} momentum axes "
                "(entries of grid.n_k): say which to keep, for instance hamiltonian.parameters.axes = "
                f"{list(range(n_dimensions))}"
            )
    axes = _axes(axes, source)
    if len(axes) != n_dimensions:
        raise CaseError(
            f"{source}: {len(axes)} axes, but the case has {n_dimensions} momentum axes (entries of grid.n_k)"
        )
    momenta = parameters.get("other_momenta")
    if momenta is not None:
        momenta = _rows(momenta, (), f"other_momenta of {source}").tolist()
    kept = model.on_axes(axes, momenta)
    if momenta is None and len(axes) < model.n_dimensions:
        _warn_of_dropped(model, axes, source)
    return kept


def _rows(value: Any, of: tuple[int, ...], what: str) -> FloatArray:
    """A list of numbers, or of rows of numbers, of any length."""
    n_rows = len(value) if isinstance(value, list | tuple) else 1
    return real_array(value, (n_rows, *of), what)


def _axes(axes: Any, source: str) -> list[int]:
    if not isinstance(axes, Sequence) and not isinstance(axes, range):
        raise CaseError(f"{source}: axes must be a list of integers, got {axes!r:.60}")
    if any(isinstance(axis, bool) or not isinstance(axis, int) for axis in axes):
        raise CaseError(f"{source}: axes must be a list of integers, got {axes!r:.60}")
    return list(axes)


def _warn_of_dropped(model: LatticeModel, axes: Sequence[int], source: str) -> None:
    others = [axis for axis in range(model.n_dimensions) if axis not in axes]
    outside = model.cells[:, others].any(axis=1)
    between = model.cells.any(axis=1)
    dropped = float(np.abs(model.blocks[outside]).max(initial=0.0))
    largest = float(np.abs(model.blocks[between]).max(initial=0.0))
    if dropped > _WORTH_A_WARNING * largest:
        logger.warning(
            "%s: hoppings up to %.3g along the lattice vectors left out are dropped (the largest of all is "
            "%.3g); other_momenta would keep them",
            source,
            dropped,
            largest,
        )


def _existing(path: Path) -> Path:
    try:
        if path.is_file():
            return path
        siblings = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    except OSError as error:
        raise CaseError(f"{str(path)[:80]}: cannot be read ({error.strerror})") from None
    raise CaseError(f"there is no file {path}{nearest_match(path.name, siblings)}")
