"""Relaxation-time collisions: what they conserve, their flows, their orders in time, entropy."""

from dataclasses import replace

import numpy as np
import pytest
from systems import separable_chain, slope, texture, textured_plane, three_orbitals

from wigner_sim.baths import Baths, Relaxation
from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_stack import BandStack
from wigner_sim.kinetics.collisions import Bath, ConservingRelaxation, PrescribedRelaxation
from wigner_sim.kinetics.equilibrium import equilibrium_density
from wigner_sim.kinetics.local_equilibrium import ThermalFamily, join_bands, part_bands
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.steppers import STEPPERS

SYSTEMS = {"texture": texture, "separable": separable_chain, "three": three_orbitals}
RATES = {
    "constant": lambda grid: np.full(grid.shape, 0.5),
    "of x": lambda grid: np.broadcast_to(0.5 + 0.4 * np.sin(grid.positions[0] / 4), grid.shape),
    "of k": lambda grid: np.broadcast_to(0.5 + 0.4 * np.cos(grid.momenta[0]), grid.shape),
}


def occupied(system, order=2):
    """A band and a state of it with occupations between 0 and 1, far from equilibrium."""
    evolution = system.evolution(order)
    c = system.occupation()
    return evolution, evolution.effective().faces.density_from_occupation(0.9 * c / c.max())[None]


def conserving(evolution, rate, with_energy=False, temperature=0.3):
    return ConservingRelaxation([evolution], rate[None], np.asarray(temperature), with_energy)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_family_of_equilibria_and_its_derivatives(order):
    effective = texture().effective(order)
    family = ThermalFamily.of([effective])
    alpha, beta, h = np.full(64, -4.0), np.full(64, 1 / 0.3), 1e-4
    w = part_bands(family.density(alpha, beta), (1, 64, 64))[0]
    np.testing.assert_allclose(w, equilibrium_density(effective, -1.2, 0.3), atol=1e-14)
    _, by_alpha, by_beta = family.with_derivatives(alpha, beta)
    for derivative, (a, b) in {"alpha": (h, 0), "beta": (0, h)}.items():
        difference = (family.density(alpha + a, beta + b) - family.density(alpha - a, beta - b)) / (2 * h)
        np.testing.assert_allclose(by_alpha if derivative == "alpha" else by_beta, difference, atol=1e-7)


def test_joined_bands_come_apart_again():
    values = np.random.default_rng(1).normal(size=(2, 3, 4, 5, 6))
    assert join_bands(values, 2).shape == (12, 60)
    np.testing.assert_array_equal(part_bands(join_bands(values, 2), values.shape), values)


@pytest.mark.parametrize("with_energy", [False, True], ids=["particles", "energy too"])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", SYSTEMS)
def test_particles_and_energy_stay_at_every_position_to_rounding(name, rate, with_energy):
    evolution, w = occupied(SYSTEMS[name]())
    term = conserving(evolution, RATES[rate](evolution.grid), with_energy)
    h = evolution.effective().total_energy_symbol
    for change in (term.flow(w, 0.0, 1.3) - w, term.flow(w, 0.0, -0.2) - w, term.rhs(w, 0.0)):
        assert np.abs(change).max() > 0.01
        assert np.abs(change.mean(axis=-1)).max() < 1e-15
        energy = np.abs((h * change).mean(axis=-1)).max()
        assert energy < 1e-15 if with_energy else energy > 1e-4


def test_the_density_of_f_stays_but_for_a_divergence_of_second_order():
    """``int_k f`` changes by ``d_i d_j int_k g_ij I / 2``: nothing in total, slope 2 locally."""
    dilations, changes = [1.0, 2.0, 4.0], []
    for dilation in dilations:
        evolution, w = occupied(separable_chain().dilated(dilation))
        faces = evolution.effective().faces
        rate = conserving(evolution, RATES["constant"](evolution.grid)).rhs(w, 0.0)[0]
        density = faces.band_density_from_density(rate).mean(axis=-1)
        assert abs(density.mean()) < 1e-16
        changes.append(np.abs(density).max())
    assert slope(dilations, changes) == pytest.approx(2, abs=0.05)


def test_bands_that_share_mu_exchange_particles():
    system = separable_chain()
    bands = [BandEvolution(system.hamiltonian, system.grid, band, EquationOptions(2)) for band in (0, 1)]
    wave = 1 + 0.3 * np.sin(system.grid.momenta[0])
    w = np.stack(
        [c * wave * band.effective().density_of_states for c, band in zip((0.6, 0.3), bands, strict=True)]
    )
    rate = np.stack([RATES["of k"](system.grid)] * 2)
    energy = np.stack([band.effective().total_energy_symbol for band in bands])
    change = ConservingRelaxation(bands, rate, np.asarray(0.3), True).flow(w, 0.0, 1.0) - w
    assert np.abs(change.mean(axis=-1)).max() > 5e-4
    assert np.abs(change.mean(axis=-1).sum(axis=0)).max() < 1e-15
    assert np.abs((energy * change).mean(axis=-1).sum(axis=0)).max() < 1e-15
    apart = ConservingRelaxation(bands, rate, np.asarray(0.3), True, shared=False)
    assert np.abs((apart.flow(w, 0.0, 1.0) - w).mean(axis=-1)).max() < 1e-15


def test_two_dimensions_with_a_magnetic_field():
    system = textured_plane(1, flux=0.1)
    evolution, w = occupied(system)
    rate = np.broadcast_to(0.4 + 0.2 * np.cos(system.grid.momenta[1]), system.grid.shape)
    change = conserving(evolution, rate, True, 0.6).flow(w, 0.0, 0.5) - w
    assert np.abs(change).max() > 0.01
    h = evolution.effective().total_energy_symbol
    assert np.abs(change.mean(axis=(-2, -1))).max() < 1e-15
    assert np.abs((h * change).mean(axis=(-2, -1))).max() < 1e-15


def test_homogeneous_states_need_no_position_axis():
    system = separable_chain()
    grid = PhaseSpaceGrid((), system.grid.n_k, ())
    hamiltonian = replace(system.hamiltonian, potential=lambda x, t: np.zeros(x.shape[1:]))
    evolution = BandEvolution(hamiltonian, grid, 0, EquationOptions(2))
    w = 0.2 + 0.1 * np.sin(grid.momenta[0])[None]
    later = conserving(evolution, np.full(grid.shape, 1.0), True).flow(w, 0.0, 50.0)
    assert later.mean() == pytest.approx(w.mean(), abs=1e-15)
    fields = conserving(evolution, np.full(grid.shape, 1.0), True).local_fields(w, 0.0)
    mu, temperature = (values.item() for values in fields.values())
    np.testing.assert_allclose(
        later[0], equilibrium_density(evolution.effective(), mu, temperature), atol=1e-12
    )


def test_equilibrium_is_left_alone_and_recognised():
    evolution, _ = occupied(texture())
    grid = evolution.grid
    mu = -1.1 + 0.1 * np.cos(2 * np.pi * grid.positions[0] / 24)
    temperature = 0.3 + 0.05 * np.sin(2 * np.pi * grid.positions[0] / 24)
    w = equilibrium_density(evolution.effective(), mu, temperature)[None]
    term = conserving(evolution, RATES["of k"](grid), True, 0.5)
    assert np.abs(term.rhs(w, 0.0)).max() < 1e-12
    found = term.local_fields(w, 0.0)
    np.testing.assert_allclose(found["local_chemical_potential"][0], mu[:, 0], atol=1e-10)
    np.testing.assert_allclose(found["local_temperature"][0], temperature[:, 0], atol=1e-10)


def test_hot_electrons_in_a_band_may_have_negative_temperature():
    evolution, _ = occupied(separable_chain())
    h = evolution.effective().total_energy_symbol
    w = (1 / (np.exp(-(h + 1) / 0.1) + 1))[None]
    term = conserving(evolution, RATES["constant"](evolution.grid), True)
    assert term.local_fields(w, 0.0)["local_temperature"].max() < 0
    assert np.abs((h * term.rhs(w, 0.0)[0]).mean(axis=-1)).max() < 1e-15


def test_a_state_without_equilibrium_is_refused_and_an_empty_place_left_alone():
    evolution, w = occupied(separable_chain())
    term = conserving(evolution, RATES["constant"](evolution.grid))
    with pytest.raises(
        FloatingPointError, match="no local equilibrium has the density of the state at 64 of"
    ):
        term.rhs(2.0 * w + 1.0, 0.0)
    w[:, :4] = 0.0
    rate = term.rhs(w, 0.0)
    assert not rate[:, :4].any()
    assert rate[:, 4:].any()


def prescribed(evolution):
    grid = evolution.grid
    gamma = np.broadcast_to(np.maximum(0.0, np.sin(grid.positions[0] / 4)), grid.shape)[None]
    baths = [Bath(gamma, np.full((1, 1), mu), np.full((1, 1), 0.3)) for mu in (-1.3, -1.0)]
    return PrescribedRelaxation([evolution], baths)


@pytest.mark.parametrize("kind", ["prescribed", "of x", "of k"])
def test_flow_and_rate_belong_together(kind):
    """The flow solves d_t w = rhs: to rounding where it is exact, to fourth order of substeps otherwise."""
    evolution, w = occupied(texture())
    term = (
        prescribed(evolution) if kind == "prescribed" else conserving(evolution, RATES[kind](evolution.grid))
    )
    fine = w
    for _ in range(256):
        fine = STEPPERS["rk4"].step(term, fine, 0.0, 1.0 / 256)
    error = np.abs(term.flow(w, 0.0, 1.0) - fine).max()
    assert error < (2e-3 if kind == "of k" else 1e-10)
    once, twice = term.flow(w, 0.0, 0.5), term.flow(term.flow(w, 0.0, 0.2), 0.0, 0.3)
    assert np.abs(once - twice).max() < (1e-3 if kind == "of k" else 1e-13)
    assert np.abs(term.flow(once, 0.0, -0.5) - w).max() < (1e-2 if kind == "of k" else 1e-12)


def test_substeps_are_of_fourth_order():
    evolution, w = occupied(texture())
    term = conserving(evolution, RATES["of k"](evolution.grid))
    fine = w
    for _ in range(64):
        fine = term.flow(fine, 0.0, 1.0 / 64)
    errors = []
    for n in (2, 4, 8):
        later = w
        for _ in range(n):
            later = term.flow(later, 0.0, 1.0 / n)
        errors.append(np.abs(later - fine).max())
    assert slope([2, 4, 8], errors) == pytest.approx(4, abs=0.3)


@pytest.mark.parametrize(("stepper", "order"), [("rk4", 4), ("strang", 2), ("blanes_moan4", 4)])
def test_every_stepper_keeps_its_order(stepper, order):
    system = separable_chain(n=24)
    evolution = system.evolution(2, split=stepper != "rk4")
    c = system.occupation()
    w = evolution.effective().faces.density_from_occupation(0.9 * c / c.max())[None]
    couplings = [conserving(evolution, RATES["of k"](evolution.grid)), prescribed(evolution)]
    stack = BandStack([evolution], couplings)

    def after(n):
        later = w
        for _ in range(n):
            later = STEPPERS[stepper].step(stack, later, 0.0, 2.0 / n)
        return later

    steps = (8, 16, 32) if stepper == "rk4" else (2, 4, 8)
    fine = after(4 * steps[-1])
    errors = [np.abs(after(n) - fine).max() for n in steps]
    assert slope(steps, errors) > order - 0.3, errors


def entropy(c, density_of_states):
    c = np.clip(c, 1e-300, 1 - 1e-16)
    return -(density_of_states * (c * np.log(c) + (1 - c) * np.log1p(-c))).mean()


@pytest.mark.parametrize("with_energy", [False, True])
def test_entropy_grows(with_energy):
    """H-theorem at order 0: at given particles and energy it grows, at given T the free energy falls."""
    evolution, w = occupied(texture(), order=0)
    stack = BandStack([evolution], [conserving(evolution, RATES["of k"](evolution.grid), with_energy, 0.6)])
    h = evolution.effective().total_energy_symbol
    values = []
    for _ in range(12):
        w = STEPPERS["rk4"].step(stack, w, 0.0, 0.1)
        values.append(entropy(w[0], 1.0) - (0.0 if with_energy else (h * w[0]).mean() / 0.6))
    assert np.all(np.diff(values) > 1e-6)


def test_a_bath_of_negative_rate_or_temperature_is_refused():
    grid = texture().grid
    one = lambda x: np.ones(x.shape[1:])  # noqa: E731
    bath = Relaxation((lambda x, k: np.cos(k[0]),), "nothing", one, one, what="reservoirs[0]")
    with pytest.raises(
        CaseError, match=r"reservoirs\[0\].rate must be finite and not negative, but reaches -1"
    ):
        bath.bath_on(grid)
    cold = Relaxation((lambda x, k: one(x),), "nothing", one, lambda x: -one(x))
    with pytest.raises(CaseError, match=r"relaxation.temperature falls to -1"):
        cold.bath_on(grid)


def test_dilation_makes_baths_wider_and_slower():
    grid = texture().grid
    relaxation = Relaxation(
        (lambda x, k: 1 + np.cos(2 * np.pi * x[0] / 24),),
        "nothing",
        lambda x: np.sin(2 * np.pi * x[0] / 24),
        lambda x: np.ones(x.shape[1:]),
    )
    baths = Baths(relaxation, (relaxation,)).dilated(2.0)
    for each, original in ((baths.relaxation, relaxation), (baths.reservoirs[0], relaxation)):
        wide, narrow = each.bath_on(grid.dilated(2.0)), original.bath_on(grid)
        np.testing.assert_allclose(wide.rate, narrow.rate / 2)
        np.testing.assert_allclose(wide.mu, narrow.mu)
