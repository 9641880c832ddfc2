"""Wavenumbers, the Nyquist rule and the transforms against numpy."""

import numpy as np
import pytest

from wigner_sim import fourier


@pytest.mark.parametrize("n", [8, 9])
def test_wavenumbers_are_angular(n):
    period = 3.0
    x = np.arange(n) * period / n
    for q, mode in zip(fourier.wavenumbers(n, period), np.eye(n), strict=True):
        values = np.fft.ifft(mode) * n
        np.testing.assert_allclose(values, np.exp(1j * q * x), atol=1e-12)


@pytest.mark.parametrize("n", [8, 9])
def test_only_the_nyquist_wavenumber_of_an_even_axis_is_dropped_from_derivatives(n):
    q, derivative_q = fourier.wavenumbers(n, 2.0), fourier.derivative_wavenumbers(n, 2.0)
    different = np.nonzero(q != derivative_q)[0]
    assert list(different) == ([n // 2] if n % 2 == 0 else [])
    assert derivative_q[different].sum() == 0.0
    np.testing.assert_allclose(derivative_q.sum(), 0.0, atol=1e-12)  # each has its partner


def test_cached_wavenumbers_cannot_be_changed():
    for function in (fourier.wavenumbers, fourier.derivative_wavenumbers):
        with pytest.raises(ValueError, match="read-only"):
            function(8, 1.0)[0] = 1.0


@pytest.mark.parametrize("axes", [(0,), (-1,), (0, 2), (-3, -2, -1)])
def test_transforms_agree_with_numpy_and_invert(axes):
    rng = np.random.default_rng(1)
    real = rng.normal(size=(4, 5, 6))
    values = real + 1j * rng.normal(size=real.shape)
    np.testing.assert_allclose(fourier.fftn(values, axes), np.fft.fftn(values, axes=axes), atol=1e-12)
    np.testing.assert_allclose(fourier.ifftn(fourier.fftn(values, axes), axes), values, atol=1e-14)
    np.testing.assert_allclose(fourier.rfftn(real, axes), np.fft.rfftn(real, axes=axes), atol=1e-12)
    shape = tuple(real.shape[axis] for axis in axes)
    np.testing.assert_allclose(fourier.irfftn(fourier.rfftn(real, axes), shape, axes), real, atol=1e-14)


def test_transforms_over_no_axes_do_nothing():
    values = np.arange(3.0)
    np.testing.assert_array_equal(fourier.fftn(values, ()), values)
    np.testing.assert_array_equal(fourier.ifftn(values.astype(complex), ()), values)


def test_transforms_leave_their_input_alone_and_repeat_bit_for_bit():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(16, 16))
    copy = values.copy()
    hat = fourier.rfftn(values, (0, 1))
    hat_copy = hat.copy()
    back = fourier.irfftn(hat, (16, 16), (0, 1))
    np.testing.assert_array_equal(values, copy)
    np.testing.assert_array_equal(hat, hat_copy)
    np.testing.assert_array_equal(fourier.irfftn(fourier.rfftn(values, (0, 1)), (16, 16), (0, 1)), back)


def test_number_of_threads_changes_no_result_beyond_rounding(monkeypatch):
    values = np.random.default_rng(3).normal(size=(32, 32))
    one = fourier.rfftn(values, (0, 1))
    monkeypatch.setattr(fourier, "_threads", 1)  # put back afterwards
    fourier.set_threads(2)
    np.testing.assert_allclose(fourier.rfftn(values, (0, 1)), one, atol=1e-12)


def test_plans_of_different_axes_are_not_mixed_up():
    """``hash((-1,)) == hash((-2,))`` in Python, and pyfftw looks its plans up by the hash."""
    values = np.random.default_rng(0).random((8, 8))
    for axis in (-1, -2):
        expected = np.fft.fft(values, axis=axis)
        np.testing.assert_allclose(fourier.fftn(values, (axis,)), expected, atol=1e-12)
        np.testing.assert_allclose(fourier.ifftn(expected, (axis,)), values, atol=1e-12)
        half = np.fft.rfft(values, axis=axis)
        np.testing.assert_allclose(fourier.rfftn(values, (axis,)), half, atol=1e-12)
        np.testing.assert_allclose(fourier.irfftn(half, (8,), (axis,)), values, atol=1e-12)
