"""Split a Hamiltonian into a matrix of momentum and a matrix of position, ``H = H0(k, t) + M(x, t)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.models.hamiltonian import ComplexArray, FloatArray, Hamiltonian

#: Largest part of H that the sum of its parts may miss.
_TOLERANCE = 1e-12
_N_PROBES = 24
_PROBED_TIMES = (0.0, 0.37, 1.9)


@dataclass(frozen=True)
class SeparatedHamiltonian:
    """``H(x, k, t) = H0(k, t) + M(x, t)``, both in the position convention.

    Parameters
    ----------
    hamiltonian : Hamiltonian
    n_position_axes : int
    diagonal : bool
        Whether M has diagonal elements only.
    """

    hamiltonian: Hamiltonian
    n_position_axes: int
    diagonal: bool

    @property
    def momentum_varies(self) -> bool:
        """Whether H0 depends on time."""
        return self.hamiltonian.time_dependent and self.hamiltonian.bloch is None

    @property
    def position_varies(self) -> bool:
        """Whether M depends on time."""
        return self.hamiltonian.time_dependent

    def of_momentum(self, k: FloatArray, t: float) -> ComplexArray:
        """``H0``: k (d, ...) -> (..., n, n)."""
        h = self.hamiltonian
        if h.bloch is not None:
            return h.bloch(k)
        return h.matrix(np.zeros((self.n_position_axes, *np.shape(k)[1:])), k, t)

    def of_position(self, x: FloatArray, t: float) -> ComplexArray:
        """``M``: x (s, ...) -> (..., n, n); zero at the origin unless H was given as a sum."""
        h = self.hamiltonian
        if h.potential is not None:
            return (h.potential(x, t)[..., None, None] * np.eye(h.n_orbitals)).astype(complex)
        k = np.zeros((h.n_dimensions, *np.shape(x)[1:]))
        return h.matrix(x, k, t) - h.matrix(np.zeros_like(x), k, t)


def separate(hamiltonian: Hamiltonian, grid: PhaseSpaceGrid) -> SeparatedHamiltonian:
    """Split a Hamiltonian for the matrix equation.

    Raises
    ------
    CaseError
        If there is a magnetic field, if H mixes position and momentum in one matrix element, or if M
        couples orbitals at different places (then its elements depend on momentum as well).
    """
    s = grid.n_position_axes
    if np.any(grid.epsilon[s:, s:]):
        raise CaseError('equation.method = "matrix" has no magnetic field: set grid.magnetic_field = 0')
    if hamiltonian.separable or not s:
        return SeparatedHamiltonian(hamiltonian, s, diagonal=True)
    separated = SeparatedHamiltonian(hamiltonian, s, diagonal=False)
    rng = np.random.default_rng(11)
    x = rng.uniform(size=(s, _N_PROBES)) * np.reshape(grid.lengths, (-1, 1))
    k = rng.uniform(-np.pi, np.pi, size=(grid.n_momentum_axes, _N_PROBES))
    off_diagonal = 0.0
    for t in _PROBED_TIMES:
        whole, m = hamiltonian.matrix(x, k, t), separated.of_position(x, t)
        missed = np.abs(whole - separated.of_momentum(k, t) - m).max()
        if missed > _TOLERANCE * np.abs(whole).max():
            raise CaseError(
                'equation.method = "matrix" needs H = H0(k, t) + M(x, t), but the Hamiltonian '
                f"{hamiltonian.name!r} has elements that depend on x and k together"
            )
        off_diagonal = max(off_diagonal, float(np.abs(m * (1 - np.eye(hamiltonian.n_orbitals))).max()))
    tau = hamiltonian.orbital_positions
    if off_diagonal and np.ptp(tau, axis=0).any():
        raise CaseError(
            f'equation.method = "matrix": M(x, t) of {hamiltonian.name!r} couples orbitals at different '
            "places; put all hamiltonian.orbital_positions at the origin"
        )
    return SeparatedHamiltonian(hamiltonian, s, diagonal=not off_diagonal)
