"""Mutate case files; each must be accepted or refused in one sentence that names the place, never crash."""

from __future__ import annotations

import contextlib
import io
import random
import re
import shutil
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.reliability.trials import CASE
from wigner_sim.cli import main

FRAGMENTS = (
    "nan",
    "inf",
    "-1",
    "0",
    "1e400",
    "1e-300",
    "99999999999",
    "true",
    '""',
    '"x"',
    "[]",
    "[[1]]",
    "{}",
    "{a = 1}",
    '"../../etc/passwd"',
    '"python:/etc/passwd:f"',
    '"array:nothing.npy"',
    "\"__import__('os').system('false')\"",
    '"x.__class__"',
    '"1/0"',
    '"exp(1e9)"',
    '"(" * 999',
    "1979-05-27",
    '"\\u0000"',
    "'''",
    "[1, 2, 3, 4]",
    "1_0",
    '"named:nothing"',
    '"all"',
    "[0, 0]",
    "[7]",
    "0x1F",
    "+5",
    "1.",
    ".5",
    '"never"',
    "{steps = 0}",
    "{steps = 2.5}",
)


def mutate(text: str, generator: random.Random) -> tuple[str, str]:
    """A changed case, and the name of the key that was touched (empty if none in particular)."""
    lines = text.strip().splitlines()
    keyed = [number for number, line in enumerate(lines) if "=" in line]
    number = generator.choice(keyed)
    name, _, value = lines[number].partition("=")
    kind = generator.randrange(8)
    if kind <= 2:
        lines[number] = f"{name}= {generator.choice(FRAGMENTS)}"
    elif kind == 3:
        lines[number] = f"{_misspelt(name.strip(), generator)} ={value}"
    elif kind == 4:
        del lines[number]
    elif kind == 5:
        lines.insert(number, lines[number])
    elif kind == 6:
        place = generator.randrange(len(lines[number]) + 1)
        lines[number] = (
            lines[number][:place] + generator.choice("\"'[]{}=.,#\x00é\\\n ") + lines[number][place:]
        )
    else:
        lines.insert(
            generator.randrange(len(lines)), generator.choice(("[nothing]", "stray", "a.b.c = 1", "[[time]]"))
        )
        return "\n".join(lines), ""
    return "\n".join(lines), name.strip() if kind <= 2 else ""


def _misspelt(name: str, generator: random.Random) -> str:
    place = generator.randrange(len(name))
    return name[:place] + generator.choice("abcxyz_") + name[place + generator.randrange(2) :]


def _names_a_place(name: str, sentence: str) -> bool:
    """The key that was touched, another one that no longer fits to it, or a place in the text."""
    return name in sentence or "not valid TOML" in sentence or bool(re.search(r"\b\w+\.\w+ = ", sentence))


def measure(scratch: Path, n_cases: int, seed: int = 2) -> dict[str, Any]:
    """Check that many mutated cases; count exit codes, crashes, and sentences that do not name the key."""
    generator = random.Random(seed)
    case = scratch / "mutant"
    codes: Counter[int] = Counter()
    crashes: list[str] = []
    unnamed: list[str] = []
    too_long: list[str] = []
    small = re.sub(r"end = 6.0", "end = 0.1", CASE)
    for _ in range(n_cases):
        shutil.rmtree(case, ignore_errors=True)
        case.mkdir(parents=True)
        text, name = mutate(small, generator)
        (case / "case.toml").write_text(text, encoding="utf-8")
        said = io.StringIO()
        try:
            with (
                warnings.catch_warnings(),
                contextlib.redirect_stderr(said),
                contextlib.redirect_stdout(io.StringIO()),
            ):
                warnings.simplefilter("ignore")
                code = main(["check", str(case)])
        except BaseException:
            crashes.append(f"{text}\n{traceback.format_exc()}")
            continue
        codes[code] += 1
        sentence = said.getvalue().strip().splitlines()[-1:] if code else []
        if code not in (0, 2) or "Traceback" in said.getvalue():
            crashes.append(f"{text}\nexit code {code}: {said.getvalue()}")
        if code == 2 and name and not any(_names_a_place(name, line) for line in sentence):
            unnamed.append(f"{name}: {sentence}")
        if code == 2 and sum(map(len, sentence)) > 400:
            too_long.append(sentence[0])
        if list(case.iterdir()) != [case / "case.toml"]:
            crashes.append(f"{text}\nfiles were left behind")
    return {
        "cases": n_cases,
        "exit_codes": dict(codes),
        "crashes": crashes,
        "unnamed": unnamed,
        "too_long": too_long,
    }
