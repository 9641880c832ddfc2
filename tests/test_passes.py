"""Passes of the compiled engine over blocks, against plain transforms."""

import ctypes
import gc

import numpy as np
import pytest
from systems import System, separable_chain

from wigner_sim.errors import CaseError
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kernels import passes
from wigner_sim.kernels.layout import MovedAxes, mode_pairs
from wigner_sim.kernels.passes import BlockPass, SumOfFactors
from wigner_sim.kernels.plans import column_plan, factorize

pytest.importorskip("numba")


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("n_points", [(6,), (9,), (7,), (64,), (5, 8), (12, 10), (4, 6, 5), (98, 4), (2, 96)])
@pytest.mark.parametrize(("outer", "inner"), [(1, 40), (21, 1), (3, 7), (2, 16)])
def test_a_pass_is_a_transform_a_phase_and_the_transform_back(n_points, outer, inner):
    axes = MovedAxes(outer, n_points, (3.0,) * len(n_points), inner)
    odd = np.zeros((axes.n_moved, 2))
    own, other = mode_pairs(n_points).T
    odd[own] = noise((len(own), 2), 1)
    odd[other] = -odd[own]
    odd[own[own == other]] = 0.0
    lanes = noise((2, axes.n_lanes), 2)
    w = noise((outer, *n_points, inner))
    where = tuple(range(1, 1 + len(n_points)))
    phase = np.exp(-0.7j * (odd @ lanes)).reshape(*n_points, outer, inner)
    expected = np.fft.ifftn(np.moveaxis(phase, -2, 0) * np.fft.fftn(w, axes=where), axes=where)
    assert np.abs(expected.imag).max() < 1e-13
    for symbol in (SumOfFactors(odd, lanes), odd @ lanes):
        out = np.empty(w.size)
        BlockPass(axes, symbol).run(w.ravel(), out, 0.7)
        np.testing.assert_allclose(out.reshape(w.shape), expected.real, atol=3e-14)


def test_phases_are_accurate_for_large_angles():
    axes = MovedAxes(1, (8,), (1.0,), 16)
    odd = np.array([0.0, 1.0, 2.0, 3.0, 0.0, -3.0, -2.0, -1.0])[:, None]
    lanes = noise((1, 16)) * 50
    w = noise((8, 16))
    expected = np.fft.ifft(np.exp(-1j * odd * lanes) * np.fft.fft(w, axis=0), axis=0).real
    out = np.empty(w.size)
    BlockPass(axes, SumOfFactors(odd, lanes)).run(w.ravel(), out, 1.0)
    np.testing.assert_allclose(out.reshape(w.shape), expected, atol=1e-13)


def test_lengths_with_large_prime_factors_are_left_to_numpy():
    assert factorize(96) is not None
    assert factorize(22) is None
    system = separable_chain(n=24)
    other = System(system.hamiltonian, PhaseSpaceGrid((22,), (24,), (24.0,)))
    assert system.evolution(2, split=True).in_blocks
    assert not other.evolution(2, split=True).in_blocks
    with pytest.raises(CaseError, match="compiled engine needs"):
        other.evolution(2, split=True, engine="compiled").equation()


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("n", [2, 9, 28, 48])
def test_the_transform_that_all_kernels_call_is_a_fourier_transform(n, bits):
    transforms = pytest.importorskip("wigner_sim.kernels.transforms")
    plan, twiddles = column_plan(n, bits)
    lanes, kind = 512 // bits, f"f{bits // 8}"
    stride = 3 * lanes
    column = np.random.default_rng(n).normal(size=(2, n, stride)).astype(kind)
    expected = np.fft.fft(column[0, :, :lanes] + 1j * column[1, :, :lanes], axis=0)
    untouched = column[:, :, lanes:].copy()
    scratch = np.empty(4 * n * lanes, kind)

    def pointer(array):
        number = {"f8": ctypes.c_double, "f4": ctypes.c_float, "i8": ctypes.c_int64}[array.dtype.str[1:]]
        return array.ctypes.data_as(ctypes.POINTER(number))

    transform = transforms.compiled_transform(bits).ctypes
    areas = (pointer(plan), pointer(twiddles), pointer(scratch))
    transform(pointer(column[0]), pointer(column[1]), stride, *areas, n)
    found = column[0, :, :lanes] + 1j * column[1, :, :lanes]
    np.testing.assert_allclose(found, expected, atol={64: 1e-12, 32: 1e-4}[bits])
    np.testing.assert_array_equal(column[:, :, lanes:], untouched)


def test_garbage_is_collected_again_after_compiling_failed():
    def compile_wrongly():
        assert not gc.isenabled()
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"), passes._without_collection():
        compile_wrongly()
    assert gc.isenabled()
