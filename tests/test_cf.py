"""The files of a run under the CF checker, bare netCDF tools, and a round trip through xarray."""

import netCDF4
import pytest
import xarray as xr
from tiny_cases import DRIVEN_CHAIN, TEXTURE, write_case

from wigner_sim.exact_runs import exact
from wigner_sim.simulation import run

STREAMS = ("scalars", "fields", "phase", "geometry")
#: The checker expects a dimension of this name to count from an epoch; ours counts from the start of the run,
#: in units of hbar / energy, and says so (docs/output_format.md).
KNOWN = "Coordinate variable 'time' should have standard_name='time', found: 'None'"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Every file of a kinetic and of an exact run, in lattice units."""
    directory = tmp_path_factory.mktemp("cases")
    kinetic = run(write_case(directory / "texture", TEXTURE)).path
    exact_run = exact(write_case(directory / "chain", DRIVEN_CHAIN)).path
    return [*(kinetic / f"{name}.nc" for name in STREAMS), *exact_run.glob("*.nc")]


@pytest.mark.filterwarnings("ignore")  # the checker's own
def test_the_cf_checker_finds_nothing_but_the_name_of_time(files):
    runner = pytest.importorskip("compliance_checker.runner")
    runner.CheckSuite.load_all_available_checkers()
    suite = runner.CheckSuite()
    assert len(files) == 7
    for file in files:
        groups, errors = suite.run_all(suite.load_dataset(str(file)), ["cf:1.11"], skip_checks=[])["cf:1.11"]
        assert not errors, errors
        assert len(groups) > 10
        found = {message for group in groups for message in group.msgs}
        assert found <= {KNOWN}, f"{file.name}: {found}"


def test_records_are_said_to_be_moments(files):
    for file in files:
        with netCDF4.Dataset(file) as stored:
            for name, variable in stored.variables.items():
                if "time" in variable.dimensions and name != "time":
                    assert variable.cell_methods == "time: point", f"{file.name}: {name}"


def test_xarray_copies_every_file_without_a_change(files, tmp_path):
    for number, file in enumerate(files):
        with xr.open_dataset(file) as first:  # as somebody would who has never heard of this package
            assert first["time"].dtype == float if "time" in first else True
            first.load().to_netcdf(tmp_path / f"{number}.nc")
            with xr.open_dataset(tmp_path / f"{number}.nc") as second:
                xr.testing.assert_identical(first, second.load())
