"""The faces c, w, f of a band's state: integrals, transposes, round trips, and f against exact operators."""

from dataclasses import replace

import numpy as np
import pytest
from systems import (
    occupation,
    relative,
    separable_chain,
    slope,
    texture,
    textured_plane,
    three_orbitals,
    upper_chain,
)

from wigner_sim import liouville
from wigner_sim.weyl import operator_to_symbol

SYSTEMS = {
    "texture": texture,
    "three orbitals": three_orbitals,
    "upper band": upper_chain,
    "plane, field": lambda: textured_plane(1, n_x=8, n_k=12, flux=0.1),
}


@pytest.fixture(params=SYSTEMS)
def system(request):
    return SYSTEMS[request.param]()


def test_smearing_is_a_divergence_and_its_transpose_is_the_transpose(system):
    """``int v S u = int u S^T v`` on the grid to rounding, and ``int S u = 0``."""
    smearing, grid = system.general().smearing, system.grid
    u, v = np.random.default_rng(0).normal(size=(2, *grid.shape))
    s_u, s_t_v = smearing.apply(u), smearing.apply_transpose(v)
    size = grid.integrate(np.abs(v * s_u))
    assert abs(grid.integrate(v * s_u) - grid.integrate(u * s_t_v)) < 1e-14 * size
    assert abs(grid.integrate(s_u)) < 1e-14 * grid.integrate(np.abs(s_u))
    assert abs(grid.integrate(v * smearing.apply_transpose(u)) - grid.integrate(v * s_u)) > 1e-4 * size
    np.testing.assert_allclose(smearing.of_one, smearing.apply(np.ones(grid.shape)))
    np.testing.assert_allclose(smearing.apply_transpose(np.ones(grid.shape)), 0, atol=1e-13)


def test_smearing_in_one_dimension_is_written_out():
    """d = 1: ``S u = (1/2)[d_x d_x(g_kk u) - 2 d_x d_k(g_xk u) + d_k d_k(g_xx u)]``."""
    system = texture()
    effective, space = system.general(), system.space
    g, u = effective.metric, system.occupation()
    expected = 0.5 * (
        space.symbol(g[1, 1] * u).derivative(0, 0)
        - 2 * space.symbol(g[0, 1] * u).derivative(0, 1)
        + space.symbol(g[0, 0] * u).derivative(1, 1)
    )
    assert relative(effective.smearing.apply(u) - expected, expected) < 1e-13


def test_smearing_is_that_of_the_whole_tensor(system):
    """``S u = (1/2) d_a d_s (G_as u)`` and its transpose by all pairs of ``G = eps g eps^T``."""
    effective, space, eps = system.general(), system.space, system.grid.epsilon
    tensor = np.einsum("ab,bc...,sc->as...", eps, np.asarray(effective.metric), eps)
    u, axes = system.occupation(), range(system.grid.n_axes)
    whole = sum(0.5 * space.symbol(tensor[a, s] * u).derivative(a, s) for a in axes for s in axes)
    adjoint = sum(0.5 * tensor[a, s] * space.symbol(u).derivative(a, s) for a in axes for s in axes)
    assert relative(effective.smearing.apply(u) - whole, whole) < 1e-12
    assert relative(effective.smearing.apply_transpose(u) - adjoint, adjoint) < 1e-12
    assert relative(whole - adjoint, whole) > 1e-3


def test_f_and_w_hold_the_same_particles(system):
    faces, w = system.general().faces, system.occupation()
    f = faces.to("f", w)
    assert relative(f - w, w) > 1e-6
    np.testing.assert_allclose(system.grid.integrate(f), system.grid.integrate(w), rtol=1e-14)
    back = faces.from_face("f", f)
    np.testing.assert_allclose(system.grid.integrate(back), system.grid.integrate(w), rtol=1e-14)


def test_energy_is_the_same_in_both_pairings(system):
    """``int f h_f - int w h_w = int w S^T (h_1 + h_2) - int (S w)(S^T h_0)``, of third order."""
    effective, w, grid = system.general(), system.occupation(), system.grid
    smearing, h = effective.smearing, effective.energy
    pairs = effective.faces.to("f", w) * effective.band_density_energy, w * effective.total_energy_symbol
    remainder = w * smearing.apply_transpose(h[1] + h[2]) - smearing.apply(w) * smearing.apply_transpose(h[0])
    difference = grid.integrate(pairs[0] - pairs[1])
    assert abs(difference - grid.integrate(remainder)) < 1e-13 * grid.integrate(np.abs(pairs[0]))
    assert abs(grid.integrate(smearing.apply(w) * h[0])) > 10 * abs(
        difference
    )  # each half is of second order


@pytest.mark.parametrize(("face", "power"), [("f", 6), ("c", 4)])
@pytest.mark.parametrize("make", [texture, three_orbitals])
def test_round_trips_close_beyond_the_order_kept(make, face, power):
    """f = w + S w and back leaves S^3 w; c and back leaves (S^T/D)^2 w."""
    dilations, residuals = [2.0, 4.0, 8.0], []
    for dilation in dilations:
        system = make().dilated(dilation)
        faces, w = system.general().faces, system.occupation()
        residuals.append(relative(faces.from_face(face, faces.to(face, w)) - w, w))
        other = relative(faces.to(face, faces.from_face(face, w)) - w, w)
        assert other == pytest.approx(residuals[-1], rel=1.0)
    assert slope(dilations, residuals) == pytest.approx(power, abs=0.3)


@pytest.mark.parametrize("order", [0, 1])
def test_below_second_order_f_is_w(order):
    system = texture()
    effective, w = system.general(order), system.occupation()
    np.testing.assert_array_equal(effective.faces.to("f", w), w)
    np.testing.assert_array_equal(effective.faces.from_face("f", w), w)
    np.testing.assert_allclose(effective.faces.to("c", w), w / effective.density_of_states, rtol=1e-15)
    if order == 0:
        np.testing.assert_allclose(effective.faces.to("c", w), w, rtol=1e-14)
    else:  # 1 + (1/2) eps_ab Omega_ab
        np.testing.assert_allclose(
            effective.density_of_states, 1 + effective.curvature[0][0, 1], rtol=0, atol=1e-6
        )


def test_w_is_itself():
    system = texture()
    faces, w = system.general().faces, system.occupation()
    assert faces.to("w", w) is w
    assert faces.from_face("w", w) is w


def test_density_of_states_counts_the_states_of_the_ring():
    """``int D`` is the number of sites: the Chern number of (x, k) vanishes here."""
    for make in (texture, three_orbitals, upper_chain, separable_chain):
        system = make()
        np.testing.assert_allclose(
            system.grid.integrate(system.general().density_of_states), system.grid.lengths[0], rtol=1e-12
        )


def exact_f(system):
    """Trace of the symbol of ``Pi Op(c) Pi``."""
    _, projector, sites = system.exact_projector()
    tau = system.hamiltonian.orbital_positions
    state = liouville.state_from_symbol(projector, occupation(system.grid), sites, tau)
    return operator_to_symbol(state, system.grid, tau, trace=True).real


@pytest.mark.parametrize("make", [texture, three_orbitals, upper_chain, separable_chain])
def test_f_from_c_against_the_operator_of_the_state(make):
    """Slopes 1, 2, 3 at orders 0, 1, 2; for H0(k) + U(x) the first correction to f vanishes at uniform U."""
    dilations = [2.0, 4.0, 8.0] if make is three_orbitals else [1.0, 2.0, 4.0]
    errors = {0: [], 1: [], 2: []}
    for dilation in dilations:
        system = make().dilated(dilation)
        exact = exact_f(system)
        for order, found in errors.items():
            faces = system.effective(order).faces
            found.append(np.abs(faces.to("f", faces.from_face("c", system.occupation())) - exact).max())
    separable = make is separable_chain
    for order, expected in {0: 2 if separable else 1, 1: 2, 2: 3}.items():
        assert slope(dilations, errors[order]) == pytest.approx(expected, abs=0.25), errors[order]


@pytest.mark.parametrize("change", ["metric", "sign of metric", "second order of D", "first order of D"])
def test_each_part_of_the_map_from_c_to_f_is_needed(change):
    """The same comparison loses its slope when a part is dropped or turned around."""
    dilations, errors = [1.0, 2.0, 4.0], []
    for dilation in dilations:
        system = texture().dilated(dilation)
        effective = system.general(2)
        d_1, d_2 = system.general(1).density_of_states, effective.density_of_states
        changed = {
            "metric": {"metric": 0 * effective.metric},
            "sign of metric": {"metric": -effective.metric},
            "second order of D": {"density_of_states": d_1},
            "first order of D": {"density_of_states": 1 + d_2 - d_1},
        }[change]
        faces = replace(effective, **changed).faces
        f = faces.to("f", faces.from_face("c", system.occupation()))
        errors.append(np.abs(f - exact_f(system)).max())
    assert slope(dilations, errors) < 2.5
