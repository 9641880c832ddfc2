"""From lattice units to SI by what a file says about itself."""

import numpy as np
import pytest
import xarray as xr

from wigner_sim.errors import CaseError
from wigner_sim.runs import open_stream
from wigner_sim.si_units import powers, si_text, to_si

UNITS = {"energy_unit_joule": 1.6e-19, "length_unit_metre": 2.5e-10, "time_unit_second": 6.6e-16}


def dataset(attributes=UNITS):
    x = ("x", np.arange(4.0), {"units": "1", "units_dimension": "length", "period": 4.0})
    time = ("time", [0.0, 1.0], {"units": "1", "units_dimension": "time"})
    data = {
        "energy": ("time", [1.0, 2.0], {"units": "1", "units_dimension": "energy"}),
        "force": ("x", np.ones(4), {"units": "1", "units_dimension": "energy length^-1"}),
        "f": (("time", "x"), np.ones((2, 4)), {"units": "1"}),
        "current": ("time", [3.0, 3.0], {"units_dimension": "charge/time"}),
        "given": ("time", [3.0, 3.0], {"units_dimension": "energy", "units_si_factor": 10.0}),
    }
    return xr.Dataset(data, {"x": x, "time": time}, attributes)


@pytest.mark.parametrize(
    ("text", "expected", "unit"),
    [
        ("1", {}, "1"),
        ("", {}, "1"),
        ("energy", {"energy": 1}, "J"),
        ("length^-1", {"length": -1}, "m-1"),
        ("1/length", {"length": -1}, "m-1"),
        ("energy*length**2/time", {"energy": 1, "length": 2, "time": -1}, "J m2 s-1"),
        ("length / length", {}, "1"),
    ],
)
def test_reading_a_dimension(text, expected, unit):
    assert powers(text) == expected
    assert si_text(text) == unit


def test_everything_with_a_dimension_is_converted_once():
    si = to_si(dataset())
    np.testing.assert_allclose(si["energy"], [1.6e-19, 3.2e-19])
    np.testing.assert_allclose(si["force"], 1.6e-19 / 2.5e-10)
    np.testing.assert_allclose(si["time"], [0, 6.6e-16])
    np.testing.assert_allclose(si["x"], 2.5e-10 * np.arange(4))
    np.testing.assert_allclose(si["current"], 3 * 1.602176634e-19 / 6.6e-16)
    np.testing.assert_array_equal(si["given"], 30)
    np.testing.assert_array_equal(si["f"], 1)
    assert si["x"].attrs["period"] == pytest.approx(1e-9)
    units = {name: si[name].attrs["units"] for name in ("energy", "force", "time", "x", "f", "current")}
    assert units == {"energy": "J", "force": "J m-1", "time": "s", "x": "m", "f": "1", "current": "C s-1"}
    xr.testing.assert_identical(to_si(si), si)


def test_si_survives_a_file_and_stays_si(tmp_path):
    to_si(dataset()).to_netcdf(tmp_path / "a.nc")
    with open_stream(tmp_path / "a.nc") as stored:
        xr.testing.assert_identical(stored.wigner.to_si(), stored)
        assert stored["time"].dtype == float


def test_what_cannot_be_converted_is_said():
    plain = dataset({})
    del plain["given"]
    with pytest.raises(CaseError, match="in lattice units only"):
        to_si(plain)
    with pytest.raises(CaseError, match="'energy' needs the global attribute 'energy_unit_joule'"):
        to_si(dataset({"length_unit_metre": 1.0, "time_unit_second": 1.0}).drop_vars("given"))
    with pytest.raises(CaseError, match="unknown dimension 'mass'"):
        powers("mass length")
