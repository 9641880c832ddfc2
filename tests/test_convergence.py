"""Dilated cases against exact dynamics: the slopes that are the signature of the theory, and their report."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tiny_cases import CHAIN, TEXTURE, make_case, write_case

from wigner_sim.cli import main
from wigner_sim.convergence import converge, convergence_table, fit_slopes, save_json, whole_site_dilations
from wigner_sim.errors import CaseError
from wigner_sim.kinetics import slab_expansion
from wigner_sim.problem import build_problem

FINE = {"grid__sites": [12], "grid__n_x": [40], "grid__n_k": [40], "time__end": 1.0}

THREE_BANDS = '''
"""Three orbitals on a ring; the first hopping and the energies vary along it."""
import numpy as np


def hamiltonian(x, k, t, L, depth=0.3):
    angle, k = 2 * np.pi * x[0] / L, k[0]
    first = 1.0 + 0.2 * np.cos(angle)
    H = np.zeros((*np.broadcast(angle, k).shape, 3, 3), dtype=complex)
    H[..., 0, 0] = -1.5 + depth * np.sin(angle)
    H[..., 2, 2] = 1.5 + 0.2 * np.cos(k)
    H[..., 0, 1], H[..., 1, 0] = first, first
    H[..., 1, 2], H[..., 2, 1] = 0.8, 0.8
    H[..., 0, 2], H[..., 2, 0] = 0.5 * np.exp(-1j * k), 0.5 * np.exp(1j * k)
    return H
'''


@pytest.fixture(scope="module")
def texture():
    return converge(make_case(Path(), TEXTURE, **FINE), [2.0, 4.0])


def test_slopes_are_one_more_than_the_order(texture):
    for order, slopes in texture["slopes"].items():
        assert slopes["f_max"] == pytest.approx(int(order) + 1, abs=0.25)
        assert slopes["n_max"] == pytest.approx(int(order) + 1, abs=0.35)
        assert slopes["energy"] == pytest.approx(int(order) + 1, abs=0.35)


def test_a_wrong_sign_loses_an_order(monkeypatch):
    """The slope at second order is a sharp test: the metric with the wrong sign leaves it at two."""
    metric = slab_expansion.metric_components

    def negative(projector):
        return {pair: -values for pair, values in metric(projector).items()}

    monkeypatch.setattr(slab_expansion, "metric_components", negative)
    wrong = converge(make_case(Path(), TEXTURE, **FINE), [2.0, 4.0], orders=[2])
    assert wrong["slopes"]["2"]["f_max"] < 2.4


def test_any_hamiltonian_of_a_python_file_goes_through_unchanged(tmp_path, capsys):
    directory = write_case(
        tmp_path / "three",
        TEXTURE,
        hamiltonian={"source": "python:three.py:hamiltonian", "parameters": {"depth": 0.4}},
        bands={"select": [2]},
        **FINE,
    )
    (directory / "three.py").write_text(THREE_BANDS)
    target = tmp_path / "out.json"
    assert main(["converge", str(directory), "--dilations", "2,4", "--json", str(target)]) == 0
    slopes = json.loads(target.read_text())["slopes"]
    for order in (0, 1, 2):
        assert slopes[str(order)]["f_max"] == pytest.approx(order + 1, abs=0.3)
    assert re.search(r"2\s+slope\s+[23]\.\d+", capsys.readouterr().out)


def test_dilation_leaves_the_local_crystal_as_it_is(tmp_path):
    """At order 0 fields depend on x/L and k only; the packet is the same on the stretched grid."""
    problem = build_problem(make_case(tmp_path, CHAIN))
    dilated = problem.dilated(1.5)
    assert dilated.grid.lengths == (12.0,)
    assert dilated.duration == pytest.approx(1.5 * problem.duration)
    for each in (problem, dilated):
        assert each.grid.shape == (16, 16)
    first, second = (each.with_order(0).stack() for each in (problem, dilated))
    np.testing.assert_allclose(
        first.bands[0].effective().energy[0], second.bands[0].effective().energy[0], atol=1e-13
    )
    np.testing.assert_allclose(
        problem.with_order(0).initial_density(first),
        dilated.with_order(0).initial_density(second),
        atol=1e-13,
    )


def test_dilations_are_rounded_to_whole_sites(tmp_path):
    problem = build_problem(make_case(tmp_path))
    assert whole_site_dilations(problem, [1, 1.3, 2]) == [1.0, 10 / 8, 2.0]
    with pytest.raises(CaseError, match=r"at least 1, got 0\.5"):
        whole_site_dilations(problem, [0.5])
    for wrong in ("nan", "inf"):
        with pytest.raises(CaseError, match=f"at least 1, got {wrong}"):
            whole_site_dilations(problem, [float(wrong)])


def test_slopes_are_fitted_by_least_squares():
    rows = [
        {"order": order, "dilation": dilation, **dict.fromkeys(("err_f_l2", "err_n_max", "err_energy"), 0.0)}
        | {"err_f_max": 3 * dilation ** -(order + 1.0)}
        for order in (0, 2)
        for dilation in (1.0, 2.0, 3.0)
    ]
    slopes = fit_slopes(rows)
    assert slopes["0"]["f_max"] == pytest.approx(1.0)
    assert slopes["2"]["f_max"] == pytest.approx(3.0)
    assert slopes["0"]["energy"] == pytest.approx(0.0)
    assert fit_slopes(rows[:1]) == {}


def test_table_and_json_say_the_same(texture, tmp_path):
    table = convergence_table(texture)
    assert len(table.splitlines()) == 1 + len(texture["rows"]) + 3
    read = json.loads(save_json(texture, tmp_path / "new" / "c.json").read_text())
    assert read == texture
    assert f"{read['slopes']['2']['f_max']:.3f}" in table
    assert all(row["seconds_kinetic"] > 0 and row["seconds_exact"] > 0 for row in read["rows"])


def test_the_error_of_the_step_is_far_below_that_of_the_theory(tmp_path):
    """A loose tolerance of the case must not hide the slopes."""
    tight = converge(make_case(tmp_path, CHAIN, time__stepper="strang"), [2.0], orders=[2])
    loose = converge(make_case(tmp_path, CHAIN, time__stepper="strang", time__tolerance=0.1), [2.0], [2])
    assert loose["rows"][0]["err_f_max"] == pytest.approx(tight["rows"][0]["err_f_max"], rel=1e-9)
