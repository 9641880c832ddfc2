"""From a validated case to the physical problem: grid, Hamiltonian, bands, states, equation options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from wigner_sim.baths import Baths, build_baths
from wigner_sim.case import Case, load_case
from wigner_sim.earlier_runs import stored_density
from wigner_sim.errors import CaseError
from wigner_sim.expressions import Expression
from wigner_sim.feasibility import check_memory, check_step_count, matrix_memory_needed, memory_needed
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.initial_states import InitialState, build_initial_state
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_stack import BandStack
from wigner_sim.kinetics.equation import wants_engine
from wigner_sim.kinetics.interacting_stack import InteractingStack
from wigner_sim.kinetics.mean_field import Interaction
from wigner_sim.kinetics.options import EquationOptions, GeometricTerms
from wigner_sim.kinetics.phase_space_system import PhaseSpaceSystem
from wigner_sim.matrix_moyal import MatrixMoyal
from wigner_sim.models import Hamiltonian, build_hamiltonian
from wigner_sim.models.setting import Setting
from wigner_sim.models.vector_potential import with_vector_potential
from wigner_sim.parallel import thread_count
from wigner_sim.steppers import STEPPERS, Composition, Stepper, choose_step
from wigner_sim.steppers.adaptive import ChosenStep
from wigner_sim.threads import set_threads

#: Time differences of a driven Hamiltonian span this part of the run.
DIFFERENCE_FRACTION = 2e-4
#: Times of the run at which the stiffness of a driven Hamiltonian is looked at.
N_PROBED_TIMES = 5
#: Relaxation undone by one backward substep of a composition scheme (it grows as the exponential of this).
LARGEST_BACKWARD = 1.0


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
    baths : Baths
        Collisions and reservoirs.
    method : {"kinetic", "matrix"}
        The kinetic equation of each band, or the full matrix equation.
    interaction : Interaction, optional
        The electrons' mean field.
    precision : {"float64", "float32"}
        Of the state that is stepped.
    """

    grid: PhaseSpaceGrid
    hamiltonian: Hamiltonian
    bands: tuple[int, ...]
    initial_states: tuple[InitialState, ...]
    options: EquationOptions
    duration: float
    stepper: Stepper
    tolerance: float
    baths: Baths = field(default_factory=Baths)
    method: Literal["kinetic", "matrix"] = "kinetic"
    interaction: Interaction | None = None
    precision: str = "float64"

    def stack(self) -> PhaseSpaceSystem:
        """The kinetic equations of all bands, or the matrix equation."""
        if self.method == "matrix" and (self.baths or self.interaction is not None):
            raise CaseError("the matrix equation knows no collisions, no reservoirs and no mean field")
        if self.method == "matrix":
            return MatrixMoyal(self.hamiltonian, self.grid, self.bands, self.options)
        bands = [BandEvolution(self.hamiltonian, self.grid, band, self.options) for band in self.bands]
        if self.interaction is not None:
            return InteractingStack(bands, interaction=self.interaction)
        return BandStack(bands, self.baths.terms(bands))

    def initial_density(self, stack: PhaseSpaceSystem) -> np.ndarray:
        """Densities w of all bands at time 0, shape (b, *x, *k).

        Raises
        ------
        CaseError
            If the state is not finite somewhere.
        """
        densities = []
        for state, band in zip(self.initial_states, stack.bands, strict=True):
            with np.errstate(all="ignore"):
                densities.append(state.density(band.effective(0.0)))
            if not np.isfinite(densities[-1]).all():
                raise CaseError(
                    f"initial_state: the density of band {band.band} is not finite everywhere: "
                    "a width or temperature is too small, or a value too large"
                )
        return np.stack(densities).astype(self.precision, copy=False)

    def choose_step(self, stack: PhaseSpaceSystem, w: np.ndarray, tolerance: float) -> ChosenStep:
        """Largest step that is stable and accurate to ``tolerance`` by the end, see ``steppers.choose_step``.

        A driven Hamiltonian is tried at its start, in the middle of the run and when it is stiffest.
        """
        radii = self._spectral_radii(stack)
        check_step_count(self.duration * max(radii.values()) / self.stepper.stability_limit)
        stiffest = max(radii, key=lambda time: radii[time])
        times = {0.0, 0.5 * self.duration, stiffest} if self.hamiltonian.driven else {0.0}
        try:
            start = w.astype(
                np.promote_types(w.dtype, float), copy=False
            )  # rounding of a short state would be taken for an error
            choices = [
                choose_step(self.stepper, stack, start, time, self.duration, tolerance) for time in times
            ]
        except OverflowError:
            check_step_count(np.inf)
            raise
        chosen = min(choices, key=lambda choice: choice.dt)
        check_step_count(self.duration / chosen.dt)
        return chosen

    def precision_note(self, stack: PhaseSpaceSystem, w: np.ndarray, dt: float) -> str:
        """What rounding does in one step of a state in float32, measured; nothing for float64."""
        if self.precision == "float64":
            return ""
        short, exact = (self.stepper.step(stack, w.astype(kind), 0.0, dt) for kind in (self.precision, float))
        error = float(np.abs(short - exact).max() / np.abs(exact).max())
        return f"; {self.precision}: rounding of one step is {error:.1e} of max|w|"

    def stability_limit(self, stack: PhaseSpaceSystem) -> float:
        """Largest stable step at any time of the run."""
        radius = max(self._spectral_radii(stack).values())
        return self.stepper.stability_limit / radius if radius else np.inf

    def check_backward_steps(self, stack: PhaseSpaceSystem, step: float) -> None:
        """Refuse a step over which a composition scheme would undo collisions that cannot be undone.

        Raises
        ------
        CaseError
        """
        if not isinstance(self.stepper, Composition) or not isinstance(stack, BandStack):
            return
        backward = -min(0.0, *self.stepper.fractions) * step
        rate = sum(coupling.spectral_radius(0.0) for coupling in stack.couplings)
        if backward * rate > LARGEST_BACKWARD:
            raise CaseError(
                f"time.step = {step:g} lets {self.stepper.name} go back in time by {backward:.3g}, too far "
                f"for collisions with the rate {rate:.3g}: use a step below "
                f"{step * LARGEST_BACKWARD / (backward * rate):.3g}, or strang"
            )

    def _spectral_radii(self, stack: PhaseSpaceSystem) -> dict[float, float]:
        """Spectral radius at a few times of the run (at its start, for a static Hamiltonian)."""
        n_times = N_PROBED_TIMES if self.hamiltonian.driven else 1
        times = np.linspace(0.0, self.duration, n_times)
        return {float(time): stack.spectral_radius(float(time)) for time in times}

    @property
    def memory(self) -> float:
        """About what a run needs at its largest, in bytes."""
        h = self.hamiltonian
        if self.method == "matrix":
            return matrix_memory_needed(self.grid, h.n_orbitals)
        return memory_needed(self.grid, h.n_orbitals, self.options.order, h.separable, h.driven)

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
            baths=self.baths.dilated(dilation),
            interaction=None if self.interaction is None else self.interaction.dilated(dilation),
        )

    def with_order(self, order: int) -> Problem:
        """The same problem at another order in gradients."""
        return replace(self, options=replace(self.options, order=order))


def read_case(case: Case | str | Path, overrides: Sequence[str] = ()) -> Case:
    """A case, or the one at a path, with ``"section.key=value"`` overrides applied."""
    case = case if isinstance(case, Case) else load_case(case)
    return case.with_overrides(overrides) if overrides else case


def build_problem(case: Case, with_initial_states: bool = True) -> Problem:
    """Build the physical problem of a case.

    Parameters
    ----------
    case : Case
    with_initial_states : bool
        A run that is resumed has its state already, and what the initial one came from may be gone.

    Raises
    ------
    CaseError
        If any part of it cannot be built as written.
    """
    set_threads(case.time.threads)
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
    stepper = _stepper(case.time.stepper, hamiltonian)
    equation = case.equation
    options = EquationOptions(
        order=equation.order,
        terms=GeometricTerms(**equation.terms.model_dump()),
        split=isinstance(stepper, Composition),
        dealias=equation.dealias,
        moyal_filter=equation.moyal_filter,
        moyal_series=equation.moyal_series,
        remainder=equation.remainder,
        minimum_gap=section.minimum_gap,
        difference_step=DIFFERENCE_FRACTION * case.time.end,
        refresh_interval=case.time.end / 8,
    )
    states: tuple[InitialState, ...] = ()
    if with_initial_states:
        states = tuple(_initial_state(case, grid, hamiltonian, bands, index) for index in range(len(bands)))
    setting = Setting(grid.n_momentum_axes, grid.lengths, case.directory).with_numbers(hamiltonian.parameters)
    baths = build_baths(
        case.relaxation.model_dump(), [table.model_dump() for table in case.reservoirs], setting, len(bands)
    )
    problem = Problem(
        grid,
        hamiltonian,
        bands,
        states,
        options,
        case.time.end,
        stepper,
        case.time.tolerance,
        baths,
        equation.method,
        _interaction(case, baths),
        case.time.precision,
    )
    check_memory(problem.memory)
    _check_precision(problem, case.time.adaptive)
    return problem


def _interaction(case: Case, baths: Baths) -> Interaction | None:
    section = case.mean_field
    if section.kind == "none":
        return None
    if baths:
        raise CaseError(
            "[mean_field] cannot be combined with [relaxation] or [[reservoirs]]: the equilibrium they relax "
            "to would have to follow the mean field"
        )
    background = None if section.background == "mean" else section.background
    return Interaction(section.kind, section.strength, section.screening, background)


def _check_precision(problem: Problem, adaptive: bool) -> None:
    """A state in float32 is for fixed steps of the compiled engine."""
    plain = problem.method == "kinetic" and not problem.baths and problem.interaction is None
    engine = plain and wants_engine(problem.grid, problem.options)
    if problem.precision == "float32" and (adaptive or not engine):
        raise CaseError(
            'time.precision = "float32" needs a splitting stepper in compiled blocks (numba, a position axis)'
            " and time.adaptive = false, without collisions, reservoirs or mean field"
        )


def _stepper(name: str, hamiltonian: Hamiltonian) -> Stepper:
    """The stepper a case names; "auto" by the kind of Hamiltonian."""
    if name == "auto":
        name = "blanes_moan4" if hamiltonian.separable else "rk4"
    return STEPPERS[name]


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
    numbers = Setting(n).with_numbers(hamiltonian.parameters).numbers
    components = [
        Expression(source, ("t",), numbers, f"hamiltonian.force[{i}]") for i, source in enumerate(force)
    ]
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
    case: Case, grid: PhaseSpaceGrid, hamiltonian: Hamiltonian, bands: tuple[int, ...], index: int
) -> InitialState:
    parameters = case.initial_state.model_dump()
    kind = parameters.pop("kind")
    if kind == "from_run":
        path, time = case.directory / parameters["run"], parameters["time"]
        return InitialState(stored=stored_density(path, time, bands[index], grid))
    setting = Setting(grid.n_momentum_axes, grid.lengths, case.directory).with_numbers(hamiltonian.parameters)
    return build_initial_state(kind, parameters, setting, index, len(bands))


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
    equation = (
        f"order {options.order}, switched off: {off}, dealias {options.dealias}, "
        f"Moyal filter {options.moyal_filter}, Moyal series {options.moyal_series}"
    )
    if problem.method == "matrix":
        equation = f"full matrix, all orders; bands to order {options.order}"
    how = "on whole arrays"
    if problem.method == "kinetic" and problem.interaction is None and wants_engine(grid, options):
        how = f"in compiled blocks, remainder {options.remainder}"
    return [
        f"grid: {points}; position periods in lattice constants: {size}",
        f"Hamiltonian: {h.name}, {h.n_orbitals} orbitals, {kind}{force}, {driven}; bands {bands}",
        f"equation: {equation}",
        f"stepping: {problem.stepper.name} {how}, {problem.precision}, threads: {thread_count()}",
        *problem.baths.describe(),
        *([] if problem.interaction is None else [f"mean field: {problem.interaction.kind} interaction"]),
    ]
