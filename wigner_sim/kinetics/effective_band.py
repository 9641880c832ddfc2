"""Everything the kinetic equation needs to know about one band, order by order in gradients.

Source: docs/theory.md sections 4 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from wigner_sim.geometry import moyal_berry_curvature, quantum_metric
from wigner_sim.kinetics.faces import Faces, MetricSmearing
from wigner_sim.projector import LocalBands, check_gap, gap_to_other_bands, moyal_projector
from wigner_sim.symbols import Array, FloatArray, Symbol, SymbolSpace, star_product_at, trace


@dataclass(frozen=True)
class EffectiveBand:
    r"""One band's energy, density of states, metric and curvature on the phase-space grid.

    Parameters
    ----------
    space : SymbolSpace
    order : int
        0 (bare Boltzmann), 1 (Berry curvature, orbital moment), 2 (metric, Moyal).
    energy : list of arrays (*x, *k)
        ``h_w`` by order: ``h_0 = E``, ``h_1`` (orbital moment), ``h_2``; dual to the density w.
    density_of_states : array (*x, *k)
        D through the order.
    curvature : list of arrays (a, a, *x, *k)
        ``Omega*`` by order, up to order - 1 (empty at order 0).
    metric : array (a, a, *x, *k)
        Quantum metric (zero below order 2, where it does not act).
    gap : array (*x, *k)
        Distance to the nearest other band.
    rate_curvature : array (a, *x, *k), optional
        ``Omega*_at`` through the order, for a driven Hamiltonian.
    force : array (d,), optional
        Uniform force, which moves k beside ``energy``.
    """

    space: SymbolSpace
    order: int
    energy: list[FloatArray]
    density_of_states: FloatArray
    curvature: list[FloatArray]
    metric: FloatArray
    gap: FloatArray
    rate_curvature: FloatArray | None = None
    force: FloatArray | None = None

    @property
    def parts(self) -> None:
        """Not known: the energy is taken for a function of all of phase space."""
        return None

    @cached_property
    def smearing(self) -> MetricSmearing:
        """The operators S, S^T of this band."""
        return MetricSmearing(self.space, self.metric)

    @cached_property
    def faces(self) -> Faces:
        """The maps between c, w and f."""
        return Faces(self.density_of_states, self.smearing)

    @property
    def band_density_energy(self) -> FloatArray:
        """``h_f = h_w - S^T h_0``, dual to f."""
        return self.total_energy_symbol - self.smearing.apply_transpose(self.energy[0])

    @cached_property
    def total_energy_symbol(self) -> FloatArray:
        """``h_w`` summed over its orders."""
        return np.sum(self.energy, axis=0)


def effective_band(
    hamiltonian: Symbol, band: int, order: int, minimum_gap: float = 1e-6, scramble: int | None = None
) -> EffectiveBand:
    r"""Effective band of a static matrix symbol through ``order``.

    .. math:: M h_f = \mathrm{tr}(\pi*H*\pi),\quad M = D + S + S^T,\quad h_w = h_f + S^T h_f

    Parameters
    ----------
    hamiltonian : Symbol (n, n, *x, *k), energy
    band : int
        Index of the band, counted from the lowest; non-degenerate.
    order : int
        0, 1 or 2.
    minimum_gap : float, energy
        Smallest distance to the other bands that is accepted.
    scramble : int, optional
        Seed of random eigenvector phases, see ``LocalBands.of``.

    Raises
    ------
    BandTouchingError
        Where the gap is smaller than that.

    Notes
    -----
    docs/theory.md section 4.  S is never inverted; M is inverted order by order.
    """
    bands = _gapped_bands(hamiltonian, band, minimum_gap, scramble)
    pi = moyal_projector(hamiltonian, bands, range(band, band + 1), order)
    return _assemble(hamiltonian, bands, band, pi, [])


@dataclass(frozen=True)
class Drive:
    """A Hamiltonian that is driven in time, or by a uniform force, or both.

    Parameters
    ----------
    matrix_at : callable t -> Symbol (n, n, *x, *k), energy
    force_at : callable t -> array (d,), energy per lattice constant
        Uniform force, not contained in the matrix.
    difference_step : float, time
        For central differences in time, short against every time scale; 0 if nothing depends on time.
    """

    matrix_at: Callable[[float], Symbol]
    force_at: Callable[[float], FloatArray]
    difference_step: float


def driven_effective_band(
    drive: Drive, t: float, band: int, order: int, minimum_gap: float = 1e-6, scramble: int | None = None
) -> EffectiveBand:
    r"""Effective band of a driven matrix symbol at time ``t``; d_t and the force count as one order each.

    In the frame that moves with the force, ``p = k - int F dt``, the crystal is periodic and its symbol
    depends on time; there the projector obeys ``[H, pi]_* = i D_t pi`` with ``D_t = d_t + F . d_k``, and the
    flow gains ``eps_an Omega*_nt`` with t along D_t.  Back at fixed k the momentum moves with F.

    Parameters
    ----------
    drive : Drive
    t : float, time
    band, order, minimum_gap, scramble
        As in :func:`effective_band`.

    Notes
    -----
    docs/theory.md section 8.  Explicit time derivatives are central differences of fourth order.
    """
    force = drive.force_at(t)
    if order == 0:
        return replace(effective_band(drive.matrix_at(t), band, 0, minimum_gap, scramble), force=force)
    hamiltonian, bands, pi, rates = driven_projector(drive, t, band, order, minimum_gap, scramble)
    return replace(_assemble(hamiltonian, bands, band, pi, rates), force=force)


def driven_projector(
    drive: Drive, t: float, band: int, order: int, minimum_gap: float = 1e-6, scramble: int | None = None
) -> tuple[Symbol, LocalBands, list[Symbol], list[Array]]:
    """H and its local bands at ``t``, the Moyal projector through ``order``, its rates ``D_t pi`` below it.

    Parameters as in :func:`driven_effective_band`.
    """
    h = drive.difference_step
    reach = 2 * order if h else 0  # differences reach two steps to either side for each order
    symbols = {j: drive.matrix_at(t + j * h) for j in range(-reach, reach + 1)}
    bands = {j: _gapped_bands(symbols[j], band, minimum_gap, scramble) for j in symbols}
    group = range(band, band + 1)
    if order == 0:
        return symbols[0], bands[0], moyal_projector(symbols[0], bands[0], group, 0), []
    pi_0 = {j: bands[j].projector(group) for j in symbols}
    inner = {j for j in symbols if abs(j) <= reach - 2} if h else {0}
    rates = {j: [_convective_derivative(drive, t, pi_0, j, symbols[0].space)] for j in inner}
    if order == 2:
        pi_1 = {j: moyal_projector(symbols[j], bands[j], group, 1, rates[j])[1].values for j in inner}
        rates[0].append(_convective_derivative(drive, t, pi_1, 0, symbols[0].space))
    pi = moyal_projector(symbols[0], bands[0], group, order, rates[0])
    return symbols[0], bands[0], pi, rates[0]


def _convective_derivative(
    drive: Drive, t: float, values: Mapping[int, Array], j: int, space: SymbolSpace
) -> Array:
    """``D_t = d_t + F . d_k`` at step ``j`` of values given at integer steps of time."""
    h = drive.difference_step
    rate = central_difference(values, j, h) if h else np.zeros_like(values[j])
    symbol = space.symbol(values[j])
    for i, force in enumerate(drive.force_at(t + j * h)):
        if force:
            rate = rate + force * symbol.derivative(space.grid.n_position_axes + i)
    return rate


def central_difference(values: Mapping[int, Array], j: int, delta: float) -> Array:
    """Fourth-order first difference at step ``j`` of values given at integer steps of size ``delta``."""
    return (8 * (values[j + 1] - values[j - 1]) - (values[j + 2] - values[j - 2])) / (12 * delta)


def _gapped_bands(hamiltonian: Symbol, band: int, minimum_gap: float, scramble: int | None) -> LocalBands:
    bands = LocalBands.of(hamiltonian.values, scramble)
    check_gap(hamiltonian.space.grid, bands.energies, range(band, band + 1), minimum_gap)
    return bands


def _assemble(
    hamiltonian: Symbol, bands: LocalBands, band: int, pi: Sequence[Symbol], rates: Sequence[Array]
) -> EffectiveBand:
    """Energy, density of states, metric and curvature from the Moyal projector and its rates."""
    space = hamiltonian.space
    order, n_axes = len(pi) - 1, space.grid.n_axes
    metric = quantum_metric(pi[0]) if order == 2 else np.zeros((n_axes, n_axes, *(1,) * n_axes))
    smearing = MetricSmearing(space, metric)
    density = [trace(p.values).real for p in pi]
    if order == 2:
        density[2] = density[2] - smearing.of_one
    curvature = moyal_berry_curvature(pi, order - 1, rates) if order else []
    return EffectiveBand(
        space=space,
        order=order,
        energy=dual_energy(hamiltonian, pi, density, smearing),
        density_of_states=np.sum(density, axis=0),
        curvature=[omega[:n_axes, :n_axes] for omega in curvature],
        metric=metric,
        gap=gap_to_other_bands(bands.energies, range(band, band + 1)),
        rate_curvature=np.sum([omega[:n_axes, n_axes] for omega in curvature], axis=0) if rates else None,
    )


def dual_energy(
    hamiltonian: Symbol, pi: Sequence[Symbol], density: Sequence[Any], smearing: MetricSmearing
) -> list[Any]:
    """``h_w`` by order from ``M h_f = tr(pi * H * pi)`` and ``h_w = h_f + S^T h_f``."""
    space = hamiltonian.space
    order = len(pi) - 1
    left = [space.symbol(star_product_at(pi, [hamiltonian], m)) for m in range(order + 1)]
    right_side = [trace(star_product_at(left, pi, m)).real for m in range(order + 1)]
    h = [right_side[0]]
    if order >= 1:
        h.append(right_side[1] - density[1] * h[0])
    if order >= 2:
        # h_w = h_f + S^T h_f cancels the -S^T h_0 that M brings into h_f at second order
        h.append(right_side[2] - density[1] * h[1] - density[2] * h[0] - smearing.apply(h[0]))
    return h


def phase_space_velocity(effective: EffectiveBand) -> FloatArray:
    r"""Flow velocity of w, :math:`V_a = \Pi_{ab}\,\partial_b h_w + \epsilon_{an}\Omega^*_{nt}` and the force.

    Here :math:`\Pi = \epsilon + \epsilon\Omega^*\epsilon`.

    Products are kept while (order of Pi) + (order of h_w) <= order.

    Returns
    -------
    array (a, *x, *k)
        dx/dt then dk/dt.

    Notes
    -----
    docs/theory.md section 5.
    """
    space, eps = effective.space, effective.space.grid.epsilon
    n_axes = space.grid.n_axes
    poisson = [eps.reshape(n_axes, n_axes, *(1,) * n_axes)]
    poisson += [np.einsum("ab,bc...,cd->ad...", eps, omega, eps) for omega in effective.curvature]
    gradients = []
    for h in effective.energy:
        symbol = space.symbol(h)
        gradients.append(np.stack([symbol.derivative(a) for a in range(n_axes)]))
    velocity = np.zeros((n_axes, *space.grid.shape))
    for i, tensor in enumerate(poisson):
        for j, gradient in enumerate(gradients):
            if i + j <= effective.order:
                velocity += (tensor * gradient[None]).sum(axis=1)
    if effective.rate_curvature is not None:
        velocity += np.einsum("an,n...->a...", eps, effective.rate_curvature)
    if effective.force is not None:
        for i, force in enumerate(effective.force):
            velocity[space.grid.n_position_axes + i] += force
    return velocity
