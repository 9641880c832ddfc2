"""The section ``[units]``."""

from __future__ import annotations

from wigner_sim.case.fields import Text, key
from wigner_sim.case.sections.base import Section


class UnitsSection(Section):
    """What the lattice units of the case are; needed where a value has a unit."""

    energy: Text | None = key(
        None,
        "The unit of energy of the Hamiltonian.",
        'a string such as "1 eV"',
        "none; 1 eV for a Wannier90 model",
    )
    length: Text | None = key(
        None,
        "The unit of the lattice vectors (for lattice vectors of length 1, the lattice constant).",
        'a string such as "2.46 angstrom"',
        "none; 1 angstrom for a Wannier90 model",
    )
