r"""Lattice Weyl transform between matrix symbols S(x, k) and dense operators on a ring (or torus) of sites.

An operator has elements between orbital o at site R and orbital o' at site R'.  With the integer
separation ``s = R - R'`` taken in ``|s| < L/2`` the element sits at the midpoint
``X = R' + s/2 + (tau_o + tau_o')/2``, and (``docs/theory.md``, section 2)

    S_oo'(X, k) = exp(-i k.(tau_o - tau_o')) sum_s M_{R'+s,o; R',o'} exp(-i k.s).

Midpoints fall on integer (even s) and half-integer (odd s) sites, shifted by the orbital positions; the
symbol is evaluated exactly there, or Fourier-interpolated if it is given on a grid, never rounded.  On a
ring with even L the bonds of length ``|s| = L/2`` have two midpoints and no unique symbol: they are
dropped in both directions.

Operators are *site-major*: row ``R * n_orbitals + o``, the sites of a torus in C order.  No magnetic field
yet: its Peierls phase ``exp(-i A(X).s)`` is a factor on the bonds of ``_bond_ends``, the one place that both
directions pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import prod

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
IntArray = NDArray[np.int64]

#: (x, k) -> (...) or (..., n, n); x and k of shape (d, ...), reduced coordinates.
SymbolFunction = Callable[[FloatArray, FloatArray], NDArray]
#: (position points per axis, momentum points per axis) -> values (*x, *k) or (*x, *k, n, n).
_Sampler = Callable[[Sequence[FloatArray], Sequence[FloatArray]], NDArray]

#: Fewest momentum points a symbol is sampled on, so that harmonics beyond a small ring are cut, not aliased.
_FEWEST_MOMENTA = 32
#: Values of a symbol held in memory at once (16 MB per complex matrix element of it).
_CHUNK_POINTS = 1 << 20


def symbol_to_operator(
    symbol: SymbolFunction | NDArray,
    n_sites: int | Sequence[int],
    orbital_positions: FloatArray,
    grid: PhaseSpaceGrid | None = None,
) -> ComplexArray:
    """Operator of a Weyl symbol on a ring of ``n_sites`` (per direction).

    Parameters
    ----------
    symbol : callable (x, k) -> (...) or (..., n, n), or array (*x, *k) or (*x, *k, n, n)
        Position convention, periodic over ``n_sites`` in x.  Without the last two axes: a scalar symbol,
        which stands for itself times the identity.
    n_sites : int or tuple of int, length d
    orbital_positions : array (n, d), lattice vectors
        tau_o inside the cell; zero rows for a plain lattice.
    grid : PhaseSpaceGrid, optional
        Where the values are given if ``symbol`` is an array; they are Fourier-interpolated.

    Returns
    -------
    array (sites * n, sites * n), complex
        Site-major.  Hermitian if the symbol is.

    Raises
    ------
    CaseError
        If shapes or dimensions do not fit together.
    """
    tau = np.asarray(orbital_positions, dtype=float)
    sites = site_numbers(n_sites, tau)
    sample, scalar, n_k = _sampler(symbol, sites, tau, grid)
    momenta = [2 * np.pi * np.arange(n) / n for n in n_k]
    blocks = np.zeros((prod(sites), len(tau), prod(sites), len(tau)), dtype=complex)
    for offset, pairs in _pairs_by_midpoint(tau, diagonal=scalar).items():
        for parity in product((0, 1), repeat=len(sites)):
            for first in _chunks(sites, n_k):
                cells = [first, *(np.arange(n) for n in sites[1:])]
                points = [
                    np.asarray(m + p / 2 + o, dtype=np.float64)
                    for m, p, o in zip(cells, parity, offset, strict=True)
                ]
                values = sample(points, momenta)
                _fill_bonds(blocks, values, cells, sites, parity, pairs, momenta, tau)
    return blocks.reshape(prod(sites) * len(tau), -1)


def operator_to_symbol(
    operator: NDArray, grid: PhaseSpaceGrid, orbital_positions: FloatArray, trace: bool = False
) -> ComplexArray:
    """Weyl symbol of an operator, at the points of ``grid``.

    Parameters
    ----------
    operator : array (sites * n, sites * n)
        Site-major, on the ring whose numbers of sites are ``grid.lengths``.
    grid : PhaseSpaceGrid
        Any numbers of points: the trigonometric polynomial is evaluated at them.
    orbital_positions : array (n, d), lattice vectors
    trace : bool
        Only the trace over orbitals, the phase-space density ``f = tr F`` (n times cheaper).

    Returns
    -------
    array (*x, *k, n, n) in the position convention, or (*x, *k) if ``trace``
        Hermitian (real) up to rounding if the operator is Hermitian.

    Notes
    -----
    ``grid.integrate`` of the trace equals the trace of the operator if ``grid`` resolves the symbol.
    """
    tau = np.asarray(orbital_positions, dtype=float)
    blocks, sites = _site_blocks(operator, grid, tau)
    weights = [
        lambda points, x=x, n=n: interpolation_matrix(points, n, x)
        for x, n in zip(grid.axis_points[: len(sites)], sites, strict=True)
    ]
    momenta = grid.axis_points[len(sites) :]
    n_orbitals = len(tau)
    if trace:
        return sum(
            (_symbol_element(blocks, o, o, sites, tau, weights, momenta) for o in range(n_orbitals)),
            start=np.zeros(grid.shape, dtype=complex),
        )
    symbol = np.empty((*grid.shape, n_orbitals, n_orbitals), dtype=complex)
    for o, p in product(range(n_orbitals), repeat=2):
        symbol[..., o, p] = _symbol_element(blocks, o, p, sites, tau, weights, momenta)
    return symbol


def position_density(operator: NDArray, grid: PhaseSpaceGrid, orbital_positions: FloatArray) -> FloatArray:
    """Density ``n(x) = int dk/(2 pi)^d f(x, k)`` of a Hermitian operator at the position points (*x)."""
    tau = np.asarray(orbital_positions, dtype=float)
    blocks, sites = _site_blocks(operator, grid, tau)
    occupation = np.einsum("roro->or", blocks).real
    density = np.zeros(grid.n_x)
    for n_o, offset in zip(occupation, tau, strict=True):
        matrices = [
            interpolation_matrix(np.arange(n) + shift, n, x)
            for x, n, shift in zip(grid.axis_points[: len(sites)], sites, offset, strict=True)
        ]
        density += _along_axes(n_o.reshape(sites), matrices)
    return density


def momentum_distribution(
    operator: NDArray, grid: PhaseSpaceGrid, orbital_positions: FloatArray
) -> FloatArray:
    """Distribution ``n(k) = int dx f(x, k)`` of a Hermitian operator at the momentum points (*k)."""
    tau = np.asarray(orbital_positions, dtype=float)
    blocks, sites = _site_blocks(operator, grid, tau)
    total = [lambda points: np.ones((1, len(points)))] * len(sites)
    momenta = grid.axis_points[len(sites) :]
    elements = [_symbol_element(blocks, o, o, sites, tau, total, momenta) for o in range(len(tau))]
    return np.sum(elements, axis=0).real.reshape(grid.n_k)


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


def site_numbers(n_sites: int | Sequence[int], orbital_positions: FloatArray) -> tuple[int, ...]:
    """Sites per direction as a tuple that fits the columns of ``orbital_positions``, or a CaseError."""
    sites = (n_sites,) if isinstance(n_sites, int | np.integer) else tuple(n_sites)
    if any(n != int(n) or n < 3 for n in sites):
        raise CaseError(f"a ring needs a whole number of at least 3 sites per direction, got {sites}")
    if orbital_positions.ndim != 2 or orbital_positions.shape[1] != len(sites):
        raise CaseError(
            f"orbital positions of shape {orbital_positions.shape} do not fit a lattice with {len(sites)} "
            f"directions: expected (n_orbitals, {len(sites)})"
        )
    return tuple(int(n) for n in sites)


def grid_sites(grid: PhaseSpaceGrid) -> tuple[int, ...]:
    """Sites per direction of the ring under a grid: its lengths, if the grid has all position axes."""
    if grid.n_position_axes != grid.n_momentum_axes:
        raise CaseError(
            f"a lattice operator needs a position axis for each of the {grid.n_momentum_axes} momentum axes, "
            f"the grid has {grid.n_position_axes}"
        )
    if any(length != round(length) for length in grid.lengths):
        raise CaseError(
            f"a lattice operator needs lengths that are whole numbers of sites, got {grid.lengths}"
        )
    if grid.cell_flux is not None and np.any(grid.cell_flux):
        raise CaseError(
            "the lattice Weyl transform has no magnetic field yet: set the cell flux of the grid to zero"
        )
    return tuple(round(length) for length in grid.lengths)


def _site_blocks(operator: NDArray, grid: PhaseSpaceGrid, tau: FloatArray) -> tuple[NDArray, tuple[int, ...]]:
    """Operator reshaped to (site, orbital, site, orbital), with the sites per direction."""
    sites = site_numbers(grid_sites(grid), tau)
    size = prod(sites) * len(tau)
    if operator.shape != (size, size):
        raise CaseError(
            f"the operator has shape {operator.shape}, {sites} sites x {len(tau)} orbitals need {size}"
        )
    return operator.reshape(prod(sites), len(tau), prod(sites), len(tau)), sites


def _separations(n_sites: int, parity: int) -> IntArray:
    """All ``|s| < L/2`` of one parity."""
    largest = (n_sites - 1) // 2
    s = np.arange(-largest, largest + 1)
    return s[s % 2 == parity]


def _bond_ends(
    cells: Sequence[IntArray], sites: tuple[int, ...], parity: tuple[int, ...]
) -> tuple[IntArray, IntArray]:
    """Flat sites (R, R') of the bonds with midpoint ``m + parity/2``, both of shape (*m, *s)."""
    d = len(sites)
    rows, columns = np.zeros((1,) * (2 * d), dtype=np.int64), np.zeros((1,) * (2 * d), dtype=np.int64)
    for axis, (m, n, p) in enumerate(zip(cells, sites, parity, strict=True)):
        middle = m.reshape([-1 if i == axis else 1 for i in range(2 * d)])
        s = _separations(n, p).reshape([-1 if i == d + axis else 1 for i in range(2 * d)])
        rows = rows * n + (middle + (p + s) // 2) % n
        columns = columns * n + (middle + (p - s) // 2) % n
    return rows, columns


def _fill_bonds(
    blocks: ComplexArray,
    values: NDArray,
    cells: Sequence[IntArray],
    sites: tuple[int, ...],
    parity: tuple[int, ...],
    pairs: list[tuple[int, int]],
    momenta: Sequence[FloatArray],
    tau: FloatArray,
) -> None:
    """Write the harmonics ``S_s = mean_k S(k) exp(i k s)`` of sampled values into their bonds."""
    d = len(sites)
    rows, columns = _bond_ends(cells, sites, parity)
    axes = tuple(range(d, 2 * d))
    chosen = np.ix_(
        *(range(len(m)) for m in cells), *(_separations(n, p) for n, p in zip(sites, parity, strict=True))
    )
    for o, p in pairs:
        element = values if values.ndim == 2 * d else values[..., o, p]
        harmonics = scipy.fft.ifftn(element * _orbital_phase(momenta, tau[o] - tau[p]), axes=axes)
        blocks[rows, o, columns, p] = harmonics[chosen]


def _symbol_element(
    blocks: NDArray,
    o: int,
    p: int,
    sites: tuple[int, ...],
    tau: FloatArray,
    weights: Sequence[Callable[[FloatArray], FloatArray]],
    momenta: Sequence[FloatArray],
) -> ComplexArray:
    """Symbol element (o, p): ``weights`` map values at midpoints to positions, then the sum over s."""
    offset = (tau[o] + tau[p]) / 2
    cells = [np.arange(n) for n in sites]
    symbol: NDArray = np.zeros((1,) * (2 * len(sites)), dtype=complex)
    for parity in product((0, 1), repeat=len(sites)):
        rows, columns = _bond_ends(cells, sites, parity)
        positions = [w(m + q / 2 + x) for w, m, q, x in zip(weights, cells, parity, offset, strict=True)]
        harmonics = [
            np.exp(-1j * np.outer(k, _separations(n, q)))
            for k, n, q in zip(momenta, sites, parity, strict=True)
        ]
        symbol = symbol + _along_axes(blocks[rows, o, columns, p], [*positions, *harmonics])
    return symbol * _orbital_phase(momenta, tau[o] - tau[p]).conj()


def _along_axes(values: NDArray, matrices: Sequence[NDArray]) -> NDArray:
    """Apply one matrix along each axis."""
    for axis, matrix in enumerate(matrices):
        values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    return values


def _orbital_phase(momenta: Sequence[FloatArray], distance: FloatArray) -> NDArray:
    """``exp(i k.(tau_o - tau_o'))`` on the momentum mesh (*k): takes out the position convention."""
    if not np.any(distance):
        return np.ones((1,) * len(momenta))
    phase = np.zeros((1,) * len(momenta))
    for axis, (k, step) in enumerate(zip(momenta, distance, strict=True)):
        phase = phase + (k * step).reshape([-1 if i == axis else 1 for i in range(len(momenta))])
    return np.exp(1j * phase)


def _pairs_by_midpoint(tau: FloatArray, diagonal: bool) -> dict[tuple[float, ...], list[tuple[int, int]]]:
    """Orbital pairs grouped by their common offset ``(tau_o + tau_o')/2``."""
    groups: dict[tuple[float, ...], list[tuple[int, int]]] = {}
    for o, p in product(range(len(tau)), repeat=2):
        if o == p or not diagonal:
            groups.setdefault(tuple(float(x) for x in (tau[o] + tau[p]) / 2), []).append((o, p))
    return groups


def _chunks(sites: tuple[int, ...], n_k: tuple[int, ...]) -> Iterator[IntArray]:
    """Pieces of the first position axis, so that a sampled symbol stays small in memory."""
    rows = max(1, _CHUNK_POINTS // (prod(sites[1:]) * prod(n_k)))
    for start in range(0, sites[0], rows):
        yield np.arange(start, min(start + rows, sites[0]))


def _sampler(
    symbol: SymbolFunction | NDArray, sites: tuple[int, ...], tau: FloatArray, grid: PhaseSpaceGrid | None
) -> tuple[_Sampler, bool, tuple[int, ...]]:
    """How to sample a symbol on a mesh, whether it is scalar, and on how many momenta per axis."""
    if callable(symbol):
        sample = _function_sampler(symbol, len(sites))
        probe = sample([np.zeros(1)] * len(sites), [np.zeros(1)] * len(sites))
        scalar = _is_scalar(probe.shape, (1,) * (2 * len(sites)), len(tau))
        return sample, scalar, tuple(max(n, _FEWEST_MOMENTA) for n in sites)
    if grid is None:
        raise CaseError("a symbol given as an array needs the grid it is given on")
    if grid_sites(grid) != sites:
        raise CaseError(f"the symbol is given on a grid of {grid_sites(grid)} sites, expected {sites}")
    values = np.asarray(symbol)
    scalar = _is_scalar(values.shape, grid.shape, len(tau))
    n_k = tuple(max(n, m, _FEWEST_MOMENTA) for n, m in zip(sites, grid.n_k, strict=True))
    return _grid_sampler(values, grid, tau, scalar), scalar, n_k


def _is_scalar(shape: tuple[int, ...], mesh: tuple[int, ...], n_orbitals: int) -> bool:
    """Whether values of this shape on a mesh are a scalar symbol (else they must be matrices)."""
    if shape not in (mesh, (*mesh, n_orbitals, n_orbitals)):
        raise CaseError(
            f"a symbol with values of shape {shape} on a mesh {mesh} is neither scalar nor a matrix of "
            f"{n_orbitals} x {n_orbitals} orbitals"
        )
    return shape == mesh


def _function_sampler(function: SymbolFunction, d: int) -> _Sampler:
    """Sample a symbol function; it sees x and k fully broadcast against each other."""

    def sample(positions: Sequence[FloatArray], momenta: Sequence[FloatArray]) -> NDArray:
        mesh = np.broadcast_arrays(*np.meshgrid(*positions, *momenta, indexing="ij", sparse=True))
        values = np.asarray(function(np.stack(mesh[:d]), np.stack(mesh[d:])))
        # A constant or x-only scalar symbol may come back smaller than the mesh.
        return values if values.ndim > 2 * d else np.broadcast_to(values, mesh[0].shape)

    return sample


def _grid_sampler(values: NDArray, grid: PhaseSpaceGrid, tau: FloatArray, scalar: bool) -> _Sampler:
    """Sample a symbol given on a grid by trigonometric interpolation of its k-periodic part."""

    def convention(momenta: Sequence[FloatArray]) -> NDArray:
        if scalar:
            return np.ones(())
        distance = tau[:, None] - tau[None, :]
        pairs = [[_orbital_phase(momenta, step) for step in row] for row in distance]
        full = np.broadcast_shapes(*(phase.shape for row in pairs for phase in row))
        return np.moveaxis(
            np.array([[np.broadcast_to(p, full) for p in row] for row in pairs]), (0, 1), (-2, -1)
        )

    axes = grid.axis_points
    periodic = values * convention(axes[grid.n_position_axes :])

    def sample(positions: Sequence[FloatArray], momenta: Sequence[FloatArray]) -> NDArray:
        matrices = [
            interpolation_matrix(given, period, wanted)
            for given, period, wanted in zip(axes, grid.periods, [*positions, *momenta], strict=True)
        ]
        return _along_axes(periodic, matrices) * convention(momenta).conj()

    return sample
