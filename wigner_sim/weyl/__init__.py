r"""Lattice Weyl transform between matrix symbols S(x, k) and dense operators on a ring (or torus) of sites.

An operator has elements between orbital o at site R and orbital o' at site R'.  With the integer
separation ``s = R - R'`` taken in ``|s| < L/2`` the element sits at the midpoint
``X = R' + s/2 + (tau_o + tau_o')/2``, and (``docs/theory.md``, section 2)

    S_oo'(X, k) = exp(-i k.(tau_o - tau_o')) sum_s M_{R'+s,o; R',o'} exp(-i k.s) exp(+i int_{R'}^{R} A.dl).

Midpoints fall on integer (even s) and half-integer (odd s) sites, shifted by the orbital positions; the
symbol is evaluated exactly there, or Fourier-interpolated if it is given on a grid, never rounded.  On a
ring with even L the bonds of length ``|s| = L/2`` have two midpoints and no unique symbol: they are
dropped in both directions.

**Magnetic field.**  Position axes come first, so ``A_j = sum_{i<j} F_ij x_i`` with the flux F_ij per cell is
a gauge for every uniform field that the kept axes allow (the Landau gauge ``A_y = B x`` in the plane).  Its
line integral and the twist of the boundary condition ``psi(x + L_i e_i) = exp(-i sum_{j>i} F_ij L_i x_j)
psi(x)`` are one phase per bond, :meth:`SiteLattice.peierls_phase`.

**Missing position axes** (``s < d``).  The operator splits into one block, a *fibre*, per canonical momentum
p of the missing axes, with the symbol ``S(X, k_kept, p + F X)``; and back, ``S(X, k) = S_p(X, k_kept)`` at
``p = k - F X``.  Fibres at ``p = 2 pi i/n`` are the blocks of a torus with n sites along the missing axis.

Operators are *site-major*: row ``R * n_orbitals + o``, the sites of a torus in C order.
"""

from wigner_sim.weyl.bonds import BondSampler, bond_sampler
from wigner_sim.weyl.lattice import (
    SiteLattice,
    canonical_momenta,
    grid_lattice,
    grid_sites,
    site_lattice,
    site_numbers,
)
from wigner_sim.weyl.sampling import SymbolFunction, fibre_function, interpolation_matrix, mesh_sampler
from wigner_sim.weyl.transform import (
    momentum_distribution,
    operator_to_symbol,
    position_density,
    sampled_operator,
    symbol_to_operator,
)

__all__ = [
    "BondSampler",
    "SiteLattice",
    "SymbolFunction",
    "bond_sampler",
    "canonical_momenta",
    "fibre_function",
    "grid_lattice",
    "grid_sites",
    "interpolation_matrix",
    "mesh_sampler",
    "momentum_distribution",
    "operator_to_symbol",
    "position_density",
    "sampled_operator",
    "site_lattice",
    "site_numbers",
    "symbol_to_operator",
]
