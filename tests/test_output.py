"""Output files, checkpoints and run directories, also after kills at the wrong moment."""

import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import netCDF4
import numpy as np
import pytest
import xarray as xr

from wigner_sim.case import Case, load_case
from wigner_sim.checkpoint import CheckpointStore, read_checkpoint, write_checkpoint
from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.output import (
    Coordinate,
    NetcdfStream,
    VariableSpec,
    complete_times,
    grid_coordinates,
    resume_stream,
    write_static,
)
from wigner_sim.provenance import provenance
from wigner_sim.run_directory import create_run_directory

GRID = PhaseSpaceGrid(n_x=(16,), n_k=(32, 8), lengths=(12.0,))
COORDINATES = grid_coordinates(GRID, bands=[0, 2])
PHASE = VariableSpec("f", ("time", "band", *GRID.dims), "1", "band-resolved density", "f = tr F", {"sign": 1})
SCALARS = [VariableSpec("particle_number", ("time", "band"), long_name="number of particles")]
ATTRIBUTES = provenance("a case", "a = 1\n", "a = 1\nb = 2\n", run_id="some-id")
CASE = {
    "grid": {"sites": [24]},
    "hamiltonian": {"source": "named:rice_mele"},
    "initial_state": {"kind": "symbol", "c": 1.0},
    "time": {"end": 4.0},
}


def record(number):
    rng = np.random.default_rng(number)
    return rng.standard_normal((2, *GRID.shape))


def phase_stream(path, **options):
    return NetcdfStream(path, [PHASE], COORDINATES, ATTRIBUTES, **options)


def stored_records(path):
    """Times, values and attributes of a file, as a reader of the run sees them."""
    with netCDF4.Dataset(path) as dataset:
        return dataset["time"][:], dataset["f"][:], dataset.case_toml, dataset["f"].__dict__


@pytest.mark.parametrize("reader", [None, netCDF4.Dataset, xr.open_dataset])
@pytest.mark.parametrize("moment", ["open", "closed"])
def test_a_stream_is_closed_and_opened_again(tmp_path, monkeypatch, reader, moment):
    # because the index of chunks of an open file grows with every record
    monkeypatch.setattr("wigner_sim.output._REOPENED_AFTER", 3)
    path, held, opened, original = tmp_path / "phase.nc", [], [], NetcdfStream._open

    def read():
        if reader is not None and not held:
            held.append(reader(path))

    def reopen(stream):
        if opened and moment == "closed":  # another thread finds the file closed
            read()
        opened.append(path)
        original(stream)

    monkeypatch.setattr(NetcdfStream, "_open", reopen)
    with phase_stream(path) as stream:
        inode = path.stat().st_ino
        for number in range(10):
            stream.append(float(number), {"f": record(number)})
            if moment == "open":
                read()
            np.testing.assert_array_equal(stream.times, np.arange(number + 1.0))
            np.testing.assert_array_equal(stored_records(path)[0], stream.times)
    assert len(opened) == 4
    # HDF5 does not append to a file that its process has opened to read: the stream goes on with a copy
    assert (path.stat().st_ino != inode) == (reader is not None and moment == "closed")
    for file in held:
        np.testing.assert_array_equal(file["f"][0], record(0))
        file.close()
    times, values, text, attributes = stored_records(path)
    np.testing.assert_array_equal(times, np.arange(10.0))
    np.testing.assert_array_equal(values, [record(number) for number in range(10)])
    assert (text, attributes["sign"], attributes["long_name"]) == ("a = 1\n", 1, "band-resolved density")
    assert [file.name for file in tmp_path.iterdir()] == ["phase.nc"]


@pytest.mark.parametrize("compression", ["auto", "zlib", "blosc_lz4", "none"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_records_read_back(tmp_path, compression, precision):
    path = tmp_path / "phase.nc"
    with phase_stream(path, compression=compression, precision=precision) as stream:
        for number in range(3):
            stream.append(0.1 * number, {"f": record(number)})
    with xr.open_dataset(path, decode_timedelta=False) as stored:
        assert stored["f"].dims == ("time", "band", "x", "kx", "ky")
        assert stored["f"].dtype == precision
        assert stored["time"].dtype == "float64"
        np.testing.assert_array_equal(stored["time"], [0.0, 0.1, 0.2])
        np.testing.assert_array_equal(stored["f"][2], record(2).astype(precision))
        assert stored["f"].encoding["chunksizes"] == (1, 2, *GRID.shape)
        assert "_FillValue" not in stored["f"].encoding


@pytest.mark.parametrize(("compression", "packed"), [("auto", False), ("zlib", True)])
def test_large_records_are_stored_in_slabs_and_bare_unless_asked(tmp_path, compression, packed):
    grid = PhaseSpaceGrid(n_x=(4, 20), n_k=(64, 128), lengths=(12.0, 12.0))  # 5.2 MB
    large = VariableSpec("f", ("time", "band", *grid.dims))
    small = VariableSpec("n", ("time", "band", *grid.position_names, grid.momentum_names[0]))  # 41 kB
    values = np.random.default_rng(1).standard_normal(grid.shape)
    with NetcdfStream(
        tmp_path / "a.nc", [large, small], grid_coordinates(grid, [0]), {}, compression=compression
    ) as stream:
        stream.append(0.0, {"f": values[None], "n": values[None, ..., 0]})
    with netCDF4.Dataset(tmp_path / "a.nc") as stored:
        assert stored["f"].chunking() == [1, 1, 2, 20, 64, 128]
        assert stored["f"].filters()["zlib"] is packed
        assert stored["n"].chunking() == [1, 1, 4, 20, 64]
        assert stored["n"].filters()["zlib"]
        np.testing.assert_array_equal(stored["f"][0, 0], values)
        np.testing.assert_array_equal(stored["n"][0, 0], values[..., 0])


def test_metadata_follow_the_conventions(tmp_path):
    with phase_stream(tmp_path / "phase.nc") as stream:
        stream.append(0.0, {"f": record(0)})
    with netCDF4.Dataset(tmp_path / "phase.nc") as stored:
        wanted = {
            "Conventions",
            "title",
            "source",
            "history",
            "references",
            "date_created",
            "run_id",
            "platform",
        }
        wanted |= {"wigner_sim_version", "case_toml", "case_resolved_toml"}
        assert wanted <= set(stored.ncattrs())
        assert stored.Conventions == "CF-1.11"
        assert stored.run_id == "some-id"
        assert stored["time"].units == "1"
        assert (stored["f"].units, stored["f"].long_name, stored["f"].sign) == (
            "1",
            "band-resolved density",
            1,
        )
        assert stored["kx"].units == "radian"
        assert stored["kx"].period == pytest.approx(2 * np.pi)
        assert stored["x"].period == 12.0
        assert list(stored["band"][:]) == [0, 2]
        for variable in stored.variables.values():
            assert "_FillValue" not in variable.ncattrs()
            assert isinstance(variable.long_name, str)


def test_time_increases_and_records_are_complete(tmp_path):
    with phase_stream(tmp_path / "phase.nc") as stream:
        stream.append(0.5, {"f": record(0)})
        for time in (0.5, 0.4, np.nan):
            with pytest.raises(ValueError, match="time must increase"):
                stream.append(time, {"f": record(1)})
        with pytest.raises(ValueError, match="g"):
            stream.append(1.0, {"f": record(1), "g": record(1)})
        with pytest.raises(ValueError, match="missing"):
            stream.append(1.0, {})
        with pytest.raises(ValueError, match="shape"):
            stream.append(1.0, {"f": record(1)[:1]})
        with pytest.raises(ValueError, match="real"):
            stream.append(1.0, {"f": 1j * record(1)})
        assert list(stream.times) == [0.5]


def test_nothing_is_overwritten(tmp_path):
    phase_stream(tmp_path / "phase.nc").close()
    with pytest.raises(OSError, match="exist"):
        phase_stream(tmp_path / "phase.nc")


@pytest.mark.parametrize("value", [True, {"a": 1}, None, ["a", "b"]])
def test_attributes_every_reader_understands(tmp_path, value):
    with pytest.raises(TypeError, match="attribute odd"):
        NetcdfStream(tmp_path / "a.nc", SCALARS, COORDINATES, {"odd": value})


@pytest.mark.parametrize("compression", ["zlib", "blosc_lz4", "none"])
def test_truncation_drops_later_records_only(tmp_path, compression):
    path = tmp_path / "phase.nc"
    with phase_stream(path, compression=compression) as stream:
        for number in range(5):
            stream.append(0.1 * number, {"f": record(number)})
    with NetcdfStream.reopen(path) as stream:
        assert stream.truncate_after(0.25) == 2
        assert stream.truncate_after(0.25) == 0
        stream.append(0.27, {"f": record(9)})
    with xr.open_dataset(path) as stored:
        np.testing.assert_array_equal(stored["time"], [0.0, 0.1, 0.2, 0.27])
        np.testing.assert_array_equal(stored["f"], [record(n) for n in (0, 1, 2, 9)])
        assert stored["f"].attrs["equation"] == "f = tr F"
        assert stored.attrs["case_toml"] == "a = 1\n"
        filters = {"zlib": "zlib", "blosc_lz4": "blosc"}
        with netCDF4.Dataset(path) as raw:
            assert compression == "none" or raw["f"].filters()[filters[compression]]
    assert list(tmp_path.iterdir()) == [path]


def test_resume_of_whole_missing_and_damaged_files(tmp_path, caplog):
    path = tmp_path / "phase.nc"

    def resume(time):
        return resume_stream(path, time, [PHASE], COORDINATES, ATTRIBUTES)

    with phase_stream(path) as stream:
        for number in range(3):
            stream.append(float(number), {"f": record(number)})
    with resume(1.0) as stream:
        assert list(stream.times) == [0.0, 1.0]
    with netCDF4.Dataset(path) as stored:
        assert "resumed at time 1.0" in stored.history
        assert stored.history.startswith(ATTRIBUTES["history"])
    path.write_bytes(path.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING), resume(1.0) as stream:
        assert list(stream.times) == []
    assert "cannot be read" in caplog.text
    assert (tmp_path / "phase.nc.damaged").stat().st_size == 1000
    path.unlink()
    with caplog.at_level(logging.WARNING), resume(1.0) as stream:
        stream.append(1.5, {"f": record(0)})
    assert "missing" in caplog.text


@pytest.mark.parametrize(
    ("times", "n"),
    [([], 0), ([0.0, 1.0], 2), ([0.0, 9.97e36], 1), ([0.0, 1.0, 0.0], 2), ([0.0, np.nan, 3.0], 1)],
)
def test_incomplete_records_are_not_counted(times, n):
    assert len(complete_times(np.array(times))) == n


def test_static_file(tmp_path):
    specs = [VariableSpec("quantum_metric", ("component", *GRID.dims)), VariableSpec("gap", ())]
    coordinates = [*COORDINATES, Coordinate("component", ["xx", "xk"], {"long_name": "tensor component"})]
    arrays = {"quantum_metric": record(1), "gap": 0.5}
    write_static(tmp_path / "geometry.nc", specs, coordinates, ATTRIBUTES, arrays)
    with xr.open_dataset(tmp_path / "geometry.nc") as stored:
        np.testing.assert_array_equal(stored["quantum_metric"].sel(component="xk"), record(1)[1])
        assert stored["gap"] == 0.5
    with pytest.raises(FileExistsError):
        write_static(tmp_path / "geometry.nc", specs, coordinates, ATTRIBUTES, arrays)


WRITER = textwrap.dedent(
    """
    import sys, time, numpy as np
    from wigner_sim.output import *
    specs = [VariableSpec("n", ("time", "x"))]
    stream = NetcdfStream(sys.argv[1], specs, [Coordinate("x", np.arange(600.0))], {})
    for number in range(10**6):
        stream.append(float(number), {"n": np.full(600, number)})
        print(number, flush=True)
        time.sleep(0.01)
    """
)
# A reader that knows nothing of this package; while a record is being written, an attempt may fail.
READER = textwrap.dedent(
    """
    import sys, time, xarray as xr
    for attempt in range(40):
        try:
            print(xr.open_dataset(sys.argv[1]).sizes["time"])
            break
        except OSError:
            time.sleep(0.013)
    """
)


def test_a_killed_writer_leaves_a_readable_file_and_can_be_read_meanwhile(tmp_path):
    path = tmp_path / "fields.nc"
    plain = {name: value for name, value in os.environ.items() if name != "HDF5_USE_FILE_LOCKING"}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=plain
    ) as writer:
        for line in writer.stdout:
            if int(line) == 20:
                break
        reader = [sys.executable, "-c", READER, str(path)]
        seen = subprocess.run(reader, capture_output=True, text=True, env=plain, check=True).stdout
        assert int(seen) >= 20
        writer.send_signal(signal.SIGKILL)
        last = max([20, *map(int, writer.stdout.read().split())])
    with NetcdfStream.reopen(path) as stream:
        assert len(stream.times) >= last + 1
        stream.truncate_after(10.0)
        assert stream.times[-1] == 10.0
    with xr.open_dataset(path) as stored:
        np.testing.assert_array_equal(stored["n"][:, 0], np.arange(11))


STATE = {
    "time": 0.1 + 0.2,
    "step": 12345678901234567890,
    "stepper": {
        "history": [np.arange(6.0).reshape(2, 3).T, np.array(1j)],
        "name": "rk4 é",
        "last": None,
        "on": True,
    },
    "w": np.random.default_rng(0).standard_normal((2, 8, 8)) * 1e-300,
    "specials": np.array([np.nan, np.inf, -0.0, 5e-324]),
    "infinite": float("inf"),
    "schedules": {"fields": {"count": 3}, "phase": {}},
    "empty": np.zeros((0, 3)),
    "texts": np.array(["a", "bc"]),
    "numpy": np.float64(1 / 3),
    "complex": np.complex128(1 + 2j),
}


def assert_same(first, second):
    """Equal in structure, type and every bit."""
    if isinstance(first, dict):
        assert list(first) == list(second)
        for name in first:
            assert_same(first[name], second[name])
    elif isinstance(first, list):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif isinstance(first, np.ndarray | np.generic):
        assert np.asarray(first).dtype == np.asarray(second).dtype
        assert np.shape(first) == np.shape(second)
        assert np.asarray(first).tobytes() == np.asarray(second).tobytes()
    else:
        assert type(first) is type(second)
        assert first == second


def test_checkpoint_is_bit_for_bit(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    store.save(STATE, step=7)
    assert_same(STATE, store.load_latest())


def test_two_checkpoints_are_kept_and_the_newest_is_loaded(tmp_path):
    store = CheckpointStore(tmp_path)
    for step in (5, 10, 999_999_999, 1_000_000_000):
        store.save({"step": step}, step)
    assert [path.name for path in store.paths()] == ["checkpoint_999999999.npz", "checkpoint_1000000000.npz"]
    assert store.load_latest() == {"step": 1_000_000_000}


def test_damaged_checkpoints_are_skipped_with_a_warning(tmp_path, caplog):
    store = CheckpointStore(tmp_path)
    store.save({"step": 1, "w": np.arange(1000.0)}, 1)
    newest = store.save({"step": 2, "w": np.arange(1000.0)}, 2)
    whole = newest.read_bytes()
    (tmp_path / ".checkpoint_000000003.npz.tmp-1").write_bytes(whole[:100])  # killed while writing aside
    for n_bytes in (0, 10, 500, len(whole) // 2, len(whole) - 1):
        newest.write_bytes(whole[:n_bytes])
        caplog.clear()
        assert store.load_latest()["step"] == 1
        assert "checkpoint_000000002.npz: damaged" in caplog.text
    store.save({"step": 3}, 3)
    store.save({"step": 2}, 2)  # a run that went back: later checkpoints are not its own
    assert store.load_latest() == {"step": 2}


@pytest.mark.parametrize("place", range(60, 3000, 97))
def test_a_flipped_bit_is_noticed(tmp_path, place):
    path = tmp_path / "checkpoint_1.npz"
    write_checkpoint(path, {"w": np.arange(200.0), "name": "rk4"})
    content = bytearray(path.read_bytes())
    content[min(place, len(content) - 1)] ^= 4
    path.write_bytes(content)
    try:
        again = read_checkpoint(path)
    except CaseError:
        return
    # The bit was in a part of the container that carries no data.
    assert_same(again, {"w": np.arange(200.0), "name": "rk4"})


def test_a_changed_value_with_valid_container_is_noticed(tmp_path):
    path = tmp_path / "checkpoint_1.npz"
    write_checkpoint(path, {"w": np.arange(3.0)})
    with np.load(path) as archive:
        members = dict(archive)
    members["state/w"] = np.array([0.0, 1.0, 2.5])
    np.savez(path, **members)
    with pytest.raises(CaseError, match="wrong checksum"):
        read_checkpoint(path)


def test_no_checkpoint(tmp_path):
    with pytest.raises(CaseError, match="no checkpoint to resume from"):
        CheckpointStore(tmp_path / "absent").load_latest()


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a/b": 1}, np.array([None]), {1, 2}])
def test_what_cannot_be_stored_is_refused_and_leaves_no_file(tmp_path, value):
    with pytest.raises(TypeError, match="checkpoint"):
        write_checkpoint(tmp_path / "checkpoint_1.npz", {"bad": value})
    assert not list(tmp_path.iterdir())


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
