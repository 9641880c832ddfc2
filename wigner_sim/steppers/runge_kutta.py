"""Explicit Runge-Kutta schemes, each given by its table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wigner_sim.steppers.protocol import Equation


@dataclass(frozen=True)
class ButcherTableau:
    """Coefficients ``u_i = u + dt sum_j a_ij k_j``, ``u' = u + dt sum_i b_i k_i``.

    Raises
    ------
    ValueError
        If row sums differ from c, or the weights do not sum to one.
    """

    order: int
    imaginary_stability: float
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]

    def __post_init__(self) -> None:
        rows = ((), *self.a)
        if len(rows) != len(self.c) or not np.allclose([sum(row) for row in rows], self.c):
            raise ValueError("row sums of a must equal c")
        if not np.isclose(sum(self.b), 1.0):
            raise ValueError("weights must sum to one")


#: The classical scheme, order 4; Kutta 1901; Hairer, Norsett, Wanner I, table II.1.2.
RK4 = ButcherTableau(
    order=4,
    imaginary_stability=2.8284,
    a=((1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)),
    b=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
    c=(0.0, 1 / 2, 1 / 2, 1.0),
)


@dataclass(frozen=True)
class ExplicitRungeKutta:
    """One step of an explicit scheme, ``k_i = rhs(u_i, t + c_i dt)``."""

    name: str
    tableau: ButcherTableau

    @property
    def order(self) -> int:
        """Order of the table."""
        return self.tableau.order

    @property
    def stability_limit(self) -> float:
        """Extent of the stability region along the imaginary axis."""
        return self.tableau.imaginary_stability

    def step(self, equation: Equation, u: NDArray, t: float, dt: float) -> NDArray:
        """State at ``t + dt``."""
        slopes: list[NDArray | None] = []
        total: NDArray | float = 0.0
        rows = ((), *self.tableau.a)
        for number, (row, c) in enumerate(zip(rows, self.tableau.c, strict=True)):
            stage = u
            for weight, slope in zip(row, slopes, strict=True):
                if weight:
                    assert slope is not None
                    stage = stage + (dt * weight) * slope
            for j in range(number):  # what no later stage needs makes room
                if not any(later[j] for later in rows[number + 1 :]):
                    slopes[j] = None
            slope = equation.rhs(stage, t + c * dt)
            del stage
            if self.tableau.b[number]:
                total = total + self.tableau.b[number] * slope
            slopes.append(slope)
        return u + dt * total
