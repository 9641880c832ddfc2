"""Effective band of H0(k) + U(x) without magnetic field, in closed form, each geometric term switchable.

Source: docs/theory.md section 6; equal to eq. 3.29 of Park et al., arXiv:2504.10447, after f = w + S w.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wigner_sim.geometry import band_normalized_metric, berry_curvature, quantum_metric
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.effective_band import EffectiveBand
from wigner_sim.kinetics.external_field import ExternalField
from wigner_sim.kinetics.options import GeometricTerms
from wigner_sim.projector import LocalBands, check_gap, gap_to_other_bands
from wigner_sim.symbols import Array, FloatArray, SymbolSpace


@dataclass(frozen=True)
class MomentumGeometry:
    """Energy and geometry of one band of H0(k) on the momentum grid.

    Parameters
    ----------
    energy : array (*k)
    curvature, metric, normalized_metric : arrays (d, d, *k)
        Omega, g, T.
    gap : array (*k)
    """

    energy: FloatArray
    curvature: FloatArray
    metric: FloatArray
    normalized_metric: FloatArray
    gap: FloatArray


def momentum_geometry(
    bloch: Array,
    n_k: tuple[int, ...],
    orbital_positions: FloatArray,
    band: int,
    minimum_gap: float,
    scramble: int | None = None,
) -> MomentumGeometry:
    """Geometry of one band from its (k-periodic) Bloch matrix ``(n, n, *k)``.

    Raises
    ------
    BandTouchingError
        Where the gap is below ``minimum_gap``.
    """
    space = SymbolSpace(PhaseSpaceGrid((), n_k, ()), orbital_positions)
    hamiltonian = space.symbol(bloch)
    bands, group = LocalBands.of(bloch, scramble), range(band, band + 1)
    check_gap(space.grid, bands.energies, group, minimum_gap)
    p = space.symbol(bands.projector(group))
    return MomentumGeometry(
        energy=bands.energies[band],
        curvature=berry_curvature(p),
        metric=quantum_metric(p),
        normalized_metric=band_normalized_metric(hamiltonian, bands, band),
        gap=gap_to_other_bands(bands.energies, group),
    )


def separable_effective_band(
    space: SymbolSpace, geometry: MomentumGeometry, field: ExternalField, order: int, terms: GeometricTerms
) -> EffectiveBand:
    r"""Effective band of ``H0(k) + U(x, t) - F(t).x`` at one time.

    With ``W = U - F.x`` in every gradient,

    .. math::
        h_w &= E + U + \tfrac12 g_{ij}\partial_i\partial_j W + \tfrac12 T_{ij}\partial_iW\,\partial_jW,
        \qquad a_j = T_{jl}\,\partial_l W,

        \Omega_{k_ik_j} &= \Omega^0_{ij} + \partial_{k_i}a_j - \partial_{k_j}a_i,\quad
        \Omega_{x_ik_j} = \partial_{x_i}a_j,\quad \Omega_{tk_j} = \partial_t a_j,

    and the force enters the flow as ``D_t = d_t + F.d_k`` does (see ``driven_effective_band``).

    Parameters
    ----------
    space : SymbolSpace
        Of the full grid, without magnetic field.
    geometry : MomentumGeometry
    field : ExternalField
    order : int
    terms : GeometricTerms
    """
    grid = space.grid
    s, n_axes = grid.n_position_axes, grid.n_axes
    on_grid = (1,) * s + grid.n_k
    energy, gap = geometry.energy.reshape(on_grid), geometry.gap.reshape(on_grid)
    u = field.potential.reshape(*grid.n_x, *(1,) * grid.n_momentum_axes)
    h = [np.broadcast_to(energy + u, grid.shape)]
    curvature: list[FloatArray] = []
    density = np.ones(grid.shape)
    metric = np.zeros((n_axes, n_axes, *(1,) * n_axes))
    if order >= 1:
        h.append(np.zeros(grid.shape))  # the orbital moment needs a magnetic field
        curvature.append(np.zeros((n_axes, n_axes, *grid.shape)))
        if terms.berry:
            curvature[0][s:, s:] = geometry.curvature.reshape(*geometry.curvature.shape[:2], *on_grid)
    if order >= 2:
        h.append(np.zeros(grid.shape))
        curvature.append(np.zeros((n_axes, n_axes, *grid.shape)))
        if terms.metric:
            metric = np.zeros((n_axes, n_axes, *on_grid))
            metric[s:, s:] = geometry.metric.reshape(*geometry.metric.shape[:2], *on_grid)
            potential = space.symbol(u)
            for i in range(s):
                for j in range(s):
                    h[2] += 0.5 * metric[s + i, s + j] * potential.derivative(i, j)
        if terms.band_normalized_metric:
            t_metric = geometry.normalized_metric.reshape(*geometry.normalized_metric.shape[:2], *on_grid)
            _add_band_normalized_metric(space, t_metric, field, h[2], curvature[1])
            for i in range(s):
                density += curvature[1][i, s + i]
    rate = np.sum([np.einsum("j,nj...->n...", field.force, c[:, s:]) for c in curvature], axis=0)
    if order >= 2 and terms.band_normalized_metric and field.potential_rate is not None:
        rate += _rate_curvature(space, t_metric, field)
    return EffectiveBand(
        space=space,
        order=order,
        energy=h,
        density_of_states=density,
        curvature=curvature,
        metric=metric,
        gap=np.broadcast_to(gap, grid.shape),
        rate_curvature=rate if order and (field.force.any() or field.potential_rate is not None) else None,
        force=field.force,
    )


def _add_band_normalized_metric(
    space: SymbolSpace, t_metric: FloatArray, field: ExternalField, h_2: FloatArray, curvature: FloatArray
) -> None:
    """Add the terms of ``a_j = T_jl d_l W`` to the second-order energy and curvature, in place."""
    s, d = space.grid.n_position_axes, space.grid.n_momentum_axes
    gradient = field.gradient(space)
    for i in range(d):
        for j in range(d):
            h_2 += 0.5 * t_metric[i, j] * gradient[i] * gradient[j]
    for j in range(d):
        for m in range(d):
            slope = space.symbol(gradient[m])
            for i in range(s):
                mixed = t_metric[j, m] * slope.derivative(i)
                curvature[i, s + j] += mixed
                curvature[s + j, i] -= mixed
            t_jm = space.symbol(t_metric[j, m])
            for i in range(d):
                momentum = t_jm.derivative(s + i) * gradient[m]
                curvature[s + i, s + j] += momentum
                curvature[s + j, s + i] -= momentum


def _rate_curvature(space: SymbolSpace, t_metric: FloatArray, field: ExternalField) -> FloatArray:
    """``Omega_{k_j t} = -T_jl d_l dW/dt``; the position components vanish."""
    grid = space.grid
    s, d = grid.n_position_axes, grid.n_momentum_axes
    gradient_rate = [field.derivative(space, (m, 2 * d)) for m in range(d)]
    omega = np.zeros((grid.n_axes, *grid.shape))
    for j in range(d):
        for m in range(d):
            omega[s + j] -= t_metric[j, m] * gradient_rate[m]
    return omega
