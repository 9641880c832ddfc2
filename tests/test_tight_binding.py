"""Hamiltonians from hoppings, matrices and terms, against the named models."""

import numpy as np
import pytest
from model_points import points, same

from wigner_sim.errors import CaseError
from wigner_sim.models import build_hamiltonian
from wigner_sim.models.matrices import MATRICES, read_matrix


@pytest.mark.parametrize("positions", [[0, 0], [0, 0.5]])
def test_tight_binding_is_rice_mele(positions):
    mass = "0.3*sin(2*pi*x/L) + 0.1*t"
    named = build_hamiltonian("rice_mele", {"delta": mass, "orbital_positions": positions}, None, 1, 1, (24,))
    hoppings = [[0, 0, 1, 1.0], [[1], 1, 0, 0.6], [0, 0, 0, mass], [0, 1, 1, f"-({mass})"]]
    bonds = {"hoppings": hoppings, "orbital_positions": positions}
    built = build_hamiltonian("tight_binding", bonds, None, 1, 1, (24,))
    assert built.time_dependent
    assert not built.separable
    same(named, built)


def test_tight_binding_with_textured_bonds_is_ssh():
    """Position-dependent hopping between cells, given from either end."""
    t2, named_at = "0.6 + 0.2*cos(2*pi*x/L)", {"orbital_positions": [0, 0.5]}
    named = build_hamiltonian("ssh", {"t2": t2, **named_at}, None, 1, 1, (24,))
    for bond in ([1, 1, 0, t2], [-1, 0, 1, t2]):
        parameters = {"hoppings": [[0, 0, 1, 1.0], bond], **named_at}
        same(named, build_hamiltonian("tight_binding", parameters, None, 1, 1, (24,)))


def test_tight_binding_is_haldane():
    """Bonds drawn on the lattice: an independent route to the signs of the closed form."""
    t2 = {"amplitude": "t2*exp(1j*phi)"}
    clockwise = {"amplitude": "t2*exp(-1j*phi)"}
    around = ([1, 0], [-1, 1], [0, -1])
    hoppings = [[cell, 0, 1, 1.0] for cell in ([0, 0], [-1, 0], [0, -1])]
    hoppings += [{"cell": cell, "orbitals": [0, 0], **t2} for cell in around]
    hoppings += [{"cell": cell, "orbitals": [1, 1], **clockwise} for cell in around]
    named = build_hamiltonian("haldane", {"t2": 0.15, "phi": 0.7, "mass": 0.2}, None, 2, 1, (24,))
    bonds = {
        "hoppings": hoppings,
        "onsite": [0.2, -0.2],
        "t2": 0.15,
        "phi": 0.7,
        "orbital_positions": named.orbital_positions.tolist(),
        "lattice_vectors": named.lattice_vectors.tolist(),
    }
    built = build_hamiltonian("tight_binding", bonds, None, 2, 1, (24,))
    assert built.separable
    same(named, built, d=2)


def test_tight_binding_from_matrices():
    """{R: matrix}, Wannier style, with and without the partner cells."""
    t0, t1 = np.array([[0.3, 1.0], [1.0, -0.3]]), np.array([[0.1, 0], [0.6, 0.2j]])
    full = build_hamiltonian("tight_binding", {"hoppings": {0: t0, 1: t1, -1: t1.conj().T}})
    half = build_hamiltonian(
        "tight_binding", {"hoppings": [{"cell": 0, "matrix": t0}, {"cell": [1], "matrix": t1}]}
    )
    k = np.array([0.37])
    expected = t0 + t1 * np.exp(0.37j) + t1.conj().T * np.exp(-0.37j)
    np.testing.assert_allclose(full.bloch(k), expected, atol=1e-14)
    np.testing.assert_allclose(half.bloch(k), expected, atol=1e-14)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "needs 'hoppings'"),
        ({"hoppings": 3}, "'hoppings' must be a list"),
        ({"hoppings": []}, "at least one"),
        ({"hoppings": [[0, 0, 1]]}, "hopping number 1 must be"),
        (
            {"hoppings": [[0, 0, 1, 1.0], [[1, 0], 0, 1, 1.0]]},
            "hopping number 2: the cell R must be 1 integers",
        ),
        ({"hoppings": [[0, 0, -1, 1.0]]}, "an orbital must be an integer counted from 0"),
        ({"hoppings": [[1, 0, 1, 1.0], [1, 0, 1, 2.0]]}, r"<0, 0\| H \|\[1\], 1> is listed twice"),
        ({"hoppings": [[0, 0, 0, "1j"]]}, r"<0, 0\| H \|\[0\], 0> is not Hermitian: it must be real"),
        (
            {"hoppings": [[1, 0, 1, "1+1j"], [-1, 1, 0, "1+1j"]]},
            r"<0, 0\| H \|\[1\], 1> is not Hermitian: it must be the conjugate of .* differ by 2\)",
        ),
        ({"hoppings": {0: [[1, 2, 3], [1, 2]]}}, "must be square"),
        ({"hoppings": [[0, 0, 1, "tt*2"]], "t1": 1.0}, "unknown name 'tt'"),
        ({"hoppings": [[0, 0, 1, 1.0]], "on_site": [1, 2]}, "'on_site' = .* did you mean 'onsite'"),
        ({"hoppings": [[0, 0, 1, 1.0]], "orbital_positions": [0, 0.5, 0.7]}, "orbital_positions"),
    ],
)
def test_tight_binding_errors(parameters, message):
    with pytest.raises(CaseError, match=message):
        build_hamiltonian("tight_binding", parameters, None, 1, 1, (24,))


def test_terms_are_rice_mele_with_a_texture():
    named = build_hamiltonian("rice_mele", {"delta": "0.3*cos(2*pi*x/L)"}, "0.1*sin(2*pi*x/L)", 1, 1, (24,))
    terms = [
        {"k": "t1 + 0.6*cos(kx)", "matrix": "sigma_x"},
        {"k": "0.6*sin(k)", "matrix": [[0, [0, -1]], ["1j", 0]]},
        {"x": "0.3*cos(2*pi*x/L)", "matrix": "tau_z"},
        {"x": "0.1*sin(2*pi*x/L)", "matrix": "sigma_0"},
    ]
    same(named, build_hamiltonian("terms", {"terms": terms, "t1": 1.0}, None, 1, 1, (24,)))
    del terms[2]
    assert build_hamiltonian("terms", {"terms": terms, "t1": 1.0}, None, 1, 1, (24,)).separable


def test_terms_separable_parts_add_up():
    terms = [
        {"x": 2, "k": "cos(kx)*cos(ky)", "matrix": "lambda_4"},
        {"x": "cos(2*pi*x/L)*sin(t)", "k": "0.5", "matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]},
    ]
    hamiltonian = build_hamiltonian("terms", {"terms": terms}, None, 2, 1, (24,))
    assert hamiltonian.separable
    assert hamiltonian.time_dependent
    x, k = points(1, 2)
    parts = hamiltonian.bloch(k) + hamiltonian.potential(x, 0.4)[..., None, None] * np.eye(3)
    direct = np.cos(2 * np.pi * x[0] / 24) * np.sin(0.4) * 0.5 + 0 * k[0]
    np.testing.assert_allclose(parts[..., 1, 1], direct, atol=1e-14)
    np.testing.assert_allclose(parts[..., 0, 2], 2 * np.cos(k[0]) * np.cos(k[1]) + 0 * x[0], atol=1e-14)
    np.testing.assert_allclose(hamiltonian.matrix(x, k, 0.4), parts, atol=1e-14)


def test_kronecker_and_gell_mann_matrices():
    np.testing.assert_array_equal(
        read_matrix("tau_z sigma_x", "m"), np.kron(np.diag([1, -1]), [[0, 1], [1, 0]])
    )
    gell_mann = [MATRICES[f"lambda_{number}"] for number in range(1, 9)]
    overlaps = np.einsum("aij,bji->ab", gell_mann, gell_mann)
    np.testing.assert_allclose(overlaps, 2 * np.eye(8), atol=1e-14)
    np.testing.assert_allclose(MATRICES["lambda_8"], np.diag([1, 1, -2]) / np.sqrt(3), atol=1e-15)


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ({"matrix": "sigma_w"}, "unknown matrix 'sigma_w': did you mean 'sigma_"),
        ({"matrix": ""}, "unknown matrix ''"),
        ({"matrix": [[0, 1], [0, 0]]}, "matrix of term number 1 is not Hermitian"),
        ({"matrix": [[0, 1]]}, "square list of rows"),
        ({"matrx": "sigma_x"}, "unknown entry 'matrx': did you mean 'matrix'"),
        ({"k": "cos(kz)"}, "unknown name 'kz' at column 5: did you mean 'k"),
        ({"k": "cos(k/2)"}, "not periodic in kx"),
        ({"x": "cos(x)"}, "not periodic in x over the length 24"),
        ("sigma_x", "must be a table"),
    ],
)
def test_term_errors(term, message):
    with pytest.raises(CaseError, match=message):
        build_hamiltonian("terms", {"terms": [term]}, None, 1, 1, (24.0,))
