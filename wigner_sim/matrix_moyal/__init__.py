"""The full matrix Wigner equation, stepped by exact sub-flows (docs/theory.md section 13)."""

from wigner_sim.matrix_moyal.projection import StarProjection
from wigner_sim.matrix_moyal.separation import SeparatedHamiltonian, separate
from wigner_sim.matrix_moyal.system import MatrixMoyal

__all__ = ["MatrixMoyal", "SeparatedHamiltonian", "StarProjection", "separate"]
