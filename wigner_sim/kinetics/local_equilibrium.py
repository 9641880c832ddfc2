r"""Equilibrium densities at given moments: the local mu(x), T(x) that a conserving collision relaxes to.

Positions are flattened to *cells* and the momenta of all bands that share mu and T to *points*, so every
array here has the shape (cells, points).  The parameters are those of the exponential family,
:math:`\alpha = \mu/T` and :math:`\beta = 1/T`; in a band, which has a highest energy, beta may be negative.

Source: docs/theory.md section 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim.kinetics.effective_band import EffectiveBand
from wigner_sim.kinetics.equilibrium import gradient_contraction, hessian_contraction
from wigner_sim.symbols import FloatArray

#: Newton stops here (relative to the moments); the last update, linear in the densities, squares the error.
TOLERANCE = 1e-8
MOST_ITERATIONS = 80
#: Largest change of (h - mu)/T in one Newton update.
TRUST = 4.0
#: Share of the absolute density in cells without any equilibrium (where it vanishes, or is negative) that
#: is let pass; those cells are left as they are.
LEFT_ALONE = 1e-3
_TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class ThermalFamily:
    r"""All equilibrium densities of some bands.

    .. math:: w = D\big[n(u) - \tfrac{\beta^2}{16} A\,q_2(v) + \tfrac{\beta^3}{24} B\,q_3(v)\big],\quad
              u = \beta h_w - \alpha,\; v = \beta h - \alpha,

    where :math:`n = 1/(e^u + 1)`, :math:`q_1 = n(1-n)` and :math:`q_{j+1} = \partial_\alpha q_j`.

    Parameters
    ----------
    energy, bare_energy, density_of_states : arrays (cells, points)
        ``h_w``, ``h`` and D.
    corrections : None or pair of arrays (cells, points)
        The contractions A, B of ``equilibrium_density``; None below second order.
    """

    energy: FloatArray
    bare_energy: FloatArray
    density_of_states: FloatArray
    corrections: tuple[FloatArray, FloatArray] | None

    @classmethod
    def of(cls, bands: Sequence[EffectiveBand]) -> ThermalFamily:
        """The family of bands that share mu and T."""

        def join(arrays: Sequence[FloatArray]) -> FloatArray:
            return join_bands(np.stack([np.broadcast_to(a, grid.shape) for a in arrays]), len(grid.n_x))

        grid = bands[0].space.grid
        corrections = None
        if bands[0].order == 2:
            corrections = (
                join([hessian_contraction(band) for band in bands]),
                join([gradient_contraction(band) for band in bands]),
            )
        return cls(
            join([band.total_energy_symbol for band in bands]),
            join([band.energy[0] for band in bands]),
            join([band.density_of_states for band in bands]),
            corrections,
        )

    def cells(self, chosen: NDArray[Any]) -> ThermalFamily:
        """The family in some of the cells only."""
        corrections = self.corrections
        if corrections is not None:
            corrections = corrections[0][chosen], corrections[1][chosen]
        return ThermalFamily(
            self.energy[chosen], self.bare_energy[chosen], self.density_of_states[chosen], corrections
        )

    def density(self, alpha: FloatArray, beta: FloatArray) -> FloatArray:
        """Density w for parameters given per cell."""
        return self.with_derivatives(alpha, beta)[0]

    def with_derivatives(
        self, alpha: FloatArray, beta: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Density w and its derivatives by alpha and beta."""
        a, b = alpha[:, None], beta[:, None]
        d, h_w = self.density_of_states, self.energy
        n = 0.5 * (1.0 - np.tanh(0.5 * (b * h_w - a)))
        by_alpha = n * (1 - n)
        by_beta = -h_w * by_alpha
        if self.corrections is not None:
            h, (hessians, gradients) = self.bare_energy, self.corrections
            q_2, q_3, q_4 = _higher_derivatives(b * h - a)
            second, third = hessians / 16, gradients / 24
            n = n - b**2 * second * q_2 + b**3 * third * q_3
            corrections = -(b**2) * second * q_3 + b**3 * third * q_4
            by_alpha = by_alpha + corrections
            by_beta = by_beta - h * corrections - 2 * b * second * q_2 + 3 * b**2 * third * q_3
        return d * n, d * by_alpha, d * by_beta

    @cached_property
    def sorted_energy(self) -> FloatArray:
        """Energies in every cell in rising order."""
        return np.sort(self.energy, axis=1)

    def energy_at_filling(self, filling: FloatArray) -> FloatArray:
        """Highest filled energy at zero temperature."""
        n_points = self.energy.shape[1]
        index = np.clip(filling * n_points, 0, n_points - 1).astype(int)
        return np.take_along_axis(self.sorted_energy, index[:, None], axis=1)[:, 0]


def _higher_derivatives(v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """q_2, q_3, q_4: the second to fourth derivatives of ``1/(exp(v) + 1)`` by ``-v``."""
    n = 0.5 * (1.0 - np.tanh(0.5 * v))
    p = n * (1 - n)
    odd = p * (1 - 2 * n)
    return odd, p * (1 - 6 * p), odd * (1 - 12 * p)


def join_bands(values: FloatArray, n_position_axes: int) -> FloatArray:
    """From (b, *x, *k) to (cells, points), the bands side by side."""
    n_bands = len(values)
    n_cells = int(np.prod(values.shape[1 : 1 + n_position_axes], dtype=int))
    return np.moveaxis(values.reshape(n_bands, n_cells, -1), 0, 1).reshape(n_cells, -1)


def part_bands(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """From (cells, points) back to ``shape`` = (b, *x, *k)."""
    return np.moveaxis(values.reshape(len(values), shape[0], -1), 1, 0).reshape(shape)


@dataclass(frozen=True)
class LocalEquilibrium:
    """What a state relaxes to.

    Parameters
    ----------
    density : array (cells, points)
        Has the moments asked for to rounding; equal to the state where no equilibrium has them.
    alpha, beta : arrays (cells,)
        NaN where there is none.
    """

    density: FloatArray
    alpha: FloatArray
    beta: FloatArray

    @property
    def chemical_potential(self) -> FloatArray:
        """Chemical potential mu per cell."""
        return self.alpha / self.beta

    @property
    def temperature(self) -> FloatArray:
        """Temperature T per cell."""
        return 1.0 / self.beta


def local_equilibrium(
    family: ThermalFamily, w: FloatArray, weight: FloatArray, beta: FloatArray, conserve_energy: bool
) -> LocalEquilibrium:
    r"""Equilibrium with the same weighted moments as a state, cell by cell.

    .. math:: \int_k W\,(w_{eq} - w) = 0, \qquad \int_k W\,h_w\,(w_{eq} - w) = 0

    Parameters
    ----------
    family : ThermalFamily
    w : array (cells, points)
    weight : array (cells, points), not negative
        W, the rate of relaxation; a cell where it vanishes is left as it is.
    beta : array (cells,)
        Inverse temperature; the first guess if the energy is to be conserved.
    conserve_energy : bool
        Whether the second equation holds too, and beta is solved for.

    Raises
    ------
    FloatingPointError
        If cells with a sizeable part of the particles have no equilibrium.

    Notes
    -----
    Newton's method on the logarithm of the filling's odds and on the energy per particle (per hole above
    half filling), both nearly linear in alpha and beta for a dilute gas.  The result depends on nothing
    but the arguments.
    """
    solver = _Newton(family, w, weight, beta, conserve_energy)
    solved = solver.run()
    left = np.where(weight.any(axis=1), np.abs(w).sum(axis=1), 0.0)
    if left[~solved].sum() > LEFT_ALONE * max(left.sum(), _TINY):
        raise FloatingPointError(
            "no local equilibrium has the density"
            + (" and energy" if conserve_energy else "")
            + f" of the state at {int((~solved).sum())} of {len(left)} positions: the occupation has left "
            "the range 0 to 1, or the state is too cold for equilibrium to second order in gradients"
        )
    return LocalEquilibrium(
        solver.density,
        np.where(solved, solver.alpha, np.nan),
        np.where(solved, solver.beta, np.nan),
    )


class _Newton:
    """Iteration of :func:`local_equilibrium` on the cells that are not solved yet."""

    def __init__(
        self, family: ThermalFamily, w: FloatArray, weight: FloatArray, beta: FloatArray, with_energy: bool
    ):
        self._family, self._weight, self._with_energy = family, weight, with_energy
        self.density = w.copy()
        self._w = w
        full = (weight * family.density_of_states).sum(axis=1)
        self._filling = (weight * w).sum(axis=1) / np.where(full > 0, full, 1.0)
        self.beta = beta.copy()
        self.alpha = beta * family.energy_at_filling(self._filling)

    def run(self) -> NDArray[np.bool_]:
        """Iterate; returns which cells are solved."""
        solved = np.zeros(len(self._w), dtype=bool)
        possible = (self._filling > 0) & (self._filling < 1)
        self._iterate(np.flatnonzero(possible), solved)
        if self._with_energy:  # once more from infinite temperature, where the equations are nearly linear
            again = np.flatnonzero(possible & ~solved)
            self.beta[again] = 0.0
            self.alpha[again] = np.log(self._filling[again] / (1 - self._filling[again]))
            self._iterate(again, solved)
        return solved

    def _iterate(self, active: NDArray[Any], solved: NDArray[np.bool_]) -> None:
        """Newton steps in the given cells until they are solved, or too many."""
        everything = len(active) == len(self._w)
        family = self._family if everything else self._family.cells(active)
        for _ in range(MOST_ITERATIONS):
            if not len(active):
                break
            done = self._update(family, active)
            solved[active[done]] = True
            if done.any():
                active, family = active[~done], family.cells(~done)

    def _update(self, family: ThermalFamily, active: NDArray[Any]) -> NDArray[np.bool_]:
        """One Newton step in the active cells; those close to the solution are finished."""
        alpha, beta = self.alpha[active], self.beta[active]
        weight, w = self._weight[active], self._w[active]
        density, by_alpha, by_beta = family.with_derivatives(alpha, beta)
        moments = _Moments.of(family, weight, w, density, by_alpha, by_beta, self._with_energy)
        done = moments.small
        step = np.where(done[:, None], moments.linear_step(), moments.step())
        step = np.where(done[:, None], step, _within_trust(family, step))
        step = np.where(np.isfinite(step), step, 0.0)
        self.alpha[active] += step[:, 0]
        self.beta[active] += step[:, 1]
        finished = active[done]
        self.density[finished] = (
            density[done] + by_alpha[done] * step[done, :1] + by_beta[done] * step[done, 1:]
        )
        return done


def _within_trust(family: ThermalFamily, step: FloatArray) -> FloatArray:
    """Shorten steps that would change (h - mu)/T by more than TRUST somewhere."""
    lowest, highest = family.energy.min(axis=1), family.energy.max(axis=1)
    change = np.maximum(np.abs(step[:, 0] - step[:, 1] * lowest), np.abs(step[:, 0] - step[:, 1] * highest))
    return step * (TRUST / np.maximum(change, TRUST))[:, None]


@dataclass(frozen=True)
class _Moments:
    """Moments of a trial equilibrium, those wanted, and their derivatives, per cell.

    Parameters
    ----------
    found, wanted, full : arrays (cells, m)
        Particles and, for m = 2, energy: of the trial, of the state, and of the filled band.
    jacobian : array (cells, m, m)
    scale : array (cells, m)
    """

    found: FloatArray
    wanted: FloatArray
    full: FloatArray
    jacobian: FloatArray
    scale: FloatArray

    @classmethod
    def of(
        cls,
        family: ThermalFamily,
        weight: FloatArray,
        w: FloatArray,
        density: FloatArray,
        by_alpha: FloatArray,
        by_beta: FloatArray,
        with_energy: bool,
    ) -> _Moments:
        weights = [weight, weight * family.energy] if with_energy else [weight]
        slopes = [by_alpha, by_beta] if with_energy else [by_alpha]

        def all_moments(values: FloatArray) -> FloatArray:
            return np.stack([np.einsum("cp,cp->c", each, values) for each in weights], axis=-1)

        return cls(
            found=all_moments(density),
            wanted=all_moments(w),
            full=all_moments(family.density_of_states),
            jacobian=np.stack([all_moments(slope) for slope in slopes], axis=-1),
            scale=np.stack([np.einsum("cp,cp->c", np.abs(each), np.abs(w)) for each in weights], axis=-1),
        )

    @property
    def small(self) -> NDArray[np.bool_]:
        """Where the moments agree but for the tolerance."""
        return np.asarray((np.abs(self.found - self.wanted) <= TOLERANCE * self.scale).all(axis=1))

    def linear_step(self) -> FloatArray:
        """Newton step of the moments themselves (alpha, beta), shape (cells, 2)."""
        return _solve(self.jacobian, self.wanted - self.found)

    def step(self) -> FloatArray:
        """Newton step of the log odds of the filling and of the energy per particle or hole."""
        dense = self.wanted[:, :1] > 0.5 * self.full[:, :1]
        found = np.where(dense, self.full - self.found, self.found)
        wanted = np.where(dense, self.full - self.wanted, self.wanted)
        jacobian = np.where(dense[..., None], -self.jacobian, self.jacobian)
        n, full = found[:, 0], self.full[:, 0]
        with np.errstate(all="ignore"):
            odds = np.log(n / (full - n)) - np.log(wanted[:, 0] / (full - wanted[:, 0]))
            residual = [odds]
            rows = [jacobian[:, 0] * (full / (n * (full - n)))[:, None]]
            if found.shape[1] == 2:
                mean = found[:, 1] / n
                residual.append(mean - wanted[:, 1] / wanted[:, 0])
                rows.append((jacobian[:, 1] - mean[:, None] * jacobian[:, 0]) / n[:, None])
            return _solve(np.stack(rows, axis=1), -np.stack(residual, axis=1))


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve 1 x 1 or 2 x 2 systems per cell; returns (cells, 2), NaN where singular."""
    step = np.zeros((len(right), 2))
    with np.errstate(all="ignore"):
        if right.shape[1] == 1:
            step[:, 0] = right[:, 0] / matrix[:, 0, 0]
            return step
        (a, b), (c, d) = np.moveaxis(matrix, 0, -1)
        determinant = a * d - b * c
        step[:, 0] = (d * right[:, 0] - b * right[:, 1]) / determinant
        step[:, 1] = (a * right[:, 1] - c * right[:, 0]) / determinant
    return step
