"""Hamiltonians H(x, k, t): the protocol, named models, tight binding, and the user's own functions."""

from wigner_sim.models.build import MODELS, build_hamiltonian
from wigner_sim.models.hamiltonian import Hamiltonian, separable_hamiltonian
from wigner_sim.models.potential import add_potential, read_potential

__all__ = [
    "MODELS",
    "Hamiltonian",
    "add_potential",
    "build_hamiltonian",
    "read_potential",
    "separable_hamiltonian",
]
