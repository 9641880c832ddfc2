"""Models: identities that hold for every table entry, known spectra, refused parameters."""

import numpy as np
import pytest
from model_points import LENGTHS, points

from wigner_sim.errors import CaseError
from wigner_sim.models import MODELS, build_hamiltonian
from wigner_sim.models.named import NAMED_MODELS

#: structured parameters for the table entries that have no defaults
STRUCTURED = {
    "tight_binding": {
        "hoppings": [[0, 0, 1, "1 + 0.3*cos(2*pi*x/L)"], [1, 1, 0, [0.4, "0.2*sin(2*pi*x/L)"]]],
        "onsite": [0.2, -0.2],
        "orbital_positions": [0, 0.4],
    },
    "terms": {
        "terms": [
            {"x": "cos(2*pi*x/L)", "k": "cos(k)", "matrix": "sigma_x"},
            {"k": "sin(kx)", "matrix": "sigma_y"},
            {"x": "1 + 0.1*sin(t)", "matrix": [[1, "0.2j"], ["-0.2j", -1]]},
        ]
    },
}


def _table():
    """Every model in every dimension, with constant and with position-dependent parameters."""
    for name in MODELS:
        if name in STRUCTURED:
            yield name, 1, STRUCTURED[name]
            continue
        for d in NAMED_MODELS[name].functions:
            defaults = NAMED_MODELS[name].defaults
            yield name, d, {}
            yield name, d, {key: f"{value} + 0.1*cos(2*pi*x/L)*sin(t)" for key, value in defaults.items()}


def _energies(hamiltonian, *k):
    """Band energies at one momentum (no position axis)."""
    return np.linalg.eigvalsh(hamiltonian.matrix(np.zeros((0,)), np.array(k, dtype=float), 0.0))


@pytest.mark.parametrize(("name", "d", "parameters"), list(_table()))
def test_hermitian_and_periodic(name, d, parameters):
    """H = H^+, and H(k + G) = V_G^+ H(k) V_G with V_G = exp(i G . tau)."""
    hamiltonian = build_hamiltonian(name, parameters, None, d, d, LENGTHS[:d])
    x, k = points(d, d)
    matrix = hamiltonian.matrix(x, k, 0.7)
    n = hamiltonian.n_orbitals
    assert matrix.shape == (5, 6, n, n)
    assert matrix.dtype == np.complex128
    np.testing.assert_allclose(matrix, matrix.conj().swapaxes(-1, -2), atol=1e-14)
    assert np.abs(matrix).max() > 0.1
    for axis in range(d):
        shifted = k.copy()
        shifted[axis] += 2 * np.pi
        v = np.exp(2j * np.pi * hamiltonian.orbital_positions[:, axis])
        np.testing.assert_allclose(
            hamiltonian.matrix(x, shifted, 0.7), v.conj()[:, None] * matrix * v, atol=1e-12
        )
        moved = x.copy()
        moved[axis] += LENGTHS[axis]
        np.testing.assert_allclose(hamiltonian.matrix(moved, k, 0.7), matrix, atol=1e-12)


@pytest.mark.parametrize(("name", "d", "parameters"), list(_table()))
def test_separable_exactly_when_constant(name, d, parameters):
    hamiltonian = build_hamiltonian(name, parameters, "0.3*cos(2*pi*x/L)", d, 1, LENGTHS[:1])
    uniform = not parameters and name != "two_band_texture"
    assert hamiltonian.separable == uniform
    assert hamiltonian.time_dependent == ("t)" in str(parameters))
    if uniform:
        x, k = points(1, d)
        whole = hamiltonian.bloch(k) + hamiltonian.potential(x, 0.0)[..., None, None] * np.eye(
            hamiltonian.n_orbitals
        )
        np.testing.assert_allclose(hamiltonian.matrix(x, k, 0.0), whole, atol=1e-14)
        np.testing.assert_allclose(hamiltonian.potential(x, 0.0), 0.3 * np.cos(2 * np.pi * x[0] / 24))


@pytest.mark.parametrize("name", ["ssh", "cosine_band", "massive_dirac"])
@pytest.mark.parametrize("s", [0, 1])
def test_shapes_broadcast(name, s):
    hamiltonian = build_hamiltonian(name, {}, None, 1, s, LENGTHS[:s])
    n = hamiltonian.n_orbitals
    assert hamiltonian.matrix(np.zeros((s,)), np.zeros((1,)), 0.0).shape == (n, n)
    assert hamiltonian.matrix(np.zeros((s, 3, 1)), np.zeros((1, 1, 4)), 0.0).shape == (3, 4, n, n)
    assert hamiltonian.bloch(np.zeros((1, 4))).shape == (4, n, n)
    assert hamiltonian.potential(np.zeros((s, 3)), 0.0).shape == (3,)


def test_dilated_is_the_same_crystal_further_apart():
    hamiltonian = build_hamiltonian("rice_mele", {"delta": "0.3*cos(2*pi*x/L + t)"}, None, 1, 1, (24.0,))
    x, k = points(1, 1)
    np.testing.assert_allclose(
        hamiltonian.dilated(3.0).matrix(3 * x, k, 3 * 0.4), hamiltonian.matrix(x, k, 0.4), atol=1e-14
    )


# --- known spectra -----------------------------------------------------------------------------------


@pytest.mark.parametrize("positions", [[0, 0], [0, 0.5], [0.1, 0.35]])
def test_rice_mele_spectrum(positions):
    parameters = {"t1": 1.1, "t2": 0.7, "delta": 0.25, "orbital_positions": positions}
    hamiltonian = build_hamiltonian("rice_mele", parameters)
    k = 0.83
    energy = np.sqrt(0.25**2 + 1.1**2 + 0.7**2 + 2 * 1.1 * 0.7 * np.cos(k))
    np.testing.assert_allclose(_energies(hamiltonian, k), [-energy, energy], rtol=1e-13)


def test_ssh_gap_and_orbital_phase():
    hamiltonian = build_hamiltonian("ssh", {"t1": 1.0, "t2": 0.6, "orbital_positions": [0, 0.5]})
    np.testing.assert_allclose(_energies(hamiltonian, np.pi), [-0.4, 0.4], rtol=1e-12)
    # equally spaced atoms: t1 over a distance of -1/2, t2 over +1/2
    element = hamiltonian.bloch(np.array([0.9]))[0, 1]
    np.testing.assert_allclose(element, np.exp(0.45j) + 0.6 * np.exp(-0.45j))


def test_trimer_spectrum_of_the_uniform_chain():
    """With equal hoppings and no potential it is the folded cosine band 2 t cos((k + 2 pi m)/3)."""
    hamiltonian = build_hamiltonian("trimer", dict(t12=0.8, t23=0.8, t31=0.8, e1=0, e2=0, e3=0))
    folded = 1.6 * np.cos((0.77 + 2 * np.pi * np.arange(3)) / 3)
    np.testing.assert_allclose(_energies(hamiltonian, 0.77), np.sort(folded), rtol=1e-12)


def test_cosine_band():
    hamiltonian = build_hamiltonian("cosine_band", {"t1": 0.5, "t2": 0.1, "energy": 2.0}, n_dimensions=3)
    k = np.array([0.3, -1.0, 2.0])
    expected = 2.0 - np.cos(k).sum() - 0.2 * np.cos(2 * k).sum()
    np.testing.assert_allclose(_energies(hamiltonian, *k), [expected])


@pytest.mark.parametrize(
    ("k", "energy"), [((0, 0), -0.7 + 2), ((np.pi, 0), -0.7), ((0, np.pi), -0.7), ((np.pi, np.pi), -2.7)]
)
def test_qi_wu_zhang_gaps(k, energy):
    hamiltonian = build_hamiltonian("qi_wu_zhang", {"mass": -0.7}, n_dimensions=2)
    np.testing.assert_allclose(_energies(hamiltonian, *k), [-abs(energy), abs(energy)], rtol=1e-12)


@pytest.mark.parametrize("d", [1, 2])
def test_massive_dirac_cone(d):
    hamiltonian = build_hamiltonian("massive_dirac", {"mass": 0.2, "velocity": 1.3}, n_dimensions=d)
    np.testing.assert_allclose(_energies(hamiltonian, *np.zeros(d)), [-0.2, 0.2])
    k = np.full(d, 1e-4)
    slope = (_energies(hamiltonian, *k)[1] ** 2 - 0.2**2) / (d * 1e-8)
    # v^2 + m w from the Wilson term
    np.testing.assert_allclose(slope, 1.3**2 + 0.2, rtol=1e-5)


@pytest.mark.parametrize("valley", [1, -1])
def test_haldane_gap_at_the_corners(valley):
    t2, phi, mass = 0.1, 0.8, 0.3
    hamiltonian = build_hamiltonian("haldane", {"t2": t2, "phi": phi, "mass": mass}, n_dimensions=2)
    energies = _energies(hamiltonian, valley * 2 * np.pi / 3, -valley * 2 * np.pi / 3)
    local = mass - valley * 3 * np.sqrt(3) * t2 * np.sin(phi)
    np.testing.assert_allclose(energies, -3 * t2 * np.cos(phi) + np.array([-1, 1]) * abs(local), rtol=1e-12)


def test_graphene_gap_and_velocity():
    """E^2 = delta^2 + (v q)^2 near K, v = sqrt(3)/2 t1 a, the same in all Cartesian directions."""
    hamiltonian = build_hamiltonian("graphene", {"t1": 1.4, "delta": 0.2}, n_dimensions=2)
    corner = np.array([2 * np.pi / 3, -2 * np.pi / 3])
    for angle in (0.0, 0.5, 2.0):
        q = 1e-5 * np.array([np.cos(angle), np.sin(angle)])
        energy = _energies(hamiltonian, *(corner + hamiltonian.lattice_vectors @ q))[1]
        speed = np.sqrt(energy**2 - 0.2**2) / 1e-5
        np.testing.assert_allclose(speed, np.sqrt(3) / 2 * 1.4, rtol=1e-4)


def test_honeycomb_position_gauge_has_the_symmetry_of_the_lattice():
    """With true orbital positions H(C3 k) = H(k): three equal bonds, 120 degrees apart."""
    hamiltonian = build_hamiltonian("haldane", {}, n_dimensions=2)
    vectors = hamiltonian.lattice_vectors
    c, s = np.cos(2 * np.pi / 3), np.sin(2 * np.pi / 3)
    q = np.array([0.4, 1.1])
    rotated = np.array([[c, -s], [s, c]]) @ q
    np.testing.assert_allclose(
        hamiltonian.bloch(vectors @ rotated), hamiltonian.bloch(vectors @ q), atol=1e-13
    )


def _chern_number(hamiltonian, n=24):
    """Integral of 2 Im <d_1 u|d_2 u>/(2 pi) over the lower band, by link variables.

    Fukui, Hatsugai, Suzuki, J. Phys. Soc. Jpn. 74, 1674 (2005).
    """
    k = -np.pi + 2 * np.pi * np.arange(n + 1) / n
    matrices = hamiltonian.bloch(np.array(np.meshgrid(k, k, indexing="ij")))
    tau = hamiltonian.orbital_positions
    phase = np.exp(1j * np.einsum("od,dab->abo", tau, np.array(np.meshgrid(k, k, indexing="ij"))))
    lower = phase * np.linalg.eigh(matrices)[1][..., 0]  # back to the cell-periodic gauge
    lower[-1], lower[:, -1] = lower[0], lower[:, 0]
    u1 = (lower[:-1, :].conj() * lower[1:, :]).sum(-1)
    u2 = (lower[:, :-1].conj() * lower[:, 1:]).sum(-1)
    flux = np.angle(u1[:, :-1] * u2[1:, :] * u1[:, 1:].conj() * u2[:-1, :].conj())
    return flux.sum() / (2 * np.pi)


@pytest.mark.parametrize(
    ("name", "parameters", "chern"),
    [
        ("haldane", {"mass": 0.0}, 1),
        ("haldane", {"mass": 0.0, "phi": -np.pi / 2}, -1),
        ("haldane", {"mass": 1.0}, 0),
        ("qi_wu_zhang", {"mass": -1.0}, -1),
        ("qi_wu_zhang", {"mass": 1.0}, 1),
        ("qi_wu_zhang", {"mass": 2.5}, 0),
        ("massive_dirac", {"mass": -0.5}, 1),
        ("massive_dirac", {"mass": 0.5}, 0),
    ],
)
def test_chern_numbers(name, parameters, chern):
    hamiltonian = build_hamiltonian(name, parameters, n_dimensions=2)
    np.testing.assert_allclose(_chern_number(hamiltonian), chern, atol=1e-9)


def test_two_band_texture_is_the_benchmark():
    hamiltonian = build_hamiltonian("two_band_texture", {}, None, 1, 1, (24.0,))
    x, k = points(1, 1)
    big_x, kx = 2 * np.pi * x[0] / 24, k[0]
    d1 = 1.2 + 0.5 * np.cos(kx) + 0.2 * np.cos(big_x)
    d2 = 0.5 * np.sin(kx) + 0.2 * np.sin(big_x) + 0.1 * np.sin(big_x + kx)
    d3 = 0.3 * np.sin(big_x) + 0.3 * np.cos(kx)
    matrix = hamiltonian.matrix(x, k, 0.0)
    radius = np.sqrt(d1**2 + d2**2 + d3**2)
    center = 0.4 * np.cos(big_x)
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix)[..., 0], center - radius, rtol=1e-12)
    np.testing.assert_allclose(matrix[..., 0, 0], center + d3, rtol=1e-12)
    np.testing.assert_allclose(matrix[..., 1, 0], d1 + 1j * d2, rtol=1e-12)


# --- names and parameters -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "parameters", "d", "message"),
    [
        ("rice_mel", {}, 1, "unknown model 'rice_mel': did you mean 'rice_mele'"),
        ("zzz", {}, 1, "models are cosine_band"),
        ("ssh", {"t3": 1.0}, 1, "model 'ssh' has no parameter 't3': did you mean '(t1|t2)'"),
        ("ssh", {"t1": "cos(y)"}, 1, "parameter 't1' of model 'ssh' .*unknown name 'y'"),
        ("ssh", {"t1": 1j}, 1, "must be a number"),
        ("ssh", {"orbital_positions": [0, 0.5, 1]}, 1, "orbital_positions of model 'ssh'"),
        ("haldane", {}, 1, "model 'haldane' has 2 dimensions, the case has 1"),
        ("rice_mele", {"delta": "0.1*x"}, 1, "not periodic in x over the length 24"),
        ("rice_mele", {"delta": "sqrt(x - 12)"}, 1, "not finite"),
    ],
)
def test_model_errors(source, parameters, d, message):
    with pytest.raises(CaseError, match=message):
        build_hamiltonian(source, parameters, None, d, 1, (24.0,))


def test_lengths_must_match_axes():
    with pytest.raises(CaseError, match="2 position axes but 1 lengths"):
        build_hamiltonian("haldane", {}, None, 2, 2, (24.0,))


def test_no_position_axis_no_position():
    with pytest.raises(CaseError, match="unknown name 'x'"):
        build_hamiltonian("ssh", {"t1": "1 + 0.1*sin(x)"})
    assert build_hamiltonian("ssh", {"t1": "1 + 0.1*sin(t)"}).time_dependent


def test_formulas_know_lengths_and_numbers():
    parameters = {"t1": 1.2, "t2": "t1*(1 + 0.1*cos(2*pi*x/Lx)*cos(2*pi*y/Ly))", "energy": "0*L"}
    hamiltonian = build_hamiltonian("cosine_band", parameters, None, 2, 2, (24.0, 18.0))
    x, k = points(2, 2)
    t2 = 1.2 * (1 + 0.1 * np.cos(2 * np.pi * x[0] / 24) * np.cos(2 * np.pi * x[1] / 18))
    expected = -2.4 * np.cos(k).sum(0) - 2 * t2 * np.cos(2 * k).sum(0)
    np.testing.assert_allclose(hamiltonian.matrix(x, k, 0.0)[..., 0, 0], expected, atol=1e-13)


def test_domain_walls_close_and_kinks_are_reported():
    wall = "tanh((x - L/4)/0.5) - tanh((x - 3*L/4)/0.5) - 1"
    hamiltonian = build_hamiltonian("massive_dirac", {"mass": f"0.5*({wall})"}, None, 1, 1, (24.0,))
    x = np.array([[0.0, 12.0, 24.0, 36.0]])
    mass = hamiltonian.matrix(x, np.zeros((1, 1)), 0.0)[:, 0, 0]
    np.testing.assert_allclose(mass, [-0.5, 0.5, -0.5, 0.5], atol=1e-8)
    with pytest.warns(UserWarning, match="kink where x = 24 meets x = 0"):
        build_hamiltonian("ssh", {}, "0.01*(x - L/2)**2", 1, 1, (24.0,))
