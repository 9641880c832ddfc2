"""Wannier90 files: parsed, checked, refused in one sentence; conventions against TBmodels."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import numpy as np
import pytest

from wigner_sim.errors import CaseError
from wigner_sim.models import build_hamiltonian, text_table
from wigner_sim.models.adapters import from_tbmodels, read_tbmodels
from wigner_sim.models.lattice_model import LatticeModel, hermitian_model
from wigner_sim.models.wannier90 import band_deviation, companions, read_wannier90, write_tb

ROOT = Path(__file__).parents[1]
GRAPHENE = ROOT / "cases" / "graphene_wannier"
LATTICE = np.array([[2.0, 0.1, 0.0], [0.3, 1.7, 0.0], [0.0, 0.2, 5.0]])
TAU = np.array([[0.0, 0.0, 0.0], [0.35, 0.2, 0.5]])

#: Two orbitals, three cells, degeneracy 2 at R = +-a_1; H_12(a_1) = (0.4 - 0.2i)/2 after division.
TB = """ by hand
  2.0 0.1 0.0
  0.3 1.7 0.0
  0.0 0.2 5.0
           2
           3
    2    1    2

   -1    0    0
    1    1    0.2  0.0
    2    1    0.4  0.2
    1    2    0.0  0.0
    2    2    0.0  0.0

    0    0    0
    1    1    1.0  0.0
    2    1    0.3 -0.1
    1    2    0.3  0.1
    2    2   -1.0  0.0

    1    0    0
    1    1    0.2  0.0
    2    1    0.0  0.0
    1    2    0.4 -0.2
    2    2    0.0  0.0

   -1    0    0
    1    1    0.0 0.0 0.0 0.0 0.0 0.0
    2    1    0.0 0.0 0.0 0.0 0.0 0.0
    1    2    0.0 0.0 0.0 0.0 0.0 0.0
    2    2    0.0 0.0 0.0 0.0 0.0 0.0

    0    0    0
    1    1    0.0 0.0 0.0 0.0 0.0 0.0
    2    1    0.05 0.0 0.0 0.0 0.0 0.0
    1    2    0.05 0.0 0.0 0.0 0.0 0.0
    2    2    0.76 0.0 0.475 0.0 2.5 0.0

    1    0    0
    1    1    0.0 0.0 0.0 0.0 0.0 0.0
    2    1    0.0 0.0 0.0 0.0 0.0 0.0
    1    2    0.0 0.0 0.0 0.0 0.0 0.0
    2    2    0.0 0.0 0.0 0.0 0.0 0.0
"""
HR = """ by hand
           2
           3
    2    1    2
   -1    0    0    1    1    0.2  0.0
   -1    0    0    2    1    0.4  0.2
   -1    0    0    1    2    0.0  0.0
   -1    0    0    2    2    0.0  0.0
    0    0    0    1    1    1.0  0.0
    0    0    0    2    1    0.3 -0.1
    0    0    0    1    2    0.3  0.1
    0    0    0    2    2   -1.0  0.0
    1    0    0    1    1    0.2  0.0
    1    0    0    2    1    0.0  0.0
    1    0    0    1    2    0.4 -0.2
    1    0    0    2    2    0.0  0.0
"""
XYZ = """3
 Wannier centres
X 0.0 0.0 0.0
X 0.76 0.475 2.5
C 0.1 0.1 0.1
"""
WIN = """num_wann = 2
! a comment
Begin Unit_Cell_Cart
Ang
 2.0 0.1 0.0   ! a_1
 0.3 1.7 0.0
 0.0 0.2 5.0
End Unit_Cell_Cart
"""


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    return path


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


# --- refusing ---


def sentence(path: Path) -> str:
    with pytest.raises(CaseError) as caught:
        read_wannier90(path, centres=TAU, lattice_vectors=LATTICE)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("kind", ["tb", "hr"])
def test_truncated_at_every_line(tmp_path, kind):
    lines = {"tb": TB, "hr": HR}[kind].splitlines()
    for n_lines in range(len(lines)):
        path = write(tmp_path, f"x_{kind}.dat", "\n".join(lines[:n_lines]))
        text = sentence(path)
        assert text.startswith(f"{path} line "), text


def test_truncated_inside_a_line_never_raises_anything_else(tmp_path):
    path = tmp_path / "x_tb.dat"
    for size in range(0, len(TB), 7):
        path.write_text(TB[:size])
        with contextlib.suppress(CaseError):
            read_wannier90(path)


HOSTILE = ("nan", "inf", "-1", "1e400", "99999999999", "x", "", "\n", "****", "\0", "é", "1_000", "١", "0x10")


def mutated(text: str, rng: np.random.Generator) -> str:
    """One word replaced, one line doubled or dropped, or the end cut off."""
    words, lines = text.split(" "), text.split("\n")
    place = int(rng.integers(len(lines)))
    match rng.integers(4):
        case 0:
            return text[: rng.integers(1, len(text))]
        case 1:
            words[rng.integers(len(words))] = HOSTILE[rng.integers(len(HOSTILE))]
            return " ".join(words)
        case 2:
            return "\n".join([*lines[:place], *lines[place + 1 :]])
    return "\n".join([*lines[:place], *lines[place:], lines[place]])


@pytest.mark.parametrize(
    "name", ["x_hr.dat", "x_tb.dat", "x_centres.xyz", "x.win", "x_band.dat", "x_band.kpt"]
)
def test_mutated_files_are_read_or_refused(tmp_path, name):
    files = {"x_hr.dat": HR, "x_tb.dat": TB, "x_centres.xyz": XYZ, "x.win": WIN}
    files |= {"x_band.kpt": "2\n0 0 0 1\n0.5 0 0 1\n", "x_band.dat": "0 1\n1 2\n\n0 3\n1 4\n"}
    rng = np.random.default_rng(11)
    for file, text in files.items():
        write(tmp_path, file, text)
    refused = 0
    for _ in range(60):
        write(tmp_path, name, mutated(files[name], rng))
        try:
            for model in ("x_hr.dat", "x_tb.dat"):
                band_deviation(read_wannier90(tmp_path / model), tmp_path / "x_band.dat")
        except CaseError as error:
            refused += 1
            text = str(error)
        else:
            text = ""
        assert "\n" not in text
    assert refused > 10


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("  2.0 0.1 0.0", "  2.0 0.1", "line 2: expected lattice vector 1 (3 numbers), got '2.0 0.1'"),
        ("  2.0 0.1 0.0", "  nan 0.1 0.0", "line 2: expected lattice vector 1"),
        ("           2\n", "  123456789\n", "line 5: the number of orbitals is 123456789, more than"),
        ("           2\n", "  9999999999999999\n", "line 5: expected the number of orbitals"),
        ("           2\n", "         0\n", "line 5: the number of orbitals is 0"),
        ("           3\n", "    100000\n", "line 6: the number of cells is 100000, more than"),
        ("           3\n", "        30\n", "line 6: 2 orbitals and 30 cells need 120 matrix elements"),
        ("    2    1    2\n", "    2    0    2\n", "line 7: expected degeneracies"),
        (
            "    2    1    2\n",
            "    2    1    2  1\n",
            "line 7: degeneracies of the cells: 4 integers, expected 3",
        ),
        (
            "    2    1    0.4  0.2",
            "    2    1    0.4  ****",
            "line 11: expected m n Re(H) Im(H) (4 numbers)",
        ),
        (
            "    2    1    0.4  0.2",
            "    2    3    0.4  0.2",
            "line 11: expected orbitals m n between 1 and 2",
        ),
        ("    2    1    0.4  0.2", "    1    1    0.4  0.2", "line 10: the element m n = 2 1 is missing"),
        (
            "   -1    0    0\n    1    1    0.2",
            "   -1    0  0.5\n    1    1    0.2",
            "line 9: expected a cell",
        ),
        ("    1    2    0.4 -0.2", "    1    2    0.4  0.2", "not Hermitian: H_2,1(R) and conj H_1,2(-R)"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, old, new, problem):
    assert old in TB
    path = write(tmp_path, "x_tb.dat", TB.replace(old, new, 1))
    assert problem in sentence(path)


def test_more_than_announced_foreign_and_large_files(tmp_path, monkeypatch):
    assert "line 44: more lines" in sentence(write(tmp_path, "x_tb.dat", TB + "1 2 3\n"))
    binary = tmp_path / "y_hr.dat"
    binary.write_bytes(b"\x89HDF\r\n\x1a\n\0\0")
    assert "not a text file" in sentence(binary)
    assert "cannot be read" in sentence(tmp_path / "missing_tb.dat")
    assert "not a file" in sentence(tmp_path)
    monkeypatch.setattr(text_table, "MAX_BYTES", 100)
    assert "GiB" in sentence(write(tmp_path, "x_tb.dat", TB))


def test_flat_lattice(tmp_path):
    path = write(tmp_path, "x_tb.dat", TB.replace("  2.0 0.1 0.0", "  0.6 3.4 0.0"))
    with pytest.raises(CaseError, match="lattice vectors are linearly dependent"):
        read_wannier90(path)


def test_small_errors_are_symmetrized_and_reported(tmp_path):
    path = write(tmp_path, "x_tb.dat", TB.replace("0.4 -0.2", "0.40004 -0.2"))
    model = read_wannier90(path)
    assert model.hermiticity_error == pytest.approx(2e-5)
    matrix = model.bloch(np.array([0.3, 0.1, 0.2]))
    np.testing.assert_allclose(matrix, matrix.conj().T, atol=1e-15)


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
