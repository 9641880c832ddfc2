"""Thermal equilibrium of a band to second order in gradients.

Source: docs/theory.md section 7.
"""

from __future__ import annotations

import numpy as np

from wigner_sim.kinetics.effective_band import EffectiveBand
from wigner_sim.symbols import FloatArray, poisson_contractions


def fermi_function(energy: FloatArray, mu: FloatArray | float, temperature: FloatArray | float) -> FloatArray:
    """Fermi function ``1/(exp((energy - mu)/T) + 1)`` (k_B = 1), without overflow."""
    return 0.5 * (1.0 - np.tanh(0.5 * (energy - mu) / temperature))


def fermi_derivatives(
    energy: FloatArray, mu: FloatArray | float, temperature: FloatArray | float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """First three energy derivatives of the Fermi function n; with ``p = n(1-n)``, ``n' = -p/T``."""
    n = fermi_function(energy, mu, temperature)
    p = n * (1 - n)
    first = -p / temperature
    second = p * (1 - 2 * n) / temperature**2
    third = -p * (1 - 6 * p) / temperature**3
    return first, second, third


def equilibrium_density(
    effective: EffectiveBand, mu: FloatArray | float, temperature: FloatArray | float
) -> FloatArray:
    r"""Thermal density w of one band; equals the band block of ``n_F(H)`` to O(eps^3).

    .. math:: w = D\Big[n_F(h_w) - \tfrac1{16} n_F''(h)\,\epsilon_{ab}\epsilon_{sl}\,h_{as}h_{bl}
              - \tfrac1{24} n_F'''(h)\,\epsilon_{ab}\epsilon_{sl}\,h_a h_s h_{bl}\Big]

    Parameters
    ----------
    effective : EffectiveBand
    mu : float or array, energy
        Chemical potential.
    temperature : float or array, energy
        k_B T > 0.  Arrays give the local equilibrium, without gradients of mu and T.

    Returns
    -------
    array (*x, *k)

    Notes
    -----
    docs/theory.md section 7.  The occupation is ``c = w/D - S^T n_F(h)`` to the same order.
    """
    occupation = fermi_function(effective.total_energy_symbol, mu, temperature)
    if effective.order == 2:
        _, second, third = fermi_derivatives(effective.energy[0], mu, temperature)
        occupation = occupation - second / 16 * hessian_contraction(effective)
        occupation = occupation - third / 24 * gradient_contraction(effective)
    return effective.density_of_states * occupation


def hessian_contraction(effective: EffectiveBand) -> FloatArray:
    """``A = eps_ab eps_sl h_as h_bl`` of the leading h, shape (*x, *k)."""
    h = effective.space.symbol(effective.energy[0])
    return sum(
        (
            weight * h.derivative(*left) * h.derivative(*right)
            for weight, left, right in poisson_contractions(effective.space.grid, 2)
        ),
        start=np.zeros(effective.space.grid.shape),
    )


def gradient_contraction(effective: EffectiveBand) -> FloatArray:
    """``B = eps_ab eps_sl h_a h_s h_bl``: the Hessian along the Hamiltonian flow, twice."""
    space = effective.space
    eps, n_axes = space.grid.epsilon, space.grid.n_axes
    h = space.symbol(effective.energy[0])
    gradient = np.stack([h.derivative(a) for a in range(n_axes)])
    flow = np.einsum("ab,a...->b...", eps, gradient)
    total = np.zeros(space.grid.shape)
    for b in range(n_axes):
        for m in range(n_axes):
            total += flow[b] * flow[m] * h.derivative(b, m)
    return total
