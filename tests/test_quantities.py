"""Any stored quantity as a picture: cuts and averages, panels, arrows, trajectories, sizes for print."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from PIL import Image
from synthetic_run import one_dimensional_run, two_dimensional_run

from wigner_sim import accessor, cli, movies, plotting
from wigner_sim.errors import CaseError
from wigner_sim.figures.movie_panels import layout
from wigner_sim.figures.overlays import Arrows
from wigner_sim.figures.packets import PacketOverlay
from wigner_sim.figures.panels import ImagePanel, LinePanel, TimePanel
from wigner_sim.figures.quantities import parse_quantity, quantity_series
from wigner_sim.movies import MoviePicture, animate_dataset, make_movie
from wigner_sim.runs import open_run


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    monkeypatch.setattr(movies, "WIDTH", 16 * 20 / 25)
    monkeypatch.setattr(movies, "HEIGHT", 16 * 12 / 25)
    monkeypatch.setattr(movies, "DPI", 25)


def test_the_accessor_is_there():
    assert xr.Dataset().wigner.__class__ is accessor.WignerAccessor


def planar_run():
    """A plane with f(x, y; kx, ky), a current, energies per time, and two trajectories."""
    run = two_dimensional_run(n_times=3, n_x=8, n_k=6, length=8.0)
    n, m = run.fields["density"], run.fields["momentum_distribution"]
    for axis in ("x", "y"):
        run.fields[axis].attrs["period"], run.fields[f"k{axis}"].attrs["period"] = 8.0, 2 * np.pi
    phase = (
        (n * m * (1 + 0.3 * np.cos(n["x"] - 2 * m["kx"]) * np.sin(n["y"] + m["ky"])))
        .rename("f")
        .assign_attrs(units="1")
    )
    run.phase = phase.transpose("time", "band", "x", "y", "kx", "ky").to_dataset()
    run.phase = run.phase.assign_coords(run.fields.coords).assign_attrs(run.fields.attrs)
    run.fields["current_x"] = n * np.sin(n["y"]).assign_attrs(units="1")
    run.fields["current_y"] = -0.5 * n
    run.scalars["energy"] = ("time", "band"), np.arange(6.0).reshape(3, 2)
    t = np.linspace(0, 30, 61)
    run.trajectories = xr.Dataset(
        {
            "x": (("order", "packet", "time"), [[1 + 0.5 * t, 7 - 0.1 * t]], {"period": 8.0, "band": 0}),
            "y": (("order", "packet", "time"), [[0 * t + 2, 0.2 * t]], {"period": 8.0, "band": 0}),
        },
        {"order": [2], "packet": [0, 1], "time": t},
    )
    return run


@pytest.mark.parametrize(
    ("text", "name", "dims", "at"),
    [
        ("density", "density", (), {}),
        (" f( x ,kx )", "f", ("x", "kx"), {}),
        ("f(kx,ky; x=3, y=-1.5e0)", "f", ("kx", "ky"), {"x": 3.0, "y": -1.5}),
        ("f(; x=1)", "f", (), {"x": 1.0}),
    ],
)
def test_reading_a_quantity(text, name, dims, at):
    quantity = parse_quantity(text)
    assert (quantity.name, quantity.dims, quantity.at) == (name, dims, at)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("f(x", "cannot read the quantity"),
        ("f(x, y, kx)", "shows 3 axes"),
        ("f(x; kx=a)", "expected axis=number"),
        ("f(x; kx)", "expected axis=number"),
        ("densty", "did you mean 'density'"),
        ("f(x, z)", "no axis 'z'; it has x, y, kx, ky"),
        ("f(x, y; x=2)", "both shows and cuts the axis x"),
        ("density(x, kx)", "'density' has no axis 'kx'"),
    ],
)
def test_what_cannot_be_shown_is_said(text, sentence):
    with pytest.raises(CaseError, match=sentence.replace("(", r"\(")):
        quantity_series(planar_run(), text, None)


def test_axes_are_shown_cut_or_averaged():
    run = planar_run()
    f = run.phase["f"].isel(time=1, band=0)
    cut = quantity_series(run, "f(ky, x; kx=-3.0, y=7.9)", None)  # the nearest y is 0, around the corner
    np.testing.assert_allclose(cut.at(15.0), f.isel(kx=0, y=0).transpose("ky", "x"))
    assert cut.label == r"$f_{0}(k_y, x; k_x=-3.14, y=0)$"
    mean = quantity_series(run, "f(kx, y)", None)
    np.testing.assert_allclose(mean.at(15.0), f.mean(["x", "ky"]).transpose("kx", "y"))
    assert mean.label == r"$\langle f_{0} \rangle_{x,k_y}(k_x, y)$"
    both = quantity_series(run, "state(x; kx=0.1)", 1)
    np.testing.assert_allclose(both.at(30.0), run.phase["f"].isel(time=2, band=1, kx=3).mean(["y", "ky"]))
    assert quantity_series(run, "f", None).dims == ("x", "kx")
    assert quantity_series(run, "f(; x=0, y=0)", None).dims == ("kx", "ky")
    assert quantity_series(run, "current_x", 1).label.startswith("$j_{x,1}(x, y)$")
    assert float(quantity_series(run, "energy", 1).at(15.0)) == 3.0


def test_a_movie_of_chosen_panels(tmp_path):
    run = planar_run()
    panels = ["current", "f(kx, ky; x=4, y=4)", "density(y)", "energy", "drift"]
    picture = MoviePicture(run, None, None, 100, panels=panels)
    kinds = [type(panel) for panel in picture.panels]
    assert kinds == [ImagePanel, ImagePanel, LinePanel, TimePanel]
    for time in picture.times:
        picture.render(time)
        shown = picture.panels[1].image.get_array()[:-1, :-1]
        np.testing.assert_allclose(shown.T, run.phase["f"].sel(time=time, x=4, y=4, band=0))
        assert picture.panels[3].marker.get_xdata()[0] == picture.markers[0].get_xdata()[0] == time
    np.testing.assert_array_equal(picture.panels[3].axes.lines[0].get_ydata(), [0, 2, 4])
    movie = make_movie(run, tmp_path / "a", panels=panels, formats=["gif"])
    with Image.open(movie.files[0]) as gif:
        assert gif.n_frames == 3
    assert [len(layout(mpl.figure.Figure(), n)) for n in range(1, 7)] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(CaseError, match="up to 6 panels"):
        make_movie(run, tmp_path / "b", panels=["density"] * 7)
    with pytest.raises(CaseError, match="one of them a quantity"):
        make_movie(run, tmp_path / "b", panels=["drift"])


def test_chosen_quantities_of_two_runs(tmp_path):
    run, other = planar_run(), planar_run()
    other.phase = (other.phase * 0.9).assign_attrs(run.phase.attrs).isel(time=[0, 2])
    picture = MoviePicture(run, other, None, 100, panels=["f(x, ky)", "drift"])
    np.testing.assert_allclose(picture.times, (0, 30))
    picture.render(30.0)
    expected = 0.1 * run.phase["f"].isel(time=2, band=0).mean(["y", "kx"])
    np.testing.assert_allclose(picture.panels[0].image.get_array()[:-1, :-1].T, expected, atol=1e-15)
    usual = MoviePicture(run, other, None, 100, quantity="f(kx, ky)")
    assert usual.panels[0].series.label == r"$\Delta \langle f_{0} \rangle_{x,y}(k_x, k_y)$"
    assert not usual.overlays


def test_arrows_have_one_scale_and_the_length_of_the_current():
    run = planar_run()
    picture = MoviePicture(run, None, None, 100, panels=["density"])
    (arrows,) = (overlay for overlay in picture.overlays if isinstance(overlay, Arrows))
    scales = set()
    for time in picture.times:
        picture.render(time)
        current = run.fields.sel(time=time, band=0)
        np.testing.assert_allclose(arrows.arrows.U, current["current_x"].values.ravel())
        np.testing.assert_allclose(arrows.arrows.V, current["current_y"].values.ravel())
        np.testing.assert_allclose(arrows.arrows.get_offsets()[1], (0, 1))  # y runs fastest
        scales.add(arrows.arrows.scale)
    largest = np.hypot(run.fields["current_x"], run.fields["current_y"]).sel(band=0).max().item()
    assert len(scales) == 1
    assert scales.pop() == pytest.approx(largest / 1.2)


def ends(overlay):
    """Where the dots of all packets are, (packet, axis)."""
    return [np.ravel(dot.get_data()) for _, dot, _ in overlay.paths]


def test_trajectories_grow_and_do_not_cross_the_picture():
    picture = MoviePicture(planar_run(), None, None, 100, panels=["density"])
    (paths,) = (overlay for overlay in picture.overlays if isinstance(overlay, PacketOverlay))
    picture.render(15.0)
    x, y = paths.paths[0][0].get_data()
    assert np.isnan(x).sum() == np.isnan(y).sum() == 1  # x = 1 + 0.5 t leaves at 8 and comes back at 0
    steps = np.abs(np.diff(x))
    assert np.nanmax(steps) == pytest.approx(0.25)
    np.testing.assert_allclose(ends(paths), [[0.5, 2.0], [5.5, 3.0]])
    picture.render(0.0)
    np.testing.assert_allclose(ends(paths), [[1.0, 2.0], [7.0, 0.0]])


def test_figure_of_one_quantity():
    run = planar_run()
    images = plotting.plot_quantity(run, "f(kx, ky; x=0, y=0)", [0.0, 30.0])
    shown = [axes.images[0].get_array()[:-1, :-1].T for axes in images.axes if axes.images]
    expected = [run.phase["f"].sel(time=time, x=0, y=0, band=0) for time in (0.0, 30.0)]
    np.testing.assert_allclose(shown, expected)
    curves = plotting.plot_quantity(run, "density(x)", band=1)
    assert len(curves.axes[0].lines) == 3
    line = plotting.plot_quantity(run, "energy").axes[0].lines[0]
    np.testing.assert_array_equal(line.get_data(), [[0, 15, 30], [0, 2, 4]])


@pytest.mark.parametrize(("size", "inches"), [("column", 86 / 25.4), ("page", 178 / 25.4)])
def test_printed_figures_fit_and_can_be_read(tmp_path, size, inches):
    with plotting.printed(size):
        make = plotting.plot_quantity if size == "column" else plotting.plot_run
        figure = make(one_dimensional_run())
        file = plotting.save_figure(figure, tmp_path / "a.pdf")
    assert figure.get_figwidth() == pytest.approx(inches, rel=0.01)
    texts = [text for text in figure.findobj(mpl.text.Text) if text.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= 6.5
    pdf = file.read_bytes()
    assert b"run_id=run-a" in pdf
    assert b"/Type3" not in pdf  # letters stay letters, in TrueType
    with pytest.raises(CaseError, match="unknown figure size 'poster'"), plotting.printed("poster"):
        pass
    assert plotting.plot_run(one_dimensional_run()).get_figwidth() == 12


def test_dataset_plots_and_animates_itself(tmp_path):
    run = planar_run()
    figure = run.phase.wigner.plot(time=0.0)
    assert figure.provenance["run_id"] == "run-2d"
    np.testing.assert_allclose(
        figure.axes[0].images[0].get_array()[:-1, :-1].T,
        run.phase["f"].isel(time=0, band=0).mean(["y", "ky"]),
    )
    movie = run.fields.wigner.animate(tmp_path / "a", formats=["gif"], max_frames=2)
    assert (movie.n_frames, movie.files) == (2, (tmp_path / "a.gif",))
    assert animate_dataset(run.scalars, tmp_path / "b", "energy", formats=["gif"]).n_frames == 3
    geometry = one_dimensional_run().geometry
    gap = geometry.wigner.plot("gap", band=1).axes[0].images[0].get_array()
    np.testing.assert_allclose(gap[:-1, :-1].T, geometry["gap"].isel(band=1))
    with pytest.raises(CaseError, match="nothing to draw"):
        xr.Dataset().wigner.plot()


def test_a_dataset_in_si_is_drawn_with_its_units():
    run = planar_run()
    phase = run.phase.assign_attrs(length_unit_metre=2.5e-10, energy_unit_joule=1.6e-19)
    for dim, power in {"x": "length", "y": "length", "kx": "1/length", "ky": "1/length"}.items():
        phase[dim].attrs["units_dimension"] = power
    figure = phase.wigner.to_si().wigner.plot(time=0.0)
    figure.draw_without_rendering()
    assert figure.axes[0].get_xlabel() == "$x$ (m)"
    assert figure.axes[0].get_ylim()[1] == pytest.approx(np.pi / 2.5e-10)


def test_from_the_command_line(tmp_path, capsys):
    from tiny_cases import write_case

    case = str(write_case(tmp_path / "texture"))
    assert cli.main(["run", case, "--quiet"]) == 0
    movie = ["movie", case, "--formats", "gif", "--max-frames", "2", "--output"]
    assert cli.main([*movie, str(tmp_path / "a"), "--quantity", "energy_density"]) == 0
    assert cli.main([*movie, str(tmp_path / "b"), "--panels", "f(kx; x=3)", "energy", "drift"]) == 0
    plot = ["plot", case, "--output"]
    assert cli.main([*plot, str(tmp_path / "c.pdf"), "--quantity", "f(kx; x=3)", "--size", "column"]) == 0
    assert cli.main([*plot, str(tmp_path / "d.pdf"), "--size", "column", "--time", "0"]) == 0
    assert {file.name for file in tmp_path.iterdir()} == {"texture", "a.gif", "b.gif", "c.pdf", "d.pdf"}
    assert cli.main([*plot, str(tmp_path / "e.pdf"), "--quantity", "flux"]) == 2
    assert "no 'flux' is stored" in capsys.readouterr().err
    with open_run(case) as run, pytest.raises(CaseError, match="no current is stored"):
        run.phase.wigner.current()
