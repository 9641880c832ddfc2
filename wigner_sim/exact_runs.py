"""Exact Liouville-von Neumann partner of a problem: the same Hamiltonian and initial state on the lattice."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from wigner_sim.case import Case
from wigner_sim.errors import CaseError
from wigner_sim.fourier import translate
from wigner_sim.grid import AXIS_LETTERS, PhaseSpaceGrid
from wigner_sim.initial_states import InitialState
from wigner_sim.kinetics.band_sources import to_periodic
from wigner_sim.liouville import (
    MAXIMUM_STATES,
    ExactSystem,
    LargeSystem,
    LiouvilleSnapshot,
    exact_system,
    large_system,
)
from wigner_sim.models.moving_frame import in_moving_frame, momentum_gain
from wigner_sim.observables import component_names
from wigner_sim.output import NetcdfStream, VariableSpec, grid_coordinates
from wigner_sim.problem import Problem, build_problem, read_case
from wigner_sim.progress import Progress
from wigner_sim.provenance import provenance
from wigner_sim.run_directory import EXACT, RunDirectory, create_run_directory
from wigner_sim.runs import Run, open_run
from wigner_sim.si_attributes import si_globals
from wigner_sim.weyl import operator_to_symbol

_log = logging.getLogger("wigner_sim.exact_runs")


def exact_partner(problem: Problem) -> ExactSystem | LargeSystem:
    """The lattice of a problem: dense, then its eigenstates are found once and serve all bands, or sparse."""
    hamiltonian, grid = in_moving_frame(problem.hamiltonian), problem.grid
    states = prod(round(length) for length in grid.lengths) * hamiltonian.n_orbitals
    if states > MAXIMUM_STATES and grid.n_position_axes == grid.n_momentum_axes:
        return large_system(hamiltonian, grid)
    return exact_system(hamiltonian, grid)


def exact_snapshots(
    problem: Problem, index: int, times: Sequence[float], system: ExactSystem | LargeSystem | None = None
) -> Iterator[LiouvilleSnapshot]:
    """Exact evolution of one band's initial state.

    Parameters
    ----------
    problem : Problem
    index : int
        Position among ``problem.bands``.
    times : sequence of float, increasing
    system : ExactSystem, optional
        :func:`exact_partner` of the problem, shared between bands.

    Raises
    ------
    CaseError
        If the state has no exact reading, or the lattice is too large.
    """
    if problem.baths:
        raise CaseError(
            "exact dynamics knows neither collisions nor reservoirs: there is nothing to compare a run "
            "with [relaxation] or [[reservoirs]] with"
        )
    if problem.interaction is not None:
        raise CaseError("exact dynamics knows no mean field: there is nothing to compare this run with")
    system = system or exact_partner(problem)
    band = problem.bands[index]
    state = _exact_state(problem.initial_states[index], system, band)
    snapshots = system.evolve(state, times)
    if problem.hamiltonian.force is None:
        return snapshots
    gain = momentum_gain(problem.hamiltonian)
    return (_at_fixed_momentum(snapshot, problem.grid, gain(snapshot.time)) for snapshot in snapshots)


def exact_matrix_symbol(problem: Problem, index: int) -> np.ndarray:
    """Symbol of one band's exact initial state, (n, n, *x, *k), periodic in k.

    Raises
    ------
    CaseError
        As for :func:`exact_snapshots`.
    """
    system = exact_system(in_moving_frame(problem.hamiltonian), problem.grid)
    state = system.dense(_exact_state(problem.initial_states[index], system, problem.bands[index]))
    symbol = operator_to_symbol(state, problem.grid, problem.hamiltonian.orbital_positions)
    return to_periodic(problem.hamiltonian, symbol, problem.grid.mesh()[1])


def _at_fixed_momentum(
    snapshot: LiouvilleSnapshot, grid: PhaseSpaceGrid, gain: np.ndarray
) -> LiouvilleSnapshot:
    """From the moving frame ``p = k - K`` back to k: translate by K, exactly for band-limited functions."""
    f, n_k = snapshot.distribution, snapshot.momentum_distribution
    for i, shift in enumerate(gain):  # axes counted from the front: pyfftw keeps one plan for -1 and -2
        f = translate(f, grid.n_position_axes + i, shift)
        n_k = translate(n_k, i, shift)
    return replace(snapshot, distribution=f, momentum_distribution=n_k)


def _exact_state(initial: InitialState, system: ExactSystem | LargeSystem, band: int) -> Any:
    """``Pi Op(c) Pi + n_F(Pi H Pi)`` of each fibre."""
    parts: list[Any] = []
    if initial.stored is not None:
        if initial.stored.face != "c":
            raise CaseError(
                "the exact partner of a stored state needs its occupation symbol: let the earlier run store "
                f'output.face = "c" (it stored "{initial.stored.face}")'
            )
        parts.append(system.subspace_states_from_symbol(band, initial.stored.on(system.grid)))
    if initial.occupation is not None:
        parts.append(system.subspace_states_from_symbol(band, initial.occupation))
    if initial.thermal is not None:
        if not initial.thermal.uniform:
            raise CaseError("initial_state: a local equilibrium with mu(x) or T(x) has no exact partner")
        origin = np.zeros((system.grid.n_position_axes, 1))
        mu, temperature = float(initial.thermal.mu(origin)[0]), float(initial.thermal.temperature(origin)[0])
        parts.append(system.thermal_subspace_states(band, mu, temperature))
    return [sum(states[1:], start=states[0]) for states in zip(*parts, strict=True)]


def exact(case: Case | str | Path, overrides: Sequence[str] = (), show_progress: bool = False) -> Run:
    """Run exact dynamics for a case, with the same fields at the times of its ``phase`` stream.

    Written to ``exact/0001`` beside the case's ``runs``; parameters and errors as for
    :func:`wigner_sim.simulation.run`.
    """
    case = read_case(case, overrides)
    problem = build_problem(case)
    times = output_times(case)
    # zip takes the first record of every band now: what cannot be computed is refused before anything is made
    system = exact_partner(problem)
    records = zip(
        *(exact_snapshots(problem, index, times, system) for index in range(len(problem.bands))), strict=True
    )
    first = next(records)
    directory = create_run_directory(case, case.directory / EXACT)
    with ExitStack() as stack:
        stack.enter_context(directory.lock())
        stack.enter_context(directory.logging_to_file())
        streams = _open_streams(stack, problem, case, directory)
        progress = stack.enter_context(Progress(0.0, times[-1], show_progress))
        _log.info("exact run in %s", directory.path)
        time = 0.0
        try:
            for time, record in zip(times, chain([first], records), strict=True):
                for name, arrays in _arrays(record, first).items():
                    streams[name].append(time, arrays)
                progress.update(time, {})
                directory.write_status(_status("running", time, times))
        except BaseException as error:
            reason = str(error) or type(error).__name__
            directory.write_status(_status(f"stopped: {reason}", time, times))
            raise
        directory.write_status(_status("complete", time, times))
    return open_run(directory.path)


def _open_streams(
    stack: ExitStack, problem: Problem, case: Case, directory: RunDirectory
) -> dict[str, NetcdfStream]:
    """The files of an exact run, closed with the stack."""
    attributes = provenance(
        case.title,
        directory.case_text,
        case.to_toml(),
        str(uuid.uuid4()),
        case_name=case.name,
        method="exact",
    ) | si_globals(case.unit_system(problem.hamiltonian.lattice_vectors))
    coordinates = grid_coordinates(problem.grid, problem.bands)
    return {
        name: stack.enter_context(
            NetcdfStream(directory.stream_path(name), variables, coordinates, attributes)
        )
        for name, variables in _variables(problem).items()
    }


def _status(state: str, time: float, times: Sequence[float]) -> dict[str, Any]:
    return {"state": state, "time": time, "end": times[-1], "method": "exact"}


def output_times(case: Case) -> list[float]:
    """Times at which a comparison is made: multiples of ``output.phase_every``, and the end."""
    every, end = case.output.phase_every, case.time.end
    if not isinstance(every, float) or every >= end:
        return [0.0, end]
    times = np.arange(0, int(np.floor(end / every * (1 + 1e-9))) + 1) * every
    return [*times[times < end * (1 - 1e-9)].tolist(), end]


def _variables(problem: Problem) -> dict[str, list[VariableSpec]]:
    grid = problem.grid
    head = ("time", "band")
    scalars = [
        VariableSpec("particle_number", head, "1", "particle number", "tr rho"),
        VariableSpec("energy", head, "1", "energy", "tr rho H"),
        VariableSpec(
            "particle_number_drift", head, "1", "relative change of the particle number since time 0"
        ),
        VariableSpec("energy_drift", head, "1", "relative change of the energy since time 0"),
    ]
    fields = [
        VariableSpec("density", (*head, *grid.position_names), "1", "density per cell"),
        VariableSpec("momentum_distribution", (*head, *grid.momentum_names), "1", "momentum distribution"),
    ]
    for name in component_names("current", grid):
        about = f"particle current density along {name[-1]}"
        fields.append(VariableSpec(name, (*head, *grid.position_names), "1", about, "Re v rho along bonds"))
    phase = [VariableSpec("f", (*head, *grid.dims), "1", "exact band density f", "tr F")]
    return {"scalars": scalars, "fields": fields, "phase": phase}


def _arrays(
    record: Sequence[LiouvilleSnapshot], first: Sequence[LiouvilleSnapshot]
) -> dict[str, dict[str, np.ndarray]]:
    number = np.array([snapshot.particle_number for snapshot in record])
    energy = np.array([snapshot.energy for snapshot in record])
    number_0 = np.array([snapshot.particle_number for snapshot in first])
    energy_0 = np.array([snapshot.energy for snapshot in first])
    tiny = np.finfo(float).tiny
    return {
        "scalars": {
            "particle_number": number,
            "energy": energy,
            "particle_number_drift": (number - number_0) / np.maximum(np.abs(number_0), tiny),
            "energy_drift": (energy - energy_0) / np.maximum(np.abs(energy_0), tiny),
        },
        "fields": {
            "density": np.stack([snapshot.density for snapshot in record]),
            "momentum_distribution": np.stack([snapshot.momentum_distribution for snapshot in record]),
            **{
                f"current_{AXIS_LETTERS[i]}": np.stack([snapshot.current[i] for snapshot in record])
                for i in range(len(record[0].current))
            },
        },
        "phase": {"f": np.stack([snapshot.distribution for snapshot in record])},
    }
