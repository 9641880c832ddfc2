"""Figures into files: the name, the format, and what the file says about its origin."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import matplotlib as mpl

from wigner_sim import __version__
from wigner_sim.errors import CaseError
from wigner_sim.figures.panels import RunFigure

SUFFIXES = (".png", ".pdf", ".svg")


def save_figure(figure: RunFigure, path: str | Path, *, overwrite: bool = False, dpi: float = 150) -> Path:
    """Write a figure as PNG, PDF or SVG (by suffix) with title, case and run id in the file's metadata.

    Parameters
    ----------
    figure : Figure
        Made by one of the functions here.
    path : path
        If it exists and ``overwrite`` is False, the next free name (``name-1.png``, ...) is used.
    overwrite : bool
        Replace an earlier figure of this package; any other file is left alone.
    dpi : float
        For PNG.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    CaseError
        For an unknown suffix, a file that is not a figure of this package, or numbers near the largest there
        are, as in a damaged file.
    """
    target = Path(path)
    suffix = figure_suffix(target)
    target = free_path(target, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(figure.style):  # ticks and fonts come into being only now
        try:
            figure.savefig(target, dpi=dpi, metadata=_file_metadata(suffix, figure.provenance))
        except (ArithmeticError, ValueError) as error:  # 1e308 has no next power of ten, no margins either
            raise CaseError(
                f"{target.name}: the stored numbers are too large to be drawn ({error}): is a file damaged?"
            ) from None
    return target


def figure_suffix(path: str | Path) -> str:
    """Suffix of a figure's file name.

    Raises
    ------
    CaseError
        If no figure can be written under it.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        near = get_close_matches(suffix, SUFFIXES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        known = ", ".join(SUFFIXES)
        raise CaseError(
            f"cannot write a figure as '{Path(path).name}': the suffix must be one of {known}{hint}"
        )
    return suffix


def _file_metadata(suffix: str, about: dict[str, str]) -> dict[str, str]:
    """Metadata under the keys each format knows."""
    record = provenance_text(about)
    return {
        ".png": {"Title": about["title"], "Software": f"wigner_sim {__version__}", "Comment": record},
        ".pdf": {"Title": about["title"], "Creator": f"wigner_sim {__version__}", "Subject": record},
        ".svg": {"Title": about["title"], "Creator": f"wigner_sim {__version__}", "Description": record},
    }[suffix]


def provenance_text(about: dict[str, str]) -> str:
    """One line for a file's comment field."""
    return f"wigner_sim {__version__}; case={about['case']}; run_id={about['run_id']}"


def free_path(path: Path, *, overwrite: bool = False) -> Path:
    """Return ``path`` if nothing is lost by writing there, else the next free one of ``name-1.suffix``, ...

    With ``overwrite`` an existing file is replaced, but only one this package wrote (its metadata say so).
    """
    if not path.exists():
        return path
    if overwrite:
        if path.is_dir() or b"wigner_sim" not in path.read_bytes():
            raise CaseError(f"{path} exists and was not written by wigner_sim: it will not be overwritten")
        return path
    number = 1
    while (candidate := path.with_name(f"{path.stem}-{number}{path.suffix}")).exists():
        number += 1
    return candidate
