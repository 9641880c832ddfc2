"""The table of convergence studies: it runs, its slopes are those of the theory, and it can fail."""

import json

import pytest

from wigner_sim import cli
from wigner_sim.case import Case
from wigner_sim.convergence import whole_site_dilations
from wigner_sim.errors import CaseError
from wigner_sim.plotting import plot_validation, save_figure
from wigner_sim.problem import build_problem
from wigner_sim.studies import STUDIES
from wigner_sim.validation import ERROR, missed_slopes, run_study, run_validation, validation_table

#: Those that take a second or two.
CHEAP = ["texture", "thermal", "three_orbitals", "potential_in_field"]


@pytest.fixture(scope="module")
def quick_result():
    return run_validation(CHEAP, quick=True)


def test_slopes_of_the_cheap_studies(quick_result):
    assert quick_result["misses"] == []
    assert list(quick_result["studies"]) == CHEAP
    for study in quick_result["studies"].values():
        for order, slopes in study["slopes"].items():
            assert slopes[ERROR] == pytest.approx(int(order) + 1, abs=0.6)
            assert study["local_slopes"][order] == [pytest.approx(slopes[ERROR])]


@pytest.mark.slow
def test_slopes_of_all_quick_studies():
    result = run_validation(quick=True)
    assert result["misses"] == []
    assert set(result["studies"]) == {name for name, study in STUDIES.items() if study.quick}


@pytest.mark.parametrize("term", ["metric", "band_normalized_metric", "moyal"])
def test_a_term_left_out_is_a_missed_slope(term):
    """H0(k) + U(x) in two dimensions without field: each term of second order is worth one in the slope."""
    study = STUDIES["potential_in_field"]
    overrides = ["grid.magnetic_field=0.0", "grid.n_x=[20]", "grid.n_k=[32, 16]"]
    whole = run_study(study, overrides=overrides, quick=True)
    broken = run_study(study, overrides=[f"equation.terms.{term}=false", *overrides], quick=True)
    assert broken["slopes"]["2"][ERROR] < 2.3 < whole["slopes"]["2"][ERROR]
    assert any("order 2" in miss for miss in missed_slopes({"broken": broken}))


def test_judging_slopes():
    def study(*slopes):
        return {"slopes": {str(order): {ERROR: slope} for order, slope in enumerate(slopes)}}

    assert missed_slopes({"a": study(1.1, 2.1, 2.8)}) == []
    assert missed_slopes({"a": study(1.0, 2.0, 2.7)}) == ["a, order 2: slope 2.70 instead of 3"]
    assert missed_slopes({"a": study(1.0, 1.5, 3.0)}) == ["a, order 1: slope 1.50 instead of 2"]
    assert missed_slopes({"a": study(1.5, 2.5, 3.5)}, quick=True) == []
    assert len(missed_slopes({"a": study(float("nan"), 2, 3)})) == 1


def test_table_and_figure(quick_result, tmp_path):
    table = validation_table(quick_result)
    lines = table.splitlines()
    assert len(lines) == 2 + 3 * len(CHEAP)
    assert {line.count("|") for line in lines} == {9}
    assert STUDIES["texture"].title in lines[2]
    assert "(x; kx, ky)" in table
    assert f"**{quick_result['studies']['texture']['slopes']['2'][ERROR]:.2f}**" in lines[4]
    figure = plot_validation(quick_result)
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert len([title for title in titles if title]) == len(CHEAP)
    assert save_figure(figure, tmp_path / "v.png").stat().st_size > 10_000
    json.dumps(quick_result)
    with pytest.raises(CaseError, match="no study"):
        plot_validation({"studies": {}})


def test_the_command_writes_three_files(tmp_path, capsys):
    output = tmp_path / "out"
    arguments = ["bench", "--suite", "validation", "--quick", "--studies", "texture", "--output", str(output)]
    assert cli.main(arguments) == 0
    assert sorted(file.name for file in output.iterdir()) == [
        "validation.json",
        "validation.png",
        "validation_table.md",
    ]
    assert "local slopes" in capsys.readouterr().out
    stored = json.loads((output / "validation.json").read_text())
    assert stored["quick"] is True
    assert cli.main(arguments) == 0  # replaces its own files


def test_unknown_studies_are_named(capsys):
    with pytest.raises(CaseError, match="did you mean 'texture'"):
        run_validation(["textur"])
    assert cli.main(["bench", "--studies", "nothing"]) == 2
    assert "unknown validation study" in capsys.readouterr().err


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_a_case_and_its_dilations_fit(name):
    study = STUDIES[name]
    problem = build_problem(Case.from_dict(study.case))
    assert len(study.dilations) >= 3
    for dilations in (study.dilations, study.quick or ()):
        assert list(dilations) == sorted(dilations)
        assert whole_site_dilations(problem, dilations) == pytest.approx(list(dilations), abs=1e-9)


def test_the_studies_cover_what_is_claimed():
    cases = {name: Case.from_dict(study.case) for name, study in STUDIES.items()}
    axes = {(len(case.grid.sites), len(case.grid.n_k)) for case in cases.values()}
    assert axes >= {(1, 1), (1, 2), (2, 2), (1, 3)}
    problems = {name: build_problem(case) for name, case in cases.items()}
    assert problems["driven"].hamiltonian.time_dependent
    assert problems["force"].hamiltonian.force_varies
    assert problems["potential_in_field"].hamiltonian.separable
    assert not problems["stripe_in_field"].hamiltonian.separable
    assert problems["haldane"].hamiltonian.orbital_positions.any()
    assert STUDIES["thermal"].start == "case"
    assert max(d * 24 for d in STUDIES["stripe_in_field"].dilations) >= 80
