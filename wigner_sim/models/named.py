"""The table of named models, and how one of its plain functions becomes a Hamiltonian.

A new model is a function of ``k`` and its parameters, and one line in :data:`NAMED_MODELS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.expressions import nearest_match
from wigner_sim.models import chains, planar
from wigner_sim.models.hamiltonian import ComplexArray, FloatArray, Hamiltonian, separable_hamiltonian
from wigner_sim.models.matrices import position_convention
from wigner_sim.models.setting import Field, Setting, read_structure

STRUCTURE = ("orbital_positions", "lattice_vectors")


@dataclass(frozen=True)
class NamedModel:
    """A function of physical parameters and the crystal it lives on.

    Parameters
    ----------
    functions : mapping int -> callable
        For each dimension d it exists in: ``(k, **parameters) -> (..., n, n)``, cell-periodic.
    n_orbitals : int
    orbital_positions : rows of length d, lattice vectors, optional
        At the origin if left out.
    lattice_vectors : rows of length d, lattice constants, optional
        The unit vectors if left out.
    """

    functions: Mapping[int, Callable[..., ComplexArray]]
    n_orbitals: int
    orbital_positions: tuple[tuple[float, ...], ...] | None = None
    lattice_vectors: tuple[tuple[float, ...], ...] | None = None

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Parameters and their default values."""
        signature = inspect.signature(next(iter(self.functions.values())))
        return {name: each.default for name, each in signature.parameters.items() if name != "k"}

    def __call__(self, name: str, parameters: Mapping[str, Any], setting: Setting) -> Hamiltonian:
        """Build the Hamiltonian.

        Parameters
        ----------
        name : str
        parameters : mapping
            Numbers, or formulas of position and time, by parameter name; also ``orbital_positions`` and
            ``lattice_vectors`` in place of the model's own.  If all are constant the Hamiltonian is
            separable.
        setting : Setting

        Raises
        ------
        CaseError
            For an unknown parameter, or a dimension the model does not exist in.
        """
        self._check(name, parameters, setting)
        values = {**self.defaults, **parameters}
        default = (self.orbital_positions, self.lattice_vectors)
        structure = read_structure(values, self.n_orbitals, setting.n_dimensions, f"model '{name}'", default)
        setting = setting.with_numbers({key: values[key] for key in self.defaults})
        fields = {
            key: Field(values[key], setting, f"parameter '{key}' of model '{name}'") for key in self.defaults
        }
        attributes = {"name": name, "parameters": values, **structure}
        return self._assemble(fields, setting.n_dimensions, attributes)

    def _check(self, name: str, parameters: Mapping[str, Any], setting: Setting) -> None:
        if setting.n_dimensions not in self.functions:
            exists = " or ".join(str(d) for d in self.functions)
            raise CaseError(f"model '{name}' has {exists} dimensions, the case has {setting.n_dimensions}")
        for key in parameters:
            if key not in self.defaults and key not in STRUCTURE:
                hint = nearest_match(key, [*self.defaults, *STRUCTURE])
                hint = hint or f"; it has {', '.join([*self.defaults, *STRUCTURE])}"
                raise CaseError(f"model '{name}' has no parameter '{key}'{hint}")

    def _assemble(self, fields: Mapping[str, Field], d: int, attributes: dict[str, Any]) -> Hamiltonian:
        function, tau = self.functions[d], attributes["orbital_positions"]
        constants = {key: field.value for key, field in fields.items() if field.constant}
        varying = {key: field for key, field in fields.items() if not field.constant}

        def matrix(x: FloatArray, k: FloatArray, t: float) -> ComplexArray:
            values = {key: field(x, t) for key, field in varying.items()}
            return position_convention(function(k, **constants, **values), k, tau)

        if varying:
            time_dependent = any(field.time_dependent for field in varying.values())
            return Hamiltonian(matrix, self.n_orbitals, d, time_dependent=time_dependent, **attributes)
        return separable_hamiltonian(
            lambda k: position_convention(function(k, **constants), k, tau),
            lambda x, t: np.zeros(np.shape(x)[1:]),
            self.n_orbitals,
            d,
            **attributes,
        )


_HONEYCOMB = (planar.HONEYCOMB_POSITIONS, planar.HONEYCOMB_VECTORS)

NAMED_MODELS: dict[str, NamedModel] = {
    "cosine_band": NamedModel({d: chains.cosine_band for d in (1, 2, 3)}, 1),
    "ssh": NamedModel({1: chains.ssh}, 2),
    "rice_mele": NamedModel({1: chains.rice_mele}, 2),
    "trimer": NamedModel({1: chains.trimer}, 3),
    "massive_dirac": NamedModel({1: chains.massive_dirac_chain, 2: planar.massive_dirac_plane}, 2),
    "two_band_texture": NamedModel({1: chains.two_band_texture}, 2),
    "qi_wu_zhang": NamedModel({2: planar.qi_wu_zhang}, 2),
    "haldane": NamedModel({2: planar.haldane}, 2, *_HONEYCOMB),
    "graphene": NamedModel({2: planar.graphene}, 2, *_HONEYCOMB),
}
