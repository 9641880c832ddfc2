"""The package as a whole: what it offers, and that it starts fast."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest
from tiny_cases import environment

import wigner_sim
from wigner_sim.cli.verbs import VERBS

HEAVY = {"numpy", "scipy", "pyfftw", "xarray", "netCDF4", "pydantic", "matplotlib", "tqdm", "PIL", "pandas"}


def python(code):
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import wigner_sim",
        "import wigner_sim.cli",
        "from wigner_sim.cli import main; main(['--help'])",
        "from wigner_sim.cli import main; main(['converge', '--help'])",
        "from wigner_sim.cli import main; main(['rnu'])",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code):
    loaded = set(python(f"{code}; import sys; print(); print(*sys.modules)").splitlines()[-1].split())
    assert loaded & HEAVY == set()
    ours = {
        name for name in loaded if name.startswith("wigner_sim") and not name.startswith("wigner_sim.cli")
    }
    assert ours <= {"wigner_sim", "wigner_sim.errors"}


def test_help_comes_at_once():
    """Import and help together, without the start of Python itself: under 0.3 s."""
    code = """
import time; started = time.process_time()
from wigner_sim.cli import main; main(["--help"])
print(time.process_time() - started)"""
    assert min(float(python(code).splitlines()[-1]) for _ in range(2)) < 0.3


@pytest.mark.parametrize("name", wigner_sim.__all__)
def test_every_name_is_there_and_documented(name):
    for module in pkgutil.iter_modules(wigner_sim.__path__, "wigner_sim."):
        if module.name != "wigner_sim.__main__":
            importlib.import_module(module.name)  # a module of that name would take its place
    thing = getattr(wigner_sim, name)
    assert not inspect.ismodule(thing)
    if name != "__version__":
        assert inspect.getdoc(thing)
        assert thing.__module__.startswith("wigner_sim.")
    assert name in dir(wigner_sim)


def test_every_verb_says_what_it_does():
    names = [verb.name for verb in VERBS]
    assert len(names) == len(set(names))
    assert all(verb.help and verb.help[0].islower() and not verb.help.endswith(".") for verb in VERBS)


def test_every_verb_is_a_function_of_the_package():
    verbs = {"check", "run", "resume", "info", "exact", "compare", "converge"}
    assert verbs | {"make_movie", "plot_run", "open_run"} <= set(wigner_sim.__all__)
    for name in verbs - {"resume", "info"}:
        assert next(iter(inspect.signature(getattr(wigner_sim, name)).parameters)) == "case"


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'wigner_sim' has no attribute 'runn'"):
        wigner_sim.runn  # noqa: B018


def test_the_package_is_a_command():
    command = [sys.executable, "-m", "wigner_sim", "--version"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"wigner-sim {wigner_sim.__version__}"
