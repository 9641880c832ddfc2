"""Physical units at the edge of the package; the only place with physical constants.

Inside, hbar = e = k_B = 1, energies are in the model's unit, and a position along lattice vector ``a_i``
counts lattice vectors.  A :class:`UnitSystem` says what these are in SI; :func:`parse_quantity` reads
``"5 T"``, and :func:`si_factor` leads back.  The electron's charge is -e.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from wigner_sim.errors import CaseError

# SI, exact by definition since 2019
ELEMENTARY_CHARGE = 1.602176634e-19  # C
PLANCK = 6.62607015e-34  # J s
HBAR = PLANCK / (2 * math.pi)
BOLTZMANN = 1.380649e-23  # J/K
# CODATA 2022
BOHR_IN_ANGSTROM = 0.529177210544
HARTREE = 4.3597447222060e-18  # J


class Dimension(NamedTuple):
    """Powers of energy, length, time, charge and temperature."""

    energy: int = 0
    length: int = 0
    time: int = 0
    charge: int = 0
    temperature: int = 0

    def times(self, other: Dimension, power: int = 1) -> Dimension:
        """Dimension of ``self * other**power``."""
        return Dimension(*(a + power * b for a, b in zip(self, other, strict=True)))


ENERGY = Dimension(energy=1)
LENGTH = Dimension(length=1)
TIME = Dimension(time=1)
TEMPERATURE = Dimension(temperature=1)
WAVE_NUMBER = Dimension(length=-1)
FREQUENCY = Dimension(time=-1)
FORCE = Dimension(energy=1, length=-1)
ELECTRIC_FIELD = Dimension(energy=1, length=-1, charge=-1)
MAGNETIC_FIELD = Dimension(energy=1, length=-2, time=1, charge=-1)
VOLTAGE = Dimension(energy=1, charge=-1)

NAMES = {
    ENERGY: "an energy",
    LENGTH: "a length",
    TIME: "a time",
    TEMPERATURE: "a temperature",
    WAVE_NUMBER: "an inverse length",
    FREQUENCY: "a frequency",
    FORCE: "a force",
    ELECTRIC_FIELD: "an electric field",
    MAGNETIC_FIELD: "a magnetic field",
    VOLTAGE: "a voltage",
}

_PREFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6}
_PREFIXES |= {"n": 1e-9, "p": 1e-12, "f": 1e-15, "a": 1e-18}
#: unit -> (SI value, dimension); the first table takes prefixes.
_WITH_PREFIX: dict[str, tuple[float, Dimension]] = {
    "eV": (ELEMENTARY_CHARGE, ENERGY),
    "J": (1.0, ENERGY),
    "m": (1.0, LENGTH),
    "s": (1.0, TIME),
    "Hz": (1.0, FREQUENCY),
    "K": (1.0, TEMPERATURE),
    "V": (1.0, VOLTAGE),
    "T": (1.0, MAGNETIC_FIELD),
    "N": (1.0, FORCE),
}
_WITHOUT_PREFIX: dict[str, tuple[float, Dimension]] = {
    "angstrom": (1e-10, LENGTH),
    "\u00c5": (1e-10, LENGTH),
    "\u212b": (1e-10, LENGTH),  # the angstrom sign, another code point
    "bohr": (BOHR_IN_ANGSTROM * 1e-10, LENGTH),
    "hartree": (HARTREE, ENERGY),
    "Ry": (0.5 * HARTREE, ENERGY),
    "cm": (1e-2, LENGTH),
    "e": (ELEMENTARY_CHARGE, Dimension(charge=1)),
    "hbar": (HBAR, Dimension(energy=1, time=1)),
    "rad": (1.0, Dimension()),
}
UNITS: dict[str, tuple[float, Dimension]] = {
    **{
        prefix + name: (scale * value, dimension)
        for name, (value, dimension) in _WITH_PREFIX.items()
        for prefix, scale in _PREFIXES.items()
    },
    **_WITHOUT_PREFIX,
}

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FACTOR = r"[^\W\d_]+(?:\s*(?:\^|\*\*)\s*[-+]?\d)?"
_QUANTITY = re.compile(
    rf"\s*(?P<number>{_NUMBER})\s*(?P<unit>(?:(?<=\s)1\s*/\s*)?{_FACTOR}(?:\s*[*/·]\s*{_FACTOR})*)\s*"
)


@dataclass(frozen=True)
class Quantity:
    """A number with a dimension.

    Parameters
    ----------
    value : float
        In SI units.
    dimension : Dimension
    text : str
        As it was written.
    """

    value: float
    dimension: Dimension
    text: str

    @property
    def kind(self) -> str:
        """The dimension in words, ``"a magnetic field"``."""
        return NAMES.get(self.dimension, "a quantity of another kind")


class UnknownUnitError(CaseError):
    """A unit that is not in the table."""


def parse_quantity(text: str) -> Quantity | None:
    """Read a number with a unit.

    Parameters
    ----------
    text : str
        ``"5 T"``, ``"0.1 V/nm"``, ``"300 K"``, ``"2 eV*nm"``, ``"0.3 1/angstrom"``.

    Returns
    -------
    Quantity, or ``None`` if ``text`` does not have this form (a formula never has)

    Raises
    ------
    UnknownUnitError
        If it has the form, but a unit is not known, with the nearest one.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    value, dimension = float(match["number"]), Dimension()
    sign = 1
    for part in re.split(r"(?<!\*)([*/·])(?!\*)", match["unit"].replace("**", "^")):
        part = part.strip()
        if part in ("*", "·", "/"):
            sign = -1 if part == "/" else 1
        elif part != "1":
            name, _, power = part.partition("^")
            exponent = sign * int(power or 1)
            factor, of_unit = _unit(name.strip(), text)
            value *= factor**exponent
            dimension = dimension.times(of_unit, exponent)
    if not math.isfinite(value):
        raise UnknownUnitError(f"{text!r} is not a finite quantity")
    return Quantity(value, dimension, text)


def number_and_unit(text: Any) -> tuple[float, str] | None:
    """``(5.0, "V/nm")`` of ``"5 V/nm"``; ``None`` for what is not a number with a unit that is known."""
    try:
        if not isinstance(text, str) or parse_quantity(text) is None:
            return None
    except UnknownUnitError:
        return None
    match = _QUANTITY.fullmatch(text)
    return (float(match["number"]), match["unit"]) if match else None


def _unit(name: str, text: str) -> tuple[float, Dimension]:
    if name in UNITS:
        return UNITS[name]
    common = ["eV", "meV", "angstrom", "nm", "um", "fs", "ps", "T", "mT", "V", "K", "THz", "bohr", "hartree"]
    guess = difflib.get_close_matches(name, [*common, *UNITS], n=1)
    hint = f"; did you mean {guess[0]!r}?" if guess else f"; for instance {', '.join(common)}"
    raise UnknownUnitError(f"unknown unit {name!r} in {text!r}{hint}")


@dataclass(frozen=True)
class UnitSystem:
    """What the lattice units of a case are in SI.

    Parameters
    ----------
    energy : float, J
        The model's unit of energy.
    length : float, m, or None
        Unit of the lattice vectors; ``None`` if the case does not say.
    lattice_vectors : tuple of rows, in units of ``length``
    """

    energy: float
    length: float | None = None
    lattice_vectors: tuple[tuple[float, ...], ...] = ((1.0,),)

    @property
    def time(self) -> float:
        """Unit of time, hbar/energy, in s."""
        return HBAR / self.energy

    @property
    def temperature(self) -> float:
        """Unit of temperature, energy/k_B, in K."""
        return self.energy / BOLTZMANN

    def spacing(self, axis: int) -> float:
        """Length of the lattice vector ``a_axis`` in m."""
        return self._known_length * math.hypot(*self.lattice_vectors[axis])

    def common_spacing(self) -> float:
        """Length of the lattice vectors in m, if they have all the same."""
        lengths = [self.spacing(axis) for axis in range(len(self.lattice_vectors))]
        if max(lengths) - min(lengths) > 1e-9 * max(lengths):
            raise CaseError("the lattice vectors differ in length, so a length is not a number of cells")
        return lengths[0]

    def cell_volume(self) -> float:
        """Length, area or volume of the cell, in m^d."""
        a, d = self.lattice_vectors, len(self.lattice_vectors)
        if d == 3:
            size = sum(a[0][i] * _cross(a[1], a[2])[i] for i in range(3))
        else:
            size = a[0][0] if d == 1 else a[0][0] * a[1][1] - a[0][1] * a[1][0]
        return abs(size) * self._known_length**d

    def number(self, quantity: Quantity, length: float = math.nan) -> float:
        """``quantity`` in units of this system, with ``length`` (m) as the unit of length.

        With hbar = e = k_B = 1 every quantity is a power of energy and length.
        """
        d = quantity.dimension
        try:
            unit = self.energy**d.energy * self.time**d.time
            unit *= ELEMENTARY_CHARGE**d.charge * self.temperature**d.temperature
            number = quantity.value / (unit * length**d.length if d.length else unit)
        except (OverflowError, ZeroDivisionError):
            number = math.inf
        if not math.isfinite(number):
            raise CaseError(f"{quantity.text!r} is out of range")
        return number

    def flux(self, field: Sequence[float]) -> tuple[float, ...]:
        """Magnetic flux per cell face, ``e B . (a_i x a_j)/hbar``, of a field in T.

        One number in two dimensions (the field along z), three Cartesian components in three; the result is
        for the faces xy, or (yz, zx, xy).
        """
        if len(self.lattice_vectors) == 2:
            return (field[0] * self.face_flux(0, 1),)
        scale = ELEMENTARY_CHARGE * self._known_length**2 / HBAR
        normals = [_cross(self.lattice_vectors[i], self.lattice_vectors[j]) for i, j in _FACES]
        return tuple(scale * sum(b * n for b, n in zip(field, normal, strict=True)) for normal in normals)

    def face_flux(self, i: int, j: int) -> float:
        """Flux of 1 T, normal to it, through the face of ``a_i`` and ``a_j`` (signed in two dimensions)."""
        a = self.lattice_vectors
        area = a[i][0] * a[j][1] - a[i][1] * a[j][0] if len(a) == 2 else math.hypot(*_cross(a[i], a[j]))
        return ELEMENTARY_CHARGE * area * self._known_length**2 / HBAR

    @property
    def _known_length(self) -> float:
        if self.length is None:
            raise CaseError('lengths need [units] length, the unit of the lattice vectors ("2.46 angstrom")')
        return self.length


#: Faces of the cell in the order of magnetic_field.
_FACES = ((1, 2), (2, 0), (0, 1))


def _cross(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


class _Measure(NamedTuple):
    """How a quantity of the package scales: powers of the units, and of the spacing of each of its axes."""

    energy: int = 0
    time: int = 0
    cell: int = 0  # power of the cell volume
    axis: int = 0  # power of |a_i| for each axis index


#: Quantities of the package.  Vectors and tensors have components along the lattice vectors: those of a
#: position, velocity or current scale with the length of a_i, as do momentum derivatives (metric,
#: curvature); those of a momentum or force with its inverse.
QUANTITIES: dict[str, _Measure] = {
    "dimensionless": _Measure(),
    "energy": _Measure(energy=1),
    "temperature": _Measure(energy=1),
    "time": _Measure(time=1),
    "rate": _Measure(time=-1),
    "position": _Measure(axis=1),
    "momentum": _Measure(axis=-1),
    "velocity": _Measure(time=-1, axis=1),
    "force": _Measure(energy=1, axis=-1),
    "momentum_velocity": _Measure(time=-1, axis=-1),
    "density": _Measure(cell=-1),
    "energy_density": _Measure(energy=1, cell=-1),
    "current": _Measure(time=-1, cell=-1, axis=1),
    "energy_current": _Measure(energy=1, time=-1, cell=-1, axis=1),
    "momentum_metric": _Measure(axis=1),
    "momentum_curvature": _Measure(axis=1),
    "band_normalized_metric": _Measure(energy=-1, axis=1),
}


def si_factor(quantity: str, unit_system: UnitSystem, axes: Sequence[int] = ()) -> float:
    """SI value of one lattice unit of a quantity.

    Parameters
    ----------
    quantity : str
        A name in :data:`QUANTITIES`, or ``"magnetic_flux"`` (per cell face; in T).
    unit_system : UnitSystem
    axes : sequence of int
        Lattice vectors its components refer to, one per index: (0,) for the first component of a current,
        (0, 1) for ``Omega_{kx ky}``, the two edges of the face for ``"magnetic_flux"``.

    Returns
    -------
    float
        ``value_in_SI = si_factor(...) * value``.
    """
    if quantity == "magnetic_flux":
        return 1.0 / unit_system.face_flux(axes[0], axes[1])
    measure = QUANTITIES[quantity]
    factor = unit_system.energy**measure.energy * unit_system.time**measure.time
    if quantity == "temperature":
        factor = unit_system.temperature
    if measure.cell:
        factor *= unit_system.cell_volume() ** measure.cell
    for axis in axes:
        factor *= unit_system.spacing(axis) ** measure.axis
    return float(factor)


def dimension_text(quantity: str, n_dimensions: int, n_axes: int = 1) -> str:
    """Dimension of a quantity with ``n_axes`` indices as powers of energy, length and time.

    ``"energy length^-2"`` for the energy density of a plane; ``"1"`` for a number.
    """
    measure = QUANTITIES[quantity]
    length = measure.axis * n_axes + measure.cell * n_dimensions
    powers = {"energy": measure.energy, "length": length, "time": measure.time}
    texts = [name if power == 1 else f"{name}^{power}" for name, power in powers.items() if power]
    return " ".join(texts) or "1"
