"""Runs: restart bit for bit, guards, logs, and what a run leaves behind."""

import json
import logging
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
from tiny_cases import (
    CHAIN,
    DRIVEN_CHAIN,
    PUMP,
    TEXTURE,
    assert_identical,
    environment,
    make_case,
    stored,
    write_case,
)

from wigner_sim import simulation
from wigner_sim.case import load_case
from wigner_sim.errors import BandTouchingError, CaseError, InterruptedRunError, NumericalStopError
from wigner_sim.kinetics import band_sources
from wigner_sim.propagator import Propagator
from wigner_sim.reports import info
from wigner_sim.runs import open_run
from wigner_sim.simulation import check, resume, run


class Killed(BaseException):
    """Stands for the end of the process."""


@contextmanager
def interrupted_after(n_steps, monkeypatch):
    """The interrupt comes while step ``n_steps`` is taken."""
    n_asked = iter(range(10**6))

    @contextmanager
    def interrupts():
        yield lambda: next(n_asked) >= n_steps

    with monkeypatch.context() as patch:
        patch.setattr(simulation, "interrupts", interrupts)
        yield


@contextmanager
def killed_at(n_steps, monkeypatch):
    """The process dies when it would take the step after ``n_steps``."""
    advance = Propagator.advance

    def dying(self, limit):
        if self.n_steps >= n_steps:
            raise Killed
        advance(self, limit)

    with monkeypatch.context() as patch:
        patch.setattr(Propagator, "advance", dying)
        yield


SYSTEMS = {"texture": TEXTURE, "driven chain": DRIVEN_CHAIN}
STEPPERS = ("rk4", "strang", "blanes_moan4")
#: A stack of bands is stepped by its rate or by its flows: one stepper of each kind shows it.
STEPPERS_AND_BANDS = [
    pytest.param(stepper, bands, id=f"{stepper}-{len(bands)} bands")
    for stepper, several in zip(STEPPERS, ([(0,), (0, 1)], [(0,), (0, 1)], [(0,)]), strict=True)
    for bands in several
]


@pytest.mark.parametrize("adaptive", [False, True], ids=["fixed", "adaptive"])
@pytest.mark.parametrize(("stepper", "bands"), STEPPERS_AND_BANDS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_resumed_run_is_the_same_to_the_last_bit(system, stepper, adaptive, bands, tmp_path, monkeypatch):
    step = "auto" if adaptive else 0.06
    case = make_case(
        tmp_path,
        SYSTEMS[system],
        time__end=0.4,
        time__stepper=stepper,
        time__adaptive=adaptive,
        time__step=step,
        time__tolerance=1e-4,
        bands__select=list(bands),
        output__phase_every=0.2,
        output__checkpoint_every={"steps": 3},
    )
    whole = stored(run(case))
    n_steps = int(whole["checkpoint.n_steps"])
    assert n_steps >= 3
    with interrupted_after(n_steps // 3, monkeypatch), pytest.raises(InterruptedRunError):
        run(case)
    with killed_at(min(2 * n_steps // 3 + 1, n_steps - 1), monkeypatch), pytest.raises(Killed):
        resume(tmp_path)
    parts = resume(tmp_path)
    assert parts.path.name == "0002"
    assert np.all(np.diff(parts.scalars["time"]) > 0)
    assert_identical(whole, stored(parts))


FORCED = CHAIN | {"hamiltonian": CHAIN["hamiltonian"] | {"force": ["0.3*sin(t)"]}}


@pytest.mark.parametrize("stepper", ["rk4", "strang"])
@pytest.mark.parametrize("system", [PUMP, FORCED], ids=["pump", "force"])
def test_a_resumed_drive_is_the_same_to_the_last_bit(system, stepper, tmp_path, monkeypatch):
    case = make_case(
        tmp_path,
        system,
        time__end=0.5,
        time__step=0.1,
        time__stepper=stepper,
        output__phase_every=0.25,
    )
    whole = stored(run(case))
    with interrupted_after(2, monkeypatch), pytest.raises(InterruptedRunError):
        run(case)
    assert_identical(whole, stored(resume(tmp_path)))


def test_a_run_killed_before_its_first_checkpoint_resumes_from_the_start(tmp_path, monkeypatch):
    case = make_case(tmp_path)
    whole = stored(run(case))
    with killed_at(3, monkeypatch), pytest.raises(Killed):
        run(case)
    assert open_run(tmp_path).status["state"].startswith("stopped")
    assert_identical(whole, stored(resume(tmp_path)))


@pytest.mark.parametrize("adaptive", [False, True], ids=["fixed", "adaptive"])
def test_checkpoints_do_not_shape_the_run(tmp_path, adaptive):
    runs = [
        run(
            make_case(
                tmp_path,
                time__adaptive=adaptive,
                time__tolerance=1e-4,
                output__scalars_every={"steps": 1},
                output__checkpoint_every=every,
            )
        )
        for every in ("never", 0.0137, {"steps": 1}, {"wall_seconds": 1e-9})
    ]
    never, *others = (stored(each) for each in runs)
    for other in others:
        assert_identical(never, other)


SLOW_ENOUGH = {
    "grid__n_x": [32],
    "grid__n_k": [32],
    "time__step": 0.003,
    "output__checkpoint_every": {"steps": 20},
    "output__scalars_every": {"steps": 5},
}


def start_and_signal(directory, number, after_steps):
    """Start a run in a process of its own, send it a signal after so many steps, and return what it said."""
    command = [sys.executable, "-m", "wigner_sim", "run", str(directory)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
    status = directory / "runs" / "0001" / "status.json"
    deadline = time.monotonic() + 30
    while not (status.exists() and json.loads(status.read_text())["n_steps"] >= after_steps):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    return process.returncode, said.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_kill_and_interrupt_of_a_real_process(tmp_path):
    reference = stored(run(make_case(tmp_path / "reference", **SLOW_ENOUGH)))

    killed = write_case(tmp_path / "killed", **SLOW_ENOUGH)
    code, _ = start_and_signal(killed, signal.SIGKILL, after_steps=40)
    assert code == -signal.SIGKILL
    assert open_run(killed).status["state"] == "running"
    assert "state: killed; its last checkpoint" in info(killed)
    assert_identical(reference, stored(resume(killed)))

    interrupted = write_case(tmp_path / "two words", **SLOW_ENOUGH)
    code, said = start_and_signal(interrupted, signal.SIGINT, after_steps=40)
    assert code == 130
    assert "Traceback" not in said
    assert open_run(interrupted).status["state"] == "stopped: interrupted"
    _, *arguments = shlex.split(said.split("continue with: ")[1])
    command = [sys.executable, "-m", "wigner_sim", *arguments, "--quiet"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert_identical(reference, stored(open_run(interrupted)))


def test_resume_needs_nothing_but_the_run_directory(tmp_path, monkeypatch):
    source = tmp_path / "source"
    run(make_case(source, output__face="w"))
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "u.py").write_text("import numpy as np\ndef u(x): return 0.1*np.cos(np.pi*x[0]/4)\n")
    case = make_case(
        tmp_path / "case",
        CHAIN,
        hamiltonian__potential="python:u.py:u",
        initial_state={"kind": "from_run", "run": "../source"},
    )
    whole = stored(run(case))
    with interrupted_after(2, monkeypatch), pytest.raises(InterruptedRunError):
        run(case)
    shutil.rmtree(source)
    (tmp_path / "case" / "u.py").unlink()
    moved = tmp_path / "elsewhere"
    shutil.move(tmp_path / "case" / "runs" / "0002", moved)
    assert_identical(whole, stored(resume(moved)))


def test_the_resolved_case_runs_to_the_same_result(tmp_path):
    first = run(make_case(tmp_path / "case", time__step=0.05), ["equation.order=1"])
    again = run(load_case(first.path).with_overrides([]))
    assert again.path.parent.parent == first.path
    assert_identical(stored(first), stored(again))


def test_nothing_to_resume(tmp_path):
    with pytest.raises(CaseError, match="no run here yet"):
        resume(tmp_path)
    finished = run(make_case(tmp_path))
    with pytest.raises(CaseError, match="the run is complete"):
        resume(tmp_path)
    shutil.rmtree(finished.path / "checkpoints")
    with pytest.raises(CaseError, match="no checkpoint to resume from"):
        resume(tmp_path)


def test_two_processes_cannot_write_one_run(tmp_path, monkeypatch):
    case = make_case(tmp_path)
    with interrupted_after(2, monkeypatch), pytest.raises(InterruptedRunError):
        run(case)
    with open_run(tmp_path).directory.lock(), pytest.raises(CaseError, match="another process is running it"):
        resume(tmp_path)
    assert open_run(tmp_path).status["state"] == "stopped: interrupted"


# --- conservation and steps ---


@pytest.mark.parametrize("adaptive", [False, True], ids=["fixed", "adaptive"])
@pytest.mark.parametrize("stepper", STEPPERS)
def test_particle_number_is_conserved_to_rounding(stepper, adaptive, tmp_path):
    case = make_case(
        tmp_path,
        time__stepper=stepper,
        time__adaptive=adaptive,
        time__end=2.0,
        bands__select="all",
        output__scalars_every={"steps": 1},
    )
    drift = run(case).scalars["particle_number_drift"].values
    assert drift.shape[0] > 5
    assert np.abs(drift).max() < 1e-12


def test_bands_of_a_static_hamiltonian_are_computed_once(tmp_path, monkeypatch):
    calls = []
    original = band_sources.effective_band

    def counted(*arguments):
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(band_sources, "effective_band", counted)
    run(make_case(tmp_path, bands__select=[0, 1], time__step=0.05))
    assert len(calls) == 2


def test_the_automatic_step_looks_ahead(tmp_path):
    """A potential that is ramped up makes the equation stiffer than it is at the start."""
    ramp = "2*(1 - cos(pi*t))*cos(2*pi*x/L)"
    case = make_case(tmp_path, CHAIN, hamiltonian__potential=ramp, time={"end": 1.0, "stepper": "rk4"})
    prepared = check(case)
    limit = {t: 2.8284 / prepared.stack.spectral_radius(t) for t in (0.0, 1.0)}
    assert limit[1.0] < 0.5 * limit[0.0]
    assert prepared.propagator.dt < limit[1.0]
    with pytest.raises(CaseError, match=r"above the stability limit .* of rk4"):
        check(case, [f"time.step={0.5 * (limit[0.0] + limit[1.0])}"])


def test_a_step_that_makes_no_sense_is_refused(tmp_path):
    case = make_case(tmp_path)
    with pytest.raises(CaseError, match=r'time.step = 0.9 is above the stability limit .* "auto"'):
        check(case, ["time.step=0.9"])
    with pytest.raises(CaseError, match=r"longer than the run, time.end = 1"):
        check(case, ["time.step=1.5", "time.stepper=strang"])
    with pytest.raises(CaseError, match=r"1e\+18 steps would be needed"):
        check(case, ["time.step=1e-18", "time.stepper=strang"])
    with pytest.raises(CaseError, match="steps would be needed"):
        check(case, ["time.end=1e200"])


# --- guards ---


def test_a_state_that_blows_up_stops_the_run_and_spares_the_checkpoints(tmp_path, monkeypatch):
    advance = Propagator.advance

    def exploding(self, limit):
        advance(self, limit)
        if self.n_steps == 5:
            self.w = self.w * np.inf

    monkeypatch.setattr(Propagator, "advance", exploding)
    case = make_case(tmp_path, output__scalars_every="never", output__checkpoint_every={"steps": 1})
    with pytest.raises(NumericalStopError, match=r"no longer finite at t = .* reduce time\.step"):
        run(case)
    stopped = open_run(tmp_path)
    assert stopped.status["state"].startswith("stopped: the state is no longer finite")
    last = stopped.directory.checkpoints.load_latest()["propagator"]
    assert last["n_steps"] == 4
    assert np.isfinite(last["w"]).all()


def test_a_guard_that_stops(tmp_path):
    case = make_case(tmp_path, monitors__energy_drift=1e-30, monitors__action="stop")
    with pytest.raises(NumericalStopError, match=r"energy_drift is .* above monitors.energy_drift = 1e-30"):
        run(case)
    stopped = open_run(tmp_path)
    assert "energy_drift" in stopped.status["state"]
    assert stopped.scalars.sizes["time"] == 2
    assert "monitors.energy_drift" in stopped.directory.log_path.read_text()


def test_a_gap_that_closes_during_the_run_is_found_before_it(tmp_path):
    closing = {
        "source": "named:rice_mele",
        "parameters": {"delta": "0.6*(1 - t)", "t1": 1.0, "t2": 1.0},
        "potential": "0.1*cos(2*pi*x/L)",
    }
    with pytest.raises(BandTouchingError, match="the gap between band 0"):
        run(make_case(tmp_path, CHAIN, hamiltonian=closing))
    assert not (tmp_path / "runs").exists()


def test_a_gap_that_closes_between_the_times_looked_at_stops_the_run(tmp_path, monkeypatch):
    advance = Propagator.advance

    def touching(self, limit):
        if self.n_steps == 2:
            raise BandTouchingError("the gap closes", 0.0, (0.0,), (0.0,))
        advance(self, limit)

    monkeypatch.setattr(Propagator, "advance", touching)
    with pytest.raises(NumericalStopError, match=r"shortly after t = 0\.\d+: the gap closes"):
        run(make_case(tmp_path, time__step=0.05))


# --- what a run leaves behind ---


def test_log_status_and_provenance(tmp_path, caplog):
    caplog.set_level(logging.WARNING)  # as in a program that never asked for our log
    done = run(make_case(tmp_path / "lab"), ["equation.order=1"])
    log = done.directory.log_path.read_text()
    assert re.search(
        r"INFO step 0\.\d+ \(accuracy: estimated error 1e-06 of max\|w\| over the run with rk4\)", log
    )
    assert "16 points in x, 16 points in kx" in log
    assert "order 1" in log
    assert re.search(r"done: \d+ steps in", log)
    assert done.status["state"] == "complete"
    assert done.status["time"] == done.status["end"] == 1.0
    assert done.status["n_steps"] > 0
    attributes = [getattr(done, name).attrs for name in ("scalars", "fields", "phase", "geometry")]
    assert len({each["run_id"] for each in attributes}) == 1
    for each in attributes:
        assert each["Conventions"] == "CF-1.11"
        assert each["case_name"] == "lab"
        assert each["title"] == "tiny texture"
        assert each["time_step_reason"].startswith("accuracy")
        assert "order = 1" in each["case_resolved_toml"]
        assert "set on the command line: equation.order=1" in each["case_resolved_toml"]


def test_a_resumed_run_keeps_its_name_and_says_so(tmp_path, monkeypatch):
    with interrupted_after(2, monkeypatch), pytest.raises(InterruptedRunError):
        run(make_case(tmp_path))
    before = open_run(tmp_path).scalars.attrs["run_id"]
    after = resume(tmp_path)
    assert after.scalars.attrs["run_id"] == before
    assert "resumed at time" in after.scalars.attrs["history"]
    log = after.directory.log_path.read_text()
    assert "interrupted at t = " in log
    assert "resumed at t = " in log
    assert log.count("of rk4)") + log.count("with rk4)") == 2


def test_streams_end_at_the_end_and_keep_their_cadence(tmp_path):
    done = run(make_case(tmp_path, output__scalars_every="never", output__precision="float32"))
    np.testing.assert_allclose(done.fields["time"], [0, 0.3, 0.6, 0.9, 1.0], rtol=1e-12)
    np.testing.assert_array_equal(done.phase["time"], [0, 0.5, 1.0])
    assert done.phase["f"].dtype == np.float32
    assert done.scalars.sizes["time"] == 0


def test_a_running_run_tells_where_it_is(tmp_path, monkeypatch):
    seen = []
    advance = Propagator.advance

    def watched(self, limit):
        advance(self, limit)
        seen.append((self.n_steps, open_run(tmp_path).status["n_steps"], info(tmp_path)))

    monkeypatch.setattr(Propagator, "advance", watched)
    monkeypatch.setattr(simulation, "STATUS_SECONDS", 1e-9)
    run(make_case(tmp_path, time__step=0.1))
    assert [told for _, told, _ in seen] == [n - 1 for n, _, _ in seen]
    assert all("state: running, t = " in text for _, _, text in seen)


def test_runs_are_numbered_and_never_overwritten(tmp_path):
    case = make_case(tmp_path, time__end=0.1)
    assert [run(case).path.name for _ in range(2)] == ["0001", "0002"]
