"""Which scheme ``time.stepper = "auto"`` stands for: docs/decisions/016-stepper-by-measurement.md."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.equation import moyal_coefficients, unfiltered
from wigner_sim.kinetics.fused import fits_engine
from wigner_sim.kinetics.options import EquationOptions, GeometricTerms
from wigner_sim.models import Hamiltonian
from wigner_sim.symbols import FloatArray, SymbolSpace

#: Part of all rates that exact flows may leave to a splitting scheme.  For the same rate it needs 2.2 times
#: as many evaluations as ``rk4``: its fractions of a step add up to 1.6, and substeps go to half the
#: stability limit instead of 0.7.
LARGEST_REST = 0.3
#: Points of the grid on which the rates of a general H(x, k) are estimated.
N_PROBED_POINTS = 4096


def automatic_stepper(
    hamiltonian: Hamiltonian,
    grid: PhaseSpaceGrid,
    bands: Sequence[int],
    options: EquationOptions,
    method: str = "kinetic",
) -> str:
    """Name of the stepper that reaches a tolerance soonest, as measured on problems of every kind.

    Parameters
    ----------
    hamiltonian : Hamiltonian
    grid : PhaseSpaceGrid
    bands : sequence of int
    options : EquationOptions
    method : {"kinetic", "matrix"}
    """
    s = grid.n_position_axes
    magnetic = bool(np.any(grid.epsilon[s:, s:]))
    mixes = magnetic and options.third_derivative  # x and k, in third derivatives: in blocks, or by RK4
    if method == "matrix" or (hamiltonian.separable and (not mixes or _in_blocks(grid, options))):
        return "blanes_moan4"  # nothing stiff is left beside the exact flows
    # a drive renews coefficients at six times of a splitting step; a field mixes x and k in third derivatives
    if hamiltonian.driven or magnetic:
        return "rk4"
    return "blanes_moan4" if rest_of_rates(hamiltonian, grid, bands, options) < LARGEST_REST else "rk4"


def _in_blocks(grid: PhaseSpaceGrid, options: EquationOptions) -> bool:
    """Whether a splitting scheme has all of the equation in compiled blocks."""
    switched_off = options.terms != GeometricTerms()
    return options.engine != "numpy" and fits_engine(grid) and unfiltered(options) and not switched_off


def rest_of_rates(
    hamiltonian: Hamiltonian, grid: PhaseSpaceGrid, bands: Sequence[int], options: EquationOptions
) -> float:
    r"""Largest rate of what exact flows leave over, relative to that of the whole equation, at time 0.

    The band energy h is compared with :math:`h - \langle h\rangle_x - \langle h\rangle_k`, at the highest
    wavenumbers of the grid; derivatives are taken on a coarser one.
    """
    per_axis = max(4, round(N_PROBED_POINTS ** (1 / grid.n_axes)))
    coarse = PhaseSpaceGrid(
        tuple(min(n, per_axis) for n in grid.n_x), tuple(min(n, per_axis) for n in grid.n_k), grid.lengths
    )
    matrix = hamiltonian.matrix(*coarse.mesh(), 0.0)
    if not np.isfinite(matrix).all():
        return 1.0  # refused with a reason when the band is built
    energies = np.linalg.eigvalsh(matrix)
    force = 0.0 if hamiltonian.force is None else np.abs(hamiltonian.force(0.0))
    highest = np.array([np.pi * n / period for n, period in zip(grid.shape, grid.periods, strict=True)])
    exact = float((force * highest[grid.n_position_axes :]).sum())
    shares = []
    for band in set(bands) & set(range(hamiltonian.n_orbitals)):
        h = energies[..., band]
        of_k = h.mean(axis=coarse.position_axes, keepdims=True) if coarse.n_x else h
        of_x = h.mean(axis=coarse.momentum_axes, keepdims=True)
        whole, rest = (_rate(coarse, e, highest, options) for e in (h, h - of_k - of_x))
        shares.append(rest / (whole + exact) if rest > 0 else 0.0)
    return max(shares, default=1.0)


def _rate(grid: PhaseSpaceGrid, h: FloatArray, highest: FloatArray, options: EquationOptions) -> float:
    """Rate of the highest mode under a band energy: first and, at second order, third derivatives."""
    space = SymbolSpace(grid)
    symbol, eps = space.symbol(h), np.abs(grid.epsilon)
    speeds = np.array([np.abs(symbol.derivative(axis)).max() for axis in range(grid.n_axes)])
    first = float(speeds @ eps @ highest)
    if not options.third_derivative or first == 0.0:
        return first
    third = sum(
        float(np.abs(coefficient).max() * highest[[b, *pair]].prod())
        for (b, pair), coefficient in moyal_coefficients(space, h).items()
    )
    return first + (third / (1 + third / first) if options.moyal_filter == "bounded" else third)
