"""What time.stepper = "auto" stands for: decided by the kind of problem, for a general H by its rates."""

from dataclasses import replace

import pytest
from tiny_cases import CHAIN, DRIVEN_CHAIN, PUMP, TEXTURE, make_case

from wigner_sim.problem import build_problem
from wigner_sim.problem.stepper_choice import rest_of_rates

FIELD = {
    "grid": {"sites": [8, 8], "n_x": [8, 8], "n_k": [8, 8], "magnetic_field": 0.1},
    "hamiltonian": {"source": "named:massive_dirac", "potential": "0.1*cos(2*pi*x/Lx)"},
    "initial_state": {"kind": "symbol", "c": "exp(cos(kx))"},
}
HOMOGENEOUS = {
    "grid": {"sites": [], "n_k": [16]},
    "hamiltonian": {"source": "named:rice_mele", "force": [0.1]},
    "initial_state": {"kind": "symbol", "c": "exp(cos(k))"},
}


def woven(strength, winding=1):
    """A chain whose spins turn along x by more or less, E(k) alone being stiff."""
    terms = [
        {"k": "-cos(k)", "matrix": "sigma_0"},
        {"x": f"{strength}*cos({2 * winding}*pi*x/L)", "k": "1 + 0.3*cos(k)", "matrix": "sigma_x"},
        {"x": f"{strength}*sin({2 * winding}*pi*x/L)", "matrix": "sigma_y"},
        {"k": "1.5 - 0.3*cos(k)", "matrix": "sigma_z"},
    ]
    return {
        "hamiltonian": {"source": "terms", "terms": terms},
        "grid": {"sites": [24], "n_x": [40], "n_k": [40]},
    }


@pytest.mark.parametrize(
    ("data", "changes", "expected"),
    [
        (CHAIN, {}, "blanes_moan4"),
        (CHAIN, {"grid.n_x": [22]}, "blanes_moan4"),  # no length for compiled blocks
        (CHAIN, {"equation.dealias": "smooth"}, "blanes_moan4"),
        (DRIVEN_CHAIN, {}, "blanes_moan4"),
        (CHAIN | HOMOGENEOUS, {}, "blanes_moan4"),
        (CHAIN | FIELD, {"equation.order": 1}, "blanes_moan4"),
        (CHAIN | FIELD, {"equation.order": 2}, "blanes_moan4"),
        (CHAIN | FIELD, {"equation.order": 2, "grid.n_x": [22, 8]}, "rk4"),
        (CHAIN | FIELD, {"equation.order": 2, "equation.moyal_filter": "bounded"}, "rk4"),
        (CHAIN | FIELD, {"equation.order": 2, "equation.terms": {"metric": False}}, "rk4"),
        (TEXTURE, {}, "rk4"),
        (TEXTURE, {"equation.method": "matrix"}, "blanes_moan4"),
        (PUMP, {}, "rk4"),
        (TEXTURE | woven(0.8), {}, "rk4"),
        (TEXTURE | woven(0.02), {}, "blanes_moan4"),
    ],
)
def test_the_kind_of_problem_decides(data, changes, expected, tmp_path):
    case = make_case(tmp_path, data, **{key.replace(".", "__"): value for key, value in changes.items()})
    assert case.time.stepper == "auto"
    assert build_problem(case).stepper.name == expected


def true_share(problem):
    """The same from the equations of the first band."""
    whole, rest = (
        replace(problem, options=replace(problem.options, split=split)).stack().bands[0].equation().flows[-1]
        for split in (False, True)
    )
    return rest.spectral_radius(0.0) / whole.spectral_radius(0.0)


@pytest.mark.parametrize("order", [0, 2])
@pytest.mark.parametrize("strength", [0.02, 0.2, 0.8])
def test_rates_are_estimated_as_the_equations_have_them(strength, order, tmp_path):
    problem = build_problem(make_case(tmp_path, TEXTURE | woven(strength), equation__order=order))
    estimate = rest_of_rates(problem.hamiltonian, problem.grid, problem.bands, problem.options)
    assert estimate == pytest.approx(true_share(problem), rel=0.05)  # geometric terms are left out


def test_a_coarser_grid_is_enough_for_the_estimate(tmp_path):
    """On 96 points per axis derivatives come from 64, rates from 96."""
    data = TEXTURE | woven(0.2, winding=3)
    data["grid"] = {"sites": [24], "n_x": [96], "n_k": [96]}
    problem = build_problem(make_case(tmp_path, data, equation__moyal_filter="bounded"))
    estimate = rest_of_rates(problem.hamiltonian, problem.grid, problem.bands, problem.options)
    assert estimate == pytest.approx(true_share(problem), rel=0.2)


def test_a_chosen_stepper_is_taken(tmp_path):
    for name in ("rk4", "strang", "blanes_moan4"):
        problem = build_problem(make_case(tmp_path, CHAIN, time__stepper=name))
        assert problem.stepper.name == name
        assert problem.options.split == (name != "rk4")
