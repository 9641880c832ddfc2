r"""A tight-binding model from another program: matrices H(R) on a lattice, with orbital positions.

Whatever its source, it is kept in one convention, that of Wannier90 and PythTB: ``H_ij(R) = <0, i|H|R, j>``,

.. math:: H_{ij}(k) = \sum_R H_{ij}(R)\, e^{ik\cdot(R + \tau_j - \tau_i)},

with reduced orbital positions tau and ``k_a = k . a_a`` in radians.  The position operator is taken to be
diagonal in the orbitals, so that curvature and metric are those of this H(k).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.grid import FloatArray
from wigner_sim.models.hamiltonian import ComplexArray, Hamiltonian, separable_hamiltonian
from wigner_sim.models.matrices import position_convention

#: Error of H(-R) = H(R)^dagger, relative to the largest element, up to which a model is symmetrized: files
#: have six or more digits.
HERMITICITY_TOLERANCE = 1e-4
#: Largest number of phases exp(ik.R) held at a time.
_BLOCK = 2**21


@dataclass(frozen=True)
class LatticeModel:
    """Matrices H(R) on a lattice of D dimensions.

    Parameters
    ----------
    cells : array (r, D) of int
        Lattice vectors R, each once, with -R for every R.
    blocks : array (r, n, n), energy
        ``<0, i|H|R, j>``; ``blocks[-R]`` is the adjoint of ``blocks[R]``.
    positions : array (n, D), lattice vectors
        Orbital positions tau, not folded into the home cell.
    lattice_vectors : array (D, D), length
        Rows, Cartesian.
    source : str
        Where it came from.
    notes : tuple of str
        What was done on the way, for the report.
    hermiticity_error : float, energy
        Largest ``|H(-R) - H(R)^dagger|`` before it was symmetrized.
    in_electronvolt : bool
        Whether energies are in eV and lengths in angstrom (else both are the source's own).
    """

    cells: FloatArray
    blocks: ComplexArray
    positions: FloatArray
    lattice_vectors: FloatArray
    source: str
    notes: tuple[str, ...] = ()
    hermiticity_error: float = 0.0
    in_electronvolt: bool = False

    @property
    def n_orbitals(self) -> int:
        """Number n of orbitals."""
        return self.blocks.shape[-1]

    @property
    def n_dimensions(self) -> int:
        """Number D of lattice vectors."""
        return self.cells.shape[1]

    def bloch(self, k: FloatArray) -> ComplexArray:
        """H(k) in the convention of true orbital positions: k (D, ...), radians -> (..., n, n)."""
        k = np.asarray(k, dtype=float)
        points = k.reshape(self.n_dimensions, -1)
        n, n_points = self.n_orbitals, points.shape[1]
        matrix = np.empty((n_points, n * n), dtype=complex)
        blocks, cells = self.blocks.reshape(len(self.cells), -1), self.cells.astype(float)
        step = max(1, _BLOCK // len(cells))
        for start in range(0, n_points, step):
            phases = np.exp(1j * (points[:, start : start + step].T @ cells.T))
            matrix[start : start + step] = phases @ blocks
        return position_convention(matrix.reshape(*k.shape[1:], n, n), k, self.positions)

    def energies(self, k: FloatArray) -> FloatArray:
        """Band energies (..., n), ascending."""
        return np.asarray(np.linalg.eigvalsh(self.bloch(k)), dtype=float)

    def shifted(self, energy: float) -> LatticeModel:
        """Same model with ``energy`` (the Fermi level) as the zero of energy."""
        blocks = self.blocks.copy()
        blocks[self._home] -= energy * np.eye(self.n_orbitals)
        return replace(self, blocks=blocks)

    @property
    def _home(self) -> int:
        return int(np.flatnonzero(~self.cells.any(axis=1))[0])

    def periodic_axes(self) -> tuple[int, ...]:
        """Lattice vectors along which anything hops."""
        scale = np.abs(self.blocks).max()
        used = np.abs(self.blocks).max(axis=(1, 2)) > 1e-12 * scale
        return tuple(np.flatnonzero(np.abs(self.cells[used]).max(axis=0, initial=0)).tolist())

    def on_axes(self, axes: Sequence[int], momenta: Sequence[float] | None = None) -> LatticeModel:
        """Lower-dimensional model of the lattice vectors ``axes``.

        Parameters
        ----------
        axes : sequence of int
            Lattice vectors to keep, counted from 0, in this order.
        momenta : sequence of float, radians, optional
            Fixed momenta along the others, in their order: ``H(k)`` on that plane or line.  If left out, the
            hoppings along the others are dropped (an isolated layer or chain), and the report says how large
            they were.

        Raises
        ------
        CaseError
            If the axes do not exist or repeat, or the number of momenta does not fit.
        """
        axes = tuple(axes)
        others = [axis for axis in range(self.n_dimensions) if axis not in axes]
        if len(set(axes)) != len(axes) or not axes or not set(axes) <= set(range(self.n_dimensions)):
            last = self.n_dimensions - 1
            raise CaseError(f"axes: expected distinct lattice vectors among 0 to {last}, got {list(axes)}")
        if momenta is not None and len(momenta) != len(others):
            raise CaseError(f"other_momenta: expected {len(others)} numbers, got {len(momenta)}")
        kept = replace(self, positions=self.positions[:, axes], lattice_vectors=self._vectors(axes))
        if not others:
            return replace(kept, cells=self.cells[:, axes])
        if momenta is None:
            inside = np.logical_not(self.cells[:, others].any(axis=1))
            blocks, notes = self.blocks[inside], (*self.notes, self._dropped(axes, others, inside))
            return replace(kept, cells=self.cells[inside][:, axes], blocks=blocks, notes=notes)
        # i k.(R + tau_j - tau_i) along the others: a fixed phase per orbital, kept so that geometry in other
        # planes stays comparable
        k = np.asarray(momenta, dtype=float)
        phases = np.exp(1j * self.cells[:, others] @ k)
        blocks = position_convention(
            phases[:, None, None] * self.blocks, k[:, None], self.positions[:, others]
        )
        cells, blocks = merged(self.cells[:, axes], blocks)
        note = f"plane at k = {', '.join(f'{value:g}' for value in k)} along {_names(others)}"
        return replace(kept, cells=cells, blocks=blocks, notes=(*self.notes, note))

    def _dropped(self, axes: Sequence[int], others: Sequence[int], inside: FloatArray) -> str:
        largest = float(np.abs(self.blocks[~inside]).max(initial=0.0))
        return (
            f"kept {_names(axes)}; dropped {int((~inside).sum())} of {len(inside)} cells along "
            f"{_names(others)}, the largest hopping among them is {largest:.3g}"
        )

    def _vectors(self, axes: Sequence[int]) -> FloatArray:
        """Chosen lattice vectors in as many Cartesian components, lengths and angles kept."""
        vectors = self.lattice_vectors[list(axes)]
        d = len(axes)
        if not vectors[:, d:].any():
            return vectors[:, :d]
        _q, lower = np.linalg.qr(vectors.T)  # vectors = lower^T q^T
        return (lower * np.sign(np.diagonal(lower))[:, None]).T[:, :d]

    def hamiltonian(self, name: str, parameters: Mapping[str, Any]) -> Hamiltonian:
        """The model as a separable Hamiltonian H0(k)."""
        return separable_hamiltonian(
            self.bloch,
            lambda x, t: np.zeros(np.shape(x)[1:]),
            self.n_orbitals,
            self.n_dimensions,
            name=name,
            parameters=dict(parameters),
            orbital_positions=self.positions,
            lattice_vectors=self.lattice_vectors,
        )

    def report(self) -> list[str]:
        """What was read, and in which convention, in a few lines."""
        energy, length = ("eV", "angstrom") if self.in_electronvolt else ("energy", "length")
        home = self.blocks[self._home]
        onsite = home.diagonal().real
        outside = int(((self.positions < -1e-6) | (self.positions >= 1 - 1e-6)).any(axis=1).sum())
        lines = [
            f"source: {self.source}",
            f"lattice: {self.n_dimensions} vectors, "
            + "; ".join(f"({', '.join(f'{x:.6g}' for x in row)})" for row in self.lattice_vectors)
            + f" {length}",
            f"orbitals: {self.n_orbitals}; cells R: {len(self.cells)}, "
            f"farthest {', '.join(str(int(m)) for m in np.abs(self.cells).max(axis=0))}",
            "convention: H_ij(R) = <0,i|H|R,j>, H(k) with the phases exp(ik.(R + tau_j - tau_i))",
            f"hermiticity: largest |H(-R) - H(R)^+| = {self.hermiticity_error:.3g} {energy}, symmetrized",
            f"on site: energies {onsite.min():.6g} to {onsite.max():.6g} {energy}, "
            f"largest |Im H_ij(0)| = {np.abs(home.imag).max():.3g} {energy}",
            f"centres: {outside} of {self.n_orbitals} outside the home cell, none folded",
        ]
        return [*lines, *self.notes]


def _names(axes: Sequence[int]) -> str:
    return " ".join(f"a_{axis + 1}" for axis in axes)


def merged(cells: FloatArray, blocks: ComplexArray) -> tuple[FloatArray, ComplexArray]:
    """Each cell once, with the sum of its blocks."""
    unique, where = np.unique(np.asarray(cells, dtype=int), axis=0, return_inverse=True)
    total = np.zeros((len(unique), *blocks.shape[1:]), dtype=complex)
    np.add.at(total, where.ravel(), blocks)
    return unique, total


def hermitian_model(
    cells: FloatArray,
    blocks: ComplexArray,
    positions: FloatArray,
    lattice_vectors: FloatArray,
    source: str,
    notes: Sequence[str] = (),
    in_electronvolt: bool = False,
) -> LatticeModel:
    """Check ``H(-R) = H(R)^dagger`` and make it exact.

    Parameters
    ----------
    cells, blocks, positions, lattice_vectors, source, notes, in_electronvolt
        As in :class:`LatticeModel`, where a cell may come more than once and -R may be missing.

    Raises
    ------
    CaseError
        If a value is not finite, the lattice is flat, or the error exceeds ``HERMITICITY_TOLERANCE`` times
        the largest element, naming the R and the orbitals where it is largest.
    """
    vectors, positions = np.asarray(lattice_vectors, dtype=float), np.asarray(positions, dtype=float)
    if not all(np.isfinite(array).all() for array in (blocks, vectors, positions)):
        raise CaseError(f"{source}: a value is not finite")
    if abs(np.linalg.det(vectors)) < 1e-9 * np.prod(np.linalg.norm(vectors, axis=1)) or not vectors.any():
        raise CaseError(f"{source}: the lattice vectors are linearly dependent")
    cells = np.asarray(cells, dtype=int)
    d, n = cells.shape[1], blocks.shape[-1]
    cells = np.vstack([cells, -cells, np.zeros((1, d), dtype=int)])
    zero = np.zeros((1, n, n))
    adjoint = np.conj(np.swapaxes(blocks, 1, 2))
    unique, whole = merged(cells, np.concatenate([blocks, 0 * blocks, zero]))
    _, partner = merged(cells, np.concatenate([0 * blocks, adjoint, zero]))
    error = np.abs(whole - partner)
    scale = max(float(np.abs(whole).max()), np.finfo(float).tiny)
    if error.max() > HERMITICITY_TOLERANCE * scale:
        r, i, j = np.unravel_index(np.argmax(error), error.shape)
        raise CaseError(
            f"{source}: not Hermitian: H_{i + 1},{j + 1}(R) and conj H_{j + 1},{i + 1}(-R) differ by "
            f"{error.max():.3g} at R = {unique[r].tolist()}, the largest element is {scale:.3g}"
        )
    return LatticeModel(
        unique,
        0.5 * (whole + partner),
        positions,
        vectors,
        source,
        tuple(notes),
        float(error.max()),
        in_electronvolt,
    )
