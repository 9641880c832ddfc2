"""What ``bench_engine.py`` runs side by side: the engine, floors of the machine, other steppers."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyfftw

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.equation import KineticEquation, moyal_coefficients
from wigner_sim.kinetics.fused import FusedFlows
from wigner_sim.kinetics.options import EquationOptions
from wigner_sim.models.build import build_hamiltonian
from wigner_sim.propagator import Propagator
from wigner_sim.steppers import STEPPERS


def crystal(n, flux=0.0, n_x=None):
    """Massive Dirac electrons in a potential with both position axes, n points per axis, n sites."""
    length, n_x = float(n), n_x or n
    grid = PhaseSpaceGrid(
        (n_x, n_x), (n, n), (length, length), None if not flux else flux * np.array([[0.0, 1.0], [-1.0, 0.0]])
    )
    potential = "0.3*cos(2*pi*x/Lx) + 0.2*cos(2*pi*y/Ly - 0.4) + 0.1*sin(2*pi*(x/Lx + y/Ly))"
    parameters = {"mass": 0.6, "velocity": 0.8, "wilson": 0.5}
    return build_hamiltonian("massive_dirac", parameters, potential, 2, 2, grid.lengths, Path()), grid


def evolution(n, order, flux=0.0, n_x=None, **options):
    """The equation of the lower band."""
    hamiltonian, grid = crystal(n, flux, n_x)
    return BandEvolution(hamiltonian, grid, 0, EquationOptions(order, split=True, **options))


def packet(grid):
    """A smooth positive state."""
    x, y, kx, ky = np.ix_(*grid.axis_points)
    a, b = 2 * np.pi * x / grid.lengths[0], 2 * np.pi * y / grid.lengths[1]
    exponent = 0.8 * np.cos(a - 0.5) + 0.5 * np.cos(b + 0.3) + 0.8 * np.cos(kx - 1) + 0.6 * np.cos(ky + 0.4)
    w = np.exp(exponent + 0.3 * np.sin(a + kx))
    return np.ascontiguousarray(w / w.max())


def advance(equation, w, duration, n_steps, stepper="blanes_moan4"):
    """State after n_steps."""
    return Propagator(equation, STEPPERS[stepper], w, duration / n_steps).advance_to(duration)


def without_remainder(n, **options):
    """The exact flows alone, Moyal terms included: what "order 0" means in the goals."""
    equation = evolution(n, 2, **options)
    streaming, acceleration = equation.equation().flows[:2]
    bare = KineticEquation([streaming, acceleration], FusedFlows(streaming, acceleration))
    equation._equations[0.0] = bare
    return equation


class FloorOfTrailingTransforms:
    """FFT floor: twice (real transform, phase, back) over the trailing axes, in cache-sized blocks."""

    def __init__(self, n, threads, rows=8):
        self._f = pyfftw.zeros_aligned((n * n // rows, rows, n, n))
        self._threads, self._pool, self._workers = threads, ThreadPoolExecutor(threads), []
        self._phase = np.exp(1j * np.random.default_rng(0).normal(size=(rows, n, n // 2 + 1))) / n**2
        for _ in range(threads):
            real, hat = (
                pyfftw.empty_aligned((rows, n, n)),
                pyfftw.empty_aligned((rows, n, n // 2 + 1), complex),
            )
            plans = [
                pyfftw.FFTW(
                    *arrays, axes=(1, 2), direction=direction, flags=("FFTW_MEASURE", "FFTW_DESTROY_INPUT")
                )
                for arrays, direction in (((real, hat), "FFTW_FORWARD"), ((hat, real), "FFTW_BACKWARD"))
            ]
            self._workers.append((real, hat, *plans))

    def __call__(self):
        if self._threads == 1:  # no pool: its overhead is not the machine's
            self._work(0)
            self._work(0)
            return
        for _ in range(2):
            list(self._pool.map(self._work, range(self._threads)))

    def _work(self, number):
        real, hat, forward, backward = self._workers[number]
        for block in self._f[number :: self._threads]:
            np.copyto(real, block)
            forward.execute()
            np.multiply(hat, self._phase, out=hat)
            backward.execute()
            np.copyto(block, real)


class WholeArrays:
    """Real transforms of whole arrays by pyfftw, stored phases, numpy multiplication."""

    def __init__(self, shape_of_f, threads):
        self.f = pyfftw.zeros_aligned(shape_of_f)
        self.parts = []
        for axes in ((0, 1), (2, 3)):
            shape = list(shape_of_f)
            shape[axes[1]] = shape[axes[1]] // 2 + 1
            n = np.sqrt(np.prod([shape_of_f[axis] for axis in axes]))
            hat = pyfftw.empty_aligned(shape, complex)
            options = {"axes": axes, "threads": threads, "planning_timelimit": 5.0}
            forward = pyfftw.FFTW(self.f, hat, flags=("FFTW_MEASURE", "FFTW_DESTROY_INPUT"), **options)
            backward = pyfftw.FFTW(
                hat,
                self.f,
                direction="FFTW_BACKWARD",
                flags=("FFTW_MEASURE", "FFTW_DESTROY_INPUT"),
                **options,
            )
            phase = np.exp(1j * np.random.default_rng(0).normal(size=shape)) / n**2
            self.parts.append((hat, forward, backward, phase))

    def __call__(self):
        for hat, forward, backward, phase in self.parts:
            forward.execute()
            np.multiply(hat, phase, out=hat)
            backward.execute()


def replace_engine(equation, engine):
    """The same equation on another engine."""
    return BandEvolution(equation.hamiltonian, equation.grid, 0, replace(equation.options, engine=engine))


class WellMadeRungeKutta:
    """RK4 of the order-2 equation: exact parts in mixed representations, whole transforms, measured plans."""

    def __init__(self, n):
        self.equation = replace_engine(evolution(n, 2), "numpy")

    def __call__(self, w, dt):
        return STEPPERS["rk4"].step(self.equation, w, 0.0, dt)


def naive_rk4_step(rate, w, dt):
    """The classical step as one writes it down, no array kept."""
    k_1 = rate(w)
    k_2 = rate(w + dt / 2 * k_1)
    k_3 = rate(w + dt / 2 * k_2)
    return w + dt / 6 * (k_1 + 2 * k_2 + 2 * k_3 + rate(w + dt * k_3))


class NaiveRungeKutta:
    """RK4 of the order-2 equation as one writes it down: numpy, stored coefficients, one axis at a time."""

    def __init__(self, n):
        equation = evolution(n, 2)
        self.velocity, self.shape = equation.velocity(), equation.grid.shape
        self.third = moyal_coefficients(equation.space, equation.effective().energy[0])
        self.waves = [
            1j * np.fft.rfftfreq(n, period / n / (2 * np.pi)) * (np.arange(n // 2 + 1) < n / 2)
            for period in equation.grid.periods
        ]

    def derivative(self, f, axis):
        iq = self.waves[axis].reshape([-1 if other == axis else 1 for other in range(4)])
        return np.fft.irfft(iq * np.fft.rfft(f, axis=axis), f.shape[axis], axis=axis)

    def rate(self, w):
        total = 0
        for b in range(4):
            flux = self.velocity[b] * w
            for (axis, (d, f)), coefficient in self.third.items():
                if axis == b:
                    flux = flux + coefficient * self.derivative(self.derivative(w, d), f)
            total = total - self.derivative(flux, b)
        return total

    def __call__(self, w, dt):
        return naive_rk4_step(self.rate, w, dt)
