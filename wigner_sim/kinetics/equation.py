"""The kinetic equation of one band, assembled from its terms.

Source: docs/theory.md section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np

from wigner_sim import fourier
from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.blocked_flow import BlockedFlow
from wigner_sim.kinetics.effective_band import EffectiveBand, phase_space_velocity
from wigner_sim.kinetics.fused import FusedFlows, fits_engine
from wigner_sim.kinetics.low_rank import (
    ThirdDerivatives,
    short_third_derivatives,
    short_third_derivatives_of_rest,
)
from wigner_sim.kinetics.magnetic_moyal import MagneticMoyal
from wigner_sim.kinetics.mode_smearing import LARGE
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.kinetics.terms import Acceleration, PhaseSpaceFlow, Streaming, Term
from wigner_sim.kinetics.velocity import DenseVelocity, ProductVelocity, Velocity
from wigner_sim.symbols import FloatArray, MultiIndex, SymbolSpace, poisson_contractions

#: Filters of the Fourier modes of d_t w that a case can name.
DEALIASING = ("none", "two_thirds", "smooth")


def moyal_coefficients(space: SymbolSpace, h: FloatArray) -> dict[tuple[int, MultiIndex], FloatArray]:
    r"""Coefficients of ``d_d d_f w`` in the flux ``J_b``.

    .. math:: \tfrac1{24}\,\epsilon_{ab}\epsilon_{cd}\epsilon_{ef}\,\partial_a\partial_c\partial_e h

    Returns
    -------
    dict (b, (d, f)) -> array (*x, *k)
        With d <= f; a mixed pair counts both orders.  Identically vanishing ones are left out.
    """
    grid = space.grid
    symbol = space.symbol(h)
    coefficients: dict[tuple[int, MultiIndex], FloatArray] = {}
    for a, b in zip(*np.nonzero(grid.epsilon), strict=True):
        for weight, left, right in poisson_contractions(grid, 2):
            term = (weight * grid.epsilon[a, b] / 24.0) * symbol.derivative(int(a), *left)
            key = (int(b), right)
            coefficients[key] = coefficients.get(key, 0.0) + term
    scale = max((float(np.abs(c).max()) for c in coefficients.values()), default=0.0)
    return {key: c for key, c in coefficients.items() if np.abs(c).max() > 1e-14 * scale}


def dealiasing_factor(space: SymbolSpace, kind: str) -> FloatArray | None:
    """Factor on each Fourier mode in the layout of a real transform, or None.

    ``two_thirds`` drops the modes above 2/3 of the largest wavenumber of any axis (Orszag 1971);
    ``smooth`` damps them by ``exp(-36 (q/q_max)^36)`` (Hou and Li, J. Comput. Phys. 226, 379 (2007)).
    """
    if kind == "none":
        return None
    grid = space.grid
    kept: FloatArray | float = 1.0
    for axis, (n, period) in enumerate(zip(grid.shape, grid.periods, strict=True)):
        q = np.abs(fourier.wavenumbers(n, period))
        ratio = q / (np.pi * n / period)
        factor = (ratio <= 2 / 3).astype(float) if kind == "two_thirds" else np.exp(-36 * ratio**36)
        if axis == grid.n_axes - 1:
            factor = factor[: n // 2 + 1]
        kept = kept * factor.reshape([-1 if axis == other else 1 for other in range(grid.n_axes)])
    return np.asarray(kept)


@dataclass(frozen=True)
class KineticEquation:
    r"""Sum of terms for the density w of one band.

    .. math:: \partial_t w = -\partial_a(w V_a)
              - \tfrac1{24}\epsilon_{ab}\epsilon_{cd}\epsilon_{ef}(\partial^3_{ace}h)(\partial^3_{bdf}w)

    Attributes
    ----------
    flows : sequence of Term
    fused : FusedFlows, optional
        The same equation in parts that are stepped in compiled blocks.
    in_pieces : Term, optional
        The last of the flows, its right-hand side worked out block by block.
    """

    flows: Sequence[Term]
    fused: FusedFlows | None = None
    in_pieces: Term | None = None

    def rhs(self, w: FloatArray, t: float) -> FloatArray:
        """Time derivative of w, shape (*x, *k)."""
        terms = self.flows if self.in_pieces is None else [*self.flows[:-1], self.in_pieces]
        total = terms[0].rhs(w, t)
        for term in terms[1:]:
            total = total + term.rhs(w, t)
        return total

    def spectral_radius(self, t: float) -> float:
        """Bound on the eigenvalues, the sum of those of the terms."""
        return sum(term.spectral_radius(t) for term in self.flows)


class BandCoefficients(Protocol):
    """What an equation needs of a band beside its velocity."""

    @property
    def space(self) -> SymbolSpace: ...  # noqa: D102

    @property
    def energy(self) -> list[FloatArray]: ...  # noqa: D102

    @property
    def force(self) -> FloatArray | None: ...  # noqa: D102

    @property
    def parts(self) -> tuple[FloatArray, FloatArray] | None:
        """E(k) (1.., *k) and U(x) (*x, 1..) where the leading energy is their sum."""
        ...


def unsplit_equation(
    effective: BandCoefficients, options: EquationOptions, velocity: Velocity | None = None
) -> KineticEquation:
    """The whole right-hand side as one flow in flux form (any Hamiltonian).

    Parameters
    ----------
    velocity : Velocity, optional
        That of the band, if known in a better form than stored arrays.
    """
    space = effective.space
    velocity = velocity or _own_velocity(effective)
    if isinstance(velocity, ProductVelocity) and unfiltered(options):
        short = short_third_derivatives(space, effective.energy[0], options.third_derivative)
        if short is not None:
            return KineticEquation([BlockedFlow(space, velocity, short)])
    third = moyal_coefficients(space, effective.energy[0]) if options.third_derivative else {}
    return KineticEquation([_phase_space_flow(space, velocity, third, options)])


def split_equation(
    effective: BandCoefficients,
    options: EquationOptions,
    remainder: Velocity | None = None,
    always_rest: bool = False,
) -> KineticEquation:
    """The equation as streaming under <h>_x, acceleration under <h>_k and the force, and the rest.

    Parameters
    ----------
    remainder : Velocity, optional
        What the two exact flows leave of the velocity, if known already.
    always_rest : bool
        Keep the third term even where it vanishes (driven equations need a fixed number of terms).

    Notes
    -----
    For ``h_0 = E(k) + U(x)`` the rest holds first derivatives only, so no third derivative limits the step.
    """
    space = effective.space
    grid = space.grid
    s = grid.n_position_axes
    band_energy, potential = mean_energies(effective)
    remainder = remainder or exact_flow_remainder(effective, _own_velocity(effective).values)
    rest = _rest(effective, remainder, band_energy, potential, options)
    fused = None
    n_orders: int | None = 2 if options.third_derivative else 1
    if options.moyal_series == "all_orders" and options.third_derivative:
        n_orders = None
    terms: list[Term] = []
    if s:
        streaming = Streaming(space, band_energy, n_orders)
        acceleration = Acceleration(space, potential, n_orders, effective.force)
        terms = [streaming, acceleration]
        if wants_engine(grid, options):
            magnetic = MagneticMoyal(space, band_energy) if effective.parts and rest.has_third else None
            fused = _fused_flows(effective, streaming, acceleration, rest, magnetic, options, always_rest)
    elif effective.force is not None and (always_rest or effective.force.any()):
        terms = [Acceleration(space, potential, 1, effective.force)]
    if always_rest or not terms or not rest.vanishes:
        terms.append(rest)
    return KineticEquation(terms, fused, _in_pieces(rest, options) if terms[-1] is rest else None)


def _in_pieces(rest: PhaseSpaceFlow, options: EquationOptions) -> PhaseSpaceFlow | None:
    """The same block by block, where it is but a velocity in short sums on a large grid."""
    short = isinstance(rest.velocity, ProductVelocity) and not rest.has_third and unfiltered(options)
    if not short or isinstance(rest, BlockedFlow) or prod(rest.space.grid.shape) < LARGE:
        return None
    assert isinstance(rest.velocity, ProductVelocity)
    return BlockedFlow(rest.space, rest.velocity, ThirdDerivatives({}, {}))


def wants_engine(grid: PhaseSpaceGrid, options: EquationOptions) -> bool:
    """Whether a split equation is stepped in compiled blocks.

    Raises
    ------
    CaseError
        If what was asked for needs the compiled engine, and it cannot serve.
    """
    usable = options.split and options.engine != "numpy" and fits_engine(grid)
    if not usable and options.engine == "compiled":
        raise CaseError(
            "the compiled engine needs a splitting stepper, numba, a position axis, and numbers of points "
            "without prime factors above 7"
        )
    if not usable and options.remainder == "stencil":
        raise CaseError(
            'equation.remainder = "stencil" needs a splitting stepper and the compiled engine (numba)'
        )
    return usable


def _large_kicks(effective: BandCoefficients) -> str:
    """Kicks that hold more than a band's geometry: rotation by a field, all that does not separate."""
    if effective.parts is None:
        return "XK"
    grid = effective.space.grid
    s = grid.n_position_axes
    return "K" if grid.epsilon[s:, s:].any() else ""


def _fused_flows(
    effective: BandCoefficients,
    streaming: Streaming,
    acceleration: Acceleration,
    rest: PhaseSpaceFlow,
    magnetic: MagneticMoyal | None,
    options: EquationOptions,
    always_rest: bool,
) -> FusedFlows:
    """Kicks in the blocks for velocities that are short sums; what else there is acts on whole arrays."""
    kept = dealiasing_factor(streaming.space, options.dealias)
    bounded = rest.has_third and options.moyal_filter == "bounded"
    stencil = options.remainder == "stencil"
    if isinstance(rest.velocity, ProductVelocity) and kept is None and not bounded:
        beside = rest.without_velocity() if rest.has_third and magnetic is None else None
        return FusedFlows(
            streaming, acceleration, rest.velocity, beside, stencil, magnetic, _large_kicks(effective)
        )
    if stencil:
        raise CaseError(
            'equation.remainder = "stencil" needs H0(k) + U(x, t) with all its terms, dealias = "none" and '
            'moyal_filter = "none"'
        )
    return FusedFlows(streaming, acceleration, None, rest if always_rest or not rest.vanishes else None)


def _own_velocity(effective: BandCoefficients) -> DenseVelocity:
    if not isinstance(effective, EffectiveBand):
        raise TypeError("only an effective band knows its velocity: give it beside other coefficients")
    return DenseVelocity(phase_space_velocity(effective))


def mean_energies(effective: BandCoefficients) -> tuple[FloatArray, FloatArray]:
    """``<h>_x`` (1.., *k) and ``<h>_k`` (*x, 1..) less its mean: what is flowed exactly."""
    grid = effective.space.grid
    if effective.parts is not None:
        band_energy, potential = effective.parts
        return band_energy + potential.mean(), potential - potential.mean()
    h = np.broadcast_to(effective.energy[0], grid.shape)
    band_energy = h.mean(axis=grid.position_axes, keepdims=True) if grid.n_x else h
    return band_energy, h.mean(axis=grid.momentum_axes, keepdims=True) - h.mean()


def exact_flow_remainder(effective: BandCoefficients, velocity: FloatArray) -> Velocity:
    """Velocity less ``d<h>_x/dk`` in x, ``-d<h>_k/dx`` and the force in k (overwrites ``velocity``)."""
    space = effective.space
    s = space.grid.n_position_axes
    band_energy, potential = mean_energies(effective)
    scale = np.abs(velocity).max()
    for i in range(s):
        velocity[i] -= space.symbol(band_energy).derivative(s + i)
        velocity[s + i] += space.symbol(potential).derivative(i)
    if effective.force is not None:
        velocity[s:] -= effective.force.reshape(-1, *(1,) * space.grid.n_axes)
    velocity[np.abs(velocity).max(axis=tuple(range(1, velocity.ndim))) < 1e-13 * scale] = 0.0
    return DenseVelocity(velocity)


def unfiltered(options: EquationOptions) -> bool:
    """Whether no Fourier mode is damped, so that the flux form may be worked out block by block."""
    return options.dealias == "none" and options.moyal_filter == "none"


def _rest(
    effective: BandCoefficients,
    remainder: Velocity,
    band_energy: FloatArray,
    potential: FloatArray,
    options: EquationOptions,
) -> PhaseSpaceFlow:
    """What neither exact streaming nor exact acceleration holds."""
    space = effective.space
    if effective.parts is None and isinstance(remainder, ProductVelocity) and unfiltered(options):
        short = short_third_derivatives_of_rest(
            space, effective.energy[0], band_energy, potential, options.third_derivative
        )
        if short is not None:
            return BlockedFlow(space, remainder, short)
    third = _third_derivative_of_rest(effective, band_energy, potential) if options.third_derivative else {}
    return _phase_space_flow(space, remainder, third, options)


def _third_derivative_of_rest(
    effective: BandCoefficients, band_energy: FloatArray, potential: FloatArray
) -> dict[tuple[int, MultiIndex], FloatArray]:
    """Moyal coefficients that neither exact streaming nor exact acceleration holds."""
    space = effective.space
    third: dict[tuple[int, MultiIndex], FloatArray] = {}
    if effective.parts is None:
        h = np.broadcast_to(effective.energy[0], space.grid.shape)
        rest = h - band_energy - potential
        if np.abs(rest).max() > 1e-13 * np.abs(h).max():
            third = moyal_coefficients(space, rest)
    for (b, pair), coefficient in moyal_coefficients(space, band_energy).items():
        if max(b, *pair) >= space.grid.n_position_axes:  # a magnetic field turns d_x into d_k
            third[b, pair] = third.get((b, pair), 0.0) + coefficient
    return third


def _phase_space_flow(
    space: SymbolSpace,
    velocity: Velocity,
    third: dict[tuple[int, MultiIndex], FloatArray],
    options: EquationOptions,
) -> PhaseSpaceFlow:
    kept = dealiasing_factor(space, options.dealias)
    return PhaseSpaceFlow(space, velocity, third, kept, options.moyal_filter == "bounded")
