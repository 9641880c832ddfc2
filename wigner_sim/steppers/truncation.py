r"""Polynomials in place of exponentials in a composition.

A part L that has no flow in closed form enters a composition as :math:`e^{\gamma_jhL}`, j = 1..n, one
series for each fraction.  The single series need not be as accurate as the scheme.  In

.. math:: P_j = 1 + \gamma_j hL + c_{j2}(hL)^2 + c_{j3}(hL)^3 + \dots

what is missing at some :math:`(hL)^m` adds up over the step, and where it is missing does not matter to
leading order; if the polynomials, like the fractions, are the same read backwards, the next order vanishes,
too.  So all series are cut early, and what they miss is gathered in a few of them, such that
:math:`\prod_jP_j` agrees with :math:`e^{hL}` as far as it has to if the parts commuted.  The logarithm of a
factor is

.. math:: \gamma_j z + (c_2 - \tfrac12\gamma_j^2)z^2 + (c_3 - c_2\gamma_j + \tfrac13\gamma_j^3)z^3
   + (c_4 - c_3\gamma_j - \tfrac12c_2^2 + c_2\gamma_j^2 - \tfrac14\gamma_j^4)z^4 + \dots,

whose sums over j have to vanish from the second on.  See docs/decisions/017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        For a part that is small beside the others: an error of second order in L falls as h^3.  Empty if
        there is none.
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
    """Where what the series miss is gathered: two fractions, numbered from either end.

    ``share`` is what the first of them gets of the lowest order that is gathered; of all values this one
    makes the error of the scheme smallest.
    """

    first: int
    second: int
    share: float

    def places(self, number: int, n: int) -> tuple[int, ...]:
        """The fraction of that number from either end, once if it is the one in the middle."""
        return tuple({number, n - 1 - number})


@dataclass(frozen=True)
class Truncation:
    """How the series of a scheme are cut and what they miss is gathered.

    Parameters
    ----------
    small : Gathering
        Of the second order, beside series of first order; the second place gets all of the third.
    large, outer : Gathering
        Of the third order, beside series of second order; the fourth makes good the fourth and the fifth.
        ``outer`` is for the part whose acts are joined where a basic step meets the next.
    """

    small: Gathering
    large: Gathering
    outer: Gathering

    def polynomials(self, fractions: Sequence[float]) -> list[Polynomials]:
        """For the parts that act once in every basic step."""
        small, large = _first_order(fractions, self.small), _second_order(fractions, self.large)
        return [Polynomials(*each) for each in zip(small, large, strict=True)]

    def outer_polynomials(self, fractions: Sequence[float]) -> list[Polynomials]:
        """For the part that begins one basic step and ends the next."""
        return [Polynomials((), large) for large in _second_order(fractions, self.outer)]


def _first_order(fractions: Sequence[float], gathering: Gathering) -> list[tuple[float, ...]]:
    g, n = np.array(fractions), len(fractions)
    first, second = (list(gathering.places(number, n)) for number in (gathering.first, gathering.second))
    c_2, c_3 = np.zeros(n), np.zeros(n)
    c_2[first] = gathering.share
    c_2[second] = (np.sum(g**2) / 2 - c_2.sum()) / len(second)
    c_3[second] = np.sum(c_2 * g - g**3 / 3) / len(second)
    return _without_zeros(g, c_2, c_3)


def _second_order(fractions: Sequence[float], gathering: Gathering) -> list[tuple[float, ...]]:
    g, n = np.array(fractions), len(fractions)
    first, second = (list(gathering.places(number, n)) for number in (gathering.first, gathering.second))
    c_3, c_4 = np.zeros(n), np.zeros(n)
    c_3[first] = gathering.share
    c_3[second] = (np.sum(g**3) / 6 - c_3.sum()) / len(second)
    # z^4 and z^5 of the logarithm with c_2 = g^2/2: c_4 - c_3 g + g^4/8 and -c_4 g + c_3 g^2/2 - g^5/20
    missing = np.sum(c_3 * g - g**4 / 8), np.sum(c_3 * g**2 / 2 - g**5 / 20)
    of_each = [(len(places), np.sum(g[places])) for places in (first, second)]
    c_4[first], c_4[second] = np.linalg.solve(np.array(of_each).T, missing)
    return _without_zeros(g, g**2 / 2, c_3, c_4)


def _without_zeros(*coefficients: FloatArray) -> list[tuple[float, ...]]:
    """Coefficients of each factor up to the last that is not zero."""
    return [tuple(float(c) for c in np.trim_zeros(own, "b")) for own in np.array(coefficients).T]
