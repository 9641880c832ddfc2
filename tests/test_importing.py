"""``wigner-sim import``: a case directory that checks and runs, or one sentence."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from wigner_sim import cli
from wigner_sim.case import Case
from wigner_sim.errors import CaseError
from wigner_sim.importing import import_model
from wigner_sim.models.lattice_model import hermitian_model
from wigner_sim.models.wannier90 import read_wannier90, write_tb
from wigner_sim.problem import build_problem
from wigner_sim.simulation import run

ROOT = Path(__file__).parents[1]
GRAPHENE = ROOT / "cases" / "graphene_wannier" / "graphene_tb.dat"
TINY = [
    "grid.n_x=[16]",
    "grid.n_k=[16,16]",
    "grid.sites=[8]",
    "time.end=0.01 fs",
    "initial_state.width_x=[2.0]",
    "output.scalars_every=0.01 fs",
    "output.fields_every=never",
    "output.phase_every=0.01 fs",
    "monitors.spectral_tail=off",
]


def layered(path: Path, between: float = 0.0) -> Path:
    """A gapped square lattice with a hopping ``between`` layers, as ``_tb.dat``."""
    cells = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    blocks = np.array(
        [np.diag([-1.5, 1.5]), [[-0.2, 0.3], [0.1, 0.2]], [[-0.2, 0.2j], [0.1, 0.2]], np.zeros((2, 2))]
    )
    blocks = blocks.astype(complex)
    blocks[3] += between * np.eye(2)
    blocks[0] /= 2
    cells = np.vstack([cells, -cells])
    blocks = np.concatenate([blocks, np.conj(np.swapaxes(blocks, 1, 2))])
    model = hermitian_model(cells, blocks, np.zeros((2, 3)), np.diag([3.0, 3.0, 6.0]), "layers", [], True)
    write_tb(model, path)
    return path


def test_a_wannier_model_becomes_a_case_that_runs(tmp_path, capsys):
    assert cli.main(["import", str(GRAPHENE), "--name", "mine", "--into", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "bands: differ from graphene_band.dat by at most" in out
    assert "phases exp(ik.(R + tau_j - tau_i))" in out
    assert "band chosen: 0" in out
    case = Case.from_toml(tmp_path / "mine" / "case.toml")
    assert case.units.energy == "1 eV"
    problem = build_problem(case)
    original = read_wannier90(GRAPHENE).on_axes((0, 1))
    k = np.array([0.3, -1.2])
    np.testing.assert_allclose(problem.hamiltonian.bloch(k), original.bloch(k), atol=1e-13)
    with run(tmp_path / "mine", TINY, show_progress=False) as done:
        assert done.status["state"] == "complete"
        assert (done.path / "graphene_tb.dat").is_file()


def test_a_run_of_an_hr_file_keeps_its_companions(tmp_path):
    case = tmp_path / "case"
    case.mkdir()
    model = read_wannier90(GRAPHENE)
    n = model.n_orbitals
    rows = [" hr", str(n), str(len(model.cells))]
    ones = ["1"] * len(model.cells)
    rows += [" ".join(ones[start : start + 15]) for start in range(0, len(ones), 15)]
    for cell, block in zip(model.cells, model.blocks, strict=True):
        where = " ".join(map(str, cell))
        rows += [
            f"{where} {i + 1} {j + 1} {block[i, j].real:.12f} {block[i, j].imag:.12f}"
            for j in range(n)
            for i in range(n)
        ]
    (case / "g_hr.dat").write_text("\n".join(rows))
    centres = model.positions @ model.lattice_vectors
    lines = ["2", "centres", *("X " + " ".join(f"{x:.12f}" for x in row) for row in centres)]
    (case / "g_centres.xyz").write_text("\n".join(lines))
    vectors = "\n".join(" ".join(f"{x:.12f}" for x in row) for row in model.lattice_vectors)
    (case / "g.win").write_text(f"begin unit_cell_cart\n{vectors}\nend unit_cell_cart\n")
    text = (ROOT / "cases" / "graphene_wannier" / "case.toml").read_text()
    (case / "case.toml").write_text(text.replace("graphene_tb.dat", "g_hr.dat"))
    with run(case, TINY, show_progress=False) as done:
        copies = {file.name for file in done.path.iterdir()}
        assert {"g_hr.dat", "g_centres.xyz", "g.win"} <= copies
        again = build_problem(done.case)
    k = np.array([0.3, -1.2])
    np.testing.assert_allclose(again.hamiltonian.bloch(k), model.on_axes((0, 1)).bloch(k), atol=1e-10)


def test_layers(tmp_path, caplog):
    flat = import_model(str(layered(tmp_path / "flat_tb.dat")), directory=tmp_path)
    assert Case.from_toml(flat.path / "case.toml").hamiltonian.parameters["axes"] == [0, 1]
    stacked = layered(tmp_path / "stacked_tb.dat", between=0.15)
    solid = import_model(str(stacked), directory=tmp_path)
    assert len(Case.from_toml(solid.path / "case.toml").grid.n_k) == 3
    layer = import_model(str(stacked), name="layer", directory=tmp_path, axes=[0, 1])
    assert "the largest hopping among them is 0.15" in "\n".join(layer.report)
    assert "hoppings up to 0.15 along the lattice vectors left out are dropped" in caplog.text
    ours, theirs = (
        build_problem(Case.from_toml(made.path / "case.toml")).hamiltonian for made in (layer, flat)
    )
    k = np.array([0.3, -1.2])
    np.testing.assert_allclose(ours.bloch(k), theirs.bloch(k), atol=1e-13)


def test_fermi_level_and_band(tmp_path):
    made = import_model(str(GRAPHENE), directory=tmp_path, fermi_energy=3.0)
    case = Case.from_toml(made.path / "case.toml")
    assert case.bands.select == (0,)
    h = build_problem(case).hamiltonian
    original = read_wannier90(GRAPHENE).on_axes((0, 1))
    k = np.array([0.3, -1.2])
    np.testing.assert_allclose(h.bloch(k), original.bloch(k) - 3.0 * np.eye(2), atol=1e-13)


@pytest.mark.filterwarnings("ignore")
def test_tbmodels_file(tmp_path):
    tbmodels = pytest.importorskip("tbmodels")
    hop = {(1,): [[0.0, 0.0], [0.6, 0.0]], (0,): [[0.0, 1.0], [0.0, 0.0]]}
    theirs = tbmodels.Model(on_site=[0.5, -0.5], hop=hop, pos=[[0.0], [0.4]], uc=[[2.0]], contains_cc=False)
    theirs.to_hdf5_file(str(tmp_path / "m.hdf5"))
    made = import_model(str(tmp_path / "m.hdf5"), directory=tmp_path / "cases")
    h = build_problem(Case.from_toml(made.path / "case.toml")).hamiltonian
    expected = theirs.hamilton([0.13], convention=1)
    np.testing.assert_allclose(h.bloch(np.array([2 * np.pi * 0.13])), expected, atol=1e-14)


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", "", "a b"])
def test_names_stay_inside(tmp_path, name):
    with pytest.raises(CaseError, match="--name: expected letters"):
        import_model(str(GRAPHENE), name=name or "-", directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_and_nothing_left_behind(tmp_path, capsys):
    import_model(str(GRAPHENE), directory=tmp_path)
    with pytest.raises(CaseError, match="exists already"):
        import_model(str(GRAPHENE), directory=tmp_path)
    broken = tmp_path / "broken_tb.dat"
    broken.write_text(GRAPHENE.read_text()[:900])
    assert cli.main(["import", str(broken), "--into", str(tmp_path)]) == 2
    assert "broken_tb.dat line" in capsys.readouterr().err
    assert not (tmp_path / "broken").exists()


def test_bands_that_do_not_fit(tmp_path):
    for name in ("graphene_tb.dat", "graphene_band.dat", "graphene_band.kpt"):
        shutil.copy(GRAPHENE.with_name(name), tmp_path / name)
    bands = tmp_path / "graphene_band.dat"
    rows = bands.read_text().split("\n\n")
    bands.write_text(rows[0] + "\n")
    with pytest.raises(CaseError, match="1 bands, but the model has 2"):
        import_model(str(tmp_path / "graphene_tb.dat"), directory=tmp_path / "cases")
    bands.write_text(rows[0][:500])
    with pytest.raises(CaseError, match=r"graphene_band\.dat line \d+"):
        import_model(str(tmp_path / "graphene_tb.dat"), directory=tmp_path / "cases")


def test_both_valleys_drift_as_the_formula_says(tmp_path):
    spec = importlib.util.spec_from_file_location("graphene_figure", GRAPHENE.with_name("figure.py"))
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    shutil.copy(GRAPHENE.with_name("case.toml"), tmp_path)
    shutil.copy(GRAPHENE, tmp_path)
    small = ["grid.sites=[122]", "grid.n_x=[24]", "grid.n_k=[48, 48]", "time.end=1 fs", "equation.order=1"]
    small += ["output.fields_every=1 fs", "output.scalars_every='never'", "output.phase_every='never'"]
    small += ["monitors.spectral_tail='off'"]
    at_valley = ([2.0944, 2.0944], [-2.0944, -2.0944])
    drifts = []
    for center in at_valley:
        with run(tmp_path, [*small, f"initial_state.center_k={center}"]) as done:
            (_, x), (_, expected) = script.measured(done), script.formula(done, 5)
        assert x[-1] == pytest.approx(expected[-1], rel=0.02)
        drifts.append(x[-1])
    assert drifts[0] > 0.05
    assert drifts[1] < -0.05
