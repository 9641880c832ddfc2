"""A magnetic field that varies in space: its mean goes into the Poisson tensor, the rest into A(x)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.models.hamiltonian import ComplexArray, FloatArray, Hamiltonian
from wigner_sim.models.setting import Field, Setting


def with_vector_potential(
    hamiltonian: Hamiltonian, sources: Sequence[str | float], setting: Setting
) -> Hamiltonian:
    r"""``H(x, k + A(x, t), t)`` with a periodic vector potential.

    Parameters
    ----------
    hamiltonian : Hamiltonian
    sources : sequence of str or float, length d
        Formulas of position and time for ``A_i = A . a_i`` (hbar = e = 1, flux per cell).
    setting : Setting

    Returns
    -------
    Hamiltonian
        No longer separable.  The momentum axis of the grid is ``k - A(x, t)``, k the kinetic momentum; the
        varying field is :math:`\partial_x A_y - \partial_y A_x`.

    Raises
    ------
    CaseError
        For a wrong number of components, or a bad formula.

    Notes
    -----
    docs/theory.md section 1.  As a Weyl symbol this takes A at the midpoint of each bond; the line integral
    of the usual Peierls phase differs by the second derivative of A along the bond.
    """
    d = hamiltonian.n_dimensions
    if len(sources) != d:
        raise CaseError(
            f"hamiltonian.vector_potential: expected one entry per momentum axis ({d}), got {len(sources)}"
        )
    fields = [
        Field(source, setting, f"hamiltonian.vector_potential[{i}]") for i, source in enumerate(sources)
    ]
    matrix = hamiltonian.matrix

    def shifted(x: FloatArray, k: FloatArray, t: float) -> ComplexArray:
        return matrix(
            x, np.stack([k_i + field(x, t) for k_i, field in zip(np.asarray(k), fields, strict=True)]), t
        )

    return replace(
        hamiltonian,
        matrix=shifted,
        bloch=None,
        potential=None,
        time_dependent=hamiltonian.time_dependent or any(field.time_dependent for field in fields),
    )
