"""Scalar potentials U(x, t): from a formula, an array on a grid, or the user's own function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.expressions import nearest_match
from wigner_sim.models.checks import probe_points
from wigner_sim.models.hamiltonian import ComplexArray, FloatArray, Hamiltonian, PotentialFunction
from wigner_sim.models.python_file import check_declared_time, is_python_source, load_function
from wigner_sim.models.setting import Field, Setting


@dataclass(frozen=True)
class Potential:
    """A potential ``U(x, t)``: x (s, ...) -> (...), energy.

    Parameters
    ----------
    function : callable (x, t) -> array (...)
    time_dependent : bool
    description : str
        For the record.
    """

    function: PotentialFunction
    time_dependent: bool
    description: str

    def __call__(self, x: FloatArray, t: float) -> FloatArray:
        """Evaluate at ``x`` (s, ...)."""
        return self.function(x, t)


class FourierInterpolation:
    r"""Trigonometric interpolation of periodic samples, exact for band-limited functions.

    .. math:: U(x) = \sum_m \hat U_m \prod_i e^{2\pi i m_i x_i / L_i}

    with a cosine in place of the Nyquist wave of an even number of points.

    Parameters
    ----------
    samples : array (*x)
        Values on ``x_i = j L_i / n_i``.
    lengths : tuple of float, length s
    """

    def __init__(self, samples: FloatArray, lengths: tuple[float, ...]):
        self.lengths = lengths
        self.amplitudes = np.fft.fftn(samples) / samples.size

    def __call__(self, x: FloatArray, t: float = 0.0) -> FloatArray:
        """Evaluate at ``x`` (s, ...) -> (...)."""
        x = np.asarray(x, dtype=float)
        axes = [np.unique(each, return_inverse=True) for each in x]
        if np.prod([float(len(points)) for points, _ in axes]) <= max(4096, 4 * x[0].size):
            # points of a product grid: one small matrix product per axis
            values = reduce(self._contract, enumerate(points for points, _ in axes), self.amplitudes)
            return values.real[tuple(inverse.reshape(x.shape[1:]) for _, inverse in axes)]
        points = x.reshape(len(x), -1).T
        chunks = np.array_split(points, max(1, points.shape[0] * self.amplitudes[0].size // 2**20))
        return np.concatenate([self._scattered(chunk) for chunk in chunks]).reshape(x.shape[1:])

    def _contract(self, values: ComplexArray, axis_points: tuple[int, FloatArray]) -> ComplexArray:
        axis, points = axis_points
        return np.moveaxis(np.tensordot(self._waves(axis, points), values, (1, axis)), 0, axis)

    def _scattered(self, points: FloatArray) -> FloatArray:
        """Values at any points (p, s) -> (p,)."""
        values = np.tensordot(self._waves(0, points[:, 0]), self.amplitudes, 1)
        for axis in range(1, points.shape[1]):
            values = np.einsum("pm,pm...->p...", self._waves(axis, points[:, axis]), values)
        return values.real

    def _waves(self, axis: int, points: FloatArray) -> ComplexArray:
        """Basis waves (point, m) along one axis."""
        n = self.amplitudes.shape[axis]
        m = np.fft.fftfreq(n, 1 / n)
        waves = np.exp(2j * np.pi * np.multiply.outer(points / self.lengths[axis], m))
        if n % 2 == 0:
            waves[..., n // 2] = waves[..., n // 2].real
        return waves


def read_potential(source: Any, setting: Setting) -> Potential:
    """Read a potential.

    Parameters
    ----------
    source : number, str, array, callable, mapping or Potential
        A formula of position and time; the name of a ``.npy`` file, or an array (*x), of samples on a
        uniform grid over the lengths; ``python:FILE.py:FUNCTION`` with ``FUNCTION(x, t, **parameters)``;
        or a function ``(x, t) -> (...)`` (then counted as time dependent).  A mapping holds one of these as
        ``source`` and the parameters of the formula or the python function beside it.
    setting : Setting
        Its named numbers may be used in the formula.

    Raises
    ------
    CaseError
        One sentence on what is wrong.
    """
    if isinstance(source, Potential):
        return source
    parameters: dict[str, Any] = {}
    if isinstance(source, Mapping):
        parameters = dict(source)
        if "source" not in parameters:
            raise CaseError(f"a potential with parameters needs an entry 'source', got {list(parameters)}")
        source = parameters.pop("source")
    if is_python_source(source):
        return _from_python(source, setting, parameters)
    setting = setting.with_free_names(parameters, (), "the potential")
    if isinstance(source, str) and source.strip().endswith(".npy"):
        return _from_samples(_load(source.strip(), setting), setting, f"potential file {source.strip()}")
    if isinstance(source, (list, np.ndarray)) and np.ndim(source) > 0:
        return _from_samples(source, setting, "the array of the potential")
    if callable(source):
        return Potential(_with_shape(source, setting, "the potential function"), True, repr(source))
    field = Field(source, setting, "potential")
    return Potential(field, field.time_dependent, field.expression.text)


def add_potential(hamiltonian: Hamiltonian, potential: Potential) -> Hamiltonian:
    """``H + U(x, t)`` times the identity; separable if ``hamiltonian`` was."""
    matrix, first = hamiltonian.matrix, hamiltonian.potential
    identity = np.eye(hamiltonian.n_orbitals)

    def total(x: FloatArray, k: FloatArray, t: float) -> ComplexArray:
        return matrix(x, k, t) + potential(x, t)[..., None, None] * identity

    def both(x: FloatArray, t: float) -> FloatArray:
        return potential(x, t) if first is None else first(x, t) + potential(x, t)

    return replace(
        hamiltonian,
        matrix=total,
        potential=both if hamiltonian.separable else None,
        time_dependent=hamiltonian.time_dependent or potential.time_dependent,
        parameters={**hamiltonian.parameters, "potential": potential.description},
    )


def _from_python(source: str, setting: Setting, parameters: Mapping[str, Any]) -> Potential:
    function = load_function(source, parameters, setting, ("x", "t"))
    x, _ = probe_points(setting.n_dimensions, setting.lengths)
    check_declared_time(function, x=x)
    wrapped = _with_shape(lambda x, t: function(x=x, t=t), setting, function.label)
    wrapped(x, 0.0)
    return Potential(wrapped, function.time_dependent, source)


def _with_shape(function: Callable[..., Any], setting: Setting, label: str) -> PotentialFunction:
    """Hold a function to its cell and to real values of the shape of the positions."""

    def potential(x: FloatArray, t: float) -> FloatArray:
        x = setting.wrap(x)
        values = np.asarray(function(x, t))
        shape = x.shape[1:]
        try:
            return np.array(np.broadcast_to(values, shape).astype(float, casting="same_kind"))
        except (TypeError, ValueError):
            raise CaseError(
                f"{label} must return real numbers of shape {shape} for x of shape {x.shape}, "
                f"got {values.dtype} of shape {values.shape}"
            ) from None

    return potential


def _load(name: str, setting: Setting) -> Any:
    path = setting.path(name)
    if not path.is_file():
        others = sorted(other.name for other in path.parent.glob("*.npy")) if path.parent.is_dir() else []
        raise CaseError(f"there is no potential file {path}{nearest_match(path.name, others)}")
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CaseError(f"potential file {path} cannot be read as an array: {error}") from None


def _from_samples(samples: Any, setting: Setting, label: str) -> Potential:
    try:
        array = np.asarray(samples)
        values = array.astype(float, casting="same_kind") if array.dtype.kind != "i" else array.astype(float)
    except (TypeError, ValueError):
        raise CaseError(f"{label} must hold real numbers") from None
    if values.ndim != len(setting.lengths) or values.ndim == 0:
        raise CaseError(f"{label} has {values.ndim} axes, the case has {len(setting.lengths)} position axes")
    if not np.isfinite(values).all():
        raise CaseError(f"{label} holds values that are not finite")
    return Potential(FourierInterpolation(values, setting.lengths), False, label)
