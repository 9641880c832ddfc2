r"""Third derivatives of the Moyal term that carry a uniform magnetic field, for a band energy E(k).

In the Fourier space of positions and momenta, (q, s), a field turns q into
:math:`Q_i = q_i - \epsilon_{k_ik_j}s_j`, and the third-order term of the star commutator with E(k) is

.. math:: \partial_t w = -\tfrac{i}{24}\,\partial_i\partial_j\partial_l E\;Q_iQ_jQ_l\,w .

The part with q alone belongs to exact streaming, the rest is made here.  Source: docs/theory.md section 5.

It is antisymmetric, so that nothing may grow.  On a grid that holds only if no product of E(k) with w is
aliased to the modes it acts on: these are :math:`|s| < 3n/8`, with modes of the third derivatives of E up to
n/4, as in any dealiased product (Orszag, J. Atmos. Sci. 28, 1074 (1971)).  Nor does it act on the largest q,
beyond two thirds of what the grid holds, where it is fastest and no state is resolved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from itertools import product as tuples
from math import factorial, prod

import numpy as np

from wigner_sim import fourier
from wigner_sim.kernels.layout import MovedAxes, mode_pairs
from wigner_sim.kernels.mode_passes import ModePass
from wigner_sim.symbols import Array, FloatArray, MultiIndex, SymbolSpace

#: Nested factors of the polynomials: Taylor series, and five stages of order 3 that are stable up to
#: sqrt(15) on the imaginary axis (Kinnmark and Gray, Math. Comput. Simul. 26, 181 (1984)).
POLYNOMIALS = (
    (1 / 2, 1.0),
    (1 / 3, 1 / 2, 1.0),
    (1 / 4, 1 / 3, 1 / 2, 1.0),
    (1 / 5, 1 / 5, 1 / 3, 1 / 2, 1.0),
)
#: Largest ``time * rate`` of each: accuracy where the order is below 4, then stability; longer times are cut.
_REACH = (1e-4, 0.01, 2.4, 3.3)
#: Classes of modes by their rate, each with rates up to 1/sqrt(2) of those of the one before.
_CLASSES = 12
#: Points per axis at which the symbol is looked at, by the number of momentum axes; margin for the others.
_SAMPLED_K, _SAMPLED_S, _MARGIN = {2: 12, 3: 6}, {2: 9, 3: 5}, 1.1
#: Largest q on which M acts, as a fraction of the largest one of the grid: a ball in ``2 q / n_x``.
_LARGEST_Q = 2 / 3
#: Elements of a block of wavenumbers q that numpy works on at once.
_BLOCK = 1 << 14


@dataclass(frozen=True)
class _Product:
    """One third derivative of E, with its weight, and the axes it belongs to."""

    coefficient: FloatArray
    index: MultiIndex


def polynomial_of(reach: float) -> tuple[int, int]:
    """How many factors the polynomial for ``time * rate`` has, and how often it is applied."""
    n = max(1, int(np.ceil(reach / _REACH[-1])))
    chosen = next(j for j, limit in enumerate(_REACH) if reach / n <= limit)
    return len(POLYNOMIALS[chosen]), n


class MagneticMoyal:
    """What the field adds to the third derivatives.

    Parameters
    ----------
    space : SymbolSpace
        With a magnetic field in its grid.
    band_energy : array (1.., *k), energy

    Notes
    -----
    It does not couple different q: after a transform over the positions its flow is a polynomial block by
    block of wavenumbers, of the degree that stability asks for at these wavenumbers.  The derivatives of E
    contracted with the field vanish, so that the particle number is kept to rounding.
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
                self._products.append(_Product(_smooth(coefficient.reshape(grid.n_k)), index))
        momenta = [
            space.axis_wavenumbers[s + j].reshape(space.axis_wavenumbers[s + j].shape[s:]) for j in range(d)
        ]
        #: what the field adds to each q, a function of the modes of k
        self._turn = [
            -sum((grid.epsilon[s + i, s + j] * momenta[j] for j in range(d)), start=np.zeros((1,) * d))
            for i in range(d)
        ]
        self._k_axes = tuple(range(-d, 0))
        self._box = _box([_modes_up_to(_largest_mode(n), n) for n in grid.n_k])

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Its contribution to d_t w."""
        return self._in_modes(w, lambda z_hat, symbols, q: self._rate(z_hat, symbols))

    def flow(self, w: FloatArray, t: float, dt: float) -> FloatArray:
        """State after ``dt``, on whole arrays."""
        stages = self._stages(dt)

        def change(z_hat: Array, symbols: list[FloatArray], q: FloatArray) -> Array:
            classes, result = self._classes(q), np.empty_like(z_hat)
            for each in np.unique(classes):
                own = classes == each
                z = z_hat[own]
                result[own] = self._advanced(z, [symbol[own] for symbol in symbols], dt, stages[each]) - z
            return result

        return w + self._in_modes(w, change)

    def flow_of_modes(self, modes: FloatArray, dt: float) -> None:
        """The same in compiled blocks, in place, for rows as a pass over the positions leaves its modes."""
        self._mode_pass.run(modes, dt, self._stages(dt), POLYNOMIALS)

    def spectral_radius(self, t: float) -> float:
        """Largest value of its symbol, bounded by that of the third derivative along any direction."""
        return self._largest_rate

    @cached_property
    def _largest_rate(self) -> float:
        return float(self._rates(self._modes(halved=True)[1]).max(initial=0.0)) if self._products else 0.0

    def _advanced(self, z: Array, symbols: list[FloatArray], dt: float, stages: tuple[int, int]) -> Array:
        count, n = stages
        for _ in range(n):
            y = z
            for factor in POLYNOMIALS[count - 2]:
                y = z + dt / n * factor * self._rate(y, symbols)
            z = y
        return z

    def _stages(self, dt: float) -> list[tuple[int, int]]:
        """Polynomial of each class of modes."""
        largest = self.spectral_radius(0.0)
        return [polynomial_of(abs(dt) * largest * 2 ** (-j / 2)) for j in range(_CLASSES)]

    def _classes(self, q: FloatArray) -> FloatArray:
        """Class of each mode q, shape (d, modes)."""
        ratio = self._rates(q) / (self.spectral_radius(0.0) or 1.0)
        return np.clip(np.floor(-2 * np.log2(np.maximum(ratio, 1e-30))), 0, _CLASSES - 1).astype(int)

    def _rates(self, q: FloatArray) -> FloatArray:
        """Largest value of the symbol for each q, shape (d, modes), over a sample of k and s."""
        grid, d = self._grid, len(self._turn)
        coarse = np.ix_(*(np.arange(0, n, -(-n // _SAMPLED_K[d])) for n in grid.n_k))
        coefficients = np.array([p.coefficient[coarse].ravel() for p in self._products]).T
        furthest = 2 * np.pi * np.array([_largest_mode(n) for n in grid.n_k]) / np.array(grid.periods[-d:])
        s = np.array(list(tuples(np.linspace(-1, 1, _SAMPLED_S[d]), repeat=d))) * furthest
        turned = -(grid.epsilon[-d:, -d:] @ s.T)
        rates = np.empty(q.shape[1])
        for mode, own in enumerate(q.T):
            whole = own[:, None] + turned
            symbols = [_triple(whole, p.index) - _triple(own, p.index) for p in self._products]
            rates[mode] = np.abs(coefficients @ np.array(symbols)).max(initial=0.0)
        return _MARGIN * rates

    def _modes(self, halved: bool) -> tuple[Array, FloatArray]:
        """Flat indices of the modes of the positions on which M acts, and their q, shape (d, modes).

        ``halved``: of a real transform.  Without a position q is zero.
        """
        grid = self._grid
        numbers = [np.rint(np.fft.fftfreq(n) * n) for n in grid.n_x]
        if halved and numbers:
            numbers[-1] = numbers[-1][: grid.n_x[-1] // 2 + 1]
        flat = [each.ravel() for each in np.meshgrid(*numbers, indexing="ij")]
        square = sum(((2 * own / n) ** 2 for own, n in zip(flat, grid.n_x, strict=True)), start=np.zeros(1))
        acting = np.nonzero(square < _LARGEST_Q**2)[0]
        q = np.zeros((len(self._turn), len(acting)))
        for i, own in enumerate(flat):
            q[i] = 2 * np.pi / grid.lengths[i] * own[acting]
        return acting, q

    @cached_property
    def _mode_pass(self) -> ModePass:
        grid = self._grid
        pairs = mode_pairs(grid.n_x)
        acting, all_q = self._modes(halved=False)
        number = np.searchsorted(acting, pairs[:, 0])
        acts = np.isin(pairs[:, 0], acting)
        pairs, q = pairs[acts], all_q[:, number[acts]]
        axes = MovedAxes(prod(grid.n_x), grid.n_k, grid.periods[grid.n_position_axes :], 1)
        return ModePass(
            axes=axes,
            pairs=pairs,
            classes=self._classes(q),
            q=q,
            turn=np.array([np.broadcast_to(turn, grid.n_k) for turn in self._turn]).reshape(len(q), -1),
            indices=[p.index for p in self._products],
            coefficients=np.array([p.coefficient for p in self._products]).reshape(-1, axes.n_moved),
            kept=[_modes_up_to(_largest_mode(n), n) for n in grid.n_k],
        )

    def _rate(self, z_hat: Array, symbols: list[FloatArray]) -> Array:
        """Rate of change in the modes s, given in them."""
        total = np.zeros_like(z_hat)
        for product, symbol in zip(self._products, symbols, strict=True):
            total += product.coefficient * fourier.ifftn(-1j * symbol * z_hat, self._k_axes)
        return self._box * fourier.fftn(total, self._k_axes)

    def _in_modes(
        self, w: FloatArray, act: Callable[[Array, list[FloatArray], FloatArray], Array]
    ) -> FloatArray:
        """Sum of what ``act`` makes of blocks of modes (q, s), given QQQ - qqq of each product, and q."""
        grid, d = self._grid, len(self._turn)
        axes = tuple(range(grid.n_position_axes))
        w_hat = fourier.rfftn(w, axes) if axes else w.astype(complex)
        modes = w_hat.reshape(-1, *grid.n_k)
        result = np.zeros_like(modes)
        acting, all_q = self._modes(halved=True)
        rows = max(1, _BLOCK // prod(grid.n_k))
        for first in range(0, len(acting), rows):
            own, q = acting[first : first + rows], all_q[:, first : first + rows]
            shaped = list(q.reshape(*q.shape, *(1,) * d))
            turned = [shaped[i] + self._turn[i] for i in range(d)]
            symbols = [
                self._box * (_triple(turned, product.index) - _triple(shaped, product.index))
                for product in self._products
            ]
            z_hat = fourier.fftn(modes[own], self._k_axes)
            result[own] = fourier.ifftn(act(z_hat, symbols, q), self._k_axes)
        hat = result.reshape(w_hat.shape)
        return fourier.irfftn(hat, grid.n_x, axes) if axes else hat.real


def _largest_mode_of_energy(n: int) -> int:
    return n // 4


def _largest_mode(n: int) -> int:
    """Of two such modes no difference is aliased to a mode of E(k)."""
    return (n - 1 - _largest_mode_of_energy(n)) // 2


def _modes_up_to(largest: int, n: int) -> Array:
    """Which of the n modes of an axis are not larger."""
    return np.abs(np.fft.fftfreq(n) * n) < largest + 0.5


def _box(kept: Sequence[Array]) -> FloatArray:
    """One where every axis is kept, zero elsewhere."""
    return np.prod(np.meshgrid(*kept, indexing="ij"), axis=0).astype(float)


def _smooth(coefficient: FloatArray) -> FloatArray:
    """Function of k without its high modes."""
    axes = tuple(range(coefficient.ndim))
    low = _box([_modes_up_to(_largest_mode_of_energy(n), n) for n in coefficient.shape])
    return fourier.ifftn(low * fourier.fftn(coefficient.astype(complex), axes), axes).real


def _triple(q: Sequence[FloatArray], index: MultiIndex) -> FloatArray:
    i, j, l = index  # noqa: E741
    return q[i] * q[j] * q[l]
