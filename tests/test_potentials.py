"""Potentials: formulas, samples and files say the same; what is wrong with one is said."""

import numpy as np
import pytest
from model_points import points

from wigner_sim.errors import CaseError
from wigner_sim.models import build_hamiltonian, read_potential
from wigner_sim.models.setting import Setting


@pytest.mark.parametrize(("n", "batch"), [((8, 9), (5, 1)), ((7, 6), (5000,))])
def test_sampled_potential_is_fourier_interpolated(n, batch):
    """Exact for a band-limited function, on product grids and on scattered points."""
    lengths = (24.0, 18.0)
    setting = Setting(2, lengths)

    def smooth(x, y):
        return np.cos(2 * np.pi * x / 24 + 0.3) * (1 + np.sin(4 * np.pi * y / 18)) + np.cos(
            4 * np.pi * x / 24
        )

    grid = np.meshgrid(
        *(np.arange(m) * length / m for m, length in zip(n, lengths, strict=True)), indexing="ij"
    )
    potential = read_potential(smooth(*grid), setting)
    rng = np.random.default_rng(2)
    x = rng.uniform(-30, 30, size=(2, *batch))
    np.testing.assert_allclose(potential(x, 0.0), smooth(*x), atol=1e-12)
    assert not potential.time_dependent


def test_nyquist_wave_is_a_cosine():
    potential = read_potential([1.0, -1.0, 1.0, -1.0], Setting(1, (4.0,)))
    x = np.linspace(0, 4, 9)
    np.testing.assert_allclose(potential(x[None], 0.0), np.cos(np.pi * x), atol=1e-14)
    board = read_potential(np.array([[1.0, -1.0], [-1.0, 1.0]]), Setting(2, (2.0, 2.0)))
    product = np.cos(np.pi * x) * np.cos(0.7 * np.pi * x)
    np.testing.assert_allclose(board(np.array([x, 0.7 * x]), 0.0), product, atol=1e-14)


def test_potential_sources_agree(tmp_path):
    x = np.arange(32) * 24.0 / 32
    values = 0.4 * np.cos(2 * np.pi * x / 24)
    np.save(tmp_path / "u.npy", values)
    (tmp_path / "u.py").write_text(
        "import numpy as np\ndef cosine(x, L, depth=0.4):\n    return depth*np.cos(2*np.pi*x[0]/L)\n"
    )
    sources = [
        "0.4*cos(2*pi*x/L)",
        {"source": "depth*cos(2*pi*x/L)", "depth": 0.4},
        "u.npy",
        values,
        "python:u.py:cosine",
        {"source": "python:u.py:cosine", "depth": 0.4},
        lambda x, t: 0.4 * np.cos(2 * np.pi * x[0] / 24),
    ]
    x, k = points(1, 1)
    for source in sources:
        hamiltonian = build_hamiltonian("ssh", {}, source, 1, 1, (24.0,), tmp_path)
        assert hamiltonian.separable
        assert hamiltonian.time_dependent == callable(source)
        np.testing.assert_allclose(
            hamiltonian.potential(x, 0.0), 0.4 * np.cos(2 * np.pi * x[0] / 24), atol=1e-13
        )
        bare = build_hamiltonian("ssh", {}, None, 1, 1, (24.0,))
        shift = hamiltonian.matrix(x, k, 0.0) - bare.matrix(x, k, 0.0)
        np.testing.assert_allclose(shift[..., 1, 1], hamiltonian.potential(x, 0.0) + 0 * k[0], atol=1e-13)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("v.npy", "no potential file .*v.npy: did you mean 'u.npy'"),
        ("bad.npy", "cannot be read as an array"),
        (np.zeros((4, 4)), "has 2 axes, the case has 1 position axes"),
        ([1.0, np.nan, 0.0], "not finite"),
        ([1.0, 2j, 0.0], "must hold real numbers"),
        ("python:u.py:matrix", "must return real numbers of shape"),
        ("cos(2*pi*x/M)", "potential .*unknown name 'M'"),
        ({"depth": 1.0}, "needs an entry 'source'"),
        ("0.1*x", "model 'ssh' with its potential is not periodic in x"),
    ],
)
def test_potential_errors(tmp_path, source, message):
    np.save(tmp_path / "u.npy", np.zeros(4))
    (tmp_path / "bad.npy").write_text("no array")
    (tmp_path / "u.py").write_text("import numpy as np\ndef matrix(x, t):\n    return np.eye(2)\n")
    with pytest.raises(CaseError, match=message):
        build_hamiltonian("ssh", {}, source, 1, 1, (24.0,), tmp_path)
