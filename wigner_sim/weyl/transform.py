"""From symbols to operators and back, and the marginals of an operator in phase space."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import prod

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.weyl.lattice import SiteLattice, canonical_momenta, grid_lattice, site_lattice
from wigner_sim.weyl.sampling import (
    SymbolFunction,
    SymbolSampler,
    along_axes,
    interpolation_matrix,
    shifted_interpolation,
    symbol_sampler,
)

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
IntArray = NDArray[np.int64]

#: Values of a symbol held in memory at once (16 MB per complex matrix element of it).
_CHUNK_POINTS = 1 << 20


def symbol_to_operator(
    symbol: SymbolFunction | NDArray,
    n_sites: int | Sequence[int],
    orbital_positions: FloatArray,
    grid: PhaseSpaceGrid | None = None,
    cell_flux: ArrayLike | None = None,
    canonical_momentum: Sequence[float] = (),
) -> ComplexArray:
    """Operator of a Weyl symbol on a ring of ``n_sites`` (per direction).

    Parameters
    ----------
    symbol : callable (x, k) -> (...) or (..., n, n), or array (*x, *k) or (*x, *k, n, n)
        Position convention, periodic over ``n_sites`` in x.  Without the last two axes: a scalar symbol,
        which stands for itself times the identity.
    n_sites : int or tuple of int, length s
    orbital_positions : array (n, d), lattice vectors
        tau_o inside the cell; zero rows for a plain lattice.
    grid : PhaseSpaceGrid, optional
        Where the values are given if ``symbol`` is an array; they are Fourier-interpolated.
    cell_flux : array (d, d), optional
        Magnetic flux per cell, see :class:`~wigner_sim.grid.PhaseSpaceGrid`.
    canonical_momentum : sequence of float, length d - s
        Label p of the fibre if position axes are missing.

    Returns
    -------
    array (sites * n, sites * n), complex
        Site-major.  Hermitian if the symbol is.

    Raises
    ------
    CaseError
        If shapes or dimensions do not fit together, or the flux does not close on the sites.
    """
    lattice = site_lattice(n_sites, orbital_positions, cell_flux, len(canonical_momentum))
    return sampled_operator(symbol_sampler(symbol, lattice, canonical_momentum, grid), lattice)


def sampled_operator(sampler: SymbolSampler, lattice: SiteLattice) -> ComplexArray:
    """Operator (sites * n, sites * n) of a fibre from what samples its symbol."""
    sites, tau = lattice.sites, lattice.orbital_positions
    momenta = [2 * np.pi * np.arange(n) / n for n in sampler.n_k]
    blocks = np.zeros((prod(sites), len(tau), prod(sites), len(tau)), dtype=complex)
    for offset, pairs in pairs_by_midpoint(tau, diagonal=sampler.scalar).items():
        for parity in product((0, 1), repeat=len(sites)):
            for cells in _chunks(sites, sampler.n_k):
                points = [
                    np.asarray(m + p / 2 + o, dtype=np.float64)
                    for m, p, o in zip(cells, parity, offset, strict=False)
                ]
                _fill_bonds(blocks, sampler.sample(points, momenta), cells, parity, pairs, lattice)
    return blocks.reshape(lattice.n_states, -1)


def operator_to_symbol(
    operator: NDArray, grid: PhaseSpaceGrid, orbital_positions: FloatArray, trace: bool = False
) -> ComplexArray:
    """Weyl symbol of an operator, at the points of ``grid``.

    Parameters
    ----------
    operator : array (*p, sites * n, sites * n)
        Site-major, on the ring whose numbers of sites are ``grid.lengths``.  One leading axis for each
        missing position axis: the fibres at :func:`canonical_momenta` (any number of them).
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
    ``grid.integrate`` of the trace equals the trace of the operator (its mean over fibres) if ``grid``
    resolves the symbol.
    """
    lattice = grid_lattice(grid, orbital_positions)
    fibres = _Fibres(operator, lattice)
    weights = [
        lambda points, x=x, n=n: interpolation_matrix(points, n, x)
        for x, n in zip(grid.axis_points, lattice.sites, strict=False)
    ]
    momenta = grid.axis_points[lattice.n_kept :]
    if trace:
        return _traced_symbol(fibres, weights, momenta)
    n = lattice.n_orbitals
    symbol = np.empty((*grid.shape, n, n), dtype=complex)
    for o, p in product(range(n), repeat=2):
        symbol[..., o, p] = _symbol_element(fibres, [(o, p)], weights, momenta)
    return symbol


def position_density(operator: NDArray, grid: PhaseSpaceGrid, orbital_positions: FloatArray) -> FloatArray:
    """Density ``n(x) = int dk/(2 pi)^d f(x, k)`` of a Hermitian operator at the position points (*x)."""
    lattice = grid_lattice(grid, orbital_positions)
    blocks = _Fibres(operator, lattice).blocks
    occupation = np.einsum("...roro->...or", blocks).real
    occupation = occupation.reshape(-1, *occupation.shape[-2:]).mean(axis=0)
    density = np.zeros(grid.n_x)
    for n_o, offset in zip(occupation, lattice.orbital_positions, strict=True):
        matrices = [
            interpolation_matrix(np.arange(n) + shift, n, x)
            for x, n, shift in zip(grid.axis_points, lattice.sites, offset, strict=False)
        ]
        density += along_axes(n_o.reshape(lattice.sites), matrices)
    return density


def momentum_distribution(
    operator: NDArray, grid: PhaseSpaceGrid, orbital_positions: FloatArray
) -> FloatArray:
    """Distribution ``n(k) = int dx f(x, k)`` of a Hermitian operator at the momentum points (*k)."""
    lattice = grid_lattice(grid, orbital_positions)
    total = [lambda points: np.ones((1, len(points)))] * lattice.n_kept
    momenta = grid.axis_points[lattice.n_kept :]
    return _traced_symbol(_Fibres(operator, lattice), total, momenta).real.reshape(grid.n_k)


class _Fibres:
    """An operator as blocks (*p, site, orbital, site, orbital), with its lattice."""

    def __init__(self, operator: NDArray, lattice: SiteLattice):
        size, sites, n = lattice.n_states, prod(lattice.sites), lattice.n_orbitals
        if operator.ndim != lattice.n_missing + 2 or operator.shape[-2:] != (size, size):
            fibres = f" after {lattice.n_missing} axes of fibres" if lattice.n_missing else ""
            raise CaseError(
                f"the operator has shape {operator.shape}, {lattice.sites} sites x {n} orbitals need "
                f"{size} x {size}{fibres}"
            )
        self.lattice = lattice
        self.n_fibres = operator.shape[:-2]
        self.blocks = operator.reshape(*self.n_fibres, sites, n, sites, n)

    def bonds(self, pairs: Sequence[tuple[int, int]], parity: tuple[int, ...]) -> ComplexArray:
        """Elements (*p, *m, *s) without their Peierls phase, summed over orbital pairs at one offset."""
        lattice = self.lattice
        ends, starts = lattice.bond_ends([np.arange(n) for n in lattice.sites], parity)
        rows, columns = lattice.flat(ends), lattice.flat(starts)
        elements = sum(self.blocks[..., rows, o, columns, p] for o, p in pairs)
        return elements * lattice.peierls_phase(ends, starts, *pairs[0]).conj()


def _fill_bonds(
    blocks: ComplexArray,
    values: NDArray,
    cells: Sequence[IntArray],
    parity: tuple[int, ...],
    pairs: list[tuple[int, int]],
    lattice: SiteLattice,
) -> None:
    """Write the harmonics ``S_s = mean_k S(k) exp(i k s)`` of sampled values into their bonds."""
    d = lattice.n_kept
    ends, starts = lattice.bond_ends(cells, parity)
    rows, columns = lattice.flat(ends), lattice.flat(starts)
    axes = tuple(range(d, 2 * d))
    chosen = np.ix_(
        *(range(len(m)) for m in cells), *(lattice.separations(axis, p) for axis, p in enumerate(parity))
    )
    for o, p in pairs:
        element = values if values.ndim == 2 * d else values[..., o, p]
        harmonics = scipy.fft.ifftn(element, axes=axes) if axes else element
        blocks[rows, o, columns, p] = harmonics[chosen] * lattice.peierls_phase(ends, starts, o, p)


def _traced_symbol(
    fibres: _Fibres,
    weights: Sequence[Callable[[FloatArray], FloatArray]],
    momenta: Sequence[FloatArray],
) -> ComplexArray:
    """Trace over orbitals; those at the same place are summed first."""
    places: dict[tuple[float, ...], list[tuple[int, int]]] = {}
    for o, tau in enumerate(fibres.lattice.orbital_positions):
        places.setdefault(tuple(map(float, tau)), []).append((o, o))
    parts = [_symbol_element(fibres, pairs, weights, momenta) for pairs in places.values()]
    return sum(parts[1:], start=parts[0])


def _symbol_element(
    fibres: _Fibres,
    pairs: Sequence[tuple[int, int]],
    weights: Sequence[Callable[[FloatArray], FloatArray]],
    momenta: Sequence[FloatArray],
) -> ComplexArray:
    """Symbol of orbital pairs at one offset: to kinetic momenta, from midpoints to x, and the sum over s."""
    lattice, (o, p) = fibres.lattice, pairs[0]
    s, tau = lattice.n_kept, lattice.orbital_positions
    offset = (tau[o] + tau[p]) / 2
    symbol: NDArray = np.zeros((1,) * (s + len(momenta)), dtype=complex)
    for parity in product((0, 1), repeat=s):
        midpoints = [np.arange(n) + q / 2 + x for n, q, x in zip(lattice.sites, parity, offset, strict=False)]
        values = _to_kinetic_momenta(fibres.bonds(pairs, parity), fibres, midpoints, momenta[s:])
        positions = [w(points) for w, points in zip(weights, midpoints, strict=True)]
        harmonics = [
            np.exp(-1j * np.outer(momenta[axis], lattice.separations(axis, q)))
            for axis, q in enumerate(parity)
        ]
        symbol = symbol + along_axes(values, [*positions, *harmonics])
    return symbol * _position_convention(momenta, tau[o] - tau[p])


def _to_kinetic_momenta(
    elements: ComplexArray, fibres: _Fibres, midpoints: Sequence[FloatArray], momenta: Sequence[FloatArray]
) -> ComplexArray:
    """Interpolate fibres (*p, *m, *s) to ``p = k - F X`` at each midpoint: (*m, *s, *k_missing)."""
    lattice, r = fibres.lattice, len(fibres.n_fibres)
    if not r:
        return elements
    n_m = prod(lattice.sites)
    shifts = lattice.momentum_shift(np.meshgrid(*midpoints, indexing="ij"))
    separations = elements.shape[r + lattice.n_kept :]
    values = elements.reshape(*fibres.n_fibres, n_m, -1)
    values = np.moveaxis(values, r, 0)  # (m, *p, s)
    for shift, k, n in zip(shifts, momenta, fibres.n_fibres, strict=True):
        matrices = shifted_interpolation(canonical_momenta(n), k, -np.ravel(shift))
        rest = values.shape[2:]
        values = matrices @ values.reshape(n_m, n, -1)
        values = np.moveaxis(values.reshape(n_m, len(k), *rest), 1, -1)
    return values.reshape(*lattice.sites, *separations, *(len(k) for k in momenta))


def _position_convention(momenta: Sequence[FloatArray], distance: FloatArray) -> NDArray:
    """``exp(-i k.(tau_o - tau_o'))`` on the momentum mesh (*k)."""
    phase = np.zeros((1,) * len(momenta))
    for axis, (k, step) in enumerate(zip(momenta, distance, strict=True)):
        phase = phase + (k * step).reshape([-1 if i == axis else 1 for i in range(len(momenta))])
    return np.exp(-1j * phase)


def pairs_by_midpoint(tau: FloatArray, diagonal: bool) -> dict[tuple[float, ...], list[tuple[int, int]]]:
    """Orbital pairs grouped by their common offset ``(tau_o + tau_o')/2``."""
    groups: dict[tuple[float, ...], list[tuple[int, int]]] = {}
    for o, p in product(range(len(tau)), repeat=2):
        if o == p or not diagonal:
            groups.setdefault(tuple(float(x) for x in (tau[o] + tau[p]) / 2), []).append((o, p))
    return groups


def _chunks(sites: tuple[int, ...], n_k: tuple[int, ...]) -> Iterator[list[IntArray]]:
    """Cells per axis, in pieces of the first one, so that a sampled symbol stays small in memory."""
    if not sites:
        yield []
        return
    rows = max(1, _CHUNK_POINTS // (prod(sites[1:]) * prod(n_k)))
    for start in range(0, sites[0], rows):
        yield [np.arange(start, min(start + rows, sites[0])), *(np.arange(n) for n in sites[1:])]
