"""Filters of the kinetic equation: dealiasing, and the bounded third derivatives."""

from dataclasses import replace

import numpy as np
import pytest
from systems import (
    convergence,
    gentle_texture,
    grid_of,
    relative,
    slope,
    texture,
)

from wigner_sim.kinetics.equation import (
    dealiasing_factor,
)
from wigner_sim.symbols import SymbolSpace


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
