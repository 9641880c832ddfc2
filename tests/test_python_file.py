"""Hamiltonians that are functions of a Python file beside the case."""

import numpy as np
import pytest
from model_points import same

from wigner_sim.errors import CaseError
from wigner_sim.models import build_hamiltonian

CHAIN = """
import numpy as np
ORBITAL_POSITIONS = [[0.0], [0.5]]

def chain(x, k, t, mass=0.3, t2=0.6, drive=0.0):
    delta = mass*np.cos(2*np.pi*x[0]/24.0) + drive*np.sin(t)
    h = t1(k[0], t2) + 0*delta
    row = [np.stack([delta + 0*h, h], -1), np.stack([h.conj(), -delta + 0*h], -1)]
    return np.stack(row, -2)

def t1(k, t2):
    return np.exp(0.5j*k) + t2*np.exp(-0.5j*k)

def static(x, k, t):
    return chain(x, k, 0.0)

def bands(k, t2):
    h = t1(k[0], t2)
    return np.stack([np.stack([0*h, h], -1), np.stack([h.conj(), 0*h], -1)], -2)

def not_hermitian(k):
    return bands(k, 0.6) + np.array([[0, 1], [0, 0]])

def not_periodic(k):
    return bands(k, 0.6) + k[0][..., None, None]*np.eye(2)

def not_periodic_in_x(x, k, t):
    return bands(k, 0.6) + x[0][..., None, None]*np.eye(2)

def infinite(k):
    return bands(k, 0.6)*np.inf**0 + np.array([[np.inf, 0], [0, 0]])

def flat(k):
    return np.cos(k[0])

def scalar_loop(k):
    return np.array([[float(k[0])]])

def no_momentum(x, t):
    return np.eye(2)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "chain.py").write_text(CHAIN)
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "frozen.py").write_text(
        "import numpy as np\nTIME_DEPENDENT = False\n"
        "def f(k, t):\n    return np.cos(k[0] + t)[..., None, None]\n"
    )
    return tmp_path


def test_python_hamiltonian_is_rice_mele(folder):
    user = build_hamiltonian("python:chain.py:chain", {"mass": 0.25}, None, 1, 1, (24.0,), folder)
    named = build_hamiltonian(
        "rice_mele", {"delta": "0.25*cos(2*pi*x/L)", "orbital_positions": [0, 0.5]}, None, 1, 1, (24.0,)
    )
    same(user, named)
    np.testing.assert_array_equal(user.orbital_positions, [[0.0], [0.5]])
    assert user.time_dependent
    assert not user.separable


def test_python_separable_pair(folder):
    user = build_hamiltonian("python:chain.py:bands", {"t2": 0.6}, "0.2*cos(2*pi*x/L)", 1, 1, (24.0,), folder)
    named = build_hamiltonian(
        "ssh", {"orbital_positions": [0, 0.5]}, "0.2*cos(2*pi*x/L)", 1, 1, (24.0,), folder
    )
    assert user.separable
    assert not user.time_dependent
    same(user, named)
    assert user.matrix(np.zeros((1, 3, 1)), np.zeros((1, 1, 4)), 0.0).shape == (3, 4, 2, 2)


def test_python_function_that_ignores_time(folder):
    assert not build_hamiltonian("python:chain.py:static", {}, None, 1, 1, (24.0,), folder).time_dependent


@pytest.mark.parametrize(
    ("source", "parameters", "message"),
    [
        ("python:chains.py:chain", {}, "no python file .*chains.py: did you mean 'chain.py'"),
        ("python:chain.py:chian", {}, "has no function 'chian': did you mean 'chain'"),
        ("python:chain.py", {}, "must read python:FILE.py:FUNCTION"),
        ("python:broken.py:f", {}, "cannot be imported: SyntaxError"),
        ("python:chain.py:chain", {"mas": 1.0}, "has no parameter 'mas': did you mean 'mass'"),
        ("python:chain.py:chain", {"t": 1.0}, "has no parameter 't'"),
        ("python:chain.py:bands", {}, "needs the parameter 't2'"),
        ("python:chain.py:chain", {"mass": "a"}, "function chain raised"),
        ("python:chain.py:no_momentum", {}, "function no_momentum must take k"),
        ("python:chain.py:flat", {}, r"must return numbers of shape \(3, 4, n, n\)"),
        ("python:chain.py:scalar_loop", {}, "function scalar_loop raised TypeError"),
        ("python:chain.py:not_hermitian", {}, r"is not Hermitian: H\[0, 1\]"),
        ("python:chain.py:not_periodic", {}, "is not periodic in kx"),
        ("python:chain.py:not_periodic_in_x", {}, "is not periodic in x over the length 24"),
        ("python:chain.py:infinite", {}, "is not finite"),
        ("python:frozen.py:f", {}, "changes with t although"),
    ],
)
def test_python_errors(folder, source, parameters, message):
    with pytest.raises(CaseError, match=message) as raised:
        build_hamiltonian(source, parameters, None, 1, 1, (24.0,), folder)
    assert raised.value.exit_code == 2
    assert len(str(raised.value).splitlines()) == 1
