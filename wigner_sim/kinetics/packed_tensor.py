"""Symmetric and antisymmetric tensors on a large phase space, each component stored once and in short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.low_rank import WORTH_FACTORING, Factors, all_factorized
from wigner_sim.symbols import FloatArray

#: Accuracy of a component that is stored as a sum of products, relative to the largest of the tensor.
TOLERANCE = 1e-11


class PackedTensor(NDArrayOperatorsMixin):
    """Behaves like an array (a, a, *x, *k); a component is made when it is asked for.

    Parameters
    ----------
    grid : PhaseSpaceGrid
    components : mapping (a, b) -> array (*x, *k), a <= b
        The others vanish.
    sign : {1, -1}
        Symmetric or antisymmetric.
    """

    def __init__(self, grid: PhaseSpaceGrid, components: Mapping[tuple[int, int], FloatArray], sign: int):
        self._grid, self._sign = grid, sign
        n = grid.n_axes
        self.shape = (n, n, *grid.shape)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(float)
        self._stored: dict[tuple[int, int], FloatArray | Factors] = {}
        scale = max((float(np.abs(values).max()) for values in components.values()), default=0.0)
        pairs = list(components)
        factors = all_factorized(grid, [components[pair] for pair in pairs], TOLERANCE, [scale] * len(pairs))
        for pair, short in zip(pairs, factors, strict=True):
            self._stored[pair] = components[pair] if short is None else short

    @classmethod
    def of_products(
        cls, grid: PhaseSpaceGrid, products: Mapping[tuple[int, int], Factors], sign: int
    ) -> PackedTensor:
        """From components that are known as sums of products."""
        result = cls(grid, {}, sign)
        result._stored.update({pair: each for pair, each in products.items() if each.n_terms})
        return result

    def component(self, a: int, b: int) -> FloatArray:
        """One component, shape (*x, *k)."""
        stored = self._stored.get((min(a, b), max(a, b)))
        if stored is None:
            return np.zeros(self._grid.shape)
        values = (
            stored.rows(0, len(stored.x)).reshape(self._grid.shape) if isinstance(stored, Factors) else stored
        )
        return -values if a > b and self._sign < 0 else values

    def any(self) -> bool:
        """Whether any of it is not zero."""
        return any(
            values.any() if isinstance(values, np.ndarray) else values.largest > 0
            for values in self._stored.values()
        )

    def __getitem__(self, index: Any) -> FloatArray:
        labels = np.arange(self.shape[0] ** 2).reshape(self.shape[:2])
        try:
            chosen = labels[index]
        except IndexError:  # goes on into the grid
            return np.asarray(self)[index]
        result = np.empty((*np.shape(chosen), *self._grid.shape))
        for place, label in np.ndenumerate(chosen):
            result[place] = self.component(*divmod(int(label), self.shape[0]))
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> FloatArray:
        return self[:, :].astype(dtype or float, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        arrays = (np.asarray(each) if isinstance(each, PackedTensor) else each for each in inputs)
        return getattr(ufunc, method)(*arrays, **options)


def tensor(grid: PhaseSpaceGrid, components: Mapping[tuple[int, int], FloatArray], sign: int) -> Any:
    """A tensor (a, a, *x, *k) from its components a <= b; packed where the grid is large."""
    if np.prod(grid.shape) >= WORTH_FACTORING:
        return PackedTensor(grid, components, sign)
    result = np.zeros((grid.n_axes, grid.n_axes, *grid.shape))
    for (a, b), values in components.items():
        result[a, b], result[b, a] = values, sign * values
        if a == b:
            result[a, a] = values
    return result


def largest(tensor: Any) -> float:
    """Largest absolute value of a tensor (a, a, *x, *k)."""
    n = tensor.shape[0]
    return max(float(np.abs(tensor[a, b]).max()) for a in range(n) for b in range(a, n))
