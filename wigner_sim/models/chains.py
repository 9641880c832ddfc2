r"""Named models in one dimension (and the one-band crystal in any dimension).

Each function takes ``k`` (d, ...) in radians and its physical parameters, numbers or arrays (...) that
broadcast with ``k[i]``, and returns cell-periodic Bloch matrices (..., n, n).  The phases of the orbital
positions are put in where the Hamiltonian is assembled (:mod:`wigner_sim.models.named`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wigner_sim.models.hamiltonian import ComplexArray, FloatArray
from wigner_sim.models.matrices import hermitian_matrix, pauli_combination

#: A number or an array; as a default also a formula of position and time.
Parameter = Any


def cosine_band(
    k: FloatArray, t1: Parameter = 1.0, t2: Parameter = 0.0, energy: Parameter = 0.0
) -> ComplexArray:
    r"""One band with nearest and second neighbour hopping along each axis, any dimension.

    .. math:: H = \epsilon - 2 t_1 \sum_i \cos k_i - 2 t_2 \sum_i \cos 2k_i

    Reference: N. W. Ashcroft and N. D. Mermin, Solid State Physics (1976), chapter 10.
    """
    band = energy - 2 * t1 * np.cos(k).sum(axis=0) - 2 * t2 * np.cos(2 * np.asarray(k)).sum(axis=0)
    return hermitian_matrix(1, {(0, 0): band})


def ssh(k: FloatArray, t1: Parameter = 1.0, t2: Parameter = 0.6) -> ComplexArray:
    r"""Su-Schrieffer-Heeger chain: hopping t1 inside the cell, t2 between cells.

    .. math:: H = (t_1 + t_2 \cos k)\,\sigma_x + t_2 \sin k\,\sigma_y, \qquad E = \pm|t_1 + t_2 e^{ik}|

    Reference: W. P. Su, J. R. Schrieffer, A. J. Heeger, Phys. Rev. Lett. 42, 1698 (1979).
    Both orbitals sit at the origin of the cell by default; ``orbital_positions = [0, 0.5]`` is the chain
    with equally spaced atoms.
    """
    return rice_mele(k, t1=t1, t2=t2, delta=0.0)


def rice_mele(
    k: FloatArray, t1: Parameter = 1.0, t2: Parameter = 0.6, delta: Parameter = 0.3
) -> ComplexArray:
    r"""SSH chain with a staggered potential +delta, -delta; the Thouless pump turns (t1 - t2, delta).

    .. math::

        H = (t_1 + t_2 \cos k)\,\sigma_x + t_2 \sin k\,\sigma_y + \Delta\,\sigma_z,
        \qquad E = \pm\sqrt{\Delta^2 + t_1^2 + t_2^2 + 2 t_1 t_2 \cos k}

    Reference: M. J. Rice and E. J. Mele, Phys. Rev. Lett. 49, 1455 (1982).
    Orbital positions as for :func:`ssh`.
    """
    (k,) = k
    return pauli_combination(t1 + t2 * np.cos(k), t2 * np.sin(k), delta)


def trimer(
    k: FloatArray,
    t12: Parameter = 1.0,
    t23: Parameter = 0.8,
    t31: Parameter = 0.5,
    e1: Parameter = 0.4,
    e2: Parameter = 0.0,
    e3: Parameter = -0.4,
) -> ComplexArray:
    r"""Chain of three orbitals per cell (SSH3): hoppings 1-2, 2-3 inside the cell and 3-1 to the next.

    .. math::

        H = \begin{pmatrix} e_1 & t_{12} & t_{31} e^{-ik} \\ t_{12} & e_2 & t_{23} \\
        t_{31} e^{ik} & t_{23} & e_3 \end{pmatrix}

    Reference: V. M. Martinez Alvarez and M. D. Coutinho-Filho, Phys. Rev. A 99, 013833 (2019).
    All orbitals sit at the origin of the cell by default.
    """
    (k,) = k
    return hermitian_matrix(
        3,
        {(0, 0): e1, (1, 1): e2, (2, 2): e3, (0, 1): t12, (1, 2): t23, (0, 2): t31 * np.exp(-1j * k)},
    )


def massive_dirac_chain(
    k: FloatArray, velocity: Parameter = 1.0, mass: Parameter = 0.5, wilson: Parameter = 1.0
) -> ComplexArray:
    r"""Lattice Dirac electron in one dimension, with the Wilson term that lifts the doubler at k = pi.

    .. math:: H = v \sin k\,\sigma_x + [m + w(1 - \cos k)]\,\sigma_z

    Reference: R. Jackiw and C. Rebbi, Phys. Rev. D 13, 3398 (1976), for a mass m(x) that changes sign;
    K. G. Wilson, in New Phenomena in Subnuclear Physics (1977), for the last term.
    """
    (k,) = k
    return pauli_combination(velocity * np.sin(k), 0.0, mass + wilson * (1 - np.cos(k)))


def two_band_texture(
    k: FloatArray,
    angle: Parameter = "2*pi*x/L",
    mass: Parameter = 1.2,
    hop_1: Parameter = 0.5,
    hop_2: Parameter = 0.5,
    hop_3: Parameter = 0.3,
    texture_1: Parameter = 0.2,
    texture_2: Parameter = 0.2,
    texture_3: Parameter = 0.3,
    mixed: Parameter = 0.1,
    scalar: Parameter = 0.4,
) -> ComplexArray:
    r"""Two bands whose Bloch vector turns with position: a generic, not separable H(x, k).

    .. math::

        H &= d\cdot\sigma + u_0 \cos X, \qquad X = 2\pi x/L, \\
        d_1 &= m + h_1 \cos k + u_1 \cos X, \\
        d_2 &= h_2 \sin k + u_2 \sin X + c \sin(X + k), \\
        d_3 &= u_3 \sin X + h_3 \cos k.

    The benchmark of section 11 of docs/theory.md, after Park, Huang, Savary, Balents, arXiv:2504.10447
    (``hop`` is h, ``texture`` and ``scalar`` are u, ``mixed`` is c, ``angle`` is X).
    """
    (k,), angle = k, np.asarray(angle)
    d1 = mass + hop_1 * np.cos(k) + texture_1 * np.cos(angle)
    d2 = hop_2 * np.sin(k) + texture_2 * np.sin(angle) + mixed * np.sin(angle + k)
    d3 = texture_3 * np.sin(angle) + hop_3 * np.cos(k)
    return pauli_combination(d1, d2, d3, scalar * np.cos(angle))
