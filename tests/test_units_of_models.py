"""Units in models typed by hand, and an electric field in Cartesian components."""

from __future__ import annotations

import copy
import math
import tomllib

import numpy as np
import pytest
from scipy import constants
from tiny_cases import CHAIN, changed

from wigner_sim.case import Case
from wigner_sim.errors import CaseError
from wigner_sim.problem import build_problem
from wigner_sim.units import UnitSystem

EV, HBAR = constants.elementary_charge, constants.hbar
HONEYCOMB = ((2.46e-10, 0.0), (-1.23e-10, 1.23e-10 * math.sqrt(3)))
#: Lattice constant 2.46 angstrom, energies in eV.
GRAPHENE = UnitSystem(EV, 1.0, HONEYCOMB)

PHYSICAL = CHAIN | {"units": {"energy": "1 eV", "length": "4 angstrom"}}


def number(**changes: object) -> Case:
    return Case.from_dict(
        changed(PHYSICAL, {key.replace("__", "."): value for key, value in changes.items()})
    )


# --- an electric field in Cartesian components ---

HEXAGONAL = {
    "units": {"energy": "1 eV", "length": "2.46 angstrom"},
    "grid": {"sites": [8], "n_k": [8, 8]},
    "hamiltonian": {"source": "named:haldane"},
    "initial_state": {"kind": "symbol", "c": "1"},
    "time": {"end": 1.0},
}


def force_of(**changes):
    keys = {f"hamiltonian.{name}": value for name, value in changes.items()}
    return build_problem(Case.from_dict(changed(HEXAGONAL, keys))).hamiltonian


def test_an_electric_field_pushes_electrons_against_it():
    """In SI, on a lattice that is not orthogonal: hbar dK/dt = -e E, and k_i = K.a_i."""
    field = np.array([0.03, -0.05])  # V/nm
    h = force_of(electric_field=["0.03 V/nm", "-0.05 V/nm"])
    a = 2.46e-10 * h.lattice_vectors
    assert abs(a[0] @ a[1]) > 0.4 * (a[0] @ a[0])
    wave_vector_rate = -constants.e * field * 1e9 / HBAR  # 1/(m s)
    np.testing.assert_allclose(h.force(0.0) * EV / HBAR, a @ wave_vector_rate, rtol=1e-12)
    assert not h.force_varies


def test_an_electric_field_is_the_force_of_its_projections():
    h = force_of(electric_field=[0, "0.3 V/nm"])
    unit = h.lattice_vectors / np.linalg.norm(h.lattice_vectors, axis=1)[:, None]
    along = [f"{0.3 * component:.17g} V/nm" for component in unit[:, 1]]
    np.testing.assert_allclose(h.force(0.0), force_of(force=along).force(0.0), atol=1e-15)


def test_an_electric_field_in_lattice_units_and_as_a_formula():
    plain = force_of(electric_field=[0.02, 0.01])
    np.testing.assert_allclose(plain.force(0.0), -plain.lattice_vectors @ [0.02, 0.01], atol=1e-16)
    crystal = {"source": "tight_binding", "hoppings": [[[1, 0], 0, 0, "-1"]]}
    skew = [[3.0, 0.0], [1.0, math.sqrt(8.0)]]
    changing = force_of(
        **crystal,
        lattice_vectors=skew,
        parameters={"field": "0.1 V/nm", "rate": "10 THz"},
        electric_field=["field*cos(2*pi*rate*t)", 0],
    )
    for t, sign in ((0.0, 1), (0.5e-13 * EV / HBAR, -1)):
        expected = -sign * 0.1 * 0.246 * np.array([3.0, 1.0])
        np.testing.assert_allclose(changing.force(t), expected, rtol=1e-12)
    assert changing.force_varies


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"force": [0.1, 0], "electric_field": [0.1, 0]}, "electric_field and force say the same thing"),
        ({"electric_field": [0.1]}, "hamiltonian.electric_field: expected one Cartesian component per dim"),
        ({"electric_field": ["1 eV/nm", 0]}, "electric_field: expected an electric field, got '1 eV/nm'"),
        ({"electric_field": ["x", 0]}, "hamiltonian.electric_field[0]"),
    ],
)
def test_wrong_electric_fields(changes, sentence):
    with pytest.raises(CaseError) as caught:
        force_of(**changes)
    assert sentence in str(caught.value)


# --- models with units ---

GRAPHENE_BY_HAND = {
    "grid": {"sites": ["4.92 nm"], "n_k": [12, 12]},
    "initial_state": {"kind": "symbol", "c": "1"},
    "time": {"end": "1 fs"},
    "units": {"energy": "1 eV"},
    "hamiltonian": {
        "source": "tight_binding",
        "lattice_vectors": [["2.46 angstrom", 0], ["-1.23 angstrom", "2.130422493 angstrom"]],
        "orbital_positions": [[0, 0], ["0.82 angstrom", "1.64 angstrom"]],
        "hoppings": [
            [[0, 0], 0, 1, "-2.7 eV"],
            {"cell": [-1, -1], "orbitals": [0, 1], "amplitude": ["-2700 meV", 0]},
            {"cell": [0, -1], "matrix": [[0, "-2.7 eV"], [0, 0]]},
            [[1, 0], 0, 0, "0.1j + 0.1*t"],
            [[1, 1], 0, 0, "0.1j"],
        ],
        "parameters": {"onsite": ["150 meV", "-0.15 eV"]},
    },
}


def test_a_model_typed_with_units():
    case = Case.from_dict(GRAPHENE_BY_HAND)
    section = case.hamiltonian
    assert (case.units.energy, case.units.length, case.grid.sites) == ("1 eV", "1 angstrom", (20,))
    np.testing.assert_allclose(section.lattice_vectors, [[2.46, 0], [-1.23, 2.130422493]], rtol=1e-14)
    np.testing.assert_allclose(section.orbital_positions, [[0, 0], [1 / 3, 2 / 3]], rtol=1e-8)
    assert section.hoppings[0] == [[0, 0], 0, 1, pytest.approx(-2.7)]
    assert section.hoppings[1]["amplitude"] == [pytest.approx(-2.7), 0]
    assert section.hoppings[2]["matrix"] == [[0, pytest.approx(-2.7)], [0, 0]]
    assert [hopping[3] for hopping in section.hoppings[3:]] == ["0.1j + 0.1*t", "0.1j"]
    assert section.parameters["onsite"] == pytest.approx([0.15, -0.15])
    assert Case.from_dict(tomllib.loads(case.to_toml())) == case


def test_units_of_a_model_are_those_of_the_same_model_without():
    """H with units is H in electronvolts, in numbers."""
    plain = copy.deepcopy(GRAPHENE_BY_HAND) | {"units": {"energy": "1 eV", "length": "1 angstrom"}}
    plain["grid"]["sites"] = [20]
    plain["hamiltonian"] |= {
        "lattice_vectors": [[2.46, 0], [-1.23, 2.130422493]],
        "orbital_positions": [[0, 0], [1 / 3, 2 / 3]],
        "hoppings": [
            [[0, 0], 0, 1, -2.7],
            [[-1, -1], 0, 1, -2.7],
            [[0, -1], 0, 1, -2.7],
            *GRAPHENE_BY_HAND["hamiltonian"]["hoppings"][3:],
        ],
        "parameters": {"onsite": [0.15, -0.15]},
    }
    h, expected = (build_problem(Case.from_dict(data)).hamiltonian for data in (GRAPHENE_BY_HAND, plain))
    x, k = np.array([[1.0]]), np.array([[0.3], [-1.2]])
    np.testing.assert_allclose(h.lattice_vectors, expected.lattice_vectors, rtol=1e-14)
    np.testing.assert_allclose(h.matrix(x, k, 0.4), expected.matrix(x, k, 0.4), rtol=1e-8)


def test_terms_with_units():
    terms = [
        {"x": "0.2 eV", "k": "cos(k)", "matrix": "sigma_x"},
        {"x": "1 + cos(2*pi*x/L)", "matrix": [["30 meV", 0], [0, "-30 meV"]]},
        {"x": "cos(2*pi*x/L)", "k": "50 meV", "matrix": [[1, 0], [0, 1]]},
    ]
    terms_case = number(hamiltonian={"source": "terms", "terms": terms}, grid__sites=["16 nm"])
    h = build_problem(terms_case).hamiltonian.matrix(np.array([[10.0]]), np.array([[0.3]]), 0.0)
    expected = [[0.03, 0.2 * math.cos(0.3)], [0.2 * math.cos(0.3), -0.03]]
    np.testing.assert_allclose(h[0], expected, atol=1e-15)


def test_densities_and_stored_times():
    poisson = {"kind": "poisson", "strength": "60 meV", "background": "0.5 1/nm"}
    assert number(mean_field=poisson).mean_field.background == pytest.approx(0.2)  # cells of 0.4 nm
    stored = number(initial_state={"kind": "from_run", "run": "../other", "time": "20 fs"})
    assert stored.initial_state.time == pytest.approx(20e-15 * EV / HBAR)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hamiltonian.hoppings": [[[1, 0], 0, 0, "5 T"]]}, "hoppings: expected an energy or a temperature"),
        ({"hamiltonian.hoppings": [[[1, 0], 0, 0, "5 eVv"]]}, "hoppings: unknown unit 'eVv' in '5 eVv'"),
        ({"hamiltonian.lattice_vectors": [["1 eV"]]}, "lattice_vectors: expected a length, got '1 eV'"),
        (
            {"hamiltonian.orbital_positions": [[0, "1 fs"]]},
            "orbital_positions: expected a length, got '1 fs'",
        ),
        (
            {"hamiltonian.terms": [{"x": "1 eV", "matrix": [["2 eV"]]}]},
            "terms: term number 1 is an energy twice, in x and matrix",
        ),
        (
            {"mean_field": {"kind": "contact", "strength": "1 eV", "background": "1 1/nm"}},
            "[mean_field] background: expected a number per area, got '1 1/nm'",
        ),
    ],
)
def test_wrong_units_in_a_model(changes, sentence):
    with pytest.raises(CaseError) as caught:
        Case.from_dict(changed(GRAPHENE_BY_HAND, changes))
    assert sentence in str(caught.value)
