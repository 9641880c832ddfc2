"""Initial states of every kind: their values, their dilation, and what is refused."""

import shutil

import numpy as np
import pytest
from tiny_cases import CHAIN, TEXTURE, make_case

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.initial_states import INITIAL_STATES, StoredDensity
from wigner_sim.kinetics.equilibrium import equilibrium_density
from wigner_sim.problem import build_problem
from wigner_sim.runs import open_run
from wigner_sim.simulation import run

PACKET = {"width_x": [1.0], "width_k": [0.5]}
STATES = {
    "symbol": {"kind": "symbol", "c": "exp(cos(2*pi*x/L) + 0.3*sin(k))"},
    "gaussian": {"kind": "gaussian", "amplitude": 0.7, **PACKET},
    "thermal": {"kind": "thermal", "temperature": 0.6, "mu": -1.0},
    "thermal_bump": {"kind": "thermal_bump", "temperature": 0.6, "mu": -1.0, "amplitude": 0.2, **PACKET},
}
LOCAL = {"kind": "thermal", "temperature": "0.6 + 0.1*cos(2*pi*x/L)", "mu": "-1 + 0.2*sin(2*pi*x/L)"}


def density(case, order=2):
    """w of all bands, and the bands."""
    problem = build_problem(case).with_order(order)
    stack = problem.stack()
    return problem.initial_density(stack), [band.effective() for band in stack.bands], problem


def coordinates(problem):
    x, k = problem.grid.coordinates
    return x + 0 * k, k + 0 * x


def test_every_kind_is_tested():
    assert set(STATES) == set(INITIAL_STATES)


@pytest.mark.parametrize("kind", STATES)
def test_dilation_stretches_the_state_with_the_crystal(kind, tmp_path):
    """At order 0 the density depends on x/L only; at order 2 corrections fall with the dilation."""
    problem = build_problem(make_case(tmp_path, CHAIN, initial_state=STATES[kind]))
    w = {
        (order, dilation): each.initial_density(each.stack())
        for order in (0, 2)
        for dilation in (1.0, 2.0, 4.0)
        for each in [problem.with_order(order).dilated(dilation)]
    }
    np.testing.assert_allclose(w[0, 2.0], w[0, 1.0], atol=1e-13)
    assert np.ptp(w[0, 1.0]) > 0.1
    falls = [np.abs(w[2, dilation] - w[0, dilation]).max() for dilation in (2.0, 4.0)]
    assert falls[0] > 1.9 * falls[1] > 0


def test_local_equilibrium_is_dilated_too(tmp_path):
    problem = build_problem(make_case(tmp_path, CHAIN, initial_state=LOCAL)).with_order(0)
    dilated = problem.dilated(2.0)
    np.testing.assert_allclose(
        dilated.initial_density(dilated.stack()), problem.initial_density(problem.stack()), atol=1e-13
    )


# --- formulas ---


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_symbol_is_the_occupation_face(order, tmp_path):
    """c -> w -> c is an identity to the order: to rounding at orders 0 and 1."""
    w, (band,), problem = density(make_case(tmp_path, initial_state=STATES["symbol"]), order)
    x, k = coordinates(problem)
    c = np.exp(np.cos(2 * np.pi * x / 8) + 0.3 * np.sin(k))
    np.testing.assert_allclose(band.faces.to("c", w[0]), c, atol=1e-13 if order < 2 else 0.05)
    np.testing.assert_array_equal(w[0], band.faces.from_face("c", c))


def test_formulas_know_the_numbers_of_the_model(tmp_path):
    state = {"kind": "symbol", "c": "delta*cos(kx) + Lx"}
    w, _, problem = density(make_case(tmp_path, CHAIN, initial_state=state), order=0)
    _, k = coordinates(problem)
    np.testing.assert_allclose(w[0], 0.6 * np.cos(k) + 8, atol=1e-13)


def test_a_function_of_a_python_file(tmp_path):
    (tmp_path / "c.py").write_text("import numpy as np\ndef c(x, k):\n    return 1 + x[0] * np.cos(k[0])\n")
    state = {"kind": "symbol", "c": "python:c.py:c"}
    w, _, problem = density(make_case(tmp_path, initial_state=state), order=0)
    x, k = coordinates(problem)
    np.testing.assert_allclose(w[0], 1 + x * np.cos(k), atol=1e-13)


def test_each_band_has_its_own_symbol(tmp_path):
    state = {"kind": "symbol", "c": ["1", 0.25]}
    w, bands, _ = density(make_case(tmp_path, bands__select=[1, 0], initial_state=state))
    for band, density_of_band, c in zip(bands, w, (1.0, 0.25), strict=True):
        np.testing.assert_allclose(density_of_band, c * band.density_of_states, atol=1e-13)


@pytest.mark.parametrize("c", [["1"], ["1", "1", "1"]])
def test_as_many_symbols_as_bands(c, tmp_path):
    case = make_case(tmp_path, bands__select="all", initial_state={"kind": "symbol", "c": c})
    with pytest.raises(CaseError, match=f"lists {len(c)} symbols for 2 chosen"):
        build_problem(case)


# --- packets ---


@pytest.mark.parametrize("center", [[0.0], [4.0], [7.75]])
@pytest.mark.parametrize("width", [0.7, 1.5, 6.0])
def test_a_packet_is_periodic_and_as_high_as_asked(width, center, tmp_path):
    state = {"kind": "gaussian", "amplitude": 0.7, "center_x": center, "center_k": [np.pi / 2]}
    state |= {"width_x": [width], "width_k": [0.5]}
    case = make_case(tmp_path, CHAIN, grid__n_x=[32], grid__n_k=[32], initial_state=state)
    w, _, problem = density(case, order=0)
    x, k = problem.grid.axis_points
    at = np.argmin(np.abs(x - center[0])), np.argmin(np.abs(k - np.pi / 2))
    assert w[0][at] == pytest.approx(0.7, rel=1e-12)
    assert w.max() == pytest.approx(0.7, rel=1e-12)
    images = sum(np.exp(-0.5 * ((x - center[0] + 8 * n) / width) ** 2) for n in range(-30, 31))
    np.testing.assert_allclose(w[0][:, at[1]], 0.7 * images / images[at[0]], rtol=1e-9, atol=1e-15)


def test_a_packet_wider_than_the_crystal_is_refused(tmp_path):
    state = {"kind": "gaussian", "width_x": [9.0], "width_k": [0.5]}
    with pytest.raises(CaseError, match="the width 9 along x exceeds the period 8"):
        build_problem(make_case(tmp_path, initial_state=state))


# --- equilibrium ---


@pytest.mark.parametrize("order", [0, 1, 2])
def test_thermal_states_are_the_equilibrium_of_the_theory(order, tmp_path):
    w, (band,), problem = density(make_case(tmp_path, CHAIN, initial_state=LOCAL), order)
    x, _ = coordinates(problem)
    angle = 2 * np.pi * x / 8
    mu, temperature = -1 + 0.2 * np.sin(angle), 0.6 + 0.1 * np.cos(angle)
    np.testing.assert_allclose(w[0], equilibrium_density(band, mu, temperature), atol=1e-13)
    if order == 0:
        fermi = 1 / (np.exp((band.energy[0] - mu) / temperature) + 1)
        np.testing.assert_allclose(w[0], fermi, atol=1e-13)


def test_a_bump_is_added_to_the_background(tmp_path):
    parts = [
        density(make_case(tmp_path, CHAIN, initial_state=state))[0]
        for state in (
            STATES["thermal"],
            STATES["gaussian"] | {"amplitude": 0.2},
            STATES["thermal_bump"],
        )
    ]
    np.testing.assert_allclose(parts[2], parts[0] + parts[1], atol=1e-13)
    assert parts[1].max() > 0.1


def test_equilibrium_at_a_changing_time_or_a_negative_temperature_is_refused(tmp_path):
    for key, formula, why in (
        ("mu", "sin(t)", "initial_state.mu depends on t"),
        ("temperature", "1 + t", "initial_state.temperature depends on t"),
        ("temperature", "cos(2*pi*x/L)", "temperature falls to -1; it must stay positive"),
    ):
        with pytest.raises(CaseError, match=why):
            density(make_case(tmp_path, initial_state=STATES["thermal"] | {key: formula}))


# --- earlier runs ---


def from_run(directory, data=TEXTURE, **changes):
    state = {"kind": "from_run", "run": str(directory)} | changes.pop("state", {})
    return make_case(directory.parent / "next", data, initial_state=state, **changes)


def test_the_last_state_of_an_earlier_run_goes_on_where_it_ended(tmp_path):
    """The state is taken over to the last bit; two runs of half the time are one of the whole."""
    settings = {"output__face": "w", "time__step": 0.05, "bands__select": [0, 1]}
    whole = run(make_case(tmp_path / "whole", output__phase_every=0.5, **settings))
    half = run(make_case(tmp_path / "half", time__end=0.5, **settings))
    rest = run(from_run(tmp_path / "half", time__end=0.5, **settings))
    np.testing.assert_array_equal(rest.phase["w"][0], half.phase["w"][-1])
    np.testing.assert_allclose(rest.phase["w"][-1], whole.phase["w"][-1], rtol=1e-13)


@pytest.mark.parametrize("face", ["f", "c"])
def test_other_faces_are_turned_back_to_the_order(face, tmp_path):
    errors = []
    for sites in (16, 32):
        settings = {"grid__sites": [sites], "output__face": face, "time__end": 0.1}
        source = tmp_path / f"{sites}"
        first = build_problem(make_case(source, **settings))
        run(make_case(source, **settings))
        w, _, _ = density(from_run(source, state={"time": 0.0}, **settings))
        errors.append(np.abs(w - first.initial_density(first.stack())).max())
    assert np.log2(errors[0] / errors[1]) > 2.7


def test_a_chosen_time_and_band(tmp_path):
    earlier = run(make_case(tmp_path / "a", output__face="w", bands__select=[0, 1]))
    w, _, _ = density(from_run(tmp_path / "a", state={"time": 0.5}, bands__select=[1]))
    np.testing.assert_array_equal(w[0], earlier.phase["w"].sel(time=0.5, band=1))


def test_another_grid_is_reached_by_fourier_interpolation(tmp_path):
    """A band-limited state is the same function on any grid that carries it."""
    c = {"kind": "symbol", "c": "2 + cos(2*pi*x/L - 0.3)*sin(2*k) + sin(3*2*pi*x/L)"}
    settings = {"initial_state": c, "output__face": "w", "equation__order": 0, "time__end": 0.01}
    for n_x, n_k in ((16, 16), (15, 21)):
        source = tmp_path / f"{n_x}"
        run(make_case(source, grid__n_x=[n_x], grid__n_k=[n_k], **settings))
        case = from_run(source, state={"time": 0.0}, grid__n_x=[24], grid__n_k=[18])
        w, _, problem = density(case, order=0)
        x, k = coordinates(problem)
        q = 2 * np.pi * x / 8
        np.testing.assert_allclose(w[0], 2 + np.cos(q - 0.3) * np.sin(2 * k) + np.sin(3 * q), atol=1e-12)


def test_interpolation_to_fewer_points_and_back():
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(9, 8))
    fine = StoredDensity("w", coarse).on(PhaseSpaceGrid((18,), (24,), (4.0,)))
    np.testing.assert_allclose(fine.mean(), coarse.mean(), atol=1e-14)
    np.testing.assert_allclose(fine[::2].mean(axis=1), coarse.mean(axis=1), atol=1e-13)
    back = StoredDensity("w", fine).on(PhaseSpaceGrid((9,), (8,), (4.0,)))
    again = StoredDensity("w", back).on(PhaseSpaceGrid((18,), (24,), (4.0,)))
    np.testing.assert_allclose(again, fine, atol=1e-13)


def test_earlier_runs_that_do_not_fit(tmp_path):
    run(make_case(tmp_path / "a", output__phase_every=0.5))
    for why, changes in {
        r"has no band 1, only 0": {"bands__select": [1]},
        r"no state at 0.3; nearest: 0.5": {"state": {"time": 0.3}},
        r"has the period 8 along x, this case 16": {"grid__sites": [16]},
        r"has the axes x, kx, this case kx": {
            "grid": {"sites": [], "n_k": [16]},
            "hamiltonian": {"source": "named:ssh"},
        },
    }.items():
        with pytest.raises(CaseError, match=why):
            build_problem(from_run(tmp_path / "a", **changes))
    with pytest.raises(CaseError, match=r"no run here yet|no such case"):
        build_problem(from_run(tmp_path / "b"))
    run(make_case(tmp_path / "c", output__phase_every="never"))
    assert open_run(tmp_path / "c").phase.sizes["time"] == 0
    shutil.rmtree(open_run(tmp_path / "c").directory.checkpoints.directory)
    with pytest.raises(CaseError, match="has stored no state"):
        build_problem(from_run(tmp_path / "c"))
