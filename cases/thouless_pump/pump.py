"""A Rice-Mele chain that is taken once around its critical point."""

import numpy as np


def phase(t, period):
    """Pump angle: 2 pi per period, at rest (to second order in time) where a period begins and ends."""
    u = 2 * np.pi * t / period
    return u - np.sin(u)


def hamiltonian(k, t, period, hopping=1.0, dimerization=0.7, stagger=1.2, current=0.5):
    """H = (t1 + t2 cos k) s_x + t2 sin k s_y + (stagger sin phi + current sin k) s_z, shape (..., 2, 2).

    t1, t2 = hopping +- dimerization cos phi; the term with sin k breaks time reversal.
    """
    phi = phase(t, period)
    t1, t2 = hopping + dimerization * np.cos(phi), hopping - dimerization * np.cos(phi)
    off = t1 + t2 * np.exp(-1j * k[0])
    diagonal = stagger * np.sin(phi) + current * np.sin(k[0]) + 0j
    rows = np.stack([diagonal, off, off.conj(), -diagonal], axis=-1)
    return rows.reshape(*off.shape, 2, 2)
