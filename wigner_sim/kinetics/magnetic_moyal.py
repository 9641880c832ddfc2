r"""Third derivatives of the Moyal term that carry a uniform magnetic field, for a band energy E(k).

In the Fourier space of positions and momenta, (q, s), a field turns q into
:math:`Q_i = q_i - \epsilon_{k_ik_j}s_j`, and the third-order term of the star commutator with E(k) is

.. math:: \partial_t w = -\tfrac{i}{24}\,\partial_i\partial_j\partial_l E\;Q_iQ_jQ_l\,w .

The part with q alone belongs to exact streaming, the rest is made here.  Source: docs/theory.md section 5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from math import factorial, prod

import numpy as np

from wigner_sim import fourier
from wigner_sim.symbols import Array, FloatArray, MultiIndex, SymbolSpace

#: Order of the Taylor series of a flow by ``time * largest rate``; longer ones are cut.
_ORDERS = ((0.15, 2), (1.2, 3), (2.4, 4))
#: Elements of a block of wavenumbers q that is worked on at once.
_BLOCK = 1 << 14


@dataclass(frozen=True)
class _Product:
    """One third derivative of E, with its weight, and the axes it belongs to."""

    coefficient: FloatArray
    index: MultiIndex


class MagneticMoyal:
    """What the field adds to the third derivatives.

    Parameters
    ----------
    space : SymbolSpace
        With a magnetic field in its grid.
    band_energy : array (1.., *k), energy

    Notes
    -----
    It does not couple different q: after a transform over the positions its flow is a Taylor series block by
    block of wavenumbers.  The derivatives of E contracted with the field vanish, so that the particle number
    is kept to rounding.
    """

    def __init__(self, space: SymbolSpace, band_energy: FloatArray):
        self._grid = grid = space.grid
        s, d = grid.n_position_axes, grid.n_momentum_axes
        energy = space.symbol(band_energy)
        self._products = []
        for index in combinations_with_replacement(range(d), 3):
            arrangements = factorial(3) / prod(factorial(count) for count in Counter(index).values())
            coefficient = arrangements / 24 * energy.derivative(*(s + i for i in index))
            if coefficient.any():
                self._products.append(_Product(coefficient.reshape(grid.n_k), index))
        momenta = [
            space.axis_wavenumbers[s + j].reshape(space.axis_wavenumbers[s + j].shape[s:]) for j in range(d)
        ]
        #: what the field adds to each q, a function of the modes of k
        self._turn = [
            -sum((grid.epsilon[s + i, s + j] * momenta[j] for j in range(d)), start=np.zeros((1,) * d))
            for i in range(d)
        ]
        halved = [q.reshape(q.shape[:s]) for q in space.axis_wavenumbers[:s]]
        if s:
            halved[-1] = halved[-1][..., : grid.shape[s - 1] // 2 + 1]
        flat = [values.ravel() for values in np.broadcast_arrays(*halved)]
        n_modes = len(flat[0]) if s else 1
        self._q = np.array([*flat, *(np.zeros(n_modes) for _ in range(d - s))]).reshape(d, n_modes, *(1,) * d)
        self._k_axes = tuple(range(-d, 0))

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Its contribution to d_t w."""
        return self._in_modes(w, lambda z, symbols: self._rate(z, symbols))

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """Taylor series, of the order and in as many equal steps as stability asks for."""
        reach = abs(dt) * self.spectral_radius(t)
        n = max(1, int(np.ceil(reach / _ORDERS[-1][0])))
        last = next(order for limit, order in _ORDERS if reach / n <= limit)

        def advance(z: Array, symbols: list[FloatArray]) -> Array:
            for _ in range(n):
                term = z
                for order in range(1, last + 1):
                    term = dt / (n * order) * self._rate(term, symbols)
                    z = z + term
            return z

        return self._in_modes(w, advance)

    def spectral_radius(self, t: float) -> float:
        """Bound from the largest coefficients and wavenumbers."""
        return self._largest_rate

    @cached_property
    def _largest_rate(self) -> float:
        q = [float(np.abs(each).max()) for each in self._q]
        turn = [float(np.abs(each).max()) for each in self._turn]
        total = 0.0
        for product in self._products:
            i, j, l = product.index  # noqa: E741
            largest = turn[i] * (q[j] + turn[j]) * (q[l] + turn[l]) + q[i] * turn[j] * (q[l] + turn[l])
            total += float(np.abs(product.coefficient).max()) * (largest + q[i] * q[j] * turn[l])
        return total

    def _rate(self, z: Array, symbols: list[FloatArray]) -> Array:
        z_hat = -1j * fourier.fftn(z, self._k_axes)
        total = np.zeros_like(z)
        for product, symbol in zip(self._products, symbols, strict=True):
            total += product.coefficient * fourier.ifftn(z_hat * symbol, self._k_axes)
        return total

    def _in_modes(self, w: FloatArray, act: Callable[[Array, list[FloatArray]], Array]) -> FloatArray:
        """Apply ``act`` to blocks of modes q, shape (modes, *k), together with QQQ - qqq of each product."""
        grid = self._grid
        axes = tuple(range(grid.n_position_axes))
        w_hat = fourier.rfftn(w, axes) if axes else w.astype(complex)
        modes = w_hat.reshape(self._q.shape[1], *grid.n_k)
        rows = max(1, _BLOCK // prod(grid.n_k))
        for first in range(0, len(modes), rows):
            q = list(self._q[:, first : first + rows])
            turned = [q[i] + self._turn[i] for i in range(len(q))]
            symbols = [
                _triple(turned, product.index) - _triple(q, product.index) for product in self._products
            ]
            modes[first : first + rows] = act(modes[first : first + rows], symbols)
        return fourier.irfftn(w_hat, grid.n_x, axes) if axes else w_hat.real


def _triple(q: Sequence[FloatArray], index: MultiIndex) -> FloatArray:
    i, j, l = index  # noqa: E741
    return q[i] * q[j] * q[l]
