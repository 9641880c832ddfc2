"""Wannier90 files: parsed and checked; conventions against TBmodels."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from wannier90_files import HR, LATTICE, TAU, TB, WIN, XYZ, write

from wigner_sim.errors import CaseError
from wigner_sim.models import build_hamiltonian
from wigner_sim.models.adapters import from_tbmodels, read_tbmodels
from wigner_sim.models.lattice_model import LatticeModel, hermitian_model
from wigner_sim.models.wannier90 import band_deviation, companions, read_wannier90, write_tb

ROOT = Path(__file__).parents[1]
GRAPHENE = ROOT / "cases" / "graphene_wannier"


def by_hand(k: float) -> np.ndarray:
    """H(k) of the files above along k_1."""
    hop = np.exp(1j * k)
    off = np.exp(1j * k * 0.35) * (0.3 + 0.1j + (0.2 - 0.1j) * hop)
    return np.array([[1.0 + 0.2 * np.cos(k), off], [np.conj(off), -1.0]])


def random_model(d: int = 2, n: int = 3, seed: int = 3) -> LatticeModel:
    rng = np.random.default_rng(seed)
    cells = np.array(list(itertools.product((-1, 0, 1), repeat=d)))
    blocks = rng.normal(size=(len(cells), n, n)) + 1j * rng.normal(size=(len(cells), n, n))
    blocks = 0.3 * (blocks + np.conj(np.swapaxes(blocks[::-1], 1, 2)))
    blocks[len(cells) // 2] += np.diag(np.arange(n) * 4.0)
    vectors = np.eye(d) + 0.2 * rng.normal(size=(d, d))
    return hermitian_model(cells, blocks, rng.uniform(-0.2, 1.1, (n, d)), vectors, "random", [], True)


# --- reading ---


@pytest.mark.parametrize("kind", ["tb", "hr"])
def test_a_file_written_by_hand(tmp_path, kind):
    if kind == "tb":
        path = write(tmp_path, "x_tb.dat", TB)
    else:
        path = write(tmp_path, "x_hr.dat", HR)
        write(tmp_path, "x_centres.xyz", XYZ)
        write(tmp_path, "x.win", WIN)
    model = read_wannier90(path)
    np.testing.assert_allclose(model.lattice_vectors, LATTICE)
    np.testing.assert_allclose(model.positions, TAU, atol=1e-12)
    for k in (0.0, 0.7, -2.1):
        np.testing.assert_allclose(model.bloch(np.array([k, 0.0, 0.0])), by_hand(k), atol=1e-14)
    text = "\n".join(model.report())
    assert "degeneracies: 1 to 2, sum of 1/degeneracy 2" in text
    assert "largest |Im H_ij(0)| = 0.1 eV" in text
    if kind == "tb":
        assert "largest element beside the centres 0.05 angstrom" in text


def test_bohr_and_missing_companions(tmp_path):
    path = write(tmp_path, "x_hr.dat", HR)
    with pytest.raises(CaseError, match=r"no x\.win beside it"):
        read_wannier90(path)
    write(tmp_path, "x.win", WIN.replace("Ang", "bohr"))
    with pytest.raises(CaseError, match=r"no x_centres\.xyz beside it"):
        read_wannier90(path)
    model = read_wannier90(path, centres=TAU)
    np.testing.assert_allclose(model.lattice_vectors, 0.529177210544 * LATTICE)
    write(tmp_path, "x_centres.xyz", XYZ.replace("X 0.76", "C 0.76"))
    with pytest.raises(CaseError, match=r"1 centres .* the model has 2 orbitals"):
        read_wannier90(path)
    assert [file.name for file in companions(path)] == ["x_centres.xyz", "x.win"]


def test_nearest_images_move_and_share_elements(tmp_path):
    path = write(tmp_path, "x_tb.dat", TB)
    lines = ["## with use_ws_distance=.true."]
    for r, i, j in itertools.product((-1, 0, 1), (1, 2), (1, 2)):
        images = [(0, 0, 0)]
        if (r, i, j) in ((1, 1, 2), (-1, 2, 1)):  # the bond to a_1 is as near to a_1 - a_2
            images.append((0, -r, 0))
        lines += [f"{r} 0 0 {i} {j}", str(len(images)), *(" ".join(map(str, image)) for image in images)]
    write(tmp_path, "x_wsvec.dat", "\n".join(lines) + "\n")
    model = read_wannier90(path)
    k = np.array([0.6, -1.1, 0.4])
    hop = 0.5 * (np.exp(1j * k[0]) + np.exp(1j * (k[0] - k[1])))
    expected = np.exp(1j * k @ TAU[1]) * (0.3 + 0.1j + (0.2 - 0.1j) * hop)
    np.testing.assert_allclose(model.bloch(k)[0, 1], expected, atol=1e-14)
    write(tmp_path, "x_wsvec.dat", "\n".join(lines[:-2]) + "\n")
    with pytest.raises(CaseError, match=r"x_wsvec\.dat line \d+"):
        read_wannier90(path)


def test_written_files_read_back(tmp_path):
    model = random_model(3)
    write_tb(model, tmp_path / "m_tb.dat")
    again = read_wannier90(tmp_path / "m_tb.dat")
    np.testing.assert_array_equal(again.cells, model.cells)
    np.testing.assert_allclose(again.blocks, model.blocks, rtol=1e-15, atol=1e-16)
    np.testing.assert_allclose(again.positions, model.positions, atol=1e-13)
    np.testing.assert_allclose(again.lattice_vectors, model.lattice_vectors, rtol=1e-14)


def test_bands_of_the_shipped_model_are_those_of_its_file():
    model = read_wannier90(GRAPHENE / "graphene_tb.dat")
    assert band_deviation(model, GRAPHENE / "graphene_band.dat") < 1e-6
    shifted = model.shifted(0.25)
    assert band_deviation(shifted, GRAPHENE / "graphene_band.dat") == pytest.approx(0.25, abs=1e-6)


# --- fewer dimensions ---


def test_a_layer_drops_what_leaves_it():
    model = random_model(3)
    layer = model.on_axes((1, 0))
    inside = model.cells[:, 2] == 0
    k = np.array([0.4, -1.3, 0.0])
    flat = hermitian_model(
        model.cells[inside], model.blocks[inside], model.positions, model.lattice_vectors, "", []
    )
    np.testing.assert_allclose(layer.bloch(k[[1, 0]]), flat.bloch(k), atol=1e-14)
    assert f"dropped {int((~inside).sum())} of 27 cells along a_3" in layer.notes[-1]
    largest = np.abs(model.blocks[~inside]).max()
    assert f"{largest:.3g}" in layer.notes[-1]


def test_a_plane_of_the_zone_keeps_them():
    model, k = random_model(3), np.array([0.4, -1.3, 0.9])
    plane = model.on_axes((0, 1), [0.9])
    np.testing.assert_allclose(plane.energies(k[:2]), model.energies(k), atol=1e-13)
    np.testing.assert_allclose(plane.bloch(k[:2]), model.bloch(k), atol=1e-13)


def test_chosen_vectors_keep_lengths_and_angles():
    model = random_model(3)
    kept = model.on_axes((2, 0)).lattice_vectors
    gram = model.lattice_vectors[[2, 0]] @ model.lattice_vectors[[2, 0]].T
    np.testing.assert_allclose(kept @ kept.T, gram, atol=1e-14)
    assert np.linalg.det(kept) > 0


@pytest.mark.parametrize("axes", [(0, 0), (3,), ()])
def test_wrong_axes(axes):
    with pytest.raises(CaseError, match="axes: expected distinct lattice vectors"):
        random_model(3).on_axes(axes)


# --- as Hamiltonian of a case ---


def build(path: Path, n: int, **parameters: object):
    return build_hamiltonian(f"wannier90:{path.name}", parameters, None, n, 0, (), path.parent)


def test_hamiltonian_of_a_case(tmp_path):
    path = write(tmp_path, "x_tb.dat", TB)
    chain = build(path, 1, fermi_energy=0.5)
    np.testing.assert_allclose(chain.bloch(np.array([0.7])), by_hand(0.7) - 0.5 * np.eye(2), atol=1e-14)
    assert chain.separable
    with pytest.raises(CaseError, match=r"hops along 1 lattice vectors, the case has 2 .*axes = \[0, 1\]"):
        build(path, 2)
    assert build(path, 2, axes=[0, 1]).lattice_vectors.shape == (2, 2)
    with pytest.raises(CaseError, match="does not know 'axse'"):
        build(path, 2, axse="[0, 1]")
    with pytest.raises(CaseError, match=r"there is no file .*, did you mean|there is no file"):
        build(tmp_path / "y_tb.dat", 1)


# --- against other packages ---


def tbmodels_model(sparse: bool = False):
    tbmodels = pytest.importorskip("tbmodels")
    ours = random_model(2)
    hop = {tuple(cell): block for cell, block in zip(ours.cells.tolist(), ours.blocks, strict=True)}
    positions = ours.positions % 1
    return tbmodels.Model(hop=hop, pos=positions, uc=ours.lattice_vectors, contains_cc=True, sparse=sparse)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("sparse", [False, True])
def test_tbmodels_object_and_file(tmp_path, sparse):
    theirs = tbmodels_model(sparse)
    file = tmp_path / "m.hdf5"
    theirs.to_hdf5_file(str(file))
    k = np.array([0.17, -0.31])
    expected = theirs.hamilton(k, convention=1)
    models = [read_tbmodels(file)] + ([] if sparse else [from_tbmodels(theirs)])
    for ours in models:
        np.testing.assert_allclose(ours.bloch(2 * np.pi * k), expected, atol=1e-13)


def test_hostile_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "m.hdf5"
    path.write_bytes(b"no such thing")
    with pytest.raises(CaseError, match="not a TBmodels HDF5 file"):
        read_tbmodels(path)
    with h5py.File(path, "w") as file:
        file["size"], file["sparse"] = 10**6, False
        file.create_group("hop").create_group("0")["R"] = (0, 0)
    with pytest.raises(CaseError, match="too many"):
        read_tbmodels(path)
    with h5py.File(path, "w") as file:
        file["size"] = h5py.ExternalLink("/etc/other.hdf5", "/x")
    with pytest.raises(CaseError, match="is a link"):
        read_tbmodels(path)
