"""Models of PythTB, of whichever version is installed: 1.x and 2.x have different objects and functions."""

from __future__ import annotations

import itertools
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from wigner_sim.case import Case
from wigner_sim.errors import CaseError
from wigner_sim.geometry import berry_curvature, quantum_metric
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.importing import import_model
from wigner_sim.models.adapters import from_pythtb
from wigner_sim.models.lattice_model import LatticeModel
from wigner_sim.models.matrices import position_convention
from wigner_sim.problem import build_problem
from wigner_sim.projector import LocalBands
from wigner_sim.symbols import SymbolSpace

pythtb = pytest.importorskip("pythtb")
SECOND = hasattr(pythtb, "TBModel")
only_second = pytest.mark.skipif(not SECOND, reason="needs PythTB 2.x (Python 3.12)")

SCRIPT = """
import pythtb

if hasattr(pythtb, "TBModel"):
    chain = pythtb.TBModel(pythtb.Lattice([[2.0]], [[0.0], [0.4]], periodic_dirs=...))
else:
    chain = pythtb.tb_model(1, 1, [[2.0]], [[0.0], [0.4]])
chain.set_onsite([0.5, -0.5])
chain.set_hop(1.0, 0, 1, [0])
chain.set_hop(0.6, 1, 0, [1])


def make():
    return chain
"""
VECTORS, ORBITALS = [[1.0, 0.0], [0.4, 0.9]], [[0.1, 0.2], [0.45, 0.7]]


def empty_model(vectors, orbitals, periodic, nspin: int = 1):
    """A model without energies and hoppings."""
    if SECOND:
        lattice = pythtb.Lattice(vectors, orbitals, periodic_dirs=periodic)
        return pythtb.TBModel(lattice, spinful=nspin == 2)
    return pythtb.tb_model(len(periodic), len(vectors), vectors, orbitals, per=periodic, nspin=nspin)


def planar_model(nspin: int = 1):
    model = empty_model(VECTORS, ORBITALS, [0, 1], nspin)
    if nspin == 1:
        model.set_onsite([0.9, -0.9])
        terms = [0.5, 0.4 + 0.2j, 0.3j, 0.25]
    else:
        x, y, z = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1.0, -1.0])
        model.set_onsite([0.9 * z + 0.2 * x, [-0.9, 0.1, 0.2, 0.3]])
        terms = [0.5 * z + 0.1j * y, 0.4 * np.eye(2) + 0.2j * x, 0.3j * y, 0.25 * x]
    model.set_hop(terms[0], 0, 1, [0, 0])
    model.set_hop(terms[1], 0, 1, [-1, 0])
    model.set_hop(terms[2], 1, 1, [0, 1])
    model.set_hop(terms[3], 0, 1, [1, -1])
    return model


def matrix(model, k, n):
    """H(k) of the package itself, k in units of the reciprocal lattice vectors."""
    given = model.hamiltonian([k]) if SECOND else model._gen_ham(k)
    return np.reshape(given, (n, n))


def states(model, k):
    """Energies (n,) and states (n, orbitals) of the package itself."""
    if SECOND:
        energies, vectors = model.solve_ham([k], return_eigvecs=True)
        return np.reshape(energies, -1), np.reshape(vectors, (len(np.ravel(energies)), -1))
    energies, vectors = model.solve_one(k, eig_vectors=True)
    return energies, vectors.reshape(len(energies), -1)


@pytest.mark.parametrize("nspin", [1, 2])
def test_matrix_and_bands(nspin):
    theirs = planar_model(nspin)
    ours = from_pythtb(theirs)
    for k in np.random.default_rng(1).uniform(-0.5, 0.5, (5, 2)):
        np.testing.assert_allclose(ours.bloch(2 * np.pi * k), matrix(theirs, k, 2 * nspin), atol=1e-14)
        np.testing.assert_allclose(ours.energies(2 * np.pi * k), states(theirs, k)[0], atol=1e-13)


def geometry_on_grid(model: LatticeModel, n: int):
    grid = PhaseSpaceGrid((), (n, n), ())
    h = model.hamiltonian("h", {})
    k = grid.mesh()[1]
    space = SymbolSpace(grid, h.orbital_positions)
    periodic = position_convention(h.bloch(k), k, -h.orbital_positions)  # as symbols are kept
    symbol = np.ascontiguousarray(np.moveaxis(periodic, (-2, -1), (0, 1)))
    return grid, space.symbol(LocalBands.of(symbol).projector(range(1)))


def test_berry_curvature_and_metric_from_its_states():
    theirs = planar_model()
    grid, projector = geometry_on_grid(from_pythtb(theirs), 96)
    omega, g = berry_curvature(projector)[0, 1], quantum_metric(projector)
    n, step = 96, 1.0 / 96
    start = np.array([-0.5, -0.5]) - 0.5 * step  # plaquettes centred on our points
    u = np.empty((n + 1, n + 1, 2), dtype=complex)
    for i, j in itertools.product(range(n + 1), repeat=2):
        u[i, j] = states(theirs, start + step * np.array([i, j]))[1][0]
    link = [
        np.einsum("ijn,ijn->ij", u[:-1].conj(), u[1:]),
        np.einsum("ijn,ijn->ij", u[:, :-1].conj(), u[:, 1:]),
    ]
    # its Berry flux is - Im log prod <u|u'> around the loop, that is A = i<u|du>; here A = -i<u|du>
    loop = link[0][:, :-1] * link[1][1:] * link[0][:, 1:].conj() * link[1][:-1].conj()
    flux = -np.angle(loop)
    np.testing.assert_allclose(flux / (2 * np.pi * step) ** 2, -omega, atol=3e-3 * np.abs(omega).max())
    assert np.abs(omega).max() > 0.1
    # metric: 1 - |<u(k)|u(k + dk)>|^2 = g_ij dk_i dk_j
    small = 1e-3
    for i, j in ((5, 17), (40, 80), (70, 3)):
        k = np.array([grid.axis_points[0][i], grid.axis_points[1][j]]) / (2 * np.pi)
        for direction in ([1, 0], [0, 1], [1, 1], [1, -1]):
            shift = 0.5 * small * np.array(direction) / (2 * np.pi)
            left, right = (states(theirs, each)[1][0] for each in (k - shift, k + shift))
            distance = (1 - abs(np.vdot(left, right)) ** 2) / small**2
            expected = np.einsum("a,b,ab", direction, direction, g[:, :, i, j])
            assert distance == pytest.approx(expected, rel=1e-4)


@pytest.mark.skipif(SECOND, reason="wf_array is of PythTB 1.x")
def test_sign_of_the_flux_of_the_first_version():
    theirs = planar_model()
    _, projector = geometry_on_grid(from_pythtb(theirs), 48)
    omega, step = berry_curvature(projector)[0, 1], 1.0 / 48
    wave = pythtb.wf_array(theirs, [49, 49])
    for i, j in itertools.product(range(49), repeat=2):
        k = np.array([-0.5, -0.5]) + step * (np.array([i, j]) - 0.5)
        wave[i, j] = theirs.solve_one(k, eig_vectors=True)[1]
    flux = wave.berry_flux([0], individual_phases=True) / (2 * np.pi * step) ** 2
    np.testing.assert_allclose(flux, -omega, atol=1e-2 * np.abs(omega).max())


@only_second
def test_berry_curvature_and_metric_of_the_second_version():
    theirs = planar_model()
    grid, projector = geometry_on_grid(from_pythtb(theirs), 48)
    k = np.stack([axis.ravel() for axis in np.meshgrid(*grid.axis_points, indexing="ij")], axis=-1) / (
        2 * np.pi
    )
    per_radian = 1 / (2 * np.pi) ** 2  # it differentiates by its k, a 2 pi-th of ours
    curvature = theirs.berry_curvature(k, occ_idxs=[0], plane=(0, 1)).real.reshape(48, 48) * per_radian
    np.testing.assert_allclose(curvature, -berry_curvature(projector)[0, 1], atol=1e-8)
    metric = theirs.quantum_metric(k, occ_idxs=[0]).real.reshape(2, 2, 48, 48) * per_radian
    np.testing.assert_allclose(metric, quantum_metric(projector), atol=1e-8)


@only_second
def test_models_that_the_second_version_ships():
    from pythtb.models import graphene, haldane, kane_mele

    built = [haldane(0.2, 1.0, 0.1, 0.5), graphene(0.3, 1.0), kane_mele(0.4, 1.0, 0.1, 0.2)]
    for theirs in built:
        ours = from_pythtb(theirs)
        for k in ([0.13, -0.31], [0.4, 0.05]):
            np.testing.assert_allclose(
                ours.bloch(2 * np.pi * np.array(k)), matrix(theirs, k, theirs.nstate), atol=1e-13
            )


@only_second
def test_parameters_have_to_be_given():
    theirs = planar_model()
    theirs.set_hop("t", 0, 0, [1, 1])
    theirs.set_onsite("delta", 1)
    with pytest.raises(
        CaseError, match=r"parameters without values \(delta, t\); fix them with with_parameters"
    ):
        from_pythtb(theirs)
    ours = from_pythtb(theirs.with_parameters(t=0.2j, delta=0.7))
    k = np.array([0.13, -0.31])
    np.testing.assert_allclose(
        ours.bloch(2 * np.pi * k), np.reshape(theirs.hamiltonian([k], t=0.2j, delta=0.7), (2, 2)), atol=1e-14
    )


def test_a_ribbon_keeps_the_direction_that_is_periodic():
    finite = planar_model().cut_piece(3, 0)
    ours = from_pythtb(finite).on_axes([1])
    assert any("finite along a_1" in line for line in from_pythtb(finite).report())
    for k in (0.13, -0.41):
        given = finite.hamiltonian([[k]]) if SECOND else finite._gen_ham([k])
        np.testing.assert_allclose(
            ours.bloch(np.array([2 * np.pi * k])), np.reshape(given, (6, 6)), atol=1e-14
        )


def second_version(model):
    """A stand-in with the public properties of ``pythtb.TBModel`` 2.0.2, made of a model of 1.x."""
    hoppings = []
    for amplitude, i, j, cell in model._hoppings:
        hop = {"amplitude": amplitude, "from_orbital": i, "to_orbital": j}
        hoppings.append(hop | ({"lattice_vector": list(cell)} if any(cell) else {}))
    return SimpleNamespace(
        lat_vecs=model._lat,
        orb_vecs=model._orb,
        periodic_dirs=list(model._per),
        nspin=model._nspin,
        onsite=model._site_energies,
        hoppings=hoppings,
        parameters=[],
    )


@pytest.mark.skipif(SECOND, reason="the real thing is tested")
@pytest.mark.parametrize("nspin", [1, 2])
def test_second_version_by_a_stand_in(nspin):
    theirs = planar_model(nspin)
    stand_in = second_version(theirs)
    first, second = from_pythtb(theirs), from_pythtb(stand_in)
    np.testing.assert_array_equal(first.cells, second.cells)
    np.testing.assert_array_equal(first.blocks, second.blocks)
    stand_in.parameters = [{"kind": "hopping", "orbitals": (0, 1), "R": (1, -1), "names": ("U",)}]
    with pytest.raises(CaseError, match=r"parameters without values \(U\)"):
        from_pythtb(stand_in)


@only_second
def test_the_stand_in_is_like_the_real_thing():
    theirs = planar_model()
    for name in vars(
        second_version(SimpleNamespace(_hoppings=[], _lat=0, _orb=0, _per=[], _nspin=1, _site_energies=0))
    ):
        assert hasattr(theirs, name)
    keys = {"amplitude", "from_orbital", "to_orbital"}
    assert [set(hop) - {"lattice_vector"} for hop in theirs.hoppings] == [keys] * 4
    assert ["lattice_vector" in hop for hop in theirs.hoppings] == [False, True, True, True]


def test_what_does_not_fit():
    with pytest.raises(CaseError, match="periodic along none of its 2 directions"):
        from_pythtb(empty_model(VECTORS, ORBITALS, []))
    with pytest.raises(CaseError, match="is a dict, not a PythTB model"):
        from_pythtb({})


@pytest.mark.parametrize("variable", ["chain", "make"])
def test_a_file_becomes_a_case(tmp_path, variable):
    (tmp_path / "model.py").write_text(SCRIPT)
    made = import_model(f"{tmp_path / 'model.py'}:{variable}", directory=tmp_path / "cases")
    case = Case.from_toml(made.path / "case.toml")
    assert case.hamiltonian.source == f"pythtb:model.py:{variable}"
    h = build_problem(case).hamiltonian
    k = 0.7
    off = np.exp(0.4j * k) * (1.0 + 0.6 * np.exp(-1j * k))
    np.testing.assert_allclose(h.bloch(np.array([k])), [[0.5, off], [np.conj(off), -0.5]], atol=1e-14)


def test_a_file_without_it(tmp_path):
    (tmp_path / "model.py").write_text(SCRIPT)
    with pytest.raises(CaseError, match="has no 'chian'"):
        import_model(f"{tmp_path / 'model.py'}:chian", directory=tmp_path)
    with pytest.raises(CaseError, match=r"name the PythTB model in it"):
        import_model(str(tmp_path / "model.py"), directory=tmp_path)


@only_second
def test_the_old_constructor_of_the_second_version():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = pythtb.tb_model(1, 1, [[2.0]], [[0.0], [0.4]])
    theirs.set_hop(1.0, 0, 1, [0])
    assert from_pythtb(theirs).energies(np.array([0.3])) == pytest.approx([-1.0, 1.0])
