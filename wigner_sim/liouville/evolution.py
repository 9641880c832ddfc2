"""Solutions of ``i d_t rho = [H, rho]``: by eigenstates if H is static, by a Magnus scheme if driven."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.special import jv

from wigner_sim.errors import CaseError, NumericalStopError
from wigner_sim.liouville.occupied import SubspaceState, factors, product, weighted_projector
from wigner_sim.liouville.operators import Matrix, hermitian_part, is_sparse
from wigner_sim.liouville.spectrum import Spectrum, diagonalize

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
TimeDependentOperator = Callable[[float], ComplexArray]

_MOST_STEPS = 1 << 20
#: Up to this many states diagonalisation is the cheaper exponential.
_SMALL = 20


def evolve_static(
    operator: ComplexArray, state: ComplexArray, times: Sequence[float], initial_time: float = 0.0
) -> Iterator[ComplexArray]:
    """Yield ``exp(-i H t) rho exp(i H t)`` at each time; one diagonalisation serves all of them."""
    waves = static_waves(state, diagonalize(operator))
    return (waves.at(t - initial_time) for t in times)


@dataclass(frozen=True, eq=False)
class StaticWaves:
    """Occupied wave functions ``vectors @ coefficients`` with weights, in eigenstates of a static H."""

    energies: FloatArray
    vectors: NDArray[Any]
    coefficients: ComplexArray
    weights: FloatArray

    def at(self, duration: float) -> ComplexArray:
        """The state some time later: only phases change."""
        phases = np.exp(-1j * self.energies * duration)
        return weighted_projector(product(self.vectors, phases[:, None] * self.coefficients), self.weights)


def static_waves(state: ComplexArray | SubspaceState, spectrum: Spectrum) -> StaticWaves:
    """Expand a state in eigenstates.

    A state that lives in one band has no elements in the other eigenstates: those are left out.
    """
    if isinstance(state, SubspaceState):
        weights, coefficients = state.factors()
        if state.energies is not None:
            return StaticWaves(state.energies, state.basis, coefficients, weights)
        vectors = spectrum.vectors()
        coefficients = product(vectors.conj().T, product(state.basis, coefficients))
        kept = _occupied(coefficients * weights)
    else:
        vectors = spectrum.vectors()
        elements = product(vectors.conj().T, product(vectors.conj().T, state).conj().T)
        kept = _occupied(elements)
        weights, coefficients = factors(elements[np.ix_(kept, kept)])
        return StaticWaves(spectrum.energies[kept], vectors[:, kept], coefficients, weights)
    return StaticWaves(spectrum.energies[kept], vectors[:, kept], coefficients[kept], weights)


def _occupied(elements: ComplexArray) -> NDArray[np.bool_]:
    """Rows that are not zero up to rounding."""
    size = np.linalg.norm(elements, axis=1)
    return size > 1e-14 * np.linalg.norm(size)


def evolve_driven(
    operator: TimeDependentOperator,
    state: ComplexArray | SubspaceState,
    times: Sequence[float],
    initial_time: float = 0.0,
    time_step: float | None = None,
    tolerance: float = 1e-9,
) -> Iterator[ComplexArray]:
    """Yield the state at each time under H(t), by a commutator-free Magnus scheme of order 4.

    Parameters
    ----------
    operator : callable t -> array (states, states), Hermitian
    state : array (states, states), or SubspaceState
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
    weights, orbitals = _wave_functions(state)
    for moved in driven_orbitals(operator, orbitals, times, initial_time, time_step, tolerance):
        yield weighted_projector(moved, weights)


def evolve_driven_fibres(
    operator: Callable[[float], scipy.sparse.csr_array],
    states: Sequence[ComplexArray | SubspaceState],
    times: Sequence[float],
    initial_time: float = 0.0,
    time_step: float | None = None,
    tolerance: float = 1e-9,
) -> Iterator[list[ComplexArray]]:
    """As :func:`evolve_driven` for all fibres at once: ``operator`` is block diagonal, one block each."""
    factors = [_wave_functions(state) for state in states]
    n, most = len(factors[0][1]), max(len(weights) for weights, _ in factors)
    stacked = np.zeros((len(states), n, most), dtype=complex)
    for i, (weights, orbitals) in enumerate(factors):
        stacked[i, :, : len(weights)] = orbitals
    columns = stacked.reshape(len(states) * n, most)  # an empty state has no columns
    for moved in driven_orbitals(operator, columns, times, initial_time, time_step, tolerance):
        fibres = moved.reshape(stacked.shape)
        yield [
            weighted_projector(np.ascontiguousarray(waves[:, : len(weights)]), weights)
            for waves, (weights, _) in zip(fibres, factors, strict=True)
        ]


def driven_orbitals(
    operator: Callable[[float], Matrix],
    orbitals: ComplexArray,
    times: Sequence[float],
    initial_time: float,
    time_step: float | None,
    tolerance: float,
) -> Iterator[ComplexArray]:
    """Wave functions (columns) at each time; parameters and errors as for :func:`evolve_driven`."""
    if time_step is not None and not time_step > 0:
        raise CaseError(f"the time step must be positive, got {time_step}")
    moments = [initial_time, *times]
    if any(b < a for a, b in pairwise(moments)):
        raise CaseError(
            f"output times must increase from the initial time {initial_time:g}, got {list(times)}"
        )
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
        yield orbitals


def _wave_functions(state: ComplexArray | SubspaceState) -> tuple[FloatArray, ComplexArray]:
    """Weights and wave functions of a state."""
    if isinstance(state, SubspaceState):
        weights, coefficients = state.factors()
        return weights, product(state.basis, coefficients)
    return factors(hermitian_part(state))


def _magnus_interval(
    operator: Callable[[float], Matrix],
    orbitals: ComplexArray,
    start: float,
    stop: float,
    n_steps: int,
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
    operator: Callable[[float], Matrix],
    orbitals: ComplexArray,
    start: float,
    stop: float,
    steps_per_time: float,
    tolerance: float,
) -> tuple[ComplexArray, int]:
    """Repeat an interval with more steps, as the fourth order says, until the result settles.

    Also returns the number of steps to start the next interval with.
    """
    n_coarse = max(1, int(np.ceil((stop - start) * steps_per_time)))
    n_steps = 2 * n_coarse
    coarse = _magnus_interval(operator, orbitals, start, stop, n_coarse)
    while n_steps < _MOST_STEPS:
        fine = _magnus_interval(operator, orbitals, start, stop, n_steps)
        error = float(np.abs(fine - coarse).max(initial=0.0)) / ((n_steps / n_coarse) ** 4 - 1)  # Richardson
        needed = n_steps * (max(error, 1e-300) / tolerance) ** 0.25
        if error < tolerance:
            return fine, max(1, int(np.ceil(0.55 * needed)), n_coarse // 2)
        coarse, n_coarse = fine, n_steps
        n_steps = int(np.clip(np.ceil(1.1 * needed), 2 * n_steps, 16 * n_steps))
    raise NumericalStopError(
        f"the driven evolution from t = {start:g} to {stop:g} did not settle to {tolerance:g} "
        f"in {n_steps} steps"
    )


def _exponential_action(operator: Matrix, orbitals: ComplexArray, h: float) -> ComplexArray:
    """``exp(-i h H) psi`` by Chebyshev polynomials, to rounding; banded operators multiply as sparse ones."""
    if operator.shape[0] <= _SMALL and isinstance(operator, np.ndarray):
        energies, states = np.linalg.eigh(operator)
        return states @ (np.exp(-1j * h * energies)[:, None] * (states.conj().T @ orbitals))
    centre, radius = spectral_bounds(operator)
    return chebyshev_action(rescaled(operator, centre, radius), orbitals, radius * h) * np.exp(
        -1j * centre * h
    )


def rescaled(operator: Matrix, centre: float, radius: float) -> Any:
    """``(H - centre)/radius``, sparse if that pays."""
    if isinstance(operator, np.ndarray):
        matrix = (operator - centre * np.eye(len(operator))) / radius
        matrix[np.abs(matrix) < 1e-16] = 0
        return scipy.sparse.csr_array(matrix) if is_sparse(matrix) else matrix
    identity = scipy.sparse.eye_array(operator.shape[0], format="csr")
    return scipy.sparse.csr_array((operator - centre * identity) / radius)


def chebyshev_action(matrix: Any, orbitals: ComplexArray, z: float) -> ComplexArray:
    """``exp(-i z A) psi`` for a matrix with its spectrum in [-1, 1]: ``2 sum_n (-i)^n J_n(z) T_n(A) psi``."""
    most = int(np.ceil(abs(z) + 10 * np.cbrt(abs(z)) + 20))
    bessel = jv(np.arange(most), z)
    n_terms = max(2, int(np.flatnonzero(np.abs(bessel) > 1e-17)[-1]) + 1)
    coefficients = 2 * (-1j) ** np.arange(n_terms) * bessel[:n_terms]
    coefficients[0] /= 2
    return chebyshev_sum(matrix, orbitals, coefficients)


def chebyshev_sum(matrix: Any, orbitals: ComplexArray, coefficients: NDArray) -> ComplexArray:
    """``sum_n c_n T_n(A) psi`` of two or more coefficients, by the recurrence of the polynomials."""
    previous, current = orbitals, matrix @ orbitals
    result = coefficients[0] * previous + coefficients[1] * current
    for coefficient in coefficients[2:]:
        previous, current = current, 2 * (matrix @ current) - previous
        result += coefficient * current
    return result


def spectral_bounds(operator: Matrix) -> tuple[float, float]:
    """Centre and half width of an interval that holds the spectrum (Gershgorin), never of zero width."""
    diagonal = operator.diagonal().real
    reach = np.asarray(abs(operator).sum(axis=1)).ravel() - np.abs(diagonal)
    lowest, highest = float((diagonal - reach).min()), float((diagonal + reach).max())
    return (lowest + highest) / 2, max((highest - lowest) / 2, 1e-12)
