"""The kinetic equation: conservation, split against unsplit, flows against rates."""

from dataclasses import replace

import numpy as np
import pytest
from systems import (
    advance,
    gentle_texture,
    low_modes,
    relative,
    separable_chain,
    separable_plane,
    slope,
    texture,
    textured_plane,
    three_orbitals,
)

from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.kinetics.equation import (
    moyal_coefficients,
    split_equation,
    unsplit_equation,
)
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.kinetics.terms import PhaseSpaceFlow
from wigner_sim.kinetics.velocity import DenseVelocity, ProductVelocity
from wigner_sim.symbols import star_term

SYSTEMS = {
    "texture": lambda: texture(n=48),
    "three orbitals": lambda: three_orbitals(n=48),
    "separable": lambda: separable_chain(n=48),
    "plane, field": lambda: textured_plane(1, n_x=10, n_k=12, flux=0.1),
    "separable plane": lambda: separable_plane(2, n_x=8, n_k=10),
    "homogeneous, field": lambda: textured_plane(0, n_k=24, flux=0.1),
}
ORDERS = (0, 1, 2)


# --- conservation ---


@pytest.mark.parametrize("options", [{}, {"split": True}, {"dealias": "smooth"}, {"moyal_filter": "bounded"}])
@pytest.mark.parametrize("name", SYSTEMS)
def test_rhs_conserves_particles_to_rounding(name, options):
    system = SYSTEMS[name]()
    for order in ORDERS:
        evolution = system.evolution(order, **options)
        rate = evolution.rhs(system.occupation(), 0.0)
        assert abs(rate.mean()) < 1e-14 * max(1.0, np.abs(rate).max())


@pytest.mark.parametrize(("stepper", "split"), [("rk4", False), ("strang", True), ("blanes_moan4", True)])
def test_a_run_conserves_particles_to_rounding(stepper, split):
    system = texture(n=48)
    evolution, w = system.evolution(2, split=split), system.occupation()
    later = advance(evolution, w, 10.0, stepper, 1e-4)
    assert relative(later - w, w) > 0.1
    assert abs(later.mean() / w.mean() - 1) < 1e-13


def test_energy_drift_falls_with_the_order_kept():
    """``int w h_w`` is conserved to the order kept, over a time that grows with the dilation."""
    dilations = [1.0, 2.0, 4.0]
    for order in (1, 2):
        drifts = []
        for dilation in dilations:
            system = texture().dilated(dilation)
            evolution, w = system.evolution(order), system.occupation()
            h = evolution.effective().total_energy_symbol
            drifts.append(abs(np.mean(h * (advance(evolution, w, 4.0 * dilation) - w))))
        assert slope(dilations, drifts) > order + 0.7, drifts


@pytest.mark.parametrize("make", [texture, three_orbitals, lambda: textured_plane(1, flux=0.1)])
def test_flow_preserves_the_measure(make):
    """Liouville's theorem ``d_a (D V_a) = 0``: the defect, itself of first order in eps, falls one power
    faster than the order kept."""
    dilations = [2.0, 4.0, 8.0]
    for order in (1, 2):
        defects = []
        for dilation in dilations:
            system = make().dilated(dilation)
            effective = system.general(order)
            flux = effective.density_of_states * phase_space_velocity(effective)
            defects.append(
                np.abs(sum(system.space.symbol(j).derivative(a) for a, j in enumerate(flux))).max()
            )
        assert slope(dilations, defects) > order + 1.7, defects


# --- terms ---


def test_moyal_coefficients_in_one_dimension():
    """``(1/24)[h_xxx w_kkk - 3 h_xxk w_kkx + 3 h_xkk w_kxx - h_kkk w_xxx]`` in flux form."""
    system = gentle_texture(n=24)
    h = system.space.symbol(system.general(0).energy[0])
    found = moyal_coefficients(system.space, h.values)
    expected = {
        (1, (1, 1)): h.derivative(0, 0, 0) / 24,
        (1, (0, 1)): -2 * h.derivative(0, 0, 1) / 24,
        (1, (0, 0)): h.derivative(0, 1, 1) / 24,
        (0, (1, 1)): -h.derivative(0, 0, 1) / 24,
        (0, (0, 1)): 2 * h.derivative(0, 1, 1) / 24,
        (0, (0, 0)): -h.derivative(1, 1, 1) / 24,
    }
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, atol=1e-12, err_msg=str(key))


@pytest.mark.parametrize("name", SYSTEMS)
def test_third_derivative_term_is_the_moyal_bracket(name):
    """Velocity and third derivatives of h_0 are the first two odd orders of ``-i (h * w - w * h)``."""
    system = SYSTEMS[name]()
    space, effective = system.space, system.general(0)
    h, w = (space.symbol(low_modes(u, 2)) for u in (effective.energy[0], system.occupation()))
    nothing = [(np.zeros((0, *space.grid.n_x)), np.zeros((0, *space.grid.n_k)))] * space.grid.n_axes
    term = PhaseSpaceFlow(space, ProductVelocity(space.grid, nothing), moyal_coefficients(space, h.values))
    bracket = -1j * (star_term(h, w, 3) - star_term(w, h, 3))
    assert np.abs(bracket.imag).max() < 1e-14
    assert relative(term.rhs(w.values, 0.0) - bracket.real, bracket) < 1e-9
    smooth = replace(effective, energy=[h.values])
    flow = PhaseSpaceFlow(space, DenseVelocity(phase_space_velocity(smooth)), {})
    poisson = -1j * (star_term(h, w, 1) - star_term(w, h, 1))
    assert relative(flow.rhs(w.values, 0.0) - poisson.real, poisson) < 1e-11


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", SYSTEMS)
def test_split_and_unsplit_right_hand_sides_agree(name, order):
    system = SYSTEMS[name]()
    effective, w = system.effective(order), low_modes(system.occupation())
    split = split_equation(effective, EquationOptions(order, split=True))
    whole = unsplit_equation(effective, EquationOptions(order))
    expected = whole.rhs(w, 0.0)
    assert relative(split.rhs(w, 0.0) - expected, expected) < 1e-11
    names = [type(term).__name__ for term in split.flows]
    if system.grid.n_position_axes:
        assert names[:2] == ["Streaming", "Acceleration"]
    always = split_equation(effective, EquationOptions(order, split=True), always_rest=True)
    assert relative(always.rhs(w, 0.0) - expected, expected) < 1e-11
    assert type(always.flows[-1]) is PhaseSpaceFlow


def test_a_separable_crystal_leaves_no_third_derivative_to_the_rest():
    split = separable_chain().evolution(2, split=True)
    rest = split.equation().flows[2]
    assert not rest.third_derivative
    bare = separable_chain().evolution(0, split=True)
    assert len(bare.equation().flows) == 2  # nothing is left at all
    assert rest.spectral_radius(0.0) < 0.1 * separable_chain().evolution(2).spectral_radius(0.0)


@pytest.mark.parametrize("name", ["texture", "separable", "plane, field"])
def test_each_flow_solves_its_own_equation(name):
    """``(flow(dt) - flow(-dt))/(2 dt)`` tends to ``rhs`` with slope 2, and flows add up in time."""
    system = SYSTEMS[name]()
    w = system.occupation()
    for term in system.evolution(2, split=True).equation().flows:
        expected = term.rhs(w, 0.0)
        scale = 1.0 / term.spectral_radius(0.0)
        steps = scale * np.array([0.4, 0.2, 0.1])
        errors = [
            relative((term.flow(w, 0.0, dt) - term.flow(w, 0.0, -dt)) / (2 * dt) - expected, expected)
            for dt in steps
        ]
        assert slope(1 / steps, errors) == pytest.approx(2, abs=0.15), type(term)
        whole, halves = term.flow(w, 0.0, scale), term.flow(term.flow(w, 0.0, scale / 2), 0.0, scale / 2)
        exact = not isinstance(term, PhaseSpaceFlow)
        assert relative(whole - halves, w) < (1e-14 if exact else 1e-2 * relative(whole - w, w))


@pytest.mark.parametrize("name", SYSTEMS)
def test_spectral_radius_is_an_upper_bound_and_not_a_wild_one(name):
    """Power iteration on the real right-hand side stays below it."""
    system = SYSTEMS[name]()
    for options in ({}, {"split": True}, {"moyal_filter": "bounded"}):
        evolution = system.evolution(2, **options)
        w = np.random.default_rng(0).normal(size=system.grid.shape)
        for _ in range(30):
            w /= np.linalg.norm(w)
            w = evolution.rhs(w, 0.0)
        growth = np.linalg.norm(w)
        assert growth <= evolution.spectral_radius(0.0) * (1 + 1e-9)
        assert growth > 0.1 * evolution.spectral_radius(0.0)
