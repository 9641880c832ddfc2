"""H0(k) + U(x): closed form, sums of products and general expansion agree; what each switch drops."""

from dataclasses import replace

import numpy as np
import pytest
from systems import relative, separable_chain, separable_plane, slope, texture

from wigner_sim.errors import CaseError
from wigner_sim.geometry import band_normalized_metric, quantum_metric
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_sources import ClosedFormBand, GeneralBand, ProductBandSource
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.kinetics.equation import unsplit_equation
from wigner_sim.kinetics.options import EquationOptions, GeometricTerms
from wigner_sim.kinetics.velocity import stacked
from wigner_sim.models import build_hamiltonian
from wigner_sim.projector import LocalBands


def with_force(system, force, varies=False):
    """The same crystal under a uniform force, a function of time."""
    hamiltonian = replace(system.hamiltonian, force=force, force_varies=varies)
    return replace(system, hamiltonian=hamiltonian)


def driven_chain(n=64):
    """The dimerised chain in a potential that moves and grows."""
    parameters = {"t1": 0.9, "t2": 0.3, "delta": 0.6, "orbital_positions": [0.0, 0.5]}
    potential = "(0.4 + 0.2*sin(0.3*t))*cos(2*pi*x/L - 0.2*t)"
    hamiltonian = build_hamiltonian("rice_mele", parameters, potential, 1, 1, (24.0,))
    return replace(separable_chain(n=n), hamiltonian=hamiltonian)


#: system, and the part of the largest value that its grid leaves unresolved
SYSTEMS = {
    "x k": (separable_chain, 1e-9),
    "x k, upper band": (lambda: separable_chain(band=1), 1e-9),
    "x kx ky": (lambda: separable_plane(1, n_x=12, n_k=32), 1e-6),
    "x y kx ky": (lambda: separable_plane(2, n_x=8, n_k=20), 1e-4),
    "kx ky": (lambda: separable_plane(0, n_k=48), 1e-9),
    "x k, force": (lambda: with_force(separable_chain(), lambda t: np.array([0.05])), 1e-9),
    "x kx ky, force": (
        lambda: with_force(separable_plane(1, n_x=12, n_k=32), lambda t: np.array([0.03, -0.04])),
        1e-6,
    ),
    "driven": (driven_chain, 1e-6),
    "driven, force": (
        lambda: with_force(driven_chain(), lambda t: np.array([0.05 + 0.02 * np.sin(0.2 * t)]), True),
        1e-6,
    ),
}
#: The same in a magnetic field, where there is no closed form.
MAGNETIC = {
    "kx ky, field": (lambda: separable_plane(0, n_k=48, flux=0.1), 1e-9),
    "x kx ky, field": (lambda: separable_plane(1, n_x=12, n_k=32, flux=0.1), 1e-6),
    "x y kx ky, field": (lambda: separable_plane(2, n_x=8, n_k=20, flux=0.1), 1e-4),
    "x kx ky, field, force": (
        lambda: with_force(separable_plane(1, n_x=12, n_k=32, flux=0.1), lambda t: np.array([0.03, -0.04])),
        1e-6,
    ),
}
TIME, DIFFERENCE = 1.7, 2e-3


def assert_same_band(ours, theirs, rounding):
    def close(a, b, what):
        scale = np.abs(b).max()
        np.testing.assert_allclose(a, b, atol=rounding * scale + 1e-13, rtol=1e-6, err_msg=what)

    assert len(ours.energy) == len(theirs.energy) == ours.order + 1
    assert len(ours.curvature) == len(theirs.curvature) == ours.order
    for m, (a, b) in enumerate(zip(ours.energy, theirs.energy, strict=True)):
        close(a, b, f"h_{m}")
    for m, (a, b) in enumerate(zip(ours.curvature, theirs.curvature, strict=True)):
        close(a, b, f"curvature {m}")
    close(ours.density_of_states - 1, theirs.density_of_states - 1, "D")
    shape = np.broadcast_shapes(ours.metric.shape, theirs.metric.shape)
    close(np.broadcast_to(ours.metric, shape), np.broadcast_to(theirs.metric, shape), "metric")
    close(ours.gap, theirs.gap, "gap")
    nothing = np.zeros(1)
    rates = [nothing if band.rate_curvature is None else band.rate_curvature for band in (ours, theirs)]
    close(*np.broadcast_arrays(*rates), "rate curvature")
    close(phase_space_velocity(ours), phase_space_velocity(theirs), "velocity")


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("route", [ClosedFormBand, ProductBandSource])
@pytest.mark.parametrize("name", SYSTEMS)
def test_short_routes_equal_the_general_expansion(name, route, order):
    make, rounding = SYSTEMS[name]
    general = make().by(GeneralBand, order, TIME, difference_step=DIFFERENCE)
    assert_same_band(make().by(route, order, TIME, difference_step=DIFFERENCE), general, rounding)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", MAGNETIC)
def test_sums_of_products_equal_the_general_expansion_in_a_field(name, order):
    make, rounding = MAGNETIC[name]
    assert_same_band(make().by(ProductBandSource, order), make().by(GeneralBand, order), rounding)


@pytest.mark.parametrize("remainder", [False, True])
@pytest.mark.parametrize("name", [*SYSTEMS, *MAGNETIC])
def test_velocity_as_products_is_the_stored_velocity(name, remainder):
    make, rounding = {**SYSTEMS, **MAGNETIC}[name]
    system = make()
    options = EquationOptions(2, difference_step=DIFFERENCE)
    source = ProductBandSource(system.hamiltonian, system.space, system.band, options)
    effective = source.effective(TIME)
    expected = phase_space_velocity(effective)
    scale, s = np.abs(expected).max(), system.grid.n_position_axes
    if remainder:  # without dE/dk in x; without -dU/dx and the force in k
        h = system.space.symbol(effective.energy[0])
        uniform = [h.derivative(s + i).mean(axis=system.grid.position_axes, keepdims=True) for i in range(s)]
        for i in range(s):
            expected[i] -= uniform[i]
            expected[s + i] += h.derivative(i).mean(axis=system.grid.momentum_axes, keepdims=True)
        expected[s:] -= effective.force.reshape(-1, *(1,) * system.grid.n_axes)
    found = stacked(source.coefficients(TIME, remainder).velocity, system.grid)
    np.testing.assert_allclose(found, expected, atol=rounding * scale)


def test_the_program_takes_the_cheapest_route_that_has_what_is_asked_for():
    def route(system, **options):
        return type(BandEvolution(system.hamiltonian, system.grid, 0, EquationOptions(**options))._source)

    no_berry = GeometricTerms(berry=False)
    assert route(separable_chain()) is ProductBandSource
    assert route(separable_chain(), terms=no_berry) is ClosedFormBand
    assert route(separable_chain(), terms=GeometricTerms(moyal=False)) is ProductBandSource
    assert route(separable_plane(1, flux=0.1)) is ProductBandSource
    assert route(separable_plane(1, flux=0.1), order=1, terms=no_berry) is GeneralBand
    assert route(texture()) is GeneralBand


def test_second_order_is_there_in_every_dimension():
    """What the comparison above relies on: none of the compared pieces vanishes."""
    for name in ("x k", "x kx ky", "x y kx ky"):
        band = closed(SYSTEMS[name][0]())
        assert np.abs(band.energy[2]).max() > 1e-7, name
        assert np.abs(band.curvature[1]).max() > 1e-7, name
        assert np.abs(band.density_of_states - 1).max() > 1e-8, name


def closed(system, order=2, **terms):
    return system.by(ClosedFormBand, order, terms=GeometricTerms(**terms))


def pieces(system):
    """The closed form's ingredients from the full matrix H on the whole grid: E + U, g, T, dU, ddU."""
    symbol = system.symbol()
    bands = LocalBands.of(symbol.values)
    p = symbol.space.symbol(bands.projector(range(system.band, system.band + 1)))
    s, grid = system.grid.n_position_axes, system.grid
    x = np.stack(np.broadcast_arrays(*grid.coordinates))[:s]
    u = symbol.space.symbol(system.hamiltonian.potential(x, 0.0))
    t = band_normalized_metric(symbol, bands, system.band)[s:, s:]
    return quantum_metric(p)[s:, s:], t, u


@pytest.mark.parametrize("make", [separable_chain, lambda: separable_plane(2, n_x=8, n_k=12)])
def test_switches_drop_their_piece_and_nothing_else(make):
    system = make()
    full, s = closed(system, 2), system.grid.n_position_axes
    g, t, u = pieces(system)
    pairs = [(i, j) for i in range(s) for j in range(s)]

    without = closed(system, 2, metric=False)
    dropped = sum(0.5 * g[i, j] * u.derivative(i, j) for i, j in pairs)
    np.testing.assert_allclose(full.energy[2] - without.energy[2], dropped, atol=1e-13)
    assert not without.metric.any()
    np.testing.assert_array_equal(full.curvature[1], without.curvature[1])
    np.testing.assert_array_equal(full.density_of_states, without.density_of_states)

    without = closed(system, 2, band_normalized_metric=False)
    dropped = sum(0.5 * t[i, j] * u.derivative(i) * u.derivative(j) for i, j in pairs)
    np.testing.assert_allclose(full.energy[2] - without.energy[2], dropped, atol=1e-13)
    assert not without.curvature[1].any()
    np.testing.assert_array_equal(without.density_of_states, 1.0)
    np.testing.assert_array_equal(full.metric, without.metric)
    np.testing.assert_array_equal(full.curvature[0], without.curvature[0])

    without = closed(system, 2, berry=False)
    assert not without.curvature[0].any()
    np.testing.assert_array_equal(full.curvature[1], without.curvature[1])
    np.testing.assert_array_equal(full.energy[2], without.energy[2])

    without = closed(system, 2, orbital_moment=False)  # acts in a magnetic field only
    for ours, theirs in zip(full.energy, without.energy, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("split", [False, True])
def test_moyal_switch_drops_the_third_derivatives(split):
    """Without it the equation is first order in derivatives: what is lost is the closed Moyal term."""
    system = separable_chain()
    w, h = system.occupation(), system.space.symbol(closed(system).energy[0])
    with_term, without = (
        system.evolution(2, split=split, terms=GeometricTerms(moyal=moyal)).rhs(w, 0.0)
        for moyal in (True, False)
    )
    symbol = system.space.symbol(w)
    # -(1/24) [h_xxx w_kkk - h_kkk w_xxx], mixed third derivatives of E(k) + U(x) vanish
    dropped = (h.derivative(1, 1, 1) * symbol.derivative(0, 0, 0)) / 24
    dropped -= (h.derivative(0, 0, 0) * symbol.derivative(1, 1, 1)) / 24
    assert relative(with_term - without - dropped, dropped) < 1e-9


def test_anomalous_velocity_of_the_closed_form():
    """``dx_i/dt = d_k h - Omega_ij dk_j/dt`` with dk/dt = -dU: the Hall velocity, sign and size."""
    system = separable_plane(2, n_x=8, n_k=12)
    effective = closed(system, 1)
    _, _, u = pieces(system)
    velocity, h = phase_space_velocity(effective), system.space.symbol(effective.energy[0])
    omega = effective.curvature[0][2, 3]
    np.testing.assert_allclose(velocity[0], h.derivative(2) - omega * u.derivative(1), atol=1e-13)
    np.testing.assert_allclose(velocity[1], h.derivative(3) + omega * u.derivative(0), atol=1e-13)
    np.testing.assert_allclose(velocity[2], -u.derivative(0), atol=1e-13)
    assert np.abs(omega * u.derivative(1)).max() > 1e-5


@pytest.mark.parametrize("name", ["berry", "orbital_moment", "metric", "band_normalized_metric"])
def test_switches_without_a_meaning_of_their_own_are_refused(name):
    with pytest.raises(CaseError, match=f"equation.terms.{name} = false has no separate meaning at order 2"):
        texture().evolution(2, terms=GeometricTerms(**{name: False}))
    field = separable_plane(1, flux=0.1)
    with pytest.raises(CaseError, match="without magnetic field"):
        field.evolution(2, terms=GeometricTerms(**{name: False}))
    texture().evolution(2, terms=GeometricTerms(moyal=False))  # this one always separates
    texture().evolution(1, terms=GeometricTerms(**{name: False}))
    separable_chain().evolution(2, terms=GeometricTerms(**{name: False}))


def test_first_order_switches_of_a_general_hamiltonian():
    system = texture()
    full = system.effective(1)
    no_moment, no_berry = system.effective(1, orbital_moment=False), system.effective(1, berry=False)
    assert not no_moment.energy[1].any()
    np.testing.assert_array_equal(no_moment.curvature[0], full.curvature[0])
    assert not no_berry.curvature[0].any()
    np.testing.assert_array_equal(no_berry.density_of_states, 1.0)
    np.testing.assert_array_equal(no_berry.energy[1], full.energy[1])
    bare = system.effective(1, berry=False, orbital_moment=False)
    np.testing.assert_allclose(
        phase_space_velocity(bare), phase_space_velocity(system.effective(0)), atol=1e-14
    )


def test_rate_curvature_is_the_time_derivative_of_the_shift():
    system, t = driven_chain(), 1.7
    driven = system.evolution(2).effective(t)
    _, t_metric, _ = pieces(system)
    h = 1e-4
    x = np.stack(np.broadcast_arrays(*system.grid.coordinates))[:1]

    def shift(time):
        return t_metric[0, 0] * system.space.symbol(system.hamiltonian.potential(x, time)).derivative(0)

    expected = -(shift(t + h) - shift(t - h)) / (2 * h)  # Omega_kt = -Omega_tk = -d_t a
    assert relative(driven.rate_curvature[1] - expected, expected) < 1e-6
    assert not driven.rate_curvature[0].any()
    still = system.evolution(1).effective(t)
    assert not still.rate_curvature.any()
    switched = system.evolution(2, terms=GeometricTerms(band_normalized_metric=False)).effective(t)
    assert not switched.rate_curvature.any()


def test_rate_enters_the_velocity_of_x():
    """``dx/dt`` gains ``eps_xk Omega_kt``; k feels nothing of it."""
    evolution = driven_chain().evolution(2)
    effective = evolution.effective(1.7)
    gain = phase_space_velocity(effective) - phase_space_velocity(replace(effective, rate_curvature=None))
    np.testing.assert_allclose(gain[0], effective.rate_curvature[1], atol=1e-15)
    np.testing.assert_allclose(gain[1], -effective.rate_curvature[0], atol=1e-15)


def test_driven_measure_is_conserved():
    """Liouville's theorem of the driven flow: ``d_t D + d_a (D V_a)`` falls as one order more than kept."""
    dilations, defects = [2.0, 4.0, 8.0], []
    for dilation in dilations:
        system = driven_chain().dilated(dilation)
        evolution = system.evolution(2, difference_step=2e-3 * dilation)
        t, h = 1.7 * dilation, 1e-3 * dilation
        effective = evolution.effective(t)
        rate = (
            evolution.effective(t + h).density_of_states - evolution.effective(t - h).density_of_states
        ) / (2 * h)
        velocity = phase_space_velocity(effective)
        outflow = sum(
            system.space.symbol(effective.density_of_states * v).derivative(a) for a, v in enumerate(velocity)
        )
        defects.append(np.abs(rate + outflow).max())
        assert defects[-1] < 0.1 * np.abs(rate).max()
    assert slope(dilations, defects) > 3.7


def test_unsplit_equation_of_the_closed_form_is_that_of_the_general_path():
    system = separable_chain()
    w, options = system.occupation(), EquationOptions(2)
    short, general = (unsplit_equation(e, options).rhs(w, 0.0) for e in (closed(system), system.general()))
    assert relative(short - general, general) < 1e-9
