r"""Exact Liouville-von Neumann reference ``i d_t rho = [H, rho]`` on a small lattice (dense matrices).

The Weyl symbol H(x, k, t) becomes an operator on a ring or torus of sites; band projectors, states and
the evolution are plain linear algebra there, and only the results go back to phase space.  Nothing of the
gradient expansion is used, so a sign error in it cannot cancel (``docs/theory.md``, sections 2, 3, 8, 11).

:func:`exact_system` is the way in: it takes any grid, with a magnetic field or not.  If position axes are
missing, as in f(x; kx, ky), every canonical momentum along them is a problem of its own (a *fibre*).

Cost: one diagonalisation per case and fibre, real or in blocks of conserved momenta where the matrix allows,
and two matrix products per output time and band: time as the cube and memory as the square of the number of
states, both in proportion to the number of fibres.  Above ``MAXIMUM_STATES`` a ring or torus is followed by
its occupied wave functions alone, :func:`large_system`.  Measured in ``docs/performance_exact.md``.
"""

from wigner_sim.liouville.evolution import TimeDependentOperator, evolve_driven, evolve_static
from wigner_sim.liouville.large import MAXIMUM_SPARSE_STATES, LargeSystem, large_system
from wigner_sim.liouville.occupied import SubspaceState
from wigner_sim.liouville.operators import MAXIMUM_STATES, quantize_hamiltonian
from wigner_sim.liouville.projectors import BandProjector, band_projector
from wigner_sim.liouville.snapshots import LiouvilleSnapshot, observe_state
from wigner_sim.liouville.spectrum import Spectrum, diagonalize
from wigner_sim.liouville.states import state_from_symbol, thermal_state
from wigner_sim.liouville.system import ExactSystem, exact_system, run_liouville

__all__ = [
    "MAXIMUM_SPARSE_STATES",
    "MAXIMUM_STATES",
    "BandProjector",
    "ExactSystem",
    "LargeSystem",
    "LiouvilleSnapshot",
    "Spectrum",
    "SubspaceState",
    "TimeDependentOperator",
    "band_projector",
    "diagonalize",
    "evolve_driven",
    "evolve_static",
    "exact_system",
    "large_system",
    "observe_state",
    "quantize_hamiltonian",
    "run_liouville",
    "state_from_symbol",
    "thermal_state",
]
