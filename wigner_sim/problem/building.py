"""From a validated case to its parts: grid, Hamiltonian, bands, states, equation options, baths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from wigner_sim.baths import Baths, build_baths
from wigner_sim.case import Case, load_case
from wigner_sim.earlier_runs import stored_density
from wigner_sim.errors import CaseError
from wigner_sim.feasibility import check_memory
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.initial_states import InitialState, build_initial_state
from wigner_sim.kinetics.equation import wants_engine
from wigner_sim.kinetics.mean_field import Interaction
from wigner_sim.kinetics.options import EquationOptions, GeometricTerms
from wigner_sim.models import Hamiltonian, build_hamiltonian
from wigner_sim.models.setting import Setting
from wigner_sim.models.uniform_force import with_electric_field, with_force
from wigner_sim.models.vector_potential import with_vector_potential
from wigner_sim.problem.definition import Problem
from wigner_sim.problem.stepper_choice import automatic_stepper
from wigner_sim.steppers import STEPPERS, Composition
from wigner_sim.threads import set_threads
from wigner_sim.wisdom import set_transforms

#: Time differences of a driven Hamiltonian span this part of the run.
DIFFERENCE_FRACTION = 2e-4


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
    set_transforms(case.time.transforms)
    grid = _grid(case)
    hamiltonian = _hamiltonian(case, grid)
    setting = _setting(case, grid).with_numbers(hamiltonian.parameters)
    bands = tuple(range(hamiltonian.n_orbitals)) if case.bands.select == "all" else tuple(case.bands.select)
    options = _equation_options(case)
    name: str = case.time.stepper
    if name == "auto":
        name = automatic_stepper(hamiltonian, grid, bands, options, case.equation.method)
    stepper = STEPPERS[name]
    states: tuple[InitialState, ...] = ()
    if with_initial_states:
        states = tuple(_initial_state(case, grid, setting, bands, index) for index in range(len(bands)))
    baths = build_baths(
        case.relaxation.model_dump(), [table.model_dump() for table in case.reservoirs], setting, len(bands)
    )
    problem = Problem(
        grid,
        hamiltonian,
        bands,
        states,
        replace(options, split=isinstance(stepper, Composition)),
        case.time.end,
        stepper,
        case.time.tolerance,
        baths,
        case.equation.method,
        _interaction(case, baths),
        case.time.precision,
    )
    check_memory(problem.memory)
    _check_precision(problem, case.time.adaptive)
    return problem


def _setting(case: Case, grid: PhaseSpaceGrid) -> Setting:
    return Setting(grid.n_momentum_axes, grid.lengths, case.directory)


def _hamiltonian(case: Case, grid: PhaseSpaceGrid) -> Hamiltonian:
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
        hamiltonian = with_vector_potential(hamiltonian, section.vector_potential, _setting(case, grid))
    if section.force is not None:
        hamiltonian = with_force(hamiltonian, section.force)
    if section.electric_field is not None:
        hamiltonian = with_electric_field(hamiltonian, section.electric_field)
    return hamiltonian


def _equation_options(case: Case) -> EquationOptions:
    equation = case.equation
    return EquationOptions(
        order=equation.order,
        terms=GeometricTerms(**equation.terms.model_dump()),
        dealias=equation.dealias,
        moyal_filter=equation.moyal_filter,
        moyal_series=equation.moyal_series,
        remainder=equation.remainder,
        minimum_gap=case.hamiltonian.minimum_gap,
        difference_step=DIFFERENCE_FRACTION * case.time.end,
        refresh_interval=case.time.end / 8,
    )


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


def _grid(case: Case) -> PhaseSpaceGrid:
    section = case.grid
    n_x, n_k = tuple(section.n_x or ()), tuple(section.n_k or ())
    flux = None
    if np.any(section.magnetic_field):
        flux = _cell_flux(np.atleast_1d(np.asarray(section.magnetic_field, dtype=float)), len(n_k))
    return PhaseSpaceGrid(n_x, n_k, tuple(float(n) for n in section.sites), flux)


def _cell_flux(field: np.ndarray, n_dimensions: int) -> np.ndarray:
    """Antisymmetric flux tensor: one number in two dimensions, components (yz, zx, xy) in three."""
    if n_dimensions == 2:
        return float(field[0]) * np.array([[0.0, 1.0], [-1.0, 0.0]])
    b_x, b_y, b_z = field
    return np.array([[0.0, b_z, -b_y], [-b_z, 0.0, b_x], [b_y, -b_x, 0.0]])


def _initial_state(
    case: Case, grid: PhaseSpaceGrid, setting: Setting, bands: tuple[int, ...], index: int
) -> InitialState:
    parameters = case.initial_state.model_dump()
    kind = parameters.pop("kind")
    if kind == "from_run":
        path, time = case.directory / parameters["run"], parameters["time"]
        return InitialState(stored=stored_density(path, time, bands[index], grid))
    return build_initial_state(kind, parameters, setting, index, len(bands))
