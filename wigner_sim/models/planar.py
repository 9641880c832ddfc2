r"""Named models in two dimensions; functions as in :mod:`wigner_sim.models.chains`.

``k = (k1, k2)`` are reduced, ``k_i = k . a_i``.  On the honeycomb lattice a_1 = (1, 0),
a_2 = (1/2, sqrt(3)/2), orbital A sits at the origin and B at (a_1 + a_2)/3; the corners of the Brillouin
zone are K = (2 pi/3, -2 pi/3) and K' = -K.
"""

from __future__ import annotations

import numpy as np

from wigner_sim.models.chains import Parameter
from wigner_sim.models.hamiltonian import ComplexArray, FloatArray
from wigner_sim.models.matrices import pauli_combination

HONEYCOMB_VECTORS = ((1.0, 0.0), (0.5, 0.5 * np.sqrt(3.0)))
HONEYCOMB_POSITIONS = ((0.0, 0.0), (1 / 3, 1 / 3))


def massive_dirac_plane(
    k: FloatArray, velocity: Parameter = 1.0, mass: Parameter = 0.5, wilson: Parameter = 1.0
) -> ComplexArray:
    r"""Lattice Dirac electron on the square lattice, with the Wilson term that lifts the doublers.

    .. math:: H = v(\sin k_x\,\sigma_x + \sin k_y\,\sigma_y) + [m + w(2 - \cos k_x - \cos k_y)]\,\sigma_z

    Reference: X.-L. Qi, T. L. Hughes, S.-C. Zhang, Phys. Rev. B 78, 195424 (2008), section II.
    """
    kx, ky = k
    d3 = mass + wilson * (2 - np.cos(kx) - np.cos(ky))
    return pauli_combination(velocity * np.sin(kx), velocity * np.sin(ky), d3)


def qi_wu_zhang(
    k: FloatArray, mass: Parameter = -1.0, hopping: Parameter = 1.0, velocity: Parameter = 1.0
) -> ComplexArray:
    r"""Chern insulator on the square lattice.

    .. math:: H = v(\sin k_x\,\sigma_x + \sin k_y\,\sigma_y) + [m + t(\cos k_x + \cos k_y)]\,\sigma_z

    Gaps: ``2|m + 2t|`` at Gamma, ``2|m|`` at X and Y, ``2|m - 2t|`` at M.  It is a Chern insulator
    for ``0 < |m| < 2|t|``.
    Reference: X.-L. Qi, Y.-S. Wu, S.-C. Zhang, Phys. Rev. B 74, 085308 (2006).
    """
    kx, ky = k
    d3 = mass + hopping * (np.cos(kx) + np.cos(ky))
    return pauli_combination(velocity * np.sin(kx), velocity * np.sin(ky), d3)


def haldane(
    k: FloatArray,
    t1: Parameter = 1.0,
    t2: Parameter = 0.15,
    phi: Parameter = np.pi / 2,
    mass: Parameter = 0.2,
) -> ComplexArray:
    r"""Honeycomb lattice with complex second neighbour hopping t2 exp(i phi) and sublattice potential M.

    .. math::

        H &= t_1[\mathrm{Re} f\,\sigma_x - \mathrm{Im} f\,\sigma_y] + 2t_2\cos\phi \sum_i \cos k\cdot b_i
             + [M - 2t_2\sin\phi \sum_i \sin k\cdot b_i]\,\sigma_z, \\
        f &= 1 + e^{-ik_1} + e^{-ik_2}, \qquad b = (a_1,\; a_2 - a_1,\; -a_2).

    The gap closes at K for M = 3 sqrt(3) t2 sin(phi), at K' for M = -3 sqrt(3) t2 sin(phi).
    Reference: F. D. M. Haldane, Phys. Rev. Lett. 61, 2015 (1988).
    """
    k1, k2 = k
    f = 1 + np.exp(-1j * k1) + np.exp(-1j * k2)
    cosines = np.cos(k1) + np.cos(k2 - k1) + np.cos(k2)
    sines = np.sin(k1) + np.sin(k2 - k1) - np.sin(k2)
    d3 = mass - 2 * t2 * np.sin(phi) * sines
    return pauli_combination(t1 * f.real, -t1 * f.imag, d3, 2 * t2 * np.cos(phi) * cosines)


def graphene(k: FloatArray, t1: Parameter = 1.0, delta: Parameter = 0.3) -> ComplexArray:
    r"""Gapped graphene (boron nitride): honeycomb lattice with potential +delta on A, -delta on B.

    .. math:: E = \pm\sqrt{\Delta^2 + t_1^2 |f|^2}, \qquad f = 1 + e^{-ik_1} + e^{-ik_2}

    Reference: G. W. Semenoff, Phys. Rev. Lett. 53, 2449 (1984).
    """
    return haldane(k, t1=t1, t2=0.0, phi=0.0, mass=delta)
