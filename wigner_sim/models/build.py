"""From what a case says about its crystal to a Hamiltonian."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.expressions import nearest_match
from wigner_sim.models.checks import check_hamiltonian
from wigner_sim.models.hamiltonian import FloatArray, Hamiltonian
from wigner_sim.models.imported import (
    STRUCTURE_OF_IMPORTED,
    imported_hamiltonian,
    imported_model,
    is_imported_source,
)
from wigner_sim.models.named import NAMED_MODELS
from wigner_sim.models.potential import add_potential, read_potential
from wigner_sim.models.python_file import is_python_source, load_module, python_hamiltonian
from wigner_sim.models.setting import Setting, real_array
from wigner_sim.models.terms import sum_of_terms
from wigner_sim.models.tight_binding import tight_binding

#: name -> builder(name, parameters, setting)
MODELS: dict[str, Callable[[str, Mapping[str, Any], Setting], Hamiltonian]] = {
    **NAMED_MODELS,
    "tight_binding": tight_binding,
    "terms": sum_of_terms,
}


def build_hamiltonian(
    source: str,
    parameters: Mapping[str, Any] | None = None,
    potential: Any = None,
    n_dimensions: int = 1,
    n_position_axes: int | None = None,
    lengths: Sequence[float] = (),
    case_directory: str | Path = ".",
) -> Hamiltonian:
    """Build the Hamiltonian of a case and check it on a few points.

    Parameters
    ----------
    source : str
        A name in :data:`MODELS`, ``python:FILE.py:FUNCTION``, ``wannier90:FILE``, ``tbmodels:FILE`` or
        ``pythtb:FILE.py:NAME``.
    parameters : mapping, optional
        Of the model: numbers, or formulas of x, y, z, t (for named models and tight binding).
    potential : number, str, array or callable, optional
        U(x, t), added times the identity (see :func:`wigner_sim.models.potential.read_potential`); a
        formula may use the numbers among ``parameters``.
    n_dimensions : int
        Number d of momentum axes.
    n_position_axes : int, optional
        Number s of position axes; that of ``lengths`` if left out.
    lengths : sequence of float, length s
        Periods of the position axes in lattice constants; ``L`` (and ``Lx``, ``Ly``, ``Lz``) in formulas.
    case_directory : path
        Where relative file names start.

    Returns
    -------
    Hamiltonian
        Separable, H0(k) + U(x, t), whenever no parameter of the crystal depends on position or time.

    Raises
    ------
    CaseError
        One sentence on what is unknown or malformed, or on the property (Hermitian, finite, periodic) that
        fails.
    """
    parameters = dict(parameters or {})
    if n_position_axes is not None and n_position_axes != len(lengths):
        raise CaseError(f"{n_position_axes} position axes but {len(lengths)} lengths")
    if not 1 <= n_dimensions <= 3 or len(lengths) > n_dimensions:
        raise CaseError(
            f"a crystal of 1 to 3 dimensions was expected, got {n_dimensions} with lengths {lengths}"
        )
    setting = Setting(n_dimensions, tuple(float(length) for length in lengths), Path(case_directory))
    hamiltonian = _crystal(source, parameters, setting)
    owner = f"model '{source}'" if source in MODELS else source.replace("python:", "python file ", 1)
    if potential is not None:
        hamiltonian = add_potential(
            hamiltonian, read_potential(potential, setting.with_numbers(hamiltonian.parameters))
        )
        owner += " with its potential"
    check_hamiltonian(hamiltonian, setting.lengths, owner)
    return hamiltonian


def lattice_vectors(source: str, parameters: Mapping[str, Any], setting: Setting) -> FloatArray:
    """Lattice vectors (d, d) of a source, without building it: rows, in its unit of length.

    Raises
    ------
    CaseError
        If the source is a file that cannot be read.
    """
    given = parameters.get("lattice_vectors")
    if is_imported_source(source):
        structure = {name: value for name, value in parameters.items() if name in STRUCTURE_OF_IMPORTED}
        return imported_model(source, structure, setting).lattice_vectors
    if given is None and is_python_source(source):
        file = source.removeprefix("python:").rpartition(":")[0]
        given = getattr(load_module(setting.path(file)), "LATTICE_VECTORS", None)
    if given is None and source in NAMED_MODELS:
        given = NAMED_MODELS[source].lattice_vectors
    n = setting.n_dimensions
    return np.eye(n) if given is None else real_array(given, (n, n), f"lattice_vectors of {source}")


def _crystal(source: str, parameters: Mapping[str, Any], setting: Setting) -> Hamiltonian:
    if is_python_source(source):
        return python_hamiltonian(source, parameters, setting)
    if is_imported_source(source):
        return imported_hamiltonian(source, parameters, setting)
    if source not in MODELS:
        hint = (
            nearest_match(source, MODELS) or f"; models are {', '.join(MODELS)}, or python:FILE.py:FUNCTION"
        )
        raise CaseError(f"hamiltonian.source: unknown model '{source}'{hint}")
    return MODELS[source](source, parameters, setting)
