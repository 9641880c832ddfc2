"""Runs of the full matrix Wigner equation: what is stored, resumed, compared and refused."""

import numpy as np
import pytest
from test_matrix_moyal import divergence
from test_simulation import interrupted_after
from tiny_cases import CHAIN, assert_identical, changed, make_case, stored

from wigner_sim import open_run
from wigner_sim.convergence import compare
from wigner_sim.errors import CaseError, InterruptedRunError
from wigner_sim.figures import frames
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.matrix_moyal import MatrixMoyal
from wigner_sim.problem import build_problem
from wigner_sim.reports import info
from wigner_sim.simulation import resume, run

MATRIX = changed(
    CHAIN, {"equation": {"method": "matrix"}, "time.stepper": "blanes_moan4", "bands.select": [0, 1]}
) | {"initial_state": {"kind": "symbol", "c": [CHAIN["initial_state"]["c"], "0"]}}
WIDE_GAP = {"t1": 1.0, "t2": 0.15, "delta": 0.8}


def test_assembled_state_has_the_density_of_its_band(tmp_path):
    problem = build_problem(make_case(tmp_path, MATRIX, grid__sites=[80], grid__n_x=[32], grid__n_k=[32]))
    system = problem.stack()
    w = problem.initial_density(system)
    f = system.assemble(w)
    tolerance = 2e-5 * np.abs(w).max()
    np.testing.assert_allclose(system.densities(f, 0.0)[0], w[0], atol=tolerance)
    other = MatrixMoyal(problem.hamiltonian, problem.grid, (1,), EquationOptions(2))
    assert np.abs(other.band_densities(f, 0.0)[0]).max() < tolerance


@pytest.mark.parametrize("stepper", ["strang", "rk4"])
def test_a_resumed_matrix_run_is_the_same_to_the_last_bit(stepper, tmp_path, monkeypatch):
    case = make_case(tmp_path, MATRIX, time__end=0.5, time__step=0.1, time__stepper=stepper)
    whole = stored(run(case))
    with interrupted_after(2, monkeypatch), pytest.raises(InterruptedRunError):
        run(case)
    assert_identical(whole, stored(resume(tmp_path)))


def test_what_a_matrix_run_stores(tmp_path):
    finished = run(make_case(tmp_path, MATRIX, grid__sites=[40], grid__n_x=[32], grid__n_k=[32]))
    scalars, phase = finished.scalars, finished.phase
    total = scalars["particle_number"].sum("band")
    np.testing.assert_allclose(total, scalars["total_particle_number"], rtol=1e-4)
    assert float(np.abs(scalars["particle_number_drift"]).max()) < 1e-12
    assert float(np.abs(scalars["purity"] / scalars["purity"][0] - 1).max()) < 1e-12
    assert float(scalars["interband_coherence"].max()) < 1e-3 * float(np.sqrt(scalars["purity"][0]))
    kinetic = run(make_case(tmp_path, MATRIX, grid__sites=[40], grid__n_x=[32], grid__n_k=[32], equation={}))
    difference = finished.phase.wigner.compare(kinetic.phase)["f_max"]
    assert 1e-6 < float(difference.max()) < 2e-3 * float(phase["f"].max())
    with open_run(finished.path) as opened:
        assert frames.provenance(opened)["equation"] == "matrix"
    assert "interband_coherence" in info(finished.path)


def test_a_matrix_run_stores_the_current_of_all_bands_at_every_position(tmp_path):
    """Its integral is the total, its divergence takes the density of all bands away, and it has a unit."""
    case = make_case(
        tmp_path,
        MATRIX,
        grid__sites=[40],
        grid__n_x=[32],
        units={"energy": "1 eV", "length": "4 angstrom"},
        time={"end": 0.2, "step": 0.02},
        output={"scalars_every": 0.02, "fields_every": 0.02},
    )
    finished = run(case)
    fields, scalars = finished.fields, finished.scalars
    j = fields["all_bands_current_x"]
    assert j.dims == ("time", "x")
    np.testing.assert_allclose(j.mean("x") * 40, scalars["total_current_x"], rtol=1e-12)
    assert j.attrs["units_si_factor"] == pytest.approx(fields["current_x"].attrs["units_si_factor"])
    assert "of all bands and their coherence along x" in j.attrs["long_name"]
    n = fields["density"].sum("band").values  # bands of the projection, to second order in gradients
    rate = (n[6] - n[4]) / 0.04
    assert np.abs(rate + divergence(j.values[5:6], problem_grid(finished))).max() < 0.02 * np.abs(rate).max()


def problem_grid(finished):
    return build_problem(finished.directory.case).grid


def test_compare_reaches_dense_dynamics_and_serves_the_kinetic_equation(tmp_path):
    size = {"grid__sites": [24], "grid__n_x": [32], "grid__n_k": [32], "hamiltonian__parameters": WIDE_GAP}
    matrix = make_case(tmp_path, MATRIX, **size)
    rows = compare(matrix, start="exact")["rows"]
    assert max(row["f_max"] for row in rows) < 1e-8
    assert max(row["j_max"] for row in rows) < 1e-8
    own = compare(matrix)["rows"]
    kinetic = make_case(tmp_path, MATRIX, equation={}, **size)
    by_partner = {partner: compare(kinetic, partner=partner)["rows"] for partner in ("exact", "matrix")}
    worst = {name: max(row["f_max"] for row in rows) for name, rows in by_partner.items()}
    assert worst["matrix"] == pytest.approx(worst["exact"], abs=1.01 * max(row["f_max"] for row in own))
    with pytest.raises(CaseError, match='compare it with "exact"'):
        compare(matrix, partner="matrix")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hamiltonian": {"source": "named:two_band_texture"}}, "depend on x and k together"),
        (
            {
                "grid": {"sites": [8], "n_x": [8], "n_k": [8, 8], "magnetic_field": np.pi / 4},
                "hamiltonian": {"source": "named:massive_dirac", "parameters": {"mass": 2.0}},
                "initial_state": {"kind": "symbol", "c": 1.0},
            },
            "no magnetic field",
        ),
        (
            {
                "hamiltonian": {
                    "source": "named:rice_mele",
                    "parameters": {"t1": "1 + 0.1*cos(2*pi*x/L)"},
                    "orbital_positions": [[0.0], [1.0]],
                }
            },
            "x and k together|different places",
        ),
    ],
)
def test_what_the_matrix_equation_cannot_do(changes, sentence, tmp_path):
    with pytest.raises(CaseError, match=sentence):
        build_problem(make_case(tmp_path, changed(MATRIX, changes))).stack()
