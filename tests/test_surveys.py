"""Scalars of large grids: one reading of w, bounds that say where c can be extreme, sampled spectra."""

from dataclasses import replace
from math import prod

import numpy as np
import pytest
from systems import separable_chain

from wigner_sim import parallel
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kernels.factor_passes import FactorPass
from wigner_sim.kernels.layout import MovedAxes, mode_pairs
from wigner_sim.kernels.passes import SumOfFactors
from wigner_sim.kernels.sampled_spectra import SampledSpectra
from wigner_sim.kernels.survey_passes import LaneSurvey, SurveyPass
from wigner_sim.kinetics import faces, low_rank, mode_smearing
from wigner_sim.kinetics.lane_bounds import extremes_within
from wigner_sim.kinetics.mode_smearing import ModeSmearing
from wigner_sim.observables import BandFlows, BandState, flow, quality, sums
from wigner_sim.observables.table import measure
from wigner_sim.validity import adiabaticity, metric_smearing

WATCHED = ("particle_number", "energy", "occupation_min", "occupation_max")
SCALARS = (*WATCHED, "current_total", "spectral_tail_x")


def noise(shape, seed=3):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture
def threads():
    before = parallel.thread_count()
    yield parallel.set_thread_count
    parallel.set_thread_count(before)


def roughness(values, n_position_axes):
    """``|sum over the neighbours of (value there - value here)|``."""
    steps = (np.roll(values, by, a) - values for a in range(n_position_axes) for by in (1, -1))
    return np.abs(sum(steps))


@pytest.mark.parametrize("n_x", [(7,), (6, 10), (3, 4, 5)])
@pytest.mark.parametrize(("n_lanes", "terms"), [(16, 1), (41, 4), (96, 9)])
@pytest.mark.parametrize(("kind", "tolerance"), [("f8", 1e-13), ("f4", 2e-5)])
def test_a_survey_is_sums_ranges_and_roughness(n_x, n_lanes, terms, kind, tolerance):
    pytest.importorskip("numba")
    w, weights = noise((*n_x, n_lanes)).astype(kind), noise((prod(n_x), terms), 1)
    seen = SurveyPass(MovedAxes(1, n_x, (1.0,) * len(n_x), n_lanes), weights).run(w.ravel())
    lanes = w.reshape(-1, n_lanes)
    np.testing.assert_allclose(seen.sums, weights.T @ lanes.astype(float), atol=tolerance * prod(n_x))
    np.testing.assert_array_equal(seen.lowest, lanes.min(axis=0))
    np.testing.assert_array_equal(seen.highest, lanes.max(axis=0))
    expected = roughness(w.astype(float), len(n_x)).reshape(-1, n_lanes).max(axis=0)
    np.testing.assert_allclose(seen.roughest, expected, rtol=10 * tolerance)


def test_what_is_not_finite_shows_in_the_sums():
    pytest.importorskip("numba")
    w = noise((6, 40))
    w[3, 21] = np.nan
    sums_of_lanes = SurveyPass(MovedAxes(1, (6,), (1.0,), 40), np.ones((6, 1))).run(w.ravel()).sums[0]
    assert np.flatnonzero(~np.isfinite(sums_of_lanes)).tolist() == [21]


def test_functions_share_their_functions_of_position():
    grid = PhaseSpaceGrid((40,), (50,), (40.0,))
    x, k = noise((40, 3)), noise((2, 3, 50), 1)
    functions = [5.0 + x @ each for each in k]
    factors = low_rank.shared_products(grid, functions)
    assert factors.x.shape == (40, 4)  # three, and what they are at the first position
    np.testing.assert_array_equal(factors.x[:, 0], 1.0)
    for values, each in zip(functions, factors.k, strict=True):
        np.testing.assert_allclose(factors.x @ each, values, rtol=0, atol=2e-13)
    assert low_rank.shared_products(grid, [*functions, noise((40, 50), 2)]) is None


def smearing(n_x, n_k, kind="smooth"):
    """S of a metric that depends on momentum, with a divisor that depends on everything."""
    s, shape = len(n_x), (*n_x, *n_k)
    terms, of_k = [], (*(1,) * s, *n_k)
    for a in range(s):
        for b in range(a, s):
            q = np.ones((1,) * len(shape))
            for axis in (a, b):
                wave = 2 * np.pi * np.fft.fftfreq(n_x[axis])
                wave[n_x[axis] // 2] = 0.0
                q = q * wave.reshape([-1 if j == axis else 1 for j in range(len(shape))])
            terms.append((q, 0.1 * noise(of_k, 10 * a + b)))
    wave = np.cos(2 * np.pi * np.arange(n_x[0]) / n_x[0]).reshape(-1, *(1,) * (len(shape) - 1))
    return ModeSmearing(shape, s, tuple(range(s)), terms, 2.0 + 0.3 * wave * np.tanh(noise(of_k, 50)))


def density(shape, n_position_axes, rough):
    """A smooth density, or noise, or both."""
    points = np.meshgrid(*(2 * np.pi * np.arange(n) / n for n in shape), indexing="ij")
    weight = [0.7] * n_position_axes + [2.0] * len(points[n_position_axes:])
    smooth = np.exp(sum(a * np.cos(z - 1 - j) for j, (a, z) in enumerate(zip(weight, points, strict=True))))
    return smooth + rough * noise(shape, 7)


@pytest.mark.parametrize("rough", [0.0, 1e-6, 0.02, 3.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("n_x", "n_k"), [((24,), (9, 32)), ((16, 16), (5, 36))])
def test_values_are_within_their_bounds_and_the_extremes_are_found(monkeypatch, rough, sign, n_x, n_k):
    pytest.importorskip("numba")
    monkeypatch.setattr(mode_smearing, "LARGE", 1)
    by_modes = smearing(n_x, n_k)
    w = density(by_modes.shape, len(n_x), rough)
    axes = MovedAxes(1, n_x, (1.0,) * len(n_x), prod(n_k))
    seen = SurveyPass(axes, np.ones((prod(n_x), 1))).run(w.ravel())
    values = by_modes.added(w, sign).reshape(-1, prod(n_k))
    lowest, highest = by_modes._bounds.enclosures(seen)
    assert (lowest <= values.min(axis=0)).all()
    assert (highest >= values.max(axis=0)).all()
    measured, whole = [], FactorPass.extremes

    def counted(self, source, sign=1.0, blocks=None):
        measured.append(0 if blocks is None else len(blocks))
        return whole(self, source, sign, blocks)

    monkeypatch.setattr(FactorPass, "extremes", counted)
    assert by_modes.extremes(w, sign, seen) == by_modes.extremes(w, sign)  # to the last bit
    if rough < 1e-3 and len(n_x) == 1:
        assert 0 < sum(measured) < prod(n_k) / 16  # not all of them


def test_bounds_are_no_larger_than_they_have_to_be():
    """For one position axis and a second derivative the gain is the sum of the absolute kernel."""
    n_x, n_k = (16,), (20,)
    by_modes = replace(smearing(n_x, n_k), divisor=None)
    bounds = by_modes._bounds
    q, g = by_modes.terms[0]
    laplace = 4 * np.sin(np.pi * np.fft.fftfreq(16)) ** 2
    ratio = q.ravel() ** 1.0 / np.where(laplace > 0, laplace, 1.0)
    ratio[0] = ratio[1]
    kernel = np.fft.ifft(ratio).real
    np.testing.assert_allclose(bounds.gain, np.abs(g).ravel() * np.abs(kernel).sum(), rtol=1e-12)
    assert 1.0 < np.abs(kernel).sum() < 4.0


def test_extremes_are_looked_for_until_no_block_can_have_larger_ones():
    low, high = noise(50, 1) - 3, noise(50, 2) + 3
    lower, upper, asked = low - np.abs(noise(50, 4)), high + np.abs(noise(50, 5)), []

    def measure(blocks):
        asked.extend(blocks)
        return low[blocks].min(), high[blocks].max()

    assert extremes_within(lower, upper, measure) == (low.min(), high.max())
    assert len(asked) == len(set(asked)) < 50
    upper[17] = np.nan
    asked.clear()
    extremes_within(lower, upper, measure)
    assert sorted(asked) == list(range(50))


@pytest.mark.parametrize(
    ("n_x", "n_k"), [((6, 10), (8, 9)), ((12,), (20, 7)), ((6, 5), (33,)), ((4, 5, 6), (4, 6)), ((8,), (64,))]
)
@pytest.mark.parametrize(("kind", "tolerance"), [("f8", 1e-12), ("f4", 1e-4)])
def test_spectra_of_sampled_lines_before_and_after_a_factor(n_x, n_k, kind, tolerance):
    pytest.importorskip("numba")
    w, axes = noise((*n_x, *n_k)).astype(kind), tuple(range(len(n_x)))
    own, lanes = noise((prod(n_x), 2), 1), noise((2, prod(n_k)), 2)
    here, there = mode_pairs(n_x).T
    own[there] = own[here]
    factor = (own @ lanes).reshape(w.shape)
    smeared = w + np.fft.ifftn(factor * np.fft.fftn(w, axes=axes), axes=axes).real
    found = SampledSpectra(n_x, n_k, 2, SumOfFactors(own, lanes)).largest_squares(w)
    assert len(found) == 2
    for values, by_axis in zip((w, smeared), found, strict=True):
        for axis in axes:
            lines = values[tuple(slice(None, None, 1 if j == axis else 2) for j in range(w.ndim))]
            others = tuple(j for j in range(w.ndim) if j != axis)
            expected = np.abs(np.fft.rfft(lines, axis=axis)).max(axis=others) ** 2
            np.testing.assert_allclose(by_axis[axis], expected, rtol=tolerance)
    alone = SampledSpectra(n_x, n_k, 2).largest_squares(w)
    assert len(alone) == 1
    np.testing.assert_array_equal(alone[0][0], found[0][0])


@pytest.fixture
def chain_states(monkeypatch):
    """The same state seen by compiled blocks, and from whole arrays."""
    pytest.importorskip("numba")
    system = separable_chain(n=24)
    grid = system.grid
    x, k = (points.reshape(-1, 1) if j == 0 else points for j, points in enumerate(grid.axis_points))
    w = np.exp(np.cos(2 * np.pi * x / 24 - 1) + 2 * np.cos(k - 0.3) - 2)

    def state(limit, **how):
        for module in (mode_smearing, quality, sums, flow, faces):
            monkeypatch.setattr(module, "LARGE", limit)
        known = BandFlows(system.evolution(2)).at(0.0)
        return BandState(known.effective, w, known, **how)

    return state


def test_numbers_of_one_reading_are_those_of_whole_arrays(chain_states):
    plain = chain_states(1 << 40)
    expected = measure(plain, SCALARS[:5])
    assert plain.flow.survey_tables is None
    read = chain_states(1, metered=True)
    found = measure(read, SCALARS)
    assert read.flow.survey_tables is not None
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-13)
    # two routes to the spectrum of f at every second k
    lines = read.f[:, ::2]
    amplitudes = np.abs(np.fft.rfft(lines, axis=0)).max(axis=1)
    np.testing.assert_allclose(np.sqrt(read.band_density_spectra[0]), amplitudes, atol=1e-13 * amplitudes[0])
    assert np.abs(np.fft.rfft(read.w[:, ::2] - lines, axis=0)).max() > 1e-4 * amplitudes[0]
    assert adiabaticity(read) == adiabaticity(chain_states(1 << 40))
    apart = chain_states(1)
    np.testing.assert_array_equal(apart.density_spectra[0], read.density_spectra[0])
    assert metric_smearing(apart) == metric_smearing(read)


def test_threads_change_no_bit_of_a_record(chain_states, threads, monkeypatch):
    monkeypatch.setattr("wigner_sim.kernels.survey_passes.WORTH_SHARING", 1)
    monkeypatch.setattr("wigner_sim.kernels.sampled_spectra.WORTH_SHARING", 1)
    results = []
    for n in (1, 2, 3):
        threads(n)
        state = chain_states(1, metered=True)
        values = measure(state, SCALARS)
        results.append([np.asarray(v).tobytes() for v in values.values()] + [metric_smearing(state).hex()])
    assert results[0] == results[1] == results[2]


def test_a_lane_survey_can_be_made_by_hand():
    """What the bounds take: a constant density has no roughness, and its bounds are its own values."""
    by_modes = replace(smearing((8,), (5,)), divisor=None)
    seen = LaneSurvey(np.full((1, 5), 8.0), np.ones(5), np.ones(5), np.zeros(5))
    lowest, highest = by_modes._bounds.enclosures(seen)
    np.testing.assert_allclose(lowest, 1.0, rtol=0, atol=1e-8)
    np.testing.assert_allclose(highest, 1.0, rtol=0, atol=1e-8)


def test_what_the_divisor_adds_is_within_the_bounds():
    """A constant density has no roughness, w over a divisor has, and S makes something of it."""
    by_modes = smearing((24,), (9, 32))
    values = by_modes._made(np.ones(by_modes.shape), 1.0).reshape(24, -1)
    seen = LaneSurvey(*(np.full((1, 288), 24.0), *np.ones((2, 288)), np.zeros(288)))
    lowest, highest = by_modes._bounds.enclosures(seen)
    assert (lowest <= values.min(axis=0)).all()
    assert (highest >= values.max(axis=0)).all()
    below = by_modes.divisor.reshape(24, -1)
    assert (
        values.max(axis=0) > 1.0001 / below.min(axis=0)
    ).any()  # w over the divisor alone does not hold them
