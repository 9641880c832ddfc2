"""Every fast route to an exact state against plain dense linear algebra, conservation, and time reversal."""

import numpy as np
import pytest
from test_liouville import occupation, start, two_band_system
from test_liouville_systems import chern_crystal, flux

from wigner_sim.errors import CaseError
from wigner_sim.exact_runs import exact_partner
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.liouville import (
    ExactSystem,
    LargeSystem,
    band_projector,
    diagonalize,
    evolve_driven,
    exact_system,
    large_system,
    observe_state,
    quantize_hamiltonian,
)
from wigner_sim.liouville import large as large_module
from wigner_sim.liouville.occupied import factors, weighted_projector
from wigner_sim.liouville.spectrum import translation_period
from wigner_sim.models import build_hamiltonian
from wigner_sim.models.hamiltonian import Hamiltonian
from wigner_sim.models.moving_frame import in_moving_frame
from wigner_sim.weyl import bond_sampler, site_lattice

FIELDS = ("distribution", "density", "momentum_distribution", "energy", "particle_number", "current")


def assert_same(first, second, atol=1e-11):
    for name in FIELDS:
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), atol=atol, err_msg=name)


def torus(sites=(8, 6), potential=None, b=0.0, model="haldane"):
    lengths = tuple(map(float, sites))
    hamiltonian = build_hamiltonian(model, potential=potential, n_dimensions=2, lengths=lengths)
    return hamiltonian, PhaseSpaceGrid((8, 6), (8, 6), lengths, flux(b))


def packet(sites, width=1.0):
    def symbol(x, k):
        place = sum((np.cos(2 * np.pi * z / n) - 1) * (n / (2 * np.pi)) ** 2 for z, n in zip(x, sites))  # noqa: B905
        return np.exp(place / width**2 + 1.5 * (np.cos(k[0] - 0.7) + np.cos(k[1] - 0.2) - 2))

    return symbol


def plain(hamiltonian, grid, symbol, times, band=0):
    """The definition: dense eigenstates by LAPACK, ``Pi Op(c) Pi``, ``U rho U^+``, fibre by fibre."""
    system = exact_system(hamiltonian, grid)
    tau, sites, b = hamiltonian.orbital_positions, system.lattice.sites, system.lattice.cell_flux
    states, spectra, operators = [], [], []
    from wigner_sim.weyl import symbol_to_operator

    for label in system.labels:
        operator = quantize_hamiltonian(hamiltonian, sites, 0.0, b, label)
        projector = band_projector(operator, hamiltonian, sites, band, "auto", 0.0, b, label).matrix
        occupied = symbol_to_operator(symbol, sites, tau, None, b, label)
        states.append(projector @ occupied @ projector)
        spectra.append(np.linalg.eigh(operator))
        operators.append(operator)
    shape = (*system.n_fibres, *operators[0].shape)
    for t in times:
        moved = []
        for rho, (energies, vectors) in zip(states, spectra, strict=True):
            u = (vectors * np.exp(-1j * energies * t)) @ vectors.conj().T
            moved.append(u @ rho @ u.conj().T)
        state = np.reshape(moved, shape)
        current = system.bond_currents(t)(state, grid)
        yield observe_state(state, np.reshape(operators, shape), grid, tau, t, current)


# --- eigenstates ---


@pytest.mark.parametrize(
    ("potential", "b", "period"),
    [
        (None, 0.0, (1, 1)),
        ("0.3*cos(2*pi*x/Lx)", 0.0, (8, 1)),
        ("0.3*cos(4*pi*x/Lx) + 0.1*sin(6*pi*y/Ly)", 0.0, (4, 2)),
        ("0.2*cos(4*pi*x/Lx)", 2 * np.pi / 8, (8, 1)),
        ("0.2*cos(4*pi*x/Lx)", 2 * np.pi / 48, (8, 6)),
        ("0.2*cos(4*pi*x/Lx)", 4 * np.pi / 48, (8, 3)),
    ],
)
def test_translations_are_found_and_give_the_spectrum_in_blocks(potential, b, period):
    hamiltonian, grid = torus(potential=potential, b=b)
    operator = exact_system(hamiltonian, grid).operator()
    assert translation_period(operator, (8, 6)) == period
    found = diagonalize(operator, (8, 6))
    np.testing.assert_allclose(found.energies, np.linalg.eigvalsh(operator), atol=1e-13)
    vectors = found.vectors()
    np.testing.assert_allclose(operator @ vectors, vectors * found.energies, atol=1e-13)
    np.testing.assert_allclose(vectors.conj().T @ vectors, np.eye(96), atol=1e-13)


def test_an_impurity_leaves_no_translation():
    operator = exact_system(*torus()).operator().copy()
    operator[10, 10] += 1e-6
    assert translation_period(operator, (8, 6)) == (8, 6)


def test_late_vectors_are_those_of_lapack(monkeypatch):
    monkeypatch.setattr("wigner_sim.liouville.spectrum._LATE_VECTORS", 10)
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(60, 60)) + 1j * rng.normal(size=(60, 60))
    matrix += matrix.conj().T
    found = diagonalize(matrix)
    chosen = np.arange(60) % 3 == 1
    vectors = found.vectors(chosen)
    np.testing.assert_allclose(found.energies, np.linalg.eigvalsh(matrix), atol=1e-12)
    np.testing.assert_allclose(matrix @ vectors, vectors * found.energies[chosen], atol=1e-12)
    np.testing.assert_allclose(vectors.conj().T @ vectors, np.eye(20), atol=1e-13)


def test_a_real_operator_has_real_vectors():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(30, 30)) + 0j
    matrix += matrix.T
    found = diagonalize(matrix + 1e-17j * np.eye(30))
    assert found.vectors().dtype == float
    np.testing.assert_allclose(matrix @ found.vectors(), found.vectors() * found.energies, atol=1e-12)


def test_one_diagonalisation_serves_all_bands_and_times(monkeypatch):
    hamiltonian, grid = torus(potential="0.3*cos(2*pi*x/Lx)*cos(2*pi*y/Ly)")
    system, calls = exact_system(hamiltonian, grid), []
    original = diagonalize
    monkeypatch.setattr("wigner_sim.liouville.system.diagonalize", lambda *a: calls.append(1) or original(*a))
    for band in (0, 1):
        states = system.subspace_states_from_symbol(band, packet((8, 6)))
        list(system.evolve(states, [0.0, 1.0, 2.0]))
    assert len(calls) == 1


# --- states by their wave functions ---


@pytest.mark.parametrize("n", [30, 300])
def test_weighted_projector_and_factors_are_inverse(n):
    rng = np.random.default_rng(0)
    orbitals = np.linalg.qr(rng.normal(size=(n, 12)) + 1j * rng.normal(size=(n, 12)))[0]
    weights = np.array([*np.linspace(0.5, 1, 7), *np.linspace(-1, -0.1, 5)])
    matrix = weighted_projector(orbitals, weights)
    np.testing.assert_allclose(matrix, (orbitals * weights) @ orbitals.conj().T, atol=1e-15)
    found, columns = factors(matrix)
    np.testing.assert_allclose(np.sort(found[np.abs(found) > 1e-12]), np.sort(weights), atol=1e-13)
    np.testing.assert_allclose(weighted_projector(columns, found), matrix, atol=1e-14)


@pytest.mark.parametrize(
    ("potential", "b", "band"),
    [
        ("0.3*cos(2*pi*x/Lx)*cos(2*pi*y/Ly)", 0.0, 0),
        ("0.3*cos(4*pi*x/Lx)", 0.0, 1),
        ("0.1*cos(2*pi*x/Lx)", 2 * np.pi / 48, 0),
        ("2.5*cos(2*pi*x/Lx)", 0.0, 0),
    ],
    ids=["plain", "conserved momenta", "magnetic", "overlapping bands"],
)
def test_a_torus_by_every_static_route(potential, b, band):
    hamiltonian, grid = torus(potential=potential, b=b)
    system = exact_system(hamiltonian, grid)
    states = system.subspace_states_from_symbol(band, packet((8, 6)))
    fast, expected = (
        system.evolve(states, [0.0, 3.0]),
        plain(hamiltonian, grid, packet((8, 6)), [0.0, 3.0], band),
    )
    dense = system.evolve(system.band_state_from_symbol(band, packet((8, 6))), [0.0, 3.0])
    for first, second, third in zip(fast, expected, dense, strict=True):
        assert_same(first, second)
        assert_same(third, second)
        assert first.particle_number > 0.1


def test_chains_by_every_static_route():
    hamiltonian = chern_crystal((12.0,), "0.1*cos(2*pi*x/L)")
    grid = PhaseSpaceGrid((12,), (8, 8), (12.0,), flux(2 * np.pi / 12))
    symbol = lambda x, k: 1.5 + np.cos(2 * np.pi * x[0] / 12 - k[0]) + 0.5 * np.sin(k[1])  # noqa: E731
    system = exact_system(hamiltonian, grid)
    fast = system.evolve(system.subspace_states_from_symbol(0, symbol), [2.0])
    assert_same(next(fast), next(plain(hamiltonian, grid, symbol, [2.0])))


def test_sums_of_states_and_equilibria():
    hamiltonian, grid = torus(potential="0.3*cos(2*pi*x/Lx)")
    system = exact_system(hamiltonian, grid)
    parts = [
        system.subspace_states_from_symbol(0, packet((8, 6))),
        system.thermal_subspace_states(0, -1.0, 0.3),
    ]
    total = [first + second for first, second in zip(*parts, strict=True)]
    dense = system.band_state_from_symbol(0, packet((8, 6))) + system.thermal_band_state(0, -1.0, 0.3)
    assert_same(next(system.evolve(total, [1.0])), next(system.evolve(dense, [1.0])))
    other = system.subspace_states_from_symbol(1, packet((8, 6)))[0]
    with pytest.raises(ValueError, match="same basis"):
        total[0] + other


@pytest.mark.parametrize("driven", [False, True])
def test_conservation_and_time_reversal(driven):
    """Forth under H(t), back under -H(-t): where it began; number, purity and (static) energy are kept."""
    hamiltonian = two_band_system(18, drive=0.1 if driven else 0.0)
    grid = PhaseSpaceGrid((18,), (18,), (18.0,))
    system = exact_system(hamiltonian, grid)
    (state,) = system.subspace_states_from_symbol(0, occupation(18))
    back = Hamiltonian(lambda x, k, t: -hamiltonian.matrix(x, k, 2.0 - t), 2, 1, time_dependent=driven)
    forth = state.dense()
    options = {"time_step": 0.05} if driven else {}
    if driven:
        (there,) = evolve_driven(lambda t: quantize_hamiltonian(hamiltonian, 18, t), state, [2.0], **options)
    else:
        vectors, energies = state.basis, np.exp(-2j * state.energies)
        there = vectors @ (np.outer(energies, energies.conj()) * state.matrix) @ vectors.conj().T
    begun, ended = system.evolve([state], [0.0, 2.0], **options)
    current = system.bond_currents(2.0)(there, grid)
    assert_same(ended, observe_state(there, system.operator(2.0), grid, np.zeros((2, 1)), 2.0, current))
    assert ended.particle_number == pytest.approx(begun.particle_number, rel=1e-13)
    np.testing.assert_allclose(np.linalg.eigvalsh(there), np.linalg.eigvalsh(forth), atol=1e-12)
    if not driven:
        assert ended.energy == pytest.approx(begun.energy, rel=1e-13)
    (returned,) = exact_system(back, grid).evolve(there, [2.0], **options)
    np.testing.assert_allclose(returned.distribution, begun.distribution, atol=1e-11)
    assert np.abs(ended.distribution - begun.distribution).max() > 0.01


# --- operators from small samples ---


@pytest.mark.parametrize("name", ["ring", "torus", "chains", "forced"])
def test_sampled_bonds_are_the_quantized_operator(name):
    hamiltonian, grid = {
        "ring": (two_band_system(20, drive=0.3), PhaseSpaceGrid((8,), (8,), (20.0,))),
        "torus": torus((9, 8), b=2 * np.pi / 72),
        "chains": (chern_crystal((10.0,)), PhaseSpaceGrid((8,), (8, 6), (10.0,), flux(2 * np.pi / 10))),
        "forced": (
            in_moving_frame(
                Hamiltonian(chern_crystal((9.0,)).matrix, 2, 2, force=lambda t: np.array([0.3, -0.2]))
            ),
            PhaseSpaceGrid((8,), (8, 6), (9.0,)),
        ),
    }[name]
    system, t = exact_system(hamiltonian, grid), 0.8 if hamiltonian.time_dependent else 0.0
    lattice = system.lattice
    assert bond_sampler(hamiltonian.matrix, lattice, system.labels, [t]) is not None
    expected = [
        quantize_hamiltonian(hamiltonian, lattice.sites, t, lattice.cell_flux, label)
        for label in system.labels
    ]
    found = system.operator(t)
    np.testing.assert_allclose(found.reshape(-1, *found.shape[-2:]), expected, atol=1e-14)


def long_ranged(reach):
    energy = lambda x, k, t: (np.cos(reach * k[0]) + 0.2 * np.cos(k[0]) + 0 * x[0])[..., None, None]  # noqa: E731
    return Hamiltonian(energy, 1, 1)


def test_long_ranged_symbols_are_not_sampled():
    lattice = site_lattice(30, np.zeros((1, 1)))
    assert bond_sampler(long_ranged(7).matrix, lattice, [()]).reach == (7,)
    assert bond_sampler(long_ranged(8).matrix, lattice, [()]) is None
    jump = Hamiltonian(lambda x, k, t: np.abs(k[0] + 0 * x[0])[..., None, None], 1, 1)
    assert bond_sampler(jump.matrix, lattice, [()]) is None
    for hamiltonian in (long_ranged(7), long_ranged(8)):
        found = exact_system(hamiltonian, PhaseSpaceGrid((8,), (8,), (30.0,))).operator()
        np.testing.assert_allclose(found, quantize_hamiltonian(hamiltonian, 30), atol=1e-14)


# --- driven runs ---


def test_all_fibres_of_a_forced_run_at_once():
    h = chern_crystal((10.0,))
    forced = in_moving_frame(Hamiltonian(h.matrix, 2, 2, force=lambda t: np.array([0.3, 0.2])))
    grid = PhaseSpaceGrid((10,), (8, 6), (10.0,))
    system = exact_system(forced, grid, 4)
    states = system.subspace_states_from_symbol(
        0, lambda x, k: 1 + 0.4 * np.cos(2 * np.pi * x[0] / 10 - k[1])
    )
    times, step = [0.5, 1.5], 0.1
    fast = list(system.evolve(states, times, time_step=step))
    by_fibre = [
        list(
            evolve_driven(
                lambda t, p=p: quantize_hamiltonian(forced, 10, t, None, p), s.dense(), times, 0.0, step
            )
        )
        for p, s in zip(system.labels, states, strict=True)
    ]
    for i, t in enumerate(times):
        rho = np.stack([history[i] for history in by_fibre])
        current = system.bond_currents(t)(rho, grid)
        assert_same(fast[i], observe_state(rho, system.operator(t), grid, np.zeros((2, 2)), t, current))


def test_the_tolerance_of_a_driven_run_is_kept_with_few_steps(monkeypatch):
    hamiltonian, _, _, rho = start(14, drive=0.2)
    calls = []

    def operator(t):
        calls.append(t)
        return quantize_hamiltonian(hamiltonian, 14, t)

    exact = list(evolve_driven(operator, rho, [1.0, 2.0], time_step=2e-3))
    for tolerance in (1e-6, 1e-9):
        calls.clear()
        found = list(evolve_driven(operator, rho, [1.0, 2.0], tolerance=tolerance))
        assert np.abs(np.subtract(found, exact)).max() < 10 * tolerance
        assert len(calls) < 700
    assert len(calls) > 40


# --- large lattices ---


@pytest.mark.parametrize(("band", "model"), [(0, "qi_wu_zhang"), (1, "haldane")])
def test_sparse_wave_functions_against_dense_matrices(band, model):
    hamiltonian, grid = torus((10, 8), "0.3*cos(2*pi*x/Lx)", model=model)
    symbol = packet((10, 8), 0.8)
    (state,) = large_system(hamiltonian, grid).subspace_states_from_symbol(band, symbol)
    assert state.columns.shape == (160, len(state.weights))
    fast = large_system(hamiltonian, grid).evolve([state], [0.0, 1.0, 4.0])
    dense = exact_system(hamiltonian, grid)
    expected = dense.evolve(dense.subspace_states_from_symbol(band, symbol), [0.0, 1.0, 4.0])
    for first, second in zip(fast, expected, strict=True):
        assert_same(first, second)


def test_sparse_driven_run_against_the_dense_one():
    still, grid = torus((8, 7), "0.3*cos(2*pi*x/Lx)", model="qi_wu_zhang")
    driven = Hamiltonian(
        lambda x, k, t: (1 + 0.1 * np.sin(t)) * still.matrix(x, k, t), 2, 2, time_dependent=True
    )
    results = []
    for make in (large_system, exact_system):
        system = make(driven, grid)
        states = system.subspace_states_from_symbol(0, packet((8, 7)))
        results.append(next(system.evolve(states, [1.0], time_step=0.1)))
    assert_same(*results)


def test_low_rank_states_have_few_wave_functions():
    rng = np.random.default_rng(0)
    factor = np.linalg.qr(rng.normal(size=(400, 20)) + 1j * rng.normal(size=(400, 20)))[0]
    weights = np.linspace(-0.5, 1, 20)
    matrix = (factor * weights) @ factor.conj().T
    found, columns = large_module.low_rank(matrix)
    assert columns.shape[1] < 70
    np.testing.assert_allclose((columns * found) @ columns.conj().T, matrix, atol=1e-13)
    full = np.diag(np.linspace(0.1, 1, 400)).astype(complex)
    assert len(large_module.low_rank(full)[0]) == 400


def test_large_problems_get_the_sparse_partner(tmp_path, monkeypatch):
    from tiny_cases import CHAIN, make_case

    from wigner_sim.exact_runs import exact_snapshots
    from wigner_sim.problem import build_problem

    problem = build_problem(make_case(tmp_path, CHAIN))
    assert isinstance(exact_partner(problem), ExactSystem)
    dense = list(exact_snapshots(problem, 0, [0.0, 1.0]))
    monkeypatch.setattr("wigner_sim.exact_runs.MAXIMUM_STATES", 4)
    assert isinstance(exact_partner(problem), LargeSystem)
    for first, second in zip(exact_snapshots(problem, 0, [0.0, 1.0]), dense, strict=True):
        assert_same(first, second)


def test_bad_input_gets_a_sentence(monkeypatch):
    overlapping, grid = torus((8, 6), "4*cos(2*pi*x/Lx)", model="qi_wu_zhang")
    system = large_system(overlapping, grid)
    with pytest.raises(CaseError, match="no global gap"):
        system.subspace_states_from_symbol(0, packet((8, 6)))
    with pytest.raises(CaseError, match="an equilibrium of 96 states has no exact reference"):
        system.thermal_subspace_states(0, 0.0, 1.0)
    with pytest.raises(CaseError, match="a position axis for every momentum axis"):
        large_system(chern_crystal((9.0,)), PhaseSpaceGrid((8,), (8, 6), (9.0,)))
    with pytest.raises(CaseError, match="would need 24200 states on 12100 sites, more than 20000 on 8192"):
        large_system(*torus((110, 110)))
    with pytest.raises(CaseError, match="joins sites too far apart"):
        large_system(long_ranged(8), PhaseSpaceGrid((8,), (8,), (30.0,))).operator()
    monkeypatch.setattr(large_module, "MAXIMUM_WAVE_ELEMENTS", 100)
    with pytest.raises(CaseError, match="use a state that occupies less"):
        large_system(*torus()).subspace_states_from_symbol(0, packet((8, 6)))
