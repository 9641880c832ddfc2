"""Thermal equilibrium of a band against the exact n_F(H), and its stationarity."""

import numpy as np
import pytest
from systems import relative, separable_chain, slope, texture, textured_plane, three_orbitals, upper_chain

from wigner_sim import liouville
from wigner_sim.kinetics import equilibrium
from wigner_sim.kinetics.equilibrium import equilibrium_density, fermi_derivatives, fermi_function
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS, choose_step
from wigner_sim.weyl import operator_to_symbol

#: system, chemical potential inside the band, temperature
THERMAL = {
    "texture": (texture, -1.3, 0.3),
    "middle of three": (three_orbitals, 0.1, 0.3),
    "upper band": (upper_chain, 1.2, 0.3),
    "separable": (separable_chain, -1.0, 0.3),
}


def test_fermi_function_far_from_the_chemical_potential():
    np.testing.assert_allclose(fermi_function(np.array([-1e6, 0.0, 1e6]), 0.0, 0.1), [1.0, 0.5, 0.0])
    energy = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(fermi_function(energy, 0.3, 0.7), 1 / (np.exp((energy - 0.3) / 0.7) + 1))
    per_point = fermi_function(energy, np.linspace(0, 1, 9), np.linspace(1, 2, 9))
    assert per_point[3] == pytest.approx(fermi_function(energy[3], 0.375, 1.375))


def test_fermi_derivatives_against_finite_differences():
    energy, mu, temperature, h = np.linspace(-2, 2, 41), 0.3, 0.4, 1e-3
    lower = [fermi_function, *(lambda e, m, t, n=n: fermi_derivatives(e, m, t)[n] for n in range(2))]
    for function, derivative in zip(lower, fermi_derivatives(energy, mu, temperature), strict=True):
        values = {j: function(energy + j * h, mu, temperature) for j in (-2, -1, 1, 2)}
        difference = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * h)
        np.testing.assert_allclose(derivative, difference, atol=1e-9 * np.abs(derivative).max())


def exact_thermal(system, mu, temperature):
    operator, projector, _ = system.exact_projector()
    state = liouville.thermal_state(operator, projector, mu, temperature)
    f = operator_to_symbol(state, system.grid, system.hamiltonian.orbital_positions, trace=True).real
    return f, np.trace(state).real, np.vdot(state, operator).real


@pytest.mark.parametrize("name", THERMAL)
def test_slopes_against_the_exact_fermi_function_of_the_hamiltonian(name):
    """|f - f_exact| falls with slopes 1, 2, 3, particle number and energy about as fast or faster.

    Without a magnetic field most odd orders vanish for H0(k) + U(x), so there it falls faster.
    """
    make, mu, temperature = THERMAL[name]
    dilations = [1.0, 2.0, 4.0]
    errors = {order: [] for order in (0, 1, 2)}
    for dilation in dilations:
        system = make().dilated(dilation)
        exact, number, energy = exact_thermal(system, mu, temperature)
        for order, found in errors.items():
            effective = system.effective(order)
            w = equilibrium_density(effective, mu, temperature)
            e = system.grid.integrate(w * effective.total_energy_symbol)
            found.append(
                [
                    np.abs(effective.faces.to("f", w) - exact).max(),
                    abs(system.grid.integrate(w) - number) / system.grid.lengths[0],
                    abs(e - energy) / system.grid.lengths[0],
                ]
            )
    for order, found in errors.items():
        f, n, e = np.transpose(found)
        expected = 2 if name == "separable" and order == 0 else order + 1  # no first order at all
        assert -0.25 < slope(dilations, f) - expected < (0.6 if name == "separable" else 0.25), (order, f)
        assert min(slope(dilations, n), slope(dilations, e)) > order + 0.5, (order, n, e)


@pytest.mark.parametrize("change", ["second", "third", "second flipped", "third flipped"])
def test_both_corrections_are_needed(change, monkeypatch):
    original = fermi_derivatives
    factor = -1.0 if "flipped" in change else 0.0

    def changed(*arguments):
        first, second, third = original(*arguments)
        return (first, factor * second, third) if "second" in change else (first, second, factor * third)

    monkeypatch.setattr(equilibrium, "fermi_derivatives", changed)
    make, mu, temperature = THERMAL["texture"]
    errors = []
    for dilation in (1.0, 2.0, 4.0):
        system = make().dilated(dilation)
        effective = system.general(2)
        f = effective.faces.to("f", equilibrium_density(effective, mu, temperature))
        errors.append(np.abs(f - exact_thermal(system, mu, temperature)[0]).max())
    assert slope([1.0, 2.0, 4.0], errors) < 2.5


@pytest.mark.parametrize("name", THERMAL)
def test_equilibrium_is_stationary_to_the_order_kept(name):
    """d_t w falls with slope order + 2 per unit time: the flow itself is of first order."""
    make, mu, temperature = THERMAL[name]
    dilations = [2.0, 4.0, 8.0]
    for order in (0, 1, 2):
        rates = []
        for dilation in dilations:
            evolution = make().dilated(dilation).evolution(order)
            w = equilibrium_density(evolution.effective(), mu, temperature)
            rates.append(np.abs(evolution.rhs(w, 0.0)).max())
        exactly = order == 0 or (order == 1 and name == "separable")
        if exactly:  # n_F(h) is a function of the energy that drives it
            assert max(rates) < 1e-6
        else:
            assert slope(dilations, rates) > order + 1.75, (order, rates)


def test_drift_over_a_dilated_time_falls_with_slope_three():
    make, mu, temperature = THERMAL["texture"]
    dilations, drifts = [1.0, 2.0, 4.0], []
    for dilation in dilations:
        evolution = make().dilated(dilation).evolution(2)
        w = equilibrium_density(evolution.effective(), mu, temperature)
        duration = 4.0 * dilation
        step = choose_step(STEPPERS["rk4"], evolution, w, 0.0, duration, 1e-9)
        later = Propagator(evolution, STEPPERS["rk4"], w, step.dt).advance_to(duration)
        drifts.append(np.abs(later - w).max())
    assert slope(dilations, drifts) > 2.75


def test_magnetic_field_and_stationarity():
    dilations, rates = [1.0, 2.0, 4.0], []
    for dilation in dilations:
        evolution = textured_plane(1, flux=0.1).dilated(dilation).evolution(2)
        w = equilibrium_density(evolution.effective(), -1.8, 0.6)
        rates.append(np.abs(evolution.rhs(w, 0.0)).max())
    assert slope(dilations, rates) == pytest.approx(4, abs=0.3)


def test_occupation_of_the_equilibrium():
    """``c = w/D - S^T n_F``: the note in the docstring, to the order kept."""
    dilations, differences = [2.0, 4.0, 8.0], []
    for dilation in dilations:
        system = texture().dilated(dilation)
        effective = system.general(2)
        w = equilibrium_density(effective, -1.3, 0.3)
        n = fermi_function(effective.energy[0], -1.3, 0.3)
        expected = w / effective.density_of_states - effective.smearing.apply_transpose(n)
        differences.append(np.abs(effective.faces.to("c", w) - expected).max())
    assert slope(dilations, differences) == pytest.approx(3, abs=0.3)


def test_orders_below_two_have_no_quantum_correction():
    system = texture()
    for order in (0, 1):
        effective = system.general(order)
        expected = effective.density_of_states * fermi_function(effective.total_energy_symbol, -1.3, 0.3)
        assert relative(equilibrium_density(effective, -1.3, 0.3) - expected, expected) == 0.0
