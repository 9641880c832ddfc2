r"""Wave packets of the semiclassical equations of motion, :math:`\dot z_a = V_a(z, t)`.

A narrow packet of a band moves with the flow velocity of its density w: at order 1 these are the equations
of Sundaram and Niu, Phys. Rev. B 59, 14915 (1999), at order 2 they know the quantum metric.

Source: docs/theory.md section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from wigner_sim import fourier
from wigner_sim.errors import CaseError, NumericalStopError
from wigner_sim.grid import FloatArray, PhaseSpaceGrid
from wigner_sim.kinetics.band_evolution import BandEvolution

#: Fourier modes weaker than this part of the strongest one are rounding.
WEAKEST_MODE = 1e-14

#: (z (a, p), t) -> dz/dt (a, p)
VelocityFunction = Callable[[FloatArray, float], FloatArray]


@dataclass(frozen=True)
class TrigonometricSum:
    r"""A real periodic function as a sum of Fourier modes, :math:`\mathrm{Re}\sum_j A_j e^{iq_j\cdot z}`.

    Parameters
    ----------
    wavenumbers : list of arrays, one per axis
        Different wavenumbers along each axis.
    modes : tuple of integer arrays (modes,), one per axis
        Which of them belong to each mode.
    amplitudes : array (modes,), complex
    """

    wavenumbers: list[FloatArray]
    modes: tuple[Any, ...]
    amplitudes: Any

    @classmethod
    def of(cls, values: FloatArray, grid: PhaseSpaceGrid, weakest: float = 0.0) -> TrigonometricSum:
        """Interpolation of values (*x, *k) on a grid, exact for band-limited functions.

        Modes of at most ``weakest`` are left out, so that a smooth function costs a few modes only.
        """
        amplitudes = fourier.fftn(values, tuple(range(grid.n_axes))) / values.size
        q = [fourier.wavenumbers(n, period) for n, period in zip(grid.shape, grid.periods, strict=True)]
        for axis, (q_axis, points) in enumerate(zip(q, grid.axis_points, strict=True)):
            at_origin = np.exp(-1j * q_axis * points[0])
            amplitudes = amplitudes * at_origin.reshape([-1 if axis == i else 1 for i in range(len(q))])
        kept = np.nonzero(np.abs(amplitudes) > weakest)
        used = [np.unique(index, return_inverse=True) for index in kept]
        wavenumbers = [q_axis[chosen] for q_axis, (chosen, _) in zip(q, used, strict=True)]
        return cls(wavenumbers, tuple(place for _, place in used), amplitudes[kept])

    def __call__(self, z: FloatArray) -> FloatArray:
        """Values at points (a, p), shape (p,)."""
        total = self.amplitudes[:, None]
        for q, mode, points in zip(self.wavenumbers, self.modes, z, strict=True):
            total = total * np.exp(1j * np.outer(q, points))[mode]
        return np.broadcast_to(total, (len(self.amplitudes), z.shape[1])).sum(axis=0).real


class BandVelocity:
    """The flow velocity of a band at any point of phase space.

    Parameters
    ----------
    band : BandEvolution
        Its order is that of the velocity: 0 (group velocity and force), 1 (and Berry curvature, orbital
        moment), 2 (and quantum metric, band-normalized metric).
    """

    def __init__(self, band: BandEvolution):
        self._band = band
        self._kept: tuple[float, list[TrigonometricSum]] | None = None

    def __call__(self, z: FloatArray, t: float) -> FloatArray:
        """``V_a`` at points z (a, p) and time t, shape (a, p)."""
        return np.stack([component(z) for component in self._components(t)])

    def _components(self, t: float) -> list[TrigonometricSum]:
        key = t if self._band.driven else 0.0
        if self._kept is None or self._kept[0] != key:
            values, grid = self._band.velocity(key), self._band.grid
            weakest = WEAKEST_MODE * float(np.abs(values).max())
            self._kept = key, [TrigonometricSum.of(component, grid, weakest) for component in values]
        return self._kept[1]


def wave_packet_trajectories(
    velocity: VelocityFunction,
    starts: ArrayLike,
    times: Sequence[float] | FloatArray,
    scales: ArrayLike = 1.0,
    tolerance: float = 1e-9,
) -> FloatArray:
    r"""Solve :math:`\dot z = V(z, t)` for any number of packets together.

    Parameters
    ----------
    velocity : callable (z (a, p), t) -> (a, p)
        For instance a :class:`BandVelocity`.
    starts : array (p, a)
        Positions, then momenta, at the first of the times.
    times : sequence of float, increasing
    scales : array (a,), optional
        Size of each coordinate, against which errors are measured.
    tolerance : float
        Relative error of a step.

    Returns
    -------
    array (times, p, a)
        Not brought back into one period, so that displacements can be read off.

    Raises
    ------
    CaseError
        If the starts have the wrong shape.
    NumericalStopError
        If no step is small enough.

    Notes
    -----
    Dormand and Prince's method of order 8 (Hairer, Norsett, Wanner I, section II.10).
    """
    starts, times = np.asarray(starts, dtype=float), np.asarray(times, dtype=float)
    if starts.ndim != 2 or not len(starts):
        raise CaseError(
            f"the starts of packets must be a list of phase-space points, got shape {starts.shape}"
        )
    n_packets, n_axes = starts.shape
    scale = np.broadcast_to(np.asarray(scales, dtype=float), (n_axes,))

    def rate(t: float, flat: FloatArray) -> FloatArray:
        return velocity(flat.reshape(n_axes, n_packets), t).ravel()

    solution = solve_ivp(
        rate,
        (times[0], times[-1]),
        starts.T.ravel(),
        method="DOP853",
        t_eval=times,
        rtol=tolerance,
        atol=np.repeat(tolerance * scale, n_packets),
    )
    if not solution.success:
        raise NumericalStopError(f"the trajectories of the packets: {solution.message}")
    return np.moveaxis(solution.y.reshape(n_axes, n_packets, len(times)), (0, 1, 2), (2, 1, 0))
