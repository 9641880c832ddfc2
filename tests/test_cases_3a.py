"""Physics of four cases on small grids: closed formulas and exact dynamics against runs."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from wigner_sim import open_run
from wigner_sim.convergence import compare
from wigner_sim.simulation import run

CASES = Path(__file__).parents[1] / "cases"
STORED = ("output.scalars_every='never'", "output.fields_every=0.5", "output.phase_every='never'")


def figure_script(name):
    """The script of a case that holds its closed formulas."""
    spec = importlib.util.spec_from_file_location(f"figure_of_{name}", CASES / name / "figure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_small(tmp_path, name, *overrides):
    """Run a shipped case with overrides, away from its directory."""
    copy = tmp_path / f"{name}_{len(list(tmp_path.iterdir()))}"
    copy.mkdir()
    shutil.copy(CASES / name / "case.toml", copy)
    return run(copy, overrides)


def final_error(name, order, overrides):
    """Largest difference of f from exact dynamics at the end."""
    result = compare(CASES / name, [*overrides, f"equation.order={order}", "output.phase_every=1e3"])
    return result["rows"][-1]["f_max"]


# --- quantum_metric_field ---


def test_metric_moves_electrons_of_a_flat_band(tmp_path):
    small = ("grid.n_x=[32]", "grid.n_k=[32]", "time.end=4.0", "output.fields_every=4.0")
    with_metric = run_small(tmp_path, "quantum_metric_field", *small)
    without = run_small(tmp_path, "quantum_metric_field", *small, "equation.terms.metric=false")
    n, n_without = (each.fields["density"].isel(band=0, time=-1) for each in (with_metric, without))
    parameters = with_metric.case.hamiltonian.parameters
    formula = figure_script("quantum_metric_field").metric_density(n["x"].values, [4.0], 48, **parameters)[0]
    assert np.abs(formula).max() > 5e-4
    np.testing.assert_allclose(n - n_without, formula, atol=0.03 * np.abs(formula).max())


def test_flat_band_needs_the_second_order():
    small = ("grid.n_x=[32]", "grid.n_k=[32]", "time.end=4.0")
    errors = [final_error("quantum_metric_field", order, small) for order in (0, 1, 2)]
    assert errors[2] < errors[1] / 20
    assert errors[0] == pytest.approx(errors[1])  # one dimension, H0(k) + U(x): nothing of first order


# --- anomalous_hall ---


@pytest.mark.parametrize(("mass", "chern"), [(-1.0, -1), (1.0, 1), (-3.0, 0)])
def test_hall_conductance_of_a_filled_band(tmp_path, mass, chern):
    finished = run_small(
        tmp_path,
        "anomalous_hall",
        f"hamiltonian.parameters.mass={mass}",
        "grid.n_x=[32]",
        "time.end=1.0",
        *STORED,
    )
    geometry, force = finished.geometry.isel(band=0), 0.3
    filled = geometry.isel(x=0).mean(("kx", "ky"))  # int dk/(2 pi)^2 over the zone
    assert float(filled["berry_curvature_kx_ky"]) * 2 * np.pi == pytest.approx(chern, abs=1e-6)
    assert float(filled["velocity_x"]) / force * 2 * np.pi == pytest.approx(chern, abs=1e-6)
    density = finished.fields["density"].isel(band=0)
    mean = (density * density["x"]).sum("x") / density.sum("x")
    drift = float(mean[-1] - mean[0])
    assert drift == pytest.approx(chern * force / (2 * np.pi), abs=1e-5)


def test_partly_filled_band_drifts_with_its_curvature(tmp_path):
    occupation = 'initial_state.c="gaussian(x, L/2, 6)*exp(cos(kx) + cos(ky) - 2)"'
    finished = run_small(tmp_path, "anomalous_hall", occupation, "grid.n_x=[40]", "time.end=2.0", *STORED)
    script = figure_script("anomalous_hall")
    (_, moved), (_, formula) = script.measured(finished), script.displacement(finished)
    assert formula[-1] < -0.15
    assert moved[-1] == pytest.approx(formula[-1], abs=1e-4)


# --- cyclotron ---


HOMOGENEOUS = ("grid.sites=[]", "grid.n_x=[]", "initial_state.width_x=[]", "time.end=12.0")


@pytest.mark.parametrize("order", [1, 2])
def test_cyclotron_frequency_has_the_orbital_moment(tmp_path, order):
    finished = run_small(tmp_path, "cyclotron", *HOMOGENEOUS, f"equation.order={order}", *STORED)
    script = figure_script("cyclotron")
    expected, without_moment = (
        script.frequency_of_ensemble(finished, *script.ensemble(finished, moment)[1:])
        for moment in (1.0, 0.0)
    )
    assert script.frequency(finished) == pytest.approx(expected, rel=5e-3)
    assert without_moment / script.frequency(finished) > 1.03


def test_momentum_turns_with_the_velocity(tmp_path):
    # k' = F + B (-v_y, v_x): with a bounded k the drift is F_y/B along -x, whatever the band
    small = ("grid.n_x=[8, 8]", "grid.n_k=[28, 28]", "time.end=0.2", "output.fields_every=0.2")
    force = "hamiltonian.force=[0.01, 0.05]"
    finished = run_small(
        tmp_path,
        "cyclotron",
        *small,
        force,
        "initial_state.width_x=[8.0, 8.0]",
        "output.scalars_every='never'",
    )
    geometry, b = finished.geometry.isel(band=0, x=0, y=0), finished.case.grid.magnetic_field
    np.testing.assert_allclose(geometry["velocity_kx"], 0.01 - b * geometry["velocity_y"], atol=1e-3)
    np.testing.assert_allclose(geometry["velocity_ky"], 0.05 + b * geometry["velocity_x"], atol=1e-3)


# --- dirac_domain_wall ---


WALL = ("grid.n_x=[24]", "grid.n_k=[32, 24]", "time.end=5.0")


def test_wall_needs_the_second_order():
    errors = [final_error("dirac_domain_wall", order, WALL) for order in (0, 1, 2)]
    assert errors[2] < errors[1] / 5
    assert errors[1] < errors[0]


def test_wall_parts_opposite_momenta_from_first_order_on(tmp_path):
    script = figure_script("dirac_domain_wall")
    largest = {}
    for order in (0, 1, 2):
        finished = run_small(
            tmp_path, "dirac_domain_wall", *WALL, f"equation.order={order}", "output.phase_every=5.0"
        )
        with open_run(finished.path) as opened:
            largest[order] = float(np.abs(script.odd_density(opened)).max())
    assert largest[0] < 1e-12
    assert largest[1] > 1e-4
    assert largest[2] == pytest.approx(largest[1], rel=0.1)
