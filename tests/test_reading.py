"""Reading a file that grows: a read that a write disturbed does not count."""

import os

import numpy as np
import pytest
import xarray as xr

from wigner_sim import reading
from wigner_sim.reading import load, undisturbed


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file at rest, long ago."""
    monkeypatch.setattr(reading, "PAUSES", (0.0,) * 6)
    monkeypatch.setattr(reading, "REST", 0.005)
    path = tmp_path / "a"
    path.write_bytes(b"")
    os.utime(path, (1, 1))
    return path


class Reader:
    """Answers one after the other; each but the last ``n_quiet`` is disturbed by a write."""

    def __init__(self, path, answers, n_quiet):
        self.path, self.answers, self.n_quiet, self.n_calls = path, answers, n_quiet, 0

    def __call__(self):
        answer = self.answers[self.n_calls]
        self.n_calls += 1
        if self.n_calls <= len(self.answers) - self.n_quiet:
            os.utime(self.path, (self.n_calls + 1, self.n_calls + 1))
        if isinstance(answer, Exception):
            raise answer
        return answer


def same(first, second):
    return first == second


def test_a_file_at_rest_is_read_once(file):
    reader = Reader(file, ["a", "b"], 2)
    assert undisturbed(file, reader, same) == "a"
    assert reader.n_calls == 1


def test_disturbed_and_failed_reads_are_repeated(file):
    reader = Reader(file, ["garbage", RuntimeError("NetCDF: HDF error"), "more garbage", "a"], 1)
    assert undisturbed(file, reader, same) == "a"
    assert reader.n_calls == 4


def test_of_a_file_that_never_rests_two_reads_must_agree(file):
    reader = Reader(file, ["garbage", "a", "a", "b"], 0)
    assert undisturbed(file, reader, same) == "a"
    assert reader.n_calls == 3
    with pytest.raises(OSError, match="written to all the time"):
        undisturbed(file, Reader(file, list("abcdef"), 0), same)


def test_the_last_error_is_raised(file):
    with pytest.raises(RuntimeError, match="6"):
        undisturbed(file, Reader(file, [RuntimeError(str(n)) for n in range(1, 7)], 6), same)


def test_what_was_opened_before_a_write_is_opened_anew(tmp_path):
    path = tmp_path / "a.nc"
    xr.Dataset({"n": ("x", np.zeros(3))}).to_netcdf(path)
    with xr.open_dataset(path, cache=False) as stored:
        np.testing.assert_array_equal(load(stored["n"]), np.zeros(3))
        # another file in its place, as a stream is replaced when a run is resumed
        xr.Dataset({"n": ("x", np.ones(3))}).to_netcdf(tmp_path / "b.nc")
        (tmp_path / "b.nc").replace(path)
        np.testing.assert_array_equal(load(stored["n"]), np.ones(3))
    in_memory = xr.DataArray(np.arange(3.0))
    assert load(in_memory).identical(in_memory)
