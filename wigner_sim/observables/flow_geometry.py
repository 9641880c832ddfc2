"""Coefficients of currents in all d directions, also those without a position axis.

Source: docs/theory.md sections 5, 6 and 9.
"""

from __future__ import annotations

import numpy as np

from wigner_sim.geometry import quantum_metric
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_sources import periodic_symbol, to_periodic
from wigner_sim.kinetics.effective_band import EffectiveBand, central_difference
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.projector import LocalBands
from wigner_sim.symbols import FloatArray, MultiIndex, Symbol, SymbolSpace, multiply, poisson_contractions

#: Ingredients of the velocity, see :func:`velocity_parts`.
PARTS = ("group", "anomalous", "moment", "metric", "normalized_metric")


def velocity_parts(band: EffectiveBand) -> dict[str, FloatArray]:
    r"""Velocity of w along all d directions by its ingredients, each of shape (d, *x, *k).

    With :math:`V_i = \Pi_{ib}\,\partial_b h_w + \Omega_{k_i t}` and
    :math:`\Pi_{ib} = \delta_{b k_i} + \Omega_{k_i c}\,\epsilon_{cb}`:

    - ``group``: ``d_{k_i} h_0``, the bare band;
    - ``anomalous``: the leading curvature times gradients of ``h_0 + h_1`` and the force; under a drive all
      of ``Omega*_{k_i t}``;
    - ``moment``: ``d_{k_i} h_1``, the orbital moment;
    - ``metric``: ``d_{k_i} S^T h_0``, that is ``d_{k_i} (1/2) g_jl d_j d_l U`` for H0(k) + U(x);
    - ``normalized_metric``: the rest of second order, ``d_{k_i}(h_2 - S^T h_0)`` and the correction of the
      curvature: the band-normalized metric T for H0(k) + U(x), mixing of bands by gradients in general.

    Each is gauge invariant, and they add up to the velocity of the equation.
    """
    space, order = band.space, band.order
    grid = space.grid
    s, d = grid.n_position_axes, grid.n_momentum_axes
    parts = {name: np.zeros((d, *grid.shape)) for name in PARTS}
    energies = [space.symbol(np.broadcast_to(h, grid.shape)) for h in band.energy]
    smeared = space.symbol(np.broadcast_to(band.smearing.apply_transpose(energies[0].values), grid.shape))
    for i in range(d):
        for name, h in zip(("group", "moment", "normalized_metric"), energies, strict=False):
            parts[name][i] = h.derivative(s + i)
        if order == 2:
            parts["metric"][i] = smeared.derivative(s + i)
    parts["normalized_metric"] -= parts["metric"]
    for m, omega in enumerate(band.curvature):
        name = "anomalous" if m == 0 else "normalized_metric"
        for h in energies[: order - m]:
            for c, b in zip(*np.nonzero(grid.epsilon), strict=True):
                parts[name] += grid.epsilon[c, b] * omega[s:, c] * h.derivative(int(b))
    if band.rate_curvature is not None:
        parts["anomalous"] += band.rate_curvature[s:]
        if band.force is not None and order == 2:
            by_force = np.einsum("j,ij...->i...", band.force, band.curvature[1][s:, s:])
            parts["anomalous"] -= by_force
            parts["normalized_metric"] += by_force
    return parts


def moyal_flux_coefficients(band: EffectiveBand) -> list[dict[MultiIndex, FloatArray]]:
    r"""Coefficients of ``d_d d_f w`` in the flux along each of the d directions,
    :math:`-\frac1{24}\epsilon_{cd}\epsilon_{ef}\,\partial_{k_i}\partial_c\partial_e h`.
    """
    grid = band.space.grid
    h = band.space.symbol(np.broadcast_to(band.energy[0], grid.shape))
    scale = np.abs(h.values).max()
    result: list[dict[MultiIndex, FloatArray]] = []
    for i in range(grid.n_momentum_axes):
        coefficients: dict[MultiIndex, FloatArray] = {}
        for weight, left, right in poisson_contractions(grid, 2):
            term = -weight / 24.0 * h.derivative(grid.n_position_axes + i, *left)
            coefficients[right] = coefficients.get(right, 0.0) + term
        result.append({pair: m for pair, m in coefficients.items() if np.abs(m).max() > 1e-15 * scale})
    return result


def magnetic_moment(hamiltonian: Hamiltonian, space: SymbolSpace, band: int, t: float) -> FloatArray:
    """Orbital moment of one band, shape (d, d, *x, *k), or (d, d, 1.., *k) for H0(k) + U(x)."""
    grid = space.grid
    if hamiltonian.bloch is None:
        return orbital_moment(space.symbol(periodic_symbol(hamiltonian, space, t)), band)
    momenta = SymbolSpace(PhaseSpaceGrid((), grid.n_k, ()), hamiltonian.orbital_positions)
    k = momenta.grid.mesh()[1]
    bloch = to_periodic(hamiltonian, hamiltonian.bloch(k), k)
    moment = orbital_moment(momenta.symbol(bloch), band)
    return moment.reshape(*moment.shape[:2], *(1,) * grid.n_position_axes, *grid.n_k)


def orbital_moment(hamiltonian: Symbol, band: int) -> FloatArray:
    r"""Orbital moment :math:`m_{ij} = \mathrm{Im}\,\langle\partial_i u|(H - E)|\partial_j u\rangle`.

    A magnetic flux b_ij through the cell (``grid.cell_flux``) shifts the energy by ``-(1/2) b_ij m_ij``.

    Returns
    -------
    array (d, d, *x, *k)
        Antisymmetric; derivatives along momenta.
    """
    space = hamiltonian.space
    grid, s = space.grid, space.grid.n_position_axes
    bands = LocalBands.of(hamiltonian.values)
    p = space.symbol(bands.projector(range(band, band + 1)))
    excess = hamiltonian.values - bands.energies[band] * bands.identity
    m = np.zeros((grid.n_momentum_axes, grid.n_momentum_axes, *grid.shape))
    for i in range(grid.n_momentum_axes):
        left = multiply(multiply(p.values, p.derivative(s + i), grid.n_axes), excess, grid.n_axes)
        for j in range(i):
            m[i, j] = np.einsum("ij...,ji...->...", left, p.derivative(s + j)).imag
            m[j, i] = -m[i, j]
    return m


def local_metric(hamiltonian: Hamiltonian, space: SymbolSpace, band: int, t: float) -> FloatArray:
    """Quantum metric of one band's local states, of shape (a, a, *x, *k)."""
    bands = LocalBands.of(periodic_symbol(hamiltonian, space, t))
    return quantum_metric(space.symbol(bands.projector(range(band, band + 1))))


def leading_rates(
    hamiltonian: Hamiltonian, space: SymbolSpace, band: int, t: float, step: float
) -> tuple[FloatArray, FloatArray]:
    """``d_t h_0`` and ``d_t g_ab`` (a, a, *x, *k), by central differences in time."""
    grid = space.grid
    s, d = grid.n_position_axes, grid.n_momentum_axes
    times = {j: t + j * step for j in (-2, -1, 1, 2)}
    if hamiltonian.potential is not None:
        x = np.zeros((s, *grid.n_x))
        for i, values in enumerate(grid.positions):
            x[i] = values.reshape(values.shape[:s])
        potential = {
            j: np.broadcast_to(hamiltonian.potential(x, time), grid.n_x) for j, time in times.items()
        }
        rate = central_difference(potential, 0, step).reshape(*grid.n_x, *(1,) * d)
        return rate, np.zeros((grid.n_axes, grid.n_axes, *(1,) * grid.n_axes))
    energies, metrics = {}, {}
    for j, time in times.items():
        bands = LocalBands.of(periodic_symbol(hamiltonian, space, time))
        energies[j] = bands.energies[band]
        metrics[j] = quantum_metric(space.symbol(bands.projector(range(band, band + 1))))
    return central_difference(energies, 0, step), central_difference(metrics, 0, step)
