"""Run directories: complete, numbered, never shared."""

import json
import logging
import multiprocessing
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from wigner_sim.case import Case, load_case
from wigner_sim.errors import CaseError
from wigner_sim.run_directory import create_run_directory

CASE = {
    "grid": {"sites": [24]},
    "hamiltonian": {"source": "named:rice_mele"},
    "initial_state": {"kind": "symbol", "c": 1.0},
    "time": {"end": 4.0},
}


@pytest.fixture
def case_path(tmp_path):
    directory = tmp_path / "cases" / "foo"
    directory.mkdir(parents=True)
    (tmp_path / "cases" / "model.py").write_text("def symbol(x, k, t): ...\n")
    (directory / "model.py").write_text("def potential(x, t): ...\n")
    np.save(directory / "c.npy", np.ones(3))
    data = CASE | {
        "hamiltonian": {"source": "python:../model.py:symbol", "potential": "python:model.py:potential"},
        "initial_state": {"kind": "symbol", "c": "array:c.npy"},
    }
    text = "# a comment to be kept\n" + Case.from_dict(data).to_toml()
    (directory / "case.toml").write_text(text)
    return directory / "case.toml"


def test_run_directory_is_complete_in_itself(case_path):
    case = load_case(case_path).with_overrides(["equation.order=1"])
    run = create_run_directory(case)
    assert run.path == case_path.parent / "runs" / "0001"
    assert run.case_text == case_path.read_text()
    elsewhere = case_path.parents[2] / "elsewhere"
    run.path.rename(elsewhere)
    moved = load_case(elsewhere)
    assert moved.equation.order == 1
    assert moved.hamiltonian.source == "python:model.py:symbol"
    assert moved.hamiltonian.potential == "python:other_model.py:potential"
    texts = [moved.reference_path(reference).read_bytes() for reference in moved.references()]
    assert texts[0] == b"def symbol(x, k, t): ...\n"
    assert texts[1] == b"def potential(x, t): ...\n"
    assert moved.reference_path(moved.references()[2]).name == "c.npy"


def test_earlier_run_stays_reachable(case_path):
    other = case_path.parents[1] / "bar"
    other.mkdir()
    case = Case.from_dict(
        CASE | {"initial_state": {"kind": "from_run", "run": "../foo"}}, other / "case.toml"
    )
    run = create_run_directory(case)
    assert (run.path / run.case.initial_state.run).resolve() == case_path.parent.resolve()
    assert run.case.name == "bar"


def test_missing_reference_makes_no_directory(case_path):
    (case_path.parent / "c.npy").unlink()
    with pytest.raises(CaseError, match=r"array:c.npy: no file"):
        create_run_directory(load_case(case_path))
    assert not (case_path.parent / "runs").exists()


def test_runs_are_numbered_after_the_last(case_path):
    case = load_case(case_path)
    (case_path.parent / "runs" / "0041").mkdir(parents=True)
    assert [create_run_directory(case).path.name for _ in range(2)] == ["0042", "0043"]


def test_threads_get_distinct_directories(tmp_path):
    case = Case.from_dict(CASE)
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: create_run_directory(case, tmp_path / "runs"), range(40)))
    assert sorted(run.path.name for run in runs) == [f"{n:04d}" for n in range(1, 41)]
    assert all(run.case == case for run in runs)


def _make_runs(parent):
    return [create_run_directory(Case.from_dict(CASE), parent).path.name for _ in range(5)]


def test_processes_get_distinct_directories(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.map(_make_runs, [tmp_path / "runs"] * 2)
    assert sorted(first + second) == [f"{n:04d}" for n in range(1, 11)]


def test_status_log_and_lock(case_path):
    run = create_run_directory(load_case(case_path))
    assert run.read_status() == {}
    run.write_status({"step": 3, "time": np.float64(0.5), "n": np.int64(2)})
    assert run.read_status() == {"step": 3, "time": 0.5, "n": 2}
    assert json.loads(run.status_path.read_text())["step"] == 3
    with run.logging_to_file():
        logging.getLogger("wigner_sim.anything").warning("edge mass is large")
    assert "WARNING edge mass is large" in run.log_path.read_text()
    with run.lock():
        attempt = textwrap.dedent(
            f"""
            from wigner_sim.run_directory import RunDirectory
            with RunDirectory({str(run.path)!r}).lock(): pass
            """
        )
        locked = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True, check=False)
        assert "another process is running it" in locked.stderr
    assert subprocess.run([sys.executable, "-c", attempt], check=False).returncode == 0
