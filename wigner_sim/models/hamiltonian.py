"""What a Hamiltonian is to the rest of the package: a Hermitian matrix symbol H(x, k, t)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

#: (x, k, t) -> (..., n, n); x of shape (s, ...), k of shape (d, ...), reduced coordinates.
MatrixFunction = Callable[[FloatArray, FloatArray, float], ComplexArray]
#: k -> (..., n, n)
BlochFunction = Callable[[FloatArray], ComplexArray]
#: (x, t) -> (...)
PotentialFunction = Callable[[FloatArray, float], FloatArray]
#: t -> (d,)
ForceFunction = Callable[[float], FloatArray]


@dataclass(frozen=True)
class Hamiltonian:
    r"""Hermitian Weyl symbol ``H(x, k, t)``, or ``H0(k) + U(x, t)`` when ``bloch`` is given.

    Parameters
    ----------
    matrix : callable (x, k, t) -> array (..., n, n), energy
        ``x`` has shape (s, ...), ``k`` shape (d, ...), both reduced (see ``grid.py``), broadcast against
        each other.  Matrix elements follow the position convention,
        ``H_oo'(k) ~ exp(-i k . (tau_o - tau_o'))``, with the ``orbital_positions`` tau.
        Must contain the potential already when ``bloch`` and ``potential`` are given.
    n_orbitals, n_dimensions : int
        Size n of the matrix and number d of momentum axes.
    orbital_positions : array (n, d), lattice vectors
        tau_o inside the cell; zeros if left out (then H is periodic in k).
    lattice_vectors : array (d, d), lattice constants
        Row i is a_i, Cartesian; the identity if left out.
    time_dependent : bool
    bloch, potential : callables, optional
        The two parts of a separable Hamiltonian, ``H0(k)`` and ``U(x, t)`` times the identity.
    force : callable t -> array (d,), energy per lattice constant, optional
        Uniform force ``F_i = -dU/dx_i`` on the electrons along each lattice vector, beside ``matrix`` (whose
        potential must be periodic).
    force_varies : bool
        Whether the force depends on time.
    name : str
    parameters : dict
        For the record.
    """

    matrix: MatrixFunction
    n_orbitals: int
    n_dimensions: int
    orbital_positions: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    lattice_vectors: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    time_dependent: bool = False
    bloch: BlochFunction | None = None
    potential: PotentialFunction | None = None
    force: ForceFunction | None = None
    force_varies: bool = False
    name: str = "hamiltonian"
    parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.orbital_positions.size == 0:
            object.__setattr__(self, "orbital_positions", np.zeros((self.n_orbitals, self.n_dimensions)))
        if self.lattice_vectors.size == 0:
            object.__setattr__(self, "lattice_vectors", np.eye(self.n_dimensions))

    @property
    def driven(self) -> bool:
        """Whether anything in it depends on time."""
        return self.time_dependent or self.force_varies

    @property
    def separable(self) -> bool:
        """Whether H = H0(k) + U(x, t) times the identity, by construction."""
        return self.bloch is not None

    def dilated(self, dilation: float) -> Hamiltonian:
        """``H(x/dilation, k, t/dilation)``: same local crystal, gradients weaker by ``dilation``."""
        matrix, potential, force = self.matrix, self.potential, self.force
        return replace(
            self,
            force=None if force is None else lambda t: force(t / dilation) / dilation,
            matrix=lambda x, k, t: matrix(np.asarray(x) / dilation, k, t / dilation),
            potential=None
            if potential is None
            else lambda x, t: potential(np.asarray(x) / dilation, t / dilation),
        )


def separable_hamiltonian(
    bloch: BlochFunction, potential: PotentialFunction, n_orbitals: int, n_dimensions: int, **attributes: Any
) -> Hamiltonian:
    """Hamiltonian ``H0(k) + U(x, t)`` from its two parts (attributes as in :class:`Hamiltonian`)."""

    def matrix(x: FloatArray, k: FloatArray, t: float) -> ComplexArray:
        return bloch(k) + potential(x, t)[..., None, None] * np.eye(n_orbitals)

    return Hamiltonian(
        matrix=matrix,
        n_orbitals=n_orbitals,
        n_dimensions=n_dimensions,
        bloch=bloch,
        potential=potential,
        **attributes,
    )


def with_potential(hamiltonian: Hamiltonian, potential: PotentialFunction) -> Hamiltonian:
    """A separable Hamiltonian with another time-dependent potential added."""
    assert hamiltonian.bloch is not None
    own = hamiltonian.potential

    def total(x: FloatArray, t: float) -> FloatArray:
        return potential(x, t) + (0.0 if own is None else own(x, t))

    attributes = ("orbital_positions", "lattice_vectors", "force", "force_varies", "name", "parameters")
    return separable_hamiltonian(
        hamiltonian.bloch,
        total,
        hamiltonian.n_orbitals,
        hamiltonian.n_dimensions,
        time_dependent=True,
        **{name: getattr(hamiltonian, name) for name in attributes},
    )
