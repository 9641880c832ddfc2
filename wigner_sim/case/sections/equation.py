"""The section ``[equation]``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wigner_sim.case.fields import Order, key
from wigner_sim.case.sections.base import ON_OFF, Section


class TermsSection(Section):
    """Switches for terms of the kinetic equation, for studies of what each one does."""

    berry: bool = key(True, "Berry curvature (anomalous velocity).", ON_OFF)
    orbital_moment: bool = key(True, "Orbital magnetic moment in the band energy.", ON_OFF)
    metric: bool = key(True, "Quantum metric.", ON_OFF)
    band_normalized_metric: bool = key(True, "Band-normalized quantum metric.", ON_OFF)
    moyal: bool = key(True, "Third-derivative (Moyal) term.", ON_OFF)


class EquationSection(Section):
    """The equation that is stepped."""

    method: Literal["kinetic", "matrix"] = key(
        "kinetic",
        "The kinetic equation of each band, or the full matrix Wigner equation of all bands together (no "
        "expansion; H0(k, t) + M(x, t) without magnetic field), whose state is shown band by band.",
        '"kinetic" or "matrix"',
    )
    order: Order = key(
        2, "Order in gradients; of the matrix equation, that of the projection on bands.", "0, 1 or 2"
    )
    terms: TermsSection = Field(default_factory=TermsSection, description="Switches of single terms.")
    dealias: Literal["none", "two_thirds", "smooth"] = key(
        "none", "Filter against aliasing of products.", '"none", "two_thirds" or "smooth"'
    )
    moyal_filter: Literal["none", "bounded"] = key(
        "none",
        "Limit the third-derivative term, mode by mode, to the rate of the first derivatives; the change is "
        "of fourth order in gradients, and an explicit step is no longer bound by third derivatives.",
        '"none" or "bounded"',
    )
    moyal_series: Literal["third_derivative", "all_orders"] = key(
        "third_derivative",
        "Orders of the Moyal product kept in the exact flows of a splitting stepper, for H0(k) + U(x, t).",
        '"third_derivative" or "all_orders"',
    )
    remainder: Literal["spectral", "stencil"] = key(
        "spectral",
        "Derivatives of what a splitting stepper's exact flows leave over of H0(k) + U(x, t): spectral, or "
        "central differences of order 8, which are faster and need a well resolved band geometry.",
        '"spectral" or "stencil"',
    )
