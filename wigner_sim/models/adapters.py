"""Models of other Python packages: PythTB (1.x and 2.x) and TBmodels, which need not be installed.

PythTB objects are read through their attributes.  TBmodels files are read with ``h5py`` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.grid import FloatArray
from wigner_sim.models.hamiltonian import ComplexArray
from wigner_sim.models.lattice_model import LatticeModel, hermitian_model, merged

#: Orbitals, and cells R, that a file may announce before its matrices are read.
_MAX_ELEMENTS = 10**8


def from_pythtb(model: Any, source: str = "PythTB model") -> LatticeModel:
    """Take over a PythTB model: ``pythtb.tb_model`` (1.x) or ``pythtb.TBModel`` (2.x).

    Parameters
    ----------
    model : object
    source : str
        Named in messages.

    Returns
    -------
    LatticeModel
        PythTB's default convention for H(k), with the phases of the orbital positions, is the one used here;
        its k in units of the reciprocal lattice vectors is ours over 2 pi.  The two spin states of an orbital
        follow each other.  Along a direction that is not periodic (a ribbon, a layer in space) nothing hops.

    Raises
    ------
    CaseError
        If it is no PythTB model, is periodic in no direction, or has parameters without values.
    """
    if hasattr(model, "lat_vecs") and hasattr(model, "hoppings"):
        parts = _parts_of_version_2(model, source)
    elif hasattr(model, "_hoppings") and hasattr(model, "_site_energies"):
        parts = _parts_of_version_1(model)
    else:
        raise CaseError(f"{source} is a {type(model).__name__}, not a PythTB model")
    vectors, positions, periodic, n_spin, onsite, hoppings = parts
    d = len(vectors)
    if not periodic:
        raise CaseError(f"{source}: periodic along none of its {d} directions, expected at least one")
    n = len(positions) * n_spin
    cells, blocks = [np.zeros(d, dtype=int)], [_onsite_block(onsite, n_spin)]
    for amplitude, i, j, cell in hoppings:
        block = np.zeros((n, n), dtype=complex)
        block[i * n_spin : (i + 1) * n_spin, j * n_spin : (j + 1) * n_spin] = amplitude
        cells += [cell, -cell]
        blocks += [block, block.conj().T]
    positions = np.repeat(positions, n_spin, axis=0)
    notes = [f"PythTB: {len(positions) // n_spin} orbitals, {n_spin} spin states, {len(cells) // 2} hoppings"]
    if finite := sorted(set(range(d)) - set(periodic)):
        notes.append(f"finite along {', '.join(f'a_{axis + 1}' for axis in finite)}")
    if not getattr(model, "_assume_position_operator_diagonal", True):
        notes.append("its position operator is not diagonal; only the diagonal is used here")
    return hermitian_model(*merged(np.array(cells), np.array(blocks)), positions, vectors, source, notes)


def _parts_of_version_1(model: Any) -> tuple[Any, ...]:
    """``pythtb.tb_model``: private attributes, the only complete access in 1.x."""
    d = model._dim_r
    hoppings = [
        (np.asarray(hop[0], dtype=complex), hop[1], hop[2], _cell(hop[3:], d)) for hop in model._hoppings
    ]
    vectors, positions = np.asarray(model._lat, dtype=float), np.asarray(model._orb, dtype=float)
    return vectors, positions, list(model._per), int(model._nspin), model._site_energies, hoppings


def _parts_of_version_2(model: Any, source: str) -> tuple[Any, ...]:
    """``pythtb.TBModel``: its public properties."""
    # each entry describes an on-site term or a hopping, with the names of its parameters
    without_value = {str(name) for term in model.parameters for name in term["names"]}
    if without_value:
        names = ", ".join(sorted(without_value))
        raise CaseError(f"{source}: parameters without values ({names}); fix them with with_parameters(...)")
    vectors = np.asarray(model.lat_vecs, dtype=float)
    hoppings = [
        (
            np.asarray(hop["amplitude"], dtype=complex),
            hop["from_orbital"],
            hop["to_orbital"],
            _cell([hop.get("lattice_vector")], len(vectors)),
        )
        for hop in model.hoppings
    ]
    positions = np.asarray(model.orb_vecs, dtype=float)
    return vectors, positions, list(model.periodic_dirs), int(model.nspin), model.onsite, hoppings


def _cell(given: Any, d: int) -> FloatArray:
    """The cell R, zero where it was left out."""
    cell = given[0] if len(given) and given[0] is not None else np.zeros(d)
    return np.asarray(cell, dtype=int).reshape(d)


def _onsite_block(onsite: Any, n_spin: int) -> ComplexArray:
    """Energies (n,), or spin blocks (n, 2, 2), as a matrix."""
    onsite = np.asarray(onsite, dtype=complex)
    n = len(onsite) * n_spin
    block = np.zeros((n, n), dtype=complex)
    for i, value in enumerate(onsite):
        at = slice(i * n_spin, (i + 1) * n_spin)
        block[at, at] = value if value.ndim else value * np.eye(n_spin)
    return block


def from_tbmodels(model: Any, source: str = "TBmodels model") -> LatticeModel:
    """Take over a ``tbmodels.Model``: attributes ``hop, pos, uc``.

    TBmodels keeps one of R and -R, and half of R = 0; ``hop[R]_ij`` is ``<0, i|H|R, j>``.

    Raises
    ------
    CaseError
        If it has no unit cell.
    """
    hop = {tuple(map(int, cell)): np.array(matrix, dtype=complex) for cell, matrix in model.hop.items()}
    return _from_half(hop, model.pos, model.uc, source)


def read_tbmodels(path: str | Path) -> LatticeModel:
    """Read a TBmodels HDF5 file (``Model.to_hdf5_file``), without importing TBmodels.

    Raises
    ------
    CaseError
        If ``h5py`` is missing, or the file is not a TBmodels file.
    """
    try:
        import h5py
    except ImportError:
        raise CaseError(
            f"{path}: reading TBmodels files needs h5py: pip install 'wigner-sim[tbmodels]'"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            return _of_hdf5(file, str(path))
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise CaseError(f"{path}: not a TBmodels HDF5 file ({type(error).__name__}: {error})") from None


def _of_hdf5(file: Any, source: str) -> LatticeModel:
    _refuse_links(file, source)
    group = file.get("tb_model", file)
    size, sparse = int(group["size"][()]), bool(group["sparse"][()])
    if not 0 < size * size * len(group["hop"]) <= _MAX_ELEMENTS:
        raise CaseError(f"{source}: {size} orbitals and {len(group['hop'])} cells are too many")
    if "uc" not in group:
        raise CaseError(f"{source}: the model has no unit cell (uc)")
    hop = {}
    for entry in group["hop"].values():
        matrix = _csr(entry, size) if sparse else _dense(entry["mat"], size)
        hop[tuple(int(c) for c in _small(entry["R"]))] = matrix
    return _from_half(hop, _small(group["pos"], 3 * size), _small(group["uc"]), source)


def _refuse_links(group: Any, source: str) -> None:
    """A file that points to other files is not read: every link must stay inside."""
    for name in group:
        link = group.get(name, getlink=True)
        if type(link).__name__ != "HardLink":
            raise CaseError(f"{source}: '{name}' is a link, which a TBmodels file does not have")
        item = group[name]
        if hasattr(item, "keys"):
            _refuse_links(item, source)
        elif item.external:
            raise CaseError(f"{source}: '{name}' is stored in another file")


def _small(dataset: Any, largest: int = 9) -> FloatArray:
    if dataset.size > largest:
        raise ValueError(f"{dataset.name} has {dataset.size} entries")
    return np.asarray(dataset[()]).astype(float)


def _dense(dataset: Any, size: int) -> ComplexArray:
    if dataset.shape != (size, size):
        raise ValueError(f"a matrix of shape {dataset.shape} for {size} orbitals")
    return np.asarray(dataset[()]).astype(complex)


def _csr(group: Any, size: int) -> ComplexArray:
    from scipy.sparse import csr_matrix

    if tuple(group["shape"][()]) != (size, size):
        raise ValueError(f"a matrix of shape {tuple(group['shape'][()])} for {size} orbitals")
    if any(group[name].size > size * size + 1 for name in ("data", "indices", "indptr")):
        raise ValueError("a sparse matrix with more elements than a full one")
    parts = tuple(group[name][()] for name in ("data", "indices", "indptr"))
    matrix = csr_matrix(parts, shape=(size, size), dtype=complex)
    matrix.check_format(full_check=True)
    return matrix.toarray()


def _from_half(
    hop: dict[tuple[int, ...], ComplexArray], positions: Any, vectors: Any, source: str
) -> LatticeModel:
    """The whole of H(R) from one of R and -R."""
    if vectors is None:
        raise CaseError(f"{source}: the model has no unit cell (uc)")
    if not hop:
        raise CaseError(f"{source}: the model has no hoppings")
    cells, blocks = zip(*_both(hop), strict=True)
    notes = [f"TBmodels: {len(hop)} cells stored, the others are their conjugates"]
    return hermitian_model(
        *merged(np.array(cells), np.array(blocks)), np.asarray(positions), np.asarray(vectors), source, notes
    )


def _both(hop: dict[tuple[int, ...], ComplexArray]) -> Iterator[tuple[tuple[int, ...], ComplexArray]]:
    for cell, block in hop.items():
        yield cell, block
        yield tuple(-c for c in cell), block.conj().T
