"""The interactive page: its numbers, its logic in node, and the page itself in a headless browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from synthetic_run import one_dimensional_run, two_dimensional_run
from test_quantities import planar_run
from tiny_cases import write_case

from wigner_sim import cli
from wigner_sim.errors import CaseError
from wigner_sim.viewer import HERE, make_viewer, viewer_data

pytest.importorskip("plotly")
NODE = shutil.which("node")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def numbers(variable):
    """Decode as the page does."""
    if "values" in variable:
        return np.reshape(variable["values"], variable["shape"])
    integers = np.frombuffer(base64.b64decode(variable["data"]), "<i2").reshape(variable["shape"])
    return variable["offset"] + variable["scale"] * integers


def embedded(page: Path):
    """The data a page carries."""
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>',
        page.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    return json.loads(found[1])


def test_every_variable_arrives_within_the_rounding():
    run = planar_run()
    data = viewer_data(run, (), None, 20)
    by_name = {variable["name"]: variable for variable in data["variables"]}
    assert data["variables"][0]["name"] == "f"
    wanted = {"f", "density", "momentum_distribution", "current_x", "current_y", "energy"}
    assert wanted <= set(by_name)
    for name, dataset in {"f": run.phase, "density": run.fields, "energy": run.scalars}.items():
        array, variable = dataset[name], by_name[name]
        assert variable["dims"] == list(array.dims)
        assert variable["times"] == array["time"].values.tolist()
        reach = float(array.max() - array.min())
        np.testing.assert_allclose(numbers(variable), array, atol=0.51 * reach / 65534)
    assert data["axes"]["kx"]["values"] == run.phase["kx"].values.tolist()
    assert data["axes"]["ky"]["label"] == "<i>k</i><sub>y</sub> (1/a)"


def test_a_part_of_a_quantity_is_cut_before_it_is_stored():
    run = planar_run()
    (variable,) = viewer_data(run, ["f(kx, y; x=2)"], 1, 20)["variables"]
    expected = run.phase["f"].isel(band=1, x=2).mean("ky").transpose("time", "kx", "y")
    assert variable["dims"] == ["time", "kx", "y"]
    np.testing.assert_allclose(numbers(variable), expected, atol=1e-4 * float(expected.max()))


def test_large_arrays_lose_times_and_small_ones_none():
    run = one_dimensional_run(n_times=40, n_x=32, n_k=32)
    data = {each["name"]: each for each in viewer_data(run, (), None, 0.05)["variables"]}
    assert data["density"]["shape"][0] == 40
    n = data["f"]["shape"][0]
    assert 2 <= n < 40
    assert data["f"]["times"][0] == 0
    assert data["f"]["times"][-1] == 30
    assert sum(len(base64.b64decode(each.get("data", ""))) for each in data.values()) <= 50_000
    with pytest.raises(CaseError, match=r"choose a part of it, such as 'f\(x, kx\)'"):
        viewer_data(run, ["f"], None, 0.001)
    with pytest.raises(CaseError, match="nothing to view"):
        viewer_data(type(run)(), (), None, 1)


def test_the_page_is_one_file_that_says_where_it_comes_from(tmp_path):
    run = one_dimensional_run()
    run.phase.attrs["title"] = run.fields.attrs["title"] = run.scalars.attrs["title"] = "a <b> & c"
    page = make_viewer(run, tmp_path / "view.html")
    text = page.read_text(encoding="utf-8")
    assert "<title>a &lt;b&gt; &amp; c</title>" in text
    assert "run_id=run-a" in text
    assert not re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="', text)  # nothing is fetched
    assert embedded(page)["times"] == run.phase["time"].values.tolist()
    assert make_viewer(run, page).name == "view-1.html"
    assert make_viewer(run, page, overwrite=True) == page


def test_a_missing_library_is_said_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(CaseError, match=r"pip install 'wigner-sim\[view\]'"):
        make_viewer(one_dimensional_run(), tmp_path / "view.html")


def test_from_the_command_line(tmp_path, capsys):
    case = str(write_case(tmp_path / "texture"))
    assert cli.main(["run", case, "--quiet"]) == 0
    assert cli.main(["view", case, "--quantities", "f(x, kx)", "energy"]) == 0
    page = Path(capsys.readouterr().out.split()[-1])
    assert page.name == "view.html"
    assert [each["name"] for each in embedded(page)["variables"]] == ["f(x, kx)", "energy"]


@pytest.mark.skipif(not NODE, reason="needs node")
def test_planes_of_the_page_are_those_of_numpy(tmp_path):
    run = planar_run()
    (variable,) = viewer_data(run, ["f"], None, 20)["variables"]
    views = [
        (["x", "kx"], {"band": 0}),
        (["ky", "x"], {"band": 1, "y": 3}),
        (["kx", "ky"], {"band": 1, "x": 2, "y": 5}),
        (["y"], {"band": 0, "x": None, "kx": 1}),
        ([], {"band": 0}),
    ]
    script = """
        const v = require(process.argv[2]), [variable, views] = JSON.parse(require('fs').readFileSync(0));
        const values = v.decode(variable);
        console.log(JSON.stringify(views.map(([shown, fixed]) => ({
            rows: v.plane(variable, values, 2, shown, fixed),
            extrema: v.extrema(variable, values, [0, 1, 2], shown, fixed)}))));
    """
    (tmp_path / "try.js").write_text(script)
    command = [NODE, str(tmp_path / "try.js"), str(HERE / "viewer.js")]
    said = subprocess.run(
        command, input=json.dumps([variable, views]), capture_output=True, text=True, check=True
    )
    stored = xr.DataArray(numbers(variable), dims=variable["dims"])
    for (shown, fixed), answer in zip(views, json.loads(said.stdout), strict=True):
        part = stored.isel({dim: i for dim, i in fixed.items() if i is not None})
        part = part.mean([dim for dim in part.dims if dim not in ("time", *shown)])
        expected = part.isel(time=2).transpose(*reversed(shown)).values
        np.testing.assert_allclose(np.squeeze(answer["rows"]), expected, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(answer["extrema"], (part.min(), part.max()), rtol=1e-5, atol=1e-7)


@pytest.mark.skipif(not NODE, reason="needs node")
def test_colours_follow_the_rule_of_the_figures():
    script = """
        const v = require(process.argv[1]), limits = [[-1, 2], [-0.001, 1], [-3, -1], [0, 0]];
        console.log(JSON.stringify(limits.map(v.colourScale)));
    """
    said = subprocess.run(
        [NODE, "-e", script, str(HERE / "viewer.js")], capture_output=True, text=True, check=True
    )
    signed, positive, negative, zero = json.loads(said.stdout)
    assert (signed["colorscale"], signed["zmin"], signed["zmax"]) == ("RdBu", -2, 2)
    assert (positive["colorscale"], positive["zmin"], positive["zmax"]) == ("Viridis", 0, 1)
    assert (negative["zmin"], negative["zmax"]) == (-3, 0)
    assert zero["colorscale"] == "Viridis"


@pytest.fixture
def browser():
    api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("needs chromium")
    with api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def test_in_a_browser(browser, tmp_path):
    run = planar_run()
    page = browser.new_page(viewport={"width": 1100, "height": 700})
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(make_viewer(run, tmp_path / "view.html").as_uri())
    page.wait_for_selector("#picture .main-svg")

    def shown():
        return np.array(page.evaluate("document.getElementById('picture').data[0].z"))

    def move(control, value):
        page.eval_on_selector(control, f"e => {{ e.value = {value}; e.dispatchEvent(new Event('input')); }}")

    f = run.phase["f"]
    reach = {"rtol": 1e-4, "atol": 1e-4 * float(f.max())}
    np.testing.assert_allclose(shown(), f.isel(time=0, band=0).mean(["y", "ky"]).values.T, **reach)
    move("#time", 2)
    page.select_option("#horizontal", "ky")
    move("#cut-x", 3)
    move("#cut-band", 1)
    expected = f.isel(time=2, band=1, x=3).mean("y").transpose("kx", "ky")
    np.testing.assert_allclose(shown(), expected, **reach)
    assert page.inner_text("#clock").startswith("t = 30")
    limits = page.evaluate("(({zmin, zmax}) => [zmin, zmax])(document.getElementById('picture').data[0])")
    over_time = f.isel(band=1, x=3).mean("y")
    assert limits[1] == pytest.approx(float(over_time.max()), rel=1e-3)  # of the whole run, not of this frame
    box = page.locator("#picture .nsewdrag").first.bounding_box()
    page.mouse.click(box["x"] + 2, box["y"] + 2)  # top left: first ky, last kx
    page.wait_for_timeout(300)
    assert page.evaluate("viewer.state.point") == [0, 5]
    page.select_option("#variable", "energy")
    line = page.evaluate(
        "(({x, y}) => [Array.from(x), Array.from(y)])(document.getElementById('picture').data[0])"
    )
    np.testing.assert_allclose(line, [[0, 15, 30], [0, 2, 4]])
    page.click("#play")
    page.wait_for_function("viewer.state.time !== 30")
    assert not complaints


def test_a_plane_without_phase_space(tmp_path):
    data = viewer_data(two_dimensional_run(), (), None, 20)
    assert [each["name"] for each in data["variables"]][:2] == ["density", "momentum_distribution"]
