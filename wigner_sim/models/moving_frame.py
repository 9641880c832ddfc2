"""A uniform force by the vector potential: in the frame ``p = k - K(t)``, ``K = int F dt``, H is periodic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.integrate import quad_vec

from wigner_sim.models.hamiltonian import ComplexArray, FloatArray, Hamiltonian


def momentum_gain(hamiltonian: Hamiltonian) -> Callable[[float], FloatArray]:
    """``K(t) = int_0^t F(t') dt'``, shape (d,)."""
    force = hamiltonian.force
    if force is None:
        return lambda t: np.zeros(hamiltonian.n_dimensions)
    if not hamiltonian.force_varies:
        return lambda t: np.asarray(force(0.0)) * t

    @lru_cache(maxsize=64)  # one time is asked for once per sampled block of the operator
    def gain(t: float) -> FloatArray:
        return quad_vec(force, 0.0, t, epsabs=1e-12, epsrel=1e-12)[0]

    return gain


def in_moving_frame(hamiltonian: Hamiltonian) -> Hamiltonian:
    """``H(x, p + K(t), t)``: the same crystal without a force, but driven; itself if there is no force."""
    if hamiltonian.force is None:
        return hamiltonian
    gain, matrix = momentum_gain(hamiltonian), hamiltonian.matrix

    def moving(x: FloatArray, k: FloatArray, t: float) -> ComplexArray:
        k = np.asarray(k)
        return matrix(x, k + gain(t).reshape(-1, *(1,) * (k.ndim - 1)), t)

    still = replace(hamiltonian, force=None, force_varies=False, bloch=None, potential=None)
    return replace(still, matrix=moving, time_dependent=True)
