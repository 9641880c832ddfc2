"""Projectors on a group of bands, from energies or by purification (``docs/theory.md``, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from wigner_sim.errors import BandTouchingError, CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.liouville.operators import hermitian_part
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.weyl import site_numbers, symbol_to_operator

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
    """

    basis: ComplexArray
    method: str
    commutator_norm: float

    @property
    def rank(self) -> int:
        """Number of states in the band: sites times bands, plus the Chern number of phase space."""
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
        ``operator``; it needs a gap at each (x, k) only.  "auto" takes the first where it works.

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
    sites = site_numbers(n_sites, hamiltonian.orbital_positions)
    local = _local_bands(hamiltonian, sites, bands, t)
    if method != "purified":
        basis = _spectral_basis(operator, local)
        expected = prod(sites) * len(bands)
        if basis is not None and (method == "spectral" or basis.shape[1] == expected):
            return BandProjector(basis, "spectral", _commutator_norm(operator, basis))
        if method == "spectral":
            raise CaseError(
                f"bands {bands} have no global gap to the others, so no energy window selects their states: "
                'use method "purified"'
            )
    basis = _purified_basis(operator, local, hamiltonian, sites)
    return BandProjector(basis, "purified", _commutator_norm(operator, basis))


@dataclass(frozen=True)
class _LocalBands:
    """A group of bands of the symbol, sampled on a mesh of phase space."""

    grid: PhaseSpaceGrid
    #: Local eigenprojector, (*x, *k, n, n).
    projector: ComplexArray
    #: Smallest local distance to the other bands.
    gap: float
    #: Energy windows that separate the group from the bands below and above, None where there are none.
    below: tuple[float, float] | None
    above: tuple[float, float] | None
    contiguous: bool


def _local_bands(
    hamiltonian: Hamiltonian, sites: tuple[int, ...], bands: tuple[int, ...], t: float
) -> _LocalBands:
    """Diagonalise the symbol on a mesh and look for the gaps around ``bands``."""
    d = len(sites)
    most_x, n_k = (512, 128) if d == 1 else (48, 24)
    grid = PhaseSpaceGrid(tuple(max(4, min(n, most_x)) for n in sites), (n_k,) * d, tuple(map(float, sites)))
    mesh = np.stack(np.broadcast_arrays(*grid.coordinates))
    energies, vectors = np.linalg.eigh(hamiltonian.matrix(mesh[:d], mesh[d:], t))
    others = [b for b in range(hamiltonian.n_orbitals) if b not in bands]
    distance = np.abs(energies[..., bands, None] - energies[..., None, others]).min(axis=(-2, -1))
    gap = float(distance.min())
    if gap <= _TOUCHING * np.ptp(energies):
        where = mesh[(slice(None), *np.unravel_index(distance.argmin(), distance.shape))]
        x, k = tuple(map(float, where[:d])), tuple(map(float, where[d:]))
        raise BandTouchingError(
            f"bands {bands} touch another band at x = {x}, k = {k}: gap {gap:.1e}", gap, x, k
        )

    def window(upper_band: int) -> tuple[float, float] | None:
        if upper_band in (0, hamiltonian.n_orbitals):
            return None
        return float(energies[..., upper_band - 1].max()), float(energies[..., upper_band].min())

    frames = vectors[..., bands]
    return _LocalBands(
        grid=grid,
        projector=frames @ np.swapaxes(frames.conj(), -1, -2),
        gap=gap,
        below=window(bands[0]),
        above=window(bands[-1] + 1),
        contiguous=bands[-1] - bands[0] + 1 == len(bands),
    )


def _spectral_basis(operator: ComplexArray, local: _LocalBands) -> ComplexArray | None:
    """Eigenstates in the energy window of the bands; None if a side of the window is not a clear gap."""
    windows = [window for window in (local.below, local.above) if window is not None]
    if not local.contiguous or any(low >= high for low, high in windows):
        return None
    energies, states = np.linalg.eigh(operator)
    if any(np.abs(energies - (low + high) / 2).min() < (high - low) / 8 for low, high in windows):
        return None
    lowest = -np.inf if local.below is None else sum(local.below) / 2
    highest = np.inf if local.above is None else sum(local.above) / 2
    return states[:, (energies > lowest) & (energies < highest)]


def _purified_basis(
    operator: ComplexArray,
    local: _LocalBands,
    hamiltonian: Hamiltonian,
    sites: tuple[int, ...],
    most_steps: int = _MOST_NEWTON_STEPS,
) -> ComplexArray:
    """Almost invariant subspace near the operator of the local eigenprojector.

    Rounding the eigenvalues of Op(P) to 0 and 1 is the limit of McWeeny's purification.  Each Newton step
    then rotates the subspace so as to cancel ``Q H Pi`` to first order, which gains an order in gradients.
    """
    guess = symbol_to_operator(local.projector, sites, hamiltonian.orbital_positions, local.grid)
    weights, states = np.linalg.eigh(hermitian_part(guess))
    unclear = np.abs(weights - 0.5).min()
    if unclear < 0.05:
        raise CaseError(
            "the fields vary too fast for a band of its own: the operator of the local projector has an "
            f"eigenvalue {unclear:.2f} away from 1/2; use a longer system or a larger gap (smallest gap "
            f"{local.gap:.2g})"
        )
    inside, outside = states[:, weights > 0.5], states[:, weights < 0.5]
    norm = _commutator_norm(operator, inside)
    for _ in range(most_steps):
        new_inside, new_outside = _newton_step(operator, inside, outside, _RESONANCE * local.gap)
        new_norm = _commutator_norm(operator, new_inside)
        if new_norm > norm / 2:  # rounding, or the tunnelling that no rotation of a band removes
            break
        inside, outside, norm = new_inside, new_outside, new_norm
    return inside


def _newton_step(
    operator: ComplexArray, inside: ComplexArray, outside: ComplexArray, resonance: float
) -> tuple[ComplexArray, ComplexArray]:
    """Rotate Pi (and Q) by X that solves ``(QHQ) X - X (Pi H Pi) = - Q H Pi``.

    Pairs of states closer in energy than ``resonance`` are far apart in phase space and their coupling is
    tunnelling, which is left alone: ``1/Delta -> (1 - exp(-(Delta/resonance)^4))/Delta``.
    """
    e_inside, u_inside = np.linalg.eigh(hermitian_part(inside.conj().T @ operator @ inside))
    e_outside, u_outside = np.linalg.eigh(hermitian_part(outside.conj().T @ operator @ outside))
    inside, outside = inside @ u_inside, outside @ u_outside
    delta = e_outside[:, None] - e_inside[None, :]
    delta = np.where(np.abs(delta) < 1e-3 * resonance, np.inf, delta)
    weight = -np.expm1(-np.minimum((delta / resonance) ** 4, 700)) / delta
    x = -(outside.conj().T @ operator @ inside) * weight
    new_inside = scipy.linalg.qr(inside + outside @ x, mode="economic")[0]
    new_outside = scipy.linalg.qr(outside - inside @ x.conj().T, mode="economic")[0]
    return new_inside, new_outside


def _commutator_norm(operator: ComplexArray, basis: ComplexArray) -> float:
    """``|Q H Pi|_F / sqrt(rank)``."""
    image = operator @ basis
    return float(np.linalg.norm(image - basis @ (basis.conj().T @ image)) / np.sqrt(max(1, basis.shape[1])))


def _band_indices(bands: int | Sequence[int], n_orbitals: int) -> tuple[int, ...]:
    """Sorted band indices, checked."""
    chosen = (bands,) if isinstance(bands, int | np.integer) else tuple(bands)
    if not chosen or any(not 0 <= b < n_orbitals for b in chosen) or len(set(chosen)) != len(chosen):
        raise CaseError(f"bands must be different numbers from 0 to {n_orbitals - 1}, got {bands}")
    return tuple(sorted(int(b) for b in chosen))
