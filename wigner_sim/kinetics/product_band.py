"""Effective band of H0(k) + U(x, t), with uniform force and magnetic field, as sums of products.

The general algorithm of docs/theory.md sections 3-5 and 8 run on monomials in the derivatives of U:
no array over the whole of phase space is made until it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from wigner_sim.geometry import curvature_orders, quantum_metric
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.effective_band import EffectiveBand, dual_energy
from wigner_sim.kinetics.external_field import ExternalField
from wigner_sim.kinetics.faces import MetricSmearing
from wigner_sim.kinetics.low_rank import WORTH_FACTORING, Factors
from wigner_sim.kinetics.packed_tensor import PackedTensor
from wigner_sim.kinetics.slab_expansion import energy_traces
from wigner_sim.kinetics.velocity import ProductVelocity
from wigner_sim.products import Monomial, ProductBands, SumOfProducts, letter_space, product_hamiltonian
from wigner_sim.projector import check_gap, gap_to_other_bands, moyal_projector
from wigner_sim.symbols import Array, FloatArray, Symbol, SymbolSpace, trace


@dataclass(frozen=True)
class ProductBand:
    """One band's energy, density of states and flow velocity as sums of products.

    Parameters
    ----------
    letters : SymbolSpace
        All d position axes (as letters), then the momenta; time is axis 2 d.
    order : int
    energy : list of SumOfProducts
        ``h_w`` by order.
    density_of_states : SumOfProducts
    curvature : list of dict (a, b) -> SumOfProducts
        ``Omega*`` by order, a < b; b = 2 d is time.
    metric : array (2 d, 2 d, 1.., *k)
    gap : array (1.., *k)
    projector : list of SumOfProducts
        The Moyal projector by order.
    """

    letters: SymbolSpace
    order: int
    energy: list[SumOfProducts]
    density_of_states: SumOfProducts
    curvature: list[dict[tuple[int, int], SumOfProducts]]
    metric: FloatArray
    gap: FloatArray
    projector: list[SumOfProducts]

    @cached_property
    def velocity(self) -> list[SumOfProducts]:
        """``V_a = Pi_ab d_b h_w + eps_an Omega*_nt`` for all 2 d letters."""
        grid = self.letters.grid
        eps, n = grid.epsilon, grid.n_axes
        gradients = [[self.letters.symbol(h).derivative(b) for b in range(n)] for h in self.energy]
        velocity = []
        for a in range(n):
            total = SumOfProducts({}, n)
            for b in range(n):
                for j, gradient in enumerate(gradients):
                    total = total + eps[a, b] * gradient[b]
                    for omega in self.curvature[: self.order - j]:
                        total = total + self._poisson(omega, a, b) * gradient[b]
                for omega in self.curvature:
                    total = total + eps[a, b] * omega[b, n]
            velocity.append(total.pruned())
        return velocity

    @property
    def remainder(self) -> list[SumOfProducts]:
        """The velocity less ``dE/dk`` in x and ``-dU/dx`` in k, which are flowed exactly."""
        grid = self.letters.grid
        d, n = grid.n_momentum_axes, grid.n_axes
        bare = self.letters.symbol(SumOfProducts({(): self.energy[0].terms[()]}, n))
        streaming = [bare.derivative(d + i) for i in range(d)]
        acceleration = [SumOfProducts({((i,),): -np.ones((1,) * n)}, n) for i in range(d)]
        exact = [*streaming, *acceleration]
        scale = max(flowed.scale for flowed in exact)  # rounding of the difference is no term of its own
        return [(v - flowed).pruned(1e-12, scale) for v, flowed in zip(self.velocity, exact, strict=True)]

    def _poisson(self, omega: dict[tuple[int, int], SumOfProducts], a: int, b: int) -> SumOfProducts:
        """``(eps Omega eps)_ab``."""
        grid = self.letters.grid
        eps, n = grid.epsilon, grid.n_axes
        total = SumOfProducts({}, n)
        for m in range(n):
            for l in range(m + 1, n):  # noqa: E741
                weight = eps[a, m] * eps[l, b] - eps[a, l] * eps[m, b]
                if weight:
                    total = total + weight * omega[m, l]
        return total

    def on_grid(self, space: SymbolSpace, field: ExternalField) -> EffectiveBand:
        """The band at one time as arrays over the phase-space grid."""
        grid, n = space.grid, self.letters.grid.n_axes
        kept = self._kept(grid)

        def dense(values: SumOfProducts) -> FloatArray:
            return np.broadcast_to(self._evaluate(values, space, field), grid.shape)

        curvature = [self._antisymmetric(omega, kept, space, field) for omega in self.curvature]
        rate = None
        if self.order and (field.force.any() or field.potential_rate is not None):
            s = grid.n_position_axes  # D_t = d_t + F.d_k, as in driven_effective_band
            rate = sum(np.einsum("j,nj...->n...", field.force, tensor[:, s:]) for tensor in curvature)
            if field.potential_rate is not None:
                rate = rate + np.stack([sum(dense(omega[a, n]) for omega in self.curvature) for a in kept])
        return EffectiveBand(
            space=space,
            order=self.order,
            energy=[dense(h) for h in self.energy],
            density_of_states=dense(self.density_of_states),
            curvature=curvature,
            metric=self._coefficients(self.metric[np.ix_(kept, kept)], grid),
            gap=np.broadcast_to(self._coefficients(self.gap, grid), grid.shape),
            rate_curvature=rate,
            force=field.force,
        )

    def _antisymmetric(
        self,
        omega: dict[tuple[int, int], SumOfProducts],
        kept: list[int],
        space: SymbolSpace,
        field: ExternalField,
    ) -> Any:
        """Its components on the grid; kept as sums of products where that is large."""
        grid, n = space.grid, len(kept)
        pairs = {(j, i): omega[kept[j], kept[i]] for i in range(n) for j in range(i)}
        if grid.n_x and prod(grid.shape) >= WORTH_FACTORING:
            monomials = field.monomials(space, (term for each in pairs.values() for term in each.terms))
            products = {pair: self._products(each, grid, monomials) for pair, each in pairs.items()}
            return PackedTensor.of_products(grid, products, -1)
        tensor = np.zeros((n, n, *grid.shape))
        for (j, i), each in pairs.items():
            tensor[j, i] = self._evaluate(each, space, field)
            tensor[i, j] = -tensor[j, i]
        return tensor

    def _products(
        self, values: SumOfProducts, grid: PhaseSpaceGrid, monomials: Mapping[Monomial, FloatArray]
    ) -> Factors:
        """Functions of x and of k on the grid, those of x from the monomials of the field."""
        d, n = grid.n_momentum_axes, len(values.terms)
        x = [np.broadcast_to(monomials[each], (*grid.n_x, *(1,) * d)).ravel() for each in values.terms]
        k = [np.broadcast_to(c.reshape(c.shape[-d:]), grid.n_k).ravel() for c in values.terms.values()]
        columns = np.array(x).reshape(n, prod(grid.n_x)).T
        return Factors(np.ascontiguousarray(columns), np.array(k).reshape(n, prod(grid.n_k)))

    def projector_on_grid(self, space: SymbolSpace, field: ExternalField) -> list[Symbol]:
        """The Moyal projector at one time, each order constant along axes it does not depend on."""
        return [space.symbol(self._evaluate(p, space, field) + 0j) for p in self.projector]

    def bare_energy(self, space: SymbolSpace, field: ExternalField) -> FloatArray:
        """``E(k) + U(x)`` on the grid."""
        return np.broadcast_to(self._evaluate(self.energy[0], space, field), space.grid.shape)

    def bare_parts(self, space: SymbolSpace, field: ExternalField) -> tuple[FloatArray, FloatArray]:
        """E(k), shape (1.., *k), and U(x), shape (*x, 1..)."""
        band_energy = self._coefficients(self.energy[0].terms[()].real, space.grid)
        return band_energy, field.monomial(space, ((),))

    def velocity_on(self, space: SymbolSpace, field: ExternalField, remainder: bool) -> ProductVelocity:
        """The velocity (or what is left of it beside the exact flows) at one time, as products."""
        grid = space.grid
        components = self.remainder if remainder else self.velocity
        kept = self._kept(grid)
        monomials = field.monomials(space, (each for a in kept for each in components[a].terms))
        factors = []
        for a in kept:
            each = self._products(components[a], grid, monomials)
            factors.append((each.x.T.reshape(-1, *grid.n_x), each.k.reshape(-1, *grid.n_k)))
        return ProductVelocity(grid, factors)

    @staticmethod
    def _kept(grid: PhaseSpaceGrid) -> list[int]:
        """Letters that are axes of the grid: its positions, then all momenta."""
        d = grid.n_momentum_axes
        return [*range(grid.n_position_axes), *range(d, 2 * d)]

    @staticmethod
    def _coefficients(values: Array, grid: PhaseSpaceGrid) -> Array:
        """From (.., 1 * d, *k) to (.., 1 * s, *k)."""
        d = grid.n_momentum_axes
        lead = values.shape[: values.ndim - 2 * d]
        return values.reshape(*lead, *(1,) * grid.n_position_axes, *values.shape[-d:])

    def _evaluate(self, values: SumOfProducts, space: SymbolSpace, field: ExternalField) -> Array:
        total: Array = np.zeros((1,) * space.grid.n_axes)
        monomials = field.monomials(space, values.terms)
        for monomial, coefficient in values.terms.items():
            total = total + monomials[monomial] * self._coefficients(coefficient, space.grid)
        return total


def product_band(
    bloch: Array,
    grid: PhaseSpaceGrid,
    orbital_positions: FloatArray,
    band: int,
    order: int,
    minimum_gap: float = 1e-6,
    scramble: int | None = None,
) -> ProductBand:
    """Effective band of H0(k) + U(x, t) - F(t).x under the magnetic field of the grid.

    Parameters
    ----------
    bloch : array (n, n, *k), energy
        k-periodic Bloch matrix on the momenta of ``grid``.
    grid : PhaseSpaceGrid
        Its momenta and ``cell_flux`` count.
    orbital_positions : array (n, d)
    band, order, minimum_gap, scramble
        As in ``effective_band``.

    Raises
    ------
    BandTouchingError
    """
    letters = letter_space(grid, orbital_positions)
    n_axes, d = letters.grid.n_axes, letters.grid.n_momentum_axes
    hamiltonian = product_hamiltonian(letters, bloch)
    bands, group = ProductBands.of_bloch(hamiltonian.values.terms[()], scramble), range(band, band + 1)
    momenta = PhaseSpaceGrid((), grid.n_k, ())
    check_gap(momenta, bands.energies.reshape(-1, *grid.n_k), group, minimum_gap)
    pi, rates = _projector(hamiltonian, bands, group, order)
    metric = np.zeros((n_axes, n_axes, *(1,) * d, *(1,) * d))
    if order == 2:
        metric = np.zeros((n_axes, n_axes, *(1,) * d, *grid.n_k))
        p = pi[0].values.terms[()]
        projector = SymbolSpace(momenta, orbital_positions).symbol(p.reshape(*p.shape[:2], *grid.n_k))
        metric[d:, d:] = quantum_metric(projector).reshape(d, d, *(1,) * d, *grid.n_k)
    smearing = MetricSmearing(letters, metric)
    density = [trace(p.values).real for p in pi]
    if order == 2:
        density[2] = density[2] - smearing.of_one
    return ProductBand(
        letters=letters,
        order=order,
        energy=[h.pruned() for h in dual_energy(energy_traces(hamiltonian, pi), density, smearing)],
        density_of_states=sum(density[1:], start=density[0]).pruned(),
        curvature=_curvature(pi, rates),
        metric=metric,
        gap=gap_to_other_bands(bands.energies, group),
        projector=[p.values for p in pi],
    )


def _projector(
    hamiltonian: Symbol, bands: ProductBands, group: range, order: int
) -> tuple[list[Symbol], list[Any]]:
    """The Moyal projector through ``order`` and its time derivatives below it."""
    rates: list[Any] = []
    for m in range(order):
        lower = moyal_projector(hamiltonian, bands, group, m, rates)
        rates.append(lower[m].derivative(hamiltonian.space.grid.n_axes))
    return moyal_projector(hamiltonian, bands, group, order, rates), rates


def _curvature(pi: Sequence[Symbol], rates: Sequence[Any]) -> list[dict[tuple[int, int], SumOfProducts]]:
    """All components a < b, time last, by order."""
    letters, order = pi[0].space, len(pi) - 1
    n = letters.grid.n_axes
    along = [[letters.symbol(p.derivative(a)) for p in pi[:order]] for a in range(n)]
    along.append([letters.symbol(rate) for rate in rates])
    result: list[dict[tuple[int, int], SumOfProducts]] = [{} for _ in range(order)]
    for a in range(n + 1):
        for b in range(a + 1, n + 1):
            for m, component in enumerate(curvature_orders(pi, along[a], along[b]) if order else []):
                result[m][a, b] = component.pruned()
    return result
