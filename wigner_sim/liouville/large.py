r"""Lattices too large for dense matrices: sparse H, occupied wave functions, Chebyshev polynomials.

The state is ``rho = sum_j w_j |psi_j><psi_j|`` with as many wave functions as the occupation symbol has phase
space cells under it.  Nothing of size states x states is made: the largest arrays are the wave functions
(states x rank) and one matrix sites x sites of what is observed.  A band is selected by a polynomial of H
that steps in its gap, so it needs a global gap; and the symbol of H has to be short-ranged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.special import erfc

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.liouville.currents import current_of_waves, sparse_bonds
from wigner_sim.liouville.evolution import (
    chebyshev_action,
    chebyshev_sum,
    driven_orbitals,
    rescaled,
    spectral_bounds,
)
from wigner_sim.liouville.occupied import factors
from wigner_sim.liouville.operators import MAXIMUM_STATES, Matrix, hermitian_operator, hermitian_part, tidied
from wigner_sim.liouville.projectors import band_windows
from wigner_sim.liouville.snapshots import LiouvilleSnapshot, observe_waves
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.weyl import (
    BondSampler,
    SiteLattice,
    SymbolFunction,
    bond_sampler,
    grid_lattice,
    symbol_to_operator,
)

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

#: Largest number of states, of sites, and of complex numbers in the wave functions (1 GB and a few copies).
MAXIMUM_SPARSE_STATES = 20000
MAXIMUM_SITES = 8192
MAXIMUM_WAVE_ELEMENTS = 1 << 26
#: Columns that are worked on together (they stay near the caches).
_COLUMNS = 64
#: Part of the gap over which the polynomial of a projector steps; error of that step.
_STEP_PART, _STEP_ERROR = 0.75, 1e-14
#: Accuracy of the low-rank form of an occupation, relative to its norm.
_RANK_TOLERANCE = 1e-14


@dataclass(frozen=True, eq=False)
class Waves:
    """``rho = sum_j w_j |psi_j><psi_j|``: columns (states, rank) and weights (rank,)."""

    columns: ComplexArray
    weights: FloatArray

    def __add__(self, other: Waves) -> Waves:
        """Sum of two states."""
        columns = np.concatenate([self.columns, other.columns], axis=1)
        return compressed(Waves(columns, np.concatenate([self.weights, other.weights])))


@dataclass(frozen=True, eq=False)
class LargeSystem:
    """As :class:`ExactSystem` for one large ring or torus; made by :func:`large_system`.

    Parameters
    ----------
    hamiltonian : Hamiltonian
    grid : PhaseSpaceGrid
    lattice : SiteLattice
    """

    hamiltonian: Hamiltonian
    grid: PhaseSpaceGrid
    lattice: SiteLattice
    _samplers: list[BondSampler] = field(default_factory=list, repr=False)

    @cached_property
    def _static_operator(self) -> Matrix:
        return self.operator(0.0)

    def operator(self, t: float = 0.0) -> Matrix:
        """Sparse Hamiltonian at time t, (states, states)."""
        sampler = self._samplers[-1] if self._samplers else None
        if sampler is None or not sampler.represents(t):
            sampler = bond_sampler(self.hamiltonian.matrix, self.lattice, [()], [t])
        if sampler is None:
            raise CaseError(
                f"the Hamiltonian {self.hamiltonian.name!r} joins sites too far apart for a sparse reference "
                f"of {self.lattice.n_states} states: use fewer than {MAXIMUM_STATES}"
            )
        self._samplers[:] = [sampler]
        return tidied(hermitian_operator(self.hamiltonian, sampler, t))

    def subspace_states_from_symbol(
        self,
        bands: int | Sequence[int],
        symbol: SymbolFunction | NDArray,
        t: float = 0.0,
        grid: PhaseSpaceGrid | None = None,
    ) -> list[Waves]:
        """State ``Pi Op(c) Pi`` of a scalar occupation symbol, as a list of one (there is one fibre)."""
        given = None if callable(symbol) else grid or self.grid
        waves = [self._orbital_waves(o, symbol, given) for o in range(self.lattice.n_orbitals)]
        weights = np.concatenate([w.weights for w in waves])
        if self.lattice.n_states * len(weights) > MAXIMUM_WAVE_ELEMENTS:
            raise CaseError(
                f"the exact state needs {len(weights)} wave functions of {self.lattice.n_states} elements: "
                "use a state that occupies less of phase space, or fewer sites"
            )
        columns = np.concatenate([w.columns for w in waves], axis=1)
        project = self._band_filter(bands, t)
        return [compressed(Waves(by_columns(project, columns), weights))]

    def thermal_subspace_states(self, *_: object, **__: object) -> list[Waves]:
        """Refused: an equilibrium fills the band, which needs dense matrices."""
        raise CaseError(
            f"an equilibrium of {self.lattice.n_states} states has no exact reference, only up to "
            f"{MAXIMUM_STATES}: use fewer sites"
        )

    def evolve(
        self,
        states: Sequence[Waves],
        times: Sequence[float],
        initial_time: float = 0.0,
        time_step: float | None = None,
        tolerance: float = 1e-9,
    ) -> Iterator[LiouvilleSnapshot]:
        """As :meth:`ExactSystem.evolve`."""
        (state,) = states
        columns = state.columns
        if self.hamiltonian.time_dependent:
            history = driven_orbitals(self.operator, columns, times, initial_time, time_step, tolerance)
        else:
            history = _static_columns(self._static_operator, columns, times, initial_time)
        tau = self.lattice.orbital_positions
        for t, moved in zip(times, history, strict=True):
            operator = self.operator(t) if self.hamiltonian.time_dependent else self._static_operator
            bonds, elements = sparse_bonds(operator, self.lattice)
            current = current_of_waves(bonds, elements, moved, state.weights, self.grid)
            yield observe_waves(moved, state.weights, operator, self.grid, tau, t, current)

    def _orbital_waves(self, o: int, symbol: SymbolFunction | NDArray, given: PhaseSpaceGrid | None) -> Waves:
        """Occupation of one orbital: a scalar symbol does not mix orbitals."""
        place, n = self.lattice.orbital_positions[o : o + 1], self.lattice.n_orbitals
        matrix = symbol_to_operator(symbol, self.lattice.sites, place, given, self.lattice.cell_flux)
        weights, waves = low_rank(hermitian_part(matrix))
        columns = np.zeros((self.lattice.n_states, len(weights)), dtype=complex)
        columns[o::n] = waves
        return Waves(columns, weights)

    def _band_filter(self, bands: int | Sequence[int], t: float) -> Callable[[ComplexArray], ComplexArray]:
        """``psi -> Pi psi`` by Chebyshev polynomials of H that step in the gaps around the bands."""
        windows = band_windows(self.hamiltonian, self.lattice, bands, t)
        operator = self.operator(t)
        centre, radius = spectral_bounds(operator)
        matrix = rescaled(operator, centre, radius)
        steps = [None if window is None else _step_polynomial(window, centre, radius) for window in windows]

        def project(columns: ComplexArray) -> ComplexArray:
            below, above = steps
            inside = columns if above is None else chebyshev_sum(matrix, columns, above)
            return inside if below is None else inside - chebyshev_sum(matrix, inside, below)

        _check_projector(project, self.lattice.n_states)
        return project


def large_system(hamiltonian: Hamiltonian, grid: PhaseSpaceGrid) -> LargeSystem:
    """Sparse exact partner of a Hamiltonian on a grid with all position axes.

    Raises
    ------
    CaseError
        If a position axis is missing, or there are more than ``MAXIMUM_SPARSE_STATES`` states or
        ``MAXIMUM_SITES`` sites.
    """
    if grid.n_position_axes != grid.n_momentum_axes:
        raise CaseError("a sparse exact reference needs a position axis for every momentum axis")
    lattice = grid_lattice(grid, hamiltonian.orbital_positions)
    n_sites = lattice.n_states // lattice.n_orbitals
    if lattice.n_states > MAXIMUM_SPARSE_STATES or n_sites > MAXIMUM_SITES:
        raise CaseError(
            f"the exact reference would need {lattice.n_states} states on {n_sites} sites, more than "
            f"{MAXIMUM_SPARSE_STATES} on {MAXIMUM_SITES}: use fewer sites"
        )
    return LargeSystem(hamiltonian, grid, lattice)


def low_rank(matrix: ComplexArray) -> tuple[FloatArray, ComplexArray]:
    """Weights and orthonormal columns of a Hermitian matrix, less what is below rounding.

    The range is found by products with random columns, twice as many until nothing is left outside
    (Halko, Martinsson and Tropp, SIAM Review 53, 217 (2011)).
    """
    n, rng = len(matrix), np.random.default_rng(3)
    size, rank = np.linalg.norm(matrix), 64
    probe = rng.normal(size=(n, 4)) / 2
    image = matrix @ probe
    while 3 * rank < n:
        basis, _ = np.linalg.qr(matrix @ (matrix @ rng.normal(size=(n, rank))))
        if np.linalg.norm(image - basis @ (basis.conj().T @ image)) <= _RANK_TOLERANCE * size:
            weights, columns = factors(hermitian_part(basis.conj().T @ matrix @ basis))
            return weights, basis @ columns
        rank *= 2
    return factors(matrix)


def compressed(waves: Waves) -> Waves:
    """The same state with orthonormal wave functions, no more than its rank."""
    basis, triangle = np.linalg.qr(waves.columns)
    weights, columns = factors(hermitian_part((triangle * waves.weights) @ triangle.conj().T))
    return Waves(basis @ columns, weights)


def by_columns(action: Callable[[ComplexArray], ComplexArray], columns: ComplexArray) -> ComplexArray:
    """Apply a linear map some columns at a time, so that its own arrays stay small."""
    result = np.empty_like(columns)
    for start in range(0, columns.shape[1], _COLUMNS):
        chosen = slice(start, start + _COLUMNS)
        result[:, chosen] = action(np.ascontiguousarray(columns[:, chosen]))
    return result


def _static_columns(
    operator: Matrix, columns: ComplexArray, times: Sequence[float], initial_time: float
) -> Iterator[ComplexArray]:
    """``exp(-i H t) psi`` at each time, from one to the next."""
    centre, radius = spectral_bounds(operator)
    matrix, now = rescaled(operator, centre, radius), initial_time
    for t in times:
        if t != now:
            z, phase = radius * (t - now), np.exp(-1j * centre * (t - now))
            columns = by_columns(partial(chebyshev_action, matrix, z=z), columns) * phase
        now = t
        yield columns


def _step_polynomial(window: tuple[float, float], centre: float, radius: float) -> FloatArray:
    """Chebyshev coefficients of a function that is 1 below an energy window and 0 above it, to rounding."""
    middle, width = sum(window) / 2, (window[1] - window[0]) * _STEP_PART
    sigma = width / 2 / 5.5  # erfc(5.5) = 7e-15
    degree = int(12 * radius / sigma) + 16  # coefficients fall as exp(-(degree sigma/2 radius)^2)
    nodes = np.cos(np.pi * (np.arange(2 * degree) + 0.5) / (2 * degree))
    values = erfc((centre + radius * nodes - middle) / sigma) / 2
    coefficients = _fit(values, degree)
    needed = np.flatnonzero(np.abs(coefficients) > _STEP_ERROR / 100)
    return coefficients[: needed[-1] + 1]


def _fit(values: FloatArray, degree: int) -> FloatArray:
    """Coefficients up to a degree from values at the Chebyshev nodes."""
    coefficients = dct(values, type=2) / len(values)
    coefficients[0] /= 2
    return coefficients[:degree]


def _check_projector(project: Callable[[ComplexArray], ComplexArray], n_states: int) -> None:
    """CaseError if applying a projector twice is not the same: there are states in the gap."""
    probe = np.random.default_rng(4).normal(size=(n_states, 4)).astype(complex)
    once = project(probe)
    defect = np.linalg.norm(project(once) - once) / np.linalg.norm(once)
    if defect > 1e-11:
        raise CaseError(
            f"there are states in the gaps around the bands (the projector misses idempotency "
            f"by {defect:.1e}): no energy window selects them: use at most {MAXIMUM_STATES} states"
        )
