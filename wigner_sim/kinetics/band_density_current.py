"""Phase-space current of the band density f through second order, as published.

The package steps w instead (docs/decisions/001-step-w-not-f.md): on a grid the f-form holds second
derivatives with real coefficients of either sign, which grow under refinement.  It is kept as an
independent formula for tests.

Source: Park, Huang, Savary, Balents, arXiv:2504.10447, second-order kinetic equation.
"""

from __future__ import annotations

import numpy as np

from wigner_sim.kinetics.effective_band import EffectiveBand
from wigner_sim.symbols import FloatArray


def band_density_current(effective: EffectiveBand, f: FloatArray) -> list[FloatArray]:
    r"""Current :math:`\mathcal J_\alpha` of f by order, for a static Hamiltonian.

    .. math::
        \mathcal J_\alpha &= \epsilon_{\alpha\beta} f\big(\partial_\beta h
          + \epsilon_{\sigma\lambda}\partial_\sigma h\,\Omega_{\lambda\beta}
          + \tfrac12\epsilon_{\sigma\lambda}\epsilon_{\mu\nu}\,
          \partial_\sigma\partial_\mu h\,\partial_\beta g_{\nu\lambda}\big)

        &+ \epsilon_{\alpha\beta}\epsilon_{\sigma\lambda}\,\partial_\sigma\big[f\big(
           \tfrac12\epsilon_{\mu\nu}\,\partial_\mu h\,\partial_\nu g_{\beta\lambda}
           + \epsilon_{\mu\nu}\,\partial_\mu\partial_\beta h\,g_{\nu\lambda}\big)\big]
         - \tfrac1{24}\epsilon_{\alpha\beta}\epsilon_{\sigma\lambda}\epsilon_{\mu\nu}\,
           \partial_\sigma\partial_\mu\big[f\,\partial_\beta\partial_\lambda\partial_\nu h\big]

    with the energy h = h_f dual to f, and Omega the curvature ``Omega*`` through its first correction,
    which holds the published factor ``1 - (1/2) eps_mn Omega_mn``.

    Parameters
    ----------
    effective : EffectiveBand
        Of order 2.
    f : array (*x, *k)

    Returns
    -------
    list of arrays (a, *x, *k)
        Orders 0, 1, 2; ``d_t f = -d_a J_a``.
    """
    space = effective.space
    eps, n_axes = space.grid.epsilon, space.grid.n_axes
    axes = range(n_axes)
    energies = list(effective.energy)
    energies[2] = energies[2] - effective.smearing.apply_transpose(energies[0])  # h_f from h_w
    h = [space.symbol(e) for e in energies]
    g = [
        [space.symbol(np.broadcast_to(effective.metric[a, b], space.grid.shape)) for b in axes] for a in axes
    ]

    def force(h_order: int, omega_order: int | None) -> FloatArray:
        """``d_b h`` or ``eps_sl d_s h Omega_lb``, index b first."""
        gradient = np.stack([h[h_order].derivative(a) for a in axes])
        if omega_order is None:
            return gradient
        return np.einsum("sl,s...,lb...->b...", eps, gradient, effective.curvature[omega_order])

    forces = [force(0, None), force(1, None) + force(0, 0), force(2, None) + force(1, 0) + force(0, 1)]
    gradient = np.stack([h[0].derivative(a) for a in axes])
    hessian = np.stack([np.stack([h[0].derivative(a, b) for b in axes]) for a in axes])
    metric = np.stack([np.stack([g[a][b].values for b in axes]) for a in axes])
    metric_gradient = np.stack(
        [np.stack([np.stack([g[a][b].derivative(c) for c in axes]) for b in axes]) for a in axes]
    )

    forces[2] = forces[2] + 0.5 * np.einsum("sl,mn,sm...,nlb...->b...", eps, eps, hessian, metric_gradient)
    inner = 0.5 * np.einsum("mn,m...,bln...->bl...", eps, gradient, metric_gradient)
    inner += np.einsum("mn,mb...,nl...->bl...", eps, hessian, metric)
    current = [f * np.einsum("ab,b...->a...", eps, part) for part in forces]
    for b in axes:
        for sigma in axes:
            dipole = np.einsum("l,l...->...", eps[sigma], inner[b])
            current[2] += _outer(eps[:, b], space.symbol(f * dipole).derivative(sigma))
            for mu in axes:
                third = sum(eps[sigma, m] * eps[mu, n] * h[0].derivative(b, m, n) for m in axes for n in axes)
                current[2] -= _outer(eps[:, b], space.symbol(f * third).derivative(sigma, mu)) / 24
    return current


def _outer(column: FloatArray, values: FloatArray) -> FloatArray:
    return np.multiply.outer(column, values)
