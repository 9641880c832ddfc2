r"""Bounds on an occupation from how rough the density is: they say where its extremes cannot be.

With :math:`Lu` the sum over the nearest positions of (u there - u here), which in Fourier space is minus
:math:`\lambda = \sum_a 4\sin^2(q_a h_a/2)`, a factor m of modes is a convolution of Lu,

.. math:: |F^{-1}[m\,Fu]| \le \max|Lu| \sum_x |F^{-1}[m/\lambda](x)| ,

and for :math:`u = r w` the roughness is at most :math:`\max r\,\max|Lw| + \max|w|\,\max_x\sum|r' - r|`, the
sum over the neighbours.  All maxima are over one lane, which is all positions at one momentum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wigner_sim import fourier
from wigner_sim.kernels.survey_passes import LaneSurvey
from wigner_sim.symbols import FloatArray

#: Widening of all bounds, of the largest value, far above rounding.
_SLACK = 1e-9
#: Blocks that are measured first from either end; then twice as many, and so on.
_FIRST = 4


@dataclass(frozen=True)
class LaneBounds:
    """Where ``u + S u / divisor`` with ``u = w / divisor`` lies in every lane.

    Parameters
    ----------
    least, most, rough : arrays (lanes,)
        Of r = 1/divisor: range, and largest ``sum |r' - r|`` over the neighbours.
    gain : array (lanes,)
        Largest ``|S u|`` for ``max |L u| = 1``.
    """

    least: FloatArray
    most: FloatArray
    rough: FloatArray
    gain: FloatArray

    @classmethod
    def of(
        cls, n_x: tuple[int, ...], divisor: Any, waves: FloatArray, weights: FloatArray
    ) -> LaneBounds | None:
        """The bounds of ``S = sum_t waves_t(q) weights_t(k)``; None if the divisor is not positive.

        Parameters
        ----------
        n_x : tuple of int
        divisor : array (points in x, points in k), or None
        waves : array (terms, *n_x)
        weights : array (terms, points in k)
        """
        gain = _gain(n_x, waves, weights)
        if divisor is None:
            return cls(np.ones_like(gain), np.ones_like(gain), np.zeros_like(gain), gain)
        least, most, rough = (np.empty_like(gain) for _ in range(3))
        for first in range(0, gain.size, 64):  # columns that stay in the cache
            part = slice(first, first + 64)
            if divisor[:, part].min() <= 0.0:
                return None
            r = (1.0 / divisor[:, part]).reshape(*n_x, -1)
            over = tuple(range(len(n_x)))
            least[part], most[part] = r.min(axis=over), r.max(axis=over)
            rough[part] = sum(np.abs(np.roll(r, by, a) - r) for a in over for by in (1, -1)).max(axis=over)
        return cls(least, most, rough, gain)

    def enclosures(self, seen: LaneSurvey) -> tuple[FloatArray, FloatArray]:
        """Lower bounds of the smallest and upper bounds of the largest value in every lane."""
        size = np.maximum(np.abs(seen.lowest), np.abs(seen.highest))
        change = self.gain * (self.most * seen.roughest + size * self.rough) + _SLACK * size
        lowest = seen.lowest * np.where(seen.lowest > 0, self.least, self.most)
        highest = seen.highest * np.where(seen.highest > 0, self.most, self.least)
        return lowest - self.most * change, highest + self.most * change


def _gain(n_x: tuple[int, ...], waves: FloatArray, weights: FloatArray) -> FloatArray:
    """``sum_x |F^-1[m/lambda]|`` of every lane; what m/lambda is at q = 0 is free, as Lu has no such mode."""
    over = tuple(range(1, 1 + len(n_x)))
    angles = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n) for n in n_x), indexing="ij")
    laplace = sum(4 * np.sin(angle / 2) ** 2 for angle in angles)
    origin = (0,) * len(n_x)
    laplace[origin] = 1.0
    ratios = waves / laplace
    nearest = [tuple(int(axis == a) for axis in range(len(n_x))) for a in range(len(n_x))]
    ratios[(slice(None), *origin)] = np.mean([ratios[(slice(None), *at)] for at in nearest], axis=0)
    kernels = fourier.ifftn(ratios, over).real.reshape(len(waves), -1).T
    parts = range(0, weights.shape[1], 256)
    return np.concatenate([np.abs(kernels @ weights[:, j : j + 256]).sum(axis=0) for j in parts])


def extremes_within(
    lowest: FloatArray,
    highest: FloatArray,
    measure: Callable[[FloatArray], tuple[float, float]],
) -> tuple[float, float]:
    """Smallest and largest value of all blocks, of which only those are measured that may have it.

    Parameters
    ----------
    lowest, highest : arrays (blocks,)
        Bounds.
    measure : callable
        Smallest and largest value of some blocks, by their numbers.
    """
    if not (np.isfinite(lowest).all() and np.isfinite(highest).all()):
        return measure(np.arange(len(lowest)))
    low, high, left, most = np.inf, -np.inf, np.ones(len(lowest), dtype=bool), _FIRST
    while True:
        below, above = np.flatnonzero(left & (lowest < low)), np.flatnonzero(left & (highest > high))
        below = below[np.argsort(lowest[below], kind="stable")[:most]]
        above = above[np.argsort(-highest[above], kind="stable")[:most]]
        chosen = np.union1d(below, above)
        if not chosen.size:
            return low, high
        left[chosen], most = False, 2 * most
        found = measure(chosen)
        low, high = min(low, found[0]), max(high, found[1])
