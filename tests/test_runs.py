"""Reading runs back with xarray: round trip, running runs, and the accessor against closed forms."""

import numpy as np
import pytest
import xarray as xr

from wigner_sim import reading
from wigner_sim.case import Case
from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.output import NetcdfStream, VariableSpec, grid_coordinates, write_static
from wigner_sim.provenance import provenance
from wigner_sim.run_directory import create_run_directory
from wigner_sim.runs import open_run

GRID = PhaseSpaceGrid(n_x=(48,), n_k=(64,), lengths=(24.0,))
CENTER, WIDTH = (21.0, 1.1), (1.5, 0.25)


def packet(time):
    """Periodic Gaussian of unit height moving in x, for two bands."""
    (x,), (k,) = GRID.positions, GRID.momenta
    dx = (x - CENTER[0] - time + 12) % 24 - 12
    dk = (k - CENTER[1] + np.pi) % (2 * np.pi) - np.pi
    one = np.exp(-0.5 * (dx / WIDTH[0]) ** 2 - 0.5 * (dk / WIDTH[1]) ** 2)
    return np.stack([one, 0.5 * one])


@pytest.fixture
def run(tmp_path):
    data = {
        "grid": {"sites": [24]},
        "hamiltonian": {"source": "named:rice_mele"},
        "initial_state": {"kind": "symbol", "c": 1.0},
        "time": {"end": 4.0},
    }
    case = Case.from_dict(data, tmp_path / "foo" / "case.toml")
    return write_run(case)


def write_run(case, shift=0.0):
    directory = create_run_directory(case)
    attributes = provenance("foo", case.source_text, case.to_toml())
    coordinates = grid_coordinates(GRID, [0, 1])
    scalars = [VariableSpec("particle_number", ("time", "band")), VariableSpec("energy", ("time", "band"))]
    phase = [VariableSpec("f", ("time", "band", "x", "kx"), long_name="density")]
    with (
        NetcdfStream(directory.stream_path("scalars"), scalars, coordinates[:1], attributes) as numbers,
        NetcdfStream(directory.stream_path("phase"), phase, coordinates, attributes) as states,
    ):
        for time in (0.0, 1.0, 2.0):
            numbers.append(time, {"particle_number": [3.0, 1.0 + time], "energy": [2.0, -4.0 + 0.5 * time]})
            states.append(time, {"f": packet(time) + shift})
    geometry = [VariableSpec("gap", ("x", "kx"))]
    values = {"gap": np.ones(GRID.shape)}
    write_static(directory.stream_path("geometry"), geometry, coordinates, attributes, values)
    directory.write_status({"step": 7})
    return directory.path


def test_open_run_directory_case_directory_and_runs(run):
    with open_run(run) as opened:
        assert opened.phase.sizes == {"time": 3, "band": 2, "x": 48, "kx": 64}
        assert opened.case.time.end == 4.0
        assert opened.status == {"step": 7}
        assert repr(opened).endswith("geometry.nc, phase.nc, scalars.nc)")
    later = run.with_name("0002")
    later.mkdir()
    (later / "case.resolved.toml").write_text((run / "case.resolved.toml").read_text())
    assert open_run(run.parent).path == later
    assert open_run(run.parents[1]).path == later


def test_what_is_missing_is_said(run, tmp_path):
    with pytest.raises(
        CaseError, match=r"fields.nc: not written \(yet\); output files there: geometry.nc, phase.nc"
    ):
        _ = open_run(run).fields
    with pytest.raises(CaseError, match=r"0009: no such run; there is 0001"):
        open_run(run.with_name("0009"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CaseError, match="no run here yet"):
        open_run(empty)
    with pytest.raises(CaseError, match="no such case"):
        open_run(tmp_path / "nowhere")


@pytest.mark.parametrize("stream", ["scalars", "phase", "geometry"])
def test_round_trip_changes_nothing(run, tmp_path, stream):
    with open_run(run) as opened:
        first = getattr(opened, stream)
        first.to_netcdf(tmp_path / "copy.nc")
        with xr.open_dataset(tmp_path / "copy.nc", decode_timedelta=False) as second:
            xr.testing.assert_identical(first.load(), second.load())
            assert all("_FillValue" not in variable.encoding for variable in second.variables.values())


def test_damaged_file_is_a_case_error(run, monkeypatch):
    monkeypatch.setattr(reading, "PAUSES", (0.0,))
    (run / "phase.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(CaseError, match="cannot be read"):
        _ = open_run(run).phase


def test_records_written_meanwhile_are_seen_after_refresh(run):
    with open_run(run) as opened, NetcdfStream.reopen(run / "phase.nc") as stream:
        assert opened.phase.sizes["time"] == 3
        stream.append(3.0, {"f": packet(3.0)})
        assert opened.refresh().phase.sizes["time"] == 4
        np.testing.assert_array_equal(opened.phase["f"][3], packet(3.0))


def test_a_file_that_grew_and_was_opened_anew_gives_what_was_there(run):
    with open_run(run) as opened, NetcdfStream.reopen(run / "phase.nc") as stream:
        state = opened.phase["f"]
        stream.append(3.0, {"f": packet(3.0)})
        reading.drop_open_file(str((run / "phase.nc").absolute()))
        assert reading.load(state).shape == state.shape == state.values.shape == (3, 2, 48, 64)
        np.testing.assert_array_equal(state[2], packet(2.0))


def test_incomplete_record_is_left_out(run):
    with NetcdfStream.reopen(run / "phase.nc") as stream:
        stream._dataset["f"][3] = packet(3.0)  # killed before the time was written
    with open_run(run) as opened:
        np.testing.assert_array_equal(opened.phase["time"], [0.0, 1.0, 2.0])
    with NetcdfStream.reopen(run / "phase.nc") as stream:
        assert stream.truncate_after(2.0) == 1
        stream.append(3.0, {"f": packet(3.0)})
        assert list(stream.times) == [0.0, 1.0, 2.0, 3.0]


def test_density_and_marginals_integrate_to_the_particle_number(run):
    with open_run(run) as opened:
        phase = opened.phase
        number = phase.wigner.moments()["particle_number"]
        exact = WIDTH[0] * WIDTH[1]  # integral of a unit-height Gaussian over dx dk / 2 pi
        np.testing.assert_allclose(number, [[exact, exact / 2]] * 3, rtol=1e-7)
        density = phase.wigner.density()
        np.testing.assert_allclose(density.mean("x") * 24, number, rtol=1e-13)
        np.testing.assert_allclose(phase.wigner.marginal("kx").mean("kx"), number, rtol=1e-13)
        np.testing.assert_array_equal(phase.wigner.marginal(("x", "kx")), phase["f"])
        peak = WIDTH[1] / np.sqrt(2 * np.pi)
        assert float(density.sel(time=0, band=0, x=21.0)) == pytest.approx(peak, rel=1e-7)
        with pytest.raises(CaseError, match="no axis ky; the state has x, kx"):
            phase.wigner.marginal("ky")


def test_moments_of_a_packet_across_the_boundary(run):
    with open_run(run) as opened:
        moments = opened.phase.wigner.moments()
        np.testing.assert_allclose(moments["mean_x"][:, 0], [21.0, 22.0, 23.0], rtol=1e-9)
        np.testing.assert_allclose(moments["mean_kx"], 1.1, rtol=1e-9)
        np.testing.assert_allclose(moments["spread_x"], WIDTH[0], rtol=1e-6)
        np.testing.assert_allclose(moments["spread_kx"], WIDTH[1], rtol=1e-6)


def test_conservation_is_relative_and_over_all_bands(run):
    with open_run(run) as opened:
        drifts = opened.scalars.wigner.conservation()
        np.testing.assert_allclose(drifts["particle_number_drift"], [0.0, 0.25, 0.5])
        np.testing.assert_allclose(drifts["energy_drift"], [0.0, 0.25, 0.5])
        np.testing.assert_allclose(
            opened.phase.wigner.conservation()["particle_number_drift"], 0.0, atol=1e-7
        )
        with pytest.raises(CaseError, match="no phase-space variable"):
            opened.geometry.wigner.density()


def test_compare_at_shared_times(run, tmp_path):
    other = write_run(
        Case.from_dict(open_run(run).case.to_dict(), tmp_path / "bar" / "case.toml"), shift=0.25
    )
    with open_run(run) as first, open_run(other) as second:
        shared = second.phase.isel(time=[1, 2])
        difference = first.phase.wigner.compare(shared.assign_coords(time=shared["time"] + 1e-12))
        np.testing.assert_array_equal(difference["time"], [1.0, 2.0])
        np.testing.assert_allclose(difference["f_max"], 0.25)
        np.testing.assert_allclose(difference["f_rms"], 0.25)
        with pytest.raises(CaseError, match="different x coordinates"):
            first.phase.wigner.compare(second.phase.isel(x=slice(4)))
        with pytest.raises(CaseError, match="no time in common"):
            first.phase.wigner.compare(second.phase.assign_coords(time=[7.0, 8.0, 9.0]))
        with pytest.raises(CaseError, match="nothing to compare"):
            first.phase.wigner.compare(second.scalars)
