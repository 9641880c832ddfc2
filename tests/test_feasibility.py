"""Warnings about strong gradients come when, and only when, exact dynamics leaves the band."""

from pathlib import Path

import numpy as np
import pytest

from wigner_sim.case import Case, load_case
from wigner_sim.errors import CaseError
from wigner_sim.feasibility import check_gradients, memory_needed
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.problem import build_problem

CHAIN = {
    "grid": {"sites": [24], "n_x": [32], "n_k": [64]},
    "hamiltonian": {"source": "named:rice_mele", "parameters": {"t1": 1.0, "t2": 0.6, "delta": 0.2}},
    "initial_state": {"kind": "symbol", "c": 1.0},
    "time": {"end": 1.0},
}


def warnings_of(potential: str) -> list[str]:
    case = Case.from_dict(CHAIN | {"hamiltonian": CHAIN["hamiltonian"] | {"potential": potential}})
    return check_gradients(build_problem(case).stack())


def test_a_force_that_tunnels_is_warned_of():
    (warning,) = warnings_of("3.0*cos(2*pi*x/L)")
    assert "order-2 correction" in warning
    assert "band 0" in warning


def test_a_gentle_force_is_not():
    assert warnings_of("0.2*cos(2*pi*x/L)") == []


def test_shipped_cases_are_within_the_expansion():
    for directory in sorted((Path(__file__).parents[1] / "cases").iterdir()):
        if (directory / "case.toml").exists() and directory.name in ("texture_1d", "rice_mele_potential"):
            assert check_gradients(build_problem(load_case(directory)).stack()) == []


def test_a_negative_density_of_states_is_refused():
    class Effective:
        density_of_states = np.array([1.0, -0.1])
        energy = (np.zeros(2),)

    class Band:
        band = 0

        def effective(self, t):
            return Effective()

    class Stack:
        bands = (Band(),)

    with pytest.raises(CaseError, match="not positive"):
        check_gradients(Stack())


@pytest.mark.parametrize(("order", "measured"), [(0, 307), (1, 522), (2, 1014)])
def test_memory_of_a_driven_crystal_is_forecast_as_measured(order, measured):
    """On 12^4 points, in sizes of w: ``benchmarks/bench_general.py`` measures it."""
    grid = PhaseSpaceGrid((12, 12), (12, 12), (12.0, 12.0))
    driven, still = (memory_needed(grid, 2, order, False, each) / (8 * 12**4) for each in (True, False))
    assert 1 / 1.2 < driven / measured < 1.2
    assert driven - still > 190  # energies and velocities at 32 nodes in time, and six to interpolate
