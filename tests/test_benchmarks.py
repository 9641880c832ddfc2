"""The harness of the benchmarks, and the verb that runs them."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from wigner_sim import cli, speed_suite

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    specification = importlib.util.spec_from_file_location("harness", BENCHMARKS / "harness.py")
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "harness", module)
    specification.loader.exec_module(module)
    return module


def test_candidates_run_in_turn_after_a_warm_up(harness):
    order = []
    times = harness.alternate({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=3)
    assert order == ["a", "b"] * 4
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}


def test_medians_and_ratios_by_round(harness):
    times = {"base": [1.0, 2.0, 10.0], "other": [2.0, 4.0, 5.0]}
    assert harness.medians(times) == {"base": 2.0, "other": 4.0}
    assert harness.ratios(times, "base") == {"base": 1.0, "other": 2.0}


def test_peak_memory_counts_the_work_and_not_the_set_up(harness, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "def work(megabytes):\n"
        "    kept = bytearray(60 << 20)\n"
        "    return lambda: len(bytearray(megabytes << 20)) + len(kept)\n"
    )
    memory = harness.peak_memory(script, "work", 40)
    assert memory.peak > 40 << 20
    assert 35 << 20 < memory.working < 55 << 20
    with pytest.raises(RuntimeError, match="nothing"):
        harness.peak_memory(script, "nothing")


def test_a_report_is_json_and_a_table(harness, tmp_path, capsys):
    report = harness.Report("demo")
    report.add(
        harness.Table("Two rows", ("name", "ratio"), [{"name": "a", "ratio": 1.0}, {"name": "b"}], "A note.")
    )
    content = json.loads(report.save(tmp_path).read_text())
    assert content["tables"][0]["rows"][0] == {"name": "a", "ratio": 1.0}
    assert {"processor", "cores", "libraries"} <= set(content["machine"])
    table = (tmp_path / "demo.md").read_text()
    assert "| a    | 1     |" in table
    assert "A note." in table
    assert table in capsys.readouterr().out


def test_the_verb_runs_the_scripts_of_a_checkout(tmp_path, monkeypatch, capfd):
    scripts = tmp_path / "benchmarks"
    scripts.mkdir()
    monkeypatch.setattr(speed_suite, "SCRIPTS", scripts)
    assert cli.main(["bench", "--suite", "speed", "--output", str(tmp_path / "out")]) == 2
    assert "clone the repository" in capfd.readouterr().err
    save = "import sys, pathlib\nout = pathlib.Path(sys.argv[2])\nout.mkdir(exist_ok=True)\n"
    (scripts / "bench_one.py").write_text(save + "(out / 'one.json').write_text(' '.join(sys.argv[3:]))\n")
    (scripts / "figure.py").write_text(save)
    out = tmp_path / "out"
    assert cli.main(["bench", "--suite", "speed", "--quick", "--output", str(out)]) == 0
    assert (out / "one.json").read_text() == "--quick"
    assert str(out / "one.json") in capfd.readouterr().out
    (scripts / "bench_one.py").write_text("raise SystemExit(3)\n")
    assert cli.main(["bench", "--suite", "speed", "--output", str(out)]) == 2
    assert "bench_one.py failed" in capfd.readouterr().err


def test_every_benchmark_has_the_options_of_the_suite():
    for script in [*BENCHMARKS.glob("bench_*.py"), BENCHMARKS / "figure.py"]:
        assert "parser(__doc__)" in script.read_text(encoding="utf-8"), script


def test_quiet_samples_are_the_ones_in_which_others_computed_least(harness, monkeypatch):
    shares = iter([0.0, 0.9, 0.0, 0.02, 0.0, 0.5, 0.0, 0.01])  # of the moment before each round, and of it
    monkeypatch.setattr(harness, "others_share", lambda run, moment=0.0: (next(shares), 1.0 + moment))
    taken = harness.alternate({"one": lambda: None}, repeats=2, clock="quiet")
    assert len(taken["one"]) == 2
    assert next(shares, None) is None


def test_a_process_does_not_count_itself_among_the_others(harness):
    if not Path("/proc/stat").exists():
        pytest.skip("needs Linux")
    share, seconds = harness.others_share(lambda: sum(range(100_000)), 0.2)
    assert share >= 0
    assert 0 < seconds < 10
    calls = []
    harness.others_share(lambda: calls.append(0), 0.01)
    assert len(calls) > 1
