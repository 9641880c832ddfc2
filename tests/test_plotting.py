"""Figures: panels, labels, limits; what is read; what is saved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image
from synthetic_run import convergence_result, one_dimensional_run, two_dimensional_run

from wigner_sim.errors import CaseError
from wigner_sim.figures import frames
from wigner_sim.figures.panels import colour_scale, line_limits
from wigner_sim.plotting import (
    plot_comparison,
    plot_convergence,
    plot_difference,
    plot_geometry,
    plot_run,
    save_figure,
)


def images(figure: Figure) -> list:
    """Images of the panels, without those of colour bars."""
    return [image for axes in figure.axes for image in axes.images if axes.get_label() != "<colorbar>"]


def by_ylabel(figure: Figure, text: str):
    (found,) = [axes for axes in figure.axes if axes.get_ylabel().startswith(text) and axes.lines]
    return found


def test_run_shows_first_middle_last_time_with_common_limits():
    run = one_dimensional_run(n_times=5)
    figure = plot_run(run)
    shown = images(figure)
    assert [image.axes.get_title() for image in shown] == ["$t = 0$", "$t = 15$", "$t = 30$"]
    largest = np.abs(run.phase["f"].isel(band=0, time=[0, 2, 4])).max().item()
    assert {image.get_clim() for image in shown} == {(-largest, largest)}
    assert shown[0].get_cmap().name == "RdBu_r"
    for image, index in zip(shown, (0, 2, 4), strict=True):
        expected = run.phase["f"].isel(band=0, time=index).values.T
        np.testing.assert_allclose(image.get_array()[:-1, :-1], expected)
        np.testing.assert_allclose(image.get_array()[-1, :-1], expected[0])  # one whole period


def test_run_axes_cover_one_period_with_ticks_at_multiples_of_pi():
    figure = plot_run(one_dimensional_run(length=48.0))
    axes = images(figure)[0].axes
    np.testing.assert_allclose(axes.get_xlim(), (0, 48))
    np.testing.assert_allclose(axes.get_ylim(), (-np.pi, np.pi))
    assert axes.get_ylabel() == "$k_x$ ($1/a$)"
    assert axes.get_xlabel() == "$x$ (lattice constants)"
    ticks = axes.get_yticks()
    texts = axes.yaxis.get_major_formatter().format_ticks(ticks)
    labels = dict(zip(np.round(2 * ticks / np.pi).astype(int), texts, strict=True))
    assert {labels[i] for i in range(-2, 3)} == {r"$-\pi$", r"$-\pi/2$", "$0$", r"$\pi/2$", r"$\pi$"}


def test_run_profiles_and_drifts():
    run = one_dimensional_run(n_times=5)
    figure = plot_run(run, band=1)
    density, drift = by_ylabel(figure, "$n_{1}(x)$ ($1/a$)"), by_ylabel(figure, "relative drift")
    np.testing.assert_allclose(density.lines[1].get_ydata()[:-1], run.fields["density"].isel(time=2, band=1))
    assert [line.get_label() for line in drift.lines] == ["particle number", "energy"]
    assert drift.get_yscale() == "log"
    np.testing.assert_allclose(drift.lines[1].get_ydata()[1:], run.scalars["energy_drift"].isel(band=1)[1:])
    assert drift.get_xlabel() == r"$t$ ($\hbar$/energy)"


def test_run_at_chosen_times_and_positive_fields():
    figure = plot_run(one_dimensional_run(n_times=5, fringes=0), time=[8.0, 29.0])
    shown = images(figure)
    assert [image.axes.get_title() for image in shown] == ["$t = 7.5$", "$t = 30$"]
    assert shown[0].get_cmap().name == "viridis"
    assert shown[0].get_clim()[0] == 0


@pytest.mark.parametrize("face", ["w", "c"])
def test_face_in_label(face):
    figure = plot_run(one_dimensional_run(face=face), time=0)
    assert f"${face}_{{0}}(x, k_x)$" in [axes.get_ylabel() for axes in figure.axes]


def test_two_dimensional_run_shows_density_and_momentum_images():
    run = two_dimensional_run()
    figure = plot_run(run, time=30.0)
    main, momentum = images(figure)
    np.testing.assert_allclose(
        main.get_array()[:-1, :-1], run.fields["density"].isel(band=0, time=-1).values.T
    )
    assert momentum.axes.get_xlabel() == "$k_x$ ($1/a$)"
    average = by_ylabel(figure, r"$\langle n_{0} \rangle_{y}(x)$")
    expected = run.fields["density"].isel(band=0, time=-1).mean("y")
    np.testing.assert_allclose(average.lines[0].get_ydata()[:-1], expected)


def test_hidden_momentum_is_averaged():
    run = one_dimensional_run()
    weights = xr.DataArray([0.5, 1.5, 3.0, 1.0], dims="ky")
    run.phase = (run.phase * weights).assign_attrs(run.phase.attrs)
    series = frames.image_series(run, 0)
    assert series.label == r"$\langle f_{0} \rangle_{k_y}(x, k_x)$"
    expected = run.phase["f"].isel(band=0, time=0).mean("ky").transpose("x", "kx")
    np.testing.assert_allclose(series.at(0.0), expected)


def test_difference_is_signed_symmetric_and_exact():
    a, b = one_dimensional_run(), one_dimensional_run(fringes=0, run_id="run-b")
    figure = plot_difference(a, b)
    shown = images(figure)
    delta = (a.phase["f"] - b.phase["f"]).isel(band=0)
    np.testing.assert_allclose(shown[1].get_array()[:-1, :-1], delta.isel(time=2).values.T)
    low, high = shown[0].get_clim()
    assert low == -high
    largest = by_ylabel(figure, r"$\max")
    np.testing.assert_allclose(largest.lines[0].get_ydata(), np.abs(delta).max(("x", "kx")))
    assert figure.provenance["run_id"] == "run-a minus run-b"


def test_difference_refuses_what_does_not_match():
    run = one_dimensional_run()
    with pytest.raises(CaseError, match="different grids along x: 48 points and 40"):
        plot_difference(run, one_dimensional_run(n_x=40))
    with pytest.raises(CaseError, match="same face"):
        plot_difference(run, one_dimensional_run(face="w"))
    later = one_dimensional_run()
    later.phase = later.phase.assign_coords(time=later.phase["time"] + 1.0)
    with pytest.raises(CaseError, match="no output time in common"):
        plot_difference(run, later)


def test_comparison_has_one_scale_for_both_and_its_own_for_the_difference():
    kinetic, exact = one_dimensional_run(), one_dimensional_run(fringes=0.45)
    figure = plot_comparison(kinetic, exact, time=16.0)
    ours, reference, delta = images(figure)
    assert ours.get_clim() == reference.get_clim()
    assert delta.get_clim()[1] < 0.2 * ours.get_clim()[1]
    np.testing.assert_allclose(delta.get_array(), ours.get_array() - reference.get_array())
    density = by_ylabel(figure, "$n_{0}(x)")
    assert [line.get_label() for line in density.lines] == ["exact", "kinetic"]
    np.testing.assert_allclose(
        density.lines[0].get_ydata()[:-1], exact.fields["density"].isel(band=0, time=2)
    )
    np.testing.assert_allclose(
        density.lines[1].get_ydata()[:-1], kinetic.fields["density"].isel(band=0, time=2)
    )


def test_geometry_has_a_panel_per_quantity():
    run = one_dimensional_run()
    figure = plot_geometry(run)
    shown = {image.axes.get_title(): image for image in images(figure)}
    assert len(shown) == len(run.geometry.data_vars)
    assert shown["Berry curvature"].get_cmap().name == "RdBu_r"
    assert shown["gap"].get_cmap().name == "viridis"
    np.testing.assert_allclose(
        shown["gap"].get_clim(), (run.geometry["gap"].min(), run.geometry["gap"].max())
    )
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert r"$\Omega_{x k_x}$" in labels
    assert "$g_{k_x k_x}$ (a$^{2}$)" in labels


def test_geometry_of_four_dimensional_and_homogeneous_crystals():
    rng = np.random.default_rng(1)
    k = -np.pi + 2 * np.pi * np.arange(6) / 6
    dims = ("band", "x", "y", "kx", "ky")
    coords = {"x": np.arange(4.0), "y": np.arange(4.0), "kx": k, "ky": k}
    values = rng.random((1, 4, 4, 6, 6))
    run = one_dimensional_run()
    run.geometry = xr.Dataset(
        {"gap": (dims, values), "band_energy": (("band", "kx"), values[:, 0, 0, :, 0])}, coords
    )
    figure = plot_geometry(run)
    (image,) = images(figure)
    np.testing.assert_allclose(image.get_array()[:-1, :-1], values[0, 2, 2].T)
    np.testing.assert_allclose(
        by_ylabel(figure, r"$\varepsilon$").lines[0].get_ydata()[:-1], values[0, 0, 0, :, 0]
    )


def test_convergence_legend_data_and_guide_lines():
    figure = plot_convergence(convergence_result())
    left, right = figure.axes
    labels = [text.get_text() for text in left.get_legend().get_texts()]
    assert labels == ["order 0: slope 1.08", "order 1: slope 2.01", "order 2: slope 2.98"]
    curves = [line for line in left.lines if line.get_label().startswith("order")]
    assert len({(line.get_marker(), line.get_color()) for line in curves}) == 3
    np.testing.assert_allclose(curves[2].get_ydata(), (1.6e-3, 1.7e-4, 2.5e-5, 1.07e-5))
    guides = [line for line in left.lines if line.get_linestyle() == "--"]
    slopes = [np.polyfit(np.log(line.get_xdata()), np.log(line.get_ydata()), 1)[0] for line in guides]
    np.testing.assert_allclose(slopes, (-1, -2, -3))
    assert "n(x)" in right.get_ylabel()


def test_convergence_fits_what_is_missing_and_names_what_it_lacks():
    result = {"rows": [{"order": 1, "dilation": d, "err_f_max": d**-2.0} for d in (1, 2, 4)]}
    figure = plot_convergence(result, errors=["f_max"])
    assert figure.axes[0].get_legend().get_texts()[0].get_text() == "order 1: slope 2.00"
    with pytest.raises(CaseError, match="no error 'n_max', only f_max"):
        plot_convergence(result)


def test_runs_without_a_position_axis_or_without_drift():
    run = one_dimensional_run()
    run.scalars = xr.zeros_like(run.scalars)
    labels = [line.get_label() for line in by_ylabel(plot_run(run), "relative drift").lines]
    assert labels == ["particle number (exactly 0)", "energy (exactly 0)"]
    run.phase = run.phase.isel(x=0)
    with pytest.raises(CaseError, match="needs a position axis"):
        plot_run(run)


def test_colour_scale_rule():
    assert colour_scale(-0.5, 1.0).cmap == "RdBu_r"
    assert (colour_scale(-0.5, 1.0).low, colour_scale(-2.0, 1.0).high) == (-1.0, 2.0)
    ripple = colour_scale(-0.001, 1.0)
    assert (ripple.cmap, ripple.low, ripple.extend) == ("viridis", 0.0, "min")
    assert colour_scale(0.1, 0.2, signed=True) == colour_scale(-0.2, 0.0, signed=True)
    assert colour_scale(-3.0, -1.0, from_zero=False).low == -3.0
    flat = colour_scale(2.0, 2.0 + 1e-15, from_zero=False)
    assert flat.high - flat.low > 0.1
    assert colour_scale(-1e-17, 1e-17, from_zero=False).high == 1.0
    assert line_limits(0.1, 1.0)[0] == 0


def test_one_sentence_errors():
    run = one_dimensional_run()
    with pytest.raises(CaseError, match="band 7 is not in the output; it has bands 0, 1"):
        plot_run(run, band=7)
    run.phase = xr.Dataset()
    with pytest.raises(CaseError, match="no 'phase' output"):
        plot_run(run)
    run.phase = None
    with pytest.raises(CaseError, match="no 'phase' output"):
        plot_run(run)


def test_saved_png_and_pdf_name_the_run(tmp_path):
    figure = plot_convergence(convergence_result())
    figure.provenance = {"title": "A title", "case": "some_case", "run_id": "run-17"}
    png = save_figure(figure, tmp_path / "plots" / "a.png", dpi=40)
    with Image.open(png) as image:
        assert "run_id=run-17" in image.info["Comment"]
        assert image.info["Title"] == "A title"
    for suffix in ("pdf", "svg"):
        assert b"run-17" in save_figure(figure, tmp_path / f"a.{suffix}").read_bytes()


def test_save_never_loses_a_file(tmp_path):
    figure = plot_convergence(convergence_result())
    first = save_figure(figure, tmp_path / "a.png", dpi=30)
    assert save_figure(figure, tmp_path / "a.png", dpi=30) == tmp_path / "a-1.png"
    assert save_figure(figure, tmp_path / "a.png", dpi=30) == tmp_path / "a-2.png"
    assert save_figure(figure, tmp_path / "a.png", dpi=30, overwrite=True) == first
    foreign = tmp_path / "photo.png"
    foreign.write_bytes(b"someone else's")
    with pytest.raises(CaseError, match="not written by wigner_sim"):
        save_figure(figure, foreign, overwrite=True)
    assert foreign.read_bytes() == b"someone else's"
    with pytest.raises(CaseError, match=r"did you mean \.png"):
        save_figure(figure, tmp_path / "a.pngg")


def test_no_pyplot_state():
    code = "import sys, wigner_sim.plotting, wigner_sim.movies; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=False).returncode
        == 0
    )


def test_title_says_what_was_solved():
    """Order and terms switched off, as the resolved case in the file says; "exact" for exact dynamics."""
    run, other = one_dimensional_run(), one_dimensional_run(run_id="run-b")
    resolved = "[equation]\norder = 2\nterms = { berry = true, metric = %s }\n"
    run.scalars.attrs["case_resolved_toml"] = resolved % "true"
    other.scalars.attrs["case_resolved_toml"] = resolved % "false"
    title = "Bloch oscillation of a cat state"
    assert plot_run(run).get_suptitle() == f"{title} (order 2)"
    assert plot_difference(run, other).get_suptitle() == f"{title} (order 2 minus order 2 without metric)"
    other.scalars.attrs["method"] = "exact"
    assert plot_run(other).get_suptitle() == f"{title} (exact)"
    run.path, other.path = Path("runs/0001"), Path("runs/0002")
    other.scalars.attrs = dict(run.scalars.attrs)
    assert plot_difference(run, other).get_suptitle() == f"{title} (run 0001 minus run 0002)"


def test_drift_of_zero_lies_on_the_floor():
    run = one_dimensional_run(n_times=5)
    run.scalars["particle_number_drift"] *= 0.0
    axes = by_ylabel(plot_run(run), "relative drift")
    np.testing.assert_array_equal(axes.lines[0].get_ydata()[1:], 1e-17)
    assert axes.get_ylim()[0] < 1e-17


@pytest.mark.parametrize("value", [1e305, 1e308, np.inf])
def test_absurd_drifts_of_a_damaged_file_are_drawn(tmp_path, value):
    run = one_dimensional_run()
    run.scalars["energy_drift"].values[...] = value
    with np.errstate(all="ignore"):
        assert save_figure(plot_run(run), tmp_path / "a.png", dpi=20).exists()


def test_absurd_numbers_of_a_damaged_file_are_refused_in_a_sentence(tmp_path):
    run = one_dimensional_run()
    run.fields["density"].values[...] = 1e308
    with (
        np.errstate(all="ignore"),
        pytest.raises(CaseError, match=r"^a\.png: the stored numbers are too large to be drawn"),
    ):
        save_figure(plot_run(run), tmp_path / "a.png", dpi=20)


def test_a_time_without_output_is_refused():
    run = one_dimensional_run(n_times=5)  # 0 to 30
    assert images(plot_run(run, time=31.0))[0].axes.get_title() == "$t = 30$"
    for time in (99.0, -20.0, np.nan):
        with pytest.raises(CaseError, match=r"no output near time \S+: it goes from 0 to 30"):
            plot_run(run, time=time)
