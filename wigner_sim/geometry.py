"""Geometry of a band on phase space: quantum metric, Berry curvature, band-normalized metric.

All are built from projectors and matrix derivatives, never from single eigenvectors.  Sign of the
curvature: ``Omega_ab = -i tr P [d_a P, d_b P]`` (docs/theory.md section 4), which is
``d_a A_b - d_b A_a`` with ``A_a = -i <u|d_a u>``; the opposite sign, with ``A = i <u|du>``, is also
common in the literature.

Source: Park, Huang, Savary, Balents, arXiv:2504.10447; docs/theory.md sections 4 and 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from wigner_sim.projector import LocalBands
from wigner_sim.symbols import Array, FloatArray, Symbol, adjoint, multiply, star_product_at, trace


def quantum_metric(projector: Symbol) -> FloatArray:
    r"""Quantum metric on phase space, :math:`g_{ab} = \frac12 \mathrm{tr}(\partial_a P\,\partial_b P)`.

    Parameters
    ----------
    projector : Symbol (n, n, *x, *k)
        Local eigenprojector P of a band or group.

    Returns
    -------
    array (a, a, *x, *k)
        Real, symmetric, positive semi-definite; units 1/(z_a z_b) (lattice constant squared for k, k).
    """
    n = projector.space.grid.n_axes
    components = metric_components(projector)
    g = np.empty((n, n, *components[0, 0].shape))
    for (a, b), values in components.items():
        g[a, b] = g[b, a] = values
    return g


def metric_components(projector: Symbol) -> dict[tuple[int, int], FloatArray]:
    """Components a <= b of :func:`quantum_metric`."""
    n = projector.space.grid.n_axes
    first = [projector.derivative(a) for a in range(n)]
    return {
        (a, b): 0.5 * np.asarray(trace(multiply(first[a], first[b], n)).real)
        for a in range(n)
        for b in range(a, n)
    }


def berry_curvature(projector: Symbol) -> FloatArray:
    r"""Berry curvature on phase space, :math:`\Omega_{ab} = -i\,\mathrm{tr}\,P[\partial_a P,\partial_b P]`.

    Returns
    -------
    array (a, a, *x, *k)
        Real, antisymmetric.
    """
    return moyal_berry_curvature([projector], 0)[0]


def moyal_berry_curvature(
    pi: Sequence[Symbol], order: int, time_derivatives: Sequence[Array] = ()
) -> list[FloatArray]:
    r"""Curvature that enters the kinetic equation, through ``order`` 0 or 1.

    .. math:: \Omega^*_{ab} = \text{c-symbol of } -i\,\pi*[\partial_a\pi,\partial_b\pi]_* *\pi

    where the c-symbol of X is tr X / D through first relative order (docs/theory.md section 4).

    Parameters
    ----------
    pi : sequence of Symbol
        Moyal projector through ``order``.
    order : int
        0 or 1.
    time_derivatives : sequence of arrays, optional
        ``d_t pi_0, d_t pi_1``; with them the result has one more row and column, time last.

    Returns
    -------
    list of arrays (a, a, *x, *k), one per order
    """
    grid = pi[0].space.grid
    n = grid.n_axes + bool(time_derivatives)
    omega = [np.zeros((n, n, *grid.shape)) for _ in range(order + 1)]
    for (a, b), components in curvature_components(pi, order, time_derivatives):
        for term, component in zip(omega, components, strict=True):
            term[a, b], term[b, a] = component, -component
    return omega


def curvature_components(
    pi: Sequence[Symbol], order: int, time_derivatives: Sequence[Any] = ()
) -> Iterator[tuple[tuple[int, int], list[Any]]]:
    """Components a < b of :func:`moyal_berry_curvature`, one after the other, each by order."""
    space = pi[0].space
    derivatives = [[space.symbol(p.derivative(a)) for p in pi[: order + 1]] for a in range(space.grid.n_axes)]
    if time_derivatives:
        derivatives.append([space.symbol(p) for p in time_derivatives[: order + 1]])
    for a, b in combinations(range(len(derivatives)), 2):
        yield (a, b), curvature_orders(pi, derivatives[a], derivatives[b])


def curvature_orders(pi: Sequence[Symbol], d_a: Sequence[Symbol], d_b: Sequence[Symbol]) -> list[Any]:
    """One component of the curvature by order, from ``d_a pi`` and ``d_b pi`` through order 0 or 1."""
    space = pi[0].space
    orders = range(len(d_a))
    one_side = [star_product_at(d_a, d_b, m) for m in orders]
    commutator = [space.symbol(x - adjoint(x)) for x in one_side]  # (A * B)^+ = B * A for Hermitian A and B
    left = [space.symbol(star_product_at(pi, commutator, m)) for m in orders]
    traces = [trace(-1j * star_product_at(left, pi, m)).real for m in orders]
    if len(traces) == 2:
        traces[1] = traces[1] - trace(pi[1].values).real * traces[0]
    return traces


def band_normalized_metric(hamiltonian: Symbol, local_bands: LocalBands, band: int) -> FloatArray:
    r"""Band-normalized quantum metric of one band.

    .. math:: T_{ab} = -\sum_{m\ne n}\frac{\langle\partial_a u_n|u_m\rangle\langle u_m|\partial_b u_n\rangle
              + (a\leftrightarrow b)}{E_n - E_m}

    Parameters
    ----------
    hamiltonian : Symbol (n, n, *x, *k), energy
    local_bands : LocalBands
        Of the same matrix.
    band : int

    Returns
    -------
    array (a, a, *x, *k)
        Real, symmetric; positive for the lowest band; metric units per energy.

    Notes
    -----
    Park et al., arXiv:2504.10447, below eq. 3.29.  With ``<u_m|d_a u_n> = <m|d_a H|n>/(E_n - E_m)`` it is
    ``2 sum_m Re <n|d_a H|m><m|d_b H|n>/(E_m - E_n)^3``, evaluated here as a trace with the projector.
    """
    grid = hamiltonian.space.grid
    group = range(band, band + 1)
    once = [local_bands.divide_by_gap(hamiltonian.derivative(a), group) for a in range(grid.n_axes)]
    twice = [local_bands.divide_by_gap(x, group) for x in once]
    p = local_bands.projector(group)
    tensor = np.empty((grid.n_axes, grid.n_axes, *grid.shape))
    for a in range(grid.n_axes):
        for b in range(a, grid.n_axes):
            # <n|twice_a|m><m|once_b|n>: (E_n-E_m)^-2 (E_m-E_n)^-1 = (E_m-E_n)^-3
            product = np.einsum("ij...,ji...->...", multiply(p, twice[a], grid.n_axes), once[b])
            tensor[a, b] = tensor[b, a] = 2.0 * product.real
    return tensor
