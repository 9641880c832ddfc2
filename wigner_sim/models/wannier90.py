"""Wannier90 output: ``SEED_tb.dat``, or ``SEED_hr.dat`` with ``SEED_centres.xyz`` and ``SEED.win``.

``SEED_wsvec.dat``, where present, is applied (``use_ws_distance``).  Energies are in eV and lengths in
angstrom, as Wannier90 writes them.  Formats: Wannier90 user guide, chapter "Files".
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.grid import FloatArray
from wigner_sim.models.hamiltonian import ComplexArray
from wigner_sim.models.lattice_model import LatticeModel, hermitian_model, merged
from wigner_sim.models.text_table import TextTable
from wigner_sim.units import BOHR_IN_ANGSTROM

#: Lattice vectors R farther than this are not of this world.
_FARTHEST = 10**4


class _Hoppings(NamedTuple):
    cells: FloatArray  # (r, 3)
    degeneracies: list[int]
    blocks: ComplexArray  # (r, n, n), not yet divided by the degeneracies


def read_wannier90(
    path: str | Path, centres: FloatArray | None = None, lattice_vectors: FloatArray | None = None
) -> LatticeModel:
    """Read a model.

    Parameters
    ----------
    path : path
        ``SEED_tb.dat`` or ``SEED_hr.dat``; another name is told by its content.
    centres : array (n, 3), lattice vectors, optional
        In place of those in ``SEED_tb.dat`` or ``SEED_centres.xyz``.
    lattice_vectors : array (3, 3), angstrom, optional
        In place of those in ``SEED_tb.dat`` or ``SEED.win``.

    Raises
    ------
    CaseError
        One sentence with file and line on what is malformed, truncated, not Hermitian or missing.
    """
    path = Path(path)
    table = TextTable(path)
    notes: list[str] = []
    if _is_tb(table):
        hoppings, vectors, positions = _read_tb(table, notes)
    else:
        hoppings = _read_hr(table)
        vectors, positions = None, None
    vectors = vectors if lattice_vectors is None else np.asarray(lattice_vectors, dtype=float)
    vectors = _lattice_of_win(path) if vectors is None else vectors
    n = hoppings.blocks.shape[-1]
    if centres is None:
        cartesian = _centres_of_xyz(path, n) if positions is None else positions
        centres = _reduced(cartesian, vectors, path)
    cells, blocks = _weighted(hoppings, path, notes)
    return hermitian_model(cells, blocks, centres, vectors, str(path), notes, in_electronvolt=True)


def companions(path: str | Path) -> list[Path]:
    """Existing files of the same seed that :func:`read_wannier90` would look at."""
    endings = ("_centres.xyz", ".win", "_wsvec.dat")
    return [beside for ending in endings if (beside := _beside(Path(path), ending)).is_file()]


def _beside(path: Path, ending: str) -> Path:
    """``SEED_hr.dat`` -> ``SEED`` + ending."""
    return path.with_name(re.sub(r"(_hr|_tb)?\.dat$", "", path.name) + ending)


def _is_tb(table: TextTable) -> bool:
    """By name, else by content: the second line of ``_tb.dat`` is a lattice vector."""
    if table.name.endswith(("_tb.dat", "_hr.dat")):
        return table.name.endswith("_tb.dat")
    return len(table.lines) > 1 and len(table.lines[1].split()) == 3


def _sizes(table: TextTable) -> tuple[int, int]:
    """Numbers of orbitals and of cells; refused when the rest of the file is too short to hold them."""
    n = table.count("the number of orbitals", math.isqrt(max(1, table.remaining)))
    n_cells = table.count("the number of cells", max(1, table.remaining))
    if n_cells * n * n > table.remaining:
        table.fail(
            f"{n} orbitals and {n_cells} cells need {n_cells * n * n} matrix elements, "
            f"but only {table.remaining} lines follow: is the file truncated?"
        )
    return n, n_cells


def _read_hr(table: TextTable) -> _Hoppings:
    """``R1 R2 R3 m n Re Im`` for each element, all elements of a cell together."""
    table.text("the comment line")
    n, n_cells = _sizes(table)
    degeneracies = table.integers(n_cells, "degeneracies of the cells")
    start = table.position + 1
    rows = table.rows(n_cells * n * n, 7, "R1 R2 R3 m n Re Im").reshape(n_cells, n * n, 7)
    _check_end(table)
    cells = rows[:, 0, :3]
    mixed = (rows[:, :, :3] != cells[:, None, :]).any(axis=(1, 2))
    if mixed.any():
        first = int(np.argmax(mixed))
        table.fail("the elements of one cell R do not stand together", start + first * n * n)
    for r in range(n_cells):
        _check_cell(table, rows[r, 0, :3], start + r * n * n)
    blocks = [_block(table, rows[r, :, 3:], n, start + r * n * n)[..., 0] for r in range(n_cells)]
    return _Hoppings(cells.astype(int), degeneracies, np.array(blocks))


def _read_tb(table: TextTable, notes: list[str]) -> tuple[_Hoppings, FloatArray, FloatArray]:
    """Lattice, then H(R) and r(R), each cell with a line ``R1 R2 R3`` of its own."""
    table.text("the comment line")
    vectors = np.array([table.numbers(3, f"lattice vector {i}") for i in (1, 2, 3)])
    n, n_cells = _sizes(table)
    degeneracies = table.integers(n_cells, "degeneracies of the cells")
    cells, h = _read_cells(table, n, n_cells, 1, "m n Re(H) Im(H)")
    r_cells, r = _read_cells(table, n, n_cells, 3, "m n and Re, Im of x, y, z")
    _check_end(table)
    if not np.array_equal(cells, r_cells):
        table.fail("the cells of r(R) differ from those of H(R)")
    home = np.flatnonzero(~cells.any(axis=1))
    if not home.size:
        table.fail("there is no cell R = 0, so no orbital centres")
    # a copy for each degenerate image, all at R = 0 for the home cell
    centres = np.einsum("iic->ic", r[home[0]]).real / degeneracies[home[0]]
    r[home[0]] -= np.einsum("ij,jc->ijc", np.eye(n), np.einsum("iic->ic", r[home[0]]))
    notes.append(
        f"position matrix: largest element beside the centres {np.abs(r).max():.3g} angstrom, not used "
        "(the position operator is diagonal in this package)"
    )
    return _Hoppings(cells, degeneracies, h[..., 0]), vectors, centres


def _read_cells(
    table: TextTable, n: int, n_cells: int, n_components: int, what: str
) -> tuple[FloatArray, ComplexArray]:
    """``n_cells`` blocks: an empty line, R, and n^2 lines of elements."""
    cells = np.empty((n_cells, 3), dtype=int)
    blocks: list[ComplexArray] = []
    for r in range(n_cells):
        table.skip_blank()
        cell = table.numbers(3, "a cell R1 R2 R3")
        _check_cell(table, cell, table.position)
        cells[r] = cell
        start = table.position + 1
        rows = table.rows(n * n, 2 + 2 * n_components, what)
        blocks.append(_block(table, rows, n, start))
    return cells, np.array(blocks)


def _check_cell(table: TextTable, cell: FloatArray, line: int) -> None:
    if (cell != np.rint(cell)).any() or np.abs(cell).max() > _FARTHEST:
        shown = " ".join(f"{value:g}" for value in cell)
        table.fail(f"expected a cell R1 R2 R3 (integers up to {_FARTHEST}), got '{shown}'", line)


def _block(table: TextTable, rows: FloatArray, n: int, start: int) -> ComplexArray:
    """Rows ``m n Re Im [Re Im ...]`` as a matrix (n, n, components); every pair m, n exactly once."""
    index = rows[:, :2]
    wrong = ((index != np.rint(index)) | (index < 1) | (index > n)).any(axis=1)
    if wrong.any():
        line = start + int(np.argmax(wrong))
        table.fail(f"expected orbitals m n between 1 and {n}, got '{index[line - start]}'", line)
    i, j = index.astype(int).T - 1
    seen = np.zeros((n, n), dtype=bool)
    seen[i, j] = True
    if not seen.all():
        m, k = np.argwhere(~seen)[0] + 1
        table.fail(f"the element m n = {m} {k} is missing in the cell that starts here", start)
    block = np.empty((n, n, (rows.shape[1] - 2) // 2), dtype=complex)
    block[i, j] = rows[:, 2::2] + 1j * rows[:, 3::2]
    return block


def _check_end(table: TextTable) -> None:
    table.skip_blank()
    if table.remaining:
        table.position += 1
        table.fail("more lines than the numbers of orbitals and cells announce")


def _weighted(hoppings: _Hoppings, path: Path, notes: list[str]) -> tuple[FloatArray, ComplexArray]:
    """Divide by the degeneracies, and move each element to its nearest images if ``_wsvec.dat`` is there."""
    weights = np.array(hoppings.degeneracies, dtype=float)
    blocks = hoppings.blocks / weights[:, None, None]
    notes.append(
        f"degeneracies: 1 to {max(hoppings.degeneracies)}, sum of 1/degeneracy {np.sum(1 / weights):.6g}"
    )
    wsvec = _beside(path, "_wsvec.dat")
    if not wsvec.is_file():
        return merged(hoppings.cells, blocks)
    cells, blocks = _nearest_images(TextTable(wsvec), hoppings.cells, blocks)
    notes.append(f"Wigner-Seitz images from {wsvec.name}: {len(hoppings.cells)} cells became {len(cells)}")
    return cells, blocks


def _nearest_images(
    table: TextTable, cells: FloatArray, blocks: ComplexArray
) -> tuple[FloatArray, ComplexArray]:
    """``H_mn(R + T) += H_mn(R)/N_T`` for the N_T images T of each element.

    Wannier90 user guide, "seedname_wsvec.dat".
    """
    table.text("the comment line")
    number = {tuple(cell): r for r, cell in enumerate(cells.tolist())}
    n = blocks.shape[-1]
    done = np.zeros((len(cells), n, n), dtype=bool)
    moved: dict[tuple[int, ...], ComplexArray] = {}
    while True:
        table.skip_blank()
        if not table.remaining:
            break
        head = [int(value) for value in table.numbers(5, "R1 R2 R3 m n")]
        r, i, j = number.get(tuple(head[:3])), head[3] - 1, head[4] - 1
        if r is None or not (0 <= i < n and 0 <= j < n) or done[r, i, j]:
            table.fail("an element that is not in the model, or for the second time")
        done[r, i, j] = True
        n_images = table.count("the number of images", max(1, table.remaining))
        for _ in range(n_images):
            shift = table.numbers(3, "an image T1 T2 T3")
            _check_cell(table, shift, table.position)
            target = tuple(int(c) for c in cells[r] + shift)
            moved.setdefault(target, np.zeros((n, n), dtype=complex))[i, j] += blocks[r, i, j] / n_images
    if not done.all():
        r, i, j = np.argwhere(~done)[0]
        table.fail(f"the element m n = {i + 1} {j + 1} of R = {cells[r].tolist()} is missing")
    return np.array(list(moved)), np.array(list(moved.values()))


def _reduced(cartesian: FloatArray, vectors: FloatArray, path: Path) -> FloatArray:
    try:
        return cartesian @ np.linalg.inv(vectors)
    except np.linalg.LinAlgError:
        raise CaseError(f"{path}: the lattice vectors are linearly dependent") from None


def _centres_of_xyz(path: Path, n: int) -> FloatArray:
    """Cartesian centres in angstrom: the lines ``X x y z``."""
    xyz = _beside(path, "_centres.xyz")
    if not xyz.is_file():
        raise CaseError(
            f"{path}: no {xyz.name} beside it: the phases of H(k) need the orbital centres "
            "(Wannier90 writes it with write_xyz = true), or give hamiltonian.orbital_positions"
        )
    table = TextTable(xyz)
    table.text("the number of centres")
    table.text("the comment line")
    found = []
    while table.remaining:
        words = table.text("a centre").split()
        if words[:1] == ["X"]:
            table.position -= 1
            table.lines[table.position] = " ".join(words[1:])
            found.append(table.numbers(3, "a centre x y z"))
    if len(found) != n:
        raise CaseError(f"{xyz}: {len(found)} centres (lines X x y z), but the model has {n} orbitals")
    return np.array(found)


def _lattice_of_win(path: Path) -> FloatArray:
    """Rows of ``unit_cell_cart`` in angstrom."""
    win = _beside(path, ".win")
    if not win.is_file():
        raise CaseError(f"{path}: no {win.name} beside it for the lattice; give hamiltonian.lattice_vectors")
    table = TextTable(win)
    table.lines = [re.split("[!#]", line)[0] for line in table.lines]
    while not re.fullmatch(r"\s*begin\s+unit_cell_cart\s*", table.text("begin unit_cell_cart"), re.I):
        pass
    table.skip_blank()
    scale = 1.0
    unit = table.text("a lattice vector").split()
    if len(unit) == 1 and unit[0].lower()[:3] in ("boh", "ang"):
        scale = BOHR_IN_ANGSTROM if unit[0].lower().startswith("boh") else 1.0
    else:
        table.position -= 1
    vectors = []
    for i in (1, 2, 3):
        table.skip_blank()
        vectors.append(table.numbers(3, f"lattice vector {i}"))
    return scale * np.array(vectors)


# --- bands to compare with ---


def read_bands(path: str | Path) -> tuple[FloatArray, FloatArray]:
    """Bands that Wannier90 interpolated: ``SEED_band.dat`` and ``SEED_band.kpt``.

    Returns
    -------
    momenta : array (3, p), radians
    energies : array (p, n), eV, ascending
    """
    path = Path(path)
    table, points = TextTable(path), TextTable(path.with_suffix(".kpt"))
    n_points = points.count("the number of momenta", max(1, points.remaining))
    momenta = points.rows(n_points, 4, "k1 k2 k3 weight")[:, :3]
    bands: list[FloatArray] = []
    while table.remaining or not bands:
        bands.append(table.rows(n_points, 2, f"distance and energy of band {len(bands) + 1}")[:, 1])
        table.skip_blank()
    return 2 * np.pi * momenta.T, np.sort(np.array(bands).T, axis=1)


def band_deviation(model: LatticeModel, path: str | Path) -> float:
    """Largest difference between the model's bands and those in ``SEED_band.dat`` (eV).

    Raises
    ------
    CaseError
        If a file is malformed or has another number of bands.
    """
    momenta, energies = read_bands(path)
    if energies.shape[1] != model.n_orbitals:
        raise CaseError(f"{path}: {energies.shape[1]} bands, but the model has {model.n_orbitals}")
    return float(np.abs(model.energies(momenta) - energies).max())


def band_file(path: str | Path) -> Path | None:
    """``SEED_band.dat`` beside the model, if there is one with its momenta."""
    bands = _beside(Path(path), "_band.dat")
    return bands if bands.is_file() and bands.with_suffix(".kpt").is_file() else None


# --- writing ---


def write_tb(model: LatticeModel, path: str | Path) -> None:
    """Write ``_tb.dat``: lattice, H(R) to full precision, and the centres as the only position elements.

    A model of fewer than three dimensions gets perpendicular lattice vectors of length 1.
    """
    vectors, cells, positions = _embedded(model)
    centres = positions @ vectors
    lines = [f" written by wigner_sim from {Path(model.source).name}".encode("ascii", "replace").decode()]
    lines += [" ".join(f"{x:.15g}" for x in row) for row in vectors]
    lines += [str(model.n_orbitals), str(len(cells))]
    ones = ["1"] * len(cells)
    lines += [" ".join(ones[start : start + 15]) for start in range(0, len(ones), 15)]
    pairs = [(i, j) for j in range(model.n_orbitals) for i in range(model.n_orbitals)]
    for cell, block in zip(cells, model.blocks, strict=True):
        lines += ["", " ".join(map(str, cell))]
        lines += [f"{i + 1} {j + 1} {block[i, j].real:.16e} {block[i, j].imag:.16e}" for i, j in pairs]
    for cell in cells:
        lines += ["", " ".join(map(str, cell))]
        for i, j in pairs:
            r: Sequence[float] = centres[i] if i == j and not cell.any() else (0.0, 0.0, 0.0)
            lines.append(f"{i + 1} {j + 1} " + " ".join(f"{x:.16e} 0.0" for x in r))
    Path(path).write_text("\n".join(lines) + "\n", encoding="ascii")


def _embedded(model: LatticeModel) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Lattice vectors, cells and positions of the model in three dimensions."""
    d = model.n_dimensions
    vectors = np.eye(3)
    vectors[:d, :d] = model.lattice_vectors
    return (
        vectors,
        np.pad(model.cells.astype(int), ((0, 0), (0, 3 - d))),
        np.pad(model.positions, ((0, 0), (0, 3 - d))),
    )
