"""Wannier90 files that are cut off, changed or foreign: refused in one sentence, or read."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from wannier90_files import HR, LATTICE, TAU, TB, WIN, XYZ, write

from wigner_sim.errors import CaseError
from wigner_sim.models import text_table
from wigner_sim.models.wannier90 import band_deviation, read_wannier90


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
