"""One band to all orders of the Moyal product: exact quantum mechanics, nothing left out."""

import numpy as np
import pytest
from systems import (
    advance,
    grid_of,
    named,
    occupation,
    slope,
)

from wigner_sim import liouville
from wigner_sim.kinetics.terms import Acceleration, Streaming
from wigner_sim.symbols import SymbolSpace


def single_band(n=64, sites=48):
    """Cosine band in a potential: streaming and acceleration of all orders are all of quantum mechanics."""
    parameters = {"t1": 0.5, "t2": 0.1}
    return named("cosine_band", parameters, "0.5*cos(2*pi*x/L) + 0.2*sin(4*pi*x/L)", (sites,), n, n)


def test_one_band_to_all_orders_is_exact_quantum_mechanics():
    """Against 48 sites, which the state does not go around."""
    system, duration = single_band(), 3.0
    _, projector, sites = system.exact_projector()
    tau = system.hamiltonian.orbital_positions
    state = liouville.state_from_symbol(projector, occupation(system.grid), sites, tau)
    first, last = liouville.run_liouville(system.hamiltonian, system.grid, state, [0.0, duration])
    errors = {}
    for series in ("all_orders", "third_derivative"):
        evolution = system.evolution(2, split=True, moyal_series=series)
        w = advance(evolution, first.distribution, duration, "blanes_moan4", 1e-11)
        errors[series] = np.abs(w - last.distribution).max()
    assert errors["all_orders"] < 2e-10
    assert errors["third_derivative"] > 1e-5


def test_all_orders_differ_from_the_third_derivative_at_fourth_order():
    dilations, differences = [1.0, 2.0, 4.0], []
    for dilation in dilations:
        system = single_band(32, 16).dilated(dilation)
        w = system.occupation()
        rates = [
            system.evolution(2, split=True, moyal_series=series).rhs(w, 0.0)
            for series in ("all_orders", "third_derivative")
        ]
        differences.append(np.abs(rates[0] - rates[1]).max())
    # one order for the flow itself, four for what the series leaves out
    assert slope(dilations, differences) == pytest.approx(5, abs=0.3)


def test_all_orders_on_two_position_axes_match_the_single_axis():
    """A plane in which nothing depends on y carries the one-dimensional flow on every row."""
    line = single_band(16, 16)
    plane = named(
        "cosine_band", {"t1": 0.5, "t2": 0.1}, "0.5*cos(2*pi*x/Lx) + 0.2*sin(4*pi*x/Lx)", (16, 8), 16, 16, d=2
    )
    w = line.occupation()
    for index, term in enumerate(line.evolution(2, split=True, moyal_series="all_orders").equation().flows):
        other = plane.evolution(2, split=True, moyal_series="all_orders").equation().flows[index]
        spread = np.broadcast_to(w[:, None, :, None], plane.grid.shape).copy()
        moved = other.flow(spread, 0.0, 0.7)
        np.testing.assert_allclose(
            moved, np.broadcast_to(term.flow(w, 0.0, 0.7)[:, None, :, None], moved.shape), atol=1e-12
        )


def test_streaming_at_fixed_momentum_and_acceleration_at_fixed_position():
    """Exact solutions: w(x - v(k) t) for velocities only; a linear force in a small region of x."""
    space = SymbolSpace(grid_of((16.0,), 48, 48, 1))
    (x,), (k,) = space.grid.positions, space.grid.momenta
    w, t = np.exp(np.cos(2 * np.pi * x / 16)) * (1 + 0.3 * np.cos(k)), 3.0
    moved = Streaming(space, -np.cos(k), 1).flow(w, 0.0, t)
    expected = np.exp(np.cos(2 * np.pi * (x - np.sin(k) * t) / 16)) * (1 + 0.3 * np.cos(k))
    np.testing.assert_allclose(moved, expected, atol=1e-11)
    u = 0.4 * np.cos(2 * np.pi * x / 16)
    force = 0.4 * 2 * np.pi / 16 * np.sin(2 * np.pi * x / 16)
    moved = Acceleration(space, u, 1).flow(w, 0.0, t)
    expected = np.exp(np.cos(2 * np.pi * x / 16)) * (1 + 0.3 * np.cos(k - force * t))
    np.testing.assert_allclose(moved, expected, atol=1e-12)


def test_flows_with_all_orders_are_unitary():
    system = single_band()
    w = np.random.default_rng(1).normal(size=system.grid.shape)
    for axis in (0, 1):  # without the Nyquist modes, which derivatives drop
        hat = np.fft.rfft(w, axis=axis)
        np.moveaxis(hat, axis, 0)[-1] = 0.0
        w = np.fft.irfft(hat, axis=axis)
    for term in system.evolution(2, split=True, moyal_series="all_orders").equation().flows:
        assert np.linalg.norm(term.flow(w, 0.0, 5.0)) == pytest.approx(np.linalg.norm(w), rel=1e-13)
