"""Initial states of a band: given by an occupation symbol c(x, k), thermal, or both, or stored values.

A state has two readings that agree to the order of the theory: :meth:`InitialState.density` for the
kinetic equation, and ``Pi Op(c) Pi`` plus ``n_F(H)`` in the band for exact dynamics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.expressions import Expression, periodic_gaussian
from wigner_sim.grid import FloatArray, PhaseSpaceGrid
from wigner_sim.kinetics.effective_band import EffectiveBand
from wigner_sim.kinetics.equilibrium import equilibrium_density
from wigner_sim.kinetics.faces import Face
from wigner_sim.models.python_file import is_python_source, load_function
from wigner_sim.models.setting import Field, Setting

#: (x (s, ...), k (d, ...)) -> (...)
PhaseSpaceFunction = Callable[[FloatArray, FloatArray], FloatArray]
PositionFunction = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Thermal:
    """Chemical potential and temperature (energies), each a function of position (s, ...) -> (...)."""

    mu: PositionFunction
    temperature: PositionFunction
    uniform: bool


@dataclass(frozen=True)
class StoredDensity:
    """Values of one face on a grid, in the order (*x, *k) with positions from 0 and momenta from -pi."""

    face: Face
    values: FloatArray

    def on(self, grid: PhaseSpaceGrid) -> FloatArray:
        """Values on another grid of the same crystal, Fourier-interpolated where its points differ."""
        values = self.values
        for axis, n in enumerate(grid.shape):
            if values.shape[axis] != n:
                values = _resample(values, axis, n)
        return values


@dataclass(frozen=True)
class InitialState:
    """Sum of the parts that are given.

    Parameters
    ----------
    occupation : callable (x, k) -> c, optional
    thermal : Thermal, optional
    stored : StoredDensity, optional
    """

    occupation: PhaseSpaceFunction | None = None
    thermal: Thermal | None = None
    stored: StoredDensity | None = None

    def density(self, effective: EffectiveBand) -> FloatArray:
        """Density w of the state to the order of the band, shape (*x, *k)."""
        grid = effective.space.grid
        x, k = grid.mesh()
        w = np.zeros(grid.shape)
        if self.stored is not None:
            w = w + effective.faces.from_face(self.stored.face, self.stored.on(grid))
        if self.occupation is not None:
            w = w + effective.faces.density_from_occupation(self.occupation(x, k))
        if self.thermal is not None:
            w = w + equilibrium_density(effective, self.thermal.mu(x), self.thermal.temperature(x))
        return w

    def dilated(self, dilation: float) -> InitialState:
        """The same state of the dilated crystal, c(x/dilation, k)."""
        occupation, thermal = self.occupation, self.thermal
        if occupation is not None:
            inner = occupation
            occupation = lambda x, k: inner(np.asarray(x) / dilation, k)  # noqa: E731
        if thermal is not None and not thermal.uniform:
            mu, temperature = thermal.mu, thermal.temperature
            thermal = Thermal(lambda x: mu(x / dilation), lambda x: temperature(x / dilation), False)
        return replace(self, occupation=occupation, thermal=thermal)


def build_initial_state(
    kind: str, parameters: Mapping[str, Any], setting: Setting, index: int = 0, n_bands: int = 1
) -> InitialState:
    """Initial state of one band from what a case says about it.

    Parameters
    ----------
    kind : str
        A name in :data:`INITIAL_STATES`.
    parameters : mapping
        The other keys of the section.
    setting : Setting
        Names and directory for formulas and files.
    index : int
        Position of the band among the chosen ones, for states given band by band.
    n_bands : int
        How many are chosen.

    Raises
    ------
    CaseError
    """
    if kind == "symbol":
        parameters = {**parameters, "c": _of_band(parameters["c"], index, n_bands)}
    return INITIAL_STATES[kind](parameters, setting)


def _of_band(c: Any, index: int, n_bands: int) -> Any:
    """The entry of one band, if the symbol is given band by band."""
    if isinstance(c, str) or not isinstance(c, Sequence):
        return c
    if len(c) != n_bands:
        raise CaseError(f"initial_state.c lists {len(c)} symbols for {n_bands} chosen band(s): give one each")
    return c[index]


def _symbol_state(parameters: Mapping[str, Any], setting: Setting) -> InitialState:
    return InitialState(occupation=phase_space_function(parameters["c"], setting, "initial_state.c"))


def _gaussian_state(parameters: Mapping[str, Any], setting: Setting) -> InitialState:
    centers = [*parameters["center_x"], *parameters["center_k"]]
    widths = [*parameters["width_x"], *parameters["width_k"]]
    periods = [*setting.lengths, *(2 * np.pi for _ in range(setting.n_dimensions))]
    for name, width, period in zip(
        (*setting.position_names, *setting.momentum_names), widths, periods, strict=True
    ):
        if width > period:
            raise CaseError(
                f"initial_state: the width {width:g} along {name} exceeds the period {period:.4g}"
            )

    def occupation(x: FloatArray, k: FloatArray) -> FloatArray:
        packet: FloatArray = np.asarray(float(parameters["amplitude"]))
        for z, center, width, period in zip([*x, *k], centers, widths, periods, strict=True):
            # the wrapped Gaussian integrates to one; rescaled, its height is the amplitude
            packet = packet * periodic_gaussian(z, center, width, period)
            packet = packet / periodic_gaussian(0.0, 0.0, width, period)
        return packet

    return InitialState(occupation=occupation)


def _thermal_state(parameters: Mapping[str, Any], setting: Setting) -> InitialState:
    mu = Field(parameters["mu"], setting, "initial_state.mu")
    temperature = Field(parameters["temperature"], setting, "initial_state.temperature")
    for name, field in (("mu", mu), ("temperature", temperature)):
        if field.time_dependent:
            raise CaseError(f"initial_state.{name} depends on t, but a state is given at one time")
    uniform = mu.constant and temperature.constant

    def positive_temperature(x: FloatArray) -> FloatArray:
        values = temperature(x, 0.0)
        if np.min(values) <= 0:
            raise CaseError(f"initial_state.temperature falls to {np.min(values):.3g}; it must stay positive")
        return values

    return InitialState(thermal=Thermal(lambda x: mu(x, 0.0), positive_temperature, uniform))


def _thermal_bump_state(parameters: Mapping[str, Any], setting: Setting) -> InitialState:
    bump = _gaussian_state(parameters, setting)
    return replace(_thermal_state(parameters, setting), occupation=bump.occupation)


#: kind -> builder; states read from an earlier run are built where runs are read.
INITIAL_STATES: dict[str, Callable[[Mapping[str, Any], Setting], InitialState]] = {
    "symbol": _symbol_state,
    "gaussian": _gaussian_state,
    "thermal": _thermal_state,
    "thermal_bump": _thermal_bump_state,
}


def phase_space_function(source: Any, setting: Setting, what: str) -> PhaseSpaceFunction:
    """Function of x and k from a formula, a number, or a python file; ``what`` opens every error message."""
    if is_python_source(source):
        function = load_function(source, {}, setting, ("x", "k"))
        return lambda x, k: np.asarray(function(x=setting.wrap(x), k=k), dtype=float)
    names = (*setting.position_names, *setting.momentum_names)
    if setting.n_dimensions == 1:
        names = (*names, "k")
    constants = {name: value for name, value in setting.constants.items() if name not in names}
    expression = Expression(source, names, constants, what)

    def values(x: FloatArray, k: FloatArray) -> FloatArray:
        points = dict(zip(setting.position_names, setting.wrap(x), strict=True))
        points |= dict(zip(setting.momentum_names, k, strict=True))
        if setting.n_dimensions == 1:
            points["k"] = k[0]
        return expression(**points)

    return values


def _resample(values: FloatArray, axis: int, n: int) -> FloatArray:
    """Fourier interpolation to ``n`` points along one axis with the same first point."""
    old = values.shape[axis]
    hat = np.fft.rfft(values, axis=axis)
    fewest = min(old, n)
    if fewest % 2 == 0:  # the Nyquist mode of the coarser grid has no partner of opposite sign
        np.moveaxis(hat, axis, 0)[fewest // 2] = 0.0
    return np.fft.irfft(hat, n=n, axis=axis) * (n / old)
