"""The compiled engine: flows against the terms, orders of the schemes, conservation."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from systems import gentle_texture, relative, separable_chain, separable_plane

from wigner_sim import parallel
from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kernels.layout import MovedAxes, mode_pairs
from wigner_sim.kernels.passes import FROM_MODES, TO_MODES, BlockPass, SumOfFactors
from wigner_sim.kinetics import fused
from wigner_sim.kinetics.band_stack import BandStack
from wigner_sim.kinetics.fused import Stage, TimedFlow, around_modes, group_stages
from wigner_sim.kinetics.magnetic_moyal import MagneticMoyal, series_of, sizes_of
from wigner_sim.kinetics.options import GeometricTerms
from wigner_sim.kinetics.terms import PhaseSpaceFlow
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS
from wigner_sim.steppers.splitting import BLANES_MOAN4
from wigner_sim.symbols import SymbolSpace

pytest.importorskip("numba")


SYSTEMS = {
    "(x; kx)": separable_chain(n=24),
    "(x; kx, ky)": separable_plane(1, n_x=12, n_k=14),
    "(x, y; kx, ky)": separable_plane(2, n_x=10, n_k=12),
    "(x, y; kx, ky) with B": separable_plane(2, n_x=10, n_k=14, flux=0.1),
}


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def advance(evolution, w, duration, n_steps, stepper="blanes_moan4"):
    for n in range(n_steps):
        w = STEPPERS[stepper].step(evolution, w, n * duration / n_steps, duration / n_steps)
    return w


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(parallel, "_threads", 2)


# --- flows ---


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
@pytest.mark.parametrize("order", [0, 2])
def test_exact_flows_are_those_of_the_terms(system, order):
    equation = system.evolution(order, split=True).equation()
    w = noise(system.grid.shape)
    for term, name in zip(equation.flows, "AB", strict=False):
        out = np.empty_like(w)
        equation.fused.advance(w, out, [TimedFlow(name, 0.7)])
        np.testing.assert_allclose(out, term.flow(w, 0.0, 0.7), atol=1e-13)


@pytest.mark.parametrize("system", [s for s in SYSTEMS.values() if s.grid.cell_flux is None])
def test_exact_flows_to_all_orders_are_those_of_the_terms(system):
    equation = system.evolution(2, split=True, moyal_series="all_orders").equation()
    w = noise(system.grid.shape)
    for term, name in zip(equation.flows, "AB", strict=False):
        out = np.empty_like(w)
        equation.fused.advance(w, out, [TimedFlow(name, 0.7)])
        np.testing.assert_allclose(out, term.flow(w, 0.0, 0.7), atol=1e-13)


@pytest.mark.parametrize("s", [0, 1, 2])
def test_mixed_third_derivatives_are_those_of_the_moyal_term(s):
    errors = []
    for n_k in (24, 36):
        system = separable_plane(s, n_x=10, n_k=n_k, flux=0.1)
        equation = system.evolution(2, split=True, engine="numpy").equation()
        rest = equation.flows[-1]
        assert rest.third_derivative
        expected = PhaseSpaceFlow(system.space, _Along(rest.velocity, ()), rest.third_derivative).rhs
        w = _slow_modes(system.occupation())
        part = MagneticMoyal(system.space, _band_energy(system))
        errors.append(relative(part.rhs(w, 0.0) - expected(w, 0.0), expected(w, 0.0)))
        assert abs(part.rhs(noise(w.shape), 0.0).sum()) < 1e-12 * w.size
    assert errors[0] < 2e-4
    assert errors[1] < 1e-2 * errors[0]


def test_mixed_third_derivatives_leave_the_fastest_modes_alone():
    system = SYSTEMS["(x, y; kx, ky) with B"]
    part = system.evolution(2, split=True).equation().fused.magnetic
    w = noise(system.grid.shape)
    slow = _slow_modes(w)
    assert 0.1 < relative(slow, w) < 0.8
    assert relative(part.rhs(w - slow, 0.0), part.rhs(slow, 0.0)) < 1e-13
    np.testing.assert_allclose(part.rhs(w, 0.0), part.rhs(slow, 0.0), atol=1e-13 * abs(w).max())
    moved = part.flow(w, 0.0, 1.0) - w
    assert relative(moved - _slow_modes(moved), moved) < 1e-11


def test_products_have_room_for_their_modes():
    for n in range(1, 400):
        largest, of_energy = sizes_of(n)
        assert 2 * largest + of_energy < n
        assert 2 * of_energy < n
    assert sizes_of(48) == (18, 11)


def test_third_derivatives_that_vanish_cost_nothing():
    grid = PhaseSpaceGrid((4,), (12, 12), (4.0,), np.array([[0.0, 0.7], [-0.7, 0.0]]))
    kx, ky = np.ix_(*grid.axis_points[1:])
    for energy, count in ((np.cos(kx) + np.cos(2 * ky), 2), (np.cos(kx) * np.cos(ky), 4), (0 * kx * ky, 0)):
        part = MagneticMoyal(SymbolSpace(grid), energy[None])
        assert len(part._products) == count
    w = noise(grid.shape)
    assert not part.rhs(w, 0.0).any()
    np.testing.assert_array_equal(part.flow(w, 0.0, 1.0), w)


def _slow_modes(w):
    """Those in the ball of four fifths of the largest q of each position axis."""
    axes = range(w.ndim - 2)
    square = sum(
        (4 * np.fft.fftfreq(w.shape[axis]) ** 2).reshape([-1 if a == axis else 1 for a in range(w.ndim)])
        for axis in axes
    )
    return np.fft.ifftn(np.fft.fftn(w, axes=axes) * (square < (4 / 5) ** 2), axes=axes).real


@pytest.mark.parametrize("n_k", [(12, 12), (9, 10), (7, 15)])
def test_mixed_third_derivatives_are_antisymmetric_on_any_grid(n_k):
    """Nothing grows, however badly the grid resolves the band."""
    grid = PhaseSpaceGrid((4,), n_k, (4.0,), np.array([[0.0, 0.7], [-0.7, 0.0]]))
    energy = np.random.default_rng(0).normal(size=(1, *n_k))
    part = MagneticMoyal(SymbolSpace(grid), energy)
    u, v = noise(grid.shape), np.random.default_rng(1).normal(size=grid.shape)
    forth, back = np.vdot(u, part.rhs(v, 0.0)), np.vdot(part.rhs(u, 0.0), v)
    scale = np.linalg.norm(u) * np.linalg.norm(part.rhs(v, 0.0))
    assert abs(forth + back) < 1e-12 * scale
    assert abs(forth) > 1e-3 * scale


def test_the_flow_of_the_mixed_third_derivatives_is_their_exponential():
    system = SYSTEMS["(x, y; kx, ky) with B"]
    part = system.evolution(2, split=True).equation().fused.magnetic
    w = noise(system.grid.shape)
    tau = 0.5 / part.spectral_radius(0.0)
    term = expected = w
    for n in range(1, 16):
        term = tau / n * part.rhs(term, 0.0)
        expected = expected + term
    assert relative(part.flow(w, 0.0, tau) - expected, w) < 1e-3
    assert relative(part.flow(w, 0.0, 40 * tau), w) < 3.0
    np.testing.assert_allclose(part.flow(part.flow(w, 0.0, 0.01 * tau), 0.0, -0.01 * tau), w, atol=1e-9)


@pytest.mark.parametrize("sizes", [(1, 12, 14), (2, 10, 12), (2, 9, 10)], ids=str)
@pytest.mark.parametrize(("kind", "tolerance"), [(float, 1e-14), (np.float32, 2e-6)])
@pytest.mark.parametrize("reach", [0.05, 1.0, 3.0, 10.0])
def test_mixed_third_derivatives_in_blocks_are_those_on_whole_arrays(
    sizes, kind, tolerance, reach, two_threads
):
    s, n_x, n_k = sizes
    system = separable_plane(s, n_x=n_x, n_k=n_k, flux=0.1)
    flows = system.evolution(2, split=True).equation().fused
    w = noise(system.grid.shape)
    tau = reach / flows.magnetic.spectral_radius(0.0)
    expected = flows.magnetic.flow(w, 0.0, tau)
    moved = w.astype(kind)
    flows.advance(moved, moved, [TimedFlow("M", tau)])
    assert relative(moved - expected, expected) < tolerance
    assert relative(expected - w, w) > 0.3 * min(reach, 1.0) * 0.1


def test_the_degree_follows_the_rate():
    series = [series_of(dt, 2.0) for dt in (2.5e-5, 0.0025, 1.0, -1.5, 3.25)]
    assert [(len(factors), n) for factors, n in series] == [(2, 1), (3, 1), (4, 1), (5, 1), (5, 2)]
    assert [factors[-1] * n for factors, n in series] == [2.5e-5, 0.0025, 1.0, -1.5, 3.25]


@pytest.mark.parametrize("n_points", [(6,), (9,), (8, 5), (6, 4)])
def test_half_a_pass_ends_at_the_modes_and_the_other_begins_there(n_points):
    axes = MovedAxes(1, n_points, tuple(float(n) for n in n_points), 35)
    n = axes.n_moved
    half = BlockPass(axes, SumOfFactors(np.zeros((n, 1)), np.ones((1, 35))))
    w = noise((*n_points, 35))
    modes = w.ravel().copy()
    half.run(modes, modes, 0.0, half=TO_MODES)
    expected = np.fft.fftn(w, axes=range(len(n_points))).reshape(n, 35) / n
    rows = modes.reshape(n, 35)
    for own, other in mode_pairs(n_points):
        np.testing.assert_allclose(rows[own], expected[own].real, atol=1e-15)
        if other != own:
            np.testing.assert_allclose(rows[other], expected[own].imag, atol=1e-15)
    half.run(modes, modes, 0.0, half=FROM_MODES)
    np.testing.assert_allclose(modes, w.ravel(), atol=1e-14)


def test_what_acts_on_modes_stands_between_halves_of_passes():
    def which(names):
        stages = around_modes(list(group_stages([TimedFlow(name, 0.1) for name in names])))
        return [(stage.which, stage.half) for stage in stages]

    to, back = ("A", TO_MODES), ("A", FROM_MODES)
    assert which("XAMAX") == [to, ("M", 0), back]
    assert which("KMB") == [("B", 0), to, ("M", 0), back, ("B", 0)]
    assert which("MAMA") == [to, ("M", 0), back, to, ("M", 0), back]
    assert which("XAXM") == [("A", 0), to, ("M", 0), back]


def test_a_field_joins_the_shared_passes():
    flows = SYSTEMS["(x, y; kx, ky) with B"].evolution(2, split=True).equation().fused
    sequence = [TimedFlow(name, 0.1 + 0.02 * j) for j, name in enumerate("MAXKBKXAMAMXBM")]
    w = noise(flows.grid.shape)
    together, single = w.copy(), w.copy()
    flows.advance(together, together, sequence)
    for name, tau, _ in sequence:
        if name == "M":
            single = flows.magnetic.flow(single, 0.0, tau)
        else:
            flows.advance(single, single, [TimedFlow(name, tau)])
    np.testing.assert_allclose(together, single, atol=1e-12)


def test_a_velocity_takes_no_more_products_than_its_rank():
    x, k = noise((30, 3)), noise((2, 20), 1)
    products = fused._fewest_products(np.c_[x, x @ [[1.0], [2.0], [3.0]]], np.r_[k, k[:1], np.zeros((1, 20))])
    assert products.own.shape[1] == 2
    np.testing.assert_allclose(
        products.own @ products.lanes, x[:, :2] @ k + np.outer(x[:, 2], k[0]), atol=1e-13
    )


def _band_energy(system):
    return system.evolution(0).effective().energy[0].mean(axis=system.grid.position_axes, keepdims=True)


class _Along:
    """Some components of a velocity."""

    def __init__(self, velocity, axes):
        self._velocity, self._axes = velocity, axes

    def component(self, axis):
        return self._velocity.component(axis) if axis in self._axes else None

    def largest_speed(self, axis):
        return self._velocity.largest_speed(axis) if axis in self._axes else 0.0


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
@pytest.mark.parametrize("kick", "XK")
@pytest.mark.parametrize(
    ("reach", "small", "large"), [(5e-4, 2, 2), (5e-3, 2, 3), (0.1, 2, 4), (0.9, 3, 4), (1.4, 4, 5)]
)
def test_a_kick_is_the_taylor_series_of_the_remainder(system, kick, reach, small, large):
    flows = system.evolution(2, split=True).equation().fused
    assert flows.large_kicks == ("K" if system.grid.cell_flux is not None else "")
    order = large if kick in flows.large_kicks else small
    s = system.grid.n_position_axes
    axes = range(s) if kick == "X" else range(s, system.grid.n_axes)
    part = PhaseSpaceFlow(system.space, _Along(flows.remainder, axes), {})
    w = noise(system.grid.shape)
    tau = reach / flows._rate(kick)
    expected = term = w
    for n in range(1, order + 1):
        term = tau / n * part.rhs(term, 0.0)
        expected = expected + term
    out = np.empty_like(w)
    flows.advance(w, out, [TimedFlow(kick, tau)])
    assert relative(out - expected, expected) < 1e-12


def test_a_long_kick_is_cut_into_stable_ones():
    flows = SYSTEMS["(x; kx)"].evolution(2, split=True).equation().fused
    tau = 7.0 / flows._rate("X")
    stages = list(flows._stages([TimedFlow("X", tau), TimedFlow("A", 0.3), TimedFlow("X", 0.5 * tau)]))
    assert len(stages) == 5
    assert sum(stage.times[0] for stage in stages) == pytest.approx(tau)
    assert sum(stage.times[2] for stage in stages) == pytest.approx(0.5 * tau)
    assert sum(stage.times[1] for stage in stages) == 0.3


def test_neighbours_share_a_pass():
    g = [TimedFlow(name, 0.1) for name in "AXKBBKXAAX"]
    assert [stage.which for stage in group_stages(g)] == ["A", "B", "A"]
    assert list(group_stages(g))[2] == Stage("A", (0.1, 0.2, 0.1))
    assert [
        s.times
        for s in group_stages([TimedFlow(*flow) for flow in (("X", 1.0), ("A", 2.0), ("X", 3.0), ("A", 4.0))])
    ] == [
        (1.0, 2.0, 3.0),
        (0.0, 4.0, 0.0),
    ]


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_a_shared_pass_is_the_same_as_flows_one_by_one_and_in_place(system, two_threads):
    flows = system.evolution(2, split=True).equation().fused
    sequence = [TimedFlow(name, 0.1 + 0.02 * j) for j, name in enumerate("XAXKBKBXA")]
    w = noise(system.grid.shape)
    out, single = np.empty_like(w), w.copy()
    flows.advance(w, out, sequence)
    for flow in sequence:
        flows.advance(single, single, [flow])
    np.testing.assert_allclose(out, single, atol=1e-12)
    in_place = w.copy()
    flows.advance(in_place, in_place, sequence)
    np.testing.assert_array_equal(in_place, out)


def test_nothing_to_do_is_a_copy():
    flows = SYSTEMS["(x; kx)"].evolution(0, split=True).equation().fused
    w = noise((24, 24))
    out = np.empty_like(w)
    flows.advance(w, out, [TimedFlow("X", 0.3), TimedFlow("A", 0.0)])
    np.testing.assert_array_equal(out, w)


@pytest.mark.parametrize("threads_in_use", [1, 2, 3])
def test_threads_change_no_bit(threads_in_use, monkeypatch):
    system = separable_plane(2, n_x=16, n_k=16)
    evolution, w = system.evolution(2, split=True), system.occupation()
    one = advance(evolution, w, 1.0, 1)
    monkeypatch.setattr(parallel, "_threads", threads_in_use)
    np.testing.assert_array_equal(advance(evolution, w, 1.0, 1), one)


# --- schemes ---


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_the_engine_arrives_where_the_plain_path_does(system):
    w = system.occupation()
    compiled = advance(system.evolution(2, split=True), w, 1.0, 8)
    plain = advance(system.evolution(2, split=True, engine="numpy"), w, 1.0, 8)
    if system.grid.cell_flux is not None:
        return  # other discretisations, see below
    assert relative(compiled - plain, w) < 2e-9
    bare = advance(system.evolution(0, split=True), w, 1.0, 4)
    plain = advance(system.evolution(0, split=True, engine="numpy"), w, 1.0, 4)
    assert relative(bare - plain, w) < 1e-13


def test_with_a_field_engine_and_plain_path_differ_by_the_error_of_the_grid():
    differences = []
    for n_k in (14, 20):
        system = separable_plane(1, n_x=24, n_k=n_k, flux=0.1)
        w = system.occupation()
        compiled = advance(system.evolution(2, split=True), w, 1.0, 8)
        plain = advance(system.evolution(2, split=True, engine="numpy"), w, 1.0, 8)
        differences.append(relative(compiled - plain, w))
    assert differences[0] < 5e-7
    assert differences[1] < 0.1 * differences[0]


@pytest.mark.parametrize(("stepper", "order"), [("strang", 2), ("blanes_moan4", 4)])
@pytest.mark.parametrize("flux", [0.0, 0.1, 0.8])  # a strong field shows kicks of too low an order
def test_schemes_keep_their_order_with_the_remainder(stepper, order, flux):
    system = separable_plane(2, sites=8.0, n_x=10, n_k=14, flux=flux)
    evolution, w = system.evolution(2, split=True), system.occupation()
    states = [advance(evolution, w, 4.0, n, stepper) for n in (8, 16, 32)]
    differences = [np.abs(a - b).max() for a, b in pairwise(states)]
    assert np.log2(differences[0] / differences[1]) == pytest.approx(order, abs=0.3)


def test_fewer_coefficients_than_the_scheme_wants_lose_the_order(monkeypatch):
    """Control: kicks with other fractions than the exact flows are not of order 4."""
    system = separable_plane(1, sites=8.0, n_x=12, n_k=14)
    evolution, w = system.evolution(2, split=True), system.occupation()
    monkeypatch.setattr(fused, "FLOWS", ("A", "B", "X", "K", "R", "M"))
    wrong = replace(STEPPERS["blanes_moan4"], fractions=BLANES_MOAN4[::-1][:6] * 2)
    states = []
    for n in (8, 16, 32):
        u = w
        for m in range(n):
            u = wrong.step(evolution, u, m * 4.0 / n, 4.0 / n)
        states.append(u)
    differences = [np.abs(a - b).max() for a, b in pairwise(states)]
    assert np.log2(differences[0] / differences[1]) < 3.0


@pytest.mark.parametrize("remainder", ["spectral", "stencil"])
@pytest.mark.parametrize("system", ["(x, y; kx, ky)", "(x, y; kx, ky) with B"])
def test_particle_number_is_kept_to_rounding(remainder, system):
    system = SYSTEMS[system]
    evolution, w = system.evolution(2, split=True, remainder=remainder), system.occupation()
    later = advance(evolution, w, 40.0, 40)
    assert abs(later.sum() / w.sum() - 1) < 1e-13
    assert np.abs(later - w).max() > 0.1 * w.max()


def test_the_stencil_converges_to_the_spectral_remainder():
    errors = []
    for n in (16, 32):
        system = separable_chain(sites=12.0, n=n)
        w = system.occupation()
        ends = [
            advance(system.evolution(2, split=True, remainder=kind), w, 3.0, 6)
            for kind in ("spectral", "stencil")
        ]
        errors.append(relative(ends[0] - ends[1], w))
    assert errors[0] > 1e-7
    assert np.log2(errors[0] / errors[1]) > 6.0


def test_single_precision_stays_within_its_rounding():
    system = SYSTEMS["(x, y; kx, ky)"]
    evolution, w = system.evolution(2, split=True), system.occupation()
    double, single = advance(evolution, w, 4.0, 4), advance(evolution, w.astype(np.float32), 4.0, 4)
    assert single.dtype == np.float32
    assert 1e-9 < relative(single - double, w) < 5e-6
    assert abs(single.sum(dtype=float) / w.sum() - 1) < 2e-7  # no bias of the normalisation adds up


# --- equations that are more than separable ---


@pytest.mark.parametrize(
    ("system", "options"),
    [
        (gentle_texture(n=24), {}),
        (SYSTEMS["(x; kx)"], {"terms": GeometricTerms(metric=False)}),
        (SYSTEMS["(x; kx)"], {"dealias": "smooth"}),
    ],
    ids=["texture", "a term switched off", "dealiased"],
)
def test_what_is_no_short_sum_acts_beside_the_blocks(system, options):
    evolution = system.evolution(2, split=True, **options)
    assert evolution.equation().fused.names == ("A", "B", "R")
    w = system.occupation()
    plain = system.evolution(2, split=True, engine="numpy", **options)
    assert relative(advance(evolution, w, 1.0, 3) - advance(plain, w, 1.0, 3), w) < 1e-11
    with pytest.raises(CaseError, match="stencil"):
        system.evolution(2, split=True, remainder="stencil", **options).equation()


class _Decay:
    """Relaxation to the mean over bands."""

    def rhs(self, w, t):
        return w.mean(axis=0) - w

    def flow(self, w, t, dt):
        return w.mean(axis=0) + np.exp(-dt) * (w - w.mean(axis=0))

    def spectral_radius(self, t):
        return 1.0


def test_couplings_act_between_the_blocks():
    system = SYSTEMS["(x; kx)"]
    w = np.stack([system.occupation(), 0.3 * system.occupation() ** 2])

    def stack(engine):
        bands = [replace(system, band=band).evolution(2, split=True, engine=engine) for band in (0, 1)]
        return BandStack(bands, [_Decay()])

    kept = w.copy()
    compiled, plain = (advance(stack(engine), w, 2.0, 16) for engine in ("auto", "numpy"))
    np.testing.assert_array_equal(w, kept)
    assert relative(compiled - plain, w) < 1e-7
    assert relative(advance(BandStack(stack("auto").bands), w, 2.0, 16) - plain, w) > 1e-2


def test_a_propagator_steps_in_place_on_its_own_array():
    system = SYSTEMS["(x; kx)"]
    start = system.occupation()
    kept = start.copy()
    propagator = Propagator(system.evolution(2, split=True), STEPPERS["blanes_moan4"], start, 0.1)
    propagator.advance(1.0)
    own = propagator.w
    propagator.advance(1.0)
    assert propagator.w is own
    np.testing.assert_array_equal(start, kept)
    np.testing.assert_array_equal(own, advance(system.evolution(2, split=True), start, 0.2, 2))
