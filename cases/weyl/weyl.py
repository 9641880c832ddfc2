"""A Weyl semimetal whose two nodes have annihilated: a Chern insulator in every plane of fixed kz."""

import numpy as np


def hamiltonian(k, velocity=0.7, mass=1.0, layer=0.1):
    """H = v (sin kx s_x + sin ky s_y) + [m - 2 + cos kx + cos ky + w cos kz] s_z, shape (..., 2, 2).

    Weyl nodes sit at (0, 0, kz) where m + w cos kz = 0: for |m| < |w|.  For |w| < m < 2 - |w| the lower band
    is gapped and has a Chern number of modulus one at every kz.
    """
    kx, ky, kz = k
    off = velocity * (np.sin(kx) - 1j * np.sin(ky))
    diagonal = mass - 2 + np.cos(kx) + np.cos(ky) + layer * np.cos(kz) + 0j
    rows = np.stack([diagonal, off, off.conj(), -diagonal], axis=-1)
    return rows.reshape(*off.shape, 2, 2)
