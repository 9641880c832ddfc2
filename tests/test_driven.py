"""Time-dependent Hamiltonians: economy and accuracy of the refresh, the Thouless pump, slopes."""

from dataclasses import replace

import numpy as np
import pytest
from systems import System, convergence, gentle_texture, grid_of, ramped_texture, relative

from wigner_sim.kinetics import band_evolution, band_sources, slab_expansion
from wigner_sim.kinetics.band_sources import GeneralBand
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.kinetics.time_table import TimeTable
from wigner_sim.models import build_hamiltonian
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.models.matrices import pauli_combination
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS

# --- the table of times ---


def pulse(width):
    return lambda t: np.array([np.exp(-((t - 5.0) ** 2) / (2 * width**2)), 0.3 * np.cos(0.1 * t)])


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("width", [3.0, 0.5])
def test_interpolation_keeps_its_tolerance(width, tolerance):
    function, times = pulse(width), np.linspace(0, 10, 1201)
    table = TimeTable(function, 2.0, tolerance)
    error = max(np.abs(table.at(t) - function(t)).max() for t in times)
    assert error < 5 * tolerance
    assert table.n_evaluations < len(times)


@pytest.mark.parametrize("width", [0.2, 0.1])
def test_a_pulse_between_two_nodes_is_seen_by_the_probe(width):
    """Its values at the nodes 4 and 6 alone would say that nothing happens at 5."""
    function = lambda t: np.array([np.exp(-((t - 5.0) ** 2) / (2 * width**2)), 1.0])  # noqa: E731
    blind, seeing = TimeTable(function, 2.0, 1e-6), TimeTable(function, 2.0, 1e-6, function)
    assert abs(blind.at(5.0)[0]) < 1e-3
    for t in np.linspace(0, 10, 1201):
        np.testing.assert_allclose(seeing.at(t), function(t), atol=5e-6)


def test_a_pulse_of_the_hamiltonian_is_seen():
    """Short against the interval of refreshment, and zero at all of its nodes."""

    def matrix(x, k, t):
        bump = np.exp(-((t - 5.0) ** 2) / 0.08)
        mass = 1.5 + 0.2 * np.cos(k[0]) + 0.3 * bump
        return pauli_combination(mass, 0.2 * np.sin(k[0]), 0.2 * np.sin(x[0]))

    system = System(Hamiltonian(matrix, 2, 1, time_dependent=True), grid_of((2 * np.pi,), 8, 8, 1))
    evolution = system.evolution(1, difference_step=1e-3, refresh_interval=2.0)
    for t in (1.0, 4.8, 5.0, 5.3, 9.0):
        exact = phase_space_velocity(evolution._source.effective(t))
        found = evolution._source.coefficients(t, remainder=False).velocity.values
        assert relative(found - exact, exact) < 1e-4


def test_slow_drives_are_computed_rarely_and_fast_ones_often():
    counts = []
    for width in (3.0, 0.5, 0.1):
        table = TimeTable(pulse(width), 2.0, 1e-6, pulse(width))
        for t in np.linspace(0, 10, 1201):
            table.at(t)
        counts.append(table.n_evaluations)
    assert counts[0] < counts[1] < counts[2]
    assert counts[0] < 150


def test_what_does_not_change_is_computed_once_per_interval():
    table = TimeTable(lambda t: np.ones(3), 2.0, 1e-6)
    for t in np.linspace(0, 10, 500):
        np.testing.assert_allclose(table.at(t), 1.0, atol=1e-14)
    assert table.n_evaluations <= 5 + 6


def test_a_value_does_not_depend_on_what_was_asked_before():
    """So that a resumed run repeats the bits of an uninterrupted one."""
    times = np.linspace(0, 10, 301)
    straight, backwards = (TimeTable(pulse(0.3), 2.0, 1e-6) for _ in range(2))
    forward = {t: straight.at(t) for t in times}
    for t in times[::-1]:
        np.testing.assert_array_equal(backwards.at(t), forward[t])
    late = TimeTable(pulse(0.3), 2.0, 1e-6)
    np.testing.assert_array_equal(late.at(times[200]), forward[times[200]])


# --- coefficients of a driven band ---


def test_coefficients_are_refreshed_as_their_change_requires():
    """A whole RK4 run asks for hundreds of times; the expansion is run a few dozen times."""
    duration = 6.0
    system = ramped_texture(duration, n=24)
    evolution = system.evolution(2, difference_step=2e-4 * duration, refresh_interval=duration / 8)
    w = evolution.effective(0.0).faces.density_from_occupation(system.occupation())
    Propagator(evolution, STEPPERS["rk4"], w, duration / 200).advance_to(duration)
    source = evolution._source
    assert isinstance(source, GeneralBand)
    assert source._table.n_evaluations < 120
    for t in np.linspace(0, duration, 13):
        exact = phase_space_velocity(source.effective(t))
        found = source.coefficients(t, remainder=False).velocity.values
        assert relative(found - exact, exact) < 1e-5


def test_the_refresh_does_not_change_the_answer():
    duration, order = 4.0, 1
    system = ramped_texture(duration, sites=16, n=20)
    step = 2e-4 * duration
    w = system.evolution(order, difference_step=step).effective(0.0)
    w = w.faces.density_from_occupation(system.occupation())
    ends = []
    for tolerance in (1e-5, 1e-8):
        evolution = system.evolution(
            order, difference_step=step, refresh_interval=duration / 8, refresh_tolerance=tolerance
        )
        ends.append(Propagator(evolution, STEPPERS["rk4"], w, duration / 40).advance_to(duration))
    assert 0 < relative(ends[0] - ends[1], ends[1]) < 1e-5


def test_a_drive_that_stands_still_is_no_drive():
    frozen = ramped_texture(4.0, n=24)
    at_end = lambda x, k, t: frozen.hamiltonian.matrix(x, k, 4.0)  # noqa: E731
    static = replace(frozen, hamiltonian=Hamiltonian(at_end, 2, 1))
    still = replace(frozen, hamiltonian=Hamiltonian(at_end, 2, 1, time_dependent=True))
    expected = phase_space_velocity(static.effective(2))
    found = phase_space_velocity(still.by(GeneralBand, 2, 1.0, difference_step=1e-2))
    assert relative(found - expected, expected) < 1e-9


# --- Thouless pump ---


def pumped_charge(order, period, n_times=24, **parameters):
    """``int dt int dk/(2 pi) D V_x`` of a filled band over a cycle of (t1 - t2, Delta)."""
    angle = f"2*pi*t/{period!r}"
    cycle = {"t1": f"0.6 + 0.3*cos({angle})", "t2": f"0.6 - 0.3*cos({angle})", "delta": f"0.5*sin({angle})"}
    hamiltonian = build_hamiltonian("rice_mele", {**cycle, **parameters}, None, 1, 1, (24.0,))
    band = System(hamiltonian, grid_of((24.0,), 4, 96, 1))
    charge = 0.0
    for t in (np.arange(n_times) + 0.5) * period / n_times:
        effective = band.by(GeneralBand, order, t, difference_step=2e-4 * period)
        flow = phase_space_velocity(effective)[0] * effective.density_of_states
        charge += flow.mean() * period / n_times
    return charge


@pytest.mark.parametrize("period", [40.0, 160.0])
@pytest.mark.parametrize("positions", [[0.0, 0.0], [0.0, 0.5]])
def test_a_pump_cycle_moves_one_charge(period, positions):
    charges = [pumped_charge(order, period, orbital_positions=positions) for order in (0, 1, 2)]
    assert abs(charges[0]) < 1e-12  # bare bands do not move a filled band
    assert abs(charges[1]) == pytest.approx(1.0, abs=1e-6)
    assert charges[2] == pytest.approx(charges[1], abs=1e-6)


def test_the_pump_turns_round():
    """The reversed cycle pumps the other way; one that does not enclose the gap closing pumps nothing."""
    there = pumped_charge(1, 40.0)
    assert pumped_charge(1, 40.0, delta="-0.5*sin(2*pi*t/40.0)") == pytest.approx(-there, abs=1e-6)
    assert pumped_charge(1, 40.0, delta="1.2 + 0.5*sin(2*pi*t/40.0)") == pytest.approx(0.0, abs=1e-6)


# --- slopes ---


def driven_texture(duration, n=32, sites=16):
    """A texture with a mass and an angle that turn as sin^4: it follows its band from the start."""

    def matrix(x, k, t):
        ramp, angle, k = np.sin(np.pi * t / (2 * duration)) ** 4, 2 * np.pi * x[0] / sites, k[0]
        d1 = 1.3 + 0.3 * np.cos(k) + 0.15 * np.cos(angle) + 0.2 * ramp * np.sin(angle + k)
        d2 = 0.3 * np.sin(k) + 0.15 * np.sin(angle) + 0.5 * ramp
        d3 = 0.2 * np.sin(angle) + 0.2 * np.cos(k) - 0.3 * ramp * np.cos(k)
        return pauli_combination(d1, d2, d3, 0.2 * np.cos(angle))

    return replace(gentle_texture(sites, n), hamiltonian=Hamiltonian(matrix, 2, 1, time_dependent=True))


def slopes_of(orders=(1, 2)):
    duration = 6.0
    measured = convergence(driven_texture(duration).problem(duration), (1.5, 2.25), orders)
    return {order: slopes["f_max"] for order, (_, slopes) in measured.items()}


@pytest.mark.slow
def test_slopes_of_a_driven_texture():
    """The undisturbed side of the two below; a ramp has its slopes tested in test_signature.py."""
    for order, found in slopes_of().items():
        assert found == pytest.approx(order + 1, abs=0.25), order


@pytest.mark.slow
def test_without_the_rate_curvature_the_slopes_are_lost(monkeypatch):
    """V_a without eps_an Omega*_nt."""

    def mutilated(effective):
        return phase_space_velocity(replace(effective, rate_curvature=None))

    monkeypatch.setattr(band_sources, "phase_space_velocity", mutilated)
    broken = slopes_of()
    assert broken[1] < 1.6
    assert broken[2] < 1.3


@pytest.mark.slow
def test_without_the_rate_of_the_projector_the_slope_is_lost(monkeypatch):
    """[H, pi]_* = 0 in place of i d_t pi."""
    original = slab_expansion.moyal_projector

    def mutilated(hamiltonian, bands, group, order, rates=(), known=()):
        return original(hamiltonian, bands, group, order, known=known)

    monkeypatch.setattr(slab_expansion, "moyal_projector", mutilated)
    assert slopes_of((2,))[2] < 2.3


def test_equations_of_a_driven_band_are_looked_up_at_stage_times():
    system = driven_texture(4.0)
    evolution = band_evolution.BandEvolution(
        system.hamiltonian, system.grid, 0, EquationOptions(1, difference_step=1e-3)
    )
    assert evolution.equation(1.0) is evolution.equation(1.0)
    assert evolution.equation(1.0) is not evolution.equation(2.0)
