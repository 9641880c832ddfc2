"""What a simulation needs of the thing it steps: an equation, and how its state looks band by band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.steppers import SplitEquation
from wigner_sim.symbols import Array, FloatArray


@dataclass(frozen=True)
class OwnScalar:
    """A number (or one per band) that only this kind of system has."""

    per_band: bool
    long_name: str
    equation: str


class PhaseSpaceSystem(SplitEquation, Protocol):
    """An equation whose state can be read as densities w of bands.

    The kinetic equations of several bands (:class:`~wigner_sim.kinetics.band_stack.BandStack`) and the full
    matrix equation (:class:`~wigner_sim.matrix_moyal.MatrixMoyal`) are such systems.
    """

    @property
    def bands(self) -> Sequence[BandEvolution]:
        """The bands that are reported."""
        ...

    @property
    def own_scalars(self) -> Mapping[str, OwnScalar]:
        """What :meth:`measure` returns that a band has not.

        ``total_particle_number`` and ``total_energy`` among them take the place of the bands' own numbers
        where conservation is watched.
        """
        ...

    def assemble(self, densities: FloatArray) -> Array:
        """State whose bands have these densities w (b, *x, *k) at time 0."""
        ...

    def densities(self, state: Array, t: float) -> FloatArray:
        """Densities w of the bands, (b, *x, *k)."""
        ...

    def measure(self, state: Array, t: float) -> dict[str, FloatArray]:
        """Scalars of the state, beside those of its bands or (b,) in their place."""
        ...

    def evolutions(self, state: Array, t: float) -> Sequence[BandEvolution]:
        """The bands as they are in this state: ``bands``, unless they depend on it."""
        ...

    @property
    def local_field_descriptions(self) -> Mapping[str, str]:
        """Names and long names of :meth:`local_fields`."""
        ...

    def local_fields(self, state: Array, t: float) -> dict[str, FloatArray]:
        """What the system works out at every position beside its bands' observables, each (b, *x)."""
        ...
