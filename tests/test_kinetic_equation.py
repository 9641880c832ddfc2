"""The kinetic equation: conservation, split against unsplit, flows against rates, one band exactly."""

from dataclasses import replace

import numpy as np
import pytest
from systems import (
    convergence,
    gentle_texture,
    grid_of,
    named,
    occupation,
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

from wigner_sim import liouville
from wigner_sim.errors import CaseError
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_stack import BandStack
from wigner_sim.kinetics.effective_band import central_difference, phase_space_velocity
from wigner_sim.kinetics.equation import (
    dealiasing_factor,
    moyal_coefficients,
    split_equation,
    unsplit_equation,
)
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.kinetics.terms import Acceleration, PhaseSpaceFlow, Streaming
from wigner_sim.kinetics.time_table import TimeTable
from wigner_sim.kinetics.velocity import DenseVelocity, ProductVelocity
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS, choose_step
from wigner_sim.symbols import SymbolSpace, star_term

SYSTEMS = {
    "texture": lambda: texture(n=48),
    "three orbitals": lambda: three_orbitals(n=48),
    "separable": lambda: separable_chain(n=48),
    "plane, field": lambda: textured_plane(1, n_x=10, n_k=12, flux=0.1),
    "separable plane": lambda: separable_plane(2, n_x=8, n_k=10),
    "homogeneous, field": lambda: textured_plane(0, n_k=24, flux=0.1),
}
ORDERS = (0, 1, 2)


def advance(evolution, w, duration, stepper="rk4", tolerance=1e-9):
    step = choose_step(STEPPERS[stepper], evolution, w, 0.0, duration, tolerance)
    return Propagator(evolution, STEPPERS[stepper], w, step.dt).advance_to(duration)


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


def low_modes(w, highest=3):
    """The same state with few Fourier modes: no product with its derivatives reaches the Nyquist mode."""
    hat = np.fft.fftn(w)
    for axis, n in enumerate(w.shape):
        kept = np.abs(np.fft.fftfreq(n, 1 / n)) <= highest
        hat *= kept.reshape([-1 if a == axis else 1 for a in range(w.ndim)])
    return np.fft.ifftn(hat).real


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


# --- one band, nothing left out ---


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


# --- filters ---


def test_bounded_moyal_filter_keeps_the_slope_and_bounds_the_radius():
    problem = texture().problem(24 / (2 * np.pi))
    results = {
        kind: convergence(
            replace(problem, options=replace(problem.options, moyal_filter=kind)), [1, 2, 4], (2,)
        )
        for kind in ("none", "bounded")
    }
    errors, slopes = results["bounded"][2]
    assert slopes["f_max"] > 2.8
    np.testing.assert_allclose(errors["f_max"], results["none"][2][0]["f_max"], rtol=0.35)
    radii = {}
    for n in (64, 128):
        for kind in ("none", "bounded"):
            radii[kind, n] = texture(n=n).evolution(2, moyal_filter=kind).spectral_radius(0.0)
    first = texture(n=128).evolution(1).spectral_radius(0.0)
    assert radii["bounded", 128] < 2.2 * first  # no more than the first derivatives add
    assert radii["none", 128] > 5 * radii["bounded", 128]
    assert radii["none", 128] / radii["none", 64] > 6
    assert radii["bounded", 128] / radii["bounded", 64] < 2.5


def test_bounded_filter_changes_the_rate_at_fourth_order():
    """r = O(eps^2) on a Moyal term that is of second order; one more for the flow itself."""
    dilations, differences = [2.0, 4.0, 8.0], []
    for dilation in dilations:
        system = gentle_texture().dilated(dilation)
        w = system.occupation()
        rates = [system.evolution(2, moyal_filter=kind).rhs(w, 0.0) for kind in ("none", "bounded")]
        differences.append(np.abs(rates[0] - rates[1]).max())
    assert slope(dilations, differences) == pytest.approx(5, abs=0.3)


@pytest.mark.parametrize("kind", ["none", "two_thirds", "smooth"])
def test_dealiasing_factors(kind):
    space = SymbolSpace(grid_of((16.0,), 24, 36, 1))
    kept = dealiasing_factor(space, kind)
    if kind == "none":
        assert kept is None
        return
    assert kept.shape == (24, 19)
    assert kept[0, 0] == 1.0
    m_x, m_k = np.abs(np.fft.fftfreq(24, 1 / 24))[:, None], np.arange(19)[None]
    ratio = np.maximum(m_x / 12, m_k / 18)
    if kind == "two_thirds":
        np.testing.assert_array_equal(kept, (ratio <= 2 / 3).astype(float))
    else:
        assert kept[ratio < 0.4].min() > 1 - 1e-12
        assert kept[ratio == 1].max() < 1e-15


def test_dealiasing_acts_on_the_rate_and_leaves_resolved_states_alone():
    system = gentle_texture()
    w = system.occupation()
    plain, smooth, cut = (
        system.evolution(2, dealias=kind).rhs(w, 0.0) for kind in ("none", "smooth", "two_thirds")
    )
    assert relative(smooth - plain, plain) < 1e-9
    assert relative(cut - plain, plain) < 1e-7
    noise = np.random.default_rng(2).normal(size=w.shape)
    hat = np.abs(np.fft.fft2(system.evolution(2, dealias="two_thirds").rhs(noise, 0.0)))
    assert hat[17:31].max() < 1e-12 * hat.max()
    assert hat[:, 17:31].max() < 1e-12 * hat.max()


# --- band evolutions ---


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
