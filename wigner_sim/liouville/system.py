"""Exact partner of any set-up: one ring or torus, or a family of them labelled by canonical momenta."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.liouville.currents import BondCurrents
from wigner_sim.liouville.evolution import evolve_driven, evolve_driven_fibres, static_waves
from wigner_sim.liouville.occupied import SubspaceState
from wigner_sim.liouville.operators import (
    MAXIMUM_STATES,
    dense_blocks,
    hermitian_operator,
    quantize_hamiltonian,
    refuse_large,
)
from wigner_sim.liouville.projectors import BandProjector, band_projector
from wigner_sim.liouville.snapshots import LiouvilleSnapshot, observe_state
from wigner_sim.liouville.spectrum import Spectrum, diagonalize
from wigner_sim.liouville.states import subspace_state_from_symbol, thermal_subspace_state
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.weyl import (
    BondSampler,
    SiteLattice,
    SymbolFunction,
    bond_sampler,
    canonical_momenta,
    grid_lattice,
)

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

_FEWEST_FIBRES = 32
#: Largest number of matrix elements of a state (1 GB), all fibres together.
MAXIMUM_ELEMENTS = 4 * MAXIMUM_STATES**2


@dataclass(frozen=True, eq=False)
class ExactSystem:
    """Operators, states and evolution under a grid; made by :func:`exact_system`.

    Every operator and state is an array (*p, states, states) with one axis of fibres for each direction that
    has no position axis (none if s = d), and states = sites * orbitals, site-major.

    Parameters
    ----------
    hamiltonian : Hamiltonian
    grid : PhaseSpaceGrid
        Where results are shown; its lengths are the numbers of sites, its ``cell_flux`` the magnetic field.
    lattice : SiteLattice
    n_fibres : tuple of int, length d - s
        Canonical momenta ``2 pi i/n`` per missing axis.
    """

    hamiltonian: Hamiltonian
    grid: PhaseSpaceGrid
    lattice: SiteLattice
    n_fibres: tuple[int, ...]
    _kept: dict[tuple[object, ...], Any] = field(default_factory=dict, repr=False)
    _bonds: dict[float, BondCurrents] = field(default_factory=dict, repr=False)

    @property
    def labels(self) -> list[tuple[float, ...]]:
        """Canonical momenta of the fibres in C order; one empty tuple if no position axis is missing."""
        return list(product(*(canonical_momenta(n).tolist() for n in self.n_fibres)))

    def operator(self, t: float = 0.0) -> ComplexArray:
        """Hamiltonian at time t, (*p, states, states); read-only and kept if static."""
        if self.hamiltonian.time_dependent:
            return self._operator_at(t)
        if ("operator",) not in self._kept:
            self._kept["operator",] = self._operator_at(0.0)
            self._kept["operator",].flags.writeable = False
        return self._kept["operator",]

    def spectrum(self, fibre: int = 0) -> Spectrum:
        """Eigenstates of one fibre (counted in C order) of a static Hamiltonian, kept for later calls."""
        key = ("spectrum", fibre)
        if key not in self._kept:
            self._kept[key] = diagonalize(self._fibres(self.operator())[fibre], self.lattice.sites)
        return self._kept[key]

    def band_projectors(
        self,
        bands: int | Sequence[int] = 0,
        t: float = 0.0,
        method: Literal["auto", "spectral", "purified"] = "auto",
    ) -> list[BandProjector]:
        """Projector on a group of bands in each fibre, see :func:`band_projector` (kept for later calls)."""
        static = not self.hamiltonian.time_dependent
        key = (bands if isinstance(bands, int | np.integer) else tuple(bands), 0.0 if static else t, method)
        if key not in self._kept:
            operators, found = self._fibres(self.operator(t)), list[BandProjector]()
            for i, label in enumerate(self.labels):
                projector = band_projector(
                    operators[i],
                    self.hamiltonian,
                    self.lattice.sites,
                    bands,
                    method,
                    t,
                    self.lattice.cell_flux,
                    label,
                    partial(self.spectrum, i) if static else None,
                    found[0].rank if found else None,
                )
                found.append(projector)
            self._kept[key] = found
        return self._kept[key]

    def band_state_from_symbol(
        self,
        bands: int | Sequence[int],
        symbol: SymbolFunction | NDArray,
        t: float = 0.0,
        grid: PhaseSpaceGrid | None = None,
    ) -> ComplexArray:
        """State ``Pi Op(c) Pi`` with occupation symbol c(x, k).

        Parameters
        ----------
        bands : int or sequence of int
        symbol : callable (x, k) -> (...), or array (*x, *k)
            An array is given on ``grid`` (that of the system if left out) and Fourier-interpolated.
        t : float
            Time whose Hamiltonian defines the bands.
        grid : PhaseSpaceGrid, optional

        Returns
        -------
        array (*p, states, states)
        """
        return self._stacked(self.subspace_states_from_symbol(bands, symbol, t, grid))

    def subspace_states_from_symbol(
        self,
        bands: int | Sequence[int],
        symbol: SymbolFunction | NDArray,
        t: float = 0.0,
        grid: PhaseSpaceGrid | None = None,
    ) -> list[SubspaceState]:
        """The same state, fibre by fibre, by its elements between states of the bands."""
        sites, tau = self.lattice.sites, self.lattice.orbital_positions
        given = None if callable(symbol) else grid or self.grid
        return [
            subspace_state_from_symbol(projector, symbol, sites, tau, given, self.lattice.cell_flux, label)
            for projector, label in zip(self.band_projectors(bands, t), self.labels, strict=True)
        ]

    def thermal_band_state(
        self, bands: int | Sequence[int], chemical_potential: float, temperature: float, t: float = 0.0
    ) -> ComplexArray:
        """Equilibrium ``n_F(Pi H Pi)`` of a group of bands, (*p, states, states); temperature may be 0."""
        return self._stacked(self.thermal_subspace_states(bands, chemical_potential, temperature, t))

    def thermal_subspace_states(
        self, bands: int | Sequence[int], chemical_potential: float, temperature: float, t: float = 0.0
    ) -> list[SubspaceState]:
        """The same state, fibre by fibre, by its elements between states of the bands."""
        operators = self._fibres(self.operator(t))
        return [
            thermal_subspace_state(operator, projector, chemical_potential, temperature)
            for projector, operator in zip(self.band_projectors(bands, t), operators, strict=True)
        ]

    def observe(self, state: ComplexArray, t: float = 0.0) -> LiouvilleSnapshot:
        """Phase-space picture of a state at time t."""
        return self._picture(state, self.operator(t), t)

    def evolve(
        self,
        state: ComplexArray | Sequence[SubspaceState],
        times: Sequence[float],
        initial_time: float = 0.0,
        time_step: float | None = None,
        tolerance: float = 1e-9,
    ) -> Iterator[LiouvilleSnapshot]:
        """Evolve a state given at ``initial_time`` and yield a snapshot at each of ``times``.

        The state is an array, or one :class:`SubspaceState` per fibre; ``time_step`` and ``tolerance``
        concern a time-dependent Hamiltonian only, see :func:`evolve_driven`.
        """
        fibres = self._fibres(state) if isinstance(state, np.ndarray) else state
        histories: Iterator[Sequence[ComplexArray]]
        if not self.hamiltonian.time_dependent:
            waves = [static_waves(rho, self.spectrum(i)) for i, rho in enumerate(fibres)]
            histories = ([wave.at(t - initial_time) for wave in waves] for t in times)
        elif sampler := self._bond_sampler([initial_time, (initial_time + times[-1]) / 2, times[-1]]):
            histories = evolve_driven_fibres(
                sampler.operator, list(fibres), times, initial_time, time_step, tolerance
            )
        else:
            histories = zip(
                *(
                    evolve_driven(self._fibre_operator(label), rho, times, initial_time, time_step, tolerance)
                    for label, rho in zip(self.labels, fibres, strict=True)
                ),
                strict=True,
            )
        for t, current in zip(times, histories, strict=True):
            yield self._picture(self._stacked(current), self.operator(t), t)

    def _picture(self, state: ComplexArray, operator: ComplexArray, t: float) -> LiouvilleSnapshot:
        current = self.bond_currents(t)(state, self.grid)
        return observe_state(state, operator, self.grid, self.lattice.orbital_positions, t, current)

    def bond_currents(self, t: float = 0.0) -> BondCurrents:
        """What measures the particle current of a state at time t."""
        key = t if self.hamiltonian.time_dependent else 0.0
        if key not in self._bonds:
            self._bonds.clear()
            self._bonds[key] = BondCurrents(
                self.lattice, self.labels, lambda label: self._fibre_operator(label)(t)
            )
        return self._bonds[key]

    def _fibre_operator(self, label: tuple[float, ...]) -> Callable[[float], ComplexArray]:
        """``t -> H_p(t)``."""
        return lambda t: quantize_hamiltonian(
            self.hamiltonian, self.lattice.sites, t, self.lattice.cell_flux, label
        )

    def _bond_sampler(self, times: Sequence[float]) -> BondSampler | None:
        """Sparse operators of all fibres, at least at these times; None if the symbol is not short-ranged."""
        found = self._kept.get(("bonds",))
        if found is None or not all(map(found.represents, times)):
            found = bond_sampler(self.hamiltonian.matrix, self.lattice, self.labels, times)
            self._kept["bonds",] = found
        return found

    def _operator_at(self, t: float) -> ComplexArray:
        if (sampler := self._bond_sampler([t])) is not None:
            blocks = dense_blocks(hermitian_operator(self.hamiltonian, sampler, t), len(self.labels))
            return blocks.reshape(*self.n_fibres, *blocks.shape[1:])
        return self._stacked([self._fibre_operator(label)(t) for label in self.labels])

    def _fibres(self, matrices: ComplexArray) -> ComplexArray:
        """One axis of fibres."""
        return matrices.reshape(-1, *matrices.shape[-2:])

    def dense(self, state: Sequence[SubspaceState]) -> ComplexArray:
        """A state as matrices, (*p, states, states)."""
        return self._stacked(state)

    def _stacked(self, fibres: Sequence[ComplexArray | SubspaceState]) -> ComplexArray:
        """One array from the matrices of all fibres."""
        matrices = [rho.dense() if isinstance(rho, SubspaceState) else rho for rho in fibres]
        if len(matrices) == 1:
            return matrices[0].reshape(*self.n_fibres, *matrices[0].shape)
        return np.reshape(matrices, (*self.n_fibres, *matrices[0].shape))


def exact_system(
    hamiltonian: Hamiltonian, grid: PhaseSpaceGrid, n_fibres: int | Sequence[int] | None = None
) -> ExactSystem:
    """Exact partner of a Hamiltonian on a grid with any s <= d position axes, with or without field.

    Parameters
    ----------
    hamiltonian : Hamiltonian
    grid : PhaseSpaceGrid
    n_fibres : int or sequence of int, optional
        Canonical momenta per missing axis.  If left out: an even multiple of the momentum points of the grid,
        so that without a field each momentum of the grid is a fibre of its own; at least 32 of them if there
        is a position axis, fewer would be a rather short crystal.

    Returns
    -------
    ExactSystem

    Raises
    ------
    CaseError
        If the lengths are not whole numbers of sites, the magnetic flux does not close on them (the nearest
        allowed value is named), it has no position axis in its plane, or the matrices would be too large.

    Notes
    -----
    ======================  ==================================  =========================================
    axes                    dense problem                       magnetic field
    ======================  ==================================  =========================================
    s = d                   one ring or torus                   ``B L_x L_y = 2 pi N_phi`` in each plane
    (x; kx, ky), ...        one chain per p_y (and p_z)         ``B L = 2 pi nu``, in planes with x
    (x, y; kx, ky, kz)      one torus per p_z                   both of these
    s = 0                   one n x n matrix per k              none
    ======================  ==================================  =========================================
    """
    if hamiltonian.n_dimensions != grid.n_momentum_axes:
        raise CaseError(
            f"the Hamiltonian {hamiltonian.name!r} has {hamiltonian.n_dimensions} dimensions, "
            f"the grid {grid.n_momentum_axes} momentum axes"
        )
    lattice = grid_lattice(grid, hamiltonian.orbital_positions)
    counts = _fibre_numbers(grid, n_fibres)
    refuse_large(lattice.n_states)
    if prod(counts) * lattice.n_states**2 > MAXIMUM_ELEMENTS:
        raise CaseError(
            f"the exact reference would need {prod(counts)} fibres of {lattice.n_states} states, more than "
            f"{MAXIMUM_ELEMENTS // lattice.n_states**2} of them: use fewer sites or fewer momentum points"
        )
    return ExactSystem(hamiltonian, grid, lattice, counts)


def _fibre_numbers(grid: PhaseSpaceGrid, n_fibres: int | Sequence[int] | None) -> tuple[int, ...]:
    """Fibres per missing axis."""
    missing = grid.n_k[grid.n_position_axes :]
    if n_fibres is None:
        even = [n * (1 + n % 2) for n in missing]
        fewest = _FEWEST_FIBRES if grid.n_position_axes else 1
        return tuple(n * -(-fewest // n) for n in even)
    counts = (n_fibres,) * len(missing) if isinstance(n_fibres, int | np.integer) else tuple(n_fibres)
    if len(counts) != len(missing) or any(n < 1 for n in counts):
        raise CaseError(f"{len(missing)} positive numbers of fibres were expected, got {n_fibres}")
    return tuple(int(n) for n in counts)


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
    system = exact_system(hamiltonian, grid, state.shape[:-2])
    return system.evolve(state, times, initial_time, time_step, tolerance)
