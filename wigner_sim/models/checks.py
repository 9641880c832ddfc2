"""Probe a Hamiltonian on a few points before anything is built on it."""

from __future__ import annotations

import warnings

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.grid import AXIS_LETTERS
from wigner_sim.models.hamiltonian import ComplexArray, FloatArray, Hamiltonian

ROUNDING = 1e-9  # relative to the largest matrix element
SEAM = 1e-4  # a domain wall cut where it has decayed is fine, a wrong period is not


def probe_points(n_dimensions: int, lengths: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
    """A few fixed generic points: x (s, 3, 1) inside the cell, and k (d, 1, 4)."""
    rng = np.random.default_rng(7)
    x = rng.uniform(size=(len(lengths), 3, 1)) * np.reshape(lengths, (-1, 1, 1))
    k = rng.uniform(-np.pi, np.pi, size=(n_dimensions, 1, 4))
    return x, k


def check_hamiltonian(hamiltonian: Hamiltonian, lengths: tuple[float, ...], owner: str) -> None:
    """Check shape, finiteness, Hermiticity and periodicity in momentum and position.

    Parameters
    ----------
    hamiltonian : Hamiltonian
    lengths : tuple of float, length s
    owner : str
        Who made it, for the message: "model 'ssh'", "python file chain.py, function bands".

    Raises
    ------
    CaseError
        One sentence on the first property that fails.

    Warns
    -----
    UserWarning
        If a slope in position jumps where the cell closes (spectral accuracy is lost there).
    """
    for t in (0.0, 1.3) if hamiltonian.time_dependent else (0.0,):
        _check_values(hamiltonian, lengths, t, owner)
        _check_momentum_period(hamiltonian, lengths, t, owner)
        for axis in range(len(lengths)):
            _check_seam(hamiltonian, lengths, axis, t, owner)


def _check_values(hamiltonian: Hamiltonian, lengths: tuple[float, ...], t: float, owner: str) -> None:
    x, k = probe_points(hamiltonian.n_dimensions, lengths)
    matrix = hamiltonian.matrix(x, k, t)
    n = hamiltonian.n_orbitals
    if matrix.shape not in [(3, 4, n, n), (1, 4, n, n)]:
        raise CaseError(
            f"{owner} must give matrices of shape (3, 4, {n}, {n}) on the probe, got {matrix.shape}"
        )
    if not np.isfinite(matrix).all():
        raise CaseError(f"{owner} gives a matrix that is not finite")
    error = np.abs(matrix - matrix.conj().swapaxes(-1, -2)).max(axis=(0, 1))
    if error.max() > ROUNDING * _scale(matrix):
        i, j = np.unravel_index(np.argmax(error), error.shape)
        raise CaseError(
            f"{owner} is not Hermitian: H[{i}, {j}] and conj(H[{j}, {i}]) differ by {error.max():.3g}"
        )


def _check_momentum_period(
    hamiltonian: Hamiltonian, lengths: tuple[float, ...], t: float, owner: str
) -> None:
    """``H(k + G) = V_G^+ H(k) V_G`` with ``V_G = exp(i G . tau)``, for the reciprocal lattice vectors."""
    x, k = probe_points(hamiltonian.n_dimensions, lengths)
    matrix = hamiltonian.matrix(x, k, t)
    for axis in range(hamiltonian.n_dimensions):
        shift = np.zeros((hamiltonian.n_dimensions, 1, 1))
        shift[axis] = 2 * np.pi
        v = np.exp(2j * np.pi * hamiltonian.orbital_positions[:, axis])
        error = hamiltonian.matrix(x, k + shift, t) - v.conj()[:, None] * matrix * v
        if np.abs(error).max() > ROUNDING * _scale(matrix):
            raise CaseError(
                f"{owner} is not periodic in k{AXIS_LETTERS[axis]}: H(k + 2 pi) and H(k), "
                f"with the phases of the orbital positions, differ by {np.abs(error).max():.3g}"
            )


def _check_seam(
    hamiltonian: Hamiltonian, lengths: tuple[float, ...], axis: int, t: float, owner: str
) -> None:
    """Value, and slope, just after the start of the cell and just before its end."""
    x, k = probe_points(hamiltonian.n_dimensions, lengths)
    length, name = lengths[axis], AXIS_LETTERS[axis]
    step = 1e-6 * length

    def at(position: float) -> ComplexArray:
        x[axis] = position
        return hamiltonian.matrix(x, k, t)

    first, second, last, last_but_one = at(0.0), at(step), at(length * (1 - 1e-12)), at(length - step)
    scale = _scale(first)
    jump = np.abs(last - first).max()
    if jump > SEAM * scale:
        raise CaseError(
            f"{owner} is not periodic in {name} over the length {length:g}: "
            f"it differs by {jump:.3g} between {name} = 0 and {name} = {length:g}"
        )
    # smooth periodic functions: the two one-sided slopes differ by a second derivative times the step
    kink = np.abs((second - first) - (last - last_but_one)).max() / step
    if kink * length > 0.1 * scale:
        message = (
            f"{owner} has a kink where {name} = {length:g} meets {name} = 0 (the slope jumps by {kink:.3g})"
        )
        warnings.warn(message, stacklevel=4)


def _scale(matrix: ComplexArray) -> float:
    return max(float(np.abs(matrix).max()), 1e-300)
