"""Series cut early in a composition, and what they miss gathered in few of them."""

from dataclasses import replace
from itertools import pairwise
from math import factorial

import numpy as np
import pytest
from scipy.linalg import expm
from systems import separable_plane

from wigner_sim.kinetics.fused import TimedFlow
from wigner_sim.kinetics.magnetic_moyal import series_of
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import BLANES_MOAN4, STEPPERS
from wigner_sim.steppers.splitting import SERIES_CUT
from wigner_sim.steppers.truncation import LARGE_REACH, SMALL_REACH, Gathering, nested, taylor

SCHEME = STEPPERS["blanes_moan4"]
BASIC = SERIES_CUT.polynomials(BLANES_MOAN4)
OUTER = [act.polynomials for act in SCHEME._sequence(3) if act.part == 0]

KINDS = {
    "small": ([each.small for each in BASIC], 3),
    "large": ([each.large for each in BASIC], 4),
    "outer": ([each.large for each in OUTER], 4),
}


def product(series):
    """Coefficients of the product of the polynomials, from the constant on."""
    total = np.polynomial.Polynomial([1.0])
    for coefficients in series:
        total *= np.polynomial.Polynomial([1.0, *coefficients])
    return total


@pytest.mark.parametrize("kind", KINDS)
def test_the_product_is_an_exponential_to_the_order_that_is_gathered(kind):
    series, order = KINDS[kind]
    coefficients = product(series).coef
    expected = [1 / factorial(m) for m in range(order + 2)]
    np.testing.assert_allclose(coefficients[: order + 1], expected[:-1], atol=1e-14)
    assert abs(coefficients[order + 1] - expected[-1]) > 1e-11
    assert [len(each) for each in series] == [len(each) for each in series[::-1]]
    np.testing.assert_allclose(np.concatenate(series), np.concatenate([s for s in series[::-1]]), atol=1e-14)


@pytest.mark.parametrize(
    ("kind", "reach"), [("small", SMALL_REACH), ("large", LARGE_REACH), ("outer", LARGE_REACH)]
)
def test_no_mode_grows_within_reach(kind, reach):
    series, _ = KINDS[kind]
    z = np.linspace(0, reach, 400)
    assert np.abs(product(series)(1j * z)).max() < 1 + 1e-9
    alone = [np.polynomial.Polynomial([1.0, *taylor_coefficients(s[0], 2)]) for s in series]
    assert np.abs(np.prod([p(1j * z) for p in alone], axis=0)).max() > 1.1  # order 2 everywhere does


def test_series_are_short():
    assert sum(len(each.small) for each in BASIC) == 18
    assert sum(len(each.large) for each in BASIC) == 32
    assert sum(len(each.large) for each in OUTER) == 14


def taylor_coefficients(fraction, order):
    return [fraction**m / factorial(m) for m in range(1, order + 1)]


def test_nested_factors_make_the_polynomial():
    u, L = np.random.default_rng(0).normal(size=5), np.random.default_rng(1).normal(size=(5, 5))
    coefficients, h = (0.3, -0.2, 0.7), 0.4
    y = u
    for factor in nested(coefficients, h):
        y = u + factor * L @ y
    powers = [np.linalg.matrix_power(h * L, m) @ u for m in (1, 2, 3)]
    np.testing.assert_allclose(y, u + sum(c * power for c, power in zip(coefficients, powers, strict=True)))
    np.testing.assert_allclose(nested(taylor_coefficients(0.3, 4), h), taylor(0.3 * h, 4))


# --- what is gathered where, with parts that do not commute ---

_rng = np.random.default_rng(3)
A, B, L = (m - m.T for m in _rng.normal(size=(3, 6, 6)) / 3)


def end(series, n_steps, strength=1.0, outer=False, duration=1.0):
    """Product of n steps of the scheme for A + B + strength L, with these polynomials for L; None: exact."""
    h = duration / n_steps
    flows = [strength * L, A, B] if outer else [A, strength * L, B]
    acts = [act for act in SCHEME._sequence(3) if act.part is not None]
    whose, step, number = 0 if outer else 1, np.eye(6), 0
    for act in acts:
        own = expm(act.fraction * h * flows[act.part])
        if act.part == whose:
            if series is not None:
                powers = [np.linalg.matrix_power(h * strength * L, m + 1) for m in range(len(series[number]))]
                own = np.eye(6) + sum(c * power for c, power in zip(series[number], powers, strict=True))
            number += 1
        step = own @ step
    return np.linalg.matrix_power(step, n_steps)


def slope(errors, steps):
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


STEPS = np.array([4, 6, 9, 14])


@pytest.mark.parametrize("outer", [False, True])
def test_large_series_keep_the_order_and_cost_no_accuracy(outer):
    exact = expm(A + B + L)
    series = KINDS["outer" if outer else "large"][0]
    errors, best = ([np.abs(end(s, n, outer=outer) - exact).max() for n in STEPS] for s in (series, None))
    assert slope(errors, STEPS) == pytest.approx(4, abs=0.15)
    assert max(np.array(errors) / best) < 1.5
    cut = [s[:2] for s in series]
    assert slope([np.abs(end(cut, n, outer=outer) - exact).max() for n in STEPS], STEPS) < 3.3


def test_small_series_miss_second_order_in_the_part_and_third_in_the_step():
    def missed(series, n, strength):
        return np.abs(end(series, n, strength) - end(None, n, strength)).max()

    series = KINDS["small"][0]
    strengths = np.array([0.02, 0.03, 0.045])
    assert slope([missed(series, 6, e) for e in strengths], 1 / strengths) == pytest.approx(2, abs=0.1)
    assert slope([missed(series, n, 0.03) for n in STEPS], STEPS) == pytest.approx(3, abs=0.25)
    elsewhere = replace(SERIES_CUT, small=Gathering(1, 0, 1, (0.0, 0.0))).polynomials(BLANES_MOAN4)
    assert missed([each.small for each in elsewhere], 6, 0.03) > 5 * missed(series, 6, 0.03)
    lopsided = [*series[:6], *(s[:1] for s in series[6:])]
    assert missed(lopsided, 6, 0.03) > 100 * missed(series, 6, 0.03)


# --- in the engine ---


def flows_and_state(flux=0.0, n=12, **options):
    system = separable_plane(2, sites=8.0, n_x=n, n_k=14, flux=flux)
    evolution = system.evolution(2, split=True, **options)
    return evolution, evolution.equation().fused, system.occupation()


def factors_of_a_step(flows, dt):
    acts = [
        TimedFlow(flows.names[act.part], act.fraction * dt, act.polynomials)
        for act in SCHEME._sequence(len(flows.names))
        if act.part is not None
    ]
    counts = {"A": 0, "B": 0, "M": 0}
    for stage in flows._stages(acts):
        counts[stage.which] += sum(len(flows._factors(stage, place)[0]) for place in (0, 2))
    return counts["A"], counts["B"]


def test_kicks_take_few_terms_where_they_are_small_and_more_where_they_matter():
    _, flows, _ = flows_and_state()
    long = 0.5 * SMALL_REACH / max(flows._rate("X"), flows._rate("K"))
    assert factors_of_a_step(flows, long) == (18, 18)
    assert factors_of_a_step(flows, 1e-6 * long)[0] == 32  # as accurate as the scheme
    assert factors_of_a_step(flows, 1.2 * LARGE_REACH / flows._rate("X"))[0] > 32
    _, flows, _ = flows_and_state(flux=0.3)
    assert factors_of_a_step(flows, 1.5 / flows._rate("K"))[1] == 32


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("kick", "XK")
def test_a_kick_is_its_polynomial(kick, count):
    """Any number of terms, one included, where the block is the state as well as the sum."""
    _, flows, w = flows_and_state()
    coefficients = (0.7, -0.4, 0.3)[:count]
    h = 1.0 / flows._rate(kick)
    rate = _rate_of_kick(flows, kick)
    expected = term = w
    for c in coefficients:
        term = h * rate(term)
        expected = expected + c * term
    out = np.empty_like(w)
    pass_ = flows._pass("A" if kick == "X" else "B")
    pass_.run(w.reshape(-1), out.reshape(-1), 0.0, (nested(coefficients, h), ()))
    np.testing.assert_allclose(out, expected, atol=1e-13)
    pass_.run(w.reshape(-1), out.reshape(-1), 0.0, ((), nested(coefficients, h)))
    np.testing.assert_allclose(out, expected, atol=1e-13)


def _rate_of_kick(flows, kick):
    """X w from kicks forth and back by two terms of the Taylor series, whose even part drops out."""
    tau = 1e-2

    def rate(w):
        forth, back = np.empty_like(w), np.empty_like(w)
        flows.advance(w, forth, [TimedFlow(kick, tau)])
        flows.advance(w, back, [TimedFlow(kick, -tau)])
        return (forth - back) / (2 * tau)

    assert len(flows._factors(flows._stages([TimedFlow(kick, tau)])[0], 0)[0]) == 2
    return rate


@pytest.mark.parametrize("flux", [0.0, 0.3])
def test_gathered_series_arrive_where_taylor_series_do(flux, monkeypatch):
    evolution, _, w = flows_and_state(flux)
    full = replace(SCHEME, truncation=None)

    def arrive(scheme, n):
        return Propagator(evolution, scheme, w, 4.0 / n).advance_to(4.0)

    fine = arrive(full, 40)
    gathered, taylor_ = (np.abs(arrive(scheme, 6) - fine).max() for scheme in (SCHEME, full))
    assert gathered < 1.2 * taylor_
    halves = [np.abs(a - b).max() for a, b in pairwise([arrive(SCHEME, n) for n in (8, 16, 32)])]
    assert np.log2(halves[0] / halves[1]) > 3.6
    # control: first order everywhere, nothing gathered
    cut = [replace(each, small=each.small[:1], large=each.large[:1]) for each in BASIC]
    monkeypatch.setattr(type(SCHEME.truncation), "polynomials", lambda self, fractions: cut)
    spoiled = replace(SCHEME)
    assert np.abs(arrive(spoiled, 6) - fine).max() > 20 * gathered


def test_third_derivatives_with_a_field_take_the_polynomial_within_its_reach():
    _, flows, w = flows_and_state(flux=0.3)
    part, polynomials = flows.magnetic, OUTER[1]
    h = 0.9 * LARGE_REACH / part.spectral_radius(0.0)
    expected = term = w
    for c in polynomials.large:
        term = h * part.rhs(term, 0.0)
        expected = expected + c * term
    tau, out = polynomials.fraction * h, np.empty_like(w)
    flows.advance(w, out, [TimedFlow("M", tau, polynomials)])
    np.testing.assert_allclose(out, expected, atol=1e-13)
    np.testing.assert_allclose(part.flow(w, 0.0, tau, polynomials), expected, atol=1e-13)
    assert np.abs(part.flow(w, 0.0, tau) - expected).max() > 1e-6  # its own series is another one
    long = part._series(2 * tau, polynomials)
    assert long[0] == series_of(2 * tau, part.spectral_radius(0.0))
    assert long[-1] == (nested(polynomials.large, 2 * h), 1)
