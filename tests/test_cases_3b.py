"""Physics of the cases with textures, pumps and lattices with a basis, on small grids."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from shipped import ROOT

from wigner_sim import converge, load_case
from wigner_sim.convergence import ExactReference, exact_reference, kinetic_errors
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.kinetics.external_field import ExternalField
from wigner_sim.kinetics.product_band import product_band
from wigner_sim.liouville import exact_system
from wigner_sim.models import build_hamiltonian
from wigner_sim.problem import build_problem
from wigner_sim.symbols import SymbolSpace


@pytest.fixture
def figure_of(monkeypatch):
    """The figure script of a case as a module."""

    def load(name):
        monkeypatch.syspath_prepend(ROOT / "cases" / name)
        specification = importlib.util.spec_from_file_location(
            f"figure_of_{name}", ROOT / "cases" / name / "figure.py"
        )
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module

    return load


def small_problem(file, *overrides):
    return build_problem(load_case(ROOT / "cases" / file).with_overrides(overrides))


def effective(problem):
    return problem.stack().bands[0].effective(0.0)


# --- skyrmion_texture ---

TEXTURE = (
    "grid.sites=[12, 12]",
    "grid.n_x=[24, 24]",
    "grid.n_k=[6, 6]",
    "initial_state.center_x=[6.0, 6.0]",
)


@pytest.mark.parametrize(("band", "sign"), [(0, 1), (1, -1)])
def test_real_space_curvature_is_the_emergent_field(figure_of, band, sign):
    """Omega_xy = +-(1/2) n . (d_x n x d_y n) for spin along or against n, with one flux quantum per cell."""
    problem = small_problem("skyrmion_texture", *TEXTURE, "equation.order=1", f"bands.select=[{band}]")
    omega = effective(problem).curvature[0][0, 1]
    x = np.stack(np.meshgrid(*problem.grid.axis_points[:2], indexing="ij"))
    field = figure_of("skyrmion_texture").emergent_field(x, (12, 12), tilt=1.2)
    assert np.abs(omega - sign * field[..., None, None]).max() < 1e-3 * np.abs(field).max()
    flux = problem.grid.integrate_positions(omega)
    np.testing.assert_allclose(flux, -sign * 2 * np.pi, rtol=1e-4)


def test_uniform_current_feels_the_flux_of_one_quantum():
    """A homogeneous state gains momentum across its current at the rate 2 pi C/(Lx Ly) per particle."""
    problem = small_problem("skyrmion_texture", *TEXTURE, "equation.order=1", "grid.n_k=[12, 12]")
    band, grid = effective(problem), problem.grid
    kx, ky = grid.momenta
    w = np.broadcast_to(np.exp(np.cos(kx - 1.0) + np.cos(ky)), grid.shape)
    v_x, v_y, a_x, a_y = (grid.integrate(w * v) for v in phase_space_velocity(band))
    assert v_x > 10 * abs(v_y)
    assert a_y == pytest.approx(-2 * np.pi / 144 * v_x, rel=1e-4)
    assert abs(a_x) < 1e-10 * abs(a_y)


def test_texture_orders_against_exact():
    problem = small_problem(
        "skyrmion_texture",
        "grid.sites=[12, 12]",
        "grid.n_x=[16, 16]",
        "grid.n_k=[12, 12]",
        'initial_state={kind = "symbol", c = "0.5 + 0.2*cos(2*pi*x/Lx) + 0.2*cos(kx - 1) + 0.1*cos(ky)"}',
        "time.end=2.0",
    )
    reference = exact_reference(problem, [0.0, 2.0])
    errors = [kinetic_errors(problem.with_order(n), reference, "exact")[-1].f_l2 for n in (0, 1, 2)]
    assert errors[1] < 0.5 * errors[0]
    assert errors[2] < 0.3 * errors[1]


# --- thouless_pump ---


def test_pumped_charge_is_an_integer(figure_of):
    figure = figure_of("thouless_pump")
    charge = {order: figure.homogeneous(order, 40.0, 32, 81)[1][-1] for order in (0, 1, 2)}
    assert abs(charge[0]) < 1e-9
    assert charge[1] == pytest.approx(1.0, abs=1e-6)
    assert charge[2] == pytest.approx(1.0, abs=1e-6)


def test_charge_inside_a_cycle_converges_with_the_period(figure_of):
    """Order m errs by the power -m of the period; a whole cycle is an integer at every speed."""
    figure = figure_of("thouless_pump")
    errors = {1: [], 2: []}
    for period in (60.0, 120.0):
        times, charge = figure.homogeneous(1, period, 24, 81)
        exact = figure.exact_charge(times, period, 24)
        assert exact[-1] == pytest.approx(1.0, abs=1e-4)
        errors[1].append(np.abs(charge - exact).max())
        errors[2].append(np.abs(figure.homogeneous(2, period, 24, 81)[1] - exact).max())
    for order, (slow, slower) in errors.items():
        assert np.log2(slow / slower) == pytest.approx(order, abs=0.25)


# --- haldane ---


@pytest.mark.parametrize(
    ("phi", "mass", "chern"),
    [(np.pi / 2, 0.3, 1), (-np.pi / 2, 0.3, -1), (np.pi / 2, 2.5, 0), (0.4, 0.2, 1), (0.4, 1.2, 0)],
)
def test_chern_numbers_across_the_phase_diagram(phi, mass, chern):
    """The lower band: +-1 for |M| < 3 sqrt(3) t2 |sin phi|, 0 beyond; the upper one has the opposite sign."""
    assert (abs(mass) < 3 * np.sqrt(3) * 0.3 * abs(np.sin(phi))) == bool(chern)
    found = []
    for band in (0, 1):
        problem = small_problem(
            "haldane",
            "grid.n_x=[4]",
            "grid.n_k=[36, 36]",
            "grid.magnetic_field=0.0",
            f"hamiltonian.parameters={{t2 = 0.3, phi = {phi}, mass = {mass}}}",
            f"bands.select=[{band}]",
            "equation.order=1",
        )
        found.append(effective(problem).curvature[0][1, 2][0].mean() * 2 * np.pi)
    np.testing.assert_allclose(found, [chern, -chern], atol=2e-3)


def test_anomalous_velocity_is_curvature_times_slope(figure_of):
    band = figure_of("haldane").LowerBand({"t1": 1.0, "t2": 0.3, "mass": 0.3})
    small = (
        "grid.n_x=[8, 8]",
        "grid.n_k=[24, 24]",
    )
    velocities = []
    for order in (0, 1):
        problem = small_problem("haldane/torus.toml", *small, f"equation.order={order}")
        velocities.append(phase_space_velocity(effective(problem)))
    k = np.stack(np.meshgrid(*problem.grid.axis_points[2:], indexing="ij"))
    velocity, omega = band.velocity_and_curvature(k)
    x = problem.grid.positions[0]
    slope = -0.6 * 2 * np.pi / 20 * np.sin(2 * np.pi * x / 20)
    np.testing.assert_allclose(velocities[0][1][0, 0], velocity[1], atol=1e-3)
    np.testing.assert_allclose(
        velocities[1][1] - velocities[0][1], omega * slope * np.ones(problem.grid.shape), atol=3e-3
    )
    np.testing.assert_allclose(velocities[1][2], velocities[0][2], atol=1e-12)


@pytest.mark.slow
def test_haldane_chains_converge_with_slopes_one_two_three():
    result = converge(ROOT / "cases" / "haldane", [1.0, 1.5, 2.0])
    for order in (0, 1, 2):
        assert result["slopes"][str(order)]["f_l2"] == pytest.approx(order + 1, abs=0.25)


# --- weyl ---

WEYL = {"velocity": 0.7, "mass": 1.0}


def test_hall_current_of_the_filled_band_is_quantized_per_layer(figure_of):
    """j_y = -U'/(2 pi) for one Chern layer per lattice constant, and none for the ordinary insulator."""
    figure = figure_of("weyl")
    x = np.arange(16.0)
    potential, slope = 0.3 * np.cos(2 * np.pi * x / 16), -0.3 * 2 * np.pi / 16 * np.sin(2 * np.pi * x / 16)
    current = figure.hall_current(potential, 16.0, (32, 32, 8), **WEYL, layer=0.1)
    np.testing.assert_allclose(current, -slope / (2 * np.pi), atol=1e-9)
    ordinary = figure.hall_current(potential, 16.0, (32, 32, 8), velocity=0.7, mass=-1.0, layer=0.1)
    np.testing.assert_allclose(ordinary, 0.0, atol=1e-9)


def test_streda_density_in_three_dimensions():
    """A filled band in a field along z gains |C| B/(2 pi) electrons per cell; along x or y none."""
    weyl = build_hamiltonian(
        "python:weyl.py:hamiltonian", WEYL | {"layer": 0.1}, None, 3, 1, (24.0,), ROOT / "cases" / "weyl"
    )
    field = 0.1
    for plane, expected in (((0, 1), field / (2 * np.pi)), ((1, 2), 0.0), ((2, 0), 0.0)):
        flux = np.zeros((3, 3))
        flux[plane], flux[plane[::-1]] = field, -field
        grid = PhaseSpaceGrid((4,), (32, 32, 8), (24.0,), flux)
        k = np.stack(np.meshgrid(*grid.axis_points[1:], indexing="ij"))
        bloch = np.moveaxis(weyl.bloch(k), (-2, -1), (0, 1))
        band = product_band(bloch, grid, np.zeros((2, 3)), 0, order=2)
        nothing = ExternalField(np.zeros(4), np.zeros(3))
        w = band.on_grid(SymbolSpace(grid), nothing).faces.density_from_occupation(np.ones(grid.shape))
        np.testing.assert_allclose(grid.integrate_momenta(w), 1 + expected, atol=1e-9)


def test_weyl_orders_against_exact_chains():
    problem = small_problem(
        "weyl",
        "grid.sites=[32]",
        "grid.n_x=[16]",
        "grid.n_k=[24, 24, 4]",
        f"grid.magnetic_field=[0.0, 0.0, {2 * np.pi / 32}]",
        "hamiltonian.parameters.layer=0.05",
        "time.end=2.0",
    )
    system = exact_system(problem.hamiltonian, problem.grid, (24, 4))
    state = system.band_state_from_symbol(0, problem.initial_states[0].occupation)
    snapshots = tuple(system.evolve(state, [0.0, 2.0]))
    reference = ExactReference((0.0, 2.0), (snapshots,), 0.0)
    errors = [kinetic_errors(problem.with_order(n), reference, "case")[-1].f_l2 for n in (0, 1, 2)]
    assert errors[1] < 0.3 * errors[0]
    assert errors[2] < 0.5 * errors[1]
