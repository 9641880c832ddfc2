"""The user's own functions, ``python:FILE.py:FUNCTION``, as Hamiltonians and potentials.

A Hamiltonian is ``FUNCTION(x, k, t, **parameters)``, or ``FUNCTION(k, **parameters)`` for H0(k); a potential
is ``FUNCTION(x, t, **parameters)``.  Of the coordinates x, k, t a function names those it needs.  It must
work on arrays: ``x`` has shape (s, ...), ``k`` shape (d, ...), and matrices come back as (..., n, n).
The file may set ``ORBITAL_POSITIONS``, ``LATTICE_VECTORS`` and ``TIME_DEPENDENT``.
"""

from __future__ import annotations

import dis
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim.errors import CaseError
from wigner_sim.expressions import nearest_match
from wigner_sim.models import callables
from wigner_sim.models.checks import probe_points
from wigner_sim.models.hamiltonian import ComplexArray, FloatArray, Hamiltonian, separable_hamiltonian
from wigner_sim.models.setting import Setting, read_structure

PREFIX = "python:"
_PROBE_TIMES = (0.0, 0.37, 1.9, 11.3, 137.0)


@dataclass(frozen=True)
class UserFunction:
    """A function from a user's file, with its parameters filled in."""

    function: Callable[..., Any]
    module: ModuleType | Callable[..., Any]
    label: str
    coordinates: frozenset[str]
    parameters: Mapping[str, Any]

    def __call__(self, **coordinates: Any) -> NDArray[Any]:
        """Evaluate at the coordinates it names; an exception becomes one sentence."""
        needed = {name: value for name, value in coordinates.items() if name in self.coordinates}
        try:
            return np.asarray(self.function(**needed, **self.parameters))
        except Exception as error:
            raise CaseError(f"{self.label} raised {type(error).__name__}: {error}") from error

    @property
    def time_dependent(self) -> bool:
        """What the file declares in ``TIME_DEPENDENT``; else whether the function looks at t at all.

        Probing at a few times could miss a short pulse, so a function that reads its argument t counts as
        time dependent until the file says otherwise.
        """
        declared = getattr(self.module, "TIME_DEPENDENT", None)
        if declared is None:
            return "t" in self.coordinates and _reads_argument(self.function, "t")
        return bool(declared)


def is_python_source(source: Any) -> bool:
    """Whether ``source`` points into a python file, or to a function given directly."""
    return callables.is_callable_reference(source) or (isinstance(source, str) and source.startswith(PREFIX))


def load_function(
    source: str, parameters: Mapping[str, Any], setting: Setting, coordinates: tuple[str, ...]
) -> UserFunction:
    """Import the file and find the function.

    Parameters
    ----------
    source : str
        ``python:FILE.py:FUNCTION``, FILE relative to the directory of the case; or what
        :func:`wigner_sim.models.callables.callable_reference` gives.
    parameters : mapping
        Passed by name.  ``L``, ``Lx``, ... are filled in where the function names them.
    setting : Setting
    coordinates : tuple of str
        Arguments that are coordinates rather than parameters.

    Raises
    ------
    CaseError
        If file, function or a parameter is missing (with the nearest match), or the import fails.
    """
    if callables.is_callable_reference(source):
        given = callables.find_callable(source)
        label = f"function {getattr(given, '__name__', source)}"
        used, filled = _bind(given, label, parameters, setting, coordinates)
        return UserFunction(given, given, label, used, filled)  # it may carry what a file would set
    name, _, function_name = source.removeprefix(PREFIX).rpartition(":")
    if not name or not function_name:
        raise CaseError(f"the source '{source}' must read python:FILE.py:FUNCTION")
    module = load_module(setting.path(name))
    label = f"python file {name}, function {function_name}"
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [each for each, value in vars(module).items() if inspect.isroutine(value)]
        hint = nearest_match(function_name, names) or f"; it has {', '.join(names) or 'no functions'}"
        raise CaseError(f"python file {name} has no function '{function_name}'{hint}")
    used, filled = _bind(function, label, parameters, setting, coordinates)
    return UserFunction(function, module, label, used, filled)


def python_hamiltonian(source: str, parameters: Mapping[str, Any], setting: Setting) -> Hamiltonian:
    """Build a Hamiltonian from the user's function, probing it once.

    Parameters
    ----------
    source : str
        ``python:FILE.py:FUNCTION``.
    parameters : mapping
    setting : Setting

    Returns
    -------
    Hamiltonian
        Separable if the function takes neither x nor t.
    """
    function = load_function(source, parameters, setting, ("x", "k", "t"))
    if "k" not in function.coordinates:
        raise CaseError(f"{function.label} must take k (and x and t where it needs them) as arguments")
    n, d = _probe_size(function, setting), setting.n_dimensions
    structure = {
        key: getattr(function.module, key.upper())
        for key in ("orbital_positions", "lattice_vectors")
        if hasattr(function.module, key.upper())
    }
    attributes: dict[str, Any] = {"name": source, "parameters": dict(parameters)}
    attributes |= read_structure(structure, n, d, function.label)

    def matrix(x: FloatArray, k: FloatArray, t: float) -> ComplexArray:
        x, k = setting.wrap(x), np.asarray(k)
        values = function(x=x, k=k, t=t)
        shape = np.broadcast_shapes(x.shape[1:], k.shape[1:])
        return np.broadcast_to(values, (*shape, n, n)).astype(complex)

    def bloch(k: FloatArray) -> ComplexArray:
        return np.broadcast_to(function(k=np.asarray(k)), (*np.shape(k)[1:], n, n)).astype(complex)

    if function.coordinates == {"k"}:
        return separable_hamiltonian(bloch, lambda x, t: np.zeros(np.shape(x)[1:]), n, d, **attributes)
    return Hamiltonian(matrix, n, d, time_dependent=function.time_dependent, **attributes)


def check_declared_time(function: UserFunction, **coordinates: Any) -> None:
    """Hold a file to ``TIME_DEPENDENT = False``: probe the function at several times."""
    if "t" not in function.coordinates or function.time_dependent:
        return
    first, *others = (function(t=t, **coordinates) for t in _PROBE_TIMES)
    if any(not np.array_equal(first, other, equal_nan=True) for other in others):
        raise CaseError(f"{function.label} changes with t although the file says TIME_DEPENDENT = False")


def _probe_size(function: UserFunction, setting: Setting) -> int:
    """Call it once on a few points: number of orbitals, shape, and the declared time dependence."""
    x, k = probe_points(setting.n_dimensions, setting.lengths)
    values = function(x=x, k=k, t=0.0)
    n = values.shape[-1] if values.ndim >= 2 else 0
    points = (3, 4) if "x" in function.coordinates else (1, 4)
    fits = n > 0 and values.shape[-2] == n and np.issubdtype(values.dtype, np.number)
    try:
        fits = fits and np.broadcast_shapes(values.shape[:-2], points) == points
    except ValueError:
        fits = False
    if not fits:
        shapes = f"x of shape {x.shape} and k of shape {k.shape}"
        raise CaseError(
            f"{function.label} must return numbers of shape (3, 4, n, n) for {shapes}, "
            f"got {values.dtype} of shape {values.shape}"
        )
    check_declared_time(function, x=x, k=k)
    return n


def load_module(path: Path) -> ModuleType:
    """Import a file by its path, under a name of its own; a :class:`CaseError` if that fails."""
    if not path.is_file():
        folder = path.parent
        others = sorted(other.name for other in folder.glob("*.py")) if folder.is_dir() else []
        raise CaseError(f"there is no python file {path}{nearest_match(path.name, others)}")
    name = f"wigner_sim_user_file_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise CaseError(f"{path} is not a python file: its name must end in .py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses and pickling look the module up by name
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise CaseError(f"python file {path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _bind(
    function: Callable[..., Any],
    label: str,
    parameters: Mapping[str, Any],
    setting: Setting,
    coordinates: tuple[str, ...],
) -> tuple[frozenset[str], dict[str, Any]]:
    """Sort the arguments of a function into coordinates and parameters, and check the parameters."""
    try:
        arguments = inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise CaseError(f"{label} has no readable list of arguments: define it with def") from None
    kinds = {each.kind for each in arguments.values()}
    if inspect.Parameter.POSITIONAL_ONLY in kinds or inspect.Parameter.VAR_POSITIONAL in kinds:
        raise CaseError(f"{label} must take its arguments by name, without '/' and '*args'")
    named = {name: each for name, each in arguments.items() if each.kind != inspect.Parameter.VAR_KEYWORD}
    own = [name for name in named if name not in coordinates]
    for name in parameters:
        if name in coordinates or (name not in named and len(named) == len(arguments)):
            hint = nearest_match(name, own) or f"; it has {', '.join(own) or 'none'}"
            raise CaseError(f"{label} has no parameter '{name}'{hint}")
    lengths = {name: value for name, value in setting.constants.items() if name in own}
    filled = {**lengths, **parameters}
    missing = [name for name in own if name not in filled and named[name].default is inspect.Parameter.empty]
    if missing:
        raise CaseError(
            f"{label} needs the parameter '{missing[0]}' (coordinates are called {', '.join(coordinates)})"
        )
    return frozenset(named).intersection(coordinates), filled


def _reads_argument(function: Callable[..., Any], name: str) -> bool:
    """Whether the body of a function reads one of its arguments (True when that cannot be told)."""
    code = getattr(function, "__code__", None)
    if code is None or name not in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        return True
    if name in code.co_cellvars or {"locals", "vars", "eval", "exec"}.intersection(code.co_names):
        return True
    return any("FAST" in each.opname and _mentions(each.argval, name) for each in dis.get_instructions(code))


def _mentions(argument: Any, name: str) -> bool:
    return name in argument if isinstance(argument, tuple) else argument == name
