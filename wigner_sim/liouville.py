r"""Exact Liouville-von Neumann reference ``i d_t rho = [H, rho]`` on a small lattice (dense matrices).

The Weyl symbol H(x, k, t) becomes an operator on a ring or torus of sites; band projectors, states and
the evolution are plain linear algebra there, and only the results go back to phase space.  Nothing of the
gradient expansion is used, so a sign error in it cannot cancel (``docs/theory.md``, sections 2, 3, 8, 11).

Cost: 2,000 states take 0.7 GB and, on two cores, half a minute for a spectral projector, two for a purified
one and a few seconds per output time; memory goes as the square and time as the cube of the number of states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray
from scipy.special import expit, jv

from wigner_sim.errors import BandTouchingError, CaseError, NumericalStopError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.weyl import (
    SymbolFunction,
    grid_sites,
    momentum_distribution,
    operator_to_symbol,
    position_density,
    site_numbers,
    symbol_to_operator,
)

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
TimeDependentOperator = Callable[[float], ComplexArray]

#: Largest number of states of a dense run.
MAXIMUM_STATES = 4000
#: Local gaps below this part of the band width count as a touching.
_TOUCHING = 1e-6
#: States of different bands count as resonant below this part of the smallest local gap.
_RESONANCE = 0.05
_MOST_NEWTON_STEPS = 20
_MOST_STEPS = 1 << 20


# --- operators ---


def quantize_hamiltonian(
    hamiltonian: Hamiltonian, n_sites: int | Sequence[int], t: float = 0.0
) -> ComplexArray:
    """Operator of ``H(x, k, t)`` on a ring or torus, shape (sites * n, sites * n), site-major, Hermitian.

    Raises
    ------
    CaseError
        If there are more than ``MAXIMUM_STATES`` states, or the symbol is not Hermitian.
    """
    sites = site_numbers(n_sites, hamiltonian.orbital_positions)
    _refuse_large(prod(sites) * hamiltonian.n_orbitals)
    operator = symbol_to_operator(
        lambda x, k: hamiltonian.matrix(x, k, t), sites, hamiltonian.orbital_positions
    )
    defect = np.abs(operator - operator.conj().T).max()
    if not defect <= 1e-10 * np.abs(operator).max():
        raise CaseError(
            f"the Hamiltonian {hamiltonian.name!r} is not Hermitian at t = {t:g}: "
            f"its elements differ by {defect:.1e}"
        )
    return (operator + operator.conj().T) / 2


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


# --- states ---


def state_from_symbol(
    projector: BandProjector,
    symbol: SymbolFunction | NDArray,
    n_sites: int | Sequence[int],
    orbital_positions: FloatArray,
    grid: PhaseSpaceGrid | None = None,
) -> ComplexArray:
    """State ``rho = Pi Op(c) Pi`` of a band with occupation symbol c (a function, or values on ``grid``)."""
    occupation = symbol_to_operator(symbol, n_sites, orbital_positions, grid)
    basis = projector.basis
    return _hermitian(basis @ (basis.conj().T @ occupation @ basis) @ basis.conj().T)


def thermal_state(
    operator: ComplexArray, projector: BandProjector, chemical_potential: float, temperature: float
) -> ComplexArray:
    """Equilibrium of the band, ``n_F(Pi H Pi)`` in the range of Pi (temperature: an energy, may be 0)."""
    if temperature < 0:
        raise CaseError(f"the temperature must not be negative, got {temperature}")
    energies, states = np.linalg.eigh(_hermitian(projector.basis.conj().T @ operator @ projector.basis))
    if temperature == 0:
        occupation = (energies < chemical_potential).astype(float)
    else:
        occupation = expit((chemical_potential - energies) / temperature)
    orbitals = projector.basis @ states
    return (orbitals * occupation) @ orbitals.conj().T


# --- evolution ---


def evolve_static(
    operator: ComplexArray, state: ComplexArray, times: Sequence[float], initial_time: float = 0.0
) -> Iterator[ComplexArray]:
    """Yield ``exp(-i H t) rho exp(i H t)`` at each time; one diagonalisation serves all of them."""
    energies, vectors = np.linalg.eigh(operator)
    start = vectors.conj().T @ state @ vectors
    # A state that lives in one band has no elements in the other eigenstates: leave those out.
    weight = np.linalg.norm(start, axis=1)
    kept = weight > 1e-14 * np.linalg.norm(weight)
    energies, vectors, start = energies[kept], vectors[:, kept], start[np.ix_(kept, kept)]
    for t in times:
        phase = np.exp(-1j * energies * (t - initial_time))
        yield vectors @ (start * np.outer(phase, phase.conj())) @ vectors.conj().T


def evolve_driven(
    operator: TimeDependentOperator,
    state: ComplexArray,
    times: Sequence[float],
    initial_time: float = 0.0,
    time_step: float | None = None,
    tolerance: float = 1e-9,
) -> Iterator[ComplexArray]:
    """Yield the state at each time under H(t), by a commutator-free Magnus scheme of order 4.

    Parameters
    ----------
    operator : callable t -> array (states, states), Hermitian
    state : array (states, states)
        At ``initial_time``.
    times : sequence of float, increasing
    time_step : float, optional
        Largest step.  If left out, each interval is repeated with half the step until the estimated error
        is less than ``tolerance``.
    tolerance : float
        Largest error per interval of any wave-function amplitude.

    Raises
    ------
    CaseError
        If the times do not increase or the step is not positive.
    NumericalStopError
        If no step reaches the tolerance.
    """
    if time_step is not None and not time_step > 0:
        raise CaseError(f"the time step must be positive, got {time_step}")
    moments = [initial_time, *times]
    if any(b < a for a, b in pairwise(moments)):
        raise CaseError(
            f"output times must increase from the initial time {initial_time:g}, got {list(times)}"
        )
    occupation, orbitals = np.linalg.eigh(_hermitian(state))
    kept = np.abs(occupation) > 1e-15 * np.abs(occupation).max()
    occupation, orbitals = occupation[kept], orbitals[:, kept]
    steps_per_time = 0.5
    for start, stop in pairwise(moments):
        if stop > start and time_step is not None:
            n_steps = int(np.ceil((stop - start) / time_step * (1 - 1e-12)))
            orbitals = _magnus_interval(operator, orbitals, start, stop, n_steps)
        elif stop > start:
            orbitals, n_steps = _converged_interval(
                operator, orbitals, start, stop, steps_per_time, tolerance
            )
            steps_per_time = n_steps / (stop - start)
        yield (orbitals * occupation) @ orbitals.conj().T


# --- results in phase space ---


@dataclass(frozen=True)
class LiouvilleSnapshot:
    """What the exact state looks like in phase space at one time.

    Parameters
    ----------
    time : float
    distribution : array (*x, *k)
        ``f = tr F``, the trace of the Weyl symbol of the state.
    density : array (*x)
        ``n(x) = int dk/(2 pi)^d f``.
    momentum_distribution : array (*k)
        ``n(k) = int dx f``.
    energy, particle_number : float
        ``tr(rho H)``, ``tr rho``.
    """

    time: float
    distribution: FloatArray
    density: FloatArray
    momentum_distribution: FloatArray
    energy: float
    particle_number: float


def observe_state(
    state: ComplexArray,
    operator: ComplexArray,
    grid: PhaseSpaceGrid,
    orbital_positions: FloatArray,
    time: float,
) -> LiouvilleSnapshot:
    """Phase-space picture of a state.  Density and momentum distribution are exact, also on a coarse grid."""
    return LiouvilleSnapshot(
        time=time,
        distribution=operator_to_symbol(state, grid, orbital_positions, trace=True).real,
        density=position_density(state, grid, orbital_positions),
        momentum_distribution=momentum_distribution(state, grid, orbital_positions),
        energy=float(np.vdot(state, operator).real),
        particle_number=float(np.trace(state).real),
    )


def run_liouville(
    hamiltonian: Hamiltonian,
    grid: PhaseSpaceGrid,
    state: ComplexArray,
    times: Sequence[float],
    initial_time: float = 0.0,
    time_step: float | None = None,
    tolerance: float = 1e-9,
) -> Iterator[LiouvilleSnapshot]:
    """Evolve a state given at ``initial_time`` and yield a snapshot on ``grid`` at each of ``times``.

    The ring has ``grid.lengths`` sites.  ``time_step`` and ``tolerance`` concern a time-dependent Hamiltonian
    only, see :func:`evolve_driven`.
    """
    sites = grid_sites(grid)

    def operator(t: float) -> ComplexArray:
        return quantize_hamiltonian(hamiltonian, sites, t)

    static = operator(initial_time)
    if hamiltonian.time_dependent:
        states = evolve_driven(operator, state, times, initial_time, time_step, tolerance)
    else:
        states = evolve_static(static, state, times, initial_time)
    for t, rho in zip(times, states, strict=True):
        current = operator(t) if hamiltonian.time_dependent else static
        yield observe_state(rho, current, grid, hamiltonian.orbital_positions, t)


# --- how the projector is found ---


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
    weights, states = np.linalg.eigh(_hermitian(guess))
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
    e_inside, u_inside = np.linalg.eigh(_hermitian(inside.conj().T @ operator @ inside))
    e_outside, u_outside = np.linalg.eigh(_hermitian(outside.conj().T @ operator @ outside))
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


# --- how a driven state is stepped ---


def _magnus_interval(
    operator: TimeDependentOperator, orbitals: ComplexArray, start: float, stop: float, n_steps: int
) -> ComplexArray:
    """Equal steps of the commutator-free Magnus scheme CF4:2.

    ``psi(t+h) = exp(-ih(a H1 + b H2)) exp(-ih(b H1 + a H2)) psi(t)``, with H1, H2 at the Gauss nodes and
    a, b = 1/4 -+ sqrt(3)/6 (Blanes and Moan, Appl. Numer. Math. 56, 1519 (2006)).
    """
    h = (stop - start) / n_steps
    a, b = 0.25 - np.sqrt(3) / 6, 0.25 + np.sqrt(3) / 6
    for step in range(n_steps):
        middle = start + (step + 0.5) * h
        h_1, h_2 = (operator(middle + sign * h * np.sqrt(3) / 6) for sign in (-1, 1))
        orbitals = _exponential_action(b * h_1 + a * h_2, orbitals, h)
        orbitals = _exponential_action(a * h_1 + b * h_2, orbitals, h)
    return orbitals


def _converged_interval(
    operator: TimeDependentOperator,
    orbitals: ComplexArray,
    start: float,
    stop: float,
    steps_per_time: float,
    tolerance: float,
) -> tuple[ComplexArray, int]:
    """Repeat an interval with twice the steps until the result settles.

    Also returns the number of steps to start the next interval with.
    """
    n_steps = max(1, int(np.ceil((stop - start) * steps_per_time)))
    coarse = _magnus_interval(operator, orbitals, start, stop, n_steps)
    while n_steps < _MOST_STEPS:
        fine = _magnus_interval(operator, orbitals, start, stop, 2 * n_steps)
        change = float(np.abs(fine - coarse).max()) / 15  # Richardson, order 4
        if change < tolerance:
            return fine, n_steps if change > tolerance / 16 else max(1, n_steps // 2)
        coarse, n_steps = fine, 2 * n_steps
    raise NumericalStopError(
        f"the driven evolution from t = {start:g} to {stop:g} did not settle to {tolerance:g} "
        f"in {n_steps} steps"
    )


def _exponential_action(operator: ComplexArray, orbitals: ComplexArray, h: float) -> ComplexArray:
    """``exp(-i h H) psi`` by Chebyshev polynomials, to rounding; banded operators multiply as sparse ones."""
    centre, radius = _spectral_bounds(operator)
    matrix = (operator - centre * np.eye(len(operator))) / radius
    matrix[np.abs(matrix) < 1e-16] = 0
    if np.count_nonzero(matrix) < 0.1 * matrix.size:
        matrix = scipy.sparse.csr_array(matrix)
    z = radius * h
    n_terms = int(np.ceil(abs(z) + 10 * np.cbrt(abs(z)) + 20))
    coefficients = 2 * (-1j) ** np.arange(n_terms) * jv(np.arange(n_terms), z)
    coefficients[0] /= 2
    previous, current = orbitals, matrix @ orbitals
    result = coefficients[0] * previous + coefficients[1] * current
    for coefficient in coefficients[2:]:
        previous, current = current, 2 * (matrix @ current) - previous
        result += coefficient * current
    return result * np.exp(-1j * centre * h)


def _spectral_bounds(operator: ComplexArray) -> tuple[float, float]:
    """Centre and half width of an interval that holds the spectrum (Gershgorin), never of zero width."""
    diagonal = operator.diagonal().real
    reach = np.abs(operator).sum(axis=1) - np.abs(diagonal)
    lowest, highest = float((diagonal - reach).min()), float((diagonal + reach).max())
    return (lowest + highest) / 2, max((highest - lowest) / 2, 1e-12)


def _hermitian(matrix: ComplexArray) -> ComplexArray:
    """Remove the anti-Hermitian rounding error."""
    return (matrix + matrix.conj().T) / 2


def _refuse_large(n_states: int) -> None:
    if n_states > MAXIMUM_STATES:
        raise CaseError(
            f"the dense Liouville-von Neumann reference would need {n_states} states, more than "
            f"{MAXIMUM_STATES}: use fewer sites, or the full matrix Moyal equation"
        )
