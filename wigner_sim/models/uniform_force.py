"""A uniform force on the electrons: along the lattice vectors, or from a Cartesian electric field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.expressions import Expression
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.models.setting import Setting


def with_force(hamiltonian: Hamiltonian, force: Sequence[float | str]) -> Hamiltonian:
    """Add a uniform force ``F_i(t)`` along each lattice vector, energy per lattice constant.

    Raises
    ------
    CaseError
        If the number of components does not fit.
    """
    return _with_components(hamiltonian, force, "force", np.eye(hamiltonian.n_dimensions))


def with_electric_field(hamiltonian: Hamiltonian, field: Sequence[float | str]) -> Hamiltonian:
    r"""Add the force ``-e E(t)`` of an electric field in Cartesian components.

    In reduced coordinates the potential energy ``e E.r`` with ``r = x_i a_i`` gives

    .. math:: F_i = -e\,E\cdot a_i ,

    with E in units of the energy over e and the length of ``a_1``.

    Raises
    ------
    CaseError
        If the number of components does not fit.
    """
    vectors = hamiltonian.lattice_vectors
    return _with_components(hamiltonian, field, "electric_field", -vectors / np.linalg.norm(vectors[0]))


def _with_components(
    hamiltonian: Hamiltonian, given: Sequence[float | str], name: str, to_force: np.ndarray
) -> Hamiltonian:
    """Force ``to_force @ components(t)``."""
    n = hamiltonian.n_dimensions
    if len(given) != n:
        what = "Cartesian component per dimension" if name == "electric_field" else "entry per momentum axis"
        raise CaseError(f"hamiltonian.{name}: expected one {what} ({n}), got {len(given)}")
    numbers = Setting(n).with_numbers(hamiltonian.parameters).numbers
    components = [
        Expression(source, ("t",), numbers, f"hamiltonian.{name}[{i}]") for i, source in enumerate(given)
    ]
    return replace(
        hamiltonian,
        force=lambda t: to_force @ np.array([float(component(t=t)) for component in components]),
        force_varies=not all(component.constant for component in components),
    )
