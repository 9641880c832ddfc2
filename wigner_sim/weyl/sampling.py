"""Symbols on the points that a lattice operator needs: functions, and arrays by Fourier interpolation.

Everything that leaves this module is in the cell-periodic convention: matrix elements are multiplied by
``exp(i k.(tau_o - tau_o'))``, so that their harmonics are whole lattice vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.weyl.lattice import SiteLattice, grid_lattice

FloatArray = NDArray[np.float64]

#: (x, k) -> (...) or (..., n, n); x of shape (s, ...), k of shape (d, ...), reduced coordinates.
SymbolFunction = Callable[[FloatArray, FloatArray], NDArray]

#: Fewest momentum points a symbol is sampled on, so that harmonics beyond a small ring are cut, not aliased.
_FEWEST_MOMENTA = 32


@dataclass(frozen=True)
class SymbolSampler:
    """A symbol (of one fibre) that can be evaluated on any mesh of kept positions and momenta.

    Parameters
    ----------
    sample : callable (points per position axis, points per momentum axis) -> array (*x, *k) or (*x, *k, n, n)
    scalar : bool
        Whether values are numbers (times the identity) rather than matrices.
    n_k : tuple of int, length s
        Momentum points that resolve it.
    """

    sample: Callable[[Sequence[FloatArray], Sequence[FloatArray]], NDArray]
    scalar: bool
    n_k: tuple[int, ...]


def symbol_sampler(
    symbol: SymbolFunction | NDArray,
    lattice: SiteLattice,
    canonical_momentum: Sequence[float] = (),
    grid: PhaseSpaceGrid | None = None,
) -> SymbolSampler:
    """Sampler of a function, or of values on ``grid``, at one canonical momentum of the missing axes."""
    if callable(symbol):
        return _function_sampler(symbol, lattice, canonical_momentum)
    if grid is None:
        raise CaseError("a symbol given as an array needs the grid it is given on")
    given = grid_lattice(grid, lattice.orbital_positions).sites
    if given != lattice.sites:
        raise CaseError(f"the symbol is given on a grid of {given} sites, expected {lattice.sites}")
    values = np.asarray(symbol)
    scalar = _is_scalar(values.shape, grid.shape, lattice.n_orbitals)
    axes = grid.axis_points
    if not scalar:
        momenta = _open_mesh(axes, grid.n_axes)[grid.n_position_axes :]
        values = values * cell_convention(momenta, lattice.orbital_positions)
    if lattice.n_missing:
        axes, values = _on_fibre(values, grid, lattice, canonical_momentum)
    return mesh_sampler(values, axes[: 2 * lattice.n_kept], lattice, scalar)


def mesh_sampler(
    values: NDArray, axes: Sequence[FloatArray], lattice: SiteLattice, scalar: bool
) -> SymbolSampler:
    """Sampler of a fibre's cell-periodic values on a mesh (*x, *k_kept), by trigonometric interpolation."""
    periods = [*map(float, lattice.sites), *(2 * np.pi for _ in lattice.sites)]

    def sample(positions: Sequence[FloatArray], momenta: Sequence[FloatArray]) -> NDArray:
        matrices = [
            interpolation_matrix(given, period, wanted)
            for given, period, wanted in zip(axes, periods, [*positions, *momenta], strict=True)
        ]
        return along_axes(values, matrices)

    given = [len(points) for points in axes[lattice.n_kept :]]
    n_k = tuple(max(n, m, _FEWEST_MOMENTA) for n, m in zip(lattice.sites, given, strict=True))
    return SymbolSampler(sample, scalar, n_k)


def fibre_function(
    symbol: SymbolFunction, lattice: SiteLattice, canonical_momentum: Sequence[float]
) -> SymbolFunction:
    """Symbol ``S(x, k_kept, p + F x)`` as a function of x and the kept momenta, cell-periodic if a matrix."""

    def function(x: FloatArray, k: FloatArray) -> NDArray:
        shape = np.broadcast_shapes(x.shape[1:], k.shape[1:])
        shifts = lattice.momentum_shift(list(x))
        missing = [p + shift for p, shift in zip(canonical_momentum, shifts, strict=True)]
        full = np.stack([np.broadcast_to(component, shape) for component in (*k, *missing)])
        values = np.asarray(symbol(np.broadcast_to(x, (len(x), *shape)), full))
        # A constant or x-only scalar symbol may come back smaller than the mesh.
        if values.ndim <= len(shape):
            return np.broadcast_to(values, shape)
        return values * cell_convention(list(full), lattice.orbital_positions)

    return function


def interpolation_matrix(given: FloatArray, period: float, wanted: FloatArray) -> FloatArray:
    """Trigonometric interpolation from equispaced points ``given`` to ``wanted``, shape (wanted, given).

    The Dirichlet kernel; for an even number of points the highest harmonic is the symmetric cosine, so
    that real data stay real.
    """
    n = len(given)
    u = (np.asarray(wanted)[:, None] - np.asarray(given)[None, :]) * (n / period)
    u -= n * np.round(u / n)
    kernel = np.sinc(u) / np.sinc(u / n)
    return kernel if n % 2 else kernel * np.cos(np.pi * u / n)


def shifted_interpolation(
    given: FloatArray, wanted: FloatArray, shifts: FloatArray, period: float = 2 * np.pi
) -> FloatArray:
    """Interpolation to ``wanted + shift`` for each shift, shape (shifts, wanted, given)."""
    points = (wanted[None, :] + shifts[:, None]).ravel()
    return interpolation_matrix(given, period, points).reshape(len(shifts), len(wanted), len(given))


def along_axes(values: NDArray, matrices: Sequence[NDArray]) -> NDArray:
    """Apply one matrix along each of the leading axes."""
    for axis, matrix in enumerate(matrices):
        values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    return values


def _is_scalar(shape: tuple[int, ...], mesh: tuple[int, ...], n_orbitals: int) -> bool:
    """Whether values of this shape on a mesh are a scalar symbol (else they must be matrices)."""
    if shape not in (mesh, (*mesh, n_orbitals, n_orbitals)):
        raise CaseError(
            f"a symbol with values of shape {shape} on a mesh {mesh} is neither scalar nor a matrix of "
            f"{n_orbitals} x {n_orbitals} orbitals"
        )
    return shape == mesh


def _open_mesh(points: Sequence[FloatArray], n_axes: int) -> list[FloatArray]:
    """Coordinates shaped for broadcasting against each other."""
    return [
        np.asarray(p, dtype=float).reshape([-1 if i == axis else 1 for i in range(n_axes)])
        for axis, p in enumerate(points)
    ]


def cell_convention(momenta: Sequence[FloatArray], orbital_positions: FloatArray) -> NDArray:
    """``exp(i k.(tau_o - tau_o'))`` at broadcastable momenta, shape (..., n, n)."""
    if not np.any(orbital_positions - orbital_positions[0]):
        return np.ones((1, 1))
    angles = [sum(k * t for k, t in zip(momenta, tau, strict=True)) for tau in orbital_positions]
    waves = np.exp(1j * np.stack(np.broadcast_arrays(*angles), axis=-1))
    return waves[..., :, None] * waves[..., None, :].conj()


def _function_sampler(
    symbol: SymbolFunction, lattice: SiteLattice, canonical_momentum: Sequence[float]
) -> SymbolSampler:
    """Sample a symbol function; it sees x and k fully broadcast against each other."""
    s = lattice.n_kept
    function = fibre_function(symbol, lattice, canonical_momentum)

    def sample(positions: Sequence[FloatArray], momenta: Sequence[FloatArray]) -> NDArray:
        shape = tuple(len(p) for p in (*positions, *momenta))
        mesh = np.empty((2 * s, *shape))
        for axis, coordinate in enumerate(_open_mesh([*positions, *momenta], 2 * s)):
            mesh[axis] = coordinate
        return function(mesh[:s], mesh[s:])

    probe = sample([np.zeros(1)] * s, [np.zeros(1)] * s)
    scalar = _is_scalar(probe.shape, (1,) * (2 * s), lattice.n_orbitals)
    return SymbolSampler(sample, scalar, tuple(max(n, _FEWEST_MOMENTA) for n in lattice.sites))


def _on_fibre(
    values: NDArray, grid: PhaseSpaceGrid, lattice: SiteLattice, canonical_momentum: Sequence[float]
) -> tuple[tuple[FloatArray, ...], NDArray]:
    """Values ``S(x, k_kept, p + F x)`` and their points, from values on the grid of all momenta.

    The shift adds harmonics in x: with a field the fibre is sampled on at least two points per site.
    """
    s = lattice.n_kept
    points = list(grid.axis_points)
    if np.any(lattice.cell_flux[:s, s:]):
        for axis, n in enumerate(lattice.sites):
            fine = np.linspace(0.0, n, max(grid.n_x[axis], 2 * n), endpoint=False)
            matrix = interpolation_matrix(points[axis], n, fine)
            values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
            points[axis] = fine
    mesh = np.meshgrid(*points[:s], indexing="ij")
    n_x = tuple(len(x) for x in points[:s])
    rest = values.shape[2 * s :]
    values = values.reshape(int(np.prod(n_x)), int(np.prod(values.shape[s : 2 * s])), *rest)
    for shift, p, given in zip(
        lattice.momentum_shift(mesh), canonical_momentum, points[2 * s :], strict=True
    ):
        weights = shifted_interpolation(given, np.array([float(p)]), np.ravel(shift))[:, 0]
        values = np.einsum("mp,mkp...->mk...", weights, values)
    return tuple(points[: 2 * s]), values.reshape(*n_x, *grid.n_k[:s], *rest[lattice.n_missing :])
