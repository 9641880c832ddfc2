"""A general H(x, k) on grids so large that the set-up goes slab by slab and coefficients are short sums.

Reference: the gradient expansion on whole arrays, every derivative by a transform of all axes.
"""

import json
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from systems import System, grid_of

from wigner_sim import parallel
from wigner_sim.geometry import moyal_berry_curvature, quantum_metric
from wigner_sim.kinetics import effective_band as effective_band_module
from wigner_sim.kinetics import slab_expansion
from wigner_sim.kinetics.blocked_flow import BlockedFlow
from wigner_sim.kinetics.effective_band import (
    Drive,
    driven_effective_band,
    dual_energy,
    effective_band,
    phase_space_velocity,
)
from wigner_sim.kinetics.equation import moyal_coefficients, unsplit_equation
from wigner_sim.kinetics.faces import MetricSmearing
from wigner_sim.kinetics.low_rank import factorized, short_third_derivatives
from wigner_sim.kinetics.packed_tensor import PackedTensor
from wigner_sim.kinetics.slab_expansion import energy_traces
from wigner_sim.kinetics.velocity import DenseVelocity
from wigner_sim.models import Hamiltonian
from wigner_sim.models.matrices import pauli_combination
from wigner_sim.projector import LocalBands, moyal_projector
from wigner_sim.steppers import STEPPERS
from wigner_sim.symbols import trace

SITES = 24.0


def plane(x, k, t):
    """A massive Dirac crystal whose mass varies in both directions."""
    big_x, big_y = 2 * np.pi * x / SITES
    mass = 1.6 + 0.2 * np.cos(big_x) + 0.15 * np.sin(big_y) + 0.1 * t
    kx, ky = k
    return pauli_combination(
        0.4 * np.sin(kx) + 0 * mass, 0.4 * np.sin(ky) + 0 * mass, mass + 0.3 * (2 - np.cos(kx) - np.cos(ky))
    )


def chain(x, k, t):
    big_x = 2 * np.pi * x[0] / SITES
    return pauli_combination(
        1.2 + 0.3 * np.cos(k[0]) + 0.2 * np.cos(big_x) + 0.1 * t, 0.3 * np.sin(k[0]), 0.3 * np.sin(big_x)
    )


def system_of(kind: str) -> System:
    flux = 0.05 if kind == "field" else 0.0
    if kind == "chain":
        return System(Hamiltonian(chain, 2, 1), grid_of((SITES,), 48, 48, 1))
    if kind == "ribbon":  # one position axis, two momenta
        ribbon = Hamiltonian(lambda x, k, t: plane(np.stack([x[0], 0 * x[0]]), k, t), 2, 2)
        return System(ribbon, grid_of((SITES,), 24, 20, 2, flux))
    return System(Hamiltonian(plane, 2, 2), grid_of((SITES, SITES), 14, 14, 2, flux))


def on_whole_arrays(symbol, bands, pi, rates=()):
    """Energies, density of states, metric, curvature, by the algorithms that the slabs share."""
    space = symbol.space
    metric = quantum_metric(pi[0])
    smearing = MetricSmearing(space, metric)
    density = [trace(p.values).real for p in pi]
    density[2] = density[2] - smearing.of_one
    curvature = moyal_berry_curvature(pi, 1, rates)
    return dual_energy(energy_traces(symbol, pi), density, smearing), sum(density), metric, curvature


def assert_close(ours, theirs, tolerance):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert np.abs(ours - theirs).max() <= tolerance * max(np.abs(theirs).max(), 0.02)


@pytest.fixture
def small_slabs(monkeypatch):
    """Slabs of a few rows, cut into pieces, in two threads."""
    monkeypatch.setattr(slab_expansion, "SLAB_POINTS", 1500)
    monkeypatch.setattr(slab_expansion, "PIECE_POINTS", 400)
    before = parallel.thread_count()
    parallel.set_thread_count(2)
    yield
    parallel.set_thread_count(before)


@pytest.mark.parametrize("kind", ["chain", "ribbon", "plane", "field"])
def test_slabs_equal_whole_arrays(kind, small_slabs):
    system = system_of(kind)
    symbol = system.symbol()
    pi = moyal_projector(symbol, LocalBands.of(symbol.values), range(1), 2)
    energy, density, metric, curvature = on_whole_arrays(symbol, None, pi)
    ours = effective_band(system.symbol(), 0, 2)
    # products are differentiated by Leibniz's rule here, by transforms there: the difference is aliasing (it
    # falls by four to five for every two points more per axis)
    tolerance = {"chain": 1e-11, "ribbon": 3e-5, "plane": 1e-5, "field": 1e-4}[kind]
    for one, other in zip(ours.energy, energy, strict=True):
        assert_close(one, other, tolerance)
    assert_close(ours.density_of_states, density, tolerance)
    assert_close(ours.metric, metric, 1e-11)
    assert_close(ours.curvature[0], curvature[0], 1e-11)
    assert_close(ours.curvature[1], curvature[1], tolerance)


@pytest.mark.parametrize("kind", ["chain", "ribbon"])
def test_the_number_and_size_of_slabs_changes_nothing(kind, monkeypatch):
    system = system_of(kind)
    whole = effective_band(system.symbol(), 0, 2)
    monkeypatch.setattr(slab_expansion, "SLAB_POINTS", 1000)
    monkeypatch.setattr(slab_expansion, "PIECE_POINTS", 100)
    cut = effective_band(system.symbol(), 0, 2)
    for one, other in zip(cut.energy, whole.energy, strict=True):
        assert_close(one, other, 1e-11)
    assert_close(cut.curvature[1], whole.curvature[1], 1e-11)


def test_a_driven_band_in_slabs_equals_whole_arrays(small_slabs):
    system = system_of("chain")
    drive = Drive(system.symbol, lambda t: np.array([0.02]), 1e-2)
    ours = driven_effective_band(drive, 0.3, 0, 2)
    slab_expansion.SLAB_POINTS = 1 << 15  # restored by the fixture
    whole = effective_band_module.driven_expansion(drive, 0.3, 0, 2)
    symbol, pi = whole.hamiltonian, whole.projector(2)
    again = moyal_projector(symbol, LocalBands.of(symbol.values), range(1), 2, whole.rates)
    assert_close(pi[2].values, again[2].values, 1e-11)
    energy, density, _, curvature = on_whole_arrays(symbol, None, again, whole.rates)
    assert_close(ours.energy[2], energy[2], 1e-10)
    assert_close(ours.density_of_states, density, 1e-11)
    assert_close(ours.rate_curvature, sum(omega[:2, 2] for omega in curvature), 1e-10)
    assert np.abs(ours.rate_curvature).max() > 1e-4


# --- short sums ---


@cache
def evolution_of(kind: str, split: bool = False, engine: str = "auto"):
    return system_of(kind).evolution(2, split=split, engine=engine)


def smooth_density(grid):
    angles = [2 * np.pi * z / period for z, period in zip(grid.coordinates, grid.periods, strict=True)]
    return np.exp(sum(0.5 * np.cos(angle - 0.3 * i) for i, angle in enumerate(angles)))


def test_factors_are_as_accurate_as_asked_for():
    grid = system_of("plane").grid
    values = evolution_of("plane").effective().energy[0]
    for tolerance in (1e-4, 1e-8):
        factors = factorized(grid, values, tolerance)
        assert factors is not None
        dense = factors.rows(0, len(factors.x)).reshape(grid.shape)
        assert np.abs(dense - values).max() <= tolerance * np.abs(values).max()
    rng = np.random.default_rng(0)
    assert factorized(grid, rng.normal(size=grid.shape), 1e-6) is None  # no short sum of it exists
    assert factorized(grid, np.zeros(grid.shape), 1e-6).n_terms == 0


def test_derivatives_of_factors_are_those_of_their_sum():
    system = system_of("plane")
    energy = evolution_of("plane").effective().energy[0]
    factors = factorized(system.grid, energy, 1e-12)
    for axes in ((0, 0, 2), (1, 2, 3), (3, 3, 3)):
        ours = factors.derivative(system.space, *axes).rows(0, len(factors.x)).reshape(system.grid.shape)
        assert_close(ours, system.space.symbol(energy).derivative(*axes), 1e-6)


@pytest.mark.parametrize("kind", ["plane", "field"])
def test_third_derivatives_are_those_of_the_dense_route(kind):
    system = system_of(kind)
    energy = evolution_of("plane").effective().energy[0]
    short = short_third_derivatives(system.space, energy)
    dense = moyal_coefficients(system.space, energy)
    scale = max(np.abs(values).max() for values in dense.values())
    for key in dense.keys() | short.terms.keys():
        parts = short.terms.get(key, [])
        ours = sum(w * short.derivatives[index].rows(0, 196) for w, index in parts)
        theirs = dense.get(key, np.zeros(system.grid.shape)).reshape(196, 196)
        assert np.abs(ours - theirs).max() < 1e-6 * scale, key


@pytest.mark.parametrize("kind", ["plane", "field"])
@pytest.mark.parametrize("threads", [1, 2])
def test_blocked_rate_equals_that_of_whole_arrays(kind, threads, small_slabs):
    parallel.set_thread_count(threads)
    evolution = evolution_of(kind)
    flow = evolution.equation().flows[0]
    assert isinstance(flow, BlockedFlow)
    effective = evolution.effective()
    dense = unsplit_equation(effective, evolution.options, DenseVelocity(phase_space_velocity(effective)))
    w = smooth_density(evolution.grid)
    ours, theirs = flow.rhs(w, 0.0), dense.rhs(w, 0.0)
    assert_close(ours, theirs, 1e-6)
    assert abs(ours.sum()) < 1e-12 * np.abs(ours).sum()
    assert flow.spectral_radius(0.0) == pytest.approx(dense.spectral_radius(0.0), rel=1e-4)


@pytest.mark.parametrize("kind", ["plane", "field"])
@pytest.mark.parametrize("engine", ["numpy", "auto"])
def test_splitting_with_short_sums_is_the_same_equation(kind, engine):
    w = smooth_density(system_of(kind).grid)
    split, whole = evolution_of(kind, True, engine), evolution_of(kind)
    if engine == "numpy":
        assert_close(split.rhs(w, 0.0), whole.rhs(w, 0.0), 1e-6)
    dt, n = 0.05, 4
    ours = theirs = w
    for _ in range(n):
        ours = STEPPERS["blanes_moan4"].step(split, ours, 0.0, dt)
    for _ in range(4 * n):
        theirs = STEPPERS["rk4"].step(whole, theirs, 0.0, dt / 4)
    assert_close(ours - w, theirs - w, 3e-6)
    assert abs(ours.sum() / w.sum() - 1) < 1e-13


def test_a_packed_tensor_behaves_like_an_array():
    evolution = evolution_of("plane")
    effective = evolution.effective()
    metric, omega = effective.metric, effective.curvature[1]
    assert isinstance(metric, PackedTensor)
    dense = np.asarray(metric)
    assert dense.shape == metric.shape == (4, 4, *evolution.grid.shape)
    np.testing.assert_array_equal(dense, np.swapaxes(dense, 0, 1))
    np.testing.assert_array_equal(metric[2:, 1:3], dense[2:, 1:3])
    np.testing.assert_array_equal(metric[3], dense[3])
    np.testing.assert_array_equal(metric[1, 2, 3], dense[1, 2, 3])
    np.testing.assert_array_equal(np.asarray(omega), -np.swapaxes(np.asarray(omega), 0, 1))
    np.testing.assert_array_equal(2 * metric, 2 * dense)
    assert metric.any()
    assert not PackedTensor(evolution.grid, {}, 1).any()


def test_no_short_sum_no_blocks(monkeypatch):
    """Where coefficients are no short sums they stay whole arrays."""
    monkeypatch.setattr("wigner_sim.kinetics.low_rank.SHORTEST", 0.02)
    evolution = system_of("plane").evolution(2)
    assert isinstance(evolution.equation().flows[0].velocity, DenseVelocity)
    w = smooth_density(evolution.grid)
    assert_close(evolution.rhs(w, 0.0), evolution_of("plane").rhs(w, 0.0), 1e-6)


MEASURED = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_general_large import plane
from systems import grid_of, System
from wigner_sim.feasibility import memory_needed
from wigner_sim.models import Hamiltonian
from wigner_sim.steppers import STEPPERS
import numpy as np
def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
system = System(Hamiltonian(plane, 2, 2), grid_of((24.0, 24.0), 20, 20, 2))
Path("/proc/self/clear_refs").write_text("5")
idle = status("VmRSS")
evolution = system.evolution(2)
w = np.ones(system.grid.shape)
evolution.effective()
STEPPERS["rk4"].step(evolution, w, 0.0, 1e-3)
print(json.dumps([status("VmHWM") - idle, memory_needed(system.grid, 2, 2, False)]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_forecast_of_memory_follows_reality():
    from pathlib import Path

    script = MEASURED.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    peak, forecast = json.loads(done.stdout)
    assert 1 / 1.35 < peak / forecast < 1.35
