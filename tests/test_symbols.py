"""Symbol algebra: star products of plane waves, associativity, cyclicity, orbital offsets."""

from math import factorial

import numpy as np
import pytest
from systems import gentle_texture, relative, three_orbitals, upper_chain

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.effective_band import effective_band
from wigner_sim.symbols import SymbolSpace, adjoint, star_product, star_product_at, star_term

FLUX = np.array([[0.0, 0.7], [-0.7, 0.0]])
FLUX_3D = np.array([[0.0, 0.3, -0.2], [-0.3, 0.0, 0.5], [0.2, -0.5, 0.0]])
SPACES = {
    "x k": SymbolSpace(PhaseSpaceGrid((16,), (18,), (3.0,))),
    "kx ky, field": SymbolSpace(PhaseSpaceGrid((), (16, 18), (), FLUX)),
    "x kx ky, field": SymbolSpace(PhaseSpaceGrid((16,), (16, 18), (3.0,), FLUX)),
    "x y kx ky, field": SymbolSpace(PhaseSpaceGrid((16, 14), (14, 14), (3.0, 4.0), FLUX)),
    "kx ky kz, field": SymbolSpace(PhaseSpaceGrid((), (14, 16, 14), (), FLUX_3D)),
}
SMALL = [name for name in SPACES if name != "x y kx ky, field"]


def random_symbol(space, rng, n_orbitals=2, highest=2):
    """Random complex matrix symbol with Fourier modes up to ``highest`` along each axis."""
    grid = space.grid
    lead = (n_orbitals, n_orbitals) if n_orbitals else ()
    hat = np.zeros((*lead, *grid.shape), dtype=complex)
    low = np.ix_(*([np.r_[0 : highest + 1, -highest:0]] * grid.n_axes))
    draw = rng.normal(size=(2, *lead, *(2 * highest + 1,) * grid.n_axes))
    hat[(..., *low)] = draw[0] + 1j * draw[1]
    values = np.fft.ifftn(hat, axes=space.grid_axes)
    return space.symbol(values / np.abs(values).max())


def plane_wave(space, modes, matrix):
    phase = sum(
        2 * np.pi * m * z / period
        for m, z, period in zip(modes, space.grid.coordinates, space.grid.periods, strict=True)
    )
    wave = np.broadcast_to(np.exp(1j * phase), space.grid.shape)
    return space.symbol(wave if matrix is None else np.multiply.outer(matrix, wave))


@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("name", SPACES)
def test_star_product_of_plane_waves(name, order):
    """``e^{ipz} * e^{iqz} = e^{i(p+q)z} exp(-(i/2) p eps q)``, term by term."""
    space = SPACES[name]
    n_axes = space.grid.n_axes
    m_p, m_q = np.array([1, -2, 2, 1])[:n_axes], np.array([2, 1, -1, 3])[:n_axes]
    unit = 2 * np.pi / np.array(space.grid.periods)
    exponent = -0.5j * (m_p * unit) @ space.grid.epsilon @ (m_q * unit)
    expected = exponent**order / factorial(order) * plane_wave(space, m_p + m_q, None).values
    assert np.abs(expected).max() > 1e-3
    a, b = (plane_wave(space, m, None) for m in (m_p, m_q))
    assert relative(star_term(a, b, order) - expected, expected) < 1e-11
    if len(space.grid.shape) < 4:
        left, right = np.array([[1, 2j], [0.5, -1]]), np.array([[0, 1], [1j, 3]])
        matrices = star_term(plane_wave(space, m_p, left), plane_wave(space, m_q, right), order)
        assert relative(matrices - np.multiply.outer(left @ right, expected), matrices) < 1e-11
        mixed = star_term(a, plane_wave(space, m_q, right), order)
        assert relative(mixed - np.multiply.outer(right, expected), mixed) < 1e-11


def test_without_position_and_field_products_are_pointwise():
    space = SymbolSpace(PhaseSpaceGrid((), (8,), ()))
    rng = np.random.default_rng(0)
    a, b = random_symbol(space, rng), random_symbol(space, rng)
    np.testing.assert_allclose(star_term(a, b, 0), np.einsum("ij...,jk...->ik...", a.values, b.values))
    np.testing.assert_array_equal(star_term(a, b, 1), np.zeros_like(a.values))
    np.testing.assert_array_equal(star_term(a, b, 2), np.zeros_like(a.values))


@pytest.mark.parametrize("name", SMALL)
def test_star_product_is_associative_order_by_order(name):
    space, rng = SPACES[name], np.random.default_rng(1)
    a, b, c = ([random_symbol(space, rng) for _ in range(2)] for _ in range(3))
    order = 4 if space.grid.n_axes == 2 else 2
    left = star_product(star_product(a, b, order), c, order)
    right = star_product(a, star_product(b, c, order), order)
    for m in range(order + 1):
        assert relative(left[m].values - right[m].values, left[m].values) < 1e-12


@pytest.mark.parametrize("name", SMALL)
def test_adjoint_reverses_a_product(name):
    space, rng = SPACES[name], np.random.default_rng(2)
    a, b = random_symbol(space, rng), random_symbol(space, rng)
    a_dagger, b_dagger = space.symbol(adjoint(a.values)), space.symbol(adjoint(b.values))
    for order in range(4):
        product = star_term(a, b, order)
        assert relative(adjoint(product) - star_term(b_dagger, a_dagger, order), product) < 1e-13


@pytest.mark.parametrize("name", SMALL)
def test_trace_is_cyclic_under_the_integral(name):
    """``int tr A * B = int tr A B``: every higher term is a total derivative."""
    space, rng = SPACES[name], np.random.default_rng(3)
    a, b, c = (random_symbol(space, rng) for _ in range(3))
    for order in range(1, 4):
        term = star_term(a, b, order)
        assert np.abs(term.mean(axis=space.grid_axes)).max() < 1e-13 * np.abs(term).max()
        abc = np.einsum("ii...->...", star_product_at(star_product([a], [b], order), [c], order))
        cab = np.einsum("ii...->...", star_product_at(star_product([c], [a], order), [b], order))
        assert np.abs(abc).max() > 1e-3
        np.testing.assert_allclose(abc.mean(), cab.mean(), atol=1e-13)


def test_repeated_and_multiple_derivatives_agree_also_with_the_nyquist_mode():
    space = SymbolSpace(PhaseSpaceGrid((8,), (8,), (5.0,)))
    u = space.symbol(np.random.default_rng(4).normal(size=(8, 8)))
    assert not np.iscomplexobj(u.derivative(0))
    for axes in [(0, 0), (0, 1), (0, 1, 1)]:
        step = u
        for axis in axes:
            step = space.symbol(step.derivative(axis))
        np.testing.assert_allclose(u.derivative(*axes), step.values, atol=1e-11)
        np.testing.assert_array_equal(u.derivative(*axes), u.derivative(*axes[::-1]))


def test_axis_of_length_one_is_a_constant_direction():
    space = SPACES["x kx ky, field"]
    rng = np.random.default_rng(5)
    thin = rng.normal(size=(1, *space.grid.shape[1:]))
    a, whole = space.symbol(thin), space.symbol(np.broadcast_to(thin, space.grid.shape).copy())
    b = random_symbol(space, rng)
    assert a.derivative(1).shape == thin.shape
    for order in range(4):
        np.testing.assert_allclose(star_term(a, b, order), star_term(whole, b, order), atol=1e-9)
        np.testing.assert_allclose(star_term(b, a, order), star_term(b, whole, order), atol=1e-9)


def test_orbital_offsets_make_covariant_derivatives():
    """With offsets tau the derivative is that of the physical, not periodic, symbol."""
    tau = np.array([[0.0], [0.3]])
    space = SymbolSpace(PhaseSpaceGrid((8,), (16,), (5.0,)), tau)
    x, k = np.broadcast_arrays(*space.grid.coordinates)
    angle = 2 * np.pi * x / 5
    periodic = np.zeros((2, 2, *x.shape), dtype=complex)
    periodic[0, 1] = (1 + 0.3 * np.cos(angle)) * (1 + 0.5 * np.exp(1j * k))
    phase = np.exp(-1j * k * (0.0 - 0.3))
    # d_k [e^{-ik(tau_o - tau_o')} H] for the element (0, 1), then back to the periodic form
    physical = phase * (1 + 0.3 * np.cos(angle)) * (0.3j + 0.5j * (1 + 0.3) * np.exp(1j * k))
    symbol = space.symbol(periodic)
    np.testing.assert_allclose(symbol.derivative(1)[0, 1] * phase, physical, atol=1e-13)
    np.testing.assert_allclose(
        symbol.derivative(0)[0, 1],
        -0.3 * np.sin(angle) * 2 * np.pi / 5 * (1 + 0.5 * np.exp(1j * k)),
        atol=1e-13,
    )


@pytest.mark.parametrize("name", SMALL)
def test_associativity_and_cyclicity_with_orbital_offsets(name):
    grid = SPACES[name].grid
    tau = np.array([[0.0, 0.1, 0.2], [0.35, -0.4, 0.3]])[:, : grid.n_momentum_axes]
    space, rng = SymbolSpace(grid, tau), np.random.default_rng(6)
    a, b, c = ([random_symbol(space, rng)] for _ in range(3))
    order = 2
    left = star_product(star_product(a, b, order), c, order)
    right = star_product(a, star_product(b, c, order), order)
    assert relative(left[2].values - right[2].values, left[2].values) < 1e-12
    term = np.einsum("ii...->...", star_term(a[0], b[0], order))
    assert abs(term.mean()) < 1e-13 * np.abs(term).max()


def scalars(effective):
    """Everything the kinetic equation uses, real and gauge invariant."""
    return {
        "h_0": effective.energy[0], "h_1": effective.energy[1], "h_2": effective.energy[2],
        "density_of_states": effective.density_of_states - 1, "metric": effective.metric,
        "curvature_0": effective.curvature[0], "curvature_1": effective.curvature[1],
    }  # fmt: skip


def test_an_origin_shared_by_all_orbitals_changes_nothing():
    system = three_orbitals(n=32)
    shifted_space = SymbolSpace(system.grid, system.hamiltonian.orbital_positions + 0.37)
    shifted = effective_band(shifted_space.symbol(system.symbol().values), system.band, 2)
    for name, value in scalars(system.general()).items():
        assert relative(scalars(shifted)[name] - value, value) < 1e-11, name


def test_offsets_in_periodic_form_equal_the_explicit_position_convention():
    """With tau = 0, 1/2 the physical matrix has period 4 pi in k: in ``kappa = k/2, xi = 2 x`` (canonical)
    it is periodic as it stands, and every scalar must come out the same."""
    system = upper_chain(n=64)
    by_offsets = scalars(system.general())
    (sites,), n = system.grid.lengths, system.grid.shape[0]
    wide = SymbolSpace(PhaseSpaceGrid((n,), (2 * n,), (2 * sites,)))
    xi, kappa = np.broadcast_arrays(*wide.grid.coordinates)
    matrix = system.hamiltonian.matrix(xi[None] / 2, 2 * kappa[None], 0.0)
    explicit = scalars(effective_band(wide.symbol(np.moveaxis(matrix, (-2, -1), (0, 1))), system.band, 2))
    jacobian = np.array([0.5, 2.0])  # d(x, k)/d(xi, kappa)
    # kappa = -pi + j pi/n  <->  k = -2 pi + j 2 pi/n = -pi at j = n/2
    for name, value in by_offsets.items():
        other = explicit[name][..., n // 2 : n // 2 + n]
        if value.ndim == 4:
            value = np.einsum("a,b,ab...->ab...", jacobian, jacobian, value)
        assert relative(other - value, value) < 1e-9, name


def test_offsets_matter():
    """The same matrix elements at other places in the cell have another geometry (the test can fail)."""
    system = upper_chain(n=48)
    space = SymbolSpace(system.grid)
    naive = effective_band(space.symbol(system.symbol().values), system.band, 2)
    assert relative(naive.metric - system.general().metric, naive.metric) > 0.1


def test_gentle_texture_is_resolved_to_rounding():
    """What other tests rely on when they ask for rounding."""
    effective = gentle_texture().general()
    hat = np.abs(np.fft.fft2(effective.energy[2]))
    assert hat[16:33].max() < 1e-11 * hat.max()
    assert hat[:, 16:33].max() < 1e-11 * hat.max()
