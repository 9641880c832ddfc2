"""From a validated case to the physical problem: grid, Hamiltonian, bands, states, equation options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wigner_sim.case import Case
from wigner_sim.errors import CaseError
from wigner_sim.expressions import Expression
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.initial_states import InitialState, StoredDensity, build_initial_state
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_stack import BandStack
from wigner_sim.kinetics.options import EquationOptions, GeometricTerms
from wigner_sim.models import Hamiltonian, build_hamiltonian
from wigner_sim.models.setting import Setting
from wigner_sim.models.vector_potential import with_vector_potential
from wigner_sim.observables import spectral_tail
from wigner_sim.runs import open_run, phase_variable
from wigner_sim.steppers import STEPPERS, Composition, Stepper

#: Time differences of a driven Hamiltonian span this part of the run.
DIFFERENCE_FRACTION = 2e-4
#: Spectral tail of a band energy above which the grid cannot carry the crystal.
COARSEST_TAIL = 1e-2


@dataclass(frozen=True)
class Problem:
    """What is to be solved, free of how it is stored or shown.

    Parameters
    ----------
    grid : PhaseSpaceGrid
    hamiltonian : Hamiltonian
    bands : tuple of int
    initial_states : tuple of InitialState
        One per band.
    options : EquationOptions
    duration : float, time
    stepper : Stepper
    tolerance : float
        Error allowed by the end, relative to max|w|, where the program chooses the step.
    """

    grid: PhaseSpaceGrid
    hamiltonian: Hamiltonian
    bands: tuple[int, ...]
    initial_states: tuple[InitialState, ...]
    options: EquationOptions
    duration: float
    stepper: Stepper
    tolerance: float

    def stack(self) -> BandStack:
        """The kinetic equations of all bands."""
        return BandStack(
            [BandEvolution(self.hamiltonian, self.grid, band, self.options) for band in self.bands]
        )

    def initial_density(self, stack: BandStack) -> np.ndarray:
        """Densities w of all bands at time 0, shape (b, *x, *k)."""
        states = zip(self.initial_states, stack.bands, strict=True)
        return np.stack([state.density(band.effective(0.0)) for state, band in states])

    def dilated(self, dilation: float) -> Problem:
        """H(x/dilation, k, t/dilation) on a crystal longer by ``dilation``, and for a time longer by it."""
        return replace(
            self,
            grid=self.grid.dilated(dilation),
            hamiltonian=self.hamiltonian.dilated(dilation),
            initial_states=tuple(state.dilated(dilation) for state in self.initial_states),
            options=replace(
                self.options,
                difference_step=self.options.difference_step * dilation,
                refresh_interval=self.options.refresh_interval * dilation,
            ),
            duration=self.duration * dilation,
        )

    def with_order(self, order: int) -> Problem:
        """The same problem at another order in gradients."""
        return replace(self, options=replace(self.options, order=order))


def build_problem(case: Case) -> Problem:
    """Build the physical problem of a case.

    Raises
    ------
    CaseError
        If any part of it cannot be built as written.
    """
    grid = _grid(case)
    section = case.hamiltonian
    parameters = dict(section.parameters)
    for name in ("terms", "hoppings", "orbital_positions", "lattice_vectors"):
        if getattr(section, name) is not None:
            parameters[name] = getattr(section, name)
    hamiltonian = build_hamiltonian(
        section.source.removeprefix("named:"),
        parameters,
        section.potential,
        grid.n_momentum_axes,
        grid.n_position_axes,
        grid.lengths,
        case.directory,
    )
    if section.vector_potential is not None:
        setting = Setting(grid.n_momentum_axes, grid.lengths, case.directory)
        hamiltonian = with_vector_potential(hamiltonian, section.vector_potential, setting)
    if section.force is not None:
        hamiltonian = _with_force(hamiltonian, section.force)
    bands = tuple(range(hamiltonian.n_orbitals)) if case.bands.select == "all" else tuple(case.bands.select)
    stepper = STEPPERS[case.time.stepper]
    equation = case.equation
    options = EquationOptions(
        order=equation.order,
        terms=GeometricTerms(**equation.terms.model_dump()),
        split=isinstance(stepper, Composition),
        dealias=equation.dealias,
        moyal_filter=equation.moyal_filter,
        moyal_series=equation.moyal_series,
        minimum_gap=section.minimum_gap,
        difference_step=DIFFERENCE_FRACTION * case.time.end,
        refresh_interval=case.time.end / 8,
    )
    states = tuple(_initial_state(case, grid, hamiltonian, band, index) for index, band in enumerate(bands))
    return Problem(grid, hamiltonian, bands, states, options, case.time.end, stepper, case.time.tolerance)


def check_resolution(problem: Problem, stack: BandStack) -> list[str]:
    """Refuse a grid that cannot carry the bands; return warnings for one that barely can.

    Raises
    ------
    CaseError
        Naming the axis, its points and how much finer it should be.
    """
    warnings = []
    for band in stack.bands:
        effective = band.effective(0.0)
        for axis, name in enumerate(problem.grid.dims):
            h = np.broadcast_to(effective.energy[0], problem.grid.shape)
            tail, n = spectral_tail(h - h.mean(), [axis]), problem.grid.shape[axis]
            where = f"band {band.band} along {name} on {n} points has a spectral tail of {tail:.1g}"
            if tail > COARSEST_TAIL:
                raise CaseError(
                    f"the energy of {where}: the field is under-resolved, use at least {2 * n} points"
                )
            if tail > 1e-6:
                warnings.append(f"the energy of {where}; {2 * n} points would resolve it better")
    return warnings


def _grid(case: Case) -> PhaseSpaceGrid:
    section = case.grid
    n_x, n_k = tuple(section.n_x or ()), tuple(section.n_k or ())
    flux = None
    if np.any(section.magnetic_field):
        flux = _cell_flux(np.atleast_1d(np.asarray(section.magnetic_field, dtype=float)), len(n_k))
    return PhaseSpaceGrid(n_x, n_k, tuple(float(n) for n in section.sites), flux)


def _with_force(hamiltonian: Hamiltonian, force: Sequence[float | str]) -> Hamiltonian:
    """Add the uniform force of a case."""
    n = hamiltonian.n_dimensions
    if len(force) != n:
        raise CaseError(f"hamiltonian.force: expected one entry per momentum axis ({n}), got {len(force)}")
    components = [Expression(source, ("t",), {}, f"hamiltonian.force[{i}]") for i, source in enumerate(force)]
    return replace(
        hamiltonian,
        force=lambda t: np.array([float(component(t=t)) for component in components]),
        force_varies=not all(component.constant for component in components),
    )


def _cell_flux(field: np.ndarray, n_dimensions: int) -> np.ndarray:
    """Antisymmetric flux tensor: one number in two dimensions, components (yz, zx, xy) in three."""
    if n_dimensions == 2:
        return float(field[0]) * np.array([[0.0, 1.0], [-1.0, 0.0]])
    b_x, b_y, b_z = field
    return np.array([[0.0, b_z, -b_y], [-b_z, 0.0, b_x], [b_y, -b_x, 0.0]])


def _initial_state(
    case: Case, grid: PhaseSpaceGrid, hamiltonian: Hamiltonian, band: int, index: int
) -> InitialState:
    parameters = case.initial_state.model_dump()
    kind = parameters.pop("kind")
    if kind == "from_run":
        return InitialState(stored=_stored_density(case, parameters["run"], parameters["time"], band, grid))
    setting = Setting(grid.n_momentum_axes, grid.lengths, case.directory).with_numbers(hamiltonian.parameters)
    return build_initial_state(kind, parameters, setting, index)


def _stored_density(case: Case, run: str, time: float, band: int, grid: PhaseSpaceGrid) -> StoredDensity:
    """Phase-space values of one band from an earlier run."""
    with open_run(case.directory / run) as earlier:
        stored = phase_variable(earlier.phase)
        if band not in stored["band"].values:
            raise CaseError(
                f"initial_state.run: {earlier.path} has no band {band}, only {list(stored['band'].values)}"
            )
        times = stored["time"].values
        wanted = times[-1] if time == -1.0 else time
        nearest = times[np.abs(times - wanted).argmin()]
        if abs(nearest - wanted) > 1e-9 * max(1.0, abs(wanted)):
            raise CaseError(
                f"initial_state.time: {earlier.path} has no state at {wanted:g}; nearest: {nearest:g}"
            )
        values = np.asarray(stored.sel(band=band, time=nearest), dtype=float)
        if values.ndim != grid.n_axes:
            raise CaseError(
                f"initial_state.run: {earlier.path} has axes {stored.dims[2:]}, this case {grid.dims}"
            )
        face = str(stored.name)
    return StoredDensity(face, values)  # type: ignore[arg-type]


def describe(problem: Problem) -> Sequence[str]:
    """A few lines on what will be solved."""
    grid, options = problem.grid, problem.options
    points = ", ".join(f"{n} points in {name}" for n, name in zip(grid.shape, grid.dims, strict=True))
    size = ", ".join(f"{length:g}" for length in grid.lengths) or "none (homogeneous)"
    h = problem.hamiltonian
    kind = "H0(k) + U(x, t)" if h.separable else "H(x, k, t)"
    driven = "driven" if h.driven else "static"
    force = "" if h.force is None else " with a uniform force"
    bands = ", ".join(map(str, problem.bands))
    off = ", ".join(options.terms.switched_off()) or "nothing"
    moyal = f"Moyal filter {options.moyal_filter}, Moyal series {options.moyal_series}"
    return [
        f"grid: {points}; position periods in lattice constants: {size}",
        f"Hamiltonian: {h.name}, {h.n_orbitals} orbitals, {kind}{force}, {driven}; bands {bands}",
        f"equation: order {options.order}, switched off: {off}, dealias {options.dealias}, {moyal}",
    ]
