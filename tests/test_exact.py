"""Exact runs of a case, and the kinetic theory beside them."""

import numpy as np
import pytest
import xarray as xr
from tiny_cases import CHAIN, DRIVEN_CHAIN, make_case

from wigner_sim import exact_runs as exact_module
from wigner_sim.convergence import compare, exact_reference, kinetic_errors
from wigner_sim.errors import CaseError
from wigner_sim.exact_runs import exact, output_times
from wigner_sim.problem import build_problem
from wigner_sim.runs import compare as compare_datasets
from wigner_sim.runs import open_run
from wigner_sim.simulation import run

#: Large enough for the gradient expansion to be small.
LARGER = {"grid__sites": [24], "grid__n_x": [32], "grid__n_k": [32]}


def test_exact_runs_have_the_same_fields_on_the_same_grid_and_times(tmp_path):
    case = make_case(tmp_path, CHAIN, output__fields_every=0.5, **LARGER)
    kinetic, reference = run(case), exact(case)
    assert reference.path == tmp_path / "exact" / "0001"
    assert reference.status["state"] == "complete"
    assert reference.phase.attrs["method"] == "exact"
    xr.testing.assert_equal(kinetic.phase.coords.to_dataset(), reference.phase.coords.to_dataset())
    differences = {
        **compare_datasets(kinetic.phase, reference.phase),
        **compare_datasets(kinetic.fields, reference.fields),
    }
    scale = float(reference.phase["f"].max())
    assert 0 < float(differences["f_max"].max()) < 2e-3 * scale
    assert 0 < float(differences["density_max"].max()) < 1e-3 * scale


def test_exact_dynamics_conserves_number_and_energy(tmp_path):
    scalars = exact(make_case(tmp_path, bands__select=[0, 1])).scalars
    assert scalars.sizes["band"] == 2
    assert np.abs(scalars["particle_number_drift"]).max() < 1e-12
    assert np.abs(scalars["energy_drift"]).max() < 1e-12
    driven = exact(make_case(tmp_path, DRIVEN_CHAIN)).scalars
    assert np.abs(driven["particle_number_drift"]).max() < 1e-10
    assert np.abs(driven["energy_drift"]).max() > 1e-3


def test_marginals_of_the_exact_state_are_its_density_and_momentum_distribution(tmp_path):
    reference = exact(make_case(tmp_path, **LARGER))
    f, fields = reference.phase["f"], reference.fields
    np.testing.assert_allclose(f.mean("kx"), fields["density"], atol=1e-10)
    np.testing.assert_allclose(24 * f.mean("x"), fields["momentum_distribution"], atol=1e-9)
    number = 24 * f.mean(["x", "kx"])
    np.testing.assert_allclose(number, reference.scalars["particle_number"], rtol=1e-10)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_initial_states_agree_to_the_order(order, tmp_path):
    """f by kinetic theory against that of Pi Op(c) Pi: the error at t = 0 falls as the order says."""
    problem = build_problem(make_case(tmp_path, grid__n_x=[32], grid__n_k=[32])).with_order(order)
    errors = []
    for dilation in (3.0, 6.0):
        dilated = problem.dilated(dilation)
        start = exact_reference(dilated, [0.0])
        errors.append(kinetic_errors(dilated, start, "case")[0].f_max)
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order + 1, abs=0.35)


def test_compare_reports_every_output_time(tmp_path):
    result = compare(make_case(tmp_path, **LARGER), ["output.phase_every=0.4"])
    assert [row["time"] for row in result["rows"]] == pytest.approx([0, 0.4, 0.8, 1.0])
    assert result["order"] == 2
    assert result["sites"] == 24
    for row in result["rows"]:
        assert 0 < row["f_l2"] < row["f_max"] < 5e-3
        assert 0 < row["n_l2"] < row["n_max"] < 1e-3
        assert 0 < row["nk_l2"] < row["nk_max"] < 1e-3
        assert row["energy"] < 1e-4


def test_starting_from_the_exact_state_leaves_only_the_error_of_the_dynamics(tmp_path):
    case = make_case(tmp_path, **LARGER)
    own, given = (compare(case, start=start)["rows"] for start in ("case", "exact"))
    # f -> w -> f is an identity to second order only
    assert given[0]["f_max"] < 0.5 * own[0]["f_max"]
    assert given[-1]["n_max"] < own[-1]["n_max"]


def test_compare_takes_the_worst_of_the_bands(tmp_path):
    results = {
        bands: compare(make_case(tmp_path, CHAIN, bands__select=list(bands)))["rows"][-1]["f_max"]
        for bands in ((0,), (1,), (0, 1))
    }
    assert results[0, 1] == pytest.approx(max(results[0,], results[1,]), rel=1e-6)


def test_local_equilibrium_has_no_exact_partner(tmp_path):
    state = {"kind": "thermal", "temperature": 0.5, "mu": "0.1*cos(2*pi*x/L)"}
    with pytest.raises(CaseError, match="no exact partner"):
        exact(make_case(tmp_path, initial_state=state))
    assert not (tmp_path / "exact").exists()


def test_stored_occupations_have_an_exact_partner_and_other_faces_do_not(tmp_path):
    state = {"kind": "from_run", "run": "source"}
    run(make_case(tmp_path / "source", output__face="c", time__end=0.1, **LARGER))
    stored = exact(make_case(tmp_path, initial_state=state | {"time": 0.0}, **LARGER))
    direct = exact(make_case(tmp_path / "direct", **LARGER))
    # c -> w -> c is an identity to second order
    np.testing.assert_allclose(stored.phase["f"], direct.phase["f"], atol=2e-4)
    run(make_case(tmp_path / "source", output__face="f", time__end=0.1))
    with pytest.raises(CaseError, match=r'let the earlier run store output.face = "c" \(it stored "f"\)'):
        exact(make_case(tmp_path, initial_state=state))


def test_output_times(tmp_path):
    def times(every, end):
        return output_times(make_case(tmp_path, time__end=end, output__phase_every=every))

    assert times(0.5, 1.0) == [0.0, 0.5, 1.0]
    assert times(0.4, 1.0) == pytest.approx([0.0, 0.4, 0.8, 1.0])
    assert times(0.1, 0.3) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert times(2.0, 1.0) == [0.0, 1.0]
    assert times({"steps": 3}, 1.0) == times("never", 1.0) == [0.0, 1.0]


def test_an_exact_run_that_fails_says_where_it_stopped(tmp_path, monkeypatch):
    snapshots = exact_module.exact_snapshots

    def failing(problem, index, times, *system):
        stream = snapshots(problem, index, times, *system)
        yield next(stream)
        yield next(stream)
        raise KeyboardInterrupt

    monkeypatch.setattr(exact_module, "exact_snapshots", failing)
    with pytest.raises(KeyboardInterrupt):
        exact(make_case(tmp_path))
    stopped = open_run(tmp_path / "exact")
    assert stopped.status["state"] == "stopped: KeyboardInterrupt"
    assert stopped.status["time"] == 0.5
    assert stopped.phase.sizes["time"] == 2
