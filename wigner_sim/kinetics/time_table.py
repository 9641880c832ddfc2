"""Arrays that depend smoothly on time, computed only as often as their measured change requires."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from wigner_sim.symbols import Array, FloatArray

#: Nodes around the interval of interest, in units of their spacing.
NODES = np.arange(-2, 4)
#: Points in an interval, in units of the spacing, where a probe is compared with its interpolation.
_PROBED = (np.arange(24) + 0.5) / 24
_FINEST = 24
#: Nodes kept at once.
KEPT_NODES = 32


class TimeTable:
    """Local polynomial interpolation in time of an expensive array-valued function.

    Between two neighbouring nodes the fifth-degree polynomial through six nodes is used.  Nodes are spaced
    ``longest / 2^level``; the level is raised until the cubic through the inner four agrees with it at the
    middle within the tolerance, so that a slow drive is computed rarely and a fast one often.

    Parameters
    ----------
    function : callable t -> array
    longest : float, time
        Largest spacing of nodes.
    tolerance : float
        Relative to the largest value of the array.
    probe : callable t -> array, optional
        Something cheap that changes whenever the values do.  Its interpolation is compared with itself all
        over each interval, so that a pulse between two nodes is not overlooked.

    Notes
    -----
    The value at ``t`` depends on ``t`` alone, not on earlier calls, so that a resumed run repeats it.
    """

    def __init__(
        self,
        function: Callable[[float], FloatArray],
        longest: float,
        tolerance: float,
        probe: Callable[[float], Array] | None = None,
    ):
        self._function = function
        self._probe = probe
        self._longest = longest
        self._tolerance = tolerance
        self._values: OrderedDict[float, FloatArray] = OrderedDict()
        self._levels: OrderedDict[float, bool] = OrderedDict()
        self.n_evaluations = 0

    def at(self, t: float) -> FloatArray:
        """Value at time ``t``."""
        spacing = self._longest / 2 ** self._level(t)
        first = float(np.floor(t / spacing))
        return np.tensordot(_lagrange(t / spacing - first, NODES), self._nodes(first, spacing), axes=1)

    def _level(self, t: float) -> int:
        """Coarsest level that is accurate in the interval around ``t``."""
        for level in range(_FINEST):
            spacing = self._longest / 2**level
            first = float(np.floor(t / spacing))
            key = (first + 0.5) * spacing  # the middle names the interval: no two levels share one
            if key not in self._levels:
                self._levels[key] = self._is_accurate(first, spacing)
                if len(self._levels) > 4 * KEPT_NODES:
                    self._levels.popitem(last=False)
            if self._levels[key]:
                return level
        return _FINEST

    def _is_accurate(self, first: float, spacing: float) -> bool:
        if self._probe is not None and not self._probe_is_accurate(self._probe, first, spacing):
            return False
        nodes = self._nodes(first, spacing)
        fine, coarse = _lagrange(0.5, NODES), np.zeros(len(NODES))
        coarse[1:-1] = _lagrange(0.5, NODES[1:-1])
        change = np.tensordot(fine - coarse, nodes, axes=1)
        return bool(np.abs(change).max() <= self._tolerance * np.abs(nodes).max())

    def _probe_is_accurate(self, probe: Callable[[float], Array], first: float, spacing: float) -> bool:
        nodes = np.stack([probe((first + j) * spacing) for j in NODES])
        largest = np.abs(nodes).max()
        for u in _PROBED:
            value = probe((first + u) * spacing)
            change = np.abs(np.tensordot(_lagrange(u, NODES), nodes, axes=1) - value).max()
            if change > self._tolerance * max(largest, np.abs(value).max()):
                return False
        return True

    def _nodes(self, first: float, spacing: float) -> FloatArray:
        return np.stack([self._node((first + j) * spacing) for j in NODES])

    def _node(self, t: float) -> FloatArray:
        if t not in self._values:
            self._values[t] = self._function(t)
            self.n_evaluations += 1
            if len(self._values) > KEPT_NODES:
                self._values.popitem(last=False)
        return self._values[t]


def _lagrange(u: float, nodes: FloatArray) -> FloatArray:
    """Weights of the polynomial through ``nodes`` at ``u``."""
    others = [np.delete(nodes, j) for j in range(len(nodes))]
    return np.array([np.prod((u - rest) / (node - rest)) for node, rest in zip(nodes, others, strict=True)])
