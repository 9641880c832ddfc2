"""Fourier layer: transforms, wavenumbers and the Nyquist rule.  The only module that imports pyfftw.

Wavenumbers are angular everywhere: a mode ``exp(i q z)`` has wavenumber ``q``.
Plans use FFTW's ESTIMATE mode, which depends on the machine only and not on timings, so that two
processes on one machine produce the same bits; :func:`set_planner` makes them by trial (see ``wisdom``).
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import numpy as np
import pyfftw
import pyfftw.interfaces.numpy_fft as fftw
from numpy.typing import NDArray

from wigner_sim import parallel

Array = NDArray[Any]

PLANNER = ESTIMATE = "FFTW_ESTIMATE"
MEASURE = "FFTW_MEASURE"

#: Elements from which a transform is worth sharing among threads.
WORTH_SHARING = 1 << 16

#: Plans that a thread keeps.
MOST_TRANSFORMS = 16
#: Between wisdom of double and of single precision.
_SEPARATOR = "\n;\n"

_threads = 1
_of_thread = threading.local()


def set_threads(n_threads: int) -> None:
    """Use ``n_threads`` threads in transforms planned from now on."""
    global _threads
    _threads = n_threads


def set_planner(measured: bool) -> None:
    """Choose plans by trying them out, or not, from now on."""
    global PLANNER
    PLANNER = MEASURE if measured else ESTIMATE


def measures() -> bool:
    """Whether plans are chosen by trying them out."""
    return PLANNER == MEASURE


def library() -> str:
    """Name and version of the library behind the transforms."""
    return f"FFTW {pyfftw.fftw_version}"


def wisdom() -> str:
    """What FFTW has learned in this process, as text."""
    return _SEPARATOR.join(part.decode("ascii") for part in pyfftw.export_wisdom()[:2])


def learn(text: str) -> bool:
    """Take over :func:`wisdom` of another process; returns whether FFTW understood it."""
    double, separator, single = text.partition(_SEPARATOR)
    if not separator:
        return False
    _, _, longest = pyfftw.export_wisdom()
    return all(pyfftw.import_wisdom((double.encode("ascii"), single.encode("ascii"), longest))[:2])


def enable_plan_cache(keep_seconds: float = 60.0) -> None:
    """Keep FFTW plans alive between calls of the array-in, array-out transforms below."""
    pyfftw.interfaces.cache.enable()
    pyfftw.interfaces.cache.set_keepalive_time(keep_seconds)


enable_plan_cache()


def forget_plans() -> None:
    """Drop the kept plans and the arrays they hold."""
    pyfftw.interfaces.cache.disable()
    enable_plan_cache()


@lru_cache(maxsize=256)
def wavenumbers(n_points: int, period: float) -> Array:
    """Angular wavenumbers of a periodic axis in FFT order, shape (n_points,)."""
    q = 2 * np.pi * np.fft.fftfreq(n_points, d=period / n_points)
    q.setflags(write=False)
    return q


@lru_cache(maxsize=256)
def derivative_wavenumbers(n_points: int, period: float) -> Array:
    """Angular wavenumbers with the Nyquist entry of an even axis set to zero.

    The Nyquist mode has no partner of opposite sign, so an odd derivative of it is not real; it is
    dropped in every derivative, which keeps repeated derivatives equal to multiple ones.
    """
    q = wavenumbers(n_points, period).copy()
    if n_points % 2 == 0:
        q[n_points // 2] = 0.0
    q.setflags(write=False)
    return q


@lru_cache(maxsize=64)
def differentiation_matrix(n_points: int, period: float) -> Array:
    """Spectral first derivative along a periodic axis as a matrix, shape (n_points, n_points)."""
    modes = 1j * derivative_wavenumbers(n_points, period)[:, None] * np.fft.fft(np.eye(n_points), axis=0)
    matrix = np.ascontiguousarray(np.fft.ifft(modes, axis=0).real)
    matrix.setflags(write=False)
    return matrix


def _options(values: Array, axes: tuple[int, ...]) -> dict[str, Any]:
    """What every transform is planned with; axes are counted from the front.

    pyfftw looks its plans up by ``hash(axes)``, and Python has ``hash((-1,)) == hash((-2,))``.
    """
    front = tuple(axis % np.ndim(values) for axis in axes)
    shared = np.size(values) >= WORTH_SHARING and not parallel.in_shared_work()
    threads = _threads if shared else 1
    return {"axes": front, "planner_effort": PLANNER, "threads": threads}


def fftn(values: Array, axes: tuple[int, ...]) -> Array:
    """Forward complex transform over ``axes`` (unnormalised)."""
    if not axes:
        return np.asarray(values, dtype=complex)
    return fftw.fftn(values, **_options(values, axes))


def ifftn(values: Array, axes: tuple[int, ...]) -> Array:
    """Inverse complex transform over ``axes`` (normalised by 1/n)."""
    if not axes:
        return np.asarray(values, dtype=complex)
    return fftw.ifftn(values, **_options(values, axes))


def rfftn(values: Array, axes: tuple[int, ...]) -> Array:
    """Forward real transform over ``axes``; the last of them is halved."""
    return fftw.rfftn(values, **_options(values, axes))


def irfftn(values: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """Inverse of :func:`rfftn`; ``shape`` are the real lengths along ``axes``."""
    return fftw.irfftn(values, s=shape, **_options(values, axes))


class RealTransform:
    """Unnormalised real transforms of blocks of one shape, in buffers of its own; for one thread.

    Parameters
    ----------
    shape : tuple of int
        Of ``values``; the last of ``axes`` is halved in ``modes``.
    axes : tuple of int

    Notes
    -----
    Either direction overwrites the buffer it starts from.
    """

    def __init__(self, shape: tuple[int, ...], axes: tuple[int, ...]):
        halved = list(shape)
        halved[axes[-1]] = shape[axes[-1]] // 2 + 1
        self.values: Array = pyfftw.empty_aligned(shape, dtype=float)
        self.modes: Array = pyfftw.empty_aligned(tuple(halved), dtype=complex)
        flags = (PLANNER, "FFTW_DESTROY_INPUT")
        self._forward = pyfftw.FFTW(self.values, self.modes, axes=axes, flags=flags)
        self._backward = pyfftw.FFTW(
            self.modes, self.values, axes=axes, direction="FFTW_BACKWARD", flags=flags
        )

    def forward(self) -> Array:
        """``modes`` from ``values``."""
        self._forward.execute()
        return self.modes

    def backward(self) -> Array:
        """``values`` from ``modes``, times the number of points."""
        self._backward.execute()
        return self.values


def real_transform(shape: tuple[int, ...], axes: tuple[int, ...]) -> RealTransform:
    """The :class:`RealTransform` of this thread."""
    known = _of_thread.__dict__.setdefault("transforms", {})
    key = (shape, axes, PLANNER)
    if key not in known:
        if len(known) >= MOST_TRANSFORMS:
            known.clear()
        known[key] = RealTransform(shape, axes)
    return known[key]


def translate(values: Array, axis: int, shift: float, period: float = 2 * np.pi) -> Array:
    """``values(z - shift)`` along one periodic axis of a real array, exact for band-limited functions."""
    n = values.shape[axis]
    q = derivative_wavenumbers(n, period)[: n // 2 + 1]
    phase = np.exp(-1j * shift * q)
    shape = [1] * values.ndim
    shape[axis] = len(phase)
    return irfftn(phase.reshape(shape) * rfftn(values, (axis,)), (n,), (axis,))
