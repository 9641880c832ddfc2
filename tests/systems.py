"""Small crystals that the physics tests share, each with its grid and its band.

Every one is smooth on its grid to near rounding unless it says otherwise, so that an identity which holds
in the continuum holds to rounding here as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wigner_sim import liouville
from wigner_sim.convergence import ExactReference, exact_reference, fit_slopes, kinetic_errors
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.initial_states import InitialState
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_sources import periodic_symbol
from wigner_sim.kinetics.effective_band import EffectiveBand, effective_band
from wigner_sim.kinetics.options import EquationOptions, GeometricTerms
from wigner_sim.models import Hamiltonian, build_hamiltonian
from wigner_sim.models.matrices import pauli_combination
from wigner_sim.problem import Problem
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS, choose_step
from wigner_sim.symbols import Symbol, SymbolSpace


@dataclass(frozen=True)
class System:
    """One band of a Hamiltonian on a grid."""

    hamiltonian: Hamiltonian
    grid: PhaseSpaceGrid
    band: int = 0

    @property
    def space(self) -> SymbolSpace:
        return SymbolSpace(self.grid, self.hamiltonian.orbital_positions)

    def dilated(self, dilation: float) -> System:
        return replace(self, hamiltonian=self.hamiltonian.dilated(dilation), grid=self.grid.dilated(dilation))

    def symbol(self, t: float = 0.0) -> Symbol:
        space = self.space
        return space.symbol(periodic_symbol(self.hamiltonian, space, t))

    def evolution(self, order: int = 2, **options) -> BandEvolution:
        return BandEvolution(self.hamiltonian, self.grid, self.band, EquationOptions(order, **options))

    def effective(self, order: int = 2, **terms) -> EffectiveBand:
        """The effective band by the route the program takes."""
        return self.evolution(order, terms=GeometricTerms(**terms)).effective()

    def by(self, route, order: int = 2, t: float = 0.0, **options) -> EffectiveBand:
        """The effective band by one of the three routes of ``band_sources``."""
        return route(self.hamiltonian, self.space, self.band, EquationOptions(order, **options)).effective(t)

    def general(self, order: int = 2) -> EffectiveBand:
        """The effective band by the gradient expansion on phase-space arrays."""
        return effective_band(self.symbol(), self.band, order)

    def occupation(self) -> np.ndarray:
        return occupation(self.grid)(np.array(self._mesh[: self._s]), np.array(self._mesh[self._s :]))

    def problem(self, duration: float, order: int = 2, **options) -> Problem:
        return Problem(
            grid=self.grid,
            hamiltonian=self.hamiltonian,
            bands=(self.band,),
            initial_states=(InitialState(occupation=occupation(self.grid)),),
            options=EquationOptions(order, difference_step=2e-4 * duration, **options),
            duration=duration,
            stepper=STEPPERS["rk4"],
            tolerance=1e-8,
        )

    def exact_projector(self) -> tuple[np.ndarray, liouville.BandProjector, tuple[int, ...]]:
        """Operator, spectral projector on the band, and numbers of sites."""
        sites = tuple(round(length) for length in self.grid.lengths)
        operator = liouville.quantize_hamiltonian(self.hamiltonian, sites)
        return operator, liouville.band_projector(operator, self.hamiltonian, sites, self.band), sites

    @property
    def _s(self) -> int:
        return self.grid.n_position_axes

    @property
    def _mesh(self) -> list[np.ndarray]:
        return list(np.broadcast_arrays(*self.grid.coordinates))


def occupation(grid: PhaseSpaceGrid):
    """A smooth positive c(x, k) without symmetry, as a function; dilates with the grid it is made for."""
    lengths = grid.lengths

    def c(x, k):
        angles = [2 * np.pi * x[i] / length for i, length in enumerate(lengths)]
        exponent = sum(0.6 * np.cos(k_i - 1 - 0.4 * i) for i, k_i in enumerate(k))
        for i, angle in enumerate(angles):
            exponent = exponent + 0.8 * np.cos(angle - 0.5 - 0.2 * i) + 0.3 * np.sin(angle + k[i])
        return np.exp(exponent)

    return c


def grid_of(sites: tuple[float, ...], n_x: int, n_k: int, d: int, flux: float = 0.0) -> PhaseSpaceGrid:
    cell_flux = None if flux == 0 else flux * np.array([[0.0, 1.0], [-1.0, 0.0]])
    return PhaseSpaceGrid((n_x,) * len(sites), (n_k,) * d, sites, cell_flux)


def named(source, parameters, potential, sites, n_x, n_k, d=1, band=0, flux=0.0) -> System:
    sites = tuple(float(length) for length in sites)
    hamiltonian = build_hamiltonian(source, parameters, potential, d, len(sites), sites)
    return System(hamiltonian, grid_of(sites, n_x, n_k, d, flux), band)


def texture(sites: float = 24, n: int = 64) -> System:
    """The benchmark of docs/theory.md, section 11."""
    return named("two_band_texture", {}, None, (sites,), n, n)


def gentle_texture(sites: float = 24, n: int = 48) -> System:
    """A texture with so large a gap that all of its geometry is resolved to rounding."""
    parameters = {
        "mass": 1.5, "hop_1": 0.2, "hop_2": 0.2, "hop_3": 0.15,
        "texture_1": 0.1, "texture_2": 0.15, "texture_3": 0.15, "mixed": 0.1, "scalar": 0.4,
    }  # fmt: skip
    return named("two_band_texture", parameters, None, (sites,), n, n)


def three_orbitals(sites: float = 24, n: int = 64, band: int = 1) -> System:
    """Three orbitals at different places in the cell, energies and a hopping that vary: the middle band."""
    parameters = {
        "e1": "1.6 + 0.2*cos(2*pi*x/L)", "e2": "0.1*sin(2*pi*x/L)", "e3": "-1.5 + 0.2*sin(2*pi*x/L - 0.4)",
        "t12": "0.5 + 0.1*sin(2*pi*x/L)", "t23": 0.5, "t31": 0.4,
        "orbital_positions": [0.0, 0.3, 0.6],
    }  # fmt: skip
    return named("trimer", parameters, "0.3*cos(2*pi*x/L)", (sites,), n, n, band=band)


def upper_chain(sites: float = 24, n: int = 64) -> System:
    """Upper band of a dimerised chain with evenly spaced atoms and a mass and hopping that vary."""
    parameters = {
        "t1": "0.8 + 0.15*cos(2*pi*x/L - 0.3)", "t2": 0.4, "delta": "0.7 + 0.3*sin(2*pi*x/L)",
        "orbital_positions": [0.0, 0.5],
    }  # fmt: skip
    return named("rice_mele", parameters, "0.3*cos(2*pi*x/L)", (sites,), n, n, band=1)


def separable_chain(sites: float = 24, n: int = 64, band: int = 0) -> System:
    """Dimerised chain in a potential, atoms evenly spaced."""
    parameters = {"t1": 0.9, "t2": 0.3, "delta": 0.6, "orbital_positions": [0.0, 0.5]}
    return named("rice_mele", parameters, "0.4*cos(2*pi*x/L) + 0.1*sin(4*pi*x/L)", (sites,), n, n, band=band)


def separable_plane(s: int, sites: float = 24, n_x: int = 16, n_k: int = 24, flux: float = 0.0) -> System:
    """Massive Dirac crystal, breaking every mirror, in a potential of s coordinates."""
    potential = ["0", "0.3*cos(2*pi*x/L)", "0.3*cos(2*pi*x/Lx) + 0.2*cos(2*pi*y/Ly - 0.3)"][s]
    if s == 2:
        potential += " + 0.1*cos(2*pi*(x/Lx + y/Ly))"
    parameters = {"mass": 1.8, "velocity": 0.2, "wilson": 0.05}
    return named("massive_dirac", parameters, potential, (sites, 1.5 * sites)[:s], n_x, n_k, d=2, flux=flux)


def textured_plane(s: int, sites: float = 24, n_x: int = 16, n_k: int = 24, flux: float = 0.0) -> System:
    """The same crystal with a mass and velocity that depend on position."""
    mass = ["1.8", "1.8 + 0.1*sin(2*pi*x/Lx)", "1.8 + 0.1*sin(2*pi*x/Lx) + 0.1*cos(2*pi*y/Ly)"][s]
    parameters = {"mass": mass, "velocity": "0.2 + 0.03*cos(2*pi*x/Lx)" if s else 0.2, "wilson": 0.05}
    potential = "0.3*cos(2*pi*x/Lx)" if s else None
    return named("massive_dirac", parameters, potential, (sites, 1.5 * sites)[:s], n_x, n_k, d=2, flux=flux)


def smooth_ramp(s: float) -> float:
    """From 0 at s <= 0 to 1 at s >= 1 with four vanishing derivatives at both ends."""
    s = min(max(s, 0.0), 1.0)
    return s**5 * (126 - 420 * s + 540 * s**2 - 315 * s**3 + 70 * s**4)


def ramped_texture(duration: float, sites: float = 24, n: int = 48) -> System:
    """A texture that changes smoothly, with all its parts, during the run: H(x, k, t)."""

    def matrix(x, k, t):
        ramp = smooth_ramp(t / duration)
        angle, (k,) = 2 * np.pi * x[0] / sites, k
        d1 = 1.8 + 0.4 * np.cos(k - 0.5 * ramp) + 0.2 * np.cos(angle)
        d2 = 0.4 * np.sin(k) + (0.2 + 0.2 * ramp) * np.sin(angle) + 0.1 * np.sin(angle + k)
        d3 = 0.3 * np.sin(angle - 0.8 * ramp) + 0.3 * np.cos(k) + 0.3 * ramp
        return pauli_combination(d1, d2, d3, 0.3 * np.cos(angle))

    return System(Hamiltonian(matrix, 2, 1, time_dependent=True), grid_of((float(sites),), n, n, 1))


def references(problem: Problem, dilations) -> list[tuple[Problem, ExactReference]]:
    """Dilated problems with their exact solutions, which no change to the kinetic side can touch."""
    dilated = [problem.dilated(float(dilation)) for dilation in dilations]
    return [(each, exact_reference(each, [0.0, each.duration])) for each in dilated]


def convergence(problem: Problem, dilations, orders=(0, 1, 2), start="exact", exact=None) -> dict:
    """``wigner_sim.convergence.converge`` for a problem made in Python: order -> (errors, slopes)."""
    rows = []
    pairs = exact or references(problem, dilations)
    for dilation, (dilated, reference) in zip(dilations, pairs, strict=True):
        for order in orders:
            errors = vars(kinetic_errors(dilated.with_order(order), reference, start)[-1])
            rows.append(
                {"order": order, "dilation": dilation, **{f"err_{name}": e for name, e in errors.items()}}
            )
    slopes = fit_slopes(rows)
    names = slopes[str(orders[0])]
    return {
        order: (
            {n: np.array([row[f"err_{n}"] for row in rows if row["order"] == order]) for n in names},
            slopes[str(order)],
        )
        for order in orders
    }


def slope(dilations, errors) -> float:
    """Power of the dilation with which errors fall."""
    return -float(np.polyfit(np.log(dilations), np.log(errors), 1)[0])


def relative(difference: np.ndarray, reference: np.ndarray) -> float:
    """Largest difference as part of the largest value."""
    return float(np.abs(difference).max() / np.abs(reference).max())


def advance(evolution, w, duration, stepper="rk4", tolerance=1e-9):
    """State after ``duration``, in steps chosen for the tolerance."""
    step = choose_step(STEPPERS[stepper], evolution, w, 0.0, duration, tolerance)
    return Propagator(evolution, STEPPERS[stepper], w, step.dt).advance_to(duration)


def low_modes(w, highest=3):
    """The same state with few Fourier modes: no product with its derivatives reaches the Nyquist mode."""
    hat = np.fft.fftn(w)
    for axis, n in enumerate(w.shape):
        kept = np.abs(np.fft.fftfreq(n, 1 / n)) <= highest
        hat *= kept.reshape([-1 if a == axis else 1 for a in range(w.ndim)])
    return np.fft.ifftn(hat).real
