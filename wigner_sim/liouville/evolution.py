"""Solutions of ``i d_t rho = [H, rho]``: by eigenstates if H is static, by a Magnus scheme if driven."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.special import jv

from wigner_sim.errors import CaseError, NumericalStopError
from wigner_sim.liouville.operators import hermitian_part

ComplexArray = NDArray[np.complex128]
TimeDependentOperator = Callable[[float], ComplexArray]

_MOST_STEPS = 1 << 20
#: Up to this many states diagonalisation is the cheaper exponential.
_SMALL = 20


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
    occupation, orbitals = np.linalg.eigh(hermitian_part(state))
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
        change = float(np.abs(fine - coarse).max(initial=0.0)) / 15  # Richardson, order 4
        if change < tolerance:
            return fine, n_steps if change > tolerance / 16 else max(1, n_steps // 2)
        coarse, n_steps = fine, 2 * n_steps
    raise NumericalStopError(
        f"the driven evolution from t = {start:g} to {stop:g} did not settle to {tolerance:g} "
        f"in {n_steps} steps"
    )


def _exponential_action(operator: ComplexArray, orbitals: ComplexArray, h: float) -> ComplexArray:
    """``exp(-i h H) psi`` by Chebyshev polynomials, to rounding; banded operators multiply as sparse ones."""
    if len(operator) <= _SMALL:
        energies, states = np.linalg.eigh(operator)
        return states @ (np.exp(-1j * h * energies)[:, None] * (states.conj().T @ orbitals))
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
