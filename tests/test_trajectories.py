"""Wave-packet trajectories: closed formulas, and the kinetic packets they belong to."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.special import ellipk
from systems import named, slope, texture
from tiny_cases import CHAIN, changed, make_case

from wigner_sim import open_run
from wigner_sim.errors import CaseError
from wigner_sim.figures.frames import image_series
from wigner_sim.figures.packets import PacketOverlay, packet_overlay
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.initial_states import InitialState
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.effective_band import phase_space_velocity
from wigner_sim.kinetics.options import EquationOptions, GeometricTerms
from wigner_sim.matrix_moyal import MatrixMoyal
from wigner_sim.models import build_hamiltonian
from wigner_sim.propagator import Propagator
from wigner_sim.simulation import run
from wigner_sim.steppers import STEPPERS, choose_step
from wigner_sim.symbols import trace
from wigner_sim.trajectories import BandVelocity, TrigonometricSum, wave_packet_trajectories


def with_force(system, *force):
    """The same crystal under a uniform force."""
    return replace(
        system, hamiltonian=replace(system.hamiltonian, force=lambda t: np.array(force, dtype=float))
    )


def follow(system, order, starts, times, **options):
    """Trajectories (times, packets, axes) at one order."""
    return wave_packet_trajectories(BandVelocity(system.evolution(order, **options)), starts, times)


def dirac_chain(sites=40.0, n_x=8, n_k=64, potential="0"):
    return named("massive_dirac", {"mass": 0.6, "wilson": 0.5}, potential, (sites,), n_x, n_k)


def dirac_band(k, mass=0.6, wilson=0.5):
    """Lower band energy and metric of ``d = (sin k, m + w (1 - cos k))``, a planar Bloch vector."""
    d1, d3 = np.sin(k), mass + wilson * (1 - np.cos(k))
    length = np.hypot(d1, d3)
    turn = (d3 * np.cos(k) - d1 * wilson * np.sin(k)) / length**2
    return -length, turn**2 / 4


# --- interpolation ---


def test_velocity_is_exact_between_grid_points():
    system = texture(n=64)
    band = system.evolution(2)
    coarse, fine = band.velocity(), replace(system, grid=PhaseSpaceGrid((54,), (50,), system.grid.lengths))
    values, grid = fine.evolution(2).velocity(), fine.grid
    points = np.concatenate(grid.mesh()).reshape(2, -1)
    for axis in range(2):
        found = TrigonometricSum.of(coarse[axis], system.grid, 1e-13)(points)
        np.testing.assert_allclose(found, values[axis].ravel(), atol=1e-7)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_velocity_is_that_of_the_band(order):
    for system in (texture(n=32), dirac_chain(potential="0.3*cos(2*pi*x/L)")):
        band = system.evolution(order)
        np.testing.assert_allclose(band.velocity(), phase_space_velocity(band.effective()), atol=1e-12)


# --- closed formulas ---


def test_bloch_oscillation_and_its_polarization():
    force, start = 0.1, 0.3
    system = with_force(dirac_chain(), force)
    times = np.linspace(0, 2 * np.pi / force, 9)
    k = start + force * times
    (energy, metric), (energy_0, metric_0) = dirac_band(k), dirac_band(start)
    t_metric, t_metric_0 = metric / np.abs(energy), metric_0 / np.abs(energy_0)  # T = 2 g/gap, gap = 2 |E|
    bare = (energy - energy_0) / force
    polarization = 0.5 * force * (t_metric - t_metric_0)
    assert np.abs(polarization).max() > 0.02
    for order, expected in ((0, bare), (1, bare), (2, bare + polarization)):
        found = follow(system, order, [[20.0, start], [7.0, start]], times)
        np.testing.assert_allclose(found[:, 0, 0] - 20.0, expected, atol=1e-6)
        np.testing.assert_allclose(found[:, 1, 0] - 7.0, expected, atol=1e-6)
        np.testing.assert_allclose(found[:, 0, 1], k, atol=1e-12)


def test_a_driven_force_moves_momentum_by_its_integral():
    system = dirac_chain()
    h = replace(system.hamiltonian, force=lambda t: np.array([0.2 * np.cos(t)]), force_varies=True)
    found = follow(replace(system, hamiltonian=h), 2, [[20.0, 0.3]], [0.0, 1.0, 2.5])
    np.testing.assert_allclose(found[:, 0, 1], 0.3 + 0.2 * np.sin([0.0, 1.0, 2.5]), atol=1e-8)


def test_cyclotron_period():
    # E = -2 (cos kx + cos ky): T = (dA/dE)/B = 2 K(1 - (E/4)^2)/B with the complete elliptic integral
    flux = 0.2
    system = named("cosine_band", {}, None, (), 4, 32, d=2, flux=flux)
    start = np.array([0.9, 0.4])
    energy = -2 * np.cos(start).sum()
    period = 2 * ellipk(1 - (energy / 4) ** 2) / flux
    found = follow(system, 1, [start], np.linspace(0, period, 5))[:, 0]
    np.testing.assert_allclose(found[-1], start, atol=1e-6)
    np.testing.assert_allclose(found[2], -start, atol=1e-6)
    np.testing.assert_allclose(-2 * np.cos(found).sum(axis=1), energy, atol=1e-7)


def test_anomalous_velocity():
    # on the line kx = 0 of the Chern insulator there is no group velocity along x, only F_y Omega
    mass, force = -1.0, 0.05
    system = named("qi_wu_zhang", {"mass": mass}, None, (20.0,), 8, 48, d=2)
    times = np.linspace(0, 30, 4)
    found = {order: follow(with_force(system, 0, force), order, [[10.0, 0, 0.3]], times) for order in (0, 1)}
    fine = np.linspace(0, 30, 4001)
    rate = force * chern_curvature(0.0, 0.3 + force * fine, mass)
    moved = np.concatenate([[0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * np.diff(fine))])
    assert np.abs(found[0][:, 0, 0] - 10.0).max() < 1e-8
    assert np.abs(moved).max() > 0.2
    np.testing.assert_allclose(found[1][:, 0, 0] - 10.0, np.interp(times, fine, moved), atol=1e-6)


def chern_curvature(k_x, k_y, mass):
    """``Omega = -n . (d_x n x d_y n)/2`` of the lower band of qi_wu_zhang."""
    zero = 0.0 * (k_x + k_y)
    d = np.array([np.sin(k_x) + zero, np.sin(k_y) + zero, mass + np.cos(k_x) + np.cos(k_y)])
    d_x = np.array([np.cos(k_x) + zero, zero, -np.sin(k_x) + zero])
    d_y = np.array([zero, np.cos(k_y) + zero, -np.sin(k_y) + zero])
    return -(d * np.cross(d_x, d_y, axis=0)).sum(axis=0) / (2 * np.linalg.norm(d, axis=0) ** 3)


# --- packets ---


def packet_nodes(centre, widths, n=13):
    """Nodes (2, p) and Gauss-Hermite weights that integrate (any function) times no Gaussian."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    nodes = np.stack(np.meshgrid(nodes, nodes, indexing="ij")).reshape(2, -1)
    weights = np.outer(weights, weights).ravel() * np.exp(0.5 * (nodes**2).sum(axis=0))
    return np.reshape(centre, (2, 1)) + np.reshape(widths, (2, 1)) * nodes, weights


def swarm_harmonic(band, w, starts, weights, t):
    """``<exp(2 pi i x/L)>`` at time t of trajectories that start with the weights of a density w."""
    length = band.grid.lengths[0]
    weights = weights * TrigonometricSum.of(w, band.grid)(starts)
    moved = wave_packet_trajectories(BandVelocity(band), starts.T, [0.0, t], band.grid.periods)[-1]
    return np.exp(2j * np.pi * moved[:, 0] / length) @ weights / weights.sum()


def grid_harmonic(grid, w):
    wave = np.exp(2j * np.pi * grid.positions[0] / grid.lengths[0])
    return (w * wave).sum() / w.sum()


def test_a_swarm_moves_as_the_kinetic_equation_without_moyal_term():
    errors = {1: [], 2: []}
    dilations = (1.0, 1.5, 2.0)
    for dilation in dilations:
        system, sites, t = texture(sites=24 * dilation, n=64), 24 * dilation, 6.0 * dilation
        no_moyal = system.evolution(2, terms=GeometricTerms(moyal=False))
        state = InitialState(
            lambda x, k, sites=sites: np.exp(
                12 * (np.cos(2 * np.pi * x[0] / sites - 4) + np.cos(k[0] + 1) - 2)
            )
        )
        w = state.density(no_moyal.effective())
        step = choose_step(STEPPERS["rk4"], no_moyal, w, 0.0, t, 1e-7)
        kinetic = Propagator(no_moyal, STEPPERS["rk4"], w, step.dt).advance_to(t)
        nodes, weights = packet_nodes((4 * sites / (2 * np.pi), -1.0), (0.3 * sites / (2 * np.pi), 0.3))
        for order, found in errors.items():
            band = system.evolution(order)
            own = w if order == 2 else state.density(band.effective())
            swarm = swarm_harmonic(band, own, nodes, weights, t)
            found.append(abs(np.angle(swarm / grid_harmonic(system.grid, kinetic))))
    assert slope(dilations, errors[1]) == pytest.approx(2, abs=0.3)
    assert max(errors[2]) < 0.02 * min(errors[1])


def test_a_point_in_a_flat_band_moves_at_second_order_only():
    # E = -gap/2 everywhere; a narrow kinetic packet on top of a potential drifts by g'(k) U''/2
    values = {"gap": 8.0, "turn": 1.5, "height": 1.0}
    terms = [
        {"k": "gap/2*cos(turn*sin(k))", "matrix": "sigma_z"},
        {"k": "gap/2*sin(turn*sin(k))", "matrix": "sigma_x"},
    ]
    h = build_hamiltonian("terms", {**values, "terms": terms}, "height*cos(2*pi*x/L)", 1, 1, (24.0,))
    grid, start, t = PhaseSpaceGrid((128,), (128,), (24.0,)), np.array([12.0, 0.8]), 8.0
    bands = {order: BandEvolution(h, grid, 0, EquationOptions(order)) for order in (1, 2)}
    moved = {
        order: wave_packet_trajectories(BandVelocity(band), [start], [0.0, t])[-1, 0, 0] - start[0]
        for order, band in bands.items()
    }
    state = InitialState(
        lambda x, k: np.exp(80 * (np.cos(2 * np.pi * (x[0] - 12) / 24) + np.cos(k[0] - 0.8) - 2))
    )
    w = state.density(bands[2].effective())
    step = choose_step(STEPPERS["rk4"], bands[2], w, 0.0, t, 1e-6)
    after = Propagator(bands[2], STEPPERS["rk4"], w, step.dt).advance_to(t)
    centre = 24 / (2 * np.pi) * np.angle(grid_harmonic(grid, after) / grid_harmonic(grid, w))
    assert abs(moved[1]) < 1e-10
    assert abs(centre) > 0.05
    assert moved[2] == pytest.approx(centre, rel=0.2)


def test_the_mean_position_of_an_exact_packet_needs_the_second_order():
    # no Moyal term touches a mean position under a uniform force, and the matrix equation knows nothing of V
    dilations, errors = (1.0, 1.5, 2.25), {1: [], 2: []}
    for dilation in dilations:
        force, t = 0.12 / dilation, 10.0 * dilation
        system = with_force(dirac_chain(sites=round(40 * dilation), n_x=48, n_k=96), force)
        grid = system.grid
        state = InitialState(
            lambda x, k, sites=grid.lengths[0]: np.exp(
                16 * (np.cos(2 * np.pi * x[0] / sites - np.pi) + np.cos(k[0] - 0.5) - 2)
            )
        )
        matrix = MatrixMoyal(system.hamiltonian, grid, (0,), EquationOptions(2))
        w = state.density(matrix.bands[0].effective())
        f = Propagator(matrix, STEPPERS["blanes_moan4"], matrix.assemble(w[None]), 0.2).advance_to(t)
        moved = mean_x(grid, trace(f).real) - mean_x(grid, w)
        starts = np.stack([np.zeros(grid.n_k[0]), grid.axis_points[1]], axis=-1)  # V does not depend on x
        for order, found in errors.items():
            evolution = system.evolution(order)
            n_k = grid.integrate_positions(state.density(evolution.effective()))
            end = wave_packet_trajectories(BandVelocity(evolution), starts, [0.0, t], grid.periods)[-1, :, 0]
            found.append(abs(end @ n_k / n_k.sum() - moved))
    assert slope(dilations, errors[1]) == pytest.approx(1, abs=0.2)
    assert slope(dilations, errors[2]) > 1.8
    assert errors[2][-1] < 0.1 * errors[1][-1]


def mean_x(grid, w):
    return float((w * grid.positions[0]).sum() / w.sum())


# --- runs ---


PACKETS = changed(CHAIN, {"trajectories": {"starts": [[2.0, 0.5], [6.0, -1.0]], "orders": [1, 2]}})


def test_a_run_stores_its_packets_and_figures_show_them(tmp_path):
    finished = run(make_case(tmp_path, PACKETS))
    packets = finished.trajectories
    assert dict(packets.sizes) == {"order": 2, "packet": 2, "time": 401}
    assert packets["x"].dims == ("order", "packet", "time")
    np.testing.assert_array_equal(packets["x"].isel(time=0), [[2.0, 6.0]] * 2)
    assert packets["kx"].attrs["units"] == "radian"
    assert packets["x"].attrs["period"] == 8.0
    series = image_series(finished, None)
    axes = Figure().subplots()
    axes.set(xlim=(0, 8), ylim=(-np.pi, np.pi))
    overlay = packet_overlay(axes, finished, series, None)
    overlay.show(0.5)
    x, k = axes.lines[1].get_data()
    np.testing.assert_allclose(
        [x[0], k[0]], packets[["x", "kx"]].sel(time=0.5).isel(order=0, packet=0).to_array()
    )
    with open_run(finished.path) as opened:
        assert packet_overlay(axes, opened, image_series(opened, None), None) is not None


def test_a_run_without_packets_shows_none(tmp_path):
    finished = run(make_case(tmp_path, CHAIN))
    assert not finished.directory.stream_path("trajectories").exists()
    assert packet_overlay(Figure().subplots(), finished, image_series(finished, None), None) is None


def test_paths_are_broken_where_they_leave_the_picture(tmp_path):
    finished = run(make_case(tmp_path, PACKETS, hamiltonian__force=[6.0]))
    axes = Figure().subplots()
    axes.set(xlim=(0, 8), ylim=(-np.pi, np.pi))
    with mpl.rc_context({"backend": "Agg"}):
        PacketOverlay(axes, finished.trajectories, ("x", "kx")).show(1.0)
    path = np.array(axes.lines[0].get_data())
    assert np.isnan(path).any()
    steps = np.abs(np.diff(path, axis=1))
    assert np.nanmax(steps) < 1.0
    assert float(finished.trajectories["kx"].max()) > 5.0


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"starts": [[1.0]]}, "packet 1 has 1 numbers, expected one per axis"),
        ({"starts": [[1.0, 2.0]], "band": 1}, "not among bands.select"),
        ({"starts": [[1.0, 2.0]], "orders": [3]}, "orders"),
        ({"starts": [[1.0, 2.0]], "orders": [1, 1]}, "orders"),
    ],
)
def test_packets_that_make_no_sense(section, sentence, tmp_path):
    with pytest.raises(CaseError, match=sentence):
        make_case(tmp_path, changed(CHAIN, {"trajectories": section}))


def test_starts_of_the_wrong_shape_are_refused():
    with pytest.raises(CaseError, match="phase-space points"):
        wave_packet_trajectories(lambda z, t: z, [1.0, 2.0], [0.0, 1.0])
