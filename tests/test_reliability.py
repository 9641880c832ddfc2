"""A few of the trials of ``benchmarks.reliability``; the documentation has the counts of all of them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reliability import damaged_files, full_disk, kills, rivals, soak, wrong_cases


@pytest.mark.slow
def test_killed_runs_resume_to_the_same_bits(tmp_path):
    result = kills.measure(tmp_path, n_kills=8)
    assert result["total"] >= 8
    assert not result["lost"]


def test_mutated_cases_are_accepted_or_refused_in_a_sentence(tmp_path):
    result = wrong_cases.measure(tmp_path, n_cases=300)
    assert set(result["exit_codes"]) == {0, 2}
    assert not result["crashes"]
    assert not result["unnamed"]
    assert not result["too_long"]


@pytest.mark.slow
def test_damaged_files_are_refused_or_set_aside(tmp_path):
    assert not damaged_files.measure(tmp_path, n_trials=12)["crashes"]


@pytest.mark.slow
def test_a_full_disk_stops_a_run_that_resumes_later(tmp_path):
    result = full_disk.measure(tmp_path, n_trials=2)
    if not result["trials"]:
        pytest.skip(result["note"])
    assert not result["lost"]


@pytest.mark.slow
def test_runs_started_at_once_do_not_meet(tmp_path):
    result = rivals.measure(tmp_path, n_trials=1)
    assert result["second_resume_refused"] == 1
    assert not result["lost"]


@pytest.mark.slow
def test_memory_stays_flat(tmp_path):
    result = soak.measure(tmp_path, minutes=0.25)
    grown = 1e6 * (result["resident_MB_last"] - result["resident_MB_first"])
    assert grown < 1e6 + 500 * result["steps"]  # files of a few steps are indexed as well
