"""Uniform magnetic field: signs, density of states, orbital moment, drift, slopes against exact dynamics."""

from dataclasses import replace

import numpy as np
import pytest
from systems import (
    System,
    convergence,
    named,
    separable_plane,
    slope,
    textured_plane,
)

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics import band_sources, equation
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.kinetics.options import GeometricTerms
from wigner_sim.liouville import exact_system
from wigner_sim.models import build_hamiltonian
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS

B = 0.1


def plane(model, flux=B, s=0, n_k=48, band=0, **parameters):
    return named(model, parameters, None, (24.0,) * s, 4, n_k, d=2, band=band, flux=flux)


def states(system):
    """<m|d_i H|n> of the band (position convention), 1/(E_m - E_n) and E_m - E_n on the momentum grid."""
    s = system.grid.n_position_axes
    k = np.stack(np.broadcast_arrays(*(m.reshape(m.shape[s:]) for m in system.grid.momenta)))
    bloch, step = system.hamiltonian.bloch, 1e-3
    energies, u = np.linalg.eigh(bloch(k))
    elements = []
    for i in range(2):
        shift = np.zeros((2, 1, 1))
        shift[i] = step
        near, far = (bloch(k + j * shift) - bloch(k - j * shift) for j in (1, 2))
        slope_of_h = (8 * near - far) / (12 * step)
        elements.append(np.einsum("...om,...op,...p->...m", u.conj(), slope_of_h, u[..., system.band]))
    gaps = energies - energies[..., system.band, None]
    inverse = np.divide(1.0, gaps, out=np.zeros_like(gaps), where=np.abs(gaps) > 1e-9)
    return elements, inverse, gaps


def chern_number(system):
    """(1/2 pi) int Omega_xy, Omega = 2 Im <d_x u|d_y u>, from matrix elements."""
    (d_x, d_y), inverse, _ = states(system)
    return 2 * np.pi * np.mean(2 * (d_x.conj() * d_y * inverse**2).sum(axis=-1).imag)


# --- signs ---


def test_a_field_turns_momentum_counterclockwise():
    """dk/dt = -v x B with B along z: dk_x/dt = -B v_y, dk_y/dt = B v_x; dx/dt = v_x."""
    system = plane("cosine_band", s=1, n_k=16, t1=0.5)
    kx, ky = system.grid.momenta
    velocity = phase_space_velocity(system.effective(0))
    expected = np.stack(np.broadcast_arrays(np.sin(kx), -B * np.sin(ky), B * np.sin(kx)))
    np.testing.assert_allclose(velocity, np.broadcast_to(expected, velocity.shape), atol=1e-13)


def test_tilted_field_in_space():
    """dk/dt = -v x B for every direction of B."""
    field = np.array([0.05, -0.08, 0.11])
    b_x, b_y, b_z = field
    flux = np.array([[0.0, b_z, -b_y], [-b_z, 0.0, b_x], [b_y, -b_x, 0.0]])
    grid = PhaseSpaceGrid((4,), (8, 8, 8), (20.0,), flux)
    hamiltonian = build_hamiltonian("cosine_band", {"t1": 0.5}, None, 3, 1, (20.0,))
    velocity = phase_space_velocity(System(hamiltonian, grid).effective(0))
    v = np.stack(np.broadcast_arrays(*(np.sin(k) for k in grid.momenta)))
    expected = np.broadcast_to(-np.cross(v, field, axis=0), (3, *grid.shape))
    np.testing.assert_allclose(velocity[1:], expected, atol=1e-13)


def test_first_order_density_of_states():
    """D = 1 + (1/2) eps_ab Omega_ab = 1 - B Omega_xy."""
    system = plane("qi_wu_zhang")
    (d_x, d_y), inverse, _ = states(system)
    omega = 2 * (d_x.conj() * d_y * inverse**2).sum(axis=-1).imag
    np.testing.assert_allclose(system.effective(1).density_of_states, 1 - B * omega, atol=1e-9)
    assert np.abs(omega).max() > 0.3


@pytest.mark.parametrize("band", [0, 1])
@pytest.mark.parametrize("model", ["qi_wu_zhang", "haldane", "massive_dirac"])
def test_orbital_moment(model, band):
    """h_1 = -(i/2) eps_ab <d_a u|(H - E)|d_b u> = -B Im <d_x u|(H - E)|d_y u>."""
    parameters = {"mass": 1.0} if model == "massive_dirac" else {}
    system = plane(model, n_k=64, band=band, **parameters)
    (d_x, d_y), inverse, gaps = states(system)
    expected = -B * (d_x.conj() * d_y * inverse**2 * gaps).sum(axis=-1).imag
    found = system.effective(1).energy[1]
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert np.abs(expected).max() > 0.01 * B


@pytest.mark.parametrize("band", [0, 1])
@pytest.mark.parametrize(("model", "chern"), [("qi_wu_zhang", 1), ("haldane", 1), ("massive_dirac", 0)])
def test_streda(model, chern, band):
    """A filled band holds n = 1 - B C/(2 pi): first order is all, second order integrates to zero."""
    system = plane(model, n_k=64, band=band)
    c = chern_number(system)
    assert abs(c) == pytest.approx(chern, abs=1e-6)
    first, second = (system.effective(order).density_of_states for order in (1, 2))
    assert first.mean() == pytest.approx(1 - B * c / (2 * np.pi), abs=1e-9)
    assert second.mean() == pytest.approx(1 - B * c / (2 * np.pi), abs=1e-9)
    assert np.abs(second - first).max() > 1e-5


def test_streda_is_the_rank_of_the_exact_projector():
    system = plane("qi_wu_zhang", flux=2 * np.pi / 72)
    torus = exact_system(
        system.hamiltonian, PhaseSpaceGrid((8, 8), (8, 8), (9.0, 8.0), system.grid.cell_flux)
    )
    (projector,) = torus.band_projectors(0)
    assert projector.rank == pytest.approx(72 * system.effective(1).density_of_states.mean(), abs=1e-7)


def test_distribution_of_a_filled_band():
    """f = tr pi = D + S D against the exact projector: errors fall as 1, 2, 3 powers of B."""
    errors = {order: [] for order in range(3)}
    dilations = (1.5, 2.0, 3.0)
    for dilation in dilations:
        system = magnetic_texture().dilated(dilation)
        chains = exact_system(system.hamiltonian, system.grid)
        exact = chains.observe(chains.thermal_band_state(0, 50.0, 0.0)).distribution
        for order in errors:
            band = system.effective(order)
            f = band.faces.band_density_from_density(band.density_of_states)
            errors[order].append(np.abs(f - exact).max())
    for order, fall in errors.items():
        assert slope(dilations, fall) == pytest.approx(order + 1, abs=0.25), (order, fall)


# --- drift ---


def drift(force_y, flux, duration):
    """Change of <x> and <sin k_y> of a packet at the bottom of a band under a force along y."""
    system = named("cosine_band", {"t1": 0.5}, None, (40.0,), 20, 24, d=2, flux=flux)
    hamiltonian = replace(system.hamiltonian, force=lambda t: np.array([0.0, force_y]))
    system = replace(system, hamiltonian=hamiltonian)
    x, kx, ky = system.grid.coordinates
    start = np.exp(-((x - 20.0) ** 2) / 32 + 6 * (np.cos(kx) - 1) + 6 * (np.cos(ky) - 1))
    end = Propagator(system.evolution(1), STEPPERS["rk4"], start, 0.2).advance_to(duration)
    mean = lambda w, z: float((w * z).sum() / w.sum())  # noqa: E731
    return mean(end, x) - mean(start, x), mean(end, np.sin(ky)) - mean(start, np.sin(ky))


@pytest.mark.parametrize(("flux", "force"), [(0.4, 0.08), (-0.4, 0.08), (0.4, -0.08)])
def test_drift_across_force_and_field(flux, force):
    """<dx/dt> = -F_y/B: a force along y carries a cyclotron orbit along -x for B > 0, along x for B < 0."""
    period = 2 * np.pi / abs(flux)  # mass 1 at the bottom
    moved, turned = drift(force, flux, period)
    assert moved == pytest.approx(-force * period / flux, rel=0.2)
    assert abs(turned) < 0.2 * abs(moved * flux)  # the orbit closes


@pytest.mark.parametrize(
    "make",
    [lambda: separable_plane(1, n_x=12, n_k=24, flux=B), lambda: plane("qi_wu_zhang", n_k=32)],
    ids=["potential", "homogeneous"],
)
def test_orbits_run_along_the_quantized_energy(make):
    """V.dh = 0 to the order kept: what Onsager quantizes is h_w, orbital moment and second order included."""
    dilations, leading, whole = (1.0, 2.0, 4.0), [], []
    for dilation in dilations:
        band = make().dilated(dilation).effective(2)
        for energies, residues in ((band.energy[:1], leading), (band.energy, whole)):
            total = np.broadcast_to(np.sum(energies, axis=0), band.space.grid.shape)
            h = band.space.symbol(total)
            rate = sum(v * h.derivative(a) for a, v in enumerate(phase_space_velocity(band)))
            residues.append(np.abs(rate).max())
    assert slope(dilations, leading) < 3.2, leading
    assert slope(dilations, whole) > 3.6, whole
    assert whole[-1] < 0.1 * leading[-1]


# --- slopes ---


def magnetic_texture(sites=24.0):
    """A strong field and a texture, all terms of second order at work."""
    return textured_plane(1, sites=sites, n_x=16, n_k=16, flux=2 * np.pi / sites)


DILATIONS = (1.5, 2.0, 3.0)


def slopes_of(system, orders=(0, 1, 2), start="exact", **options):
    measured = convergence(system.problem(3.8, max(orders), **options), DILATIONS, orders, start)
    return {order: slopes["f_max"] for order, (_, slopes) in measured.items()}


def magnetic_potential(sites=24.0):
    """The same for H0(k) + U(x), by sums of products."""
    return separable_plane(1, sites=sites, n_x=16, n_k=16, flux=2 * np.pi / sites)


@pytest.mark.parametrize("make", [magnetic_texture, magnetic_potential])
def test_slopes_in_a_field(make):
    for order, found in slopes_of(make()).items():
        assert found == pytest.approx(order + 1, abs=0.3), order


def test_without_the_orbital_moment_the_slope_is_lost():
    off = GeometricTerms(orbital_moment=False)
    assert slopes_of(magnetic_texture(), (1,), terms=off)[1] < 1.4


def test_third_derivatives_hold_the_field(monkeypatch):
    """Without eps_kk in the Moyal term the slope at second order is lost."""
    original = equation.moyal_coefficients

    def without_field(space, h):
        grid = space.grid
        bare = PhaseSpaceGrid(grid.n_x, grid.n_k, grid.lengths)
        return original(type(space)(bare, space.orbital_positions), h)

    monkeypatch.setattr(equation, "moyal_coefficients", without_field)
    assert slopes_of(magnetic_texture(), (2,))[2] < 2.4


def without_second_order_in_the_field(what):
    """``product_band`` whose second-order energy or curvature, or all of D's second order, ignores B."""
    original = band_sources.product_band

    def mutilated(bloch, grid, tau, band, order, *rest):
        whole = original(bloch, grid, tau, band, order, *rest)
        without = PhaseSpaceGrid(grid.n_x, grid.n_k, grid.lengths)
        bare = original(bloch, without, tau, band, order, *rest)
        first = original(bloch, grid, tau, band, 1, *rest)
        parts = {
            "energy": [*whole.energy[:2], bare.energy[2]],
            "curvature": [whole.curvature[0], bare.curvature[1]],
            "density_of_states": first.density_of_states,
        }
        return replace(whole, **{what: parts[what]})

    return mutilated


@pytest.mark.slow
@pytest.mark.parametrize("what", ["energy", "curvature", "density_of_states"])
def test_second_order_in_the_field_matters(what, monkeypatch):
    """The B^2 and B dU parts of h_w, Omega* and D belong to the slope: without them it heads for 2."""
    start = "case" if what == "density_of_states" else "exact"  # D acts where a state is made
    parameters = {"mass": 1.2, "velocity": 0.5, "wilson": 0.2}
    potential, flux = "0.3*cos(2*pi*x/L)", 2 * np.pi * 2 / 24
    system = named("massive_dirac", parameters, potential, (24.0,), 16, 24, d=2, flux=flux)
    errors, slopes = convergence(system.problem(3.8), (3, 4.5), (2,), start)[2]
    monkeypatch.setattr(band_sources, "product_band", without_second_order_in_the_field(what))
    broken_errors, broken_slopes = convergence(system.problem(3.8), (3, 4.5), (2,), start)[2]
    assert slopes["f_max"] > 2.65
    assert broken_slopes["f_max"] < slopes["f_max"] - 0.2
    assert (broken_errors["f_max"] > 1.1 * errors["f_max"]).all()
