"""The tree reads in dependency order: every module has a rank and imports only from its own or lower ranks.

The rules are applied to the sources as text (nothing is imported), so the same checker also runs on the
made-up packages at the end of this file, one for each rule it has to be able to enforce.
"""

import ast
from pathlib import Path

import pytest

PACKAGE = "wigner_sim"
SOURCE = Path(__file__).parents[1] / PACKAGE
MAX_LINES = 450

# A subpackage counts as one entry.  A new module is added here, at the lowest rank its imports allow.
RANKS = {
    0: {
        "errors",
        "units",
        "expressions",
        "fourier",
        "schedules",
        "steppers",
        "propagator",
        "progress",
        "interrupts",
        "speed_suite",
        "reading",
        "parallel",
        "aligned",
        "kernels",
        "threads",
        "wisdom",
    },
    1: {"grid", "models"},
    2: {"symbols", "projector", "products", "jets", "geometry", "weyl", "liouville", "response"},
    3: {"kinetics", "trajectories"},
    4: {"initial_states", "observables", "baths", "matrix_moyal"},
    5: {
        "case",
        "provenance",
        "output",
        "si_attributes",
        "output_variables",
        "netcdf_contents",
        "checkpoint",
        "run_directory",
        "runs",
        "monitors",
        "run_status",
        "earlier_runs",
        "starting_points",
        "versions",
        "forecast",
        "recorder",
        "feasibility",
        "selection",
        "validity",
        "si_units",
    },
    6: {
        "problem",
        "gauge",
        "preparation",
        "simulation",
        "exact_runs",
        "matrix_snapshots",
        "trajectory_output",
        "convergence",
        "studies",
        "validation",
        "reports",
        "sweeps",
        "importing",
        "prediction",
    },
    7: {"cli", "figures", "plotting", "movies", "viewer", "accessor"},
    8: {"__init__", "__main__"},
}
RANK_OF = {name: rank for rank, names in RANKS.items() for name in names}

# What an entry must not reach, even through others: a sign error shared by the reference and the kinetic
# code would cancel in their comparison; figures are drawn from files, they compute no physics.
OUT_OF_REACH = {
    "liouville": {"kinetics", "symbols", "projector", "products", "geometry"},
    "figures": {"kinetics", "liouville", "simulation"},
    "plotting": {"kinetics", "liouville", "simulation"},
    "movies": {"kinetics", "liouville", "simulation"},
}
SOLE_IMPORTERS = {"pyfftw": {"fourier"}, "netCDF4": {"output", "checkpoint", "runs"}}


def entry(module: str) -> str:
    """``wigner_sim.models.ssh`` -> ``models``; the package itself -> ``__init__``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imported_modules(module: str, text: str, modules: set[str]) -> set[str]:
    """Full names of all modules that ``text`` imports anywhere, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute_base(node, module, modules)
            # the package defines __version__ before it imports anything, so that all ranks may have it
            names = {alias.name for alias in node.names if (base, alias.name) != (PACKAGE, "__version__")}
            submodules = {f"{base}.{name}" for name in names} & modules
            found |= submodules
            if len(submodules) < len(names):
                found.add(base)
    return found - {module}


def _absolute_base(node: ast.ImportFrom, module: str, modules: set[str]) -> str:
    """The ``a.b`` of ``from a.b import c``, with leading dots resolved against ``module``."""
    is_package = any(other.startswith(f"{module}.") for other in modules)
    levels_up = node.level - is_package
    anchor = module.split(".")[: -levels_up or None] if node.level else []
    return ".".join([*anchor, *filter(None, [node.module])])


def import_cycle(graph: dict[str, set[str]]) -> list[str]:
    """One cycle as ``[a, b, ..., a]``, or an empty list."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for target in sorted(graph[name]):
            if cycle := visit(target, [*path, name]):
                return cycle
        done.add(name)
        return []

    return next((cycle for name in sorted(graph) if (cycle := visit(name, []))), [])


def reachable(start: set[str], graph: dict[str, set[str]]) -> set[str]:
    """All modules that those in ``start`` import, directly or through others."""
    seen: set[str] = set()
    todo = set(start)
    while todo:
        todo = {target for name in todo for target in graph[name]} - seen
        seen |= todo
    return seen


def violations(sources: dict[str, str]) -> list[str]:
    """One sentence for every broken rule; ``sources`` maps module names to their texts."""
    modules = set(sources)
    imports = {module: imported_modules(module, text, modules) for module, text in sources.items()}
    graph = {module: targets & modules for module, targets in imports.items()}
    return [
        *_misplaced(sources),
        *_upward_imports(graph),
        *_foreign_imports(imports),
        *_forbidden_reach(graph),
        *(["import cycle: " + " -> ".join(cycle)] if (cycle := import_cycle(graph)) else []),
    ]


def _misplaced(sources: dict[str, str]) -> list[str]:
    found = []
    for module, text in sources.items():
        if entry(module) not in RANK_OF:
            found.append(f"{module} has no rank: add '{entry(module)}' to RANKS in {Path(__file__).name}")
        if module.endswith(".utils"):
            found.append(f"{module}: a module is named after its one idea, not 'utils'")
        if (n_lines := len(text.splitlines())) > MAX_LINES:
            found.append(f"{module} has {n_lines} lines, more than {MAX_LINES}: two ideas in one file?")
    return found


def _upward_imports(graph: dict[str, set[str]]) -> list[str]:
    top = max(RANKS)
    return [
        f"{module} (rank {RANK_OF[entry(module)]}) imports {target} (rank {RANK_OF.get(entry(target), top)})"
        for module, targets in graph.items()
        for target in sorted(targets)
        if entry(module) in RANK_OF and RANK_OF[entry(module)] < RANK_OF.get(entry(target), top)
    ]


def _foreign_imports(imports: dict[str, set[str]]) -> list[str]:
    return [
        f"{module} imports {library}: only {', '.join(sorted(allowed))} may"
        for library, allowed in SOLE_IMPORTERS.items()
        for module, targets in imports.items()
        if entry(module) not in allowed and library in {target.split(".")[0] for target in targets}
    ]


def _forbidden_reach(graph: dict[str, set[str]]) -> list[str]:
    found = []
    for name, forbidden in OUT_OF_REACH.items():
        reached = reachable({module for module in graph if entry(module) == name}, graph)
        found += [f"{name} reaches {target}" for target in sorted(reached) if entry(target) in forbidden]
    return found


def package_sources() -> dict[str, str]:
    """Module name -> text for every file of the package; a subpackage goes by its own name."""
    sources = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources[name] = path.read_text(encoding="utf-8")
    return sources


def test_every_module_keeps_to_its_layer():
    sources = package_sources()
    assert f"{PACKAGE}.grid" in sources
    found = violations(sources)
    assert not found, "\n" + "\n".join(found)


def test_version_is_defined_before_the_package_imports_anything():
    statements = ast.parse(package_sources()[PACKAGE]).body
    imports = [
        n
        for n, node in enumerate(statements)
        if PACKAGE in ast.unparse(node).split(" as ")[0] and isinstance(node, ast.Import | ast.ImportFrom)
    ]
    (version,) = (
        n
        for n, node in enumerate(statements)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    )
    assert not imports or version < imports[0]


def test_no_entry_has_two_ranks():
    assert sum(map(len, RANKS.values())) == len(RANK_OF)


LAWFUL = {
    "wigner_sim": "from wigner_sim.case import Case",
    "wigner_sim.errors": "",
    "wigner_sim.fourier": "import pyfftw.interfaces",
    "wigner_sim.grid": "from wigner_sim.errors import CaseError\nfrom wigner_sim import __version__",
    "wigner_sim.models": "from wigner_sim.models.ssh import ssh",
    "wigner_sim.models.ssh": "from wigner_sim import grid",
    "wigner_sim.symbols": "import wigner_sim.fourier",
    "wigner_sim.liouville": "from wigner_sim.models.ssh import ssh",
    "wigner_sim.case": "from wigner_sim.symbols import star_product",
}


def test_a_lawful_package_passes():
    assert violations(LAWFUL) == []


@pytest.mark.parametrize(
    ("module", "text", "sentence"),
    [
        ("grid", "from wigner_sim.case import Case", "grid (rank 1) imports wigner_sim.case (rank 5)"),
        ("grid", "from wigner_sim import case", "grid (rank 1) imports wigner_sim.case (rank 5)"),
        ("grid", "def f():\n    import wigner_sim.case", "grid (rank 1) imports wigner_sim.case (rank 5)"),
        ("grid", "from wigner_sim import Case", "grid (rank 1) imports wigner_sim (rank 8)"),
        ("grid", "from wigner_sim import Case, __version__", "grid (rank 1) imports wigner_sim (rank 8)"),
        ("models.ssh", "from ..case import Case", "models.ssh (rank 1) imports wigner_sim.case (rank 5)"),
        ("models.ssh", "from .. import case", "models.ssh (rank 1) imports wigner_sim.case (rank 5)"),
        ("models", "from ..case import Case", "models (rank 1) imports wigner_sim.case (rank 5)"),
        ("liouville", "from wigner_sim.symbols import star_product", "liouville reaches wigner_sim.symbols"),
        ("models.ssh", "import wigner_sim.symbols", "liouville reaches wigner_sim.symbols"),
        ("plotting", "from wigner_sim.simulation import run", "plotting reaches wigner_sim.simulation"),
        ("case", "import pyfftw", "wigner_sim.case imports pyfftw: only fourier may"),
        ("case", "from netCDF4 import Dataset", "case imports netCDF4: only checkpoint, output, runs may"),
        ("ghost", "", "wigner_sim.ghost has no rank: add 'ghost' to RANKS"),
        ("models.utils", "", "named after its one idea"),
        ("case", "x = 1\n" * (MAX_LINES + 1), f"wigner_sim.case has {MAX_LINES + 1} lines"),
        ("models.ssh", "import wigner_sim.models", "import cycle: wigner_sim.models"),
        ("geometry", "from . import liouville, symbols, weyl\nimport wigner_sim.symbols", None),
        ("models", "from .ssh import ssh", None),
    ],
)
def test_the_checker_sees(module, text, sentence):
    name = f"{PACKAGE}.{module}"
    found = violations({**LAWFUL, f"{PACKAGE}.simulation": "", f"{PACKAGE}.weyl": "", name: text})
    assert any(sentence in line for line in found) if sentence else found == []
