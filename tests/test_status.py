"""A run as others see it while it goes on and after it ended; limits of time, and what stopped it."""

import datetime
import json
import re
import signal
import socket
import sys

import pytest
from test_simulation import SLOW_ENOUGH, interrupted_after, start_and_signal
from tiny_cases import assert_identical, make_case, stored, write_case

from wigner_sim.case import Case
from wigner_sim.cli import main
from wigner_sim.errors import EXIT_CODES, CaseError, InterruptedRunError, NumericalStopError, WallTimeError
from wigner_sim.propagator import Propagator
from wigner_sim.run_status import health, status_report
from wigner_sim.runs import open_run
from wigner_sim.simulation import resume, run


def rewritten_status(directory, **changes):
    status = directory.read_status() | changes
    directory.status_path.write_text(json.dumps(status))


def hours_ago(n):
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=n)).isoformat()


# --- status ---


def test_a_running_run_seen_from_another_shell(tmp_path, monkeypatch):
    reports = []
    advance = Propagator.advance

    def watched(self, limit):
        advance(self, limit)
        reports.append(status_report(tmp_path))

    monkeypatch.setattr(Propagator, "advance", watched)
    monkeypatch.setattr("wigner_sim.simulation.STATUS_SECONDS", 1e-9)
    run(make_case(tmp_path, time__step=0.05, monitors__energy_drift=1e-3, monitors__spectral_tail=1e-9))
    assert all("state: running" in report for report in reports)
    last = reports[-1]
    assert re.search(r"t = 0\.9\d* of 1 \(9\d\.\d%\), step 1\d, dt 0\.05", last)
    assert re.search(r"[\d.]+ steps/s, [\d.]+m?s left, running for .*last sign of life [\d.e-]+s ago", last)
    assert re.search(r"guard energy_drift: [\d.e-]+, limit 0\.001$", last, re.MULTILINE)
    assert re.search(r"guard spectral_tail: .* VIOLATED: spectral_tail_\w is", last)
    done = status_report(tmp_path)
    assert "state: complete" in done
    assert "resume" not in done


def test_a_killed_run_is_told_from_a_running_one(tmp_path):
    directory = run(make_case(tmp_path)).directory
    rewritten_status(directory, state="running")
    assert health(directory).startswith("killed")
    assert "continue with: wigner-sim resume" in status_report(tmp_path)
    with directory.lock():
        assert health(directory) == "running"
        rewritten_status(directory, heartbeat=hours_ago(2))
        assert health(directory).startswith("stale: no sign of life for 2h00m from process")
        rewritten_status(directory, steps_per_second=1e-4)  # steps that take hours
        assert health(directory) == "running"


def test_a_run_on_another_machine_is_judged_by_its_heartbeat(tmp_path):
    directory = run(make_case(tmp_path)).directory
    rewritten_status(directory, state="running", host=socket.gethostname() + "-other")
    assert health(directory) == "running"
    rewritten_status(directory, heartbeat=hours_ago(2))
    assert "-other, which may be dead or stuck" in health(directory)


def test_a_run_that_has_not_begun(tmp_path, capsys):
    directory = run(make_case(tmp_path)).directory
    directory.status_path.unlink()
    assert main(["status", str(tmp_path)]) == 0
    assert "state: not begun" in capsys.readouterr().out


# --- limits ---


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("23h50m", 85800.0), ("90s", 90.0), ("1d 2h", 93600.0), ("1.5s", 1.5), (30, 30.0), (0.5, 0.5)],
)
def test_durations(text, seconds, tmp_path):
    case = make_case(tmp_path, limits__wall_time=text)
    assert case.limits.wall_time == seconds
    assert Case.from_dict(case.to_dict()).limits.wall_time == seconds


@pytest.mark.parametrize("wrong", ["", "soon", "3h2d", "0s", 0, -1, True, "h", [1]])
def test_durations_that_are_none(wrong, tmp_path):
    with pytest.raises(CaseError, match=r"\[limits\] wall_time: expected a number of seconds"):
        make_case(tmp_path, limits__wall_time=wrong)


def test_a_limit_of_real_time_stops_with_a_checkpoint(tmp_path, capsys):
    whole = stored(run(make_case(tmp_path / "whole", time__step=0.1)))
    case = write_case(tmp_path / "a case", time__step=0.1, limits__wall_time=1e-6)
    assert main(["run", str(case), "--quiet"]) == WallTimeError.exit_code == 4
    assert "wall-time limit at t = 0.1; continue with: wigner-sim resume '" in capsys.readouterr().err
    stopped = open_run(case)
    assert stopped.status["state"] == "stopped: wall-time limit"
    assert stopped.status["stop_reason"] == stopped.scalars.attrs["stop_reason"] == "wall-time limit"
    for n in range(2, 10):  # each part of the run takes at least one step
        with pytest.raises(WallTimeError):
            resume(case)
        assert open_run(case).status["n_steps"] == n
    assert_identical(whole, stored(resume(case)))


# --- reasons ---


def test_the_reason_is_in_status_and_files(tmp_path, monkeypatch):
    case = make_case(tmp_path, time__step=0.1)
    with interrupted_after(2, monkeypatch), pytest.raises(InterruptedRunError):
        run(case)
    stopped = open_run(tmp_path)
    for name in ("scalars", "fields", "phase"):
        assert getattr(stopped, name).attrs["stop_reason"] == "interrupted"
    assert stopped.status["stop_reason"] == "interrupted"
    n_records = stopped.scalars.sizes["time"]
    done = resume(tmp_path)  # although this process has its files open
    assert stopped.scalars["time"].values.size == n_records < done.scalars.sizes["time"]
    assert not list(done.path.glob("*.damaged"))
    assert done.scalars.attrs["stop_reason"] == done.status["stop_reason"] == "complete"
    with pytest.raises(NumericalStopError):
        run(case, ["monitors.energy_drift=1e-30", "monitors.action=stop"])
    guarded = open_run(tmp_path)
    assert "above monitors.energy_drift" in guarded.scalars.attrs["stop_reason"]
    assert "above monitors.energy_drift" in guarded.status["stop_reason"]


def test_every_error_has_a_documented_exit_code():
    def subclasses(kind):
        return {kind}.union(*map(subclasses, kind.__subclasses__()))

    assert {each.exit_code for each in subclasses(CaseError.__mro__[1])} <= set(EXIT_CODES)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_sigterm_finishes_the_step_and_leaves_a_checkpoint(tmp_path):
    reference = stored(run(make_case(tmp_path / "reference", **SLOW_ENOUGH)))
    case = write_case(tmp_path / "asked to end", **SLOW_ENOUGH)
    code, said = start_and_signal(case, signal.SIGTERM, after_steps=40)
    assert code == 130
    assert "continue with: wigner-sim resume '" in said
    assert "Traceback" not in said
    assert open_run(case).status["stop_reason"] == "interrupted"
    assert_identical(reference, stored(resume(case)))
