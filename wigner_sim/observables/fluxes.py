r"""Flux of the density w in position, from the terms of the equation that is stepped.

The equation is a divergence, ``d_t w = -d_a J_a``.  Integrated over momenta (written <.>) only its position
components are left, so ``d_t <w> = -d_i <J_i>``, and this holds to rounding on the grid if ``J`` is the flux
of the discrete terms:

- exact streaming multiplies w by ``exp(-i [E(k+q/2) - E(k-q/2)] t)`` in (q, k).  The bracket is ``q_i S_i``
  with

  .. math:: S_i(q, k) = \int_{-1/2}^{1/2} d\lambda\; \partial_{k_i} E(k + \lambda q),

  and the flux ``S_i w``: each hop carries its particle along a straight line.  Cut after the third
  derivative, ``<J_i> = <d_i E w> - (1/24) d_a d_b <d_i d_a d_b E w>``;
- on the grid, ``J_i = w V_i + M_i^{df} d_d d_f w``.

Along a direction without position axis nothing is conserved locally; the same expressions give the current
there (Hall currents of f(x; kx, ky)).

Source: docs/theory.md sections 5 and 9.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from wigner_sim import fourier
from wigner_sim.kinetics.equation import dealiasing_factor, mean_energies
from wigner_sim.kinetics.terms import PhaseSpaceFlow, Streaming
from wigner_sim.kinetics.velocity import ProductVelocity
from wigner_sim.observables.flow import BandFlow
from wigner_sim.observables.sums import momentum_averages
from wigner_sim.symbols import FloatArray, Symbol, SymbolSpace


def position_flux(flow: BandFlow, w: FloatArray) -> FloatArray:
    """``int dk/(2 pi)^d J_i`` along all d directions, shape (d, *x)."""
    grid = flow.space.grid
    s = grid.n_position_axes
    flux = np.zeros((grid.n_momentum_axes, *grid.n_x))
    for term in flow.evolution.equation(flow.t).flows if s else ():
        if isinstance(term, Streaming):
            flux[:s] += streamed_flux(flow, w)
        elif isinstance(term, PhaseSpaceFlow):
            flux[:s] += flux_on_grid(flow, term, w)
    symbol = flow.space.symbol(w)
    for i in range(s, grid.n_momentum_axes):
        flux[i] = grid.integrate_momenta(flow.velocity[i] * w)
        for pair, coefficient in flow.third_derivatives[i].items():
            flux[i] += grid.integrate_momenta(coefficient * symbol.derivative(*pair))
    return flux


def streamed_flux(flow: BandFlow, w: FloatArray) -> FloatArray:
    """Flux of exact streaming under <h>_x, shape (s, *x)."""
    grid, options = flow.space.grid, flow.evolution.options
    s = grid.n_position_axes
    energy = flow.space.symbol(mean_energies(flow.effective)[0])
    if options.third_derivative and options.moyal_series == "all_orders":
        return _streamed_at_all_orders(energy, w)
    third = list(combinations_with_replacement(range(s), 2)) if options.third_derivative else []
    indices = [(i, *pair) for i in range(s) for pair in [(), *third]]
    weights = [energy.derivative(*(s + axis for axis in index)) for index in indices]
    averages = momentum_averages(grid, w, np.array([v.reshape(grid.n_k) for v in weights]))
    flux = np.zeros((s, *grid.n_x))
    for (i, *pair), average in zip(indices, averages, strict=True):
        if not pair:
            flux[i] += average
        else:
            share = (1 if pair[0] == pair[1] else 2) / 24.0
            flux[i] -= share * position_derivative(flow.space, average, *pair)
    return flux


def _streamed_at_all_orders(energy: Symbol, w: FloatArray) -> FloatArray:
    """``S_i w`` in (q, k); for each Fourier mode m of E the integral over lambda is ``sinc(m . q/2)``."""
    grid = energy.space.grid
    s, d = grid.n_position_axes, grid.n_momentum_axes
    q, x_axes, k_axes = energy.space.axis_wavenumbers, tuple(range(s)), tuple(range(s, s + d))
    half_angle = sum((0.5 * q[s + a] * q[a] for a in range(s)), start=np.zeros(()))
    modes = fourier.fftn(energy.values, k_axes) * np.sinc(half_angle / np.pi)
    w_hat = fourier.fftn(w, x_axes)
    flux = np.zeros((s, *grid.n_x))
    for i in range(s):
        along = fourier.ifftn(1j * q[s + i] * modes, k_axes)
        flux[i] = fourier.ifftn(grid.integrate_momenta(along * w_hat), x_axes).real
    return flux


def flux_on_grid(flow: BandFlow, term: PhaseSpaceFlow, w: FloatArray) -> FloatArray:
    """Flux of the part that is flowed on the grid, with the filters of the case, shape (s, *x)."""
    grid, options = flow.space.grid, flow.evolution.options
    s = grid.n_position_axes
    flux = np.zeros((s, *grid.n_x))
    for i in range(s):
        if isinstance(term.velocity, ProductVelocity):
            x, k = term.velocity.factors(i)
            averages = momentum_averages(grid, w, k).reshape(len(k), len(x))
            flux[i] = np.einsum("xt,tx->x", x, averages).reshape(grid.n_x)
            continue
        velocity = term.velocity.component(i)
        if velocity is not None:
            flux[i] = grid.integrate_momenta(velocity * w)
    third = [key for key in term.third_derivative if key[0] < s]
    if third:
        bounded = options.moyal_filter == "bounded"
        symbol = flow.space.symbol(_bounded(term, flow.space, w) if bounded else w)
        for i, pair in third:
            flux[i] += grid.integrate_momenta(term.third_coefficient((i, pair)) * symbol.derivative(*pair))
    kept = dealiasing_factor(flow.space, options.dealias)
    if kept is not None:  # of a filter over phase space, positions see the part at zero wavenumber of k
        axes = tuple(range(-s, 0))
        factor = kept.reshape(*kept.shape[:s], -1)[..., 0]
        flux = fourier.ifftn(factor * fourier.fftn(flux, axes), axes).real
    return flux


def _bounded(term: PhaseSpaceFlow, space: SymbolSpace, w: FloatArray) -> FloatArray:
    """Modes of w over 1 + (rate of third)/(rate of first derivatives), as :class:`PhaseSpaceFlow` has it."""
    q = space.axis_wavenumbers
    speeds = [term.velocity.component(axis) for axis in range(space.grid.n_axes)]
    first: Any = sum(np.abs(v).max() * np.abs(q[a]) for a, v in enumerate(speeds) if v is not None)
    third: Any = sum(
        np.abs(coefficient).max() * np.abs(q[b] * q[d] * q[f])
        for (b, (d, f)), coefficient in term.third_derivative.items()
    )
    axes = tuple(range(space.grid.n_axes))
    ratio = third / np.where(first > 0, first, 1.0)
    return fourier.ifftn(fourier.fftn(w, axes) / (1.0 + ratio), axes).real


def position_derivative(space: SymbolSpace, values: FloatArray, *axes: int) -> FloatArray:
    """Spectral derivative of a function of position, shape (*x)."""
    grid = space.grid
    symbol = space.symbol(values.reshape(*grid.n_x, *(1,) * grid.n_momentum_axes))
    return np.reshape(symbol.derivative(*axes), grid.n_x)
