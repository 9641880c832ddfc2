r"""Third derivatives of the Moyal term that carry a uniform magnetic field, for a band energy E(k).

In the Fourier space of positions and momenta, (q, s), a field turns q into
:math:`Q_i = q_i - \epsilon_{k_ik_j}s_j`, and the third-order term of the star commutator with E(k) is

.. math:: \partial_t w = -\tfrac{i}{24}\,\partial_i\partial_j\partial_l E\;Q_iQ_jQ_l\,w .

The part with q alone belongs to exact streaming, the rest is made here.  Source: docs/theory.md section 5.

It is antisymmetric, so that nothing may grow.  On a grid that holds only if no product of E(k) with w is
aliased to the modes it acts on: with n points along k these are :math:`|s| < 3n/8`, with modes of the third
derivatives of E below n/4, as in any dealiased product (Orszag, J. Atmos. Sci. 28, 1074 (1971)).

It acts on q in a ball of four fifths of what the grid holds.  Beyond, it is fastest, and a state with weight
there is not resolved.
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
from wigner_sim.kernels.mode_passes import ModePass, low_modes
from wigner_sim.steppers.truncation import LARGE_REACH, Polynomials, nested
from wigner_sim.symbols import Array, FloatArray, MultiIndex, SymbolSpace

#: Nested factors of the polynomials where the composition has none that reach: Taylor series, and five stages
#: of order 3 that are stable up to sqrt(15) on the imaginary axis (Kinnmark and Gray, Math. Comput. Simul.
#: 26, 181 (1984)).
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
#: Radius of the ball on which it acts: length of ``2 q / n_x``, q in whole numbers.
_BALL = 4 / 5
#: Third derivatives that are smaller than this times the largest one are rounding.
_NOTHING = 1e-13
#: Elements of a block of wavenumbers q that numpy works on at once.
_BLOCK = 1 << 14
#: Factors f of ``y <- z + f R y``, first to last, and how often all of them are applied.
Series = tuple[tuple[float, ...], int]


@dataclass(frozen=True)
class _Product:
    """One third derivative of E, with its weight, and the axes it belongs to."""

    coefficient: FloatArray
    index: MultiIndex


def series_of(dt: float, rate: float) -> Series:
    """Polynomial for ``exp(dt R)`` where R has rates up to ``rate``."""
    n = max(1, int(np.ceil(abs(dt) * rate / _REACH[-1])))
    chosen = next(j for j, limit in enumerate(_REACH) if abs(dt) * rate / n <= limit)
    return tuple(dt / n * factor for factor in POLYNOMIALS[chosen]), n


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
    block of wavenumbers.  That is the composition's own where it reaches (docs/decisions/017), else a series
    of the degree that accuracy and stability ask for at these wavenumbers.  The derivatives of E contracted
    with the field vanish, so that the particle number is kept to rounding.
    """

    def __init__(self, space: SymbolSpace, band_energy: FloatArray):
        self._grid = grid = space.grid
        d = grid.n_momentum_axes
        self._k_axes = tuple(range(-d, 0))
        self._products = _products_of(space, band_energy)
        self._largest = [sizes_of(n)[0] for n in grid.n_k]
        modes = [
            2 * np.pi / period * np.r_[0 : b + 1, -b:0]
            for period, b in zip(grid.periods[-d:], self._largest, strict=True)
        ]
        self._s = np.array(np.meshgrid(*modes, indexing="ij"))
        self._turn = self._turned(self._s)

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Its contribution to d_t w."""
        return self._in_modes(w, lambda z, q: self._rate(z, self._symbols(q, self._turn)))

    def flow(self, w: FloatArray, t: float, dt: float, polynomials: Polynomials | None = None) -> FloatArray:
        """State after ``dt``, on whole arrays; ``polynomials`` may stand for the exponential."""
        series = self._series(dt, polynomials)

        def change(z: Array, q: FloatArray) -> Array:
            classes, result = self._classes(q), np.empty_like(z)
            for each in np.unique(classes):
                own = classes == each
                result[own] = self._change(z[own], self._symbols(q[:, own], self._turn), series[each])
            return result

        return w + self._in_modes(w, change)

    def flow_of_modes(self, modes: FloatArray, dt: float, polynomials: Polynomials | None = None) -> None:
        """The same in compiled blocks, in place, for rows as a pass over the positions leaves its modes."""
        if self._products:
            self._mode_pass.run(modes, self._series(dt, polynomials))

    def spectral_radius(self, t: float) -> float:
        """Largest value of its symbol."""
        return self._largest_rate

    @cached_property
    def _largest_rate(self) -> float:
        q, acting = self._modes(halved=True)
        return float(self._rates(q[:, acting]).max(initial=0.0))

    def _series(self, dt: float, polynomials: Polynomials | None) -> list[Series]:
        """Polynomial of each class of modes: the one given where its reach is enough."""
        series = []
        for j in range(_CLASSES):
            rate = self.spectral_radius(0.0) * 2 ** (-j / 2)
            h = dt / polynomials.fraction if polynomials is not None else np.inf
            if polynomials is not None and abs(h) * rate <= LARGE_REACH:
                series.append((nested(polynomials.large, h), 1))
            else:
                series.append(series_of(dt, rate))
        return series

    def _classes(self, q: FloatArray) -> Array:
        """Class of each mode q, shape (d, modes)."""
        share = self._rates(q) / (self.spectral_radius(0.0) or 1.0)
        return np.clip(np.floor(-2 * np.log2(np.maximum(share, 1e-30))), 0, _CLASSES - 1).astype(int)

    def _modes(self, halved: bool) -> tuple[FloatArray, Array]:
        """Wavenumbers (d, modes) of the modes of the positions, zero without a position; where it acts.

        ``halved``: those of a real transform.
        """
        grid = self._grid
        numbers = [np.rint(np.fft.fftfreq(n) * n) for n in grid.n_x]
        if halved and numbers:
            numbers[-1] = numbers[-1][: grid.n_x[-1] // 2 + 1]
        flat = [each.ravel() for each in np.meshgrid(*numbers, indexing="ij")]
        length = (
            sum(((2 * m / n) ** 2 for m, n in zip(flat, grid.n_x, strict=True)), start=np.zeros(1)) ** 0.5
        )
        q = np.zeros((grid.n_momentum_axes, len(length)))
        for i, m in enumerate(flat):
            q[i] = 2 * np.pi / grid.lengths[i] * m
        return q, (length < _BALL - 1e-9) & bool(self._products)

    @cached_property
    def _mode_pass(self) -> ModePass:
        grid = self._grid
        pairs = mode_pairs(grid.n_x)
        q, acting = (each[..., pairs[:, 0]] for each in self._modes(halved=False))
        q = q[:, acting]
        return ModePass(
            axes=MovedAxes(prod(grid.n_x), grid.n_k, grid.periods[grid.n_position_axes :], 1),
            pairs=pairs[acting],
            classes=self._classes(q),
            q=q,
            largest=self._largest,
            turn=self._turn.reshape(len(q), -1),
            indices=[p.index for p in self._products],
            coefficients=np.array([p.coefficient.ravel() for p in self._products]),
        )

    def _in_modes(self, w: FloatArray, act: Callable[[Array, FloatArray], Array]) -> FloatArray:
        """What ``act`` makes of blocks of modes (q, s), given also q."""
        grid = self._grid
        axes = tuple(range(grid.n_position_axes))
        w_hat = fourier.rfftn(w, axes) if axes else w.astype(complex)
        modes = w_hat.reshape(-1, *grid.n_k)
        result = np.zeros_like(modes)
        q, acting = self._modes(halved=True)
        places = np.nonzero(acting)[0]
        rows = max(1, _BLOCK // prod(grid.n_k))
        for first in range(0, len(places), rows):
            own = places[first : first + rows]
            z_hat = fourier.fftn(modes[own], self._k_axes)
            changed = np.zeros_like(z_hat)
            changed[self._kept(len(own))] = act(z_hat[self._kept(len(own))], q[:, own])
            result[own] = fourier.ifftn(changed, self._k_axes)
        hat = result.reshape(w_hat.shape)
        return fourier.irfftn(hat, grid.n_x, axes) if axes else hat.real

    def _kept(self, n_rows: int) -> tuple[Array, ...]:
        """Places of the modes s on which it acts, for some rows."""
        return np.ix_(np.arange(n_rows), *map(low_modes, self._largest, self._grid.n_k))

    def _turned(self, s: FloatArray) -> FloatArray:
        """What the field adds to each q at modes s, shape (d, ...)."""
        d = len(s)
        return -np.tensordot(self._grid.epsilon[-d:, -d:], s, 1)

    def _symbols(self, q: FloatArray, turn: FloatArray) -> list[FloatArray]:
        """QQQ - qqq of each product for some q, shape (d, modes)."""
        own = list(q.reshape(*q.shape, *(1,) * (turn.ndim - 1)))
        turned = [each + added for each, added in zip(own, turn, strict=True)]
        return [_triple(turned, p.index) - _triple(own, p.index) for p in self._products]

    def _rates(self, q: FloatArray) -> FloatArray:
        """Largest value of the symbol for each q, shape (d, modes), over a sample of k and s."""
        d = len(q)
        coarse = np.ix_(*(np.arange(0, n, -(-n // _SAMPLED_K[d])) for n in self._grid.n_k))
        coefficients = np.array([p.coefficient[coarse].ravel() for p in self._products]).T
        s = np.array(list(tuples(np.linspace(-1, 1, _SAMPLED_S[d]), repeat=d))).T
        turn = self._turned(s * self._s.reshape(d, -1).max(axis=1, keepdims=True))
        symbols = (np.concatenate(self._symbols(own[:, None], turn)) for own in q.T)
        return _MARGIN * np.array([np.abs(coefficients @ each).max() for each in symbols])

    def _rate(self, z: Array, symbols: list[FloatArray]) -> Array:
        """Rate of change in the kept modes s, given in them."""
        total = np.zeros((len(z), *self._grid.n_k), dtype=complex)
        kept = self._kept(len(z))
        for product, symbol in zip(self._products, symbols, strict=True):
            spread = np.zeros_like(total)
            spread[kept] = -1j * symbol * z
            total += product.coefficient * fourier.ifftn(spread, self._k_axes)
        return fourier.fftn(total, self._k_axes)[kept]

    def _change(self, start: Array, symbols: list[FloatArray], series: Series) -> Array:
        """What a polynomial adds to it."""
        factors, n = series
        z = start
        for _ in range(n):
            y = z
            for factor in factors:
                y = z + factor * self._rate(y, symbols)
            z = y
        return z - start


def sizes_of(n: int) -> tuple[int, int]:
    """Largest mode s on which M acts, and largest one of E(k), such that no product is aliased to such s."""
    of_energy = (n - 1) // 4
    return (n - 1 - of_energy) // 2, of_energy


def _products_of(space: SymbolSpace, band_energy: FloatArray) -> list[_Product]:
    """Those that do not vanish."""
    grid = space.grid
    energy = space.symbol(band_energy)
    largest = [sizes_of(n)[1] for n in grid.n_k]
    products = []
    for index in combinations_with_replacement(range(grid.n_momentum_axes), 3):
        arrangements = factorial(3) / prod(map(factorial, Counter(index).values()))
        third = energy.derivative(*(grid.n_position_axes + i for i in index)).reshape(grid.n_k)
        products.append(_Product(arrangements / 24 * third, index))
    strongest = max(np.abs(p.coefficient).max() for p in products)
    return [
        _Product(_slow_part(p.coefficient, largest), p.index)
        for p in products
        if np.abs(p.coefficient).max() > _NOTHING * strongest
    ]


def _slow_part(coefficient: FloatArray, largest: Sequence[int]) -> FloatArray:
    """Low modes of a function of k."""
    axes = tuple(range(coefficient.ndim))
    low = np.ix_(*map(low_modes, largest, coefficient.shape))
    hat = np.zeros(coefficient.shape, dtype=complex)
    hat[low] = fourier.fftn(coefficient.astype(complex), axes)[low]
    return fourier.ifftn(hat, axes).real


def _triple(q: Sequence[FloatArray], index: MultiIndex) -> FloatArray:
    i, j, l = index  # noqa: E741
    return q[i] * q[j] * q[l]
