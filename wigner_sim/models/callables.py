"""Python functions given directly in a case: how a case refers to them, and how they are found again.

A case holds text, so a function is replaced by a reference to it: ``callable:MODULE:NAME`` if it can be
imported under its name, else ``callable::NAME#1``, which means something only in the Python session that
made it (functions of ``__main__`` and notebooks, lambdas, functions inside functions).  A run with the first
kind can be resumed wherever the module can be imported; one with the second only from the same session, or
when the function is given again.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from wigner_sim.errors import CaseError

PREFIX = "callable:"
_SESSION: dict[str, Callable[..., Any]] = {}


def callable_reference(function: Callable[..., Any]) -> str:
    """Text that stands for a function in a case."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "function")
    if module not in (None, "__main__") and _attribute(sys.modules.get(module), name) is function:
        return f"{PREFIX}{module}:{name}"
    for known, other in _SESSION.items():
        if other is function:
            return f"{PREFIX}:{known}"
    number = sum(known.rpartition("#")[0] == name for known in _SESSION) + 1
    _SESSION[f"{name}#{number}"] = function
    return f"{PREFIX}:{name}#{number}"


def is_callable_reference(source: Any) -> bool:
    """Whether a text stands for a function given directly."""
    return isinstance(source, str) and source.startswith(PREFIX)


def is_session_reference(source: Any) -> bool:
    """Whether a reference means something in this Python session only."""
    return isinstance(source, str) and source.startswith(f"{PREFIX}:")


def find_callable(source: str) -> Callable[..., Any]:
    """The function a reference stands for.

    Raises
    ------
    CaseError
        If it is of another Python session, or its module cannot be imported or does not have it.
    """
    module, _, name = source.removeprefix(PREFIX).partition(":")
    if not module:
        if name not in _SESSION:
            raise CaseError(
                f"the function {name.rpartition('#')[0]} was given in another Python session, and only there "
                "it is known: give it again, wigner_sim.resume(path, functions={key: function})"
            )
        return _SESSION[name]
    try:
        found = _attribute(importlib.import_module(module), name)
    except Exception as error:
        raise CaseError(f"the module {module} of {source} cannot be imported: {error}") from error
    if not callable(found):
        raise CaseError(f"the module {module} has no function '{name}'")
    return found


def callable_source(source: str) -> str:
    """Python text of the function a reference stands for, for the record; empty where it cannot be had."""
    try:
        return textwrap.dedent(inspect.getsource(find_callable(source)))
    except (OSError, TypeError, CaseError):
        return ""


def _attribute(owner: Any, qualified_name: str) -> Any:
    for name in qualified_name.split("."):
        owner = getattr(owner, name, None)
    return owner
