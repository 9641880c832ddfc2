"""From a validated case to the physical problem: grid, Hamiltonian, bands, states, equation options."""

from wigner_sim.problem.building import build_problem, read_case
from wigner_sim.problem.definition import Problem
from wigner_sim.problem.description import describe

__all__ = ["Problem", "build_problem", "describe", "read_case"]
