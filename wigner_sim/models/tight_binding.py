r"""Tight binding with any number of orbitals, from a list of hoppings.

A hopping ``(R, i, j, t)`` is the matrix element ``t = <0, i| H |R, j>`` between orbital i of the home cell
and orbital j of cell R (the convention of Wannier90 and PythTB), and

.. math:: H_{ij}(k) = \sum_R t_{ij}(R)\, e^{ik\cdot(R + \tau_j - \tau_i)}.

The partner ``(-R, j, i, conj t)`` is added unless it is listed too, and then it must agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.models.hamiltonian import ComplexArray, FloatArray, Hamiltonian, separable_hamiltonian
from wigner_sim.models.matrices import complex_source, position_convention
from wigner_sim.models.setting import Field, Setting, read_structure

_KEYS = ("hoppings", "onsite", "orbital_positions", "lattice_vectors")

#: (cell R, orbital i, orbital j)
Bond: TypeAlias = tuple[tuple[int, ...], int, int]


@dataclass(frozen=True)
class Hopping:
    """One matrix element ``<0, i| H |R, j>``, or the conjugate of a listed one."""

    amplitude: Field
    conjugate: bool = False

    def __call__(self, x: FloatArray, t: float) -> ComplexArray:
        """Value at ``x`` (s, ...) -> (...)."""
        value = self.amplitude(x, t)
        return value.conj() if self.conjugate else value


@dataclass(frozen=True)
class TightBinding:
    """Bonds, Hermitian and complete, on a crystal: callable as ``H(x, k, t)``."""

    n_orbitals: int
    orbital_positions: FloatArray
    bonds: Mapping[Bond, Hopping]
    varying: Mapping[Bond, Hopping] = field(init=False)
    cells: FloatArray = field(init=False)  # (r, d)
    blocks: ComplexArray = field(init=False)  # (r, n, n), constant part of H in each cell

    def __post_init__(self) -> None:
        fixed = {bond: hopping for bond, hopping in self.bonds.items() if hopping.amplitude.constant}
        cells = sorted({cell for cell, _, _ in fixed})
        blocks = np.zeros((len(cells), self.n_orbitals, self.n_orbitals), dtype=complex)
        number = {cell: index for index, cell in enumerate(cells)}
        for (cell, i, j), hopping in fixed.items():
            value = hopping.amplitude.value
            blocks[number[cell], i, j] = value.conjugate() if hopping.conjugate else value
        varying = {bond: hopping for bond, hopping in self.bonds.items() if bond not in fixed}
        object.__setattr__(self, "varying", varying)
        object.__setattr__(self, "cells", np.array(cells, dtype=float).reshape(len(cells), -1))
        object.__setattr__(self, "blocks", blocks)

    def bloch(self, k: FloatArray) -> ComplexArray:
        """Constant part H0(k): k (d, ...) -> (..., n, n)."""
        return position_convention(self._cell_periodic(k), k, self.orbital_positions)

    def _cell_periodic(self, k: FloatArray) -> ComplexArray:
        if not len(self.cells):
            return np.zeros((*np.shape(k)[1:], self.n_orbitals, self.n_orbitals), dtype=complex)
        phases = np.exp(1j * np.tensordot(np.moveaxis(np.asarray(k), 0, -1), self.cells, (-1, -1)))
        return np.tensordot(phases, self.blocks, 1)

    def __call__(self, x: FloatArray, k: FloatArray, t: float) -> ComplexArray:
        """Whole H(x, k, t): x (s, ...), k (d, ...) -> (..., n, n)."""
        k = np.asarray(k)
        shape = np.broadcast_shapes(np.shape(x)[1:], k.shape[1:])
        constant = self._cell_periodic(k)
        matrix = np.array(np.broadcast_to(constant, (*shape, *constant.shape[-2:])))
        for (cell, i, j), hopping in self.varying.items():
            matrix[..., i, j] += hopping(x, t) * np.exp(1j * np.einsum("d,d...->...", cell, k))
        return position_convention(matrix, k, self.orbital_positions)


def tight_binding(name: str, parameters: Mapping[str, Any], setting: Setting) -> Hamiltonian:
    """Build a tight-binding Hamiltonian.

    Parameters
    ----------
    name : str
    parameters : mapping
        ``hoppings``: a list of ``[R, i, j, amplitude]``, of ``{cell, orbitals = [i, j], amplitude}``, or of
        ``{cell, matrix}``, or a mapping ``R -> matrix``; R is a list of d integers (an integer in one
        dimension) and an amplitude is a number, a complex formula of position and time, or ``[re, im]``.
        ``onsite``: energies, one per orbital (formulas allowed), optional.
        ``orbital_positions`` (n, d), lattice vectors, and ``lattice_vectors`` (d, d), optional.
        Every other entry is a named number that the formulas may use.
    setting : Setting

    Raises
    ------
    CaseError
        Naming the hopping that is malformed, listed twice, or not the conjugate of its partner.
    """
    if "hoppings" not in parameters:
        raise CaseError(f"model '{name}' needs 'hoppings', a list of [R, i, j, amplitude]")
    setting = setting.with_free_names(parameters, _KEYS, f"model '{name}'")
    listed = dict(_listed_bonds(parameters, setting))
    n_orbitals = 1 + max(max(i, j) for _, i, j in listed)
    bonds = _completed(listed, setting)
    structure = read_structure(parameters, n_orbitals, setting.n_dimensions, f"model '{name}'")
    model = TightBinding(n_orbitals, structure["orbital_positions"], bonds)
    attributes: dict[str, Any] = {"name": name, "parameters": dict(parameters), **structure}
    if model.varying:
        time_dependent = any(hopping.amplitude.time_dependent for hopping in model.varying.values())
        return Hamiltonian(
            model, n_orbitals, setting.n_dimensions, time_dependent=time_dependent, **attributes
        )
    return separable_hamiltonian(
        model.bloch, lambda x, t: np.zeros(np.shape(x)[1:]), n_orbitals, setting.n_dimensions, **attributes
    )


def _listed_bonds(parameters: Mapping[str, Any], setting: Setting) -> Iterator[tuple[Bond, Field]]:
    """Bonds as the user wrote them, on-site energies included, none of them twice."""
    seen: set[Bond] = set()
    onsite, home = parameters.get("onsite", []), (0,) * setting.n_dimensions
    if not isinstance(onsite, (list, tuple)):
        raise CaseError(f"'onsite' must be a list of energies, one per orbital, got {onsite!r:.60}")
    onsite = [(home, i, i, energy) for i, energy in enumerate(onsite)]
    for cell, i, j, amplitude in [*onsite, *_elements(parameters["hoppings"], setting.n_dimensions)]:
        bond, label = (cell, i, j), _label((cell, i, j))
        if bond in seen:
            raise CaseError(f"{label} is listed twice")
        seen.add(bond)
        yield bond, Field(complex_source(amplitude, label), setting, label, complex_valued=True)
    if not seen:
        raise CaseError("a tight-binding model needs at least one hopping or on-site energy")


def _elements(hoppings: Any, d: int) -> Iterator[tuple[tuple[int, ...], int, int, Any]]:
    """All accepted spellings as (R, i, j, amplitude)."""
    if isinstance(hoppings, Mapping):
        hoppings = [{"cell": cell, "matrix": matrix} for cell, matrix in hoppings.items()]
    if not isinstance(hoppings, (list, tuple)):
        raise CaseError(f"'hoppings' must be a list of [R, i, j, amplitude], got {hoppings!r:.60}")
    for number, entry in enumerate(hoppings, start=1):
        what = f"hopping number {number}"
        match entry:
            case {"cell": cell, "matrix": matrix, **rest} if not rest:
                yield from _matrix_elements(_cell(cell, d, what), matrix, what)
            case {"cell": cell, "orbitals": [i, j], "amplitude": amplitude, **rest} if not rest:
                yield _cell(cell, d, what), _orbital(i, what), _orbital(j, what), amplitude
            case [cell, i, j, amplitude]:
                yield _cell(cell, d, what), _orbital(i, what), _orbital(j, what), amplitude
            case _:
                raise CaseError(
                    f"{what} must be [R, i, j, amplitude], {{cell, orbitals, amplitude}} "
                    f"or {{cell, matrix}}, got {entry!r:.80}"
                )


def _matrix_elements(
    cell: tuple[int, ...], matrix: Any, what: str
) -> Iterator[tuple[tuple[int, ...], int, int, Any]]:
    rows = matrix.tolist() if isinstance(matrix, np.ndarray) else matrix
    if not isinstance(rows, (list, tuple)) or any(
        not isinstance(row, (list, tuple)) or len(row) != len(rows) for row in rows
    ):
        raise CaseError(f"{what}: the matrix of cell {list(cell)} must be square, got {matrix!r:.80}")
    for i, row in enumerate(rows):
        for j, amplitude in enumerate(row):
            # zeros off the diagonal say nothing; on it they count the orbitals
            if i == j or amplitude not in (0, "0"):
                yield cell, i, j, amplitude


def _cell(cell: Any, d: int, what: str) -> tuple[int, ...]:
    entries = [cell] if isinstance(cell, (int, np.integer)) else cell
    if (
        not isinstance(entries, (list, tuple))
        or len(entries) != d
        or any(isinstance(entry, bool) or not isinstance(entry, (int, np.integer)) for entry in entries)
    ):
        raise CaseError(f"{what}: the cell R must be {d} integers, got {cell!r:.60}")
    return tuple(int(entry) for entry in entries)


def _orbital(index: Any, what: str) -> int:
    if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not 0 <= index < 1000:
        raise CaseError(f"{what}: an orbital must be an integer counted from 0, got {index!r:.60}")
    return int(index)


def _label(bond: Bond) -> str:
    cell, i, j = bond
    return f"hopping <0, {i}| H |{list(cell)}, {j}>"


def _completed(listed: Mapping[Bond, Field], setting: Setting) -> dict[Bond, Hopping]:
    """Add missing partners; check those that are listed."""
    rng = np.random.default_rng(5)
    x = rng.uniform(size=(len(setting.lengths), 5)) * np.reshape(setting.lengths, (-1, 1))
    bonds = {bond: Hopping(amplitude) for bond, amplitude in listed.items()}
    for bond, amplitude in listed.items():
        cell, i, j = bond
        partner = (tuple(-entry for entry in cell), j, i)
        if partner not in listed:
            bonds[partner] = replace(Hopping(amplitude), conjugate=True)
            continue
        for t in (0.0, 1.3):
            value, expected = amplitude(x, t), listed[partner](x, t).conj()
            error = float(np.max(np.abs(value - expected)))
            if error > 1e-9 * max(1e-300, float(np.max(np.abs(value)))):
                rule = "must be real" if bond == partner else f"must be the conjugate of {_label(partner)}"
                raise CaseError(f"{_label(bond)} is not Hermitian: it {rule} (they differ by {error:.3g})")
    return bonds
