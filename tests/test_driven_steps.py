"""Splitting of H0(k) + U(x, t) - F(t).x: coefficients once per stage, order four, no memory of the past."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.options import EquationOptions, GeometricTerms
from wigner_sim.models import build_hamiltonian
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS

SCHEME = STEPPERS["blanes_moan4"]
STAGES = 6
PLANE = {"mass": 0.6, "velocity": 0.8, "wilson": 0.5}


def chain(n=16, potential="0.4*cos(2*pi*x/L - 0.7*t)", force=None):
    grid = PhaseSpaceGrid((n,), (n,), (float(n),))
    model = build_hamiltonian("ssh", {"t1": 1.0, "t2": 0.4}, potential, 1, 1, grid.lengths, Path())
    return (model if force is None else replace(model, force=force, time_dependent=True)), grid


def plane(n=6):
    field = 4 * np.pi / n**2 * np.array([[0.0, 1.0], [-1.0, 0.0]])
    grid = PhaseSpaceGrid((n, n), (n, n), (float(n), float(n)), field)
    potential = "0.3*cos(2*pi*x/Lx - 0.5*t) + 0.2*cos(2*pi*y/Ly)"
    return build_hamiltonian("massive_dirac", PLANE, potential, 2, 2, grid.lengths, Path()), grid


def evolution(which="blocks", order=2):
    hamiltonian, grid = plane() if which == "field" else chain()
    if which == "force":
        hamiltonian, grid = chain(potential="0.4*cos(2*pi*x/L)", force=lambda t: np.array([0.2 * np.cos(t)]))
    terms = GeometricTerms(metric=which != "metric off")
    engine = "numpy" if which == "whole arrays" else "auto"
    options = EquationOptions(order, split=True, engine=engine, terms=terms, difference_step=1e-3)
    return BandEvolution(hamiltonian, grid, 0, options)


def packet(grid):
    phases = [2 * np.pi * m / period for m, period in zip(grid.axis_points, grid.periods, strict=True)]
    return np.exp(sum(np.cos(phase - 0.4) for phase in np.ix_(*phases)) - 2)


def stepped(evolution, n_steps, duration=2.0):
    """State after so many steps."""
    return Propagator(evolution, SCHEME, packet(evolution.grid), duration / n_steps).advance_to(duration)


KINDS = ["blocks", "whole arrays", "metric off", "force", "field"]


@pytest.mark.parametrize("kind", KINDS)
def test_coefficients_are_made_once_per_stage(kind, monkeypatch):
    each, made = evolution(kind), []
    original = BandEvolution._make_equation
    monkeypatch.setattr(BandEvolution, "_make_equation", lambda self, t: made.append(t) or original(self, t))
    stepped(each, 3)
    assert len(made) == len(set(made)) == 3 * STAGES + 1  # and those that say which flows there are


@pytest.mark.parametrize("kind", KINDS)
def test_with_coefficients_of_its_own_time_streaming_is_the_same(kind):
    each, every_time = evolution(kind), evolution(kind)
    every_time._timeless = frozenset()
    np.testing.assert_allclose(stepped(each, 3), stepped(every_time, 3), atol=1e-13)


@pytest.mark.parametrize("kind", ["blocks", "force"])
def test_the_order_is_four(kind):
    each = evolution(kind)
    reference = stepped(each, 40)
    errors = [np.abs(stepped(each, n) - reference).max() for n in (5, 10)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_depends_on_nothing_before_it(kind):
    first = evolution(kind)
    half = Propagator(first, SCHEME, packet(first.grid), 0.25)
    half.advance_to(0.5)
    state = half.state()
    whole = half.advance_to(1.0).copy()
    resumed = Propagator(evolution(kind), SCHEME, np.zeros(first.grid.shape), 0.25)
    resumed.restore(state)
    np.testing.assert_array_equal(resumed.advance_to(1.0), whole)
