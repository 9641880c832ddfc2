"""Electrons that follow a smooth magnetization: one skyrmion per magnetic cell."""

import numpy as np

SIGMA = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def magnetization(x, Lx, Ly, tilt=1.2):
    """Unit vector n(x, y), shape (3, ...), of degree one on the cell for 0 < tilt < 2."""
    X, Y = 2 * np.pi * x[0] / Lx, 2 * np.pi * x[1] / Ly
    n = np.stack(np.broadcast_arrays(-np.sin(Y), np.sin(X), tilt + np.cos(X) + np.cos(Y)))
    return n / np.linalg.norm(n, axis=0)


def hamiltonian(x, k, Lx, Ly, hopping=0.5, exchange=2.0, tilt=1.2):
    """H = -2 t (cos kx + cos ky) - J n(x, y) . sigma, shape (..., 2, 2)."""
    kinetic = -2 * hopping * (np.cos(k[0]) + np.cos(k[1]))
    spin = np.tensordot(magnetization(x, Lx, Ly, tilt), SIGMA, axes=(0, 0))
    return kinetic[..., None, None] * np.eye(2) - exchange * spin
