"""Output files, also after kills at the wrong moment."""

import logging
import os
import signal
import subprocess
import sys
import textwrap

import netCDF4
import numpy as np
import pytest
import xarray as xr

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
