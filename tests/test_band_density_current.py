"""The published current of f against the equation stepped for w, order by order.

With w = f - S f + ... and f = w + S w, the equation d_t w = (L_0 + L_1 + L_2) w becomes
d_t f = L_0 f + L_1 f + (L_2 + S L_0 - L_0 S) f through second order.
"""

from dataclasses import replace

import numpy as np
import pytest
from systems import gentle_texture, relative, separable_chain, textured_plane, three_orbitals

from wigner_sim.kinetics.band_density_current import band_density_current
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.kinetics.equation import moyal_coefficients

SYSTEMS = {
    "texture": lambda: gentle_texture(n=24),
    "three orbitals, middle": lambda: three_orbitals(n=24),
    "separable": lambda: separable_chain(n=24),
    "plane": lambda: textured_plane(1, n_x=24, n_k=24),
    "plane, field": lambda: textured_plane(1, n_x=24, n_k=24, flux=0.2),
    "homogeneous, field": lambda: textured_plane(0, n_k=24, flux=0.2),
}


def low_modes(values, grid, highest=3):
    """The Fourier modes up to ``highest``: products of three are free of aliasing on 24 points."""
    axes = tuple(range(-grid.n_axes, 0))
    hat = np.fft.fftn(np.broadcast_to(values, (*values.shape[: -grid.n_axes], *grid.shape)), axes=axes)
    for axis in axes:
        m = np.fft.fftfreq(grid.shape[axis], 1 / grid.shape[axis])
        hat *= (np.abs(m) <= highest).reshape([-1 if a == axis else 1 for a in axes])
    return np.fft.ifftn(hat, axes=axes).real


def smooth_band(system):
    """The band with its fields cut to their low modes: both forms are linear in them or in products, so the
    identity stays exact, and rounding is not amplified by fourth derivatives of high modes."""
    effective, grid = system.general(2), system.grid
    return replace(
        effective,
        energy=[low_modes(h, grid) for h in effective.energy],
        curvature=[low_modes(omega, grid) for omega in effective.curvature],
        metric=low_modes(effective.metric, grid),
    )


def velocity_of_order(effective, order):
    """The terms of V with (order of Pi) + (order of h_w) equal to ``order``."""
    through = phase_space_velocity(replace(effective, order=order))
    return through - phase_space_velocity(replace(effective, order=order - 1)) if order else through


def generator(effective, order, u):
    """``L_m u``: minus the divergence of the flux of order m, in this test's own derivatives."""
    space = effective.space
    flux = velocity_of_order(effective, order) * u
    if order == 2:
        symbol = space.symbol(u)
        for (b, pair), coefficient in moyal_coefficients(space, effective.energy[0]).items():
            flux[b] += coefficient * symbol.derivative(*pair)
    return -divergence(space, flux)


def divergence(space, flux):
    return sum(space.symbol(component).derivative(a) for a, component in enumerate(flux))


@pytest.mark.parametrize("name", SYSTEMS)
def test_published_current_is_the_equation_of_w_in_other_words(name):
    system = SYSTEMS[name]()
    effective, space = smooth_band(system), system.space
    f = low_modes(system.occupation(), system.grid)
    smearing = effective.smearing
    current = band_density_current(effective, f)
    rates = [generator(effective, order, f) for order in range(3)]
    rates[2] += smearing.apply(rates[0]) - generator(effective, 0, smearing.apply(f))
    for order in range(3):
        if name == "separable" and order == 1:  # nothing at first order without a magnetic field
            assert np.abs(rates[1]).max() < 1e-12
            continue
        published = -divergence(space, current[order])
        assert np.abs(published).max() > 1e-8
        assert relative(published - rates[order], published) < 2e-9, order  # fourth derivatives of rounding


def test_each_ingredient_of_the_current_matters():
    """The comparison sees a metric, a curvature or an energy that is not the right one."""
    system = gentle_texture(n=24)
    effective, f, space = smooth_band(system), system.occupation(), system.space
    reference = -divergence(space, band_density_current(effective, f)[2])
    h_0, h_1, h_2 = effective.energy
    omega_0, omega_1 = effective.curvature
    for changed in (
        {"metric": 0.9 * effective.metric},
        {"curvature": [omega_0, 0 * omega_1]},
        {"curvature": [-omega_0, omega_1]},
        {"energy": [h_0, -h_1, h_2]},
        {"energy": [h_0, h_1, 0 * h_2]},
    ):
        other = -divergence(space, band_density_current(replace(effective, **changed), f)[2])
        assert relative(other - reference, reference) > 1e-3, changed.keys()


def test_leading_current_is_the_classical_flow():
    """``J^(0) = f (v, F)`` with the band velocity and the force."""
    system = separable_chain()
    effective, f = system.general(2), system.occupation()
    current = band_density_current(effective, f)[0]
    h = system.space.symbol(effective.energy[0])
    np.testing.assert_allclose(current[0], f * h.derivative(1), atol=1e-13)
    np.testing.assert_allclose(current[1], -f * h.derivative(0), atol=1e-13)
