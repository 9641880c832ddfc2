r"""Third derivatives of the Moyal term that carry a uniform magnetic field, for a band energy E(k).

In the Fourier space of positions and momenta, (q, s), a field turns q into
:math:`Q_i = q_i - \epsilon_{k_ik_j}s_j`, and the third-order term of the star commutator with E(k) is

.. math:: \partial_t w = -\tfrac{i}{24}\,\partial_i\partial_j\partial_l E\;Q_iQ_jQ_l\,w .

The part with q alone belongs to exact streaming, the rest is made here.  Source: docs/theory.md section 5.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations_with_replacement
from math import factorial, prod

import numpy as np

from wigner_sim import fourier
from wigner_sim.symbols import FloatArray, SymbolSpace

#: Order of the Taylor series, and the largest ``time * rate`` it is used for (stable up to 2.83).
_ORDER, _REACH = 4, 2.0


class MagneticMoyal:
    """What the field adds to the third derivatives; its flow is a Taylor series on whole arrays.

    Parameters
    ----------
    space : SymbolSpace
        With a magnetic field in its grid.
    band_energy : array (1.., *k), energy

    Notes
    -----
    The derivatives of E contracted with the field vanish, so that the particle number is kept to rounding.
    """

    def __init__(self, space: SymbolSpace, band_energy: FloatArray):
        self._grid = grid = space.grid
        s, d = grid.n_position_axes, grid.n_momentum_axes
        self._axes = tuple(range(-grid.n_axes, 0))
        half = grid.shape[-1] // 2 + 1
        wavenumbers = [*space.axis_wavenumbers[:-1], space.axis_wavenumbers[-1][..., :half]]
        still = np.zeros((1,) * grid.n_axes)
        q = [wavenumbers[i] if i < s else still for i in range(d)]
        turned = [
            q[i] - sum(grid.epsilon[s + i, s + j] * wavenumbers[s + j] for j in range(d)) for i in range(d)
        ]
        energy = space.symbol(band_energy)
        self._products: list[tuple[FloatArray, list[FloatArray], list[FloatArray]]] = []
        for index in combinations_with_replacement(range(d), 3):
            arrangements = factorial(3) / prod(factorial(count) for count in Counter(index).values())
            coefficient = arrangements / 24 * energy.derivative(*(s + i for i in index))
            if coefficient.any():
                self._products.append((coefficient, [turned[i] for i in index], [q[i] for i in index]))

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Its contribution to d_t w."""
        w_hat = -1j * fourier.rfftn(w, self._axes)
        total = np.zeros(w.shape)
        for coefficient, turned, q in self._products:
            product = w_hat * (turned[0] * turned[1] * turned[2] - q[0] * q[1] * q[2])
            total += coefficient * fourier.irfftn(product, self._grid.shape, self._axes)
        return total

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """Taylor series of order 4 in as many equal steps as stability asks for."""
        n = max(1, int(np.ceil(abs(dt) * self.spectral_radius(t) / _REACH)))
        for _ in range(n):
            term = w
            for order in range(1, _ORDER + 1):
                term = dt / (n * order) * self.rhs(term, t)
                w = w + term
        return w

    def spectral_radius(self, t: float) -> float:
        """Bound from the largest coefficients and wavenumbers."""
        if not hasattr(self, "_largest_rate"):
            self._largest_rate = sum(
                float(np.abs(coefficient).max()) * _largest_difference(turned, q)
                for coefficient, turned, q in self._products
            )
        return self._largest_rate


def _largest_difference(turned: list[FloatArray], q: list[FloatArray]) -> float:
    """Bound of ``|QQQ - qqq|``."""
    largest = [(float(np.abs(a).max()), float(np.abs(b).max())) for a, b in zip(turned, q, strict=True)]
    return prod(a for a, _ in largest) + prod(b for _, b in largest)
