"""What a record is made of on large grids: compiled blocks against plain arrays, and thread by thread."""

from dataclasses import replace

import numpy as np
import pytest
from systems import separable_chain

from wigner_sim import parallel
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kernels import numba_is_usable
from wigner_sim.kernels.factor_passes import FactorPass
from wigner_sim.kernels.layout import MovedAxes, mode_pairs
from wigner_sim.kernels.line_spectra import largest_squares
from wigner_sim.kernels.passes import SumOfFactors
from wigner_sim.kinetics import low_rank, mode_smearing
from wigner_sim.kinetics.mode_smearing import ModeSmearing
from wigner_sim.observables import BandFlows, BandState, quality
from wigner_sim.observables.sums import momentum_averages, survey
from wigner_sim.validity import adiabaticity, metric_smearing

RNG_SEED = 3


def noise(shape, seed=RNG_SEED):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture
def threads():
    before = parallel.thread_count()
    yield parallel.set_thread_count
    parallel.set_thread_count(before)


def smearing(n_x=(6, 10), n_k=(8, 9), divisor=None):
    """S of a metric that depends on momentum, on a small plane."""
    grid = PhaseSpaceGrid(n_x, n_k, tuple(float(n) for n in n_x))
    s, terms = len(n_x), []
    for a in range(s):
        for b in range(a, s):
            q = np.ones((1,) * len(grid.shape))
            for axis in (a, b):
                wave = 2 * np.pi * np.fft.fftfreq(n_x[axis])
                wave[n_x[axis] // 2] = 0.0
                q = q * wave.reshape([-1 if j == axis else 1 for j in range(len(grid.shape))])
            terms.append((q, noise((*(1,) * s, *n_k), 10 * a + b)))
    return grid, ModeSmearing(grid.shape, s, tuple(range(s)), terms, divisor)


def plain(by_modes, w, sign):
    """``u + sign S u / divisor`` by numpy's transforms of the whole array."""
    below = 1.0 if by_modes.divisor is None else by_modes.divisor
    u, factor = w / below, sum(q * g for q, g in by_modes.terms)
    return (
        u + sign * np.fft.ifftn(factor * np.fft.fftn(u, axes=by_modes.axes), axes=by_modes.axes).real / below
    )


def as_products(grid, values):
    u, s, v = np.linalg.svd(values.reshape(int(np.prod(grid.n_x)), -1), full_matrices=False)
    return low_rank.Factors(u * s, v)


@pytest.mark.parametrize("divided", ["no", "stored", "products"])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_faces_by_modes_are_those_of_plain_transforms(monkeypatch, divided, compiled, sign):
    if compiled and not numba_is_usable():
        pytest.skip("without compiled kernels")
    monkeypatch.setattr(mode_smearing, "LARGE", 1 if compiled else 1 << 40)
    grid, by_modes = smearing()
    w = noise(grid.shape)
    if divided != "no":
        x, k = noise((*grid.n_x, 1, 1), 1), noise((1, 1, *grid.n_k), 2)
        by_modes = replace(by_modes, divisor=3.0 + 0.5 * np.sin(x) * np.cos(k))
    if divided == "products":
        by_modes = replace(by_modes, divisor_factors=as_products(grid, by_modes.divisor))
    expected = plain(by_modes, w, sign)
    assert by_modes.is_compiled == compiled
    scale = np.abs(expected).max()
    assert np.abs(expected - plain(by_modes, w, -sign)).max() > 0.1 * scale  # the sign matters
    np.testing.assert_allclose(by_modes.added(w, sign), expected, rtol=0, atol=3e-14 * scale)
    found = by_modes.extremes(w, sign)
    np.testing.assert_allclose(found, (expected.min(), expected.max()), rtol=0, atol=3e-14 * scale)
    single = by_modes.added(w.astype("f4"), sign)
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, expected, rtol=0, atol=1e-5 * scale)
    thin = by_modes.added_at_every(w, 2)
    kept = replace(by_modes, divisor=None, divisor_factors=None)
    np.testing.assert_allclose(thin, plain(kept, w, 1.0)[..., ::2, ::2], rtol=0, atol=3e-14 * scale)


@pytest.mark.parametrize("n_points", [(6,), (5, 8), (4, 6, 5), (98, 4)])
@pytest.mark.parametrize(("outer", "inner"), [(1, 40), (21, 1), (3, 7)])
def test_a_factor_pass_over_any_axes(n_points, outer, inner):
    pytest.importorskip("numba")
    axes = MovedAxes(outer, n_points, (3.0,) * len(n_points), inner)
    even = noise((axes.n_moved, 2))
    own, other = mode_pairs(n_points).T
    even[other] = even[own]
    lanes = noise((2, axes.n_lanes), 1)
    w = noise((outer, *n_points, inner), 2)
    where = tuple(range(1, 1 + len(n_points)))
    factor = np.moveaxis((even @ lanes).reshape(*n_points, outer, inner), -2, 0)
    expected = w - np.fft.ifftn(factor * np.fft.fftn(w, axes=where), axes=where).real
    one = FactorPass(axes, SumOfFactors(even, lanes))
    out = w.ravel().copy()
    one.apply(out, out, -1.0)
    np.testing.assert_allclose(out.reshape(w.shape), expected, atol=2e-13)
    lowest, highest = one.extremes(w.ravel(), -1.0)
    np.testing.assert_allclose(lowest, expected.min(axis=where).ravel(), atol=2e-13)
    np.testing.assert_allclose(highest, expected.max(axis=where).ravel(), atol=2e-13)
    w[-1, ..., -1] = np.nan
    lowest, highest = one.extremes(w.ravel(), -1.0)
    assert np.isnan([lowest[-1], highest[-1]]).all()


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2), (2, 1, 3)])
@pytest.mark.parametrize(("kind", "tolerance"), [("f8", 1e-13), ("f4", 1e-5)])
def test_largest_amplitudes_of_sampled_lines(axis, strides, kind, tolerance):
    pytest.importorskip("numba")
    w = noise((12, 15, 10)).astype(kind)
    lines = w[tuple(slice(None, None, 1 if j == axis else stride) for j, stride in enumerate(strides))]
    expected = np.abs(np.fft.rfft(lines, axis=axis)).max(axis=tuple(j for j in range(3) if j != axis))
    np.testing.assert_allclose(np.sqrt(largest_squares(w, axis, strides)), expected, rtol=tolerance)


def test_threads_change_no_bit(monkeypatch, threads):
    pytest.importorskip("numba")
    monkeypatch.setattr(mode_smearing, "LARGE", 1)
    grid, by_modes = smearing((24, 24), (16, 32), divisor=2.0 + noise((24, 24, 16, 32)) ** 2)
    w, energy = noise(grid.shape, 4), noise(grid.shape, 5)
    weights = noise((3, *grid.n_k), 6)
    results = []
    for n in (1, 2, 3):
        threads(n)
        seen = survey(grid, w, energy)
        results.append(
            [
                by_modes.extremes(w, -1.0),
                by_modes.added(w).tobytes(),
                largest_squares(w, 1, (2, 1, 2, 2)).tobytes(),
                (seen.number, seen.energy, seen.by_momentum.tobytes()),
                momentum_averages(grid, w, weights).tobytes(),
            ]
        )
    assert results[0] == results[1] == results[2]


def test_a_survey_is_sums_and_maxima():
    grid = PhaseSpaceGrid((6, 5), (8, 7), (6.0, 5.0))
    w, energy, values = (noise(grid.shape, j) for j in range(3))
    w *= np.exp(-8 * noise(grid.shape, 3) ** 2)
    seen = survey(grid, w, energy)
    np.testing.assert_allclose(seen.number, grid.integrate(w), rtol=1e-12)
    np.testing.assert_allclose(seen.energy, grid.integrate(w * energy), rtol=1e-12)
    occupied = np.abs(w) > 1e-3 * np.abs(w).max()
    assert not occupied.all()
    values[~occupied] += 10.0  # where nothing is, nothing counts
    rows = values.reshape(30, -1).max(axis=1)
    assert seen.largest_where_occupied(values, w, rows) == values[occupied].max()
    of_k = noise(grid.n_k, 7)
    seen_at = np.broadcast_to(of_k, grid.shape)[occupied].max()
    assert seen.largest_momentum_where_occupied(of_k.ravel()) == seen_at
    averages = momentum_averages(grid, w, np.stack([of_k, of_k**2]))
    np.testing.assert_allclose(averages[1], grid.integrate_momenta(w * of_k**2), atol=1e-14)


def test_few_products_are_exact_or_none():
    grid = PhaseSpaceGrid((40,), (50,), (40.0,))
    x, k = noise((40, 3)), noise((3, 50), 1)
    short = low_rank.few_products(grid, 1.0 + 0.01 * (x @ k))
    assert short is not None
    assert short.n_terms <= 5  # three, what is left of the constant, the constant taken off
    np.testing.assert_allclose(short.rows(0, 40), 1.0 + 0.01 * (x @ k), rtol=0, atol=2e-15)
    assert low_rank.few_products(grid, noise((40, 50))) is None


@pytest.mark.parametrize("large", [True, False])
def test_scalars_of_a_state_are_those_of_its_faces(monkeypatch, large):
    """With all limits of size at 1 the numbers come from blocks and samples, else from whole arrays."""
    for module in (mode_smearing, quality):
        monkeypatch.setattr(module, "LARGE", 1 if large else 1 << 40)
    system = separable_chain(n=24)
    flow = BandFlows(system.evolution(2)).at(0.0)
    grid = flow.space.grid
    x, k = (points.reshape(-1, 1) if j == 0 else points for j, points in enumerate(grid.axis_points))
    w = np.exp(np.cos(2 * np.pi * x / 24 - 1) + 2 * np.cos(k - 0.3) - 2)
    state = BandState(flow.effective, w, flow)
    c = flow.effective.faces.occupation_from_density(w)
    symbol = flow.space.symbol(w / flow.effective.density_of_states)
    smeared = 0.5 * flow.effective.metric[1, 1] * symbol.derivative(0, 0)  # G_xx = g_kk
    np.testing.assert_allclose(c, (w - smeared) / flow.effective.density_of_states, atol=1e-13 * w.max())
    np.testing.assert_allclose(quality.occupation_minimum(state), c.min(), rtol=1e-12)
    np.testing.assert_allclose(quality.occupation_maximum(state), c.max(), rtol=1e-12)
    occupied = np.abs(w) > 1e-3 * np.abs(w).max()
    assert adiabaticity(state) == np.max(flow.turning_ratio, where=occupied, initial=0.0)
    amplitudes = np.abs(np.fft.rfft(state.f, axis=0)).max(axis=1)
    edge = np.flatnonzero(amplitudes > 1e-2 * amplitudes.max()).max()
    strength = np.broadcast_to(flow.effective.metric[1, 1], w.shape)[occupied].max()
    np.testing.assert_allclose(metric_smearing(state), strength * (2 * np.pi * edge / 24) ** 2, rtol=1e-12)
