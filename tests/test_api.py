"""From Python: cases with functions in them, and every verb as a function."""

import inspect
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest
from test_simulation import interrupted_after
from tiny_cases import CHAIN, assert_identical, changed, environment, make_case, stored

import wigner_sim
from wigner_sim.case import Case
from wigner_sim.cli.verbs import VERBS
from wigner_sim.errors import CaseError, InterruptedRunError
from wigner_sim.models.callables import callable_reference, find_callable
from wigner_sim.simulation import check, resume, run
from wigner_sim.sweeps import sweep

GRID = {"sites": [8], "n_x": [16], "n_k": [16]}
SX, SZ = np.array([[0, 1], [1, 0]]), np.array([[1, 0], [0, -1]])
OUTPUT = CHAIN["output"]


def module_hamiltonian(x, k, mass=0.8):
    """Found again by name, as this module can be imported."""
    x, k = np.broadcast_arrays(x[0], k[0])
    parts = (np.sin(k) + 0.1 * np.cos(np.pi * x / 4), mass + 1 - np.cos(k))
    return sum(part[..., None, None] * matrix for part, matrix in zip(parts, (SX, SZ), strict=True))


def potential(x):
    return 0.2 * np.cos(np.pi * x[0] / 4)


def occupation(x, k):
    return np.exp(np.cos(np.pi * x[0] / 4) + 0.5 * np.sin(k[0]))


def built(directory, **changes):
    given = {
        "grid": GRID,
        "hamiltonian": CHAIN["hamiltonian"],
        "initial_state": "1",
        "time": 0.5,
        "output": OUTPUT,
    }
    return Case.build(**{**given, **changes}, directory=directory)


# --- cases ---


def test_keywords_and_dictionaries_make_the_same_case(tmp_path):
    by_keyword = Case.build(
        grid=CHAIN["grid"],
        hamiltonian=CHAIN["hamiltonian"],
        initial_state=CHAIN["initial_state"]["c"],
        time=1.0,
        directory=tmp_path,
        **{name: CHAIN[name] for name in ("title", "output", "monitors")},
    )
    assert by_keyword == make_case(tmp_path, CHAIN)
    assert by_keyword.directory == tmp_path


def test_mistakes_are_sentences_here_too(tmp_path):
    with pytest.raises(CaseError, match='unknown section or key "gird"'):
        built(tmp_path, gird={})
    with pytest.raises(CaseError, match=r"\[time\] end: expected a number > 0"):
        built(tmp_path, time=-1)
    with pytest.raises(CaseError, match=r"\[time\] end: expected a number > 0"):
        built(tmp_path, time=potential)


def test_functions_are_the_same_as_the_formulas(tmp_path):
    formulas = make_case(tmp_path / "a", CHAIN, time__end=0.5)
    section = CHAIN["hamiltonian"] | {"potential": potential}
    functions = built(
        tmp_path / "b", hamiltonian=section, initial_state=occupation, monitors=CHAIN["monitors"]
    )
    first, second = (run(case).phase["f"].values for case in (formulas, functions))
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-12)


def test_the_kinds_of_functions_that_may_be_a_hamiltonian(tmp_path):
    class Model:
        def __init__(self, mass):
            self.mass = mass

        def matrix(self, x, k):
            return module_hamiltonian(x, k, self.mass)

    runs = []
    for number, function in enumerate(
        (module_hamiltonian, lambda x, k: module_hamiltonian(x, k), Model(0.8).matrix)
    ):
        case = built(tmp_path / str(number), hamiltonian=function)
        runs.append(run(case).phase["f"].values)
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])
    with_mass = built(tmp_path / "m", hamiltonian={"source": module_hamiltonian, "parameters": {"mass": 1.2}})
    assert np.abs(run(with_mass).phase["f"].values - runs[0]).max() > 1e-4


def test_functions_of_time_are_driven(tmp_path):
    prepared = check(
        built(tmp_path, hamiltonian=CHAIN["hamiltonian"] | {"potential": lambda x, t: t * potential(x)})
    )
    assert prepared.problem.hamiltonian.driven
    assert not check(built(tmp_path, hamiltonian=module_hamiltonian)).problem.hamiltonian.driven


def test_what_a_function_may_not_do(tmp_path):
    with pytest.raises(CaseError, match="function <lambda> must take k"):
        check(built(tmp_path, hamiltonian=lambda x: np.eye(2)))
    with pytest.raises(CaseError, match=r"function <lambda> raised ZeroDivisionError"):
        check(built(tmp_path, hamiltonian=lambda k: np.eye(2) / (1 // 0)))
    with pytest.raises(CaseError, match="callable:test_api:potential"):
        check(built(tmp_path, hamiltonian=CHAIN["hamiltonian"] | {"parameters": {"delta": potential}}))


# --- references ---


def test_functions_are_found_again(tmp_path):
    local = lambda k: k  # noqa: E731
    assert callable_reference(module_hamiltonian) == f"callable:{__name__}:module_hamiltonian"
    assert callable_reference(np.sin).endswith("sin")
    reference = callable_reference(local)
    assert reference.startswith("callable::test_functions_are_found_again.<locals>.<lambda>#")
    assert callable_reference(local) == reference != callable_reference(lambda k: 2 * k)
    for function in (module_hamiltonian, local):
        assert find_callable(callable_reference(function)) is function
    with pytest.raises(CaseError, match="the module nowhere of callable:nowhere:f cannot be imported"):
        find_callable("callable:nowhere:f")
    with pytest.raises(CaseError, match="the module math has no function 'sine'"):
        find_callable("callable:math:sine")
    with pytest.raises(CaseError, match="the function h was given in another Python session"):
        find_callable("callable::h#99")


# --- runs ---


def test_a_run_of_functions_is_resumed_in_the_session_or_with_the_functions(tmp_path, monkeypatch):
    def hamiltonian(x, k):
        return module_hamiltonian(x, k)

    case = built(tmp_path, hamiltonian=hamiltonian, initial_state=occupation)
    assert case.session_functions() == ("hamiltonian.source",)
    whole = stored(run(case))
    for given in (None, {"hamiltonian.source": hamiltonian}):
        with interrupted_after(2, monkeypatch), pytest.raises(InterruptedRunError):
            run(case)
        if given:
            monkeypatch.setattr("wigner_sim.models.callables._SESSION", {})
            with pytest.raises(CaseError, match="was given in another Python session"):
                resume(tmp_path)
        assert_identical(whole, stored(resume(tmp_path, functions=given)))
    recorded = wigner_sim.open_run(tmp_path).scalars.attrs["python_functions"]
    assert recorded.startswith(
        "# hamiltonian.source\ndef hamiltonian(x, k):\n    return module_hamiltonian(x, k)"
    )
    assert "# initial_state.c\ndef occupation(x, k):" in recorded
    log = (tmp_path / "runs" / "0001" / "run.log").read_text()
    assert "hamiltonian.source is a function of this Python session" in log
    assert "initial_state.c is" not in log  # that one can be imported


def test_a_run_of_functions_of_a_module_resumes_in_another_process(tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text("import numpy as np\ndef u(x): return 0.2*np.cos(np.pi*x[0]/4)\n")
    monkeypatch.syspath_prepend(tmp_path)
    import my_models

    case = built(tmp_path / "a", hamiltonian=CHAIN["hamiltonian"] | {"potential": my_models.u})
    assert case.session_functions() == ()
    whole = stored(run(case))
    with interrupted_after(1, monkeypatch), pytest.raises(InterruptedRunError):
        run(case)
    command = [sys.executable, "-m", "wigner_sim", "resume", str(tmp_path / "a"), "--quiet"]
    without = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, cwd="/")
    assert without.returncode == 2
    assert "the module my_models" in without.stderr
    paths = environment()["PYTHONPATH"] + f":{tmp_path}"
    subprocess.run(command, env=environment() | {"PYTHONPATH": paths}, check=True, capture_output=True)
    assert_identical(whole, stored(wigner_sim.open_run(tmp_path / "a")))


def test_a_sweep_of_functions(tmp_path):
    parameters = {"source": lambda x, k, mass: module_hamiltonian(x, k, mass), "parameters": {"mass": 0.8}}
    section = {"values": {"hamiltonian.parameters.mass": [0.8, 1.0]}}
    case = built(tmp_path, hamiltonian=parameters, sweep=section, time=0.1)
    with pytest.raises(CaseError, match="which other processes do not know: use workers = 1"):
        sweep(case, workers=2)
    assert not (tmp_path / "sweeps").exists()
    assert sweep(case).failed == {}


def test_callables_may_be_swept(tmp_path):
    values = {"hamiltonian.potential": [potential, 0.0]}
    done = sweep(built(tmp_path, sweep={"values": values}, time=0.1))
    assert done.failed == {}
    assert list(done.dataset["potential"].values) == [f"callable:{__name__}:potential", "0.0"]


# --- the package ---


def test_every_verb_has_its_function():
    functions = {
        "new": "new_case", "status": "status_report", "movie": "make_movie", "plot": "plot_run", "bench": "",
        "view": "make_viewer", "import": "import_model",
    }  # fmt: skip
    for verb in VERBS:
        name = functions.get(verb.name, verb.name)
        assert not name or name in wigner_sim.__all__, verb.name


def test_public_functions_are_typed():
    assert resources.files("wigner_sim").joinpath("py.typed").is_file()
    for name in wigner_sim.__all__:
        thing = getattr(wigner_sim, name)
        if inspect.isfunction(thing):
            signature = inspect.signature(thing)
            assert signature.return_annotation is not inspect.Signature.empty, name
            assert all(each.annotation is not each.empty for each in signature.parameters.values()), name


def test_overrides_of_a_case_with_functions(tmp_path):
    case = built(tmp_path, hamiltonian=module_hamiltonian).with_overrides(["time.end=0.1"])
    assert run(case).status["time"] == 0.1
    data = changed(case.to_dict(), {"time.end": 0.2})
    assert run(Case.from_dict(data, tmp_path / "case.toml")).status["time"] == 0.2
