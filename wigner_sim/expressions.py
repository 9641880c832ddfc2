"""Formulas typed by a user, ``"0.3 + 0.1*cos(2*pi*x/L)"``, as safe numpy functions.

The text is parsed with :mod:`ast` and walked by this module alone: nothing is ever passed to ``eval``.
Only numbers, declared names, arithmetic, comparisons, ``a if b else c`` and the functions in
:data:`FUNCTIONS` exist.  All numbers are floating point and the size of the text is bounded, so no
formula can take long or need much memory.
"""

from __future__ import annotations

import ast
import difflib
import operator
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wigner_sim.errors import CaseError

FloatArray = NDArray[np.float64]

MAX_LENGTH = 4000  # characters
MAX_NODES = 1000  # operations, names and numbers
MAX_DEPTH = 150  # a sum of n terms is n deep; far below Python's own recursion limit

_ALLOWED_TEXT = re.compile(r"[A-Za-z0-9_\s.+\-*/%<>=!(),]*")


def ramp(t: ArrayLike, t0: ArrayLike, t1: ArrayLike) -> FloatArray:
    r"""Smooth ramp from 0 (t <= t0) to 1 (t >= t1), all derivatives vanishing at both ends.

    .. math:: r = 1 / (1 + e^{1/u - 1/(1-u)}), \qquad u = (t - t_0)/(t_1 - t_0).

    With t1 < t0 it ramps down, from 1 at t1 to 0 at t0.
    """
    u = np.clip((np.asarray(t, dtype=float) - t0) / (np.asarray(t1, dtype=float) - t0), 0.0, 1.0)
    u = np.abs(u)  # no -0.0, whose inverse has the wrong sign
    with np.errstate(divide="ignore"):
        return 0.5 + 0.5 * np.tanh(0.5 / (1 - u) - 0.5 / u)


def pulse(t: ArrayLike, t0: ArrayLike, width: ArrayLike) -> FloatArray:
    r"""Infinitely smooth pulse of height 1 at t0, exactly zero for \|t - t0\| >= width.

    .. math:: p = e^{1 - 1/(1 - u^2)}, \qquad u = (t - t_0)/\mathrm{width}.
    """
    u = np.clip((np.asarray(t, dtype=float) - t0) / np.asarray(width, dtype=float), -1.0, 1.0)
    with np.errstate(divide="ignore"):
        return np.exp(1 - 1 / (1 - u**2))


def gaussian(x: ArrayLike, center: ArrayLike, width: ArrayLike) -> FloatArray:
    r"""Gaussian of height 1 and standard deviation ``width``: exp(-(x - center)^2 / (2 width^2))."""
    u = (np.asarray(x, dtype=float) - center) / np.asarray(width, dtype=float)
    return np.exp(-0.5 * u**2)


def periodic_gaussian(x: ArrayLike, center: ArrayLike, width: ArrayLike, period: ArrayLike) -> FloatArray:
    r"""Gaussian summed over all its periodic images: smooth and periodic for every width.

    .. math::

        \sum_n e^{-(x - c - nP)^2/2\sigma^2}
        = \frac{\sqrt{2\pi}\,\sigma}{P}
          \Big[1 + 2\sum_{m>0} e^{-2(\pi m\sigma/P)^2} \cos\frac{2\pi m(x-c)}{P}\Big].

    The left form is used for narrow bumps, the right one for wide ones; both converge to rounding.
    """
    u = (np.asarray(x, dtype=float) - center) / np.asarray(period, dtype=float)
    u = u - np.round(u)
    sigma = np.abs(np.asarray(width, dtype=float) / period)
    images = sum(np.exp(-0.5 * ((u - n) / sigma) ** 2) for n in range(-4, 5))
    waves = 1 + 2 * sum(
        np.exp(-2 * (np.pi * m * sigma) ** 2) * np.cos(2 * np.pi * m * u) for m in range(1, 6)
    )
    return np.where(sigma < 0.4, images, np.sqrt(2 * np.pi) * sigma * waves)


def _step(x: ArrayLike) -> FloatArray:
    return np.heaviside(x, 0.5)


def _minimum(*values: ArrayLike) -> FloatArray:
    return reduce(np.minimum, values)  # type: ignore[arg-type]


def _maximum(*values: ArrayLike) -> FloatArray:
    return reduce(np.maximum, values)  # type: ignore[arg-type]


CONSTANTS: dict[str, float] = {"pi": float(np.pi), "e": float(np.e)}

#: name -> (function, fewest arguments, most arguments)
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "sin": (np.sin, 1, 1),
    "cos": (np.cos, 1, 1),
    "tan": (np.tan, 1, 1),
    "arctan": (np.arctan, 1, 1),
    "arctan2": (np.arctan2, 2, 2),
    "sinh": (np.sinh, 1, 1),
    "cosh": (np.cosh, 1, 1),
    "tanh": (np.tanh, 1, 1),
    "exp": (np.exp, 1, 1),
    "log": (np.log, 1, 1),
    "sqrt": (np.sqrt, 1, 1),
    "abs": (np.abs, 1, 1),
    "sign": (np.sign, 1, 1),
    "step": (_step, 1, 1),
    "min": (_minimum, 2, 20),
    "max": (_maximum, 2, 20),
    "where": (np.where, 3, 3),
    "ramp": (ramp, 3, 3),
    "pulse": (pulse, 3, 3),
    "gaussian": (gaussian, 3, 3),
    "periodic_gaussian": (periodic_gaussian, 4, 4),
}

_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_UNARY: dict[type[ast.AST], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: np.logical_not,
}
_COMPARE: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


def nearest_match(name: str, known: Iterable[str]) -> str:
    """Return ``": did you mean 'x'?"`` for the nearest known name, or an empty string."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f": did you mean '{found[0]}'?" if found else ""


class Expression:
    """A real (or complex) formula of some variables.

    Parameters
    ----------
    source : str or number
        The formula; a number is the constant formula.
    variables : tuple of str
        Names that take arrays when the formula is called.
    parameters : mapping str -> number
        Names with fixed values.
    what : str
        What the formula is for; opens every error message.
    complex_valued : bool
        Allow imaginary numbers such as ``2j``, and return complex values.

    Raises
    ------
    CaseError
        For a syntax error, an unknown name (with the nearest known one), a construct that is not
        arithmetic, a formula beyond the size limits, or a constant that is not finite.

    Examples
    --------
    >>> bump = Expression("0.4*cos(2*pi*x/L)", variables=("x", "t"), parameters={"L": 24})
    >>> bump.uses("t"), float(bump(x=12.0, t=0.0))
    (False, -0.4)
    """

    def __init__(
        self,
        source: str | float | complex,
        variables: tuple[str, ...] = ("x", "t"),
        parameters: Mapping[str, Any] | None = None,
        what: str = "expression",
        complex_valued: bool = False,
    ):
        self.source, self.variables, self.what = source, tuple(variables), what
        self.complex_valued = complex_valued
        self.dtype = np.complex128 if complex_valued else np.float64
        self.parameters = {name: self._number(value, name) for name, value in (parameters or {}).items()}
        self.text = self._text(source)
        self._tree = self._parse()
        self._names = self._check_tree()
        if self.constant:
            self()

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self.source, self.variables, self.parameters, self.what, self.complex_valued)
        return (Expression, arguments)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def uses(self, name: str) -> bool:
        """Whether the formula contains the variable or parameter ``name``."""
        return name in self._names

    @property
    def constant(self) -> bool:
        """Whether the formula contains none of its variables."""
        return not self._names.intersection(self.variables)

    def __call__(self, **values: ArrayLike) -> NDArray[Any]:
        """Evaluate at arrays given by variable name.

        Parameters
        ----------
        **values : array_like
            One per variable (those not in the formula may be left out), broadcast together.

        Returns
        -------
        array, float64 (complex128 if ``complex_valued``)
            Of the common shape of all ``values``.

        Raises
        ------
        CaseError
            If the result is not finite somewhere.
        """
        arrays = {name: np.asarray(value, dtype=float) for name, value in values.items()}
        shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
        scope = {**CONSTANTS, **self.parameters, **arrays}
        with np.errstate(all="ignore"):  # a branch not taken may divide by zero; the result is checked below
            result = np.asarray(self._evaluate(self._tree, scope), dtype=self.dtype)
        finite = np.isfinite(result)
        if not finite.all():
            raise CaseError(f"{self._label} is not finite{self._place(finite, arrays)}")
        return np.array(np.broadcast_to(result, shape))

    # --- reading ---------------------------------------------------------------------------------

    @property
    def _label(self) -> str:
        text = self.text if len(self.text) <= 80 else self.text[:77] + "..."
        return f'{self.what} "{text}"'

    def _number(self, value: Any, name: str) -> complex:
        allowed = (
            (int, float, complex, np.number) if self.complex_valued else (int, float, np.integer, np.floating)
        )
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise CaseError(f"{self.what}: the parameter '{name}' must be a number, got {value!r:.60}")
        if not np.isfinite(value):
            raise CaseError(f"{self.what}: the parameter '{name}' is not finite")
        return self._cast(value)

    def _cast(self, value: Any) -> complex:
        """Never a Python int: 9**9**9 must overflow, not grow."""
        return complex(value) if self.complex_valued else float(value)

    def _text(self, source: Any) -> str:
        """Check the characters and the length before anything else looks at the text."""
        if not isinstance(source, str):
            return repr(self._number(source, "value"))
        if len(source) > MAX_LENGTH:
            raise CaseError(
                f"{self.what} has {len(source)} characters, more than {MAX_LENGTH}: use a python file instead"
            )
        text = re.sub(r"\s", " ", source).strip()
        if not text:
            raise CaseError(f"{self.what} is empty: expected a number or a formula")
        end = _ALLOWED_TEXT.match(text).end()  # type: ignore[union-attr]
        if end < len(text):
            hint = " (a power is written **)" if text[end] == "^" else ""
            shown = text[max(0, end - 30) : end + 30]
            raise CaseError(f'{self.what} "{shown}" has a character {text[end]!r} at column {end + 1}{hint}')
        return text

    def _parse(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "1if x else 2" is odd, not wrong
                return ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            column = f" at column {error.offset}" if error.offset else ""
            raise CaseError(f"{self._label} is not a formula{column} ({error.msg})") from None
        except (RecursionError, MemoryError, ValueError):
            raise CaseError(f"{self._label} is nested too deeply") from None

    # --- checking --------------------------------------------------------------------------------

    def _check_tree(self) -> frozenset[str]:
        """Walk the tree once without recursion; return the names used."""
        names, n_nodes = set(), 0
        pending = [(self._tree, 1)]
        while pending:
            node, depth = pending.pop()
            n_nodes += 1
            if depth > MAX_DEPTH:
                raise CaseError(f"{self._label} is nested more than {MAX_DEPTH} deep")
            if n_nodes > MAX_NODES:
                raise CaseError(f"{self._label} has more than {MAX_NODES} parts: use a python file instead")
            if isinstance(node, ast.Name):
                names.add(self._known_name(node))
            pending.extend((child, depth + 1) for child in self._children(node))
        return frozenset(names)

    def _children(self, node: ast.expr) -> Iterator[ast.expr]:
        """Operands of an allowed node; any other node is an error."""
        match node:
            case ast.Constant():
                self._known_constant(node)
            case ast.Name():
                pass
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                yield from (left, right)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                yield operand
            case ast.BoolOp(values=values):
                yield from values
            case ast.Compare(left=left, ops=ops, comparators=others) if all(
                type(op) in _COMPARE for op in ops
            ):
                yield from (left, *others)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                yield from (test, body, orelse)
            case ast.Call(func=ast.Name(id=name) as function, args=arguments, keywords=[]):
                self._known_function(name, len(arguments), function)
                yield from arguments
            case _:
                kind = type(node).__name__
                raise CaseError(
                    f"{self._label} contains something that is not arithmetic ({kind}) {_column(node)}"
                )

    def _known_name(self, node: ast.Name) -> str:
        known = {*self.variables, *self.parameters, *CONSTANTS}
        if node.id in known:
            return node.id
        if node.id in FUNCTIONS:
            raise CaseError(f"{self._label}: '{node.id}' {_column(node)} is a function and needs arguments")
        hint = nearest_match(node.id, [*known, *FUNCTIONS])
        hint = hint or f"; names here are {', '.join([*self.variables, *self.parameters, *CONSTANTS])}"
        raise CaseError(f"{self._label}: unknown name '{node.id}' {_column(node)}{hint}")

    def _known_function(self, name: str, n_arguments: int, node: ast.Name) -> None:
        if name not in FUNCTIONS:
            hint = nearest_match(name, FUNCTIONS) or f"; functions are {', '.join(FUNCTIONS)}"
            raise CaseError(f"{self._label}: unknown function '{name}' {_column(node)}{hint}")
        _, fewest, most = FUNCTIONS[name]
        if not fewest <= n_arguments <= most:
            wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise CaseError(
                f"{self._label}: '{name}' {_column(node)} takes {wanted} arguments, got {n_arguments}"
            )

    def _known_constant(self, node: ast.Constant) -> None:
        allowed = (int, float, complex) if self.complex_valued else (int, float)
        if isinstance(node.value, bool) or not isinstance(node.value, allowed):
            shown = str(ast.get_source_segment(self.text, node))[:30]
            raise CaseError(f"{self._label}: {shown} {_column(node)} is not a real number")
        try:
            self._cast(node.value)
        except OverflowError:
            raise CaseError(f"{self._label}: the number {_column(node)} is too large") from None

    # --- evaluating ------------------------------------------------------------------------------

    def _evaluate(self, node: ast.expr, scope: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value):
                return self._cast(value)
            case ast.Name(id=name):
                if name not in scope:
                    raise TypeError(f"{self._label} needs a value for '{name}'")
                return scope[name]
            case ast.BinOp(left=left, op=op, right=right):
                return _BINARY[type(op)](self._evaluate(left, scope), self._evaluate(right, scope))
            case ast.UnaryOp(op=op, operand=operand):
                return _UNARY[type(op)](self._evaluate(operand, scope))
            case ast.BoolOp(op=op, values=values):
                join = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return reduce(join, [self._evaluate(value, scope) for value in values])
            case ast.Compare(left=left, ops=ops, comparators=others):
                terms = [self._evaluate(term, scope) for term in (left, *others)]
                links = [_COMPARE[type(op)](a, b) for op, a, b in zip(ops, terms, terms[1:], strict=False)]
                return reduce(np.logical_and, links)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return np.where(*(self._evaluate(part, scope) for part in (test, body, orelse)))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return FUNCTIONS[name][0](*(self._evaluate(argument, scope) for argument in arguments))
        raise AssertionError(f"unchecked node {node!r}")

    def _place(self, finite: NDArray[np.bool_], arrays: Mapping[str, FloatArray]) -> str:
        """First point where the result is not finite, in words."""
        used = {name: array for name, array in arrays.items() if self.uses(name)}
        if not used:
            return ""
        index = np.argwhere(~finite)[0]
        points = {name: np.broadcast_to(array, finite.shape)[tuple(index)] for name, array in used.items()}
        return " at " + ", ".join(f"{name} = {value:.6g}" for name, value in points.items())


def _column(node: ast.expr) -> str:
    return f"at column {node.col_offset + 1}"
