r"""The full matrix Wigner equation :math:`i\,\partial_t F = [H, F]_*`: no expansion, all bands together.

It is the Liouville-von Neumann equation in phase-space clothes: it keeps interband coherence (Rabi
oscillations, Zener tunnelling) and needs O(n^2 n_x n_k) memory, where a density matrix on the same crystal
needs the square of the number of sites.

Source: docs/theory.md section 13.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from wigner_sim.grid import AXIS_LETTERS, PhaseSpaceGrid
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_sources import to_periodic
from wigner_sim.kinetics.options import EquationOptions, GeometricTerms
from wigner_sim.kinetics.phase_space_system import OwnScalar
from wigner_sim.matrix_moyal.current import MatrixCurrent
from wigner_sim.matrix_moyal.parts import MomentumPart, PositionPart
from wigner_sim.matrix_moyal.projection import StarProjection
from wigner_sim.matrix_moyal.separation import separate
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.observables import spectral_tail
from wigner_sim.symbols import Array, FloatArray, trace

#: A band with less than this part of the largest element of F is empty: what is left is rounding.
ROUNDING = 1e-10


class MatrixMoyal:
    """The matrix equation as something a time stepper can advance, and the bands it is looked at in.

    Satisfies ``PhaseSpaceSystem``; the state is the matrix symbol F, shape (n, n, *x, *k), periodic in
    k (``exp(i k (tau_o - tau_o'))`` times the physical elements) and Hermitian.

    Parameters
    ----------
    hamiltonian : Hamiltonian
        ``H0(k, t) + M(x, t)``, with a uniform force or without.
    grid : PhaseSpaceGrid
        Without magnetic field.
    bands : sequence of int
        Bands whose parts of F are reported.
    options : EquationOptions
        Its order is that of the band projection; nothing else acts.

    Raises
    ------
    BandTouchingError, CaseError
    """

    def __init__(
        self, hamiltonian: Hamiltonian, grid: PhaseSpaceGrid, bands: Sequence[int], options: EquationOptions
    ):
        self.hamiltonian, self.grid = hamiltonian, grid
        separated = separate(hamiltonian, grid)
        options = replace(
            options, terms=GeometricTerms(), moyal_series="third_derivative", split=False, dealias="none"
        )
        self.bands = [BandEvolution(hamiltonian, grid, band, options) for band in bands]
        self._separated = separated
        self._momentum = MomentumPart(separated, grid)
        self._position = PositionPart(separated, grid)
        self._current = MatrixCurrent(separated, grid)
        self._blocks: tuple[Array, float, list[FloatArray], FloatArray] | None = None

    # --- the equation ---

    @cached_property
    def flows(self) -> Sequence[MomentumPart | PositionPart]:
        """The parts, each with its exact flow."""
        return [self._momentum] if self._position.vanishes else [self._momentum, self._position]

    def rhs(self, f: Array, t: float) -> Array:
        """Time derivative of F."""
        parts = [part.rhs(f, t) for part in self.flows]
        return sum(parts[1:], start=parts[0])

    def spectral_radius(self, t: float) -> float:
        """Bound on the eigenvalues: those of the parts add up."""
        return sum(part.spectral_radius(t) for part in self.flows)

    # --- bands ---

    def assemble(self, densities: FloatArray) -> Array:
        """State ``F = sum of pi * c * pi`` from the densities w (b, *x, *k) of the bands at time 0."""
        n = self.hamiltonian.n_orbitals
        identity = np.eye(n).reshape(n, n, *(1,) * self.grid.n_axes)
        total: Array = np.zeros((n, n, *self.grid.shape), dtype=complex)
        for index, (band, w) in enumerate(zip(self.bands, densities, strict=True)):
            c = band.effective(0.0).faces.occupation_from_density(w)
            projection = self.projection(index, 0.0)
            total += projection.block(projection.left(c * identity + 0j))
        return total

    def densities(self, f: Array, t: float) -> FloatArray:
        """Densities w of the bands, ``tr(pi * F * pi) = w + S w``, (b, *x, *k); 0 where a band is empty."""
        smallest = ROUNDING * np.abs(f).max()
        traces = [own * (np.abs(own).max() > smallest) for own in self._project(f, t)[0]]
        bands = zip(self.bands, traces, strict=True)
        return np.stack([band.effective(t).faces.density_from_band_density(own) for band, own in bands])

    def band_densities(self, f: Array, t: float) -> list[FloatArray]:
        """``f_n = tr(pi * F * pi)`` of the bands, each (*x, *k)."""
        return self._project(f, t)[0]

    def coherences(self, f: Array, t: float) -> FloatArray:
        r"""``|pi * F * (1 - pi)|`` of each band: root of :math:`\int\mathrm{tr}\,K K^\dagger`, shape (b,)."""
        return self._project(f, t)[1]

    def projection(self, index: int, t: float) -> StarProjection:
        """Star products with the projector of one of the bands."""
        band = self.bands[index]
        exact = None
        if self.hamiltonian.separable or not self.grid.n_x:
            exact = self._momentum, self._momentum.band_projector(band.band, t)
        return StarProjection(band.projector(t), exact)

    def _project(self, f: Array, t: float) -> tuple[list[FloatArray], FloatArray]:
        """Traces of the diagonal blocks and norms of the off-diagonal ones, kept for the last state."""
        if self._blocks is None or self._blocks[0] is not f or self._blocks[1] != t:
            traces, norms = [], []
            for index in range(len(self.bands)):
                projection = self.projection(index, t)
                half = projection.left(f)
                block = projection.block(half)
                traces.append(trace(block).real)
                norms.append(np.sqrt(self._integral(half - block)))
            self._blocks = f, t, traces, np.array(norms)
        return self._blocks[2:]

    def _integral(self, f: Array) -> float:
        r""":math:`\int\mathrm{tr}\,F F^\dagger`."""
        return float(np.vdot(f, f).real) * self.grid.cell_measure

    # --- observables of the whole state ---

    def particle_number(self, f: Array) -> float:
        """``Tr F``, all bands together."""
        return float(self.grid.integrate(trace(f).real))

    def purity(self, f: Array) -> float:
        """``Tr F * F``."""
        return self._integral(f)

    def current(self, f: Array, t: float) -> FloatArray:
        """Particle current density of all bands with their coherence, (d, *x)."""
        return self._current.density(f, t)

    def energy(self, f: Array, t: float) -> float:
        """``Tr F * H`` (without the force, whose potential has no period)."""
        return self._momentum_energy(f, t) + self._position_energy(f, t)

    def _momentum_energy(self, f: Array, t: float) -> float:
        grid = self.grid
        k = np.stack(np.meshgrid(*grid.axis_points[grid.n_position_axes :], indexing="ij"))
        h = to_periodic(self.hamiltonian, self._separated.of_momentum(k, t), k)
        marginal = f.mean(axis=grid.position_axes) * np.prod(grid.lengths) if grid.n_x else f
        return float(np.einsum("ij...,ji...->...", marginal, h).real.mean())

    def _position_energy(self, f: Array, t: float) -> float:
        grid = self.grid
        if not grid.n_x:
            return 0.0
        x = np.stack(np.meshgrid(*grid.axis_points[: grid.n_position_axes], indexing="ij"))
        m = np.moveaxis(self._separated.of_position(x, t), (-2, -1), (0, 1))
        marginal = f.mean(axis=grid.momentum_axes)
        return float(np.einsum("ij...,ji...->...", marginal, m).real.mean() * np.prod(grid.lengths))

    def evolutions(self, f: Array, t: float) -> Sequence[BandEvolution]:
        """The bands themselves."""
        return self.bands

    @property
    def local_field_descriptions(self) -> Mapping[str, str]:
        """None of a single band."""
        return {}

    @property
    def whole_fields(self) -> Mapping[str, tuple[str, str]]:
        """Long name and equation of :meth:`local_fields`, which belong to all bands together."""
        equation = "int_{-1/2}^{1/2} dl int dk/(2 pi)^d tr [d_{k_i} H_0(k + l q) F(q, k)]"
        return {
            f"all_bands_current_{axis}": (
                f"particle current density of all bands and their coherence along {axis}",
                equation,
            )
            for axis in self._axes
        }

    def local_fields(self, f: Array, t: float) -> dict[str, FloatArray]:
        """Functions of position beside the bands' observables, each (*x)."""
        return dict(zip(self.whole_fields, self.current(f, t), strict=True))

    def measure(self, f: Array, t: float) -> dict[str, FloatArray]:
        """What the recorder stores beside (or in place of) the bands' own: :data:`OWN_SCALARS` and tails."""
        currents = zip(self._current_names, self._current.total(f, t), strict=True)
        return {
            **{name: np.asarray(value) for name, value in currents},
            "total_particle_number": np.asarray(self.particle_number(f)),
            "total_energy": np.asarray(self.energy(f, t)),
            "purity": np.asarray(self.purity(f)),
            "interband_coherence": self.coherences(f, t),
            # what has to be resolved is F: a nearly empty band says nothing about the grid
            "spectral_tail_x": self._spectral_tail(f, range(self.grid.n_position_axes)),
            "spectral_tail_k": self._spectral_tail(f, range(self.grid.n_position_axes, self.grid.n_axes)),
        }

    def _spectral_tail(self, f: Array, axes: range) -> FloatArray:
        """Spectral tail of all elements together, given to every band, (b,)."""
        parts = np.stack([f.real, f.imag])
        return np.full(len(self.bands), spectral_tail(parts, [3 + axis for axis in axes]))

    @property
    def own_scalars(self) -> Mapping[str, OwnScalar]:
        """What :meth:`measure` returns."""
        about = "particle current of all bands and their coherence along {}"
        currents = {
            name: OwnScalar(False, about.format(name[-1]), "int dx j(x)") for name in self._current_names
        }
        return OWN_SCALARS | currents

    @property
    def _current_names(self) -> list[str]:
        return [f"total_current_{axis}" for axis in self._axes]

    @property
    def _axes(self) -> str:
        return "".join(AXIS_LETTERS[: self.grid.n_momentum_axes])


#: Scalars of a matrix run.
OWN_SCALARS = {
    "total_particle_number": OwnScalar(False, "particle number of all bands", "Tr F"),
    "total_energy": OwnScalar(False, "energy of all bands", "Tr F * H"),
    "purity": OwnScalar(False, "purity of the state", "Tr F * F"),
    "interband_coherence": OwnScalar(
        True, "norm of the coherence of a band with all others", "|K|, K = pi * F * (1 - pi)"
    ),
}
