"""Sums over phase space in one reading of w, by rows (all momenta at one position) that stay in the cache.

Every row is summed by itself and the rows' sums are added in order: threads change no bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from wigner_sim import parallel
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kernels import numba_is_usable
from wigner_sim.kernels.layout import MovedAxes
from wigner_sim.kernels.survey_passes import LaneSurvey, SurveyPass
from wigner_sim.kinetics.low_rank import shared_products
from wigner_sim.kinetics.mode_smearing import LARGE
from wigner_sim.symbols import FloatArray

#: Points that are looked at together.
_POINTS = 1 << 15
#: Share of the largest value that counts as empty.
SMALL = 1e-3


@dataclass(frozen=True)
class Survey:
    """What one reading of w tells.

    Parameters
    ----------
    number, energy : float
        Integrals of w and of ``w h_w`` over phase space.
    by_momentum : array (points in k,)
        Largest ``|w|`` at each.
    current : array (d,), optional
        Integrals of ``w V_i``, where they were asked for.
    lanes : LaneSurvey, optional
        Range and roughness of w at every momentum.
    """

    number: float
    energy: float
    by_momentum: FloatArray
    current: FloatArray | None = None
    lanes: LaneSurvey | None = None

    @property
    def threshold(self) -> float:
        """Size of w that counts as empty."""
        return SMALL * float(self.by_momentum.max())

    def largest_where_occupied(self, values: FloatArray, w: FloatArray, rows: FloatArray) -> float:
        """Largest of ``values`` where there are particles, at least 0.

        Rows are looked at from the one with the largest value on, until no other can have a larger one.

        Parameters
        ----------
        values, w : arrays (*x, *k)
        rows : array (points in x,)
            The largest value at each position.
        """
        largest, threshold = 0.0, self.threshold
        values, w = values.reshape(len(rows), -1), w.reshape(len(rows), -1)
        for row in np.argsort(-rows):
            if rows[row] <= largest:
                break
            here = np.max(values[row], where=np.abs(w[row]) > threshold, initial=0.0)
            largest = max(largest, float(here))
        return largest

    def largest_momentum_where_occupied(self, values: FloatArray) -> float:
        """The same for a function of momentum, shape (points in k,)."""
        return float(np.max(values, where=self.by_momentum > self.threshold, initial=0.0))


@dataclass(frozen=True)
class SurveyTables:
    """What a compiled reading of w needs: energy and velocities as sums of products.

    Parameters
    ----------
    grid : PhaseSpaceGrid
    reading : SurveyPass
        With the functions of position.
    k : array (1 + d, terms, points in k)
        Those of momentum, of the energy ``h_w`` and of every velocity ``V_i``.
    """

    grid: PhaseSpaceGrid
    reading: SurveyPass
    k: FloatArray

    @classmethod
    def of(cls, grid: PhaseSpaceGrid, energy: FloatArray, velocity: FloatArray) -> SurveyTables | None:
        """The tables; None on a small grid, or where the functions are no short sums."""
        if prod(grid.shape) < LARGE or not grid.n_x or not numba_is_usable():
            return None
        factors = shared_products(grid, [energy, *velocity])
        if factors is None:
            return None
        axes = MovedAxes(1, grid.n_x, (1.0,) * len(grid.n_x), prod(grid.n_k))
        return cls(grid, SurveyPass(axes, factors.x), factors.k)

    def survey(self, w: FloatArray) -> Survey:
        """Read ``w`` (*x, *k) once."""
        seen = self.reading.run(np.require(w, float, ["C", "W"]).reshape(-1))
        energy, *current = (self.grid.cell_measure * float((k * seen.sums).sum()) for k in self.k)
        return Survey(
            number=self.grid.cell_measure * float(seen.sums[0].sum()),  # the first function is 1
            energy=energy,
            by_momentum=np.maximum(-seen.lowest, seen.highest),
            current=np.array(current),
            lanes=seen,
        )


def survey(grid: PhaseSpaceGrid, w: FloatArray, energy: FloatArray) -> Survey:
    """Read ``w`` and the energy ``h_w``, both (*x, *k), once."""
    n_x, n_k = prod(grid.n_x), prod(grid.n_k)
    w, energy = w.reshape(n_x, n_k), energy.reshape(n_x, n_k)
    sums = np.empty((2, n_x))
    by_momentum: list[FloatArray] = []

    def look(rows: slice, scratch: FloatArray) -> None:
        np.einsum("xk->x", w[rows], out=sums[0, rows], dtype=float)
        np.einsum("xk,xk->x", w[rows], energy[rows], out=sums[1, rows], dtype=float)
        by_momentum.append(np.abs(w[rows], out=scratch).max(axis=0))

    over_rows(look, n_x, n_k)
    number, total = sums.sum(axis=1) * grid.cell_measure
    return Survey(float(number), float(total), np.max(by_momentum, axis=0))


def integrate_product(grid: PhaseSpaceGrid, a: FloatArray, b: FloatArray) -> float:
    """``int a b`` over phase space, both of shape (*x, *k)."""
    n_x, n_k = prod(grid.n_x), prod(grid.n_k)
    a, b, sums = a.reshape(n_x, n_k), b.reshape(n_x, n_k), np.empty(n_x)

    def look(rows: slice, scratch: FloatArray) -> None:
        np.einsum("xk,xk->x", a[rows], b[rows], out=sums[rows], dtype=float)

    over_rows(look, n_x, n_k)
    return float(sums.sum()) * grid.cell_measure


def momentum_averages(grid: PhaseSpaceGrid, values: FloatArray, weights: FloatArray) -> FloatArray:
    """``int dk/(2 pi)^d weight values`` of several functions of momentum, shape (terms, *x).

    Parameters
    ----------
    values : array (*x, *k)
    weights : array (terms, *k)
    """
    n_x, n_k = prod(grid.n_x), prod(grid.n_k)
    values = values.reshape(n_x, n_k)
    columns = np.ascontiguousarray(weights.reshape(len(weights), n_k).T) / n_k
    result = np.empty((n_x, columns.shape[1]))

    def look(rows: slice, scratch: FloatArray) -> None:
        np.matmul(values[rows], columns, out=result[rows])

    over_rows(look, n_x, n_k, linear_algebra=True)
    return result.T.reshape(len(weights), *grid.n_x)


def over_rows(
    look: Callable[[slice, FloatArray], None], n_x: int, n_k: int, linear_algebra: bool = False
) -> None:
    """Call ``look`` for blocks of rows, with an array of their shape, in several threads if there are."""
    step = max(1, _POINTS // n_k)

    def several(first: int, last: int) -> None:
        scratch = np.empty((step, n_k))
        for j in range(first, last):
            rows = slice(j * step, min((j + 1) * step, n_x))
            look(rows, scratch[: rows.stop - rows.start])

    parallel.share_out(several, -(-n_x // step), n_x * n_k >= 1 << 18, linear_algebra)
