"""Sphinx configuration: Markdown pages, API pages from the docstrings, the case-file keys from the schema."""

import re
from itertools import groupby
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from wigner_sim import __version__
from wigner_sim.case import CaseKey, case_keys

project = "wigner_sim"
author = "The wigner_sim developers"
project_copyright = author
release = version = __version__

extensions = [
    "myst_nb",  # brings myst_parser along
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "_static", "generated/case_keys.md"]
templates_path = ["_templates"]
smartquotes = False  # "quoted" values are to be copied into TOML
html_theme = "furo"
html_title = f"wigner_sim {version}"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "force"  # the notebooks are stored without output
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "set"}  # matplotlib gives one to every artist
autodoc_typehints = "none"  # the numpydoc sections give shapes and units, which annotations cannot
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False  # types are prose ("array (*x, *k)"), not names to look up
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]  # for the same reason: an attribute's type may name two classes


def _cell(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|$])", r"\\\1", text)


def _heading(section: str, kind: str) -> str:
    if not section:
        return "## Top of the file"
    return f"## `[{section}]`" + (f' with `kind = "{kind}"`' if kind else "")


def _table(keys: list[CaseKey]) -> list[str]:
    rows = [
        f"| `{key.name}` | {_cell(key.default)} | {_cell(key.expected)} | {_cell(key.description)} |"
        for key in keys
    ]
    return ["| key | default | expected | meaning |", "|---|---|---|---|", *rows]


def write_case_keys(app: Sphinx) -> None:
    """Write the table of all keys of a case file, which case_file.md includes."""
    lines: list[str] = []
    for (section, kind), keys in groupby(case_keys(), key=lambda key: (key.section, key.kind)):
        lines += [_heading(section, kind), "", *_table(list(keys)), ""]
    target = Path(app.srcdir) / "generated" / "case_keys.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join(lines), encoding="utf-8")


def escape_axis_letters(
    _app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]
) -> None:
    """Keep the axis alphabet, ``(*x, *k)``, from being read as emphasis; literals are left alone."""
    for number, line in enumerate(lines):
        pieces = line.split("``")
        pieces[::2] = [re.sub(r"(?<![\w*])\*(?=[A-Za-z]\w*\b(?!\*))", r"\*", piece) for piece in pieces[::2]]
        lines[number] = "``".join(pieces)


def setup(app: Sphinx) -> None:
    """Register the two hooks with Sphinx."""
    app.connect("builder-inited", write_case_keys)
    app.connect("autodoc-process-docstring", escape_axis_letters)
