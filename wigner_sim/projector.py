"""Moyal projector of a band or group of bands, order by order in gradients, free of eigenvector phases.

Source: docs/theory.md section 3; Park, Huang, Savary, Balents, arXiv:2504.10447.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim.errors import BandTouchingError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.symbols import Array, FloatArray, Symbol, adjoint, multiply, star_product_at, star_term

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class LocalBands:
    """Eigen-decomposition of the matrix H at every grid point.

    Parameters
    ----------
    energies : array (n, *x, *k)
        Ascending at each point.
    vectors : array (n, n, *x, *k)
        Columns are eigenvectors; their phases are arbitrary and never used.
    """

    energies: FloatArray
    vectors: Array

    @classmethod
    def of(cls, hamiltonian: Array, scramble: int | None = None) -> LocalBands:
        """Diagonalise a Hermitian matrix symbol ``(n, n, *x, *k)`` at every point.

        With a seed ``scramble``, eigenvectors get random phases, and random unitaries where degenerate; no
        result may change by it.
        """
        energies, vectors = np.linalg.eigh(np.moveaxis(hamiltonian, (0, 1), (-2, -1)))
        if scramble is not None:
            vectors = vectors @ _random_gauge(energies, np.random.default_rng(scramble))
        return cls(np.moveaxis(energies, -1, 0), np.ascontiguousarray(np.moveaxis(vectors, (-2, -1), (0, 1))))

    @property
    def identity(self) -> FloatArray:
        """Unit matrix, shape (n, n, 1, ...)."""
        n, n_grid = self.energies.shape[0], self.energies.ndim - 1
        return np.eye(n).reshape(n, n, *(1,) * n_grid)

    def projector(self, bands: range) -> Array:
        """Local eigenprojector P on a group of bands."""
        chosen = self.vectors[:, bands.start : bands.stop]
        return np.einsum("ib...,jb...->ij...", chosen, chosen.conj())

    def divide_by_gap(self, operator: Array, bands: range) -> Array:
        """Elements ``<i|C|j>/(E_i - E_j)`` between the group and the rest; zero within each of them."""
        n, n_grid = self.energies.shape[0], self.energies.ndim - 1
        inside = np.array([band in bands for band in range(n)])
        mixed = (inside[:, None] != inside[None, :]).reshape(n, n, *(1,) * n_grid)
        gaps = self.energies[:, None] - self.energies[None, :]
        weights = np.where(mixed, 1.0 / np.where(mixed, gaps, 1.0), 0.0)
        in_eigenbasis = multiply(multiply(adjoint(self.vectors), operator, n_grid), self.vectors, n_grid)
        return multiply(
            multiply(self.vectors, weights * in_eigenbasis, n_grid), adjoint(self.vectors), n_grid
        )


def _random_gauge(energies: FloatArray, rng: np.random.Generator) -> Array:
    """Random unitaries (..., n, n) that only mix states of equal energy."""
    n = energies.shape[-1]
    noise = rng.normal(size=(*energies.shape, n)) + 1j * rng.normal(size=(*energies.shape, n))
    equal = np.abs(energies[..., :, None] - energies[..., None, :]) < 1e-10 * (1 + np.abs(energies).max())
    unitary, _ = np.linalg.qr(np.where(equal, noise, 0.0))
    return unitary


def gap_to_other_bands(energies: FloatArray, bands: range) -> FloatArray:
    """Smallest energy distance of a group of bands to the others at each point, shape (*x, *k)."""
    gaps = []
    if bands.start > 0:
        gaps.append(energies[bands.start] - energies[bands.start - 1])
    if bands.stop < energies.shape[0]:
        gaps.append(energies[bands.stop] - energies[bands.stop - 1])
    return np.minimum.reduce(gaps) if gaps else np.full(energies.shape[1:], np.inf)


def check_gap(grid: PhaseSpaceGrid, energies: FloatArray, bands: range, minimum_gap: float) -> None:
    """Refuse a group of bands that comes too close to the others.

    Raises
    ------
    BandTouchingError
        With the size and place of the smallest gap, if it is below ``minimum_gap``.
    """
    gap = gap_to_other_bands(energies, bands)
    smallest = float(gap.min())
    if smallest >= minimum_gap:
        return
    index = np.unravel_index(int(gap.argmin()), gap.shape)
    point = tuple(float(points[i]) for points, i in zip(grid.axis_points, index, strict=True))
    s = grid.n_position_axes
    where = ", ".join(f"{name} = {value:.4g}" for name, value in zip(grid.dims, point, strict=True))
    label = f"band {bands.start}" if len(bands) == 1 else f"bands {bands.start} to {bands.stop - 1}"
    raise BandTouchingError(
        f"the gap between {label} and the other bands falls to {smallest:.3g} at {where}, below the smallest "
        f"allowed gap {minimum_gap:g}: the gradient expansion needs a gapped band (choose another band or "
        f"group, change the model, or lower hamiltonian.minimum_gap)",
        smallest,
        point[:s],
        point[s:],
    )


def moyal_projector(
    hamiltonian: Symbol,
    local_bands: LocalBands,
    bands: range,
    order: int,
    time_derivatives: Sequence[Any] = (),
    known: Sequence[Symbol] = (),
) -> list[Symbol]:
    r"""Projector symbol ``pi = P + pi_1 + ...`` with ``pi * pi = pi`` and ``[H, pi]_* = i d_t pi``.

    Order m follows from the lower ones: with ``G_m = [pi * pi]_m`` of the known terms the
    block-diagonal part is ``-P G_m P + Q G_m Q``; with ``C_m = [H, pi]_*`` at order m (that part
    included) less ``i d_t pi_{m-1}`` the off-diagonal part is ``-<i|C_m|j>/(E_i - E_j)``.

    Parameters
    ----------
    hamiltonian : Symbol (n, n, *x, *k), energy
    local_bands : LocalBands
        Of the same matrix.
    bands : range
        The group; separated by a gap from all other bands at every point (see :func:`check_gap`).
    order : int
        Highest order kept (any).
    time_derivatives : sequence of arrays
        ``d_t pi_0, d_t pi_1, ...`` up to order - 1; empty for a static Hamiltonian.
    known : sequence of Symbol
        Lowest orders, where they are known already.

    Returns
    -------
    list of Symbol, length order + 1
        Hermitian at each order, independent of eigenvector phases.

    Notes
    -----
    docs/theory.md section 3.
    """
    space = hamiltonian.space
    n_grid = space.grid.n_axes
    pi = list(known) or [space.symbol(local_bands.projector(bands))]
    p = pi[0].values
    q = local_bands.identity - p

    def product(*factors: Array) -> Array:
        result = factors[0]
        for factor in factors[1:]:
            result = multiply(result, factor, n_grid)
        return result

    for m in range(len(pi), order + 1):
        g = star_product_at(pi, pi, m)
        diagonal = product(q, g, q) - product(p, g, p)
        so_far = [*pi, space.symbol(diagonal)]
        one_side = star_product_at([hamiltonian], so_far, m)
        commutator = one_side - adjoint(one_side)  # (A * B)^+ = B * A for Hermitian A and B
        if time_derivatives:
            commutator = commutator - 1j * time_derivatives[m - 1]
        pi_m = diagonal - local_bands.divide_by_gap(commutator, bands)
        pi.append(space.symbol(0.5 * (pi_m + adjoint(pi_m))))
    return pi


def projector_residuals(hamiltonian: Symbol, pi: Sequence[Symbol]) -> tuple[float, float]:
    """Largest elements of ``pi * pi - pi`` and ``[H, pi]_*`` of a static projector, all star orders included.

    Both fall as eps^(order + 1) when the gradients are made weaker.
    """
    order = len(pi) - 1
    full = pi[0].space.symbol(sum((p.values for p in pi[1:]), start=pi[0].values))
    orders = range(2 * order + 3)
    idempotency = sum(star_term(full, full, n) for n in orders) - full.values
    commutator = sum(star_term(hamiltonian, full, n) - star_term(full, hamiltonian, n) for n in orders)
    return float(np.abs(idempotency).max()), float(np.abs(commutator).max())
