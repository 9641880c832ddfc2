"""Going on after a stop: beyond the end, from an older checkpoint, from another run's state."""

from itertools import pairwise

import numpy as np
import pytest
from test_simulation import interrupted_after
from tiny_cases import CHAIN, DRIVEN_CHAIN, TEXTURE, assert_identical, changed, make_case, stored

from wigner_sim.errors import CaseError, InterruptedRunError
from wigner_sim.initial_states import StoredDensity
from wigner_sim.problem import build_problem
from wigner_sim.run_directory import RunDirectory
from wigner_sim.run_status import health
from wigner_sim.runs import open_run
from wigner_sim.simulation import Simulation, resume, run

CADENCES = {
    "output__scalars_every": {"steps": 2},
    "output__fields_every": 0.25,
    "output__phase_every": 0.25,
    "output__checkpoint_every": {"steps": 3},
}


# --- beyond the end ---


@pytest.mark.parametrize("stepper", ["rk4", "strang"])
def test_an_extended_run_is_the_longer_run_to_the_last_bit(stepper, tmp_path):
    given = {**CADENCES, "time__step": 0.05, "time__stepper": stepper}
    whole = run(make_case(tmp_path / "long", CHAIN, time__end=1.0, **given))
    run(make_case(tmp_path / "short", CHAIN, time__end=0.5, **given))
    extended = resume(tmp_path / "short", until=1.0)
    assert extended.path.name == "0001"
    # how often the error is looked at follows from the end that a run was begun with
    ours, theirs = stored(whole), stored(extended)
    assert ours.pop("scalars.predicted_error").shape == theirs.pop("scalars.predicted_error").shape
    assert_identical(ours, theirs)


def test_an_extension_is_recorded_and_survives_an_interrupt(tmp_path, monkeypatch):
    case = make_case(tmp_path / "a", DRIVEN_CHAIN, time__end=0.5, time__step=0.06, **CADENCES)
    run(case, ["equation.order=1"])
    whole = stored(resume(tmp_path / "a", until=1.2))
    run(
        make_case(tmp_path / "b", DRIVEN_CHAIN, time__end=0.5, time__step=0.06, **CADENCES),
        ["equation.order=1"],
    )
    with interrupted_after(3, monkeypatch), pytest.raises(InterruptedRunError):
        resume(tmp_path / "b", until=1.2)
    done = resume(tmp_path / "b")  # the new end is in the run directory
    assert_identical(whole, stored(done))
    assert done.status["end"] == done.scalars["time"][-1] == 1.2
    assert np.all(np.diff(done.scalars["time"]) > 0)
    resolved = (done.path / "case.resolved.toml").read_text()
    assert resolved.startswith(
        "# set on the command line: equation.order=1\n# set on the command line: time.end=1.2"
    )
    assert "end = 1.2" in done.scalars.attrs["case_resolved_toml"]


def test_an_end_that_is_past_already(tmp_path, monkeypatch):
    case = make_case(tmp_path, time__step=0.1)
    with interrupted_after(5, monkeypatch), pytest.raises(InterruptedRunError):
        run(case)
    with pytest.raises(CaseError, match=r"the run has reached t = 0\.5 already; it can only be extended"):
        resume(tmp_path, until=0.2)


def test_what_cannot_be_extended(tmp_path):
    run(make_case(tmp_path))
    with pytest.raises(CaseError, match=r"complete \(t = 1\); it can only be extended"):
        resume(tmp_path, until=0.7)
    with pytest.raises(CaseError, match=r"complete \(t = 1\); extend it with --until"):
        resume(tmp_path)
    with pytest.raises(CaseError, match="expected a number > 0"):
        resume(tmp_path, until=-1.0)
    assert open_run(tmp_path).case.time.end == 1.0


# --- from an older checkpoint ---


def test_the_last_two_checkpoints_are_kept_and_either_gives_the_same_run(tmp_path):
    case = make_case(tmp_path, time__step=0.05, **CADENCES)
    whole = run(case)
    before = stored(whole)
    store = whole.directory.checkpoints
    assert [path.stem for path in store.paths()] == ["checkpoint_000000018", "checkpoint_000000020"]
    again = resume(tmp_path, from_step=18)
    assert_identical(before, stored(again))
    with pytest.raises(CaseError, match="no checkpoint at step 7; there is 18, 20"):
        resume(tmp_path, from_step=7)


def test_a_damaged_newest_checkpoint_costs_only_its_steps(tmp_path):
    case = make_case(tmp_path, time__step=0.05, **CADENCES)
    whole = run(case)
    before = stored(whole)
    newest = whole.directory.checkpoints.paths()[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(CaseError, match="damaged checkpoint"):
        resume(tmp_path, from_step=20)
    assert_identical(before, stored(resume(tmp_path)))


@pytest.mark.parametrize("streams", [True, False])
def test_a_run_killed_before_its_first_checkpoint_begins_anew(streams, tmp_path, monkeypatch):
    whole = stored(run(make_case(tmp_path / "whole", time__step=0.1)))

    def killed(*arguments):
        raise SystemExit("stands for the end of the process")

    case = make_case(tmp_path / "a", time__step=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(Simulation, "_save" if streams else "_announce", killed)
        patch.setattr(RunDirectory, "write_status", lambda self, status: None)
        with pytest.raises(SystemExit):
            run(case)
    directory = open_run(tmp_path / "a").directory
    assert directory.stream_path("scalars").exists() == streams
    assert health(directory) == "not begun"
    assert_identical(whole, stored(resume(tmp_path / "a")))


def test_a_run_killed_between_its_last_checkpoint_and_its_last_word_becomes_complete(tmp_path):
    done = run(make_case(tmp_path, time__step=0.1))
    before = stored(done)
    status = done.status | {"state": "running", "time": 0.9, "n_steps": 9}
    done.directory.write_status(status)
    assert_identical(before, stored(resume(tmp_path)))
    assert open_run(tmp_path).status["state"] == "complete"
    with pytest.raises(CaseError, match="the run is complete"):
        resume(tmp_path)


# --- another grid ---

SMOOTH = "exp(0.5*cos(2*pi*x/L) + 0.4*cos(k - 1))"


def smooth(x, k):
    return np.exp(0.5 * np.cos(2 * np.pi * x / 8) + 0.4 * np.cos(k - 1))


def axes(n_x, n_k):
    return np.meshgrid(8 * np.arange(n_x) / n_x, -np.pi + 2 * np.pi * np.arange(n_k) / n_k, indexing="ij")


@pytest.mark.parametrize("target", [(24, 32), (13, 15), (18, 40), (40, 11)])
def test_interpolation_has_spectral_accuracy_and_keeps_the_mean(target, tmp_path):
    grid = build_problem(make_case(tmp_path, grid__n_x=[target[0]], grid__n_k=[target[1]])).grid
    errors = []
    for n in (8, 12, 16, 20, 24):
        values = smooth(*axes(n, n))
        moved = StoredDensity("w", values).on(grid)
        assert moved.mean() == pytest.approx(values.mean(), rel=1e-14)
        errors.append(np.abs(moved - smooth(*axes(*target))).max())
    floor = 1e-14 if min(target) > 24 else 1e-5  # a coarse target cannot hold what a fine source has
    for coarse, fine in pairwise(errors):
        assert fine < max(0.05 * coarse, floor)
    assert errors[0] > 1e-4


def test_interpolation_to_the_same_points_changes_no_bit(tmp_path):
    values = smooth(*axes(16, 16))
    grid = build_problem(make_case(tmp_path)).grid
    np.testing.assert_array_equal(StoredDensity("w", values).on(grid), values)


@pytest.mark.parametrize("face", ["f", "w", "c"])
def test_a_run_goes_on_on_another_grid(face, tmp_path):
    """From coarser grids to a fine one: as accurate as the coarse run was, with its particles."""
    weak = changed(TEXTURE, {"initial_state": {"kind": "symbol", "c": SMOOTH}, "output.face": face})
    weak |= {"output": {**weak["output"], "phase_every": 0.2}, "grid": {"sites": [32]}}  # slow in space

    def restarted(n):
        first = run(make_case(tmp_path / f"on{n}", weak, time__end=0.2, grid__n_x=[n], grid__n_k=[n]))
        (tmp_path / "second").mkdir(exist_ok=True)
        state = {"kind": "from_run", "run": f"../on{n}"}
        on_fine = {"grid__n_x": [48], "grid__n_k": [48], "initial_state": state}
        return first, run(make_case(tmp_path / "second", weak, time__end=0.2, **on_fine))

    _, reference = restarted(48)
    errors = []
    for n in (16, 36):
        first, done = restarted(n)
        if face == "w":
            expected = first.scalars["particle_number"].values[-1]
            np.testing.assert_allclose(done.scalars["particle_number"].values[0], expected, rtol=1e-13)
        difference = done.phase[face] - reference.phase[face]
        errors.append(float(np.abs(difference.values[-1]).max()))
    assert errors[1] < 0.05 * errors[0]


def test_a_run_without_stored_states_still_gives_its_last_one(tmp_path):
    run(make_case(tmp_path / "first", output__phase_every="never"))
    (tmp_path / "second").mkdir()
    follow = make_case(tmp_path / "second", initial_state={"kind": "from_run", "run": "../first"})
    done = run(follow, ["output.face=w"])
    last = open_run(tmp_path / "first").directory.checkpoints.load_latest()["propagator"]["w"]
    np.testing.assert_array_equal(done.phase["w"].values[0], last)
