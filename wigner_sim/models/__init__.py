"""Hamiltonians H(x, k, t): the protocol, named models, tight binding, and the user's own functions."""

from wigner_sim.models.hamiltonian import Hamiltonian, separable_hamiltonian

__all__ = ["Hamiltonian", "separable_hamiltonian"]
