"""The command line: every verb on a tiny grid, and every mistake answered in one sentence."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shipped import AS_SHIPPED
from tiny_cases import CHAIN, TEXTURE, make_case, write_case

from wigner_sim import preparation
from wigner_sim.cli import main
from wigner_sim.runs import open_exact_run, open_run


@pytest.fixture
def case(tmp_path):
    return write_case(tmp_path / "tiny")


def said(capsys, *arguments, code=0):
    """What a command prints; its exit code is checked, and that it never shows a traceback."""
    result = main([str(word) for word in arguments])
    out, err = capsys.readouterr()
    assert result == code, err
    assert "Traceback" not in err
    return err if code else out


# --- verbs ---


@pytest.mark.parametrize("directory", AS_SHIPPED)
def test_shipped_cases_start(directory, tmp_path, capsys):
    """Checked as they are, and run for a hundredth of their time, in their own steps and intervals."""
    copy = tmp_path / directory.name
    shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("runs", "exact", "__pycache__"))
    report = said(capsys, "check", copy)
    assert "warning" not in report
    end = float(re.search(r"step: .* steps to t = (\S+) \(.*\)", report)[1])
    # intervals that are left out would shrink with the run to a hundredth of theirs
    written = tomllib.loads((copy / "case.toml").read_text(encoding="utf-8")).get("output", {})
    records = {"scalars_every": 200, "fields_every": 100, "phase_every": 50}
    shipped = [f"--set=output.{key}={end / n}" for key, n in records.items() if key not in written]
    said(capsys, "run", copy, "--quiet", f"--set=time.end={end / 100}", *shipped)
    run = open_run(copy)
    assert run.status["state"] == "complete"
    assert run.scalars["time"][-1] == pytest.approx(end / 100, rel=1e-5)
    if not run.case.reservoirs:  # which take and give
        assert np.abs(run.scalars["particle_number_drift"]).max() < 1e-12


def test_check_reports_and_writes_nothing(case, capsys):
    report = said(capsys, "check", case)
    for words in ("16 points in x", "band 0: energy", "smallest gap", "of rk4", "memory: about", "phase.nc"):
        assert words in report
    assert [path.name for path in case.iterdir()] == ["case.toml"]


def test_disk_forecast_counts_the_records(case, capsys):
    overrides = ["--set", "output.scalars_every=0.25", "--set", "time.step=0.05"]
    report = said(capsys, "check", case, *overrides)
    main(["run", str(case), "--quiet", *overrides])
    run = open_run(case)
    for name in ("scalars", "fields", "phase"):
        n_records = getattr(run, name).sizes["time"]
        assert f"{name}.nc: about {n_records} records" in report


def test_run_info_plot_movie(case, capsys):
    path = Path(said(capsys, "run", case, "--set", "output.face=w").strip())
    assert path == case / "runs" / "0001"
    report = said(capsys, "info", case)
    assert re.search(r"state: complete, t = 1 of 1", report)
    assert re.search(r"particle_number, band 0: \S+ at start, largest relative drift \d", report)
    assert re.search(r"phase\.nc: .* 3 records: w", report)
    assert Path(said(capsys, "plot", case).strip()) == path / "figure.png"
    movie = said(capsys, "movie", case, "--formats", "gif", "--fps", "5", "--output", case / "new" / "m")
    assert Path(movie.strip()) == case / "new" / "m.gif"


def test_exact_and_the_figure_beside_it(case, capsys):
    said(capsys, "run", case)
    exact = said(capsys, "exact", case).strip()
    assert Path(exact) == case / "exact" / "0001"
    report = said(capsys, "info", exact)
    assert "state: complete" in report
    assert "largest relative drift" in report
    figure = case / "beside.png"
    assert said(capsys, "plot", case, "--exact", case / "exact", "--time", "0.5", "--output", figure)
    assert figure.stat().st_size > 10_000
    assert said(capsys, "plot", case, "--diff", exact)


def test_only_an_exact_run_is_shown_as_exact(case, capsys):
    """A case directory stands for its latest exact run there, not for its latest run."""
    said(capsys, "run", case)
    assert main(["plot", str(case), "--exact", str(case)]) == 2
    assert "no exact run here yet; make one with `wigner-sim exact" in capsys.readouterr().err
    assert main(["plot", str(case), "--exact", str(case / "runs" / "0001")]) == 2
    assert "is no exact run: --diff shows the difference of any two runs" in capsys.readouterr().err
    said(capsys, "exact", case)
    by_case, by_run = case / "case.svg", case / "run.svg"
    said(capsys, "plot", case, "--exact", case, "--output", by_case)
    said(capsys, "plot", case, "--exact", case / "exact" / "0001", "--output", by_run)
    assert open_exact_run(case).path == case / "exact" / "0001"
    assert by_case.exists()
    assert by_run.exists()


def test_compare(case, capsys):
    table = said(capsys, "compare", case, "--json", case / "new" / "c.json")
    assert all(name in table for name in ("f_max", "f_l2", "n_max", "n_l2", "nk_max", "nk_l2", "energy"))
    result = json.loads((case / "new" / "c.json").read_text())
    assert [row["time"] for row in result["rows"]] == [0, 0.5, 1.0]
    assert result["start"] == "case"


def test_converge_writes_the_table_the_json_and_the_figure(case, capsys):
    target = case / "deep" / "c.json"
    table = said(capsys, "converge", case, "--dilations", "1,1.5", "--orders", "0,2", "--json", target)
    assert "slope" in table
    result = json.loads(target.read_text())
    assert target.with_suffix(".png").stat().st_size > 10_000
    errors = {"err_f_max", "err_f_l2", "err_n_max", "err_energy"}
    keys = {"order", "dilation", "sites", *errors, "seconds_kinetic", "seconds_exact"}
    assert [set(row) for row in result["rows"]] == [keys] * 4
    assert [(row["order"], row["dilation"], row["sites"]) for row in result["rows"]] == [
        (0, 1.0, 8),
        (2, 1.0, 8),
        (0, 1.5, 12),
        (2, 1.5, 12),
    ]
    assert set(result["slopes"]) == {"0", "2"}
    assert set(result["slopes"]["0"]) == {"f_max", "f_l2", "n_max", "energy"}


def test_paths_with_spaces_from_another_directory(tmp_path, capsys, monkeypatch):
    write_case(tmp_path / "my cases" / "one case")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = said(capsys, "run", "../my cases/one case").strip()
    assert path == "../my cases/one case/runs/0001"
    assert said(capsys, "plot", path, "--output", "a figure.png").strip() == "a figure.png"
    monkeypatch.chdir(tmp_path / "my cases" / "one case")
    assert said(capsys, "run", ".").strip() == "runs/0002"
    assert said(capsys, "run", "case.toml").strip() == "runs/0003"


def test_quiet_says_warnings_only(case, capsys):
    for verb in ("run", "exact"):
        assert main([verb, str(case), "--quiet"]) == 0
        out, err = capsys.readouterr()
        assert [line for line in err.splitlines() if "would resolve it better" not in line] == []
        assert out.count("\n") == 1


def test_a_run_says_what_it_does_on_stderr(case, capsys):
    assert main(["run", str(case)]) == 0
    err = capsys.readouterr().err
    assert re.search(r"^step 0\.\d+ \(.*rk4.*\)$", err, re.MULTILINE)
    assert re.search(r"^done: \d+ steps", err, re.MULTILINE)


def test_warnings_are_sentences_too(case, capsys):
    assert main(["check", str(case), "--set", "hamiltonian.potential=0.04*abs(x - 4)"]) == 0
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if "kink" in line]
    assert warning.startswith("model 'two_band_texture' with its potential")


# --- exit codes ---


def test_stopped_by_a_guard(case, capsys):
    stop = ["--set", "monitors.energy_drift=1e-30", "--set", "monitors.action=stop"]
    message = said(capsys, "run", case, *stop, code=3)
    assert "above monitors.energy_drift" in message
    assert open_run(case).scalars.sizes["time"] > 1


def test_interrupt_before_anything_is_made(case, capsys, monkeypatch):
    def interrupted(case):
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "prepare", interrupted)
    assert said(capsys, "run", case, code=130) == "wigner-sim: interrupted\n"
    assert not (case / "runs").exists()


def test_out_of_memory_is_a_sentence(case, capsys, monkeypatch):
    def hungry(case):
        raise MemoryError

    monkeypatch.setattr(preparation, "prepare", hungry)
    assert "fewer grid points" in said(capsys, "run", case, code=2)


def test_file_system_errors_are_sentences(case, capsys):
    said(capsys, "run", case)
    (case / "blocked").write_text("a file")
    assert "blocked" in said(capsys, "plot", case, "--output", case / "blocked" / "x.png", code=1)


# --- what is refused ---

REFUSED = {
    "unknown key": (["grid.nx=[16]"], 'unknown key "nx" in [grid]; did you mean "n_x"?'),
    "unknown section": (["gird.n_x=[16]"], "gird"),
    "wrong type": (['time.end="long"'], 'expected a number > 0, got "long"'),
    "no number": (["time.end=nan"], "expected a number"),
    "closing gap": (
        ["hamiltonian.source=named:ssh", "hamiltonian.parameters={t2=1.0}"],
        "the gap between band 0 and the other bands falls to",
    ),
    "under-resolved crystal": (["grid.n_k=[4]"], "use at least 8 points"),
    "grid too small": (["grid.n_x=[2]"], "integers >= 4"),
    "grid of wrong dimension": (["grid.n_x=[16, 16]"], "expected as many entries as sites has"),
    "no memory for the grid": (["grid.n_x=[100000000]"], "GB of memory"),
    "bad expression": (["hamiltonian.potential=cos(2*pi*x"], 'potential "cos(2*pi*x" is not a formula'),
    "unknown name": (["initial_state.c=exp(cox(k))"], "cox"),
    "not finite": (['initial_state={kind="symbol", c="1/x"}'], "initial_state"),
    "missing file": (["hamiltonian.source=python:h.py:h"], "h.py"),
    "missing potential": (["hamiltonian.potential=array:u.npy"], "u.npy"),
    "band out of range": (["bands.select=[7]"], "bands 0 to 1"),
    "step too large": (["time.step=0.9"], "stability limit"),
    "unknown stepper": (["time.stepper=rk5"], 'did you mean "rk4"?'),
    "unknown model": (["hamiltonian.source=named:two_band_textur"], "two_band_texture"),
    "too few states": (
        ["bands.select=[0, 1]", 'initial_state.c=["1"]'],
        "lists 1 symbols for 2 chosen band(s)",
    ),
    "too many states": (['initial_state.c=["1", "0"]'], "lists 2 symbols for 1 chosen band(s)"),
    "state that depends on time": (["initial_state.c=cos(t)"], "t"),
    "unknown state": (['initial_state={kind="gausian"}'], 'did you mean "gaussian"?'),
    "width missing": (['initial_state={kind="gaussian", width_x=[1.0]}'], 'needs the key "width_k"'),
    "cold state": (['initial_state={kind="thermal", temperature=1e-300}'], "not finite everywhere"),
    "negative temperature": (['initial_state={kind="thermal", temperature="cos(2*pi*x/L)"}'], "positive"),
    "no earlier run": (['initial_state={kind="from_run", run="nowhere"}'], "nowhere"),
    "term without meaning": (["equation.terms.metric=false"], "no separate meaning"),
    "all orders with rk4": (["equation.moyal_series=all_orders"], "splitting stepper"),
    "not an override": (["grid.n_x"], "expected section.key=value"),
}


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize("what", REFUSED)
def test_one_sentence_and_nothing_made(what, verb, case, capsys):
    overrides, sentence = REFUSED[what]
    message = said(capsys, verb, case, *(word for each in overrides for word in ("--set", each)), code=2)
    assert sentence in message
    assert message.startswith("wigner-sim: ")
    assert message.count("\n") == 1
    assert [path.name for path in case.iterdir()] == ["case.toml"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rnu", "x"], "unknown verb 'rnu'; did you mean 'run'?"),
        (["zzz"], "unknown verb 'zzz'; known: new, examples, check"),
        (["run", "x", "--quite"], "wigner-sim run: unknown option '--quite'; did you mean '--quiet'?"),
        (["run", "x", "--seet=1"], "unknown option '--seet'; did you mean '--set'?"),
        (["run", "x", "y"], "one argument too many, 'y'"),
        (["run"], "the following arguments are required: case"),
        (["--quiet"], "unknown option '--quiet'"),
        (["--verison"], "did you mean '--version'?"),
        (["converge", "x", "--orders", "0,3"], "expected orders among 0,1,2, got '0,3'"),
        (["converge", "x", "--dilations", "1;2"], "expected numbers separated by commas, got '1;2'"),
        (["converge", "x", "--figure", "f.jpeg"], "the suffix must be one of .png, .pdf, .svg"),
        (["converge", "x"], "no such case"),
        (["check", "x"], "no such case"),
        (["info", "x"], "no such case"),
        (["resume", "x"], "no such case"),
    ],
)
def test_arguments_that_cannot_be_meant(words, sentence, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = said(capsys, *words, code=2)
    assert sentence in message
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_verbs_refuse_what_their_run_lacks(case, capsys):
    bare = [f"--set=output.{name}_every=never" for name in ("scalars", "fields", "phase")]
    said(capsys, "run", case, *bare)
    said(capsys, "info", case)
    for verb in ("plot", "movie"):
        assert "no '" in said(capsys, verb, case, code=2)
    assert said(capsys, "plot", case, "--geometry").strip().endswith("geometry.png")
    assert "band 5" in said(capsys, "plot", case, "--geometry", "--band", "5", code=2)


def test_without_arguments_the_help_is_shown(capsys):
    assert main([]) == 2
    assert "converge" in capsys.readouterr().err


# --- fuzz ---

VALUES = st.one_of(
    st.integers(-3, 40),
    st.floats(),
    st.booleans(),
    st.text(max_size=6),
    st.sampled_from(
        [
            "x",
            "cos(k)",
            "1/x",
            "sin(t)",
            "array:a.npy",
            "python:a.py:f",
            "1h",
            "callable:math:cos",
            "named:ssh",
            "never",
        ]
    ),
    st.lists(st.one_of(st.integers(-1, 12), st.floats(-2, 2), st.sampled_from(["x", "1"])), max_size=3),
    st.dictionaries(st.sampled_from(["t1", "delta", "steps", "kind"]), st.integers(-1, 3), max_size=2),
)
KEYS = [
    (section, name)
    for section, table in make_case(Path(), CHAIN).to_dict().items()
    if isinstance(table, dict)
    for name in table
] + [("initial_state", "width_x"), ("hamiltonian", "terms"), ("hamiltonian", "hoppings"), ("nope", "nope")]
KEYS += [("limits", "wall_time"), ("sweep", "values"), ("sweep", "mode"), ("monitors", "occupation")]


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    of=st.sampled_from([TEXTURE, CHAIN]),
    mutations=st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=2),
)
def test_mutated_cases_never_show_a_traceback(of, mutations, tmp_path, capsys):
    words = [f"--set={'.'.join(key)}={_toml(value)}" for key, value in mutations.items()]
    write_case(tmp_path, of)
    code = main(["check", str(tmp_path), *words])
    out, err = capsys.readouterr()
    assert code in (0, 2)
    assert code == 0 or (err.startswith("wigner-sim: ") and not out)
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["case.toml"]


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return json.dumps(value)


@pytest.mark.parametrize("tolerance", ["1e-40", "1e-14"])
def test_a_tolerance_below_rounding_is_refused_with_the_smallest_sensible_one(case, capsys, tolerance):
    step = ["--set", "time.step=auto", "--set"]
    assert main(["check", str(case), *step, f"time.tolerance={tolerance}"]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"wigner-sim: time.tolerance = {tolerance} is below rounding")
    assert message.count("\n") == 1
    smallest = message.split()[-1]
    assert 1e-14 < float(smallest) < 1e-9
    assert main(["check", str(case), *step, f"time.tolerance={smallest}"]) == 0
    assert f"estimated error {smallest}" in capsys.readouterr().out
