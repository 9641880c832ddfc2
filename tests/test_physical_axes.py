"""Pictures in fs and nm."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
from synthetic_run import one_dimensional_run
from tiny_cases import CHAIN, changed, make_case

from wigner_sim import cli, open_run, run
from wigner_sim.figures.frames import axis_label
from wigner_sim.figures.physical_axes import in_physical_units, physical_axes
from wigner_sim.movies import MoviePicture
from wigner_sim.plotting import plot_run

PHYSICAL = changed(
    CHAIN,
    {
        "units": {"energy": "1 eV", "length": "4 angstrom"},
        "trajectories": {"starts": [["8 nm", 0.5]]},
        "output.fields_every": 0.5,
        "output.phase_every": 0.5,
    },
)
FS = 0.6582119569509066  # hbar/eV


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("physical")
    with run(make_case(directory, PHYSICAL, time__end=1.0)) as done:
        return done.path


def test_times_and_positions_are_converted_and_nothing_else(finished):
    stored = open_run(finished)
    shown = in_physical_units(stored)
    for name in ("scalars", "fields", "phase", "geometry"):
        ours, theirs = getattr(shown, name), getattr(stored, name)
        assert set(ours.variables) == set(theirs.variables)
        for variable in theirs.data_vars:
            np.testing.assert_array_equal(ours[variable], theirs[variable])
    np.testing.assert_allclose(shown.phase["time"], stored.phase["time"] * FS, rtol=1e-9)
    np.testing.assert_allclose(shown.phase["x"], stored.phase["x"] * 0.4)
    np.testing.assert_array_equal(shown.phase["kx"], stored.phase["kx"])
    period = stored.phase["x"].attrs["period"]
    assert shown.phase["x"].attrs["period"] == pytest.approx(0.4 * period)
    assert [axis_label(name, shown.phase["f"]) for name in ("time", "x")] == ["$t$ (fs)", "$x$ (nm)"]
    np.testing.assert_allclose(shown.trajectories["x"], stored.trajectories["x"] * 0.4)
    assert float(shown.trajectories["x"].values.ravel()[0]) == pytest.approx(8.0)


def test_a_figure_and_a_movie_say_so(finished):
    shown = in_physical_units(open_run(finished))
    figure = plot_run(shown)
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert "$x$ (nm)" in labels
    assert "$t$ (fs)" in labels
    assert f"$t = {FS:.4g}$ fs" in [axes.get_title() for axes in figure.axes]
    assert not [axes for axes in plot_run(open_run(finished)).axes if "fs" in axes.get_title()]
    picture = MoviePicture(shown, None, None, 10)
    picture.render(picture.times[-1])
    assert picture.clock.get_text().endswith("fs")
    np.testing.assert_allclose(picture.times[-1], FS, rtol=1e-9)


def test_larger_units_for_larger_numbers():
    dataset = one_dimensional_run().phase.assign_attrs(
        energy_unit_joule=1.602176634e-22,  # 1 meV
        time_unit_second=FS * 1e-12,
        length_unit_metre=1e-6,
        lattice_vectors_metre=np.array([1e-6]),
    )
    shown = physical_axes(dataset)
    assert shown["time"].attrs["units"] == ("ps" if float(dataset["time"].max()) * FS > 10 else "fs")
    assert shown["x"].attrs["units"] == "um"


def test_a_run_in_lattice_units_stays_as_it_is():
    stored = one_dimensional_run()
    assert in_physical_units(stored).phase.identical(stored.phase)


@pytest.mark.parametrize(("units", "end"), [("physical", FS), ("lattice", 1.0)])
def test_the_command_line_has_both(finished, units, end, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(
        "wigner_sim.movies.make_movie", lambda shown, *_, **__: seen.append(shown) or _nothing()
    )
    assert cli.main(["movie", str(open_run(finished).path), "--units", units]) == 0
    assert float(seen[0].phase["time"][-1]) == pytest.approx(end)


def _nothing():
    return argparse.Namespace(notes=(), files=())
