"""From a file of another program to a case directory that runs: ``wigner-sim import``."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wigner_sim.case import Case
from wigner_sim.case.loading import CASE_FILE
from wigner_sim.case.toml_text import emit_value
from wigner_sim.errors import CaseError
from wigner_sim.grid import FloatArray
from wigner_sim.models.imported import imported_model, is_imported_source, read_model
from wigner_sim.models.lattice_model import LatticeModel
from wigner_sim.models.setting import Setting
from wigner_sim.models.wannier90 import band_deviation, band_file, write_tb
from wigner_sim.units import ELEMENTARY_CHARGE, HBAR

#: hbar/eV in fs.
FEMTOSECONDS = 1e15 * HBAR / ELEMENTARY_CHARGE
#: Points along each momentum axis at which bands are looked at, by dimension.
_MESH = {1: 240, 2: 48, 3: 16}
_N_K = {1: [96], 2: [96, 96], 3: [32, 32, 32]}


@dataclass(frozen=True)
class Imported:
    """What an import made.

    Parameters
    ----------
    path : Path
        The new case directory.
    report : tuple of str
        Convention, checks and bands, a line each.
    """

    path: Path
    report: tuple[str, ...]


@dataclass(frozen=True)
class _BandSummary:
    """Range of each band on a mesh, and its smallest distance to the bands beside it."""

    momenta: FloatArray  # (d, p)
    energies: FloatArray  # (p, n)
    gaps: FloatArray  # (n,)

    @property
    def choice(self) -> int:
        """The band to follow: the highest separated one below the Fermi level, else the best there is."""
        separated = self.gaps > 0.1 * max(float(self.gaps.max()), 0.0)
        occupied = separated & (self.energies.max(axis=0) < 0)
        if occupied.any():
            return int(np.flatnonzero(occupied)[-1])
        return int(np.argmax(self.gaps))

    def lines(self) -> list[str]:
        """One line per band."""
        low, high = self.energies.min(axis=0), self.energies.max(axis=0)
        return [
            f"band {b}: {low[b]:.4g} to {high[b]:.4g}, smallest gap to the bands beside it {gap:.4g}"
            for b, gap in enumerate(self.gaps)
        ]


def import_model(
    file: str,
    name: str | None = None,
    directory: str | Path = "cases",
    axes: Sequence[int] | None = None,
    fermi_energy: float = 0.0,
    bands: str | Path | None = None,
) -> Imported:
    """Make a case directory from a model of another program.

    Parameters
    ----------
    file : str
        ``SEED_tb.dat`` or ``SEED_hr.dat`` (Wannier90), ``FILE.hdf5`` (TBmodels) or ``FILE.py:NAME`` (PythTB);
        also with the prefix a case has, ``wannier90:FILE``.
    name : str, optional
        Of the case; that of the file if left out.
    directory : path
        Where case directories are.
    axes : sequence of int, optional
        Lattice vectors to keep, counted from 0; those along which the model hops if left out.
    fermi_energy : float
        Zero of energy.
    bands : path, optional
        ``SEED_band.dat`` to compare with; the one beside the file if left out.

    Returns
    -------
    Imported

    Raises
    ------
    CaseError
        If the file is not such a model, the name is taken or no name, or the bands differ in number.
    """
    source = file if is_imported_source(file) else f"{_kind_of(file)}:{file}"
    kind, _, rest = source.partition(":")
    target = Path(directory) / _checked_name(name or _seed(rest))
    if target.exists():
        raise CaseError(f"{target}: exists already; give the case another name with --name")
    model = read_model(source, Setting(3))
    report = [*model.report(), *_compared(model, rest, bands, kind)]
    axes = list(model.periodic_axes() if axes is None else axes) or [0]
    parameters = {"axes": axes, "fermi_energy": float(fermi_energy)}
    kept = imported_model(source, parameters, Setting(len(axes)))
    report += kept.notes[len(model.notes) :]
    summary = _bands(kept)
    report += [*summary.lines(), f"band chosen: {summary.choice}"]
    text_of = _copy(kind, rest, model, target)
    text = _case_text(text_of, model, kept, parameters, summary)
    (target / CASE_FILE).write_text(text, encoding="utf-8")
    Case.from_toml(target / CASE_FILE)
    return Imported(target, tuple(report))


def _kind_of(file: str) -> str:
    if re.search(r"\.py:\w+$", file):
        return "pythtb"
    if file.endswith(".py"):
        raise CaseError(f"{file}: name the PythTB model in it, {file}:NAME")
    return "tbmodels" if file.endswith((".hdf5", ".h5")) else "wannier90"


def _seed(file: str) -> str:
    stem = Path(file.rpartition(":")[0] or file).stem
    return re.sub(r"\W", "_", re.sub(r"(_hr|_tb)$", "", stem)) or "imported"


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name):
        raise CaseError(f"--name: expected letters, digits, '_', '-' and '.', got {name!r:.60}")
    return name


def _compared(model: LatticeModel, file: str, bands: str | Path | None, kind: str) -> list[str]:
    """Deviation from the bands of the program itself, where there are any."""
    beside = band_file(file) if kind == "wannier90" else None
    found = Path(bands) if bands is not None else beside
    if found is None:
        return ["bands: none to compare with (SEED_band.dat and SEED_band.kpt beside the model)"]
    return [f"bands: differ from {found.name} by at most {band_deviation(model, found):.3g} eV"]


def _bands(model: LatticeModel) -> _BandSummary:
    d = model.n_dimensions
    axis = 2 * np.pi * np.arange(_MESH[d]) / _MESH[d] - np.pi
    momenta = np.array(np.meshgrid(*[axis] * d, indexing="ij")).reshape(d, -1)
    energies = model.energies(momenta)
    steps = np.diff(energies, axis=1).min(axis=0, initial=np.inf)
    gaps = np.minimum(np.append(np.inf, steps), np.append(steps, np.inf))
    return _BandSummary(momenta, energies, np.where(np.isfinite(gaps), gaps, np.ptp(energies)))


def _copy(kind: str, file: str, model: LatticeModel, target: Path) -> str:
    """Put the model into the case directory; returns the source there.

    A Wannier90 model becomes one ``_tb.dat``, with centres, weights and images worked in.
    """
    path = Path(file.rpartition(":")[0]) if kind == "pythtb" else Path(file)
    target.mkdir(parents=True)
    if kind == "wannier90":
        copy = target / f"{_seed(file)}_tb.dat"
        write_tb(model, copy)
        return f"wannier90:{copy.name}"
    shutil.copyfile(path, target / path.name)
    variable = f":{file.rpartition(':')[2]}" if kind == "pythtb" else ""
    return f"{kind}:{path.name}{variable}"


def _with_unit(value: float, unit: str, physical: bool) -> str | float:
    """A value for the case file, three digits, with its unit where there is one."""
    return f"{value:.3g} {unit}" if physical else float(f"{value:.3g}")


def _case_text(
    source: str, model: LatticeModel, kept: LatticeModel, parameters: dict[str, object], summary: _BandSummary
) -> str:
    """A case to start from: a packet at the top of the chosen band, in physical units if they are known."""
    d, band = kept.n_dimensions, summary.choice
    top = summary.momenta[:, np.argmax(summary.energies[:, band])]
    physical = model.in_electronvolt
    width = 4.0
    lengths = np.linalg.norm(kept.lattice_vectors, axis=1) / 10  # nm
    sites = [_with_unit(48 * lengths[0], "nm", True)] if physical else [48]
    width_x = [_with_unit(width * lengths[0], "nm", True)] if physical else [width]
    bandwidth = float(np.ptp(summary.energies[:, band])) or 1.0
    duration = (FEMTOSECONDS if physical else 1.0) * 30 / bandwidth
    end, every = (_with_unit(value, "fs", physical) for value in (duration, duration / 50))
    minimum_gap = _with_unit(max(1e-6, 0.2 * summary.gaps[band]), "eV", physical)
    note = "" if physical else "# energies and lengths are those of the model; say what they are in [units]\n"
    return f"""\
title = {emit_value(f"Imported from {Path(model.source).name}")}
{note}
[grid]
sites = {emit_value(sites)}    # one position axis, along the first lattice vector kept
n_k = {_N_K[d]}

[hamiltonian]
source = {emit_value(source)}
parameters = {emit_value(parameters)}
minimum_gap = {emit_value(minimum_gap)}

[bands]
select = [{band}]

[initial_state]
kind = "gaussian"    # a packet at the top of the band
center_k = {emit_value([float(f"{value:.6g}") for value in top])}
width_x = {emit_value(width_x)}
width_k = {emit_value([0.3] * d)}

[time]
end = {emit_value(end)}

[output]
scalars_every = {emit_value(every)}
fields_every = {emit_value(every)}
phase_every = {emit_value(every)}
"""
