"""The wave packets of a case: followed when a run begins, and stored in ``trajectories.nc``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from wigner_sim.case import Case
from wigner_sim.errors import CaseError
from wigner_sim.grid import FloatArray
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.options import GeometricTerms
from wigner_sim.output import TIME_ATTRIBUTES, Coordinate, VariableSpec, grid_coordinates, write_static
from wigner_sim.problem import Problem
from wigner_sim.trajectories import BandVelocity, wave_packet_trajectories

#: Times at which trajectories are stored.
N_TIMES = 401


def case_trajectories(case: Case, problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Follow the packets of a case.

    Returns
    -------
    times : array (t,)
    points : array (order, packet, t, a)
        Not brought back into one period.

    Raises
    ------
    CaseError
        If the band does not exist.
    """
    section, grid = case.trajectories, problem.grid
    if section.band is None or section.orders is None or section.band not in problem.bands:
        raise CaseError(f"trajectories.band = {section.band} is not among the bands {problem.bands}")
    times = np.linspace(0.0, problem.duration, N_TIMES)
    points = []
    for order in section.orders:
        terms = problem.options.terms if order == problem.options.order else GeometricTerms()
        options = replace(
            problem.options, order=order, terms=terms, split=False, moyal_series="third_derivative"
        )
        velocity = BandVelocity(BandEvolution(problem.hamiltonian, grid, section.band, options))
        found = wave_packet_trajectories(velocity, section.starts, times, grid.periods)
        points.append(np.moveaxis(found, 0, 1))
    return times, np.stack(points)


def write_trajectories(path: Path, case: Case, problem: Problem, attributes: Mapping[str, str]) -> None:
    """Write ``trajectories.nc`` if the case has packets and the file is not there yet."""
    if not case.trajectories.starts or path.exists():
        return
    times, points = case_trajectories(case, problem)
    _, *axes = grid_coordinates(problem.grid, problem.bands)
    specs = [
        VariableSpec(
            axis.name,
            ("order", "packet", "time"),
            str(axis.attributes["units"]),
            f"{axis.attributes['long_name']} of the packet, not brought back into one period",
            "dz_a/dt = V_a(z, t)",
            {"period": axis.attributes["period"], "band": case.trajectories.band or 0},
        )
        for axis in axes
    ]
    coordinates = [
        Coordinate("order", np.asarray(case.trajectories.orders), {"units": "1", "long_name": "order of V"}),
        Coordinate(
            "packet",
            np.arange(points.shape[1]),
            {"units": "1", "long_name": "number of the packet", "cf_role": "trajectory_id"},
        ),
        Coordinate("time", times, TIME_ATTRIBUTES),
    ]
    arrays = {axis.name: points[..., number] for number, axis in enumerate(axes)}
    write_static(path, specs, coordinates, attributes, arrays)
