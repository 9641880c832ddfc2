r"""Particle current of the full matrix equation, all bands with their coherence.

Only ``H0(k)`` moves particles; ``M(x)`` acts at one place and the force at no distance.  With the harmonics
``H0(k) = sum_s h(s) exp(-ik.s)`` and ``F(q, k) = sum_s F(q, s) exp(-ik.s)``,

.. math:: j_i(q) = \int_{-1/2}^{1/2}\!d\lambda \int\!\frac{dk}{(2\pi)^d}\,
                   \mathrm{tr}\,[\partial_{k_i}H_0(k + \lambda q)\,F(q, k)]
                 = \sum_s (-i s_i)\,\frac{\sin(q\cdot s/2)}{q\cdot s/2}\,\mathrm{tr}\,[h(s)\,F(q, -s)]

satisfies ``d_t n + d_i j_i = 0`` with ``n = int dk/(2 pi)^d tr F`` to rounding: ``q_i`` times the middle
expression is the integral of ``tr [H0(k + q/2) - H0(k - q/2)] F``.  It is the straight-line current of
:mod:`wigner_sim.liouville.currents`, by another route.

Source: docs/theory.md section 13.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wigner_sim import fourier
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_sources import to_periodic
from wigner_sim.matrix_moyal.separation import SeparatedHamiltonian
from wigner_sim.symbols import Array, FloatArray

IntArray = NDArray[np.int64]

#: Harmonics of H0 below this part of the largest are rounding.
_SMALLEST = 1e-14


class MatrixCurrent:
    """The current of matrix symbols under one Hamiltonian.

    Parameters
    ----------
    separated : SeparatedHamiltonian
    grid : PhaseSpaceGrid
    """

    def __init__(self, separated: SeparatedHamiltonian, grid: PhaseSpaceGrid):
        self._separated, self._grid = separated, grid
        self._known: tuple[float, list[tuple[IntArray, Array]]] | None = None

    def density(self, f: Array, t: float) -> FloatArray:
        """Current density of F (n, n, *x, *k), shape (d, *x)."""
        grid, tau = self._grid, self._separated.hamiltonian.orbital_positions
        axes_of_x = tuple(range(2, 2 + grid.n_position_axes))
        f_hat = fourier.fftn(f, tuple(range(2 + grid.n_position_axes, f.ndim))) / np.prod(grid.n_k)
        current = np.zeros((grid.n_momentum_axes, *grid.n_x), dtype=complex)
        for harmonic, h in self._harmonics(t):
            opposite = np.ascontiguousarray(f_hat[(..., *(-harmonic % grid.n_k))])
            if axes_of_x:
                opposite = fourier.fftn(opposite, axes_of_x)
            for o, p in np.argwhere(h):
                s = tau[o] - tau[p] - harmonic
                current += np.multiply.outer(-1j * s, h[o, p] * self._spread(s) * opposite[p, o])
        axes = tuple(range(1, current.ndim))
        return (fourier.ifftn(current, axes) if axes else current).real

    def total(self, f: Array, t: float) -> FloatArray:
        """Current of the whole state, ``int dx j``, shape (d,)."""
        j = self.density(f, t)
        return j.reshape(len(j), -1).mean(axis=1) * np.prod(self._grid.lengths)

    def _spread(self, s: FloatArray) -> FloatArray:
        """``sin(q.s/2) / (q.s/2)`` at the wavenumbers of the grid, (*q)."""
        grid = self._grid
        product: FloatArray = np.zeros(grid.n_x)
        for i, (n, length) in enumerate(zip(grid.n_x, grid.lengths, strict=True)):
            q = fourier.derivative_wavenumbers(n, length)
            product = product + s[i] * q.reshape([-1 if axis == i else 1 for axis in range(len(grid.n_x))])
        return np.sinc(product / (2 * np.pi))

    def _harmonics(self, t: float) -> list[tuple[IntArray, Array]]:
        """Harmonics ``exp(ip.k)`` of the periodic form of H0: p (d,) and matrices (n, n)."""
        t = t if self._separated.momentum_varies else 0.0
        if self._known is None or self._known[0] != t:
            self._known = t, self._transformed(t)
        return self._known[1]

    def _transformed(self, t: float) -> list[tuple[IntArray, Array]]:
        grid = self._grid
        k = np.stack(np.meshgrid(*grid.axis_points[grid.n_position_axes :], indexing="ij"))
        h = to_periodic(self._separated.hamiltonian, self._separated.of_momentum(k, t), k)
        h_hat = fourier.fftn(h, tuple(range(2, h.ndim))) / np.prod(grid.n_k)
        h_hat[np.abs(h_hat) < _SMALLEST * np.abs(h_hat).max()] = 0.0
        harmonics = np.argwhere(np.abs(h_hat).max(axis=(0, 1)))
        signed = (harmonics + np.array(grid.n_k) // 2) % grid.n_k - np.array(grid.n_k) // 2
        # the Nyquist wave of an even axis has no derivative
        return [
            (p, h_hat[(..., *index)])
            for p, index in zip(signed, harmonics, strict=True)
            if all(2 * abs(p) != grid.n_k)
        ]
