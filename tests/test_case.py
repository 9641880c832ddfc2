"""Case files: defaults, round trip, and one clear sentence for whatever is wrong."""

# ruff: noqa: E501  (whole sentences are compared)

import re
import tomllib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from wigner_sim.case import Case, Reference, case_keys, load_case
from wigner_sim.case.sections.grid import fft_friendly
from wigner_sim.case.toml_text import emit_value, line_of
from wigner_sim.errors import CaseError

TOML = """\
title = "a texture"

[grid]
sites = [24]

[hamiltonian]
source = "named:rice_mele"
parameters = { hopping = 1, dimerisation = "0.3*cos(2*pi*x/L)", angles = [1, 2.5, "x"] }

[equation]
order = 2
terms = { berry = true, metric = false }

[initial_state]
kind = "gaussian"
width_x = 2
width_k = [0.3]

[time]
end = 4
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write ``cases/foo/case.toml`` and return its relative path."""
    monkeypatch.chdir(tmp_path)

    def write_text(text, name="foo"):
        directory = tmp_path / "cases" / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "case.toml").write_text(text, encoding="utf-8")
        return f"cases/{name}/case.toml"

    return write_text


def message(path):
    with pytest.raises(CaseError) as caught:
        Case.from_toml(path)
    return str(caught.value)


def test_defaults_follow_from_other_keys(write):
    case = Case.from_toml(write(TOML))
    assert case.grid.n_x == (32,)
    assert case.grid.n_k == (64,)
    assert case.initial_state.center_x == (12.0,)
    assert case.initial_state.center_k == (0.0,)
    assert (case.output.scalars_every, case.output.fields_every, case.output.phase_every) == (
        0.02,
        0.04,
        0.08,
    )
    assert case.bands.select == (0,)
    assert case.equation.terms.berry
    assert not case.equation.terms.metric
    assert case.name == "foo"


@pytest.mark.parametrize(
    ("minimum", "chosen"), [(1, 2), (32, 32), (33, 36), (37, 40), (81, 84), (127, 128), (11, 12)]
)
def test_fft_friendly(minimum, chosen):
    assert fft_friendly(minimum) == chosen


def test_resolved_case_round_trips_exactly(write):
    case = Case.from_toml(write(TOML))
    again = Case.from_toml(write(case.to_toml(), "resolved"))
    assert again == case
    assert again.to_toml() == case.to_toml()
    assert Case.from_dict(case.to_dict()) == case
    assert case != case.with_overrides(["time.end=5"])


def test_case_is_frozen(write):
    case = Case.from_toml(write(TOML))
    with pytest.raises(Exception, match="frozen"):
        case.time.end = 5.0


def test_unknown_key_names_file_line_section_and_nearest_key(write):
    text = TOML.replace("order", "oder")
    assert (
        message(write(text))
        == 'cases/foo/case.toml line 11: unknown key "oder" in [equation]; did you mean "order"?'
    )


# (text in TOML, what replaces it, the whole sentence after "cases/foo/case.toml")
WRONG = [
    ("[grid]", "[gird]", ' line 3: unknown section or key "gird"; did you mean "grid"?'),
    ("metric = ", "mteric = ", ' line 12: unknown key "mteric" in [equation.terms]; did you mean "metric"?'),
    ("end = 4", "end = 4\nsites = [3]", ' line 21: unknown key "sites" in [time]; it belongs to [grid]'),
    (
        "width_k",
        "mu",
        ' line 17: unknown key "mu" in [initial_state]; '
        "known: kind, center_x, center_k, width_x, width_k, amplitude",
    ),
    ("sites = [24]", "", ' line 3: [grid] needs the key "sites" (a list of up to three positive integers)'),
    ("[time]\nend = 4", "", ": section [time] is missing"),
    ("end = 4", "end = -4", " line 20: [time] end: expected a number > 0, got -4"),
    ("end = 4", "end = 1979-05-27", " line 20: [time] end: expected a number > 0, got 1979-05-27"),
    ("end = 4", "end = nan", " line 20: [time] end: expected a number > 0, got nan"),
    ("order = 2", 'order = "two"', ' line 11: [equation] order: expected 0, 1 or 2, got "two"'),
    ("order = 2", "order = 3", " line 11: [equation] order: expected 0, 1 or 2, got 3"),
    (
        "[24]",
        "[24, 0]",
        " line 4: [grid] sites: expected a list of up to three positive integers, got [24, 0]",
    ),
    ("[24]", "[24]\nn_x = [64, 64]", " line 5: [grid] n_x: expected as many entries as sites has (1), got 2"),
    ("[24]", "[24]\nn_k = []", " line 5: [grid] n_k: expected one entry per momentum axis, at least 1, got 0"),
    ("[24]", "[24]\nmagnetic_field = 0.1", " line 5: [grid] magnetic_field: expected 0 in one dimension"),
    ("width_x = 2", "width_x = [2, 3]", " line 16: [initial_state] width_x: expected one number per position axis (1), got 2"),
    ("end = 4", "end = 4\nstepper = 'rk5'", ' line 21: [time] stepper: expected "auto", "rk4", "strang" or "blanes_moan4", got "rk5"; did you mean "rk4"?'),
    ("end = 4", "end = 4\n[output]\nphase_every = {stesp = 3}", ' line 22: [output] phase_every: expected a time > 0, {steps = n} or "never", got { stesp = 3 }'),
    ("named:", "", ' line 7: [hamiltonian] source: expected "named:MODEL", "python:FILE.py:FUNCTION", "callable:MODULE:FUNCTION", "tight_binding", "terms", "wannier90:FILE", "pythtb:FILE.py:NAME" or "tbmodels:FILE", got "rice_mele"'),
    ('"gaussian"', '"gausian"', ' line 15: [initial_state] kind: expected one of "symbol", "gaussian", "thermal", "thermal_bump", "from_run", got "gausian"; did you mean "gaussian"?'),
    ("[grid]\nsites = [24]", "grid = 3", " line 3: grid: expected a table, got 3"),
    ("end = 4", "end = 4,", " line 20 column 8: not valid TOML: Expected newline or end of document after a statement"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), WRONG)
def test_one_sentence_per_mistake(write, old, new, sentence):
    assert old in TOML
    assert message(write(TOML.replace(old, new, 1))) == "cases/foo/case.toml" + sentence


@pytest.mark.parametrize(
    ("section", "good"),
    [
        (
            "output",
            {"scalars_every": {"steps": 3}, "phase_every": "never", "checkpoint_every": {"wall_seconds": 5}},
        ),
        ("bands", {"select": "all"}),
        ("bands", {"select": [2, 0]}),
        ("equation", {"moyal_filter": "bounded", "dealias": "smooth", "order": 0}),
        ("grid", {"sites": [24], "n_k": [32, 32], "magnetic_field": 0.1}),
        ("grid", {"sites": [], "n_k": [32, 32, 16], "magnetic_field": [0.1, 0.0, 0.0]}),
        ("initial_state", {"kind": "symbol", "c": ["exp(cos(k))", 0.5, "array:c.npy"]}),
        ("initial_state", {"kind": "thermal", "mu": "cos(x)", "temperature": 0.1}),
        ("initial_state", {"kind": "from_run", "run": "../bar"}),
        ("monitors", {"energy_drift": "off", "action": "stop"}),
    ],
)
def test_other_spellings_are_accepted_and_round_trip(write, section, good):
    data = Case.from_toml(write(TOML)).to_dict()
    data["initial_state"] = {"kind": "symbol", "c": 1.0}
    case = Case.from_dict(data | {section: good})
    assert Case.from_toml(write(case.to_toml(), "again")) == case


@pytest.mark.parametrize(
    ("section", "bad"),
    [
        ("output", {"scalars_every": {"wall_seconds": 3}}),
        ("output", {"scalars_every": {"steps": 2.5}}),
        ("output", {"scalars_every": True}),
        ("output", {"scalars_every": 0}),
        ("bands", {"select": [0, 0]}),
        ("bands", {"select": []}),
        ("equation", {"order": True}),
        ("equation", {"order": 2.0}),
        ("grid", {"sites": [24], "n_k": [32, 32], "magnetic_field": [0.1, 0.0, 0.0]}),
        ("grid", {"sites": [24], "n_k": [8, 8, 8], "magnetic_field": 0.1}),
        ("grid", {"sites": [24], "n_x": [2]}),
        ("initial_state", {"kind": "symbol", "c": "array:c.txt"}),
        ("initial_state", {"kind": "thermal", "temperature": -1}),
        ("initial_state", {"kind": "from_run", "run": "a", "time": -2}),
        ("time", {"end": "4"}),
        ("time", {"end": 10**400}),
        ("hamiltonian", {"source": "named:a", "parameters": {"a": float("inf")}}),
    ],
)
def test_bad_values_are_refused(write, section, bad):
    data = Case.from_toml(write(TOML)).to_dict()
    with pytest.raises(CaseError, match=rf"^case: \[{section}\] \w+: expected .+"):
        Case.from_dict(data | {section: bad})


def test_overrides_are_recorded_and_rework_what_follows_from_them(write):
    case = Case.from_toml(write(TOML)).with_overrides(
        ["equation.order=1", "grid.sites=[100]", "title=two words"]
    )
    assert case.equation.order == 1
    assert case.grid.n_x == (100,)
    assert case.title == "two words"
    assert case.overrides == ("equation.order=1", "grid.sites=[100]", "title=two words")
    assert "# set on the command line: equation.order=1\n" in case.to_toml()
    assert case.source_text == TOML
    assert case.with_overrides(["time.end=8"]).overrides[-1] == "time.end=8"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("equation.oder=1", '--set equation.oder=1: unknown key "oder" in [equation]; did you mean "order"?'),
        ("equation.order", "--set equation.order: expected section.key=value"),
        ("title.x=1", "--set title.x=1: title is not a table"),
        ("time.end=-1", "--set time.end=-1: [time] end: expected a number > 0, got -1"),
    ],
)
def test_wrong_override_is_named(write, override, sentence):
    with pytest.raises(CaseError) as caught:
        Case.from_toml(write(TOML)).with_overrides([override])
    assert str(caught.value) == sentence


def test_load_case_takes_file_or_directory_and_suggests_the_nearest(write):
    path = write(TOML, "texture_1d")
    write(TOML, "bloch")
    assert load_case("cases/texture_1d") == load_case(path)
    with pytest.raises(CaseError) as caught:
        load_case("cases/textur_1d")
    assert str(caught.value) == "cases/textur_1d: no such case; did you mean cases/texture_1d?"
    with pytest.raises(CaseError, match=r"did you mean cases/bloch\?"):
        load_case("block")
    with pytest.raises(CaseError, match=r"^cases: no case.toml in this directory"):
        load_case("cases")


def test_unreadable_files(tmp_path):
    (tmp_path / "case.toml").write_bytes(b"title = '\xff'")
    with pytest.raises(CaseError, match=r"not UTF-8 text \(byte 9\)"):
        load_case(tmp_path)
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
    with pytest.raises(CaseError, match="not valid TOML"):
        load_case(tmp_path / "deep.toml")
    with pytest.raises(CaseError, match="cannot be read"):
        Case.from_toml(tmp_path / "absent.toml")


def test_references_are_found_everywhere(write):
    text = TOML.replace('"named:rice_mele"', '"python:../model.py:symbol"').replace(
        '"x"]', '"array:angles.npy"]'
    )
    case = Case.from_toml(write(text))
    assert case.references() == (
        Reference("python", "../model.py", "symbol"),
        Reference("array", "angles.npy"),
    )
    with pytest.raises(CaseError, match=r"cases/foo/case.toml: python:../model.py:symbol: no file"):
        case.reference_path(case.references()[0])


def test_every_key_has_a_default_a_range_and_a_meaning():
    keys = list(case_keys())
    assert len({(key.section, key.name, key.kind) for key in keys}) == len(keys) > 40
    for key in keys:
        assert key.description
        assert key.expected
        assert key.default
    order = next(key for key in keys if (key.section, key.name) == ("equation", "order"))
    assert (order.default, order.expected) == ("2", "0, 1 or 2")


def test_line_of_sees_dotted_keys_and_not_the_inside_of_strings():
    text = 'a = """\nb = 1\n"""\n[s]\nb.c = 2\n"d e" = 3\n[[t]]\nb = 4\n'
    assert line_of(text, ("b",)) is None
    assert line_of(text, ("s", "b", "c")) == 5
    assert line_of(text, ("s", "d e")) == 6
    assert line_of(text, ("s", "absent")) == 4
    assert line_of(text, ("t", "b")) == 8


LETTERS = st.characters(exclude_categories=["Cs"])
SINGLE_VALUES = st.booleans() | st.integers() | st.floats(-1e290, 1e290) | st.text(LETTERS)


def lists_and_tables(inner):
    return st.lists(inner) | st.dictionaries(st.text(LETTERS, min_size=1), inner)


@given(st.recursive(SINGLE_VALUES, lists_and_tables, max_leaves=8))
@settings(max_examples=100, deadline=None)
def test_emitted_values_read_back(value):
    assert tomllib.loads(f"v = {emit_value(value)}")["v"] == value


WORDS = st.sampled_from(
    ["order", "=", "[", "]", "{", "}", '"', "'", "\n", ".", ",", "0", "-1", "1e400", "nan", "true", "[grid]", "[[time]]",
     "1979-05-27", "kind", "sites", "é", "\x00", "#", "{}", "[]", '"""', "9" * 5000, "select", "python::", " = 1\n"]
)  # fmt: skip


@given(cuts=st.lists(st.tuples(st.integers(0, len(TOML)), st.integers(0, 12), WORDS), min_size=1, max_size=4))
@example(cuts=[(TOML.index("24"), 2, "9" * 5000)])
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_files_give_a_case_or_a_case_error(tmp_path_factory, cuts):
    text = TOML
    for place, length, word in cuts:
        text = text[:place] + word + text[place + length :]
    path = tmp_path_factory.getbasetemp() / "mutated.toml"
    path.write_text(text, encoding="utf-8")
    try:
        case = Case.from_toml(path)
    except CaseError as error:
        sentence = str(error)
    else:
        sentence = ""
        path.write_text(case.to_toml(), encoding="utf-8")
        assert Case.from_toml(path) == case
    if sentence:
        assert sentence.startswith(str(path))
        assert "\n" not in re.sub(r"got .*", "", sentence, flags=re.S)
