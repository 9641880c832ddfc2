"""What the documentation says is done: commands and Python of fenced blocks are run, names are looked up.

A ``console`` block is a list of lines ``$ command``, a ``python`` block a script; both run in a directory
with tiny copies of the shipped cases.  A block after a line ``<!-- # not run -->`` is left out; of ``make``,
which would install the package, only the targets are looked up.
"""

from __future__ import annotations

import importlib
import re
import runpy
import shlex
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import pytest
from shipped import CASES, ROOT, tiny_copy, tiny_text

from wigner_sim import cli, movies
from wigner_sim.case import Case, case_keys, load_case
from wigner_sim.errors import EXIT_CODES
from wigner_sim.problem import build_problem

GUIDES = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("quickstart", "running", "figures", "models_import")),
]
PYTHON_GUIDES = [
    *GUIDES[:2],
    *(ROOT / "docs" / f"{name}.md" for name in ("python_api", "figures")),
]
PAGES = [*GUIDES, *(case / "README.md" for case in CASES)]
ALL_TEXT = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *(case / "README.md" for case in CASES),
]
NOT_RUN = "<!-- # not run -->\n"


def blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of a language, in order."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"([^\n]*\n)```{language}\n(.*?)\n```\n", text, flags=re.DOTALL)
    assert len(found) == text.count(f"```{language}\n"), page
    return [block for before, block in found if before != NOT_RUN]


def commands(page: Path) -> list[list[str]]:
    """Commands of the console blocks, split into words, without comments."""
    joined = [re.sub(r"\\\n\s*", "", block) for block in blocks(page, "console")]
    lines = [line for block in joined for line in block.splitlines()]
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in lines if line.startswith("$ ")]


def page_id(page: Path) -> str:
    return page.parent.name if page.name == "README.md" and page.parent != ROOT else page.stem


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Working directory with tiny copies of the cases, and figures that need no screen.

    Movies have a quarter of the pixels in each direction, laid out as ever: nobody looks at them.
    """
    tiny_copy(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(movies, "DPI", movies.DPI / 4)
    monkeypatch.setattr(sys, "argv", ["python"])
    with mpl.rc_context({"backend": "Agg"}):
        yield tmp_path


def perform(words: list[str]) -> None:
    """Run one documented command, or say that the test does not know it."""
    program, arguments = Path(words[0]).name, words[1:]
    if program == "wigner-sim":
        assert cli.main(arguments) == 0, words
        if arguments[0] == "import":
            file = Path("cases", arguments[arguments.index("--name") + 1], "case.toml")
            file.write_text(tiny_text(file.read_text(encoding="utf-8")), encoding="utf-8")
    elif program == "python":
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert set(arguments) <= set(targets), words
    else:
        pytest.fail(f"no way to try {words}: mark the block with {NOT_RUN}")


def outputs(words: list[str]) -> list[str]:
    """Files a command promises."""
    options = dict(pairwise(words))
    named = [options[name] for name in ("--output", "--figure", "--json") if name in options]
    return [name if Path(name).suffix else f"{name}.gif" for name in named]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_run(page, tiny):
    found = commands(page)
    assert found
    for words in found:
        perform(words)
        for name in outputs(words):
            assert (tiny / name).is_file(), words
    if page.name == "running.md":
        for script in blocks(page, "python"):
            exec(compile(script, page.name, "exec"), {})


@pytest.mark.parametrize("page", PYTHON_GUIDES, ids=page_id)
def test_python_runs(page, tiny, capsys):
    scripts = blocks(page, "python")
    assert scripts
    names = {"__name__": "__main__"}  # a block may use what an earlier one of its page has made
    for number, script in enumerate(scripts):
        exec(compile(script, f"{page.name}, block {number}", "exec"), names)
    assert capsys.readouterr().out


def test_python_of_the_output_format_runs(tiny):
    assert cli.main(["run", "cases/texture_1d", "--quiet"]) == 0
    (script,) = blocks(ROOT / "docs" / "output_format.md", "python")
    exec(compile(script, "output_format.md", "exec"), {})


def test_python_of_the_units_runs(capsys):
    (script,) = blocks(ROOT / "docs" / "units.md", "python")
    exec(compile(script, "units.md", "exec"), {})
    assert float(capsys.readouterr().out.split()[0].strip("(,)")) == pytest.approx(3.98e-4, rel=1e-2)


def test_an_unknown_command_fails():
    with pytest.raises(pytest.fail.Exception, match="no way to try"):
        perform(["rm", "-rf", "cases"])


@pytest.mark.parametrize("page", ALL_TEXT, ids=page_id)
def test_cases_and_files_that_are_mentioned_exist(page):
    text = page.read_text(encoding="utf-8")
    names = {case.name for case in CASES}
    for name in re.findall(r"cases/(\w+)", text):
        assert name in names | {"NAME", "my_graphene"}, f"{page.name}: cases/{name}"
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_exit_codes_are_listed():
    text = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", text, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES


def test_the_case_sections_that_are_shown_are_valid():
    texture = load_case(ROOT / "cases" / "texture_1d").to_dict()
    for script in blocks(ROOT / "docs" / "running.md", "toml"):
        Case.from_dict(texture | tomllib.loads(script))


def test_toml_that_is_shown_is_a_part_of_a_case():
    """Its keys replace those of a shipped case of as many dimensions."""
    physical = {"energy": "1 eV", "length": "2.46 angstrom"}
    for name in ("baths", "mean_field", "observables", "units"):
        for script in blocks(ROOT / "docs" / f"{name}.md", "toml"):
            shown = tomllib.loads(script)
            plane = "n_k" in script or "kx, ky" in script or "electric_field" in script
            case = load_case(ROOT / "cases" / ("haldane" if plane else "texture_1d")).to_dict() | {
                "units": physical
            }
            if "electric_field" in script:
                shown["hamiltonian"] = {"source": "named:haldane"} | shown["hamiltonian"]
            Case.from_dict(case | shown)


def test_every_page_with_code_is_tried():
    """Nobody adds a page with commands, scripts or cases that no test reads."""
    tried = {*PAGES, *PYTHON_GUIDES, ROOT / "CONTRIBUTING.md"}
    tried |= {
        ROOT / "docs" / f"{name}.md"
        for name in ("output_format", "units", "baths", "mean_field", "observables")
    }
    pages = [*ALL_TEXT, ROOT / "CONTRIBUTING.md", *(ROOT / "docs" / "decisions").glob("*.md")]
    languages = ("console", "python", "toml")
    with_code = {page for page in pages if any(blocks(page, language) for language in languages)}
    assert with_code <= tried


def test_files_that_contributors_are_sent_to_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:wigner_sim|docs|tests)/[\w./]*)`", text)
    assert len(named) > 15
    for name in named:
        assert (ROOT / name).exists(), name


def test_every_case_is_in_the_gallery():
    gallery = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    for case in CASES:
        assert f"```{{include}} ../cases/{case.name}/README.md" in gallery
        (row,) = (line for line in gallery.splitlines() if line.startswith(f"| [`{case.name}`]"))
        assert row.endswith(f"| `{build_problem(load_case(case)).stepper.name}` |")


@pytest.mark.parametrize("page", ALL_TEXT, ids=page_id)
def test_code_names_exist(page):
    """Every object in a Sphinx role can be imported."""
    for name in re.findall(r"\{py:\w+\}`~?([\w.]+)`", page.read_text(encoding="utf-8")):
        module, rest = name, []
        while True:
            try:
                found = importlib.import_module(module)
                break
            except ModuleNotFoundError:
                module, _, last = module.rpartition(".")
                assert module, f"{page.name}: {name}"
                rest.insert(0, last)
        for attribute in rest:
            found = getattr(found, attribute)


@pytest.mark.parametrize("page", ALL_TEXT, ids=page_id)
def test_keys_that_are_mentioned_exist(page):
    keys = {f"{key.section}.{key.name}" for key in case_keys()}
    sections = {key.section.split(".")[0] for key in case_keys() if key.section}
    text = page.read_text(encoding="utf-8")
    mentioned = re.findall(r"--set ([\w.]+)=", text)
    dotted = re.findall(r"`(\w+(?:\.\w+)+)(?: = [^`]*)?`", text)
    mentioned += [key for key in dotted if key.split(".")[0] in sections and not key.endswith(".nc")]
    for key in mentioned:
        known = key in keys or key.startswith(("hamiltonian.parameters.", "sweep.values"))
        assert known or key.endswith(".nc"), f"{page.name}: {key}"


def test_verbs_that_are_mentioned_exist(capsys):
    assert cli.main(["--help"]) == 0
    verbs = set(re.findall(r"^    (\w+) ", capsys.readouterr().out, re.MULTILINE))
    assert {"run", "converge"} <= verbs
    for page in ALL_TEXT:
        for verb in re.findall(r"wigner-sim ([a-z]+)\b", page.read_text(encoding="utf-8")):
            assert verb in verbs, f"{page.name}: wigner-sim {verb}"
