"""The electrons' own potential: kernels, orders in time, conservation, the Lindhard function, runs."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from systems import separable_chain, separable_plane, slope
from test_simulation import interrupted_after
from tiny_cases import CHAIN, TEXTURE, assert_identical, make_case, stored, write_case

from wigner_sim.errors import CaseError, InterruptedRunError
from wigner_sim.exact_runs import exact_snapshots
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_stack import BandStack
from wigner_sim.kinetics.interacting_stack import InteractingStack
from wigner_sim.kinetics.mean_field import AccelerationByDensity, Interaction
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.observables import OBSERVABLES, BandFlow, BandState
from wigner_sim.problem import build_problem, describe
from wigner_sim.simulation import resume, run
from wigner_sim.steppers import STEPPERS

CASE = Path(__file__).parents[1] / "cases" / "zero_sound"
POISSON = Interaction("poisson", 0.3, 0.2)
INTERACTING = CHAIN | {
    "initial_state": {"kind": "symbol", "c": "0.4*exp(0.5*cos(2*pi*x/L) + 0.3*sin(k))"},
    "mean_field": {"kind": "poisson", "strength": 0.5, "screening": 0.3},
}


@pytest.fixture(scope="module")
def sound():
    """The script of the case, with its Lindhard function."""
    spec = importlib.util.spec_from_file_location("figure_of_zero_sound", CASE / "figure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def interacting(order=2, split=True, dilation=1.0, n=24, interaction=POISSON):
    """A stack of one band, and a state."""
    system = separable_chain(n=n).dilated(dilation)
    stack = InteractingStack(
        [system.evolution(order, split=split)], interaction=interaction.dilated(dilation)
    )
    c = system.occupation()
    return stack, stack.bands[0].effective().faces.density_from_occupation(0.9 * c / c.max())[None]


def advanced(stack, w, stepper, duration, n):
    for _ in range(n):
        w = STEPPERS[stepper].step(stack, w, 0.0, duration / n)
    return w


def total_energy(stack, w):
    energy = stack.evolutions(w, 0.0)[0].effective(0.0).total_energy_symbol
    return float(stack.bands[0].grid.integrate(w[0] * energy)) - stack.mean_field.energy(w)


def test_poisson_kernel_solves_its_equation():
    grid = PhaseSpaceGrid((24,), (8,), (12.0,))
    x = grid.axis_points[0]
    q = 2 * np.pi / 12.0
    excess = np.cos(q * x) + 0.3 * np.sin(2 * q * x)
    for screening in (0.0, 0.7):
        kernel = Interaction("poisson", 2.0, screening).kernel(grid)
        u = np.fft.ifft(kernel * np.fft.fft(excess)).real
        expected = 2 * np.cos(q * x) / (q**2 + screening**2) + 0.6 * np.sin(2 * q * x) / (
            4 * q**2 + screening**2
        )
        np.testing.assert_allclose(u, expected, atol=1e-13)
    np.testing.assert_allclose(Interaction("contact", 2.0).kernel(grid), 2.0)


def test_potential_is_made_of_the_density_of_f():
    stack, w = interacting()
    field = stack.mean_field
    f = stack.bands[0].effective().faces.band_density_from_density(w[0])
    n = f.mean(axis=-1)
    np.testing.assert_allclose(field.density(w), n, atol=1e-14)
    assert np.abs(n - w[0].mean(axis=-1)).max() > 1e-4
    u = np.fft.ifft(POISSON.kernel(field.grid) * np.fft.fft(n - n.mean())).real
    np.testing.assert_allclose(field.potentials(w).total, u, atol=1e-13)
    rate = (field.potentials(w + 1e-5 * stack.rhs(w, 0.0)).total - u) / 1e-5
    assert np.abs(field.potentials(w).rate - rate).max() < 0.04 * np.abs(rate).max()


def test_the_background_shifts_a_contact_interaction():
    given = replace(Interaction("contact", 2.0), background=0.1)
    stack, w = interacting(interaction=given)
    np.testing.assert_allclose(
        stack.mean_field.potentials(w).total, 2.0 * (stack.mean_field.density(w) - 0.1), atol=1e-13
    )


def test_acceleration_keeps_what_it_comes_from():
    stack, w = interacting()
    later = AccelerationByDensity(stack.mean_field).flow(w, 0.0, 2.0)
    assert np.abs(later - w).max() > 0.01
    assert np.abs((later - w).mean(axis=-1)).max() < 1e-15
    again = AccelerationByDensity(stack.mean_field).flow(later, 0.0, -2.0)
    np.testing.assert_allclose(again, w, atol=1e-13)


@pytest.mark.parametrize("order", [0, 2])
@pytest.mark.parametrize(("stepper", "declared"), [("rk4", 4), ("strang", 2), ("blanes_moan4", 4)])
def test_every_stepper_keeps_its_order(stepper, declared, order):
    stack, w = interacting(order, split=stepper != "rk4")
    steps = (8, 16, 32) if stepper == "rk4" else (2, 4, 8)
    fine = advanced(stack, w, stepper, 1.0, 4 * steps[-1])
    errors = [np.abs(advanced(stack, w, stepper, 1.0, n) - fine).max() for n in steps]
    assert slope(steps, errors) > declared - 0.3, errors


@pytest.mark.parametrize("order", [0, 1])
def test_energy_with_the_interaction_is_conserved(order):
    stack, w = interacting(order)
    later = advanced(stack, w, "blanes_moan4", 2.0, 16)
    assert abs(stack.mean_field.energy(later) - stack.mean_field.energy(w)) > 1e-4
    assert total_energy(stack, later) == pytest.approx(total_energy(stack, w), abs=1e-10)
    assert later.mean() == pytest.approx(w.mean(), abs=1e-14)


@pytest.mark.parametrize(("without", "expected"), [(None, 4), ("rate", 2), ("smeared", 2)])
def test_energy_at_second_order_to_the_order_kept(without, expected, monkeypatch):
    """It needs the density of f, and the rate of the potential in the flow."""
    drifts, dilations = [], [1.0, 2.0, 4.0]
    for dilation in dilations:
        stack, w = interacting(split=False, dilation=dilation, n=16)
        if without:
            original = stack.mean_field.potentials

            def changed(state, original=original):
                found = original(state)
                return replace(found, **{without: 0.0 * getattr(found, without)})

            monkeypatch.setattr(stack.mean_field, "potentials", changed)
        later = advanced(stack, w, "rk4", 2.0 * dilation, 24)
        drifts.append(abs(total_energy(stack, later) - total_energy(stack, w)) / dilation)
    assert slope(dilations, drifts) == pytest.approx(expected, abs=0.4), drifts


def test_splitting_and_the_whole_equation_agree_to_the_order_kept():
    dilations, differences = [1.0, 2.0, 4.0], []
    for dilation in dilations:
        results = []
        for stepper in ("rk4", "blanes_moan4"):
            stack, w = interacting(split=stepper != "rk4", dilation=dilation, n=16)
            results.append(advanced(stack, w, stepper, 1.0 * dilation, 16))
        differences.append(np.abs(results[0] - results[1]).max())
    assert slope(dilations, differences) > 2.75, differences


SYSTEMS = {
    "chain": lambda: separable_chain(n=24),
    "plane in a field": lambda: separable_plane(1, flux=0.05),
    "both axes": lambda: separable_plane(2, n_x=8, n_k=8, flux=0.05),
}


@pytest.mark.parametrize("stepper", ["rk4", "strang"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_without_interaction_it_is_the_band_stack(name, stepper):
    system = SYSTEMS[name]()
    # with a field compiled blocks make third derivatives on other modes; a mean field does without blocks
    engine = "auto" if system.grid.cell_flux is None else "numpy"
    options = EquationOptions(2, split=stepper != "rk4", engine=engine)
    bands = [BandEvolution(system.hamiltonian, system.grid, band, options) for band in (0, 1)]
    c = system.occupation()
    w = np.stack([band.effective().faces.density_from_occupation(0.5 * c / c.max()) for band in bands])
    free = InteractingStack(bands, interaction=Interaction("contact", 1e-300))
    expected, found = (STEPPERS[stepper].step(stack, w, 0.0, 0.02) for stack in (BandStack(bands), free))
    assert np.abs(expected - w).max() > 1e-4
    np.testing.assert_allclose(found, expected, atol=1e-11)


def test_bands_feel_each_other():
    system = separable_plane(1)
    bands = [BandEvolution(system.hamiltonian, system.grid, band, EquationOptions(2)) for band in (0, 1)]
    c = 0.5 * system.occupation() / system.occupation().max()
    w = np.stack([band.effective().faces.density_from_occupation(c) for band in bands])
    together = InteractingStack(bands, interaction=POISSON)
    n = together.mean_field.density(w)
    apart = [
        InteractingStack([band], interaction=POISSON).mean_field.density(w[[b]])
        for b, band in enumerate(bands)
    ]
    np.testing.assert_allclose(n, apart[0] + apart[1], atol=1e-14)
    alone = InteractingStack(bands[:1], interaction=POISSON).rhs(w[:1], 0.0)[0]
    assert np.abs(together.rhs(w, 0.0)[0] - alone).max() > 1e-3


# --- physics ---


@pytest.mark.parametrize(("setting", "accuracy"), [("SOUND", 1e-3), ("PLASMA", 1e-3)])
def test_frequency_of_density_waves_from_the_lindhard_function(setting, accuracy, sound):
    kind, strength = (entry.split("=")[1] for entry in getattr(sound, setting))
    q = 2 * np.pi * 4 / sound.LENGTH
    expected = sound.mode_frequency(q, kind, float(strength))
    small = ("grid.n_x=[24]", "grid.n_k=[96]", f"time.end={10 * np.pi / expected}")
    frequency, _ = sound.fit(*sound.density_wave(4, *getattr(sound, setting), *small), expected)
    assert frequency == pytest.approx(expected, rel=accuracy)
    without = sound.density_wave(4, *getattr(sound, setting), *small, "equation.order=0")
    assert abs(sound.fit(*without, expected)[0] - expected) > 3 * abs(frequency - expected)


def test_landau_damping(sound):
    """Without Lindhard's interaction the wave would dephase differently, and undamped it would not decay."""
    small = ("grid.n_x=[24]", "grid.n_k=[96]")
    times, signal, expected = sound.damped(0.5, *small, end=80.0)
    np.testing.assert_allclose(signal, expected, atol=0.01)
    assert np.abs(signal[times > 60]).max() < 0.55
    q = 2 * np.pi * sound.DAMPED_MODE / sound.LENGTH
    free = sound.response(q, times, 1e-12, sound.DAMPED_MU)
    assert np.abs(signal - free).max() > 0.1


# --- cases ---


def test_section_arrives(tmp_path):
    problem = build_problem(make_case(tmp_path, INTERACTING))
    assert problem.interaction == Interaction("poisson", 0.5, 0.3, None)
    assert isinstance(problem.stack(), InteractingStack)
    assert "mean field: poisson interaction" in describe(problem)
    dilated = problem.dilated(2.0).interaction
    assert (dilated.strength, dilated.screening) == (0.125, 0.15)


WRONG = {
    "expected a number other than 0": CHAIN | {"mean_field": {"kind": "contact"}},
    'no effect with kind = "none"': CHAIN | {"mean_field": {"strength": 1.0}},
    'no effect with kind = "contact"': CHAIN
    | {"mean_field": {"kind": "contact", "strength": 1.0, "screening": 1.0}},
    r"mean_field needs H0\(k\) \+ U": TEXTURE | {"mean_field": {"kind": "contact", "strength": 1.0}},
    "cannot be combined with mean_field": INTERACTING | {"equation": {"terms": {"metric": False}}},
    r"\[mean_field\] cannot be combined with": INTERACTING
    | {"relaxation": {"rate": 1.0, "temperature": 1.0}},
    "mean_field needs a position axis": INTERACTING
    | {
        "grid": {"sites": [], "n_x": [], "n_k": [16]},
        "hamiltonian": {"source": "named:rice_mele"},
        "initial_state": {"kind": "symbol", "c": 0.5},
    },
}


@pytest.mark.parametrize("sentence", WRONG)
def test_what_cannot_be_done_is_one_sentence(sentence, tmp_path):
    with pytest.raises(CaseError, match=sentence):
        build_problem(make_case(tmp_path, WRONG[sentence])).stack()


def test_exact_dynamics_has_no_mean_field(tmp_path):
    with pytest.raises(CaseError, match="knows no mean field"):
        exact_snapshots(build_problem(make_case(tmp_path, INTERACTING)), 0, [0.0, 1.0])


@pytest.mark.parametrize("stepper", ["rk4", "strang"])
def test_a_resumed_run_is_the_same_to_the_last_bit(stepper, tmp_path, monkeypatch, caplog):
    time = {"end": 0.6, "stepper": stepper, "step": 0.1}
    with caplog.at_level(logging.WARNING):
        whole = run(write_case(tmp_path / "whole", INTERACTING, time=time, monitors={"energy_drift": 1e-4}))
    assert not [record for record in caplog.records if record.name == "wigner_sim.monitors"]
    with interrupted_after(3, monkeypatch), pytest.raises(InterruptedRunError):
        run(write_case(tmp_path / "parts", INTERACTING, time=time, monitors={"energy_drift": 1e-4}))
    parts = resume(tmp_path / "parts" / "runs" / "0001")
    assert_identical(stored(whole), stored(parts))
    assert whole.fields["mean_field_potential"].dims == ("time", "band", "x")
    scalars = whole.scalars
    total = scalars["energy"].sum("band") - scalars["interaction_energy"]
    total, interaction = total.values, scalars["interaction_energy"].values
    assert np.ptp(total) < 1e-4 * np.abs(total).max()
    assert np.ptp(interaction) > 10 * np.ptp(total)


# --- currents ---


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_recorded_current_carries_the_density_of_interacting_electrons(order):
    """``d_t n + d_x j = 0``: the rate by the mean field, j by the bands as the state sees them."""
    stack, w = interacting(order)
    w = advanced(stack, w, "blanes_moan4", 2.0, 10)
    (band,) = stack.evolutions(w, 0.0)
    flow = BandFlow(band, 0.0)
    state = BandState(flow.effective, w[0], flow)
    grid = state.grid
    rate = state.effective.faces.band_density_from_density(stack.rhs(w, 0.0)[0])
    change = grid.integrate_momenta(rate)
    q = 2 * np.pi * np.fft.rfftfreq(grid.n_x[0], grid.lengths[0] / grid.n_x[0])
    q[-1] = 0.0
    divergence = np.fft.irfft(1j * q * np.fft.rfft(OBSERVABLES["current"].function(state)[0]), grid.n_x[0])
    assert np.abs(change + divergence).max() < 1e-11 * np.abs(change).max()
