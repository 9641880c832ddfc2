r"""Charge and energy current densities that satisfy continuity, and the total current by its parts.

Written for particles: the charge current of electrons is minus this.  <.> is the integral over momenta.

With ``f = w + S w`` the density is ``n = <w> + (1/2) d_i d_j <G_ij w>``, so

.. math:: j_i = \langle J_i\rangle - \tfrac12\partial_j\,\partial_t\langle G_{ij} w\rangle
                - \partial_j\langle m_{ij} w\rangle .

The first is the flux of the equation, the second the current of a changing quadrupole (the metric's), the
third the magnetization current of the orbital moment m, free of divergence; ``d_t n + d_i j_i = 0`` holds to
rounding on the grid.  Compared with the microscopic current, the total and the part with a divergence have
the order of the equation; the part without divergence (from two dimensions on) has first order at most, as
corrections of the orbital moment by gradients are not in it.

Collisions conserve or not what they will: their rate is not a flux, and has no part in these currents.

Source: docs/theory.md section 9.
"""

from __future__ import annotations

import numpy as np

from wigner_sim.observables.fluxes import position_derivative, position_flux
from wigner_sim.observables.state import BandState
from wigner_sim.observables.sums import momentum_averages
from wigner_sim.symbols import FloatArray, Symbol


def current(state: BandState) -> FloatArray:
    """Particle current density, ``j_i = <J_i> - (1/2) d_j d_t <G_ij w> - d_j <m_ij w>``."""
    flow, grid, w = state.known_flow, state.grid, state.w
    j = position_flux(flow, w)
    quadrupole, moment, s = flow.smearing_tensor, flow.magnetic_moment, grid.n_position_axes
    for a in range(s):
        for i in range(grid.n_momentum_axes):
            if quadrupole.any():
                change = _average(state, quadrupole[i, a], state.rate)
                if flow.evolution.hamiltonian.time_dependent:
                    change = change + _average(state, flow.leading_rates[1][s + i, s + a], w)
                j[i] -= 0.5 * position_derivative(flow.space, change, a)
            if moment is not None:
                average = _average(state, moment[i, a], w)
                j[i] -= position_derivative(flow.space, average, a)
    return j


def _average(state: BandState, weight: FloatArray, values: FloatArray) -> FloatArray:
    """``int dk/(2 pi)^d weight values``, the weight broadcastable to the values."""
    grid = state.grid
    if any(n > 1 for n in weight.shape[: grid.n_position_axes]):
        return grid.integrate_momenta(weight * values)
    columns = np.broadcast_to(weight, (*[1] * grid.n_position_axes, *grid.n_k))
    return momentum_averages(grid, values, columns.reshape(1, *grid.n_k))[0]


def energy_current(state: BandState) -> FloatArray:
    r"""Energy current density: ``int f h_f`` obeys continuity with it to the order kept.

    .. math::
        j^E_i = \langle h_w V_i w\rangle + \tfrac1{24}\langle t_{ce}[-h\,W_{ce} + u_c v_e - w\,H_{ce}]\rangle
          - \tfrac12\partial_t\langle h\,\partial_s(G_{is}w) - G_{is}w\,\partial_s h\rangle ,

    with ``t_ce = d_c d_e d_{k_i} h``, ``(W, H)_ce = eps_cd eps_ef d_d d_f (w, h)``, ``u_c = eps_cb d_b h``,
    ``v_e = eps_ef d_f w``.  The source is the power of force and drive, ``F_i <J_i> + <f d_t h_f>``.
    """
    flow, grid = state.known_flow, state.grid
    weighted = state.w * flow.effective.total_energy_symbol
    j = np.stack([grid.integrate_momenta(v * weighted) for v in flow.velocity])
    if flow.evolution.options.third_derivative:
        j += _moyal_energy_flux(state)
    if flow.smearing_tensor.any():
        j -= 0.5 * _quadrupole_energy_flux(state)
    return j


def _moyal_energy_flux(state: BandState) -> FloatArray:
    grid, space = state.grid, state.effective.space
    s, n, eps = grid.n_position_axes, grid.n_axes, grid.epsilon
    h = space.symbol(np.broadcast_to(state.effective.energy[0], grid.shape))
    w = space.symbol(state.w)
    scale = np.abs(h.values).max()
    flux = np.zeros((grid.n_momentum_axes, *grid.n_x))
    for c in range(n):
        for e in range(c, n):
            t = [h.derivative(s + i, c, e) for i in range(grid.n_momentum_axes)]
            if max(np.abs(t_i).max() for t_i in t) < 1e-14 * scale:
                continue
            inner: FloatArray = np.zeros(grid.shape)
            for d in np.flatnonzero(eps[c]):
                for f in np.flatnonzero(eps[e]):
                    pair = -h.values * w.derivative(int(d), int(f)) - w.values * h.derivative(int(d), int(f))
                    cross = h.derivative(int(d)) * w.derivative(int(f))
                    if c != e:
                        cross = 0.5 * (cross + h.derivative(int(f)) * w.derivative(int(d)))
                    inner += eps[c, d] * eps[e, f] * (pair + cross)
            for i, t_i in enumerate(t):
                flux[i] += (1.0 if c == e else 2.0) / 24.0 * grid.integrate_momenta(t_i * inner)
    return flux


def _quadrupole_energy_flux(state: BandState) -> FloatArray:
    """``d_t <h d_s(G_is w) - G_is w d_s h>``, s over the axes of phase space."""
    flow, grid, space = state.known_flow, state.grid, state.effective.space
    s, d, eps = grid.n_position_axes, grid.n_momentum_axes, grid.epsilon
    energies = [state.effective.energy[0], flow.leading_rates[0]]
    h, h_rate = (space.symbol(np.broadcast_to(values, grid.shape)) for values in energies)
    flux = np.zeros((d, *grid.n_x))

    def between(energy: Symbol, weighted: FloatArray, axis: int) -> FloatArray:
        symbol = space.symbol(weighted)
        difference = energy.values * symbol.derivative(axis) - weighted * energy.derivative(axis)
        return grid.integrate_momenta(difference)

    for i in range(d):
        for a in range(grid.n_axes):
            tensor = np.tensordot(eps[a], state.effective.metric[s + i], axes=1)  # G_ia = g_{k_i l} eps_al
            if not tensor.any():
                continue
            tensor_rate = np.tensordot(eps[a], flow.leading_rates[1][s + i], axes=1)
            flux[i] += between(h, tensor * state.rate + tensor_rate * state.w, a)
            if h_rate.values.any():
                flux[i] += between(h_rate, tensor * state.w, a)
    return flux
