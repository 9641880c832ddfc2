"""What a user may choose about the kinetic equation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class GeometricTerms:
    """Which parts of the band geometry act.

    Each has a gauge-invariant meaning by itself for H0(k) + U(x, t) without magnetic field.
    """

    berry: bool = True
    orbital_moment: bool = True
    metric: bool = True
    band_normalized_metric: bool = True
    moyal: bool = True

    def switched_off(self) -> list[str]:
        """Names of the terms that do not act."""
        return [name for name, on in vars(self).items() if not on]


@dataclass(frozen=True)
class EquationOptions:
    """How the kinetic equation is set up.

    Parameters
    ----------
    order : int
        0 (bare Boltzmann), 1 (Berry curvature, orbital moment), 2 (metric, Moyal).
    terms : GeometricTerms
    split : bool
        Exact streaming and acceleration plus a rest (for composition schemes), or one flow.
    dealias : {"none", "two_thirds", "smooth"}
        Filter on the Fourier modes of products, see ``equation.dealiasing_factor``.
    moyal_filter : {"none", "bounded"}
        "bounded" limits the third-derivative term, mode by mode, to the rate of the first derivatives; the
        change is of fourth order in gradients.
    moyal_series : {"third_derivative", "all_orders"}
        "all_orders" keeps the whole Moyal product in the exact flows of a split equation; the change is of
        fourth order in gradients, and nothing is left out for a single band H0(k) + U(x).
    remainder : {"spectral", "stencil"}
        Derivatives of what the exact flows of a split equation leave over: spectral, or central differences
        of order 8 (compiled engine only).
    engine : {"auto", "compiled", "numpy"}
        "auto" steps a split equation in compiled blocks where it can, "numpy" never does.
    minimum_gap : float, energy
    difference_step : float, time
        For time derivatives of a driven Hamiltonian; short against the drive.
    refresh_interval, refresh_tolerance : float
        Longest interval of time on which the coefficients of a driven general H(x, k, t) are interpolated,
        and the accuracy asked for, see ``time_table``.
    scramble : int, optional
        Seed of random eigenvector phases, for the gauge certificate.
    """

    order: int = 2
    terms: GeometricTerms = field(default_factory=GeometricTerms)
    split: bool = False
    dealias: Literal["none", "two_thirds", "smooth"] = "none"
    moyal_filter: Literal["none", "bounded"] = "none"
    moyal_series: Literal["third_derivative", "all_orders"] = "third_derivative"
    remainder: Literal["spectral", "stencil"] = "spectral"
    engine: Literal["auto", "compiled", "numpy"] = "auto"
    minimum_gap: float = 1e-6
    difference_step: float = 1e-3
    refresh_interval: float = 1.0
    refresh_tolerance: float = 1e-6
    scramble: int | None = None

    @property
    def third_derivative(self) -> bool:
        """Whether the Moyal term acts (it is of second order)."""
        return self.order == 2 and self.terms.moyal
