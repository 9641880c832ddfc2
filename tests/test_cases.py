"""Every shipped case through the command line on a tiny grid: what is written, and what goes with a case."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pytest
from PIL import Image
from shipped import CASES, ROOT, tiny_copy

from wigner_sim import cli, open_run
from wigner_sim.kinetics.collisions import LOCAL_FIELDS
from wigner_sim.matrix_moyal.system import OWN_SCALARS
from wigner_sim.validity import VALIDITY

MAX_FIGURE_BYTES = 200_000
SCALARS = {
    "particle_number", "energy", "occupation_min", "occupation_max", "spectral_tail_x", "spectral_tail_k",
    "particle_number_drift", "energy_drift", *VALIDITY,
}  # fmt: skip
ATTRIBUTES = {
    "Conventions", "title", "source", "history", "references", "date_created", "run_id", "case_name",
    "case_toml", "case_resolved_toml", "time_step_reason", "wigner_sim_version", "platform",
}  # fmt: skip


def fields(run):
    """Variables of ``fields.nc`` with their dimensions."""
    positions, momenta = axes(run)
    head = ("time", "band")
    currents = [f"current_{name[1:]}" for name in momenta]
    names = ["density", "energy_density", *currents]
    relaxation = run.case.relaxation
    if relaxation.rate != 0.0 and relaxation.conserve != "nothing":
        names += LOCAL_FIELDS
    if run.case.mean_field.kind != "none":
        names.append("mean_field_potential")
    of_position = dict.fromkeys(names, (*head, *positions))
    if run.case.equation.method == "matrix":
        of_position |= {f"all_bands_{name}": ("time", *positions) for name in currents}
    return of_position | {"momentum_distribution": (*head, *momenta)}


def geometry(run):
    """Variables of ``geometry.nc``."""
    names = [*axes(run)[0], *axes(run)[1]]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i:]]
    return {
        *("band_energy", "dual_energy", "density_of_states", "gap"),
        *(f"velocity_{name}" for name in names),
        *(f"quantum_metric_{a}_{b}" for a, b in pairs),
        *(f"berry_curvature_{a}_{b}" for a, b in pairs if a != b),
    }


def axes(run):
    """Position axes and momentum axes of a run."""
    names = [str(name) for name in run.phase["f"].dims[2:]]
    return [name for name in names if name[0] != "k"], [name for name in names if name[0] == "k"]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def finished(request, tmp_path_factory):
    """Name of a case, and its finished tiny run."""
    root = tiny_copy(tmp_path_factory.mktemp("tiny"))
    case = root / "cases" / request.param.name
    assert cli.main(["run", str(case), "--quiet"]) == 0
    with open_run(case) as run:
        yield request.param.name, run


def test_there_are_cases():
    expected = {"texture_1d", "rice_mele_potential", "bloch_oscillation", "thermal_equilibrium"}
    assert expected <= {case.name for case in CASES}


def test_scalars(finished):
    _, run = finished
    scalars = run.scalars
    own = set(OWN_SCALARS) | {"total_current_x"} if run.case.equation.method == "matrix" else set()
    own |= {"interaction_energy"} if run.case.mean_field.kind != "none" else set()
    expected = SCALARS | {f"current_total_{name[1:]}" for name in axes(run)[1]}
    if "predicted_error" not in scalars:  # made only where it costs little
        expected -= {"predicted_error"}
        assert np.prod([scalars.sizes["time"], *run.phase["f"].shape[2:]]) > 1e5
    assert set(scalars.data_vars) == expected | own | {"time_step"}
    for name in expected:
        assert scalars[name].dims == ("time", "band")
    assert scalars["time_step"].dims == ("time",)
    np.testing.assert_allclose(scalars["time"], (0, 0.2, 0.4), atol=1e-12)
    if run.case.reservoirs:  # particles come and go
        return
    assert abs(scalars["particle_number_drift"]).max() < 1e-12
    pushed = run.case.hamiltonian.force or run.case.hamiltonian.electric_field
    does_work = pushed is not None or "interaction_energy" in scalars
    if not does_work:
        assert abs(scalars["energy_drift"]).max() < 1e-5


def test_fields_are_the_marginals_of_phase_space(finished):
    _, run = finished
    assert {name: array.dims for name, array in run.fields.data_vars.items()} == fields(run)
    assert list(run.phase.data_vars) == ["f"]
    f, (positions, momenta) = run.phase["f"], axes(run)
    assert f.shape == (3, len(run.scalars["band"]), *run.case.grid.n_x, *run.case.grid.n_k)
    density = run.fields["density"].isel(time=[0, 2, 4])
    np.testing.assert_allclose(f.mean(momenta), density, atol=1e-12)
    spacing = np.prod([f[name].attrs["period"] / f.sizes[name] for name in positions])
    distribution = run.fields["momentum_distribution"].isel(time=[0, 2, 4])
    np.testing.assert_allclose(f.sum(positions) * spacing, distribution, atol=1e-12)


def test_geometry(finished):
    _, run = finished
    assert set(run.geometry.data_vars) == geometry(run)
    for array in run.geometry.data_vars.values():
        assert array.dims == ("band", *axes(run)[0], *axes(run)[1])
    if run.case.equation.method == "kinetic":
        assert run.geometry["gap"].min() > 0.9


def test_units_names_and_attributes(finished):
    name, run = finished
    for dataset in (run.scalars, run.fields, run.phase, run.geometry):
        assert set(dataset.attrs) >= ATTRIBUTES
        assert dataset.attrs["case_name"] == name
        assert dataset.attrs["run_id"] == run.scalars.attrs["run_id"]
        for array in dataset.data_vars.values():
            assert array.attrs["units"] == "1"
            assert array.attrs["long_name"]
    assert run.phase["x"].attrs["period"] == run.case.grid.sites[0]
    assert run.phase["kx"].attrs["units"] == "radian"
    assert run.phase["kx"].attrs["period"] == pytest.approx(2 * np.pi)
    assert tomllib.loads(run.phase.attrs["case_resolved_toml"])["equation"]["order"] == 2


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_readme_and_figures(case):
    readme = (case / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# ")
    assert f"wigner-sim run cases/{case.name}" in readme
    assert "$$" in readme, "a case states its equation"
    assert "**To explore:**" in readme
    figures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
    assert figures
    for name in figures:
        file = (case / name).resolve()
        assert file.is_relative_to(ROOT)
        assert file.stat().st_size < MAX_FIGURE_BYTES, name
        with Image.open(file) as image:
            assert image.width > 800
    assert {path.name for path in case.glob("*.png")} <= set(figures), "a figure nobody shows"
