"""Cases to start from: the shipped ones, and small templates.

The shipped cases live in ``cases/`` of the repository and are put into the package when it is built (see
``setup.py``); from a working copy they are read where they are.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

from wigner_sim.case.full_text import full_text
from wigner_sim.case.loading import CASE_FILE
from wigner_sim.errors import CaseError
from wigner_sim.expressions import nearest_match

PACKAGE = Path(__file__).parent
TEMPLATES = PACKAGE / "templates"
DEFAULT_TEMPLATE = "chain"
#: Names of the shipped cases, beside them.
LIST = "shipped.txt"
#: What running a case leaves behind, and is not part of it.
LEFT_BEHIND = ("runs", "exact", "sweeps", "__pycache__")


#: Files that a case refers to.
REFERENCES = r"(?:python|pythtb|array|wannier90|tbmodels):([\w.-]+\.(?:py|npy|dat|hdf5))"


def shipped_cases() -> Path:
    """Directory of the shipped cases.

    Raises
    ------
    CaseError
        If they are not there.
    """
    for directory in (PACKAGE / "example_cases", PACKAGE.parent / "cases"):
        if (directory / LIST).is_file():
            return directory
    raise CaseError(f"the shipped cases are missing from this installation ({PACKAGE / 'example_cases'})")


def examples() -> dict[str, str]:
    """Name and title of every shipped case; in a working copy, cases of one's own may stand beside them."""
    directory = shipped_cases()
    names = (directory / LIST).read_text(encoding="utf-8").split()
    return {name: _title(directory / name / CASE_FILE) for name in names}


def templates() -> dict[str, str]:
    """Name and title of every small template."""
    return {file.stem: _title(file) for file in sorted(TEMPLATES.glob("*.toml"))}


def copy_example(name: str, target: str | Path | None = None) -> Path:
    """Copy a shipped case with its files.

    Parameters
    ----------
    name : str
    target : path, optional
        Its new directory, which must not exist; ``name`` in the current one if left out.

    Raises
    ------
    CaseError
        If there is no such case (with the nearest match), or the directory exists.
    """
    known = examples()
    if name not in known:
        hint = nearest_match(name, list(known)) or f"; there is {', '.join(known)}"
        raise CaseError(f"no shipped case '{name}'{hint}")
    path = _free(Path(name if target is None else target))
    shutil.copytree(shipped_cases() / name, path, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    return path


def new_case(path: str | Path, template: str = DEFAULT_TEMPLATE, full: bool = False) -> Path:
    """Make a new case directory.

    Parameters
    ----------
    path : path
        Must not exist.
    template : str
        A small template or a shipped case.
    full : bool
        List every key there is, with its default and meaning, as comments.

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    CaseError
        If there is no such template (with the nearest match), or the directory exists.
    """
    path, small, shipped = _free(Path(path)), templates(), examples()
    if template not in small | shipped:
        hint = nearest_match(template, [*small, *shipped]) or f"; there is {', '.join(small | shipped)}"
        raise CaseError(f"no template '{template}'{hint}")
    if template in small:
        file, companions = TEMPLATES / f"{template}.toml", TEMPLATES
    else:
        file, companions = shipped_cases() / template / CASE_FILE, shipped_cases() / template
    text = file.read_text(encoding="utf-8")
    path.mkdir(parents=True)
    for name in sorted(set(re.findall(REFERENCES, text))):
        source = companions / name
        shutil.copyfile(source if source.exists() else companions / f"{name}.txt", path / name)
    (path / CASE_FILE).write_text(full_text(text) if full else text, encoding="utf-8")
    return path


def _title(file: Path) -> str:
    return str(tomllib.loads(file.read_text(encoding="utf-8")).get("title", ""))


def _free(path: Path) -> Path:
    if path.exists():
        raise CaseError(f"{path} exists already: choose another name")
    return path
