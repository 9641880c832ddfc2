"""Projectors on a group of bands, from energies or by purification (``docs/theory.md``, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from wigner_sim.errors import BandTouchingError, CaseError
from wigner_sim.liouville.operators import Matrix, cheapest_form, hermitian_part
from wigner_sim.liouville.spectrum import Spectrum, diagonalize
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.weyl import SiteLattice, fibre_function, mesh_sampler, sampled_operator, site_lattice

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

#: Local gaps below this part of the band width count as a touching.
_TOUCHING = 1e-6
#: States of different bands count as resonant below this part of the smallest local gap.
_RESONANCE = 0.05
_MOST_NEWTON_STEPS = 20


@dataclass(frozen=True)
class BandProjector:
    """Projector ``Pi = basis basis^+`` on the states of a group of bands.

    Parameters
    ----------
    basis : array (states, rank), complex
        Orthonormal columns.
    method : str
        "spectral" or "purified".
    commutator_norm : float, energy
        ``|Q H Pi|``, root mean square over the states of the band.  Zero to rounding if spectral; if
        purified, the tunnelling between bands that overlap in energy is left.
    energies : array (rank,), optional
        Of the columns, if they are eigenstates (spectral).
    """

    basis: NDArray[Any]
    method: str
    commutator_norm: float
    energies: FloatArray | None = None

    @property
    def rank(self) -> int:
        """Number of states in the band: sites times bands, plus a Chern number of phase space.

        On a torus with N_phi flux quanta that is the Chern number of the band times N_phi, up to sign.
        """
        return self.basis.shape[1]

    @property
    def matrix(self) -> ComplexArray:
        """The projector, shape (states, states)."""
        return self.basis @ self.basis.conj().T


def band_projector(
    operator: ComplexArray,
    hamiltonian: Hamiltonian,
    n_sites: int | Sequence[int],
    bands: int | Sequence[int] = 0,
    method: Literal["auto", "spectral", "purified"] = "auto",
    t: float = 0.0,
    cell_flux: ArrayLike | None = None,
    canonical_momentum: Sequence[float] = (),
    spectrum: Callable[[], Spectrum] | None = None,
    known_rank: int | None = None,
) -> BandProjector:
    """Projector on one band, or a group of bands, of ``operator = Op(H)``.

    Parameters
    ----------
    operator : array (states, states)
        From :func:`quantize_hamiltonian` at time ``t``.
    hamiltonian : Hamiltonian
        Its symbol names the bands.
    n_sites : int or tuple of int
    bands : int or sequence of int
        Counted from the lowest, 0.
    method : {"auto", "spectral", "purified"}
        "spectral" takes the eigenstates of ``operator`` between two energies; it needs global gaps.
        "purified" starts from the operator of the local eigenprojector and rotates it until it commutes with
        ``operator``; it needs a gap at each (x, k) only.  "auto" takes the first where it works and finds as
        many states as the second would.
    cell_flux, canonical_momentum : optional
        As for :func:`~wigner_sim.liouville.quantize_hamiltonian`.
    spectrum : callable () -> Spectrum, optional
        Eigenstates of ``operator``, for whom they are at hand; asked for only if needed.
    known_rank : int, optional
        Number of states of the band in another fibre, which is the same in all.

    Raises
    ------
    BandTouchingError
        If the bands touch another one somewhere in phase space.
    CaseError
        If "spectral" is asked for without global gaps, or a band is named that is not there.
    """
    bands = _band_indices(bands, hamiltonian.n_orbitals)
    if len(bands) == hamiltonian.n_orbitals:
        return BandProjector(np.eye(len(operator), dtype=complex), "spectral", 0.0)
    lattice = site_lattice(n_sites, hamiltonian.orbital_positions, cell_flux, len(canonical_momentum))
    local = _local_bands(hamiltonian, lattice, bands, t, canonical_momentum)
    if method != "purified":
        found = _spectral_basis(spectrum or (lambda: diagonalize(operator, lattice.sites)), local)
        if found is not None and (
            method == "spectral" or len(found[0]) == known_rank or _has_rank_of(local, len(found[0]))
        ):
            energies, basis = found
            return BandProjector(basis, "spectral", _residual(operator, basis, energies), energies)
        if method == "spectral":
            raise CaseError(
                f"bands {bands} have no global gap to the others, so no energy window selects their states: "
                'use method "purified"'
            )
    basis = _purified_basis(operator, local)
    return BandProjector(basis, "purified", _commutator_norm(operator, basis))


def band_windows(
    hamiltonian: Hamiltonian, lattice: SiteLattice, bands: int | Sequence[int], t: float
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Energy windows (low, high) below and above a group of bands that hold no local energy; None at an end.

    Raises
    ------
    CaseError
        If there is no such window: the bands overlap others in energy.
    """
    chosen = _band_indices(bands, hamiltonian.n_orbitals)
    if len(chosen) == hamiltonian.n_orbitals:
        return None, None
    local = _local_bands(hamiltonian, lattice, chosen, t)
    if not local.contiguous or any(w is not None and w[0] >= w[1] for w in (local.below, local.above)):
        raise CaseError(f"bands {chosen} have no global gap to the others, so no energy window selects them")
    return local.below, local.above


@dataclass(frozen=True)
class _LocalBands:
    """A group of bands of the symbol (of one fibre), sampled on a mesh of phase space."""

    lattice: SiteLattice
    #: Points along each kept position and momentum axis.
    axes: tuple[FloatArray, ...]
    #: The symbol on the mesh in the cell-periodic convention, (*x, *k, n, n).
    matrices: ComplexArray
    bands: tuple[int, ...]
    #: Smallest local distance to the other bands.
    gap: float
    #: Energy windows that separate the group from the bands below and above, None where there are none.
    below: tuple[float, float] | None
    above: tuple[float, float] | None

    @property
    def contiguous(self) -> bool:
        """Whether no other band lies between those of the group."""
        return self.bands[-1] - self.bands[0] + 1 == len(self.bands)

    @cached_property
    def projector_operator(self) -> ComplexArray:
        """Operator of the local eigenprojector; its eigenvalues are near 0 and 1."""
        frames = np.linalg.eigh(self.matrices)[1][..., self.bands]
        projector = frames @ np.swapaxes(frames.conj(), -1, -2)
        operator = sampled_operator(mesh_sampler(projector, self.axes, self.lattice, False), self.lattice)
        return hermitian_part(operator)


def _local_bands(
    hamiltonian: Hamiltonian,
    lattice: SiteLattice,
    bands: tuple[int, ...],
    t: float,
    canonical_momentum: Sequence[float] = (),
) -> _LocalBands:
    """Diagonalise the symbol on a mesh and look for the gaps around ``bands``."""
    s = lattice.n_kept
    most_x, n_k = (512, 128) if s == 1 else (48, 24)
    positions = [np.linspace(0, n, max(4, min(n, most_x)), endpoint=False) for n in lattice.sites]
    axes = (*positions, *(np.linspace(-np.pi, np.pi, n_k, endpoint=False) for _ in range(s)))
    mesh = np.reshape(np.meshgrid(*axes, indexing="ij"), (2 * s, *(len(points) for points in axes)))
    symbol = fibre_function(lambda x, k: hamiltonian.matrix(x, k, t), lattice, canonical_momentum)
    matrices = symbol(mesh[:s], mesh[s:])
    energies = np.linalg.eigvalsh(matrices)
    others = [b for b in range(hamiltonian.n_orbitals) if b not in bands]
    distance = np.abs(energies[..., bands, None] - energies[..., None, others]).min(axis=(-2, -1))
    gap = float(distance.min())
    if gap <= _TOUCHING * np.ptp(energies):
        where = mesh[(slice(None), *np.unravel_index(distance.argmin(), distance.shape))]
        shifts = lattice.momentum_shift(list(where[:s]))
        missing = (float(p + shift) for p, shift in zip(canonical_momentum, shifts, strict=True))
        x, k = tuple(map(float, where[:s])), (*map(float, where[s:]), *missing)
        raise BandTouchingError(
            f"bands {bands} touch another band at x = {x}, k = {k}: gap {gap:.1e}", gap, x, k
        )

    def window(upper_band: int) -> tuple[float, float] | None:
        if upper_band in (0, hamiltonian.n_orbitals):
            return None
        return float(energies[..., upper_band - 1].max()), float(energies[..., upper_band].min())

    return _LocalBands(lattice, axes, matrices, bands, gap, window(bands[0]), window(bands[-1] + 1))


def _spectral_basis(
    spectrum: Callable[[], Spectrum], local: _LocalBands
) -> tuple[FloatArray, NDArray[Any]] | None:
    """Eigenstates in the energy window of the bands; None if a side of the window is not a clear gap."""
    windows = [window for window in (local.below, local.above) if window is not None]
    if not local.contiguous or any(low >= high for low, high in windows):
        return None
    states = spectrum()
    energies = states.energies
    if any(np.abs(energies - (low + high) / 2).min() < (high - low) / 8 for low, high in windows):
        return None
    lowest = -np.inf if local.below is None else sum(local.below) / 2
    highest = np.inf if local.above is None else sum(local.above) / 2
    chosen = (energies > lowest) & (energies < highest)
    return energies[chosen], states.vectors(chosen)


def _has_rank_of(local: _LocalBands, rank: int) -> bool:
    """Whether the band has this many states; only a Chern number makes them differ from sites times bands."""
    if rank == prod(local.lattice.sites) * len(local.bands):
        return True
    return rank == np.count_nonzero(np.linalg.eigvalsh(local.projector_operator) > 0.5)


def _purified_basis(
    operator: ComplexArray, local: _LocalBands, most_steps: int = _MOST_NEWTON_STEPS
) -> NDArray[Any]:
    """Almost invariant subspace near the operator of the local eigenprojector.

    Rounding the eigenvalues of Op(P) to 0 and 1 is the limit of McWeeny's purification.  Each Newton step
    then rotates the subspace so as to cancel ``Q H Pi`` to first order, which gains an order in gradients.
    """
    spectrum = diagonalize(local.projector_operator, local.lattice.sites)
    weights, states = spectrum.energies, spectrum.vectors()
    unclear = np.abs(weights - 0.5).min()
    if unclear < 0.05:
        raise CaseError(
            "the fields vary too fast for a band of its own: the operator of the local projector has an "
            f"eigenvalue {unclear:.2f} away from 1/2; use a longer system or a larger gap (smallest gap "
            f"{local.gap:.2g})"
        )
    inside, outside = states[:, weights > 0.5], states[:, weights < 0.5]
    operator = cheapest_form(operator)
    norm = _commutator_norm(operator, inside)
    for _ in range(most_steps):
        new_inside, new_outside = _newton_step(operator, inside, outside, _RESONANCE * local.gap)
        new_norm = _commutator_norm(operator, new_inside)
        if new_norm > norm / 2:  # rounding, or the tunnelling that no rotation of a band removes
            break
        inside, outside, norm = new_inside, new_outside, new_norm
    return inside


def _newton_step(
    operator: Matrix, inside: NDArray[Any], outside: NDArray[Any], resonance: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rotate Pi (and Q) by X that solves ``(QHQ) X - X (Pi H Pi) = - Q H Pi``.

    Pairs of states closer in energy than ``resonance`` are far apart in phase space and their coupling is
    tunnelling, which is left alone: ``1/Delta -> (1 - exp(-(Delta/resonance)^4))/Delta``.
    """
    e_inside, u_inside = np.linalg.eigh(hermitian_part(inside.conj().T @ (operator @ inside)))
    e_outside, u_outside = np.linalg.eigh(hermitian_part(outside.conj().T @ (operator @ outside)))
    inside, outside = inside @ u_inside, outside @ u_outside
    delta = e_outside[:, None] - e_inside[None, :]
    delta = np.where(np.abs(delta) < 1e-3 * resonance, np.inf, delta)
    weight = -np.expm1(-np.minimum((delta / resonance) ** 4, 700)) / delta
    x = -(outside.conj().T @ (operator @ inside)) * weight
    return _orthonormal(inside + outside @ x), _orthonormal(outside - inside @ x.conj().T)


def _orthonormal(columns: NDArray[Any]) -> NDArray[Any]:
    """Orthonormal basis of almost orthonormal columns, by the Cholesky factor of their overlap."""
    factor = np.linalg.cholesky(columns.conj().T @ columns)
    return scipy.linalg.solve_triangular(factor, columns.conj().T, lower=True).conj().T


def _residual(operator: ComplexArray, basis: NDArray[Any], energies: FloatArray) -> float:
    """``|H Pi - Pi H Pi|_F / sqrt(rank)`` of a basis of eigenstates; lattice operators have few elements."""
    return float(
        np.linalg.norm(cheapest_form(operator) @ basis - basis * energies) / np.sqrt(max(1, basis.shape[1]))
    )


def _commutator_norm(operator: Matrix, basis: NDArray[Any]) -> float:
    """``|Q H Pi|_F / sqrt(rank)``."""
    image = operator @ basis
    return float(np.linalg.norm(image - basis @ (basis.conj().T @ image)) / np.sqrt(max(1, basis.shape[1])))


def _band_indices(bands: int | Sequence[int], n_orbitals: int) -> tuple[int, ...]:
    """Sorted band indices, checked."""
    chosen = (bands,) if isinstance(bands, int | np.integer) else tuple(bands)
    if not chosen or any(not 0 <= b < n_orbitals for b in chosen) or len(set(chosen)) != len(chosen):
        raise CaseError(f"bands must be different numbers from 0 to {n_orbitals - 1}, got {bands}")
    return tuple(sorted(int(b) for b in chosen))
