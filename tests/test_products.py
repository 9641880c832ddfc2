"""Sums of products: their algebra, their size, and eq. 3.29 of the talk written out term by term.

That they equal the general expansion is tested in ``test_separable``; here it is done in three dimensions.
"""

from collections import Counter
from itertools import product as pairs

import numpy as np
import pytest
from systems import grid_of, relative, separable_plane

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_sources import GeneralBand, ProductBandSource
from wigner_sim.kinetics.effective_band import EffectiveBand, phase_space_velocity
from wigner_sim.kinetics.equation import unsplit_equation
from wigner_sim.kinetics.external_field import ExternalField
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.kinetics.product_band import product_band
from wigner_sim.models.hamiltonian import separable_hamiltonian
from wigner_sim.models.matrices import pauli_combination
from wigner_sim.products import SumOfProducts, letter_space, product_hamiltonian
from wigner_sim.symbols import SymbolSpace, adjoint, multiply, star_product_at, trace

D = 2
GRID = grid_of((24.0, 36.0), 12, 16, D)
LETTERS = letter_space(GRID, np.zeros((2, D)))
SPACE = SymbolSpace(GRID)
U, U_X, U_XY = ((),), ((0,),), ((0, 1),)


def field(driven=False):
    x, y = GRID.axis_points[:2]
    u = 0.3 * np.cos(2 * np.pi * x / 24)[:, None] + 0.2 * np.cos(2 * np.pi * y / 36 - 0.3)
    u = u + 0.1 * np.cos(2 * np.pi * (x[:, None] / 24 + y / 36))
    rate = 0.05 * np.sin(2 * np.pi * x / 24)[:, None] * np.cos(2 * np.pi * y / 36) if driven else None
    return ExternalField(u, np.zeros(D), rate)


def dense(values):
    """A sum of products on the grid."""
    found = values.evaluate(lambda monomial: field().monomial(SPACE, monomial))
    return np.broadcast_to(found, (*found.shape[:-4], *GRID.shape))


def low_harmonics(seed, *lead):
    """A k-function with few harmonics, so that products of two do not alias."""
    rng = np.random.default_rng(seed)
    kx, ky = LETTERS.grid.coordinates[D:]
    total = 0
    for m, n in pairs(range(-1, 2), repeat=2):
        weight = rng.normal(size=lead) + 1j * rng.normal(size=lead)
        total = total + np.multiply.outer(weight, np.exp(1j * (m * kx + n * ky)))
    return total


def some_sum(seed, *lead):
    return SumOfProducts({(): low_harmonics(seed, *lead), U: low_harmonics(seed + 1, *lead)}, 2 * D)


# --- algebra ---


def test_ring_laws_hold_on_the_grid_and_in_the_table():
    a, b, c = (some_sum(seed, 2, 2) for seed in (1, 3, 5))
    scalar = some_sum(7)
    for found, expected in [
        (multiply(a, b + c, 4), multiply(a, b, 4) + multiply(a, c, 4)),
        (multiply(multiply(a, b, 4), c, 4), multiply(a, multiply(b, c, 4), 4)),
        (scalar * (a + b), scalar * a + scalar * b),
        (a - b, -(b - a)),
        (2.0 * a + 1.0 * a, 3.0 * a),
    ]:
        assert found.terms.keys() == expected.terms.keys()
        for monomial, coefficient in found.terms.items():
            np.testing.assert_allclose(coefficient, expected.terms[monomial], atol=1e-12)
    np.testing.assert_allclose(dense(multiply(a, b, 4)), multiply(dense(a), dense(b), 4), atol=1e-12)
    np.testing.assert_allclose(dense(trace(a)), trace(dense(a)), atol=1e-13)
    np.testing.assert_allclose(dense(adjoint(a)), adjoint(dense(a)), atol=1e-13)
    assert not np.allclose(dense(multiply(a, b, 4)), multiply(dense(b), dense(a), 4))


def test_numbers_are_sums_of_products_too():
    a = some_sum(1)
    assert (1 - a).terms[()] == pytest.approx(1 - a.terms[()])
    assert (a + 0.5).terms[()] == pytest.approx(a.terms[()] + 0.5)
    assert (a + 0.5).terms[U] == pytest.approx(a.terms[U])


def test_products_of_monomials_are_sorted():
    ones = np.ones((1,) * 4)
    left, right = SumOfProducts({U_XY: ones}, 4), SumOfProducts({U: ones, U_X: 2 * ones}, 4)
    assert (left * right).terms.keys() == {((), (0, 1)), ((0,), (0, 1))}
    assert (left * right).terms.keys() == (right * left).terms.keys()


def test_pruning_drops_what_is_zero_to_rounding_only():
    ones = np.ones((1,) * 4)
    sum_ = SumOfProducts({U: ones, U_X: 1e-17 * ones, U_XY: 1e-9 * ones}, 4)
    assert sum_.pruned().terms.keys() == {U, U_XY}
    assert sum_.pruned(1e-6).terms.keys() == {U}
    assert sum_.pruned(1e-6, scale=1e9).terms.keys() == set()


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 0), (0, 1), (0, 2), (1, 3, 3), (0, 1, 2), (0, 0, 1)])
def test_derivatives_obey_leibniz(axes):
    """Powers of U differentiated as monomials, against spectral derivatives of the dense array."""
    a = some_sum(1)
    cube = a * a * a
    found = dense(LETTERS.symbol(cube).derivative(*axes))
    expected = SPACE.symbol(dense(cube)).derivative(*axes)
    np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())


def test_leibniz_counts():
    """d_x^2 of U^3 is 6 U U_x^2 + 3 U^2 U_xx."""
    ones = np.ones((1,) * 4)
    cube = SumOfProducts({((), (), ()): ones}, 4)
    second = LETTERS.symbol(cube).derivative(0, 0)
    counts = Counter({monomial: float(c.max()) for monomial, c in second.terms.items()})
    assert counts == {((), (0,), (0,)): 6.0, ((), (), (0, 0)): 3.0}


@pytest.mark.parametrize("order", [0, 1, 2])
def test_star_products_of_sums_are_star_products_of_arrays(order):
    a, b = some_sum(1, 2, 2), some_sum(3, 2, 2)
    found = star_product_at([LETTERS.symbol(a)], [LETTERS.symbol(b)], order)
    expected = star_product_at([SPACE.symbol(dense(a))], [SPACE.symbol(dense(b))], order)
    np.testing.assert_allclose(dense(found), expected, atol=1e-12 * np.abs(expected).max())


def test_potential_is_one_letter():
    space = letter_space(GRID, np.zeros((2, D)))
    bloch = low_harmonics(1, 2, 2).reshape(2, 2, 16, 16)
    h = product_hamiltonian(space, bloch).values
    np.testing.assert_allclose(
        dense(h) - bloch[:, :, None, None],
        np.eye(2)[:, :, None, None, None, None] * field().potential[:, :, None, None] * np.ones((16, 16)),
        atol=1e-14,
    )


def test_missing_axes_and_time_are_letters_too():
    """Along a missing axis the derivative of U is minus the force; d_t U comes from the rate."""
    stripe = SymbolSpace(PhaseSpaceGrid((16,), (8, 8), (24.0,)))
    x = stripe.grid.axis_points[0]
    u, rate = np.cos(2 * np.pi * x / 24), np.sin(2 * np.pi * x / 24)
    f = ExternalField(u, np.array([0.1, 0.2]), rate, np.array([0.3, 0.4]))
    q = 2 * np.pi / 24
    flat = lambda m: np.broadcast_to(f.monomial(stripe, m), (16, 1, 1))[:, 0, 0]  # noqa: E731
    np.testing.assert_allclose(flat(((0,),)), -q * np.sin(q * x) - 0.1, atol=1e-13)
    np.testing.assert_allclose(flat(((1,),)), -0.2 * np.ones(16), atol=1e-13)
    np.testing.assert_allclose(flat(((0, 4),)), q * np.cos(q * x) - 0.3, atol=1e-13)
    np.testing.assert_allclose(flat(((1, 4), (0, 0))), 0.4 * q**2 * np.cos(q * x), atol=1e-13)
    np.testing.assert_allclose(flat(((1, 1),)), 0, atol=1e-13)


# --- the band ---


def space_crystal(s=1, flux=None, n_x=8, n_k=16, sites=24.0):
    """Three dimensions, s of them inhomogeneous, gapped and without symmetry."""

    def bloch(k):
        d1, d2 = 0.25 * np.sin(k[0]) + 0.1 * np.cos(k[2]), 0.25 * np.sin(k[1])
        return pauli_combination(d1, d2, 1.6 - 0.1 * np.cos(k).sum(axis=0), 0.2 * np.cos(k[0] + k[1]))

    def potential(x, t):
        return sum(0.3 * np.cos(2 * np.pi * each / sites - 0.2 * i) for i, each in enumerate(x))

    grid = PhaseSpaceGrid((n_x,) * s, (n_k,) * 3, (sites,) * s, flux)
    return separable_hamiltonian(bloch, potential, 2, 3), grid


def field_tensor(b_x, b_y, b_z):
    return np.array([[0.0, b_z, -b_y], [-b_z, 0.0, b_x], [b_y, -b_x, 0.0]])


@pytest.mark.parametrize("flux", [None, field_tensor(0.0, 0.08, -0.12)])
def test_three_dimensions_equal_the_general_expansion(flux):
    hamiltonian, grid = space_crystal(flux=flux)
    space = SymbolSpace(grid, hamiltonian.orbital_positions)
    ours, theirs = (
        kind(hamiltonian, space, 0, EquationOptions(2)).effective(0.0)
        for kind in (ProductBandSource, GeneralBand)
    )
    for a, b in zip(ours.energy, theirs.energy, strict=True):
        np.testing.assert_allclose(a, b, atol=3e-8)
    np.testing.assert_allclose(ours.density_of_states, theirs.density_of_states, atol=3e-8)
    assert (
        relative(phase_space_velocity(ours) - phase_space_velocity(theirs), phase_space_velocity(theirs))
        < 3e-7
    )
    assert np.abs(ours.density_of_states - 1).max() > 1e-4


def test_no_array_of_phase_space_size_is_made(monkeypatch):
    """The largest array of the expansion has the size of the momentum grid times the matrix."""
    hamiltonian, grid = space_crystal(s=3, flux=field_tensor(0.02, 0.08, -0.12), n_x=32, n_k=8)
    k = np.stack(np.broadcast_arrays(*(m.reshape(m.shape[3:]) for m in grid.momenta)))
    bloch = np.moveaxis(hamiltonian.bloch(k), (-2, -1), (0, 1))
    sizes = []
    original = SumOfProducts.__init__

    def recording(self, terms, n_grid_axes):
        sizes.extend(np.size(c) for c in dict(terms).values())
        original(self, terms, n_grid_axes)

    monkeypatch.setattr(SumOfProducts, "__init__", recording)
    band = product_band(bloch, grid, np.zeros((2, 3)), 0, 2)
    assert max(sizes) <= 4 * 8**3
    arrays = [c for v in [*band.velocity, *band.energy] for c in v.terms.values()]
    assert max(map(np.size, arrays)) == 8**3
    assert len(arrays) < 200
    assert int(np.prod(grid.shape)) == 32**3 * 8**3


@pytest.mark.parametrize(("s", "flux", "most"), [(1, 0.0, 11), (2, 0.0, 20), (1, 0.1, 20), (2, 0.1, 40)])
def test_few_terms_make_the_velocity(s, flux, most):
    system = separable_plane(s, n_x=8, n_k=16, flux=flux)
    source = ProductBandSource(system.hamiltonian, system.space, 0, EquationOptions(2))
    whole, rest = (source.coefficients(0.0, remainder).velocity.n_terms for remainder in (False, True))
    assert max(whole) <= most
    assert sum(rest) < sum(whole)


# --- eq. 3.29 ---


def derivative(values, axes, periods):
    """Spectral derivative of an array over all of its axes, by numpy alone."""
    for axis in axes:
        n = values.shape[axis]
        q = 2 * np.pi * np.fft.fftfreq(n, periods[axis] / n)
        if n % 2 == 0:
            q[n // 2] = 0
        shape = [-1 if axis == other else 1 for other in range(values.ndim)]
        values = np.fft.ifft(1j * q.reshape(shape) * np.fft.fft(values, axis=axis), axis=axis).real
    return values


def sums_over_states(bloch, k, d, band):
    """E, Omega, g, T of a band from eigenvectors and matrix elements of dH/dk (finite differences)."""
    step = 1e-3

    def shifted(i, n):
        k_new = k.copy()
        k_new[i] = k_new[i] + n * step
        return bloch(k_new)

    slopes = [
        (
            45 * (shifted(i, 1) - shifted(i, -1))
            - 9 * (shifted(i, 2) - shifted(i, -2))
            + shifted(i, 3)
            - shifted(i, -3)
        )
        / (60 * step)
        for i in range(d)
    ]
    energies, u = np.linalg.eigh(bloch(k))
    elements = [np.einsum("...om,...op,...p->...m", u.conj(), slope, u[..., band]) for slope in slopes]
    gaps = energies[..., band, None] - energies
    inverse = np.where(np.abs(gaps) > 1e-9, 1 / np.where(np.abs(gaps) > 1e-9, gaps, 1), 0.0)
    omega, g, t = (np.zeros((d, d, *k.shape[1:])) for _ in range(3))
    for i, j in pairs(range(d), repeat=2):
        # <d_i u|u_m><u_m|d_j u>
        both = (elements[i].conj() * elements[j]) * inverse**2
        g[i, j] = both.sum(axis=-1).real
        omega[i, j] = 2 * both.sum(axis=-1).imag
        t[i, j] = -2 * (both * inverse).sum(axis=-1).real
    return energies[..., band], omega, g, t


def talk_terms(f, energy, omega, g, t_metric, potential, rate, periods, d):
    """The terms of eq. 3.29 for H0(p) - e V(x), e = hbar = 1, without collisions.

    Read with the second index of T a nu (``<d_mu u_n|u_m><u_m|d_nu u_n>``), which the slide prints as mu.
    """
    V, V_t = -potential, -rate
    x, k = range(d), range(d, 2 * d)
    shape = (1,) * d + f.shape[d:]
    lift = lambda a: a.reshape(*a.shape[: a.ndim - d], *shape)  # noqa: E731
    energy, omega, g, T = lift(energy), lift(omega), lift(g), lift(t_metric)
    wide = lambda a: np.broadcast_to(a, f.shape)  # noqa: E731
    dx = lambda a, *axes: derivative(wide(a), axes, periods)  # noqa: E731
    names = "drift, berry, T rate, T squared, T force, metric force, force"
    names += ", metric xx, metric kx, moyal x, moyal k"
    out = {name: np.zeros(f.shape) for name in names.split(", ")}
    V_i = [dx(V, i) for i in x]
    V_ij = [[dx(V, i, j) for j in x] for i in x]
    v = [dx(energy, k[i]) for i in x]
    for i in x:
        out["drift"] -= dx(f * v[i], i)
        out["force"] -= dx(f, k[i]) * V_i[i]
        for j in x:
            out["berry"] -= dx(f * omega[i, j] * V_i[j], i)
            out["T rate"] -= dx(f * T[i, j] * dx(V_t, j), i)
            for l in x:  # noqa: E741
                squared = (dx(T[i, l], k[j]) - 0.5 * dx(T[j, l], k[i])) * V_i[j] * V_i[l]
                out["T squared"] -= dx(f * squared, i)
                out["T force"] -= dx(f * v[j] * T[i, l] * V_ij[j][l], i)
                out["metric force"] += 0.5 * dx(f * dx(g[j, l], k[i]) * V_ij[j][l], i)
                out["metric xx"] += 0.5 * dx(f * dx(g[i, l], k[j]) * V_i[j], i, l)
                out["metric kx"] -= dx(f * g[j, l] * V_ij[i][l], k[i], j)
                out["moyal x"] += dx(f, i, j, l) * dx(energy, k[i], k[j], k[l]) / 24
                out["moyal k"] += dx(f, k[i], k[j], k[l]) * dx(V, i, j, l) / 24
    return out


def rate_of_f(effective: EffectiveBand, velocity, f):
    """d_t f by the equation for w, order by order: L_0 + L_1 + (L_2 + S L_0 - L_0 S)."""
    smearing = effective.smearing.apply
    leading = unsplit_equation(effective, EquationOptions(0), velocity[0]).rhs
    whole = unsplit_equation(effective, EquationOptions(2), velocity[2]).rhs
    return whole(f, 0.0) + smearing(leading(f, 0.0)) - leading(smearing(f), 0.0)


#: lengths, n_x, n_k, d, aliasing as part of the largest term
TALK = {
    "x k": ((24.0,), 24, 64, 1, 2e-11),
    "x y kx ky": ((24.0, 36.0), 14, 24, 2, 2e-7),
}


@pytest.mark.parametrize("band", [0, 1])
@pytest.mark.parametrize("name", TALK)
def test_eq_3_29_of_the_talk(name, band):
    """Written out term by term, it is what the w-form gives for f = w + S w; every term is there."""
    lengths, n_x, n_k, d, aliasing = TALK[name]

    def bloch(k):
        d1 = 0.3 * np.sin(k[0]) + (0.15 if d == 1 else 0.0)
        d2 = 0.3 * np.sin(k[-1] - 0.4)
        scalar = 0.25 * np.cos(k).sum(axis=0) + 0.1 * np.sin(k.sum(axis=0))
        return pauli_combination(d1, d2, 1.5 - 0.2 * np.cos(k).sum(axis=0), scalar)

    def potential(x, t):
        each = [2 * np.pi * x[i] / length for i, length in enumerate(lengths)]
        moving = (0.4 + 0.1 * np.sin(0.1 * t)) * np.cos(each[0] - 0.05 * t)
        return moving + 0.2 * np.cos(each[-1] + 0.3) + 0.1 * np.sin(sum(each))

    hamiltonian = separable_hamiltonian(bloch, potential, 2, d, time_dependent=True)
    grid = grid_of(lengths, n_x, n_k, d)
    space = SymbolSpace(grid, np.zeros((2, d)))
    t, step = 1.3, 1e-2
    mesh = list(np.broadcast_arrays(*grid.coordinates))
    f = np.exp(
        sum(
            0.3 * np.cos(2 * np.pi * mesh[i] / lengths[i] - 0.5) + 0.3 * np.cos(mesh[d + i] - 1)
            for i in range(d)
        )
    ) * (1 + 0.2 * np.sin(2 * np.pi * mesh[0] / lengths[0] + mesh[-1]))

    sources = [
        ProductBandSource(hamiltonian, space, band, EquationOptions(order, difference_step=step))
        for order in range(3)
    ]
    velocity = [source.coefficients(t, remainder=False).velocity for source in sources]
    ours = rate_of_f(sources[2].effective(t), velocity, f)

    k = np.stack(np.broadcast_arrays(*(m.reshape(m.shape[d:]) for m in grid.momenta)))
    x = np.stack(np.broadcast_arrays(*(m.reshape(m.shape[:d]) for m in grid.positions)))
    on_grid = (*grid.n_x, *(1,) * d)
    rate = (potential(x, t + 1e-4) - potential(x, t - 1e-4)) / 2e-4
    terms = talk_terms(
        f,
        *sums_over_states(bloch, k, d, band),
        potential(x, t).reshape(on_grid),
        rate.reshape(on_grid),
        grid.periods,
        d,
    )
    rounding = aliasing * np.abs(terms["drift"]).max()
    np.testing.assert_allclose(ours, sum(terms.values()), atol=rounding)
    for term, values in terms.items():  # dropping any of them, or flipping its sign, is seen
        if not (term == "berry" and d == 1):
            assert np.abs(values).max() > 100 * rounding, term
    if d == 2:  # with both derivatives along mu, as printed, the formula for T is not that of the equation
        states = list(sums_over_states(bloch, k, d, band))
        own = np.einsum("ii...->i...", states[3])
        states[3] = 0.5 * (own[:, None] + own[None])
        printed = talk_terms(
            f, *states, potential(x, t).reshape(on_grid), rate.reshape(on_grid), grid.periods, d
        )
        assert np.abs(ours - sum(printed.values())).max() > 100 * rounding
