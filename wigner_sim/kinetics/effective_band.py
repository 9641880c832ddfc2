"""Everything the kinetic equation needs to know about one band, order by order in gradients.

Source: docs/theory.md sections 4 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from wigner_sim.kinetics.faces import Faces, MetricSmearing
from wigner_sim.kinetics.packed_tensor import tensor
from wigner_sim.kinetics.slab_expansion import SlabExpansion, local_bands
from wigner_sim.projector import LocalBands, check_gap, gap_to_other_bands
from wigner_sim.symbols import Array, FloatArray, Symbol, SymbolSpace


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
    curvature : list of arrays (a, a, *x, *k), or PackedTensor
        ``Omega*`` by order, up to order - 1 (empty at order 0).
    metric : array (a, a, *x, *k), or PackedTensor
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
    curvature: list[Any]
    metric: Any
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
        by_modes = self.smearing.by_modes(self.energy[0])
        if by_modes is None:
            return self.total_energy_symbol - self.smearing.apply_transpose(self.energy[0])
        energy = by_modes.added(self.energy[0], -1.0)
        for h in self.energy[1:]:
            energy += h
        return energy

    @cached_property
    def total_energy_symbol(self) -> FloatArray:
        """``h_w`` summed over its orders."""
        return np.asarray(sum(self.energy[1:], start=self.energy[0]))


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
    return _assemble(SlabExpansion(hamiltonian, bands, range(band, band + 1)), order)


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
    expansion = driven_expansion(drive, t, band, order, minimum_gap, scramble)
    return replace(_assemble(expansion, order), force=force)


def driven_expansion(
    drive: Drive, t: float, band: int, order: int, minimum_gap: float = 1e-6, scramble: int | None = None
) -> SlabExpansion:
    """H and its local bands at ``t``, with the rates ``D_t pi`` of the projector below ``order``.

    Parameters as in :func:`driven_effective_band`.
    """
    h = drive.difference_step
    reach = 2 * order if h else 0  # differences reach two steps to either side for each order
    group = range(band, band + 1)
    steps = {}
    for j in range(-reach, reach + 1):
        symbol = drive.matrix_at(t + j * h)
        steps[j] = SlabExpansion(symbol, _gapped_bands(symbol, band, minimum_gap, scramble), group)
    for m in range(order):
        reach -= 2 if h else 0
        lower = {j: expansion.projector(m)[m].values for j, expansion in steps.items()}
        inner = {j: expansion for j, expansion in steps.items() if abs(j) <= reach}
        rate = {j: _convective_derivative(drive, t, lower, j, inner[j].space) for j in inner}
        steps = {j: expansion.with_rate(rate[j]) for j, expansion in inner.items()}
    return steps[0]


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
    bands = local_bands(hamiltonian.values, hamiltonian.space.grid.n_axes, scramble)
    check_gap(hamiltonian.space.grid, bands.energies, range(band, band + 1), minimum_gap)
    return bands


def _assemble(expansion: SlabExpansion, order: int) -> EffectiveBand:
    """Energy, density of states, metric and curvature from what the expansion says."""
    space = expansion.space
    n = space.grid.n_axes
    scalars = expansion.scalars(order)
    metric = np.zeros((n, n, *(1,) * n)) if order < 2 else tensor(space.grid, scalars.metric, 1)
    scalars.metric.clear()
    smearing = MetricSmearing(space, metric)
    density = scalars.projector_trace
    if order == 2:
        density[2] -= smearing.of_one
    rate = None
    if expansion.rates:
        rate = np.stack([sum(c.pop((a, n)) for c in scalars.curvature) for a in range(n)])
    curvature = []
    for components in scalars.curvature:
        curvature.append(tensor(space.grid, components, -1))
        components.clear()
    return EffectiveBand(
        space=space,
        order=order,
        energy=dual_energy(scalars.energy_trace, density, smearing),
        density_of_states=np.sum(density, axis=0),
        curvature=curvature,
        metric=metric,
        gap=gap_to_other_bands(expansion.bands.energies, expansion.group),
        rate_curvature=rate,
    )


def _contracted(omega: Any, left: FloatArray, right: FloatArray) -> Any:
    """``left_c Omega_cd right_d``; the tensor eps has few elements."""
    total: Any = 0.0
    for c, d in zip(*np.nonzero(np.outer(left, right)), strict=True):
        if c != d:
            total = total + (left[c] * right[d]) * omega[c, d]
    return total


def dual_energy(right_side: Sequence[Any], density: Sequence[Any], smearing: MetricSmearing) -> list[Any]:
    """``h_w`` by order from ``M h_f = tr(pi * H * pi)`` and ``h_w = h_f + S^T h_f``."""
    h = [right_side[0]]
    if len(density) >= 2:
        h.append(right_side[1] - density[1] * h[0])
    if len(density) >= 3:
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
    velocity = np.zeros((n_axes, *space.grid.shape))
    for i, omega in enumerate([None, *effective.curvature][: effective.order + 1]):
        energy = space.symbol(np.sum(effective.energy[: effective.order - i + 1], axis=0))
        for b in range(n_axes):
            gradient = energy.derivative(b)
            for a in range(n_axes):
                poisson = eps[a, b] if omega is None else _contracted(omega, eps[a], eps[:, b])
                if np.any(poisson):
                    velocity[a] += poisson * gradient
    if effective.rate_curvature is not None:
        velocity += np.einsum("an,n...->a...", eps, effective.rate_curvature)
    if effective.force is not None:
        for i, force in enumerate(effective.force):
            velocity[space.grid.n_position_axes + i] += force
    return velocity
