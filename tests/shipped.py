"""The shipped cases on grids so small that any of them runs in a blink."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"skyrmion_texture", "thouless_pump", "weyl"}
CASES = [ROOT / "cases" / name for name in (ROOT / "cases" / "shipped.txt").read_text().split()]

#: As they are shipped; those that take long to set up are for the slow tests.
AS_SHIPPED = [
    pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.name in HEAVY else []) for case in CASES
]

#: By key: what each entry of a list becomes in one dimension and in two, position axes or momenta; short,
#: coarse, a smaller ring for the widest of them.  The flux per cell of a magnetic field stays.
TINY = {
    "sites": ("24", "12"),
    "n_x": ("32", "8"),
    "n_k": ("64", "16"),
    "center_x": ("12.0", "6.0"),
    "width_k": ("0.6", "0.6"),
}
OUTPUT = "\n[output]\nscalars_every = 0.2\nfields_every = 0.1\nphase_every = 0.2\n"


def tiny_text(text: str) -> str:
    """A case file made tiny, with its own output section replaced."""
    for key, entries in TINY.items():

        def smaller(found: re.Match[str], key: str = key, entries: tuple[str, str] = entries) -> str:
            n = found[1].count(",") + 1 if found[1].strip() else 0
            return f"{key} = [{', '.join([entries[n > 1]] * n)}]"

        text = re.sub(rf"^{key} = \[(.*?)\].*", smaller, text, flags=re.MULTILINE)
    text = re.sub(r"^end = .*", "end = 0.4", text, flags=re.MULTILINE)
    return re.sub(r"^\[output\]\n(?:[^\[\n].*\n?|\n)*", "", text, flags=re.MULTILINE) + OUTPUT


def tiny_copy(target: Path) -> Path:
    """Copy ``cases`` into ``target`` with every case made tiny; returns ``target``."""
    for case in CASES:
        copy = target / "cases" / case.name
        shutil.copytree(case, copy, ignore=shutil.ignore_patterns("runs", "exact"))
        file = copy / "case.toml"
        file.write_text(tiny_text(file.read_text(encoding="utf-8")), encoding="utf-8")
    return target
