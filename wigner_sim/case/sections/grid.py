"""The section ``[grid]``."""

from __future__ import annotations

from pydantic import model_validator

from wigner_sim.case.fields import Counts, Numbers, PointCounts, inconsistent, key
from wigner_sim.case.sections.base import Section


def fft_friendly(minimum: int) -> int:
    """Smallest even number >= ``minimum`` with no prime factor above 7."""
    number = max(2, minimum + minimum % 2)
    while True:
        rest = number
        for factor in (2, 3, 5, 7):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return number
        number += 2


class GridSection(Section):
    """The phase-space grid."""

    sites: Counts = key(
        ...,
        "Period of each position axis in lattice constants; an empty list means a homogeneous state.",
        "a list of up to three positive integers",
        unit="sites",
    )
    n_x: PointCounts | None = key(
        None,
        "Grid points along each position axis.",
        "a list of integers >= 4, one per position axis",
        "sites, rounded up to an even number with small prime factors, at least 32",
    )
    n_k: PointCounts | None = key(
        None,
        "Grid points along each momentum axis; the number of entries is the dimension d of the crystal.",
        "a list of one to three integers >= 4, one per momentum axis",
        "64 for each position axis",
    )
    magnetic_field: float | Numbers = key(
        0.0,
        "Magnetic flux per cell (hbar = e = 1): a number in two dimensions, three components in three.",
        "a number, or a list of three numbers in three dimensions",
        unit="magnetic_field",
    )

    @model_validator(mode="after")
    def _check_axes(self) -> GridSection:
        self._complete(
            n_x=tuple(fft_friendly(max(32, n)) for n in self.sites), n_k=(64,) * max(1, len(self.sites))
        )
        n_x, n_k = self.n_x or (), self.n_k or ()
        if len(n_x) != len(self.sites):
            problem = f"expected as many entries as sites has ({len(self.sites)}), got {len(n_x)}"
            raise inconsistent("grid", "n_x", problem)
        if len(n_k) < max(1, len(self.sites)):
            problem = (
                f"expected one entry per momentum axis, at least {max(1, len(self.sites))}, got {len(n_k)}"
            )
            raise inconsistent("grid", "n_k", problem)
        self._check_field(len(n_k))
        return self

    def _check_field(self, d: int) -> None:
        field = self.magnetic_field
        if d == 1 and field != 0.0:
            raise inconsistent("grid", "magnetic_field", "expected 0 in one dimension")
        if d == 2 and not isinstance(field, float):
            raise inconsistent("grid", "magnetic_field", "expected one number in two dimensions")
        if d == 3 and isinstance(field, float) and field != 0.0:
            raise inconsistent("grid", "magnetic_field", "expected three components in three dimensions")
        if not isinstance(field, float) and len(field) != 3:
            raise inconsistent("grid", "magnetic_field", f"expected three components, got {len(field)}")
