"""The full matrix Wigner equation: against dense Liouville-von Neumann dynamics, and closed formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit
from test_simulation import interrupted_after
from tiny_cases import CHAIN, assert_identical, changed, make_case, stored

import wigner_sim.matrix_moyal.parts as matrix_parts
from wigner_sim import open_run
from wigner_sim.convergence import compare
from wigner_sim.errors import CaseError, InterruptedRunError
from wigner_sim.exact_runs import _at_fixed_momentum
from wigner_sim.figures import frames
from wigner_sim.fourier import derivative_wavenumbers, translate
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_sources import to_periodic
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.liouville import exact_system
from wigner_sim.matrix_moyal import MatrixMoyal
from wigner_sim.models import Hamiltonian, build_hamiltonian
from wigner_sim.models.matrices import pauli_combination
from wigner_sim.models.moving_frame import in_moving_frame, momentum_gain
from wigner_sim.problem import build_problem
from wigner_sim.propagator import Propagator
from wigner_sim.reports import info
from wigner_sim.simulation import resume, run
from wigner_sim.steppers import STEPPERS
from wigner_sim.weyl import operator_to_symbol, symbol_to_operator

MATRIX = changed(
    CHAIN, {"equation": {"method": "matrix"}, "time.stepper": "blanes_moan4", "bands.select": [0, 1]}
) | {"initial_state": {"kind": "symbol", "c": [CHAIN["initial_state"]["c"], "0"]}}


def chain(potential="0.4*cos(2*pi*x/L) + 0.1*sin(4*pi*x/L)", sites=32, n=64, force=None, **parameters):
    """A gapped chain with two orbitals at different places."""
    values = {"t1": 1.0, "t2": 0.25, "delta": 0.6, "orbital_positions": [[0.0], [0.5]], **parameters}
    h = build_hamiltonian("rice_mele", values, potential, 1, 1, (float(sites),))
    if force is not None:
        h = replace(h, force=lambda t: np.array([force(t)]), force_varies=True)
    return h, PhaseSpaceGrid((n,), (n,), (float(sites),))


def plane(s, n_x=12, n_k=12, sites=12):
    """A Dirac crystal with s position axes, weakly dispersive so that a small grid resolves it."""
    potential = ["0", "0.3*cos(2*pi*x/L)", "0.3*cos(2*pi*x/Lx) + 0.2*sin(2*pi*y/Ly)"][s]
    parameters = {"mass": 2.0, "velocity": 0.2, "wilson": 0.05}
    h = build_hamiltonian("massive_dirac", parameters, potential, 2, s, (float(sites),) * s)
    return h, PhaseSpaceGrid((n_x,) * s, (n_k,) * 2, (float(sites),) * s)


def matrix_potential(sites=32, n=48, rate=0.0):
    """``H0(k) + M(x, t)`` with a mass and a coupling that depend on position."""

    def matrix(x, k, t):
        angle = 2 * np.pi * x[0] / sites
        d1 = 1.2 + 0.3 * np.cos(k[0]) + 0.2 * np.cos(angle - rate * t)
        d2 = 0.3 * np.sin(k[0]) + 0.2 * np.sin(angle)
        return pauli_combination(d1, d2, 0.3 * np.sin(angle) + 0.1 * np.sin(rate * t), 0.2 * np.cos(angle))

    return Hamiltonian(matrix, 2, 1, time_dependent=bool(rate)), PhaseSpaceGrid((n,), (n,), (float(sites),))


def coherent_state(h, grid):
    """A lattice operator with both bands and coherence between them, and its symbol."""
    system = exact_system(in_moving_frame(h), grid)
    wave = [2 * np.pi / length for length in grid.lengths]

    def symbol(x, k):
        total = 0.5 + 0.2 * np.cos(k[0] - 1) + 0.1 * np.sin(k[-1])
        for x_i, w in zip(x, wave, strict=True):
            total = total + 0.2 * np.cos(w * x_i - 0.4)
        mixed = 0.1 * np.sin(k[0]) + 0.2 + 0 * total
        angle = np.tensordot(h.orbital_positions[0] - h.orbital_positions[1], k, 1)
        return pauli_combination(mixed * np.cos(angle), mixed * np.sin(angle), 0.3 * total, total)

    lattice = system.lattice
    fibres = [
        symbol_to_operator(symbol, lattice.sites, lattice.orbital_positions, canonical_momentum=label)
        for label in system.labels
    ]
    return system, np.reshape(fibres, (*system.n_fibres, *fibres[0].shape))


def symbol_of(rho, h, grid):
    return to_periodic(h, operator_to_symbol(rho, grid, h.orbital_positions), grid.mesh()[1])


def system_of(h, grid, bands=(0, 1), order=2):
    return MatrixMoyal(h, grid, bands, EquationOptions(order))


def evolved(system, stepper, f, t, dt):
    return Propagator(system, STEPPERS[stepper], f, dt).advance_to(t)


def final_errors(h, grid, stepper, steps, t=2.0):
    """Largest differences of the trace of F from dense dynamics, by number of steps."""
    exact, rho = coherent_state(h, grid)
    reference = next(exact.evolve(rho, [t], tolerance=1e-10)).distribution
    if h.force is not None:
        reference = translate(reference, 1, momentum_gain(h)(t)[0])
    system, f = system_of(h, grid), symbol_of(rho, h, grid)
    return np.array(
        [
            np.abs(np.einsum("ii...->...", evolved(system, stepper, f, t, t / n)).real - reference).max()
            for n in steps
        ]
    )


SYSTEMS = {
    "chain": lambda: chain(),
    "driven chain": lambda: chain("0.4*cos(2*pi*x/L - 0.7*t)"),
    "chain under a force": lambda: chain("0.3*cos(2*pi*x/L)", force=lambda t: 0.2 + 0.1 * np.sin(t)),
    "matrix potential": matrix_potential,
    "driven matrix potential": lambda: matrix_potential(rate=0.8),
    "stripe": lambda: plane(1, n_x=16, n_k=16, sites=16),
    "plane": lambda: plane(2),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_order_four_reaches_dense_dynamics(name):
    errors = final_errors(*SYSTEMS[name](), "blanes_moan4", (2, 4, 16), t=1.0)
    assert errors[-1] < 1e-8
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.35)


def test_strang_has_order_two():
    errors = final_errors(*chain(), "strang", (10, 20, 40))
    np.testing.assert_allclose(np.log2(errors[:-1] / errors[1:]), 2, atol=0.05)


@pytest.mark.parametrize("name", ["chain under a force", "driven matrix potential", "stripe"])
def test_flows_follow_their_rates_and_are_unitary(name):
    h, grid = SYSTEMS[name]()
    system = system_of(h, grid)
    rng = np.random.default_rng(3)
    f = rng.normal(size=(2, 2, *grid.shape)) + 1j * rng.normal(size=(2, 2, *grid.shape))
    f = f + np.conj(np.swapaxes(f, 0, 1))
    rates, t, dt = [], 0.4, 1e-4
    for part in system.flows:
        forward, back = part.flow(f, t, dt), part.flow(f, t, -dt)
        rates.append(part.rhs(f, t))
        np.testing.assert_allclose(
            (forward - back) / (2 * dt), rates[-1], atol=1e-5 * np.abs(rates[-1]).max()
        )
        far = part.flow(f, t, 3.0)
        assert system.purity(far) == pytest.approx(system.purity(f), rel=1e-13)
        assert system.particle_number(far) == pytest.approx(system.particle_number(f), rel=1e-11)
        np.testing.assert_allclose(far, np.conj(np.swapaxes(far, 0, 1)), atol=1e-12 * np.abs(far).max())
        np.testing.assert_allclose(part.flow(far, t, -3.0), f, atol=1e-12 * np.abs(f).max())
    np.testing.assert_allclose(system.rhs(f, t), sum(rates), atol=1e-12)


def test_a_run_conserves_numbers_to_rounding():
    h, grid = matrix_potential()
    system, f = system_of(h, grid), symbol_of(coherent_state(h, grid)[1], h, grid)
    after = evolved(system, "blanes_moan4", f, 4.0, 0.05)
    assert system.particle_number(after) == pytest.approx(system.particle_number(f), rel=1e-12)
    assert system.purity(after) == pytest.approx(system.purity(f), rel=1e-12)
    assert system.energy(after, 0.0) == pytest.approx(system.energy(f, 0.0), rel=1e-9)
    assert np.abs(after - f).max() > 0.1


@pytest.mark.parametrize("part", ["momentum", "position"])
def test_a_flipped_sign_is_noticed(part, monkeypatch):
    def flip(values, axes):
        return values

    if part == "momentum":
        monkeypatch.setattr(matrix_parts, "opposite", flip)
    else:
        differences = matrix_parts.PositionPart._differences
        monkeypatch.setattr(matrix_parts.PositionPart, "_differences", lambda self, t: -differences(self, t))
    assert final_errors(*chain(), "blanes_moan4", (8,))[0] > 1e-3


# --- bands ---


@pytest.mark.parametrize("bands", [(0,), (0, 1)])
def test_band_parts_of_a_band_state_fall_with_slope_three(bands):
    errors, coherences, dilations = [], [], (1.0, 1.5, 2.25)
    for dilation in dilations:
        sites = round(24 * dilation)
        h, grid = chain("0.3*cos(2*pi*x/L)", sites=sites, n=48)
        exact = exact_system(h, grid)

        def c(x, k, sites=sites):
            return 1 + 0.4 * np.cos(2 * np.pi * x[0] / sites) + 0.3 * np.sin(k[0])

        weights = {0: 1.0, 1: 0.4}
        states = {b: weights[b] * exact.band_state_from_symbol(b, c) for b in bands}
        system = system_of(h, grid, bands)
        f = symbol_of(sum(states.values()), h, grid)
        own = [exact.observe(states[b]).distribution for b in bands]
        errors.append(
            max(np.abs(a - b).max() for a, b in zip(system.band_densities(f, 0.0), own, strict=True))
        )
        coherences.append(system.coherences(f, 0.0).max() / np.sqrt(sites))
    for falling in (errors, coherences):
        assert -np.polyfit(np.log(dilations), np.log(falling), 1)[0] == pytest.approx(3, abs=0.4)
    assert errors[-1] < 3e-5


def test_projection_is_the_same_by_both_routes():
    h, grid = chain("0.2*cos(2*pi*x/L)", sites=48, n=48)
    f = symbol_of(
        exact_system(h, grid).band_state_from_symbol(0, lambda x, k: 1 + 0.3 * np.sin(k[0])), h, grid
    )
    general = replace(h, bloch=None, potential=None)
    first, second = (system_of(each, grid).band_densities(f, 0.0) for each in (h, general))
    np.testing.assert_allclose(first[0], second[0], atol=2e-5)


def test_assembled_state_has_the_density_of_its_band(tmp_path):
    problem = build_problem(make_case(tmp_path, MATRIX, grid__sites=[80], grid__n_x=[32], grid__n_k=[32]))
    system = problem.stack()
    w = problem.initial_density(system)
    f = system.assemble(w)
    tolerance = 2e-5 * np.abs(w).max()
    np.testing.assert_allclose(system.densities(f, 0.0)[0], w[0], atol=tolerance)
    other = system_of(problem.hamiltonian, problem.grid, (1,))
    assert np.abs(other.band_densities(f, 0.0)[0]).max() < tolerance


# --- closed formulas ---


def homogeneous(matrix, n_k, force=None):
    """A crystal without position axes."""
    return Hamiltonian(
        lambda x, k, t: matrix(k[0], t),
        2,
        1,
        time_dependent=True,
        force=None if force is None else lambda t: np.array([force]),
    ), PhaseSpaceGrid((), (n_k,), ())


def test_rabi_oscillation_under_a_rotating_drive():
    splitting, coupling, frequency = 1.0, 0.04, 0.9

    def matrix(k, t):
        d3 = 0.5 * (splitting + 0.2 * np.cos(k))
        return pauli_combination(coupling * np.cos(frequency * t), coupling * np.sin(frequency * t), d3)

    h, grid = homogeneous(matrix, 16)
    system = system_of(h, grid, (0,), order=0)
    f = np.zeros((2, 2, 16), dtype=complex)
    f[1, 1] = 1.0
    propagator = Propagator(system, STEPPERS["blanes_moan4"], f, 0.25)
    times = np.linspace(0, 200, 401)
    upper = np.array([propagator.advance_to(t)[0, 0].real for t in times])
    detuning = splitting + 0.2 * np.cos(grid.axis_points[0]) - frequency
    rabi = np.sqrt(detuning**2 + 4 * coupling**2)
    formula = 4 * coupling**2 / rabi**2 * np.sin(0.5 * np.outer(times, rabi)) ** 2
    np.testing.assert_allclose(upper, formula, atol=1e-6)
    measured = [fitted_frequency(times, upper[:, i], rabi[i]) for i in range(16)]
    np.testing.assert_allclose(measured, rabi, rtol=1e-6)


def fitted_frequency(times, values, guess):
    """Frequency of ``a sin^2(w t/2)`` by least squares, from a guess that is off."""
    found, _ = curve_fit(
        lambda t, a, w: a * np.sin(0.5 * w * t) ** 2, times, values, (values.max(), 1.01 * guess)
    )
    return found[1]


MASS, VELOCITY = 0.1, 1.0


@pytest.mark.parametrize("probability", [0.009, 0.03, 0.1, 0.3, 0.9])
def test_landau_zener_probability(probability):
    # H = v sin(k) sigma_x + m sigma_z is pulled from k = -pi/2 to pi/2, through the gap 2 m at k = 0
    force = np.pi * MASS**2 / (VELOCITY * np.log(1 / probability))
    transferred = landau_zener(force, n_k=2048)
    assert transferred == pytest.approx(np.exp(-np.pi * MASS**2 / (VELOCITY * force)), rel=0.01)


def landau_zener(force, n_k):
    """Part of a filled lower band that is in the upper one after a quarter period on either side."""
    h, grid = homogeneous(
        lambda k, t: pauli_combination(VELOCITY * np.sin(k), 0.0 * k, MASS + 0.0 * k), n_k, force
    )
    h = replace(h, time_dependent=False)
    system = system_of(h, grid)
    f = system.assemble(np.stack([np.ones(n_k), np.zeros(n_k)]))
    after = evolved(system, "blanes_moan4", f, np.pi / force, 0.5)
    return system.band_densities(after, 0.0)[1][3 * n_k // 4]


# --- runs ---


@pytest.mark.parametrize("stepper", ["strang", "rk4"])
def test_a_resumed_matrix_run_is_the_same_to_the_last_bit(stepper, tmp_path, monkeypatch):
    case = make_case(tmp_path, MATRIX, time__end=0.5, time__step=0.1, time__stepper=stepper)
    whole = stored(run(case))
    with interrupted_after(2, monkeypatch), pytest.raises(InterruptedRunError):
        run(case)
    assert_identical(whole, stored(resume(tmp_path)))


def test_what_a_matrix_run_stores(tmp_path):
    finished = run(make_case(tmp_path, MATRIX, grid__sites=[40], grid__n_x=[32], grid__n_k=[32]))
    scalars, phase = finished.scalars, finished.phase
    total = scalars["particle_number"].sum("band")
    np.testing.assert_allclose(total, scalars["total_particle_number"], rtol=1e-4)
    assert float(np.abs(scalars["particle_number_drift"]).max()) < 1e-12
    assert float(np.abs(scalars["purity"] / scalars["purity"][0] - 1).max()) < 1e-12
    assert float(scalars["interband_coherence"].max()) < 1e-3 * float(np.sqrt(scalars["purity"][0]))
    kinetic = run(make_case(tmp_path, MATRIX, grid__sites=[40], grid__n_x=[32], grid__n_k=[32], equation={}))
    difference = finished.phase.wigner.compare(kinetic.phase)["f_max"]
    assert 1e-6 < float(difference.max()) < 2e-3 * float(phase["f"].max())
    with open_run(finished.path) as opened:
        assert frames.provenance(opened)["equation"] == "matrix"
    assert "interband_coherence" in info(finished.path)


def test_a_matrix_run_stores_the_current_of_all_bands_at_every_position(tmp_path):
    """Its integral is the total, its divergence takes the density of all bands away, and it has a unit."""
    case = make_case(
        tmp_path,
        MATRIX,
        grid__sites=[40],
        grid__n_x=[32],
        units={"energy": "1 eV", "length": "4 angstrom"},
        time={"end": 0.2, "step": 0.02},
        output={"scalars_every": 0.02, "fields_every": 0.02},
    )
    finished = run(case)
    fields, scalars = finished.fields, finished.scalars
    j = fields["all_bands_current_x"]
    assert j.dims == ("time", "x")
    np.testing.assert_allclose(j.mean("x") * 40, scalars["total_current_x"], rtol=1e-12)
    assert j.attrs["units_si_factor"] == pytest.approx(fields["current_x"].attrs["units_si_factor"])
    assert "of all bands and their coherence along x" in j.attrs["long_name"]
    n = fields["density"].sum("band").values  # bands of the projection, to second order in gradients
    rate = (n[6] - n[4]) / 0.04
    assert np.abs(rate + divergence(j.values[5:6], problem_grid(finished))).max() < 0.02 * np.abs(rate).max()


def problem_grid(finished):
    return build_problem(finished.directory.case).grid


def test_compare_reaches_dense_dynamics_and_serves_the_kinetic_equation(tmp_path):
    size = {"grid__sites": [24], "grid__n_x": [32], "grid__n_k": [32], "hamiltonian__parameters": WIDE_GAP}
    matrix = make_case(tmp_path, MATRIX, **size)
    rows = compare(matrix, start="exact")["rows"]
    assert max(row["f_max"] for row in rows) < 1e-8
    assert max(row["j_max"] for row in rows) < 1e-8
    own = compare(matrix)["rows"]
    kinetic = make_case(tmp_path, MATRIX, equation={}, **size)
    by_partner = {partner: compare(kinetic, partner=partner)["rows"] for partner in ("exact", "matrix")}
    worst = {name: max(row["f_max"] for row in rows) for name, rows in by_partner.items()}
    assert worst["matrix"] == pytest.approx(worst["exact"], abs=1.01 * max(row["f_max"] for row in own))
    with pytest.raises(CaseError, match='compare it with "exact"'):
        compare(matrix, partner="matrix")


WIDE_GAP = {"t1": 1.0, "t2": 0.15, "delta": 0.8}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hamiltonian": {"source": "named:two_band_texture"}}, "depend on x and k together"),
        (
            {
                "grid": {"sites": [8], "n_x": [8], "n_k": [8, 8], "magnetic_field": np.pi / 4},
                "hamiltonian": {"source": "named:massive_dirac", "parameters": {"mass": 2.0}},
                "initial_state": {"kind": "symbol", "c": 1.0},
            },
            "no magnetic field",
        ),
        (
            {
                "hamiltonian": {
                    "source": "named:rice_mele",
                    "parameters": {"t1": "1 + 0.1*cos(2*pi*x/L)"},
                    "orbital_positions": [[0.0], [1.0]],
                }
            },
            "x and k together|different places",
        ),
    ],
)
def test_what_the_matrix_equation_cannot_do(changes, sentence, tmp_path):
    with pytest.raises(CaseError, match=sentence):
        build_problem(make_case(tmp_path, changed(MATRIX, changes))).stack()


def test_two_dimensions_repeat_one_where_nothing_depends_on_y():
    # f(x; kx, ky) and f(x, y; kx, ky) of the same state, by the same step
    flat, thin = plane(1, n_x=8, n_k=8), plane(2, n_x=8, n_k=8)
    two = replace(flat[0], potential=lambda x, t: flat[0].potential(x[:1], t))
    states = []
    for h, grid in ((flat[0], flat[1]), (two, thin[1])):
        system = system_of(h, grid)
        c = np.broadcast_to(
            1 + 0.3 * np.cos(2 * np.pi * grid.positions[0] / 12 - grid.momenta[0]), grid.shape
        )
        states.append(evolved(system, "strang", system.assemble(np.stack([c, 0 * c])), 1.0, 0.1))
    np.testing.assert_allclose(states[1][:, :, :, 3], states[0], atol=1e-12)


def test_exact_states_under_a_force_along_both_axes_of_a_square_grid():
    h, grid = plane(1, n_x=12, n_k=12)
    h = replace(h, force=lambda t: np.array([0.1, 0.2]))
    exact, rho = coherent_state(h, grid)
    snapshot = next(exact.evolve(rho, [0.5], time_step=0.25))
    reference = _at_fixed_momentum(snapshot, grid, np.array([0.05, 0.1])).distribution
    after = evolved(system_of(h, grid), "blanes_moan4", symbol_of(rho, h, grid), 0.5, 0.05)
    np.testing.assert_allclose(np.einsum("ii...->...", after).real, reference, atol=1e-6)


@pytest.mark.slow
def test_a_plane_of_a_million_points(tmp_path):
    # a dense density matrix of 64 x 64 cells with two orbitals would take 1 GB, its evolution hours
    h, grid = plane(2, n_x=32, n_k=32, sites=64)
    system = system_of(h, grid)
    c = np.broadcast_to(1 + 0.3 * np.cos(2 * np.pi * grid.positions[0] / 64 - grid.momenta[0]), grid.shape)
    f = system.assemble(np.stack([c, 0.0 * c]))
    after = evolved(system, "blanes_moan4", f, 2.0, 1.0)
    finer = evolved(system, "blanes_moan4", f, 2.0, 0.5)
    assert np.abs(after - finer).max() < 1e-4
    assert system.purity(after) == pytest.approx(system.purity(f), rel=1e-12)
    assert system.particle_number(after) == pytest.approx(system.particle_number(f), rel=1e-12)
    lower, upper = system.band_densities(after, 2.0)
    assert grid.integrate(upper) < 1e-4 * grid.integrate(lower)


# --- current ---


def divergence(j, grid):
    total = np.zeros(grid.n_x)
    for i, (n, length) in enumerate(zip(grid.n_x, grid.lengths, strict=True)):
        q = derivative_wavenumbers(n, length).reshape(
            [-1 if axis == i else 1 for axis in range(len(grid.n_x))]
        )
        total += np.fft.ifft(1j * q * np.fft.fft(j[i], axis=i), axis=i).real
    return total


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_current_obeys_continuity_to_rounding(name):
    h, grid = SYSTEMS[name]()
    _, rho = coherent_state(h, grid)
    system, f = system_of(h, grid), symbol_of(rho, h, grid)
    f = evolved(system, "strang", f, 0.3, 0.05)
    rate = grid.integrate_momenta(np.einsum("ii...->...", system.rhs(f, 0.3)).real)
    j = system.current(f, 0.3)
    assert np.abs(rate).max() > 1e-4
    assert np.abs(rate + divergence(j, grid)).max() < 1e-13 * np.abs(f).max()


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_current_is_that_of_the_bonds(name):
    """All components, also along an axis without positions and the part without divergence."""
    h, grid = SYSTEMS[name]()
    exact, rho = coherent_state(h, grid)
    expected = exact.bond_currents(0.0)(rho, grid)
    system, f = system_of(h, grid), symbol_of(rho, h, grid)
    found = system.current(f, 0.0)
    assert min(np.abs(component).max() for component in expected) > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-11)
    total = expected.reshape(len(expected), -1).mean(axis=1) * np.prod(grid.lengths)
    measured = system.measure(f, 0.0)
    np.testing.assert_allclose([measured[f"total_current_{axis}"] for axis in "xy"[: len(total)]], total)


def test_the_current_of_a_uniform_crystal_is_the_mean_velocity():
    h, grid = plane(0)
    system = system_of(h, grid)
    rng = np.random.default_rng(5)
    f = rng.normal(size=(2, 2, *grid.shape)) + 1j * rng.normal(size=(2, 2, *grid.shape))
    f = f + np.conj(np.swapaxes(f, 0, 1))
    k = np.stack(np.meshgrid(*grid.axis_points, indexing="ij"))
    for i, j in enumerate(system.current(f, 0.0)):
        step = np.zeros((2, 1, 1))
        step[i] = 1e-4
        velocity = (h.bloch(k + step) - h.bloch(k - step)) / 2e-4
        assert j == pytest.approx(np.einsum("xyij,jixy->", velocity, f).real / 144, rel=1e-6)
