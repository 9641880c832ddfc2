r"""Third derivatives of the Moyal term that carry a uniform magnetic field, for a band energy E(k).

In the Fourier space of positions and momenta, (q, s), a field turns q into
:math:`Q_i = q_i - \epsilon_{k_ik_j}s_j`, and the third-order term of the star commutator with E(k) is

.. math:: \partial_t w = -\tfrac{i}{24}\,\partial_i\partial_j\partial_l E\;Q_iQ_jQ_l\,w .

The part with q alone belongs to exact streaming, the rest is made here.  Source: docs/theory.md section 5.

It is antisymmetric, so that nothing may grow.  On a grid that holds only if no product of E(k) with w is
aliased to the modes it acts on: with n points along k these are :math:`|s| < 3n/8`, with modes of the third
derivatives of E below n/4, as in any dealiased product (Orszag, J. Atmos. Sci. 28, 1074 (1971)).

It acts on q in a ball of four fifths of what the grid holds.  Beyond, it is fastest, and a state with weight
there is not resolved.  From a half of what the grid holds on, three quarters of the modes along k take part.
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
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kernels.layout import MovedAxes, mode_pairs
from wigner_sim.kernels.mode_passes import ModePass, low_modes
from wigner_sim.kernels.plans import factorize
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
#: Shells of wavenumbers: upper limit of the length of ``2 q / n_x``, q in whole numbers, and number of points
#: along k on which products are made there, over that of the grid.
SHELLS = ((1 / 2, 1.0), (4 / 5, 3 / 4))
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
    block of wavenumbers.  That is the composition's own where it reaches (14 terms in the seven acts of a
    step, docs/decisions/017), else a series of the degree that accuracy and stability ask for at these
    wavenumbers.  The derivatives of E contracted with the field vanish, so that the particle number is kept
    to rounding.
    """

    def __init__(self, space: SymbolSpace, band_energy: FloatArray):
        self._grid = grid = space.grid
        s, d = grid.n_position_axes, grid.n_momentum_axes
        energy = space.symbol(band_energy)
        products = []
        for index in combinations_with_replacement(range(d), 3):
            arrangements = factorial(3) / prod(map(factorial, Counter(index).values()))
            coefficient = arrangements / 24 * energy.derivative(*(s + i for i in index))
            products.append(_Product(coefficient.reshape(grid.n_k), index))
        largest = max(np.abs(p.coefficient).max() for p in products)
        products = [p for p in products if np.abs(p.coefficient).max() > _NOTHING * largest]
        self._shells = [_Shell.of(grid, products, ratio) for _, ratio in SHELLS] if products else []
        self._k_axes = tuple(range(-d, 0))

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Its contribution to d_t w."""
        return self._in_modes(w, lambda shell, z, q: shell.rate(z, shell.symbols(q)))

    def flow(self, w: FloatArray, t: float, dt: float, polynomials: Polynomials | None = None) -> FloatArray:
        """State after ``dt``, on whole arrays; ``polynomials`` may stand for the exponential."""
        series = self._series(dt, polynomials)

        def change(shell: _Shell, z: Array, q: FloatArray) -> Array:
            classes, result = self._classes(shell, q), np.empty_like(z)
            for each in np.unique(classes):
                own = classes == each
                result[own] = shell.change(z[own], shell.symbols(q[:, own]), series[each])
            return result

        return w + self._in_modes(w, change)

    def flow_of_modes(self, modes: FloatArray, dt: float, polynomials: Polynomials | None = None) -> None:
        """The same in compiled blocks, in place, for rows as a pass over the positions leaves its modes."""
        for mode_pass in self._mode_passes:
            mode_pass.run(modes, self._series(dt, polynomials))

    def spectral_radius(self, t: float) -> float:
        """Largest value of its symbol."""
        return self._largest_rate

    @cached_property
    def _largest_rate(self) -> float:
        q, shell_of = self._modes(halved=True)
        rates = [shell.rates(q[:, shell_of == j]) for j, shell in enumerate(self._shells)]
        return max((float(each.max(initial=0.0)) for each in rates), default=0.0)

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

    def _classes(self, shell: _Shell, q: FloatArray) -> Array:
        """Class of each mode q, shape (d, modes)."""
        ratio = shell.rates(q) / (self.spectral_radius(0.0) or 1.0)
        return np.clip(np.floor(-2 * np.log2(np.maximum(ratio, 1e-30))), 0, _CLASSES - 1).astype(int)

    def _modes(self, halved: bool) -> tuple[FloatArray, Array]:
        """Wavenumbers (d, modes) of the modes of the positions, zero without a position, and their shells.

        ``halved``: those of a real transform.  Modes in none of the shells have the number after the last.
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
        return q, np.searchsorted([limit - 1e-9 for limit, _ in SHELLS], length, side="right")

    @cached_property
    def _mode_passes(self) -> list[ModePass]:
        grid = self._grid
        pairs = mode_pairs(grid.n_x)
        q, shell_of = (each[..., pairs[:, 0]] for each in self._modes(halved=False))
        axes = MovedAxes(prod(grid.n_x), grid.n_k, grid.periods[grid.n_position_axes :], 1)
        passes = []
        for number, shell in enumerate(self._shells):
            own = shell_of == number
            if own.any():
                classes = self._classes(shell, q[:, own])
                passes.append(shell.mode_pass(axes, pairs[own], q[:, own], classes))
        return passes

    def _in_modes(self, w: FloatArray, act: Callable[[_Shell, Array, FloatArray], Array]) -> FloatArray:
        """Sum of what ``act`` makes of blocks of modes (q, s), those in each shell, given also q."""
        grid = self._grid
        axes = tuple(range(grid.n_position_axes))
        w_hat = fourier.rfftn(w, axes) if axes else w.astype(complex)
        modes = w_hat.reshape(-1, *grid.n_k)
        result = np.zeros_like(modes)
        all_q, shell_of = self._modes(halved=True)
        rows = max(1, _BLOCK // prod(grid.n_k))
        for number, shell in enumerate(self._shells):
            acting = np.nonzero(shell_of == number)[0]
            for first in range(0, len(acting), rows):
                own = acting[first : first + rows]
                kept = shell.places(len(own), grid.n_k)
                z_hat = fourier.fftn(modes[own], self._k_axes)
                changed = np.zeros_like(z_hat)
                changed[kept] = act(shell, z_hat[kept], all_q[:, own])
                result[own] = fourier.ifftn(changed, self._k_axes)
        hat = result.reshape(w_hat.shape)
        return fourier.irfftn(hat, grid.n_x, axes) if axes else hat.real


@dataclass(frozen=True)
class _Shell:
    """How M acts on wavenumbers q of similar size: on some modes s, with products on a grid of their own.

    Parameters
    ----------
    products : list
        On the grid of products.
    n_points : tuple of int
        Points of that grid.
    s : array (d, *modes)
        Modes on which it acts, 0, 1, ..., -1 along each axis.
    field : array (d, d)
        The turn of q is ``-field @ s``.
    """

    products: list[_Product]
    n_points: tuple[int, ...]
    s: FloatArray
    field: FloatArray

    @classmethod
    def of(cls, grid: PhaseSpaceGrid, products: Sequence[_Product], ratio: float) -> _Shell:
        """The one with products on about ``ratio`` times the points of a grid."""
        d = grid.n_momentum_axes
        largest, of_energy, n_points = zip(*(sizes_of(ratio, n) for n in grid.n_k), strict=True)
        modes = [
            2 * np.pi / period * np.r_[0 : b + 1, -b:0]
            for period, b in zip(grid.periods[-d:], largest, strict=True)
        ]
        return cls(
            products=[_Product(_resampled(p.coefficient, of_energy, n_points), p.index) for p in products],
            n_points=n_points,
            s=np.array(np.meshgrid(*modes, indexing="ij")),
            field=grid.epsilon[-d:, -d:],
        )

    @property
    def largest(self) -> list[int]:
        """Largest mode s along each axis, in whole numbers."""
        return [(n - 1) // 2 for n in self.s.shape[1:]]

    @cached_property
    def turn(self) -> FloatArray:
        """What the field adds to each q, shape (d, *modes)."""
        return -np.tensordot(self.field, self.s, 1)

    def places(self, n_rows: int, n_points: Sequence[int]) -> tuple[Array, ...]:
        """Of the modes s among those of a grid of this size, for some rows."""
        return np.ix_(np.arange(n_rows), *map(low_modes, self.largest, n_points))

    def mode_pass(self, axes: MovedAxes, pairs: Array, q: FloatArray, classes: Array) -> ModePass:
        """The same for these modes q in compiled blocks."""
        return ModePass(
            axes=axes,
            pairs=pairs,
            classes=classes,
            q=q,
            largest=self.largest,
            turn=self.turn.reshape(len(q), -1),
            n_points=self.n_points,
            indices=[p.index for p in self.products],
            coefficients=np.array([p.coefficient.ravel() for p in self.products]),
        )

    def symbols(self, q: FloatArray) -> list[FloatArray]:
        """QQQ - qqq of each product for some q, shape (d, modes)."""
        own = list(q.reshape(*q.shape, *(1,) * len(q)))
        turned = [own[i] + turn for i, turn in enumerate(self.turn)]
        return [_triple(turned, p.index) - _triple(own, p.index) for p in self.products]

    def rates(self, q: FloatArray) -> FloatArray:
        """Largest value of the symbol for each q, shape (d, modes), over a sample of k and s."""
        d = len(q)
        coarse = np.ix_(*(np.arange(0, n, -(-n // _SAMPLED_K[d])) for n in self.n_points))
        coefficients = np.array([p.coefficient[coarse].ravel() for p in self.products]).T
        furthest = self.s.reshape(d, -1).max(axis=1)
        s = np.array(list(tuples(np.linspace(-1, 1, _SAMPLED_S[d]), repeat=d))) * furthest
        turned = -(self.field @ s.T)
        rates = np.empty(q.shape[1])
        for mode, own in enumerate(q.T):
            whole = own[:, None] + turned
            symbols = [_triple(whole, p.index) - _triple(own, p.index) for p in self.products]
            rates[mode] = np.abs(coefficients @ np.array(symbols)).max(initial=0.0)
        return _MARGIN * rates

    def rate(self, z: Array, symbols: list[FloatArray]) -> Array:
        """Rate of change in the kept modes s, given in them."""
        axes = tuple(range(-len(self.s), 0))
        total = np.zeros((len(z), *self.n_points), dtype=complex)
        places = self.places(len(z), self.n_points)
        for product, symbol in zip(self.products, symbols, strict=True):
            spread = np.zeros_like(total)
            spread[places] = -1j * symbol * z
            total += product.coefficient * fourier.ifftn(spread, axes)
        return fourier.fftn(total, axes)[places]

    def change(self, start: Array, symbols: list[FloatArray], series: Series) -> Array:
        """What a polynomial adds to it."""
        factors, n = series
        z = start
        for _ in range(n):
            y = z
            for factor in factors:
                y = z + factor * self.rate(y, symbols)
            z = y
        return z - start


def sizes_of(ratio: float, n: int) -> tuple[int, int, int]:
    """Largest mode s on which M acts, largest one of E(k), and points on which the two are multiplied.

    Their number is about ``ratio * n``; no product is aliased to a mode s on which M acts.
    """
    least = max(3, round(ratio * n))
    points = min(range(least, least + least // 8 + 8), key=_cost_of_transform)
    of_energy = (points - 1) // 4
    return min((points - 1 - of_energy) // 2, (n - 1) // 2), of_energy, points


def _cost_of_transform(n: int) -> float:
    """Of n points, relative: passes over them."""
    radices = factorize(n)
    return n * len(radices) if radices else np.inf


def _resampled(coefficient: FloatArray, largest: Sequence[int], n_points: Sequence[int]) -> FloatArray:
    """Low modes of a function of k, on a grid of other size."""
    axes = tuple(range(coefficient.ndim))
    hat = np.zeros(n_points, dtype=complex)
    low = fourier.fftn(coefficient.astype(complex), axes)[np.ix_(*map(low_modes, largest, coefficient.shape))]
    hat[np.ix_(*map(low_modes, largest, n_points))] = low
    return fourier.ifftn(hat, axes).real * (prod(n_points) / coefficient.size)


def _triple(q: Sequence[FloatArray], index: MultiIndex) -> FloatArray:
    i, j, l = index  # noqa: E741
    return q[i] * q[j] * q[l]
