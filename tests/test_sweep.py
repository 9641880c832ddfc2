"""Sweeps: which members, that each is an ordinary run, that failures stay alone, and what is collected."""

import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr
from test_simulation import interrupted_after
from tiny_cases import CHAIN, assert_identical, changed, environment, make_case, stored, write_case

from wigner_sim.cli import main
from wigner_sim.errors import CaseError, InterruptedRunError
from wigner_sim.runs import open_run
from wigner_sim.simulation import run
from wigner_sim.sweeps import open_sweep, sweep, sweep_plan

SHORT = changed(
    CHAIN,
    {
        "time": {"end": 0.2, "step": 0.1},
        "output": {"scalars_every": 0.1, "fields_every": 0.2, "phase_every": "never"},
    },
)
DELTA = "hamiltonian.parameters.delta"


def swept(directory, values, data=SHORT, **section):
    return make_case(directory, data, sweep={"values": values, **section})


# --- plan ---


def test_a_product_runs_every_combination_the_last_key_fastest(tmp_path):
    plan = sweep_plan(swept(tmp_path, {DELTA: [0.4, 0.6], "equation.order": [0, 1, 2]}))
    found = [tuple(member.values.values()) for member in plan.members]
    assert found == [(0.4, 0), (0.4, 1), (0.4, 2), (0.6, 0), (0.6, 1), (0.6, 2)]
    case = plan.case_of(plan.members[4])
    assert (case.hamiltonian.parameters["delta"], case.equation.order, case.sweep) == (0.6, 1, None)


def test_zip_and_ranges(tmp_path):
    values = {
        "time": {"end": {"linspace": [0.5, 1.5, 3]}, "step": {"geomspace": [0.01, 0.1, 3]}},  # nested keys
        "grid.n_k": [[16], [18], [20]],
    }
    plan = sweep_plan(swept(tmp_path, values, mode="zip"))
    assert [member.values["time.end"] for member in plan.members] == [0.5, 1.0, 1.5]
    np.testing.assert_allclose(
        [member.values["time.step"] for member in plan.members], [0.01, 0.0316228, 0.1], 1e-5
    )
    assert plan.case_of(plan.members[2]).grid.n_k == (20,)
    whole = sweep_plan(swept(tmp_path, {"equation.order": {"linspace": [0, 2, 3]}}))
    assert [member.values["equation.order"] for member in whole.members] == [0, 1, 2]


def test_values_with_units_become_a_coordinate_of_numbers(tmp_path):
    values = {DELTA: {"linspace": ["400 meV", "600 meV", 3]}, "time.end": ["1 fs", "0.002 ps"]}
    data = changed(
        SHORT, {"units": {"energy": "1 eV"}, "time.step": "0.1 fs", "output.scalars_every": "1 fs"}
    )
    case = swept(tmp_path, values, data)
    plan = sweep_plan(case)
    assert plan.members[2].values == {DELTA: "500 meV", "time.end": "1 fs"}
    deltas = [plan.case_of(member).hamiltonian.parameters["delta"] for member in plan.members[::2]]
    np.testing.assert_allclose(deltas, [0.4, 0.5, 0.6])
    with sweep(case).dataset as collected:
        assert (list(collected["delta"].values), collected["delta"].attrs["units"]) == (
            [400, 500, 600],
            "meV",
        )
        assert list(collected["end"].values) == ["1 fs", "0.002 ps"]  # two units: as they are written
        assert "units" not in collected["end"].attrs


def test_keys_left_out_follow_the_swept_ones(tmp_path):
    data = {name: table for name, table in SHORT.items() if name != "output"}
    plan = sweep_plan(swept(tmp_path, {"time.end": [1.0, 2.0]}, data))
    assert [plan.case_of(member).output.fields_every for member in plan.members] == [0.01, 0.02]


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"values": {}}, r"\[sweep\] values: expected a table of case keys"),
        ({"values": {"time.end": 1.0}}, "expected a table of case keys, each with a list"),
        ({"values": {"time.end": []}}, "expected a table of case keys"),
        ({"values": {"time.end": {"linspace": [1, 2]}}}, "expected a table of case keys"),
        ({"values": {"time.end": {"linspace": [1, 2, 1.5]}}}, "expected a table of case keys"),
        ({"values": {"time.end": {"linspace": ["1 fs", "2 ps", 3]}}}, "both ends in the same"),
        ({"values": {"time.end": {"geomspace": [-1, 2, 3]}}}, "expected a table of case keys"),
        ({"values": {"time.end": [1.0]}, "mode": "zap"}, 'did you mean "zip"?'),
        ({"values": {"time.end": [1.0]}, "vlaues": 1}, 'did you mean "values"?'),
        (
            {"values": {"time.ned": [1.0]}},
            'sweep member 0001 .*unknown key "ned" in .time.; did you mean "end"',
        ),
        ({"values": {"time.end": [1.0, -1.0]}}, r"sweep member 0002 \(end = -1.0\): .*expected a number > 0"),
        ({"values": {"time.end": [1.0, 1.0]}}, "time.end has the same value twice"),
        ({"values": {"time.end": [1.0, 2.0], DELTA: [0.5]}, "mode": "zip"}, "time.end has 2, .*delta has 1"),
        ({"values": {"time.end.x": [1.0]}}, "sweep member 0001 .*end is not a table"),
        (
            {"values": {"time.end": {"linspace": [1, 2, 1000]}, DELTA: {"linspace": [1, 2, 1000]}}},
            "more than",
        ),
    ],
)
def test_sweeps_that_cannot_be_meant(section, sentence, tmp_path):
    with pytest.raises(CaseError, match=sentence):
        sweep(make_case(tmp_path, SHORT, sweep=section))
    assert list(tmp_path.iterdir()) == []


def test_no_sweep(tmp_path, capsys):
    case = write_case(tmp_path / "a", SHORT)
    assert main(["sweep", str(case)]) == 2
    assert "nothing to sweep: add a section [sweep]" in capsys.readouterr().err


# --- runs ---


def test_every_member_is_an_ordinary_run(tmp_path):
    done = sweep(swept(tmp_path / "lab", {DELTA: [0.4, 0.6]}))
    assert done.path == tmp_path / "lab" / "sweeps" / "0001"
    assert done.states == {"0001": "complete", "0002": "complete"}
    alone = run(make_case(tmp_path / "alone", SHORT, hamiltonian__parameters={"delta": 0.6}))
    assert_identical(stored(alone), stored(open_run(done.path / "0002")))
    assert open_run(done.path).path == done.path / "0002"
    assert open_run(done.path / "0001").case.name == "lab"
    assert f"{DELTA}=0.4" in (done.path / "0001" / "case.resolved.toml").read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_member_stays_alone(workers, tmp_path):
    """A step that is not stable is reported; the others are run and collected."""
    data = changed(SHORT, {"time.stepper": "rk4"})
    done = sweep(swept(tmp_path, {"time.step": [0.1, 5.0, 0.05]}, data), workers=workers)
    assert done.states["0001"] == done.states["0003"] == "complete"
    assert set(done.failed) == {"0002"}
    assert done.failed["0002"].startswith("failed: time.step = 5 is above the stability limit")
    number = done.dataset["particle_number"].isel(band=0).values
    assert np.isfinite(number[[0, 2]]).all()
    assert np.isnan(number[1]).all()
    assert list(done.dataset["state"].values)[::2] == ["complete", "complete"]


def test_processes_give_the_same_as_one_after_the_other(tmp_path):
    values = {DELTA: [0.4, 0.6]}
    one, two = (sweep(swept(tmp_path / str(n), values), workers=n) for n in (1, 2))
    xr.testing.assert_identical(one.dataset.drop_attrs(), two.dataset.drop_attrs())


def test_an_interrupted_sweep_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    data = changed(SHORT, {"output.scalars_every": {"steps": 1}})
    whole = sweep(swept(tmp_path / "whole", {DELTA: [0.4, 0.5, 0.6]}, data))
    case = swept(tmp_path / "a", {DELTA: [0.4, 0.5, 0.6]}, data)
    with (
        interrupted_after(3, monkeypatch),
        pytest.raises(InterruptedRunError, match="continue with: wigner-sim sweep"),
    ):
        sweep(case)  # in the second step of the second member
    path = tmp_path / "a" / "sweeps" / "0001"
    first = (path / "0001" / "run.log").read_text()
    done = sweep(path)
    assert done.failed == {}
    assert (path / "0001" / "run.log").read_text() == first
    assert "resumed at t = 0.1" in (path / "0002" / "run.log").read_text()
    xr.testing.assert_identical(done.dataset.drop_attrs(), whole.dataset.drop_attrs())
    with pytest.raises(CaseError, match="goes on as it was"):
        sweep(path, ["time.end=3"])
    assert main(["sweep", str(path), "--quiet"]) == 0  # nothing left to do
    assert capsys.readouterr().out.strip() == str(path)


def test_a_sweep_is_checked_and_reports_its_status(tmp_path, capsys):
    case = write_case(
        tmp_path / "a", SHORT, sweep={"values": {"time.step": [0.1, 5.0], "equation.order": [0]}}
    )
    assert main(["check", str(case)]) == 0
    assert (
        "sweep: 2 such runs (product of 2 values of time.step, 1 values of equation.order)"
        in capsys.readouterr().out
    )
    assert main(["run", str(case)]) == 0
    assert "for its section [sweep]: wigner-sim sweep" in capsys.readouterr().err
    assert main(["sweep", str(case), "--quiet"]) == 5
    capsys.readouterr()
    assert main(["status", str(case / "sweeps" / "0001")]) == 0
    assert re.match(
        r"0002 \(step = 5.0, order = 0\): failed: .*\n1 of 2 runs complete", capsys.readouterr().out
    )
    with pytest.raises(CaseError, match="not the directory of a sweep"):
        open_sweep(case)


def test_a_member_that_was_made_only_in_part_is_made_anew(tmp_path):
    done = sweep(swept(tmp_path, {DELTA: [0.4, 0.6]}))
    (done.path / "0002" / "case.resolved.toml").unlink()
    assert sweep(done.path).failed == {}


def test_files_and_earlier_runs_are_found_by_every_member(tmp_path):
    directory = tmp_path / "case"
    directory.mkdir()
    for name, amplitude in {"u": 0.1, "v": 0.2}.items():
        text = f"import numpy as np\ndef {name}(x): return {amplitude}*np.cos(np.pi*x[0]/4)\n"
        (directory / f"{name}.py").write_text(text)
    run(make_case(directory, SHORT), ["output.phase_every=0.2"])
    data = changed(SHORT, {"initial_state": {"kind": "from_run", "run": "runs/0001"}})
    done = sweep(swept(directory, {"hamiltonian.potential": ["python:u.py:u", "python:v.py:v"]}, data))
    assert done.failed == {}
    assert list(done.dataset["potential"].values) == ["python:u.py:u", "python:v.py:v"]
    energy = done.dataset["energy"].isel(time=0, band=0)
    assert abs(float(energy[0] - energy[1])) > 1e-6


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_reaches_the_workers_once_and_they_leave_checkpoints(tmp_path):
    long = changed(SHORT, {"time": {"end": 200.0, "step": 0.01}, "grid.n_x": [32], "grid.n_k": [32]})
    case = write_case(tmp_path / "a", long, sweep={"values": {DELTA: [0.4, 0.5, 0.6]}})
    command = [sys.executable, "-m", "wigner_sim", "sweep", str(case), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
    path = case / "sweeps" / "0001"
    deadline = time.monotonic() + 40

    def steps(name):
        status = path / name / "status.json"
        return json.loads(status.read_text())["n_steps"] if status.exists() else 0

    while min(steps("0001"), steps("0002")) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "continue with: wigner-sim sweep" in said.decode()
    assert "Traceback" not in said.decode()
    for name in ("0001", "0002"):
        assert open_run(path / name).status["state"] == "stopped: interrupted"
    assert not (path / "0003" / "status.json").exists()


# --- collection ---


def test_a_product_becomes_dimensions(tmp_path):
    values = {DELTA: [0.6, 0.4], "equation.order": [0, 2]}
    done = sweep(swept(tmp_path, values, collect=["scalars", "fields"]))
    with done.dataset as data, done.fields as fields:
        assert data["energy"].dims == ("delta", "order", "time", "band")
        assert list(data["delta"]) == [0.6, 0.4]
        assert data["delta"].attrs["case_key"] == DELTA
        assert data["energy"].attrs["long_name"] == "energy" or "energy" in data["energy"].attrs["long_name"]
        for number, (delta, order) in enumerate([(0.6, 0), (0.6, 2), (0.4, 0), (0.4, 2)], start=1):
            with open_run(done.path / f"{number:04d}") as member:
                there = data.sel(delta=delta, order=order)
                np.testing.assert_array_equal(there["energy"], member.scalars["energy"])
                np.testing.assert_array_equal(
                    fields.sel(delta=delta, order=order)["density"], member.fields["density"]
                )
                assert str(there["run"].values) == member.path.name
        assert data.attrs["case_name"] == tmp_path.name
        data.load().to_netcdf(tmp_path / "copy.nc")
        with xr.open_dataset(tmp_path / "copy.nc") as copy:
            xr.testing.assert_identical(copy, data)


def test_other_values_than_numbers_and_other_times(tmp_path):
    values = {"time.end": [0.2, 0.3], "grid.n_x": [[16], [18]]}
    case = swept(
        tmp_path,
        values,
        changed(SHORT, {"output.fields_every": 0.1}),
        mode="zip",
        collect=["scalars", "fields"],
    )
    done = sweep(case)
    with done.dataset as data:
        assert data["energy"].dims == ("member", "record", "band")
        np.testing.assert_allclose(data["time"], [[0, 0.1, 0.2, np.nan], [0, 0.1, 0.2, 0.3]])
        assert list(data["n_x"].values) == ["[16]", "[18]"]
        np.testing.assert_array_equal(data["end"], [0.2, 0.3])
        assert data["end"].dims == ("member",)
    with pytest.raises(CaseError, match="not written"):  # different grids do not fit together
        _ = done.fields


def test_the_command(tmp_path, capsys):
    case = write_case(tmp_path / "a", SHORT, sweep={"values": {"time.step": [0.1, 5.0]}})
    assert main(["sweep", str(case)]) == 5
    out, err = capsys.readouterr()
    assert not out
    assert "0001 (step = 0.1): complete" in err
    assert "wigner-sim: 0002 (step = 5.0): failed: time.step = 5" in err
    assert "1 of 2 runs complete" in err
    assert "equation: order" not in err  # what a member says is in its own log
    assert "equation: order" in (case / "sweeps" / "0001" / "0001" / "run.log").read_text()
    assert main(["sweep", str(case), "--workers", "0"]) == 2
