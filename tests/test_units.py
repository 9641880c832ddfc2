"""Units: parsed, converted at the edge of a case, and back; against scipy.constants by other formulas."""

from __future__ import annotations

import math
import tomllib

import numpy as np
import pytest
from scipy import constants
from tiny_cases import CHAIN, changed

from wigner_sim import units
from wigner_sim.case import Case
from wigner_sim.case.conversion import ACCEPTED
from wigner_sim.case.fields import UNIT_EXAMPLES
from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.problem import build_problem
from wigner_sim.si_attributes import si_attributes, si_globals
from wigner_sim.units import UnitSystem, dimension_text, parse_quantity, si_factor

EV, HBAR = constants.elementary_charge, constants.hbar
HONEYCOMB = ((2.46e-10, 0.0), (-1.23e-10, 1.23e-10 * math.sqrt(3)))
#: Lattice constant 2.46 angstrom, energies in eV.
GRAPHENE = UnitSystem(EV, 1.0, HONEYCOMB)

PHYSICAL = CHAIN | {"units": {"energy": "1 eV", "length": "4 angstrom"}}


def number(**changes: object) -> Case:
    return Case.from_dict(
        changed(PHYSICAL, {key.replace("__", "."): value for key, value in changes.items()})
    )


# --- reading ---


@pytest.mark.parametrize(
    ("text", "si"),
    [
        ("5 T", 5.0),
        ("300K", 300.0),
        ("20 nm", 2e-8),
        ("0.1 V/nm", 1e8),
        ("-2.5e-1 meV", -0.25e-3 * EV),
        ("50 fs", 5e-14),
        ("1 bohr", constants.physical_constants["Bohr radius"][0]),
        ("2 Ry", constants.physical_constants["Hartree energy"][0]),
        ("3 1/angstrom", 3e10),
        ("3 angstrom^-1", 3e10),
        ("2 eV*nm", 2e-9 * EV),
        ("2 eV nm", None),
        ("1 nm**2", 1e-18),
        ("4 Å", 4e-10),
        ("1.5 hbar/fs", 1.5e15 * HBAR),
    ],
)
def test_quantities(text, si):
    quantity = parse_quantity(text)
    if si is None:
        assert quantity is None
    else:
        assert quantity is not None
        assert quantity.value == pytest.approx(si, rel=1e-9)


@pytest.mark.parametrize(
    "text", ["0.2*cos(x)", "1/L", "2 /x", "3", "", "nm", "x + 2 nm", "2 if x else 1", "1e3"]
)
def test_formulas_are_no_quantities(text):
    assert parse_quantity(text) is None


def test_constants_are_those_of_scipy():
    assert constants.e == units.ELEMENTARY_CHARGE
    assert pytest.approx(constants.hbar, rel=1e-15) == units.HBAR
    assert constants.k == units.BOLTZMANN
    assert pytest.approx(constants.value("Bohr radius"), rel=1e-9) == units.BOHR_IN_ANGSTROM * 1e-10


def test_unknown_units_have_a_nearest_one():
    with pytest.raises(CaseError, match="unknown unit 'fss' in '50 fss'; did you mean 'fs'"):
        parse_quantity("50 fss")


# --- formulas that know nothing of lattice units ---


def test_cyclotron_frequency():
    # the band (hbar^2/2m)(k^2): H = k_1^2/(2 mu) in lattice units of a square lattice
    a, field = 5e-10, 7.0
    system = UnitSystem(EV, a, ((1.0, 0.0), (0.0, 1.0)))
    mass = 0.3 * constants.m_e
    inverse_mass = HBAR**2 / (mass * a**2) / EV  # d^2 E/dk^2, eV per radian^2
    flux = system.flux((field,))[0]
    omega = flux * inverse_mass * EV / HBAR  # lattice frequency in 1/s
    assert omega == pytest.approx(constants.e * field / mass, rel=1e-12)


def test_flux_quantum_through_the_honeycomb_cell():
    area = 0.5 * math.sqrt(3) * 2.46e-10**2
    field = constants.h / constants.e / area  # one flux quantum per cell
    assert GRAPHENE.flux((field,))[0] == pytest.approx(2 * math.pi, rel=1e-9)
    assert si_factor("magnetic_flux", GRAPHENE, (0, 1)) * 2 * math.pi == pytest.approx(field, rel=1e-9)


def test_bloch_period():
    case = number(hamiltonian__force=["0.05 V/nm"])
    (force,) = case.hamiltonian.force
    assert force < 0  # an electron is pushed against the field
    period = 2 * math.pi / abs(force) * HBAR / EV
    assert period == pytest.approx(constants.h / (constants.e * 5e7 * 4e-10), rel=1e-12)


def test_thermal_energy_and_time():
    state = {"kind": "thermal", "mu": "50 meV", "temperature": "300 K"}
    case = number(initial_state=state, time__end="50 fs")
    assert case.initial_state.temperature == pytest.approx(constants.k * 300 / constants.e, rel=1e-12)
    assert case.initial_state.mu == pytest.approx(0.05)
    assert case.time.end == pytest.approx(50e-15 * EV / HBAR, rel=1e-12)


def test_field_components_in_three_dimensions():
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(3, 3))
    system = UnitSystem(EV, 1e-10, tuple(map(tuple, rows)))
    field = np.array([3.0, -2.0, 5.0])
    flux = system.flux(field)
    for number_, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        expected = field @ np.cross(rows[i], rows[j]) * 1e-20 * constants.e / HBAR
        assert flux[number_] == pytest.approx(expected, rel=1e-12)


# --- a case ---


def test_every_key_that_may_have_a_unit():
    case = number(
        grid__sites=["16 nm"],
        grid__n_x=[64],
        hamiltonian__parameters={"t1": "1.5 eV", "delta": "600 meV"},
        hamiltonian__potential="100 meV",
        hamiltonian__minimum_gap="0.1 eV",
        hamiltonian__force=["0.1 eV/nm"],
        initial_state={
            "kind": "gaussian",
            "center_x": ["8 nm"],
            "width_x": ["1 nm"],
            "center_k": ["0.5 1/nm"],
            "width_k": [0.3],
        },
        time__end="10 fs",
        time__step="0.1 fs",
        output__scalars_every="1 fs",
        output__fields_every="2 fs",
        output__phase_every="5 fs",
    )
    fs = 1e-15 * EV / HBAR
    assert case.grid.sites == (40,)
    assert case.hamiltonian.parameters == {"t1": 1.5, "delta": pytest.approx(0.6)}
    assert case.hamiltonian.potential == pytest.approx(0.1)
    assert case.hamiltonian.minimum_gap == pytest.approx(0.1)
    assert case.hamiltonian.force == (pytest.approx(0.04),)
    assert case.initial_state.center_x == (pytest.approx(20.0),)
    assert case.initial_state.width_x == (pytest.approx(2.5),)
    assert case.initial_state.center_k == (pytest.approx(0.2),)
    assert case.initial_state.width_k == (0.3,)
    times = [case.time.step, case.output.scalars_every, case.output.fields_every, case.output.phase_every]
    assert times == pytest.approx([0.1 * fs, fs, 2 * fs, 5 * fs])


def test_the_resolved_case_has_numbers_only_and_reads_back():
    case = number(time__end="10 fs", grid__sites=["16 nm"])
    again = Case.from_dict(tomllib.loads(case.to_toml()))
    assert again == case
    assert again.units.energy == "1 eV"


def test_overrides_may_have_units():
    case = Case.from_dict(PHYSICAL).with_overrides(["time.end=20 fs", 'grid.sites=["8 nm"]'])
    assert case.time.end == pytest.approx(20e-15 * EV / HBAR)
    assert case.grid.sites == (20,)


def test_lengths_in_a_potential():
    case = number(
        hamiltonian__source="tight_binding",
        hamiltonian__parameters={"depth": "80 meV", "half": "1.6 nm", "wall": "0.4 nm"},
        hamiltonian__hoppings=[[[1], 0, 0, "-1"]],
        hamiltonian__potential="depth*cos(pi*(x - wall)/half)",
    )
    potential = build_problem(case).hamiltonian.potential
    x = np.array([[1.0, 3.0]])
    np.testing.assert_allclose(potential(x, 0.0), [0.08, 0.0], atol=1e-15, rtol=1e-12)


def test_a_field_that_oscillates():
    case = number(
        hamiltonian__source="tight_binding",
        hamiltonian__parameters={"field": "0.1 V/nm", "rate": "10 THz"},
        hamiltonian__hoppings=[[[1], 0, 0, "-1"]],
        hamiltonian__potential=0.0,
        hamiltonian__force=["-field*cos(2*pi*rate*t)"],
    )
    force = build_problem(case).hamiltonian.force
    half_period = 0.5e-13 * EV / HBAR
    assert force(0.0)[0] == pytest.approx(-0.1 * 0.4)
    assert force(half_period)[0] == pytest.approx(0.1 * 0.4)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"time.end": "5 T"}, "[time] end: expected a time, got '5 T', which is a magnetic field"),
        ({"time.end": "5 fss"}, "[time] end: unknown unit 'fss' in '5 fss'; did you mean 'fs'?"),
        ({"grid.magnetic_field": "5 T"}, "[grid] magnetic_field: 1 components in 1 dimensions"),
        ({"units": {}, "time.end": "5 fs"}, "[time] end: a value with a unit needs [units] energy"),
        ({"units": {"energy": "1 eV"}, "grid.sites": ["5 nm"]}, "[grid] sites: lengths need [units] length"),
        (
            {"units": {"energy": "1 nm"}},
            "[units] energy: expected an energy > 0 such as \"1 eV\", got '1 nm'",
        ),
        ({"units": {"energy": "-1 eV"}}, "[units] energy: expected an energy > 0"),
        ({"hamiltonian.force": ["5 V"]}, "[hamiltonian] force: expected a force or an electric field"),
    ],
)
def test_wrong_quantities(changes, sentence):
    with pytest.raises(CaseError) as caught:
        Case.from_dict(changed(PHYSICAL, changes))
    assert sentence in str(caught.value)


def test_a_field_in_two_dimensions_is_the_flux_of_the_cell():
    plane = {
        "units": {"energy": "1 eV", "length": "2.46 angstrom"},
        "grid": {"sites": [8], "n_k": [8, 8], "magnetic_field": "10 T"},
        "hamiltonian": {"source": "named:haldane"},
        "initial_state": {"kind": "symbol", "c": "1"},
        "time": {"end": 1.0},
    }
    case = Case.from_dict(plane)
    vectors = build_problem(case).hamiltonian.lattice_vectors
    area = abs(np.linalg.det(vectors)) * 2.46e-10**2
    assert case.grid.magnetic_field == pytest.approx(constants.e * 10 * area / HBAR, rel=1e-12)


# --- back to SI ---


def test_factors_lead_back():
    system = GRAPHENE
    assert si_factor("time", system) == pytest.approx(HBAR / EV)
    assert si_factor("position", system, (0,)) == pytest.approx(2.46e-10)
    assert si_factor("momentum", system, (1,)) * si_factor("position", system, (1,)) == pytest.approx(1.0)
    area = 0.5 * math.sqrt(3) * 2.46e-10**2
    assert si_factor("density", system) == pytest.approx(1 / area)
    assert si_factor("momentum_curvature", system, (0, 1)) == pytest.approx(2.46e-10**2)
    assert si_factor("temperature", system) == pytest.approx(EV / constants.k)
    assert si_factor("force", system, (0,)) == pytest.approx(EV / 2.46e-10)
    assert dimension_text("energy_current", 2) == "energy length^-1 time^-1"
    assert dimension_text("dimensionless", 3) == "1"


def test_attributes_of_stored_variables():
    attributes = si_globals(GRAPHENE)
    found = si_attributes("density", attributes)
    assert found["units_dimension"] == "length^-2"
    assert found["units_si_factor"] == pytest.approx(si_factor("density", GRAPHENE))
    assert si_attributes("kx", attributes)["units_dimension"] == "length^-1"
    assert si_attributes("quantum_metric_kx_ky", attributes)["units_dimension"] == "length^2"
    assert si_attributes("quantum_metric_x_kx", attributes) == {}
    assert si_attributes("velocity_ky", attributes)["units_dimension"] == "length^-1 time^-1"
    assert si_attributes("particle_number", attributes) == {}
    assert si_attributes("density", {}) == {}
    only_energy = si_globals(UnitSystem(EV))
    assert si_attributes("energy", only_energy)["units_si_factor"] == EV
    assert si_attributes("x", only_energy) == {}


def test_a_run_says_what_its_numbers_are(tmp_path):
    from wigner_sim.simulation import run

    (tmp_path / "case").mkdir()
    case = number(time__end="1 fs", output__scalars_every="1 fs", output__phase_every="never")
    file = tmp_path / "case" / "case.toml"
    file.write_text(case.to_toml())
    with run(file) as done:
        fields = done.fields
        assert fields["time"].attrs["units_si_factor"] * float(fields["time"][-1]) == pytest.approx(1e-15)
        assert fields["x"].attrs["units_si_factor"] == pytest.approx(4e-10)
        assert fields["density"].attrs["units_dimension"] == "length^-1"
        assert fields.attrs["energy_unit_joule"] == pytest.approx(EV)
        total = fields["density"].isel(time=0, band=0) * fields["density"].attrs["units_si_factor"]
        metres = float(total.mean()) * 8 * 4e-10
        assert metres == pytest.approx(float(done.scalars["particle_number"][0, 0]), rel=1e-9)


# --- the rest ---


def test_kinds_are_complete():
    assert set(UNIT_EXAMPLES) == set(ACCEPTED) | {"parameters", "starts"}
    for kind, text in UNIT_EXAMPLES.items():
        quantity = parse_quantity(text.split('"')[1])
        assert quantity is not None
        assert kind in ("parameters", "starts") or quantity.dimension in ACCEPTED[kind]


def test_grid_from_sites_in_nanometres():
    grid = build_problem(number(grid__sites=["16 nm"], grid__n_x=[40])).grid
    assert isinstance(grid, PhaseSpaceGrid)
    assert grid.lengths == (40.0,)


# --- lists of tables ---


def test_units_in_baths_mean_fields_and_trajectories():
    case = number(
        reservoirs=[
            {"rate": "2 1/ps", "mu": "50 meV", "temperature": "300 K"},
            {"rate": "0.5*exp(-x)", "mu": 0.1, "temperature": "20 meV"},
        ],
        relaxation={"rate": ["1 meV/hbar", 0.2], "temperature": "300 K"},
        mean_field={"kind": "poisson", "strength": "60 meV", "screening": "0.5 1/nm"},
        trajectories={"starts": [["8 nm", "0.5 1/nm"], [3, -0.1]]},
    )
    first, second = case.reservoirs
    assert first.rate == pytest.approx(2e12 * HBAR / EV)
    assert (first.mu, first.temperature) == pytest.approx((0.05, constants.k * 300 / constants.e))
    assert (second.rate, second.mu, second.temperature) == ("0.5*exp(-x)", 0.1, pytest.approx(0.02))
    assert case.relaxation.rate == pytest.approx((0.001, 0.2))
    assert (case.mean_field.strength, case.mean_field.screening) == pytest.approx((0.06, 0.2))
    np.testing.assert_allclose(case.trajectories.starts, [(20.0, 0.2), (3.0, -0.1)])


def test_a_wrong_unit_in_a_list_of_tables_is_named():
    wrong = {"rate": 1.0, "mu": "5 T", "temperature": 0.1}
    with pytest.raises(
        CaseError, match=r"\[reservoirs.0\] mu: expected an energy or a temperature, got '5 T'"
    ):
        number(reservoirs=[wrong])
