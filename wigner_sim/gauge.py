"""Gauge certificate: no result may depend on eigenvector phases or on how orbitals are filed into cells.

The set-up of a case is made again

- with random phases on all eigenvectors, and random unitaries inside degenerate groups,
- with every orbital moved to a randomly chosen neighbouring cell (same crystal, other periodic gauge),

and the changes of energy, density of states, metric, velocity and d_t w are reported.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.problem import Problem
from wigner_sim.symbols import FloatArray

#: Relative changes up to this size are rounding.
ROUNDING = 1e-8
#: What a larger change means: the expansion itself is gauge invariant, its sampling only when resolved.
ABOVE_ROUNDING = "above rounding: the grid does not resolve the crystal, use more points in grid.n_k"


def gauge_certificate(problem: Problem, seed: int = 0) -> dict[str, dict[str, float]]:
    """Largest relative change of each quantity under each change of gauge, the worst over the bands.

    Parameters
    ----------
    problem : Problem
    seed : int
        Of the random phases, unitaries and cells.

    Returns
    -------
    dict gauge -> quantity -> float
    """
    rng = np.random.default_rng(seed)
    h = problem.hamiltonian
    cells = rng.integers(0, 2, size=h.orbital_positions.shape).astype(float)
    changed = {
        "eigenvector phases and unitaries": replace(
            problem, options=replace(problem.options, scramble=seed + 1)
        ),
        "orbitals in other cells": replace(
            problem, hamiltonian=replace(h, orbital_positions=h.orbital_positions + cells)
        ),
    }
    reference = _quantities(problem)
    return {name: _changes(reference, _quantities(other)) for name, other in changed.items()}


def certificate_report(certificate: dict[str, dict[str, float]]) -> str:
    """The certificate as text."""
    lines = []
    for gauge, changes in certificate.items():
        worst = max(changes.values())
        verdict = "rounding" if worst <= ROUNDING else ABOVE_ROUNDING
        values = ", ".join(f"{name} {change:.1e}" for name, change in changes.items())
        lines.append(f"gauge, {gauge}: {verdict} ({values})")
    return "\n".join(lines)


def _quantities(problem: Problem) -> list[dict[str, FloatArray]]:
    return [_of_band(problem, index) for index in range(len(problem.bands))]


def _of_band(problem: Problem, index: int) -> dict[str, FloatArray]:
    band = BandEvolution(problem.hamiltonian, problem.grid, problem.bands[index], problem.options)
    effective = band.effective(0.0)
    w = problem.initial_states[index].density(effective)
    return {
        "energy": effective.total_energy_symbol,
        "density of states": effective.density_of_states,
        "metric": effective.metric,
        "velocity": phase_space_velocity(effective),
        "w": w,
        "d_t w": band.rhs(w, 0.0),
    }


def _changes(reference: list[dict[str, FloatArray]], others: list[dict[str, FloatArray]]) -> dict[str, float]:
    changes: dict[str, float] = {}
    for band, other in zip(reference, others, strict=True):
        for name, values in band.items():
            scale = max(float(np.abs(values).max()), np.finfo(float).tiny)
            change = float(np.abs(other[name] - values).max()) / scale if values.any() else 0.0
            changes[name] = max(changes.get(name, 0.0), change)
    return changes
