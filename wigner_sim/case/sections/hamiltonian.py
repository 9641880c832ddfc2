"""The sections ``[hamiltonian]`` and ``[bands]``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from wigner_sim.case.fields import (
    Bands,
    Expression,
    Expressions,
    FreeList,
    FreeTable,
    Positive,
    Source,
    inconsistent,
    key,
)
from wigner_sim.case.sections.base import Section


class HamiltonianSection(Section):
    """The Weyl symbol H(x, k, t) of the crystal."""

    source: Source = key(
        ...,
        "Where H comes from: a named model, a Python function (x, k, t, **parameters) -> (..., N, N), "
        "hoppings, a sum of (function of x) times (matrix function of k), or a model of Wannier90, PythTB or "
        "TBmodels.",
        '"named:MODEL", "python:FILE.py:FUNCTION", "callable:MODULE:FUNCTION", "tight_binding", "terms", '
        '"wannier90:FILE", "pythtb:FILE.py:NAME" or "tbmodels:FILE"',
    )
    parameters: FreeTable = key(
        {},
        "Parameters of the model: numbers, arrays, or expressions of x and t where the model allows them.",
        "a table of numbers, strings and lists",
        unit="parameters",
    )
    potential: float | Expression | None = key(
        None,
        "Scalar potential U(x, t), added to H times the identity.",
        'an expression of x and t, a number, "python:FILE.py:FUNCTION" or "array:FILE.npy"',
        "none",
        unit="energy",
    )
    terms: FreeList | None = key(
        None,
        'The sum for source = "terms".',
        "a list of tables",
        'none; required by source = "terms"',
        unit="terms",
    )
    hoppings: FreeList | None = key(
        None,
        'The hoppings for source = "tight_binding".',
        "a list of tables",
        'none; required by source = "tight_binding"',
        unit="hoppings",
    )
    orbital_positions: FreeList | None = key(
        None,
        "Orbital positions in units of the lattice vectors.",
        "a list of lists of numbers",
        "all at the origin",
        unit="orbital_positions",
    )
    lattice_vectors: FreeList | None = key(
        None,
        "Rows are the Cartesian lattice vectors.",
        "a list of lists of numbers",
        "the identity",
        unit="lattice_vectors",
    )
    force: Expressions | None = key(
        None,
        "Uniform force F(t) on the electrons along each lattice vector (energy per lattice constant), beside "
        "a periodic potential.",
        "a list of numbers or expressions of t, one per momentum axis",
        "none",
        unit="force",
    )
    electric_field: Expressions | None = key(
        None,
        "Uniform electric field E(t) in Cartesian components, in place of `force`: F_i = -e E.a_i, the "
        "charge of an electron being -e. A plain number is in units of energy / (e |a_1|).",
        "a list of numbers or expressions of t, one per dimension; not beside hamiltonian.force",
        "none",
        unit="electric_field",
    )
    vector_potential: Expressions | None = key(
        None,
        "Periodic vector potential A(x, t) along each lattice vector, H(x, k + A(x, t), t): the part of a "
        "magnetic field that varies in space.",
        "a list of numbers or expressions of x and t, one per momentum axis",
        "none",
        unit="momentum",
    )
    minimum_gap: Positive = key(
        0.05,
        "Smallest gap around the chosen bands that is accepted (energy).",
        "a number > 0",
        unit="energy",
    )

    @model_validator(mode="after")
    def _one_force(self) -> Self:
        if self.force is not None and self.electric_field is not None:
            problem = "electric_field and force say the same thing in two ways: give one of them"
            raise inconsistent("hamiltonian", "electric_field", problem)
        return self


class BandsSection(Section):
    """Which bands are followed."""

    select: Literal["all"] | Bands = key(
        (0,),
        "Band indices, counted from 0 at the bottom, or all bands.",
        '"all" or a list of distinct integers >= 0',
    )
