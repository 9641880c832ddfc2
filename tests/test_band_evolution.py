"""Bands as equations: refused choices, stacks, drives, a uniform force, coefficients in time."""

from dataclasses import replace

import numpy as np
import pytest
from systems import (
    advance,
    low_modes,
    named,
    ramped_texture,
    relative,
    separable_chain,
    separable_plane,
    slope,
    texture,
    textured_plane,
    three_orbitals,
    upper_chain,
)

from wigner_sim.errors import CaseError
from wigner_sim.kinetics import band_evolution
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_stack import BandStack
from wigner_sim.kinetics.effective_band import central_difference, phase_space_velocity
from wigner_sim.kinetics.equation import unsplit_equation
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.kinetics.time_table import TimeTable
from wigner_sim.steppers import STEPPERS

ORDERS = (0, 1, 2)


def test_refused_choices_are_sentences():
    with pytest.raises(CaseError, match="band 2 was asked for, the Hamiltonian has bands 0 to 1"):
        replace(texture(), band=2).evolution()
    with pytest.raises(CaseError, match='moyal_series = "all_orders" needs H0'):
        texture().evolution(2, split=True, moyal_series="all_orders")
    with pytest.raises(CaseError, match="splitting stepper"):
        separable_chain().evolution(2, split=False, moyal_series="all_orders")
    with pytest.raises(CaseError, match="without magnetic field"):
        separable_plane(1, flux=0.1).evolution(2, split=True, moyal_series="all_orders")


def test_bands_of_a_stack_do_not_feel_each_other():
    system = three_orbitals(n=32)
    bands = [
        BandEvolution(system.hamiltonian, system.grid, band, EquationOptions(2, split=True))
        for band in range(3)
    ]
    stack = BandStack(bands)
    w = np.stack([system.occupation() * (1 + band) for band in range(3)])
    rates = stack.rhs(w, 0.0)
    for band, rate, w_band in zip(bands, rates, w, strict=True):
        np.testing.assert_array_equal(rate, band.rhs(w_band, 0.0))
    assert stack.spectral_radius(0.0) == max(band.spectral_radius(0.0) for band in bands)
    moved = STEPPERS["strang"].step(stack, w, 0.0, 0.1)
    for band, result, w_band in zip(bands, moved, w, strict=True):
        np.testing.assert_allclose(result, STEPPERS["strang"].step(band, w_band, 0.0, 0.1), rtol=1e-14)


def test_split_and_unsplit_schemes_arrive_at_the_same_state():
    for make in (lambda: texture(n=48), lambda: upper_chain(n=48)):
        system = make()
        w = system.occupation()
        whole = advance(system.evolution(2), w, 3.0, "rk4", 1e-9)
        for stepper in ("strang", "blanes_moan4"):
            tolerance = 1e-5 if stepper == "strang" else 1e-9
            split = advance(system.evolution(2, split=True), w, 3.0, stepper, tolerance)
            assert relative(split - whole, whole) < 5 * tolerance, stepper


@pytest.mark.parametrize("split", [False, True])
def test_driven_equation_is_the_static_one_when_nothing_moves(split):
    """A time-dependent Hamiltonian before its ramp starts, against the same crystal declared static."""
    driven = ramped_texture(10.0, n=32)
    static = replace(driven, hamiltonian=replace(driven.hamiltonian, time_dependent=False))
    w = driven.occupation()
    expected = static.evolution(2, split=split).rhs(w, -5.0)
    assert relative(driven.evolution(2, split=split).rhs(w, -5.0) - expected, expected) < 1e-9


@pytest.mark.parametrize("stepper", ["strang", "blanes_moan4"])
def test_driven_split_scheme_arrives_where_the_unsplit_one_does(stepper):
    system = ramped_texture(4.0, n=16)
    w = system.occupation()
    whole = advance(system.evolution(1), w, 4.0, "rk4", 1e-7)
    split = advance(system.evolution(1, split=True), w, 4.0, stepper, 1e-4)
    assert relative(split - whole, whole) < 1e-3


@pytest.mark.parametrize("order", [1, 2])
def test_driven_measure_is_conserved(order):
    """``d_t D + d_a (D V_a)`` falls faster than the order kept only with the rate of the curvature in V."""
    dilations, defects, without = [2.0, 4.0, 8.0], [], []
    for dilation in dilations:
        system = ramped_texture(8.0, n=48).dilated(dilation)
        evolution = system.evolution(order, difference_step=2e-3 * dilation)
        t, h = 3.1 * dilation, 2e-3 * dilation
        effective = evolution.effective(t)
        later, earlier = (evolution.effective(t + j * h).density_of_states for j in (1, -1))

        def outflow(band, system=system):
            flux = band.density_of_states * phase_space_velocity(band)
            return sum(system.space.symbol(j).derivative(a) for a, j in enumerate(flux))

        rate = (later - earlier) / (2 * h)
        defects.append(np.abs(rate + outflow(effective)).max())
        without.append(np.abs(rate + outflow(replace(effective, rate_curvature=None))).max())
    assert slope(dilations, defects) > order + 1.7, defects
    assert slope(dilations, without) < 2.3, without


def test_coefficients_of_a_driven_band_are_kept_and_forgotten():
    evolution = ramped_texture(4.0, n=16).evolution(1)
    assert evolution.effective(1.0) is evolution.effective(1.0)
    first = evolution.effective(1.0)
    for t in np.linspace(2, 3, 20):
        evolution.effective(t)
    assert evolution.effective(1.0) is not first
    static = texture(n=16).evolution(1)
    assert static.effective(0.0) is static.effective(7.0)


# --- uniform force ---


def under_force(system, force, varies=False):
    return replace(system, hamiltonian=replace(system.hamiltonian, force=force, force_varies=varies))


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("s", [0, 1])
def test_uniform_force_translates_momentum(s, split):
    """A state uniform in x under F(t), also where F passes through zero: w(k - int F dt)."""
    system = under_force(
        named("cosine_band", {"t1": 0.5}, None, (16,) * s, 8, 24), lambda t: np.array([0.4 * np.cos(t)]), True
    )
    k = system.grid.momenta[0]
    w = np.broadcast_to(np.exp(np.cos(k)), system.grid.shape)
    evolution = system.evolution(2, split=split)
    moved = advance(evolution, w, 2.0, "blanes_moan4" if split else "rk4", 1e-9)
    expected = np.broadcast_to(np.exp(np.cos(k - 0.4 * np.sin(2.0))), w.shape)
    np.testing.assert_allclose(moved, expected, atol=1e-7)


@pytest.mark.parametrize("flux", [0.0, 0.1])
def test_split_and_unsplit_agree_under_a_force(flux):
    system = under_force(separable_plane(1, n_x=10, n_k=14, flux=flux), lambda t: np.array([0.03, -0.04]))
    w = low_modes(system.occupation())
    for order in ORDERS:
        expected = system.evolution(order).rhs(w, 0.0)
        assert relative(system.evolution(order, split=True).rhs(w, 0.0) - expected, expected) < 1e-11


def test_stored_and_product_velocities_make_the_same_equation():
    """What the program steps for H0(k) + U(x) is the equation of its effective band."""
    for make in (separable_chain, lambda: textured_plane(0, n_k=24, flux=0.1)):
        system = make()
        w, evolution = system.occupation(), system.evolution(2)
        expected = unsplit_equation(evolution.effective(), EquationOptions(2)).rhs(w, 0.0)
        assert relative(evolution.rhs(w, 0.0) - expected, expected) < 1e-11


# --- coefficients in time ---


def test_central_difference_is_of_fourth_order():
    for function, rate in ((np.exp, np.e), (lambda t: t**4, 4.0)):
        steps = np.array([0.4, 0.2, 0.1])
        errors = [
            abs(central_difference({j: function(1 + j * h) for j in range(-2, 3)}, 0, h) - rate)
            for h in steps
        ]
        if max(errors) > 1e-12:  # exact for polynomials of degree 4
            assert slope(1 / steps, errors) == pytest.approx(4, abs=0.1)
    values = {j: np.array([1.0, 2.0]) * (5 + 0.1 * j) for j in range(-1, 7)}
    np.testing.assert_allclose(central_difference(values, 3, 0.1), [1.0, 2.0])


@pytest.mark.parametrize("tolerance", [1e-4, 1e-7])
def test_interpolated_coefficients_meet_their_tolerance_where_they_change(tolerance):
    """A drive that rests, turns quickly, and rests: few evaluations at rest, enough in the turn."""

    def function(t):
        return np.array([1.0, np.tanh(8 * (t - 5))])

    table = TimeTable(function, longest=1.0, tolerance=tolerance)
    times = np.linspace(0.0, 10.0, 301)
    error = max(np.abs(table.at(t) - function(t)).max() for t in times)
    assert 1e-3 * tolerance < error < 2 * tolerance
    assert table.n_evaluations < 400  # evenly spaced it would be over 600 at the finer tolerance
    slow = TimeTable(function, longest=1.0, tolerance=tolerance)
    for t in times[times < 2]:
        slow.at(t)
    assert slow.n_evaluations < 10


def test_interpolated_coefficients_do_not_remember_what_was_asked_before():
    def function(t):
        return np.sin(np.array([t, 3 * t]))

    one, other = (TimeTable(function, 1.0, 1e-6) for _ in range(2))
    for t in np.random.default_rng(3).uniform(0, 30, 200):
        one.at(t)
    for t in (0.3, 7.7, 29.1):
        np.testing.assert_array_equal(one.at(t), other.at(t))


def test_driven_coefficients_follow_the_hamiltonian():
    """The equation in the middle of a ramp is that of the effective band there, to the tolerance."""
    system = ramped_texture(4.0, n=24)
    w, t = system.occupation(), 1.37
    evolution = system.evolution(2, refresh_interval=0.5)
    expected = unsplit_equation(evolution.effective(t), EquationOptions(2)).rhs(w, t)
    assert relative(evolution.rhs(w, t) - expected, expected) < 1e-4


@pytest.mark.parametrize(("n", "calls"), [(256, 1), (254, 0)])
def test_memory_is_given_back_after_the_set_up_of_a_large_grid(n, calls, monkeypatch):
    """The search for it costs as much as the whole set-up of a small one."""
    given_back = []
    monkeypatch.setattr(band_evolution, "give_memory_back", lambda: given_back.append(n))
    separable_chain(n=n).evolution(1).equation()
    assert len(given_back) == calls
