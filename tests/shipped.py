"""The shipped cases on grids so small that any of them runs in a blink."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
CASES = sorted(path.parent for path in (ROOT / "cases").glob("*/case.toml"))

#: What is replaced in a case file: short, coarse, few records; a smaller ring for the widest of them.
TINY = {
    r"^sites = .*": "sites = [24]",
    r"^n_x = .*": "n_x = [32]",
    r"^n_k = .*": "n_k = [24]",
    r"^end = .*": "end = 0.4",
    r"^center_x = .*": "center_x = [12.0]",
    r"^width_k = .*": "width_k = [0.6]",
}
OUTPUT = "\n[output]\nscalars_every = 0.1\nfields_every = 0.1\nphase_every = 0.2\n"


def tiny_copy(target: Path) -> Path:
    """Copy ``cases`` into ``target`` with every case made tiny; returns ``target``."""
    for case in CASES:
        copy = target / "cases" / case.name
        shutil.copytree(case, copy, ignore=shutil.ignore_patterns("runs", "exact"))
        text = (copy / "case.toml").read_text(encoding="utf-8")
        for pattern, replacement in TINY.items():
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
        (copy / "case.toml").write_text(text + OUTPUT, encoding="utf-8")
    return target
