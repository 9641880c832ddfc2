"""Before a run: templates, shipped cases, the forecast, and what will not fit."""

import re
import runpy
import shutil
import time
import tomllib

import pytest
from shipped import CASES, ROOT
from tiny_cases import TEXTURE, make_case, write_case

from wigner_sim import __version__, feasibility, forecast, starting_points, versions
from wigner_sim.case import Case, case_keys, load_case
from wigner_sim.case.full_text import full_text
from wigner_sim.cli import main
from wigner_sim.errors import CaseError
from wigner_sim.forecast import bytes_text, seconds_per_record, seconds_per_step
from wigner_sim.output import CannotWriteError, NetcdfStream
from wigner_sim.recorder import Recorder
from wigner_sim.reports import check_report
from wigner_sim.runs import open_run
from wigner_sim.simulation import check, run
from wigner_sim.starting_points import copy_example, examples, new_case, templates

ALL = [*templates(), *(case.name for case in CASES)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- new ---


@pytest.mark.parametrize("template", ALL)
def test_every_template_becomes_a_valid_case_with_its_files(template, here):
    case = load_case(new_case("deep/mine", template))
    assert case.title
    for reference in case.references():
        assert case.reference_path(reference).parent == case.directory


@pytest.mark.parametrize("template", list(templates()))
def test_the_small_templates_run(template, here, capsys):
    assert main(["new", "mine", "--template", template]) == 0
    small = [f"--set=output.{name}_every=never" for name in ("fields", "phase")]
    small.append("--set=output.scalars_every={steps=1}")
    end = load_case("mine").time.end / 100
    assert main(["run", "mine", "--quiet", "--set", f"time.end={end}", *small]) == 0
    if template != "plane":  # four axes are kept coarse
        assert "resolve it better" not in capsys.readouterr().err
    assert open_run("mine").status["state"] == "complete"


@pytest.mark.parametrize("template", ALL)
def test_the_full_file_means_the_same(template, here):
    short, full = load_case(new_case("short", template)), load_case(new_case("full", template, full=True))
    assert full == short


def test_the_full_file_lists_every_key_with_its_default_and_meaning(here):
    text = (new_case("full", full=True) / "case.toml").read_text()
    kind = tomllib.loads(text)["initial_state"]["kind"]
    for key in case_keys():
        if key.kind not in ("", kind):
            continue
        assert re.search(rf"^#?{key.name} = ", text, re.MULTILINE), key
        words = re.sub(r"\n#   ", " ", text)
        assert key.description in words
    assert "#order = 2\n" in text
    assert '"thermal"' in text


def test_the_comments_of_the_full_file_are_the_defaults():
    """With every default put in by hand, the case is the same."""
    document = full_text(Case.from_dict(TEXTURE).to_toml())
    uncommented = re.sub(r"^#(?=\w+ = (?!<))", "", document, flags=re.MULTILINE)
    one_reservoir = r"^#\[\[reservoirs\]\].*?(?=^\[)"  # none is the default
    uncommented = re.sub(one_reservoir, "", uncommented, flags=re.MULTILINE | re.DOTALL)
    without_sweep = uncommented.split("#[sweep]")[0]
    assert Case.from_dict(tomllib.loads(without_sweep)) == Case.from_dict(TEXTURE)


def test_what_new_refuses(here, capsys):
    assert main(["new", "mine", "--template", "chian"]) == 2
    assert "no template 'chian': did you mean 'chain'?" in capsys.readouterr().err
    assert list(here.iterdir()) == []
    (here / "mine").mkdir()
    assert main(["new", "mine"]) == 2
    assert "mine exists already" in capsys.readouterr().err
    assert main(["new"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ALL)


# --- examples ---


def test_examples_are_listed_and_copied_without_their_runs(here, capsys):
    assert list(examples()) == [case.name for case in CASES]
    assert main(["examples"]) == 0
    assert "thouless_pump        Thouless pump" in capsys.readouterr().out
    assert main(["examples", "--copy", "thouless_pump"]) == 0
    assert {path.name for path in (here / "thouless_pump").iterdir()} == {
        path.name for path in (ROOT / "cases" / "thouless_pump").iterdir() if path.is_file()
    }
    with pytest.raises(CaseError, match="did you mean 'weyl'"):
        copy_example("weil")
    with pytest.raises(CaseError, match="exists already"):
        copy_example("weyl", "thouless_pump")


def test_cases_of_ones_own_are_not_examples(here, monkeypatch, capsys):
    shutil.copytree(ROOT / "cases", here / "cases", ignore=shutil.ignore_patterns("runs"))
    shutil.copytree(here / "cases" / "weyl", here / "cases" / "mine")
    monkeypatch.setattr(starting_points, "PACKAGE", here / "wigner_sim")
    assert main(["examples"]) == 0
    listed = capsys.readouterr().out
    assert "weyl" in listed
    assert "mine" not in listed
    runpy.run_path(str(ROOT / "setup.py"))["copy_cases"](here / "cases", here / "built")
    assert not (here / "built" / "mine").exists()


def test_the_list_of_shipped_cases_is_sorted_and_complete():
    """A case with a description and in the gallery is one that is shipped."""
    gallery = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    shown = re.findall(r"\.\./cases/(\w+)/README\.md", gallery)
    assert sorted(shown) == list(examples()) == sorted(examples())


def test_the_build_puts_the_cases_into_the_package(tmp_path, monkeypatch):
    """What setup.py adds to a wheel is found again, without the repository beside it."""
    package = tmp_path / "site-packages" / "wigner_sim"
    shutil.copytree(ROOT / "cases", tmp_path / "cases")
    (tmp_path / "cases" / "weyl" / "runs" / "0001").mkdir(parents=True, exist_ok=True)
    (tmp_path / "cases" / "weyl" / "runs" / "0001" / "phase.nc").write_text("large")
    runpy.run_path(str(ROOT / "setup.py"))["copy_cases"](tmp_path / "cases", package / "example_cases")
    monkeypatch.setattr(starting_points, "PACKAGE", package)
    assert starting_points.shipped_cases() == package / "example_cases"
    assert list(examples()) == [case.name for case in CASES]
    assert not list(package.rglob("runs"))
    load_case(copy_example("skyrmion_texture", tmp_path / "copy"))
    shutil.rmtree(package)
    with pytest.raises(CaseError, match="shipped cases are missing"):
        starting_points.shipped_cases()


# --- about ---


def test_about(capsys):
    assert main(["about"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"wigner_sim {__version__}")
    assert "missing" not in out.split("imageio")[0]
    assert "cores may be used; OMP_NUM_THREADS=" in out


def test_the_citation_is_that_of_the_citation_file(capsys):
    assert main(["about", "--cite"]) == 0
    bibtex, cff = capsys.readouterr().out, (ROOT / "CITATION.cff").read_text()
    for title in re.findall(r'title: "(.*)"', cff):
        assert title in bibtex
    assert f"version: {__version__}\n" in cff
    assert re.search(r"arXiv:(\S+)\"", cff)[1] in bibtex
    assert bibtex.count("{") == bibtex.count("}")
    assert versions.citation() == bibtex.strip()


# --- forecast ---


def test_the_forecast_is_what_a_run_takes(tmp_path):
    case = make_case(
        tmp_path,
        time__step=0.01,
        grid__n_x=[32],
        grid__n_k=[32],
        output__compression="none",
        output__phase_every=0.02,
    )
    report = check_report(check(case))
    done = run(case)
    for name in ("scalars", "fields", "phase"):
        n_records, size, unit = re.search(rf"{name}\.nc: about (\d+) records, (\S+) (\w+)", report).groups()
        assert int(n_records) == getattr(done, name).sizes["time"]
        expected = float(size) * {"B": 1, "kB": 1e3, "MB": 1e6}[unit]
        if name == "phase":  # small files are mostly header
            assert (done.path / "phase.nc").stat().st_size == pytest.approx(expected, rel=0.25)
    assert re.search(r"^disk: about .*; .* are free$", report, re.MULTILINE)
    assert re.search(r"^steps: about \S+ each \(measured\), \S+ in all$", report, re.MULTILINE)
    assert re.search(r"^time: about \S+, besides checkpoints and the start$", report, re.MULTILINE)


def test_steps_end_at_records(tmp_path):
    """The number of steps is that of the run, also where records are closer than a step is long."""
    for n, (end, fields, phase) in enumerate(((1.0, 0.1, 0.5), (1.0, 0.3, "never"), (0.7, 10.0, 0.35))):
        every = {"scalars": 1e9, "fields": fields, "phase": phase}
        output = {f"output__{name}_every": value for name, value in every.items()}
        case = make_case(tmp_path / str(n), time__end=end, time__step=0.04, **output)
        done = run(case)
        assert forecast.steps_to_end(case.output, end, 0.04) == done.status["n_steps"]


def test_the_time_of_records_is_forecast(tmp_path):
    prepared = check(make_case(tmp_path, output__phase_every="never"))
    before = prepared.propagator.w.tobytes()
    report = check_report(prepared)
    line = r"^records: about \S+ for scalars, \S+ for fields \(measured, with writing\), \S+ in all$"
    assert re.search(line, report, re.MULTILINE)
    assert prepared.propagator.w.tobytes() == before
    recorder = Recorder(prepared.stack, prepared.case.output)
    assert 0 < seconds_per_record(recorder, prepared.propagator, "fields") < 5
    ((name, arrays),) = recorder.arrays(["fields"], prepared.propagator)
    assert name == "fields"
    assert "density" in arrays


def test_writing_is_in_the_time_of_records(tmp_path, monkeypatch):
    """On a slow disk: 51 records of each of two streams with 40 ms for writing one."""
    original = NetcdfStream.append
    monkeypatch.setattr(NetcdfStream, "append", lambda *given: (time.sleep(0.04), original(*given)))
    every = {f"output__{name}_every": 0.02 for name in ("scalars", "phase")}
    prepared = check(make_case(tmp_path, time__end=1.0, output__fields_every="never", **every))
    report = check_report(prepared)
    total = re.search(r"^time: about ([\d.]+)s,", report, re.MULTILINE)
    assert 2 * 51 * 0.04 < float(total[1]) < 2 * 51 * 0.04 + 5
    assert [path.name for path in tmp_path.iterdir() if path.name != "case.toml"] == []


def test_what_only_the_first_record_prepares_is_not_counted_for_each():
    class Prepares:
        n_records = 0

        def arrays(self, streams, propagator):
            self.n_records += 1
            time.sleep(1.1 if self.n_records == 1 else 0.0)
            yield streams[0], {}

    assert seconds_per_record(Prepares(), None, "scalars") < 0.5


def test_where_nothing_can_be_written_records_are_timed_without(tmp_path, monkeypatch):
    prepared = check(make_case(tmp_path))
    monkeypatch.setattr(NetcdfStream, "append", lambda *_: (_ for _ in ()).throw(CannotWriteError(5, "full")))
    assert "(measured, without writing)" in check_report(prepared)


@pytest.mark.parametrize("adaptive", [False, True])
def test_measuring_a_step_changes_nothing(adaptive, tmp_path):
    prepared = check(make_case(tmp_path, time__adaptive=adaptive))
    before = {**prepared.propagator.state()}
    assert 0 < seconds_per_step(prepared.propagator) < 1
    after = prepared.propagator.state()
    assert before["w"].tobytes() == after["w"].tobytes()
    assert {**before, "w": 0} == {**after, "w": 0}


def test_what_does_not_fit_on_the_disk_is_refused_with_the_remedy(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(forecast, "free_disk", lambda directory: 20_000.0)
    case = write_case(tmp_path / "a", output__phase_every=0.01)
    for verb in ("check", "run"):
        assert main([verb, str(case)]) == 2
        message = capsys.readouterr().err
        assert re.search(r"would write [\d.]+ kB before compression, 20 kB are free", message)
        assert "make output.phase_every longer" in message
    assert [path.name for path in case.iterdir()] == ["case.toml"]
    assert main(["check", str(case), "--set", "output.phase_every=never"]) == 0
    assert main(["check", str(case), "--set", "limits.check_disk=false"]) == 0


def test_the_memory_of_a_container_counts(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    monkeypatch.setattr(feasibility, "MEMORY_LIMIT_FILES", (str(limit),))
    assert feasibility.machine_memory() == 1e6
    with pytest.raises(CaseError, match=r"about 0.0\d+ GB of memory, this machine has 0.001 GB"):
        check(make_case(tmp_path, grid__n_x=[64]))
    limit.write_text("max\n")
    assert feasibility.machine_memory() > 1e8


def test_a_limit_of_time_that_is_too_short_is_foreseen(tmp_path):
    report = check_report(check(make_case(tmp_path, limits__wall_time=1e-6)))
    assert "warning: more than limits.wall_time, 0.001ms: it will have to be resumed" in report


@pytest.mark.parametrize(
    ("n", "text"), [(12, "12 B"), (1234, "1.23 kB"), (5.6e6, "5.6 MB"), (3e15, "3e+03 TB")]
)
def test_bytes(n, text):
    assert bytes_text(n) == text
