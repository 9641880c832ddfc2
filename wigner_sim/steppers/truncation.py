r"""Polynomials in place of exponentials in a composition.

A part L that has no flow in closed form enters a composition as :math:`e^{\gamma_jhL}`, j = 1..n, one
series for each fraction.  The single series need not be as accurate as the scheme.  In

.. math:: P_j = 1 + \gamma_j hL + c_{j2}(hL)^2 + c_{j3}(hL)^3 + \dots

what is missing at some :math:`(hL)^m` adds up over the step, and where it is missing does not matter to
leading order; if the polynomials, like the fractions, are the same read backwards, the next order vanishes,
too.  So all series are cut early, and what they miss is gathered in a few of them, such that
:math:`\prod_jP_j` agrees with :math:`e^{hL}` as far as it has to if the parts commuted.  The logarithm of a
factor is

.. math:: \gamma_j z + (c_{j2} - \tfrac12\gamma_j^2)z^2
   + (c_{j3} - c_{j2}\gamma_j + \tfrac13\gamma_j^3)z^3 + \dots,

and the sums over j have to vanish from the second order on.  See docs/decisions/017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]

#: Largest ``h * rate`` on the imaginary axis that the two kinds of polynomials are good for: no mode grows.
SMALL_REACH, LARGE_REACH = 3.0, 4.0


@dataclass(frozen=True)
class Polynomials:
    r"""What may stand for :math:`e^{\gamma hL}`: coefficients of :math:`hL, (hL)^2, \dots`.

    Parameters
    ----------
    small : tuple
        For a part that is small beside the others: an error of second order in L falls as h^3.
    large : tuple
        For any part: of the order of the scheme.
    """

    small: tuple[float, ...]
    large: tuple[float, ...]

    @property
    def fraction(self) -> float:
        """The fraction gamma."""
        return self.large[0]


def nested(coefficients: Sequence[float], h: float) -> tuple[float, ...]:
    """Factors f of ``y <- u + f L y``, in the order they are used, from coefficients of (hL)^m."""
    previous = (1.0, *coefficients[:-1])
    return tuple(h * c / before for c, before in zip(coefficients, previous, strict=True))[::-1]


def taylor(duration: float, order: int) -> tuple[float, ...]:
    """The same factors for the Taylor series of ``exp(duration L)``."""
    return tuple(duration / j for j in range(order, 0, -1))


@dataclass(frozen=True)
class Gathering:
    """How series are cut, and in which two of them what they miss is gathered.

    Parameters
    ----------
    order : int
        Of the Taylor series of all the others.
    first, second : int
        Numbers of fractions, from either end.
    shares : tuple of float
        Coefficients of the orders after that in the first one; the second one gets what is left.
    """

    order: int
    first: int
    second: int
    shares: tuple[float, ...]

    def series(self, fractions: Sequence[float]) -> list[tuple[float, ...]]:
        """Coefficients of hL, (hL)^2, ... for each fraction, up to the last that is not zero."""
        g, n = np.array(fractions), len(fractions)
        first, second = ([*{number, n - 1 - number}] for number in (self.first, self.second))
        c = np.zeros((self.order + len(self.shares) + 1, n))
        for m in range(self.order + 1):
            c[m] = g**m / factorial(m)
        for m, share in enumerate(self.shares, start=self.order + 1):
            c[m, first] = share
            c[m, second] = -_logarithm(c, m).sum() / len(second)
        return [tuple(float(value) for value in np.trim_zeros(own[1:], "b")) for own in c.T]


def _logarithm(c: FloatArray, order: int) -> FloatArray:
    """Coefficient of z^order in the logarithm of ``sum_m c[m] z^m``, where c[0] = 1."""
    logarithm = np.zeros((order + 1, *c.shape[1:]))
    for m in range(1, order + 1):
        lower = sum(k * logarithm[k] * c[m - k] for k in range(1, m))
        logarithm[m] = c[m] - lower / m
    return logarithm[order]


@dataclass(frozen=True)
class Truncation:
    """How the series of a scheme are cut: for small parts, for large ones, and for the outermost.

    The outermost is the part whose acts are joined where a basic step meets the next.
    """

    small: Gathering
    large: Gathering
    outer: Gathering

    def polynomials(self, fractions: Sequence[float]) -> list[Polynomials]:
        """For the parts that act once in every basic step."""
        small, large = self.small.series(fractions), self.large.series(fractions)
        return [Polynomials(*each) for each in zip(small, large, strict=True)]

    def outer_polynomials(self, fractions: Sequence[float]) -> list[Polynomials]:
        """For the outermost part."""
        return [Polynomials(each, each) for each in self.outer.series(fractions)]
