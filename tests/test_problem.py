"""From a case to the problem: every key reaches what it is about, and what cannot be done is refused."""

import numpy as np
import pytest
from tiny_cases import CHAIN, DRIVEN_CHAIN, PUMP, TEXTURE, make_case

from wigner_sim import feasibility
from wigner_sim.errors import BandTouchingError, CaseError
from wigner_sim.feasibility import check_memory, check_resolution, check_step_count, state_warnings
from wigner_sim.models import build as build_module
from wigner_sim.problem import build_problem, describe, read_case
from wigner_sim.problem.definition import N_PROBED_TIMES
from wigner_sim.simulation import check
from wigner_sim.steppers import STEPPERS


def problem_of(tmp_path, data=TEXTURE, **changes):
    return build_problem(make_case(tmp_path, data, **changes))


def test_every_key_arrives(tmp_path):
    problem = problem_of(
        tmp_path,
        CHAIN,
        bands__select=[1],
        equation={
            "order": 1,
            "terms": {"berry": False},
            "dealias": "smooth",
            "moyal_filter": "bounded",
            "moyal_series": "all_orders",
        },
        time={"end": 2.0, "stepper": "strang", "tolerance": 1e-3},
        hamiltonian__minimum_gap=0.2,
    )
    options = problem.options
    assert problem.grid.shape == (16, 16)
    assert problem.grid.lengths == (8.0,)
    assert problem.bands == (1,)
    assert (options.order, options.dealias, options.moyal_filter) == (1, "smooth", "bounded")
    assert options.moyal_series == "all_orders"
    assert options.terms.switched_off() == ["berry"]
    assert options.split
    assert options.minimum_gap == 0.2
    assert problem.stepper is STEPPERS["strang"]
    assert (problem.duration, problem.tolerance) == (2.0, 1e-3)
    assert not problem_of(tmp_path, CHAIN, time={"end": 2.0, "stepper": "rk4"}).options.split


def test_all_bands(tmp_path):
    assert problem_of(tmp_path, hamiltonian__source="named:trimer", bands__select="all").bands == (0, 1, 2)


@pytest.mark.parametrize(
    ("field", "momenta", "expected"),
    [
        (0.3, 2, [[0, 0.3], [-0.3, 0]]),
        ([0.1, 0.2, 0.3], 3, [[0, 0.3, -0.2], [-0.3, 0, 0.1], [0.2, -0.1, 0]]),
    ],
)
def test_magnetic_field_is_the_flux_through_a_cell(field, momenta, expected, tmp_path):
    """[k_i, k_j] = -i eps_ijl B_l."""
    terms = [{"matrix": "sz", "k": "1.0"}]
    case = make_case(
        tmp_path,
        grid={"sites": [], "n_k": [4] * momenta, "magnetic_field": field},
        hamiltonian={"source": "terms", "terms": terms},
    )
    from wigner_sim.problem.building import _grid

    grid = _grid(case)
    np.testing.assert_allclose(grid.cell_flux, expected)
    np.testing.assert_allclose(grid.epsilon, -np.asarray(expected))


def test_description(tmp_path):
    text = "\n".join(describe(problem_of(tmp_path, DRIVEN_CHAIN, equation__terms={"metric": False})))
    for words in ("16 points in x", "H0(k) + U(x, t), driven", "bands 0", "switched off: metric", "order 2"):
        assert words in text
    homogeneous = problem_of(
        tmp_path,
        grid={"sites": [], "n_k": [16]},
        hamiltonian={"source": "named:ssh"},
        initial_state={"kind": "symbol", "c": "cos(k)"},
    )
    assert "none (homogeneous)" in describe(homogeneous)[0]


def test_overrides_apply_to_paths_and_cases_alike(tmp_path):
    case = make_case(tmp_path)
    assert read_case(case) is case
    assert read_case(case, ["time.end=3.0"]).time.end == 3.0
    (tmp_path / "case.toml").write_text(case.to_toml())
    assert read_case(tmp_path, ["time.end=3.0"]).time.end == 3.0


def test_resumed_problems_need_no_initial_state(tmp_path):
    case = make_case(tmp_path, initial_state={"kind": "from_run", "run": "gone"})
    assert build_problem(case, with_initial_states=False).initial_states == ()
    with pytest.raises(CaseError):
        build_problem(case)


# --- refused ---


def test_touching_bands_are_refused_with_place_and_gap(tmp_path):
    mass = {"source": "named:rice_mele", "parameters": {"t2": 1.0, "delta": "0.1 + 0.1*cos(2*pi*x/L)"}}
    case = make_case(tmp_path, CHAIN, hamiltonian=mass)
    with pytest.raises(BandTouchingError, match=r"falls to .* at x = 4, kx = -?3.142") as caught:
        check(case)
    assert caught.value.gap == pytest.approx(0.0, abs=1e-9)
    assert caught.value.position == (4.0,)
    assert abs(caught.value.momentum[0]) == pytest.approx(np.pi)


def test_resolution(tmp_path):
    def warnings(n):
        problem = problem_of(tmp_path, grid__n_x=[n], grid__n_k=[64])
        return check_resolution(problem.grid, problem.stack())

    assert warnings(64) == []
    (warning,) = warnings(16)
    assert "band 0 along x on 16 points" in warning
    assert "32 points would resolve it better" in warning
    with pytest.raises(
        CaseError, match=r"band 0 along x on 4 points .* under-resolved, use at least 8 points"
    ):
        warnings(4)


def test_narrow_states_are_warned_about(tmp_path):
    narrow = {"kind": "gaussian", "width_x": [0.4], "width_k": [1.0]}
    prepared = check(make_case(tmp_path, initial_state=narrow, monitors={}))
    assert any("along x on 16 points starts with a spectral tail" in text for text in prepared.warnings)
    assert not any("along kx on 16 points starts" in text for text in prepared.warnings)
    stack, w = prepared.stack, prepared.propagator.w
    assert state_warnings(prepared.problem.grid, stack, w, "off") == []


def test_memory_is_forecast_and_checked(tmp_path, monkeypatch):
    general, separable = problem_of(tmp_path), problem_of(tmp_path, CHAIN)
    assert general.memory == 16 * 16 * (16 * 4 * (4 + 45) + 8 * 40)  # one slab holds all of it
    assert general.with_order(0).memory < general.with_order(1).memory < general.memory
    assert separable.memory == 16 * 16 * 8 * 60
    check_memory(1e6)
    with pytest.raises(CaseError, match=r"needs about 1e\+06 GB of memory, this machine has"):
        check_memory(1e15)

    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(feasibility.os, "sysconf", unknown)
    check_memory(1e15)


def test_runs_without_end_are_refused():
    check_step_count(1e8)
    with pytest.raises(CaseError, match=r"inf steps would be needed"):
        check_step_count(np.inf)


# --- the step ---


@pytest.mark.parametrize("stepper", STEPPERS)
def test_the_chosen_step_is_as_accurate_as_asked(stepper, tmp_path):
    """Errors at the end against a run with a far smaller step."""
    from wigner_sim.propagator import Propagator

    for tolerance in (1e-3, 1e-6):
        problem = problem_of(tmp_path, time__stepper=stepper, time__end=2.0, time__tolerance=tolerance)
        stack = problem.stack()
        w = problem.initial_density(stack)
        dt = problem.choose_step(stack, w, tolerance).dt
        ends = [
            Propagator(stack, problem.stepper, w, step).advance_to(2.0) for step in (dt, min(dt / 8, 0.02))
        ]
        assert np.abs(ends[0] - ends[1]).max() < 2 * tolerance * np.abs(w).max()


def test_a_driven_crystal_is_probed_along_the_run(tmp_path):
    pump = problem_of(tmp_path, PUMP)
    radii = pump._spectral_radii(pump.stack())
    assert len(radii) == N_PROBED_TIMES
    assert max(radii) == pump.duration
    static = problem_of(tmp_path)
    assert list(static._spectral_radii(static.stack())) == [0.0]


def test_a_python_file_is_read_from_the_directory_of_the_case(tmp_path, monkeypatch):
    asked = []
    original = build_module.python_hamiltonian

    def watched(source, parameters, setting):
        asked.append(setting.directory)
        return original(source, parameters, setting)

    monkeypatch.setattr(build_module, "python_hamiltonian", watched)
    (tmp_path / "h.py").write_text(
        "import numpy as np\ndef h(k): return np.cos(k[0])[..., None, None] + 0j\n"
    )
    problem = problem_of(tmp_path, hamiltonian={"source": "python:h.py:h"})
    assert asked == [tmp_path]
    assert problem.hamiltonian.n_orbitals == 1
