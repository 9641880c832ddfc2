"""What a model knows about the case it is built for: dimensions, lengths, directory, named numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wigner_sim.errors import CaseError
from wigner_sim.expressions import Expression, nearest_match
from wigner_sim.grid import AXIS_LETTERS
from wigner_sim.models.hamiltonian import FloatArray


@dataclass(frozen=True)
class Setting:
    """The case seen by a model.

    Parameters
    ----------
    n_dimensions : int
        Number d of momentum axes.
    lengths : tuple of float, length s
        Periods of the kept position axes, in lattice constants.
    directory : Path
        Where relative file names start.
    numbers : mapping str -> float
        Named numbers that formulas may use, besides ``L``, ``Lx``, ``Ly``, ``Lz``.
    """

    n_dimensions: int
    lengths: tuple[float, ...] = ()
    directory: Path = Path()
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def position_names(self) -> tuple[str, ...]:
        """Names of the kept position axes, ``("x", "y", ...)``."""
        return AXIS_LETTERS[: len(self.lengths)]

    @property
    def momentum_names(self) -> tuple[str, ...]:
        """Names of the momentum axes, ``("kx", "ky", ...)``."""
        return tuple(f"k{letter}" for letter in AXIS_LETTERS[: self.n_dimensions])

    @property
    def constants(self) -> dict[str, float]:
        """All named numbers a formula may use; a model's own numbers win over lengths."""
        lengths = {f"L{name}": length for name, length in zip(self.position_names, self.lengths, strict=True)}
        if self.lengths:
            lengths["L"] = self.lengths[0]
        return {**lengths, **self.numbers}

    def with_numbers(self, parameters: Mapping[str, Any]) -> Setting:
        """Same setting where formulas also know the plain real numbers among ``parameters``."""
        numbers = {name: float(value) for name, value in parameters.items() if _is_number(value)}
        return replace(self, numbers={**self.numbers, **numbers})

    def with_free_names(
        self, parameters: Mapping[str, Any], reserved: tuple[str, ...], owner: str
    ) -> Setting:
        """Same setting where every entry of ``parameters`` not ``reserved`` is a number for formulas."""
        free = {key: value for key, value in parameters.items() if key not in reserved}
        for key, value in free.items():
            if not _is_number(value):
                hint = nearest_match(key, reserved) or ": it must be a number for use in formulas"
                raise CaseError(f"{owner} does not know '{key}' = {value!r:.60}{hint}")
        return self.with_numbers(free)

    def wrap(self, x: FloatArray) -> FloatArray:
        """Bring positions (s, ...) into the cell [0, length): every field is periodic by construction."""
        x = np.asarray(x, dtype=float)
        lengths = np.reshape(self.lengths, (-1, *(1 for _ in x.shape[1:])))
        return np.mod(x, lengths) if self.lengths else x

    def path(self, name: str) -> Path:
        """File name relative to the directory of the case."""
        return self.directory / Path(name).expanduser()


class Field:
    """A formula of position and time, called like everything else with ``x`` of shape (s, ...).

    Parameters
    ----------
    source : str or number
    setting : Setting
    what : str
        Opens every error message.
    complex_valued : bool
    """

    def __init__(self, source: Any, setting: Setting, what: str, complex_valued: bool = False):
        self.setting = setting
        variables = (*setting.position_names, "t")
        constants = {name: value for name, value in setting.constants.items() if name not in variables}
        self.expression = Expression(source, variables, constants, what, complex_valued)

    @property
    def constant(self) -> bool:
        """Whether it depends neither on position nor on time."""
        return self.expression.constant

    @property
    def time_dependent(self) -> bool:
        """Whether time appears in the formula."""
        return self.expression.uses("t")

    @property
    def value(self) -> complex:
        """The value of a constant field."""
        return self.expression().item()

    def __call__(self, x: FloatArray, t: float) -> NDArray[Any]:
        """Evaluate: ``x`` (s, ...) -> (...)."""
        wrapped = self.setting.wrap(x)
        points = dict(zip(self.setting.position_names, wrapped, strict=True))
        return np.broadcast_to(self.expression(**points, t=t), wrapped.shape[1:])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def read_structure(
    parameters: Mapping[str, Any], n_orbitals: int, n_dimensions: int, name: str, default: Any = (None, None)
) -> dict[str, FloatArray]:
    """``orbital_positions`` (n, d) and ``lattice_vectors`` (d, d) of a model.

    From ``parameters``, else from the pair ``default``, else the origin and the unit vectors.
    """
    positions = parameters.get("orbital_positions", default[0])
    vectors = parameters.get("lattice_vectors", default[1])
    positions = np.zeros((n_orbitals, n_dimensions)) if positions is None else positions
    vectors = np.eye(n_dimensions) if vectors is None else vectors
    return {
        "orbital_positions": real_array(
            positions, (n_orbitals, n_dimensions), f"orbital_positions of {name}"
        ),
        "lattice_vectors": real_array(vectors, (n_dimensions, n_dimensions), f"lattice_vectors of {name}"),
    }


def real_array(value: Any, shape: tuple[int, ...], what: str) -> FloatArray:
    """Check that ``value`` is a real array of the given shape (a CaseError if not)."""
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise CaseError(f"{what} must be numbers in the shape {shape}, got {value!r:.80}") from None
    if array.shape == shape[:1] and shape[1:] == (1,):
        array = array[:, None]  # a list of numbers is enough in one dimension
    if array.shape != shape or not np.isfinite(array).all():
        raise CaseError(f"{what} must be finite numbers in the shape {shape}, got {value!r:.80}")
    return array
