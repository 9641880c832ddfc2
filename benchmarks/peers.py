"""Other ways to solve the equation of ``bench_peers.py``; those that are not installed are left out.

All but the first are given the equation written out,

    f_t = sum over x, y of  U' f_k - E' f_x - U''' f_kkk/24 + E''' f_xxx/24,

for ``E = -cos kx - cos ky`` and ``U = -cos(2 pi x/L) - cos(2 pi y/L)``, on the same grid.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pyfftw
from engine_candidates import naive_rk4_step

from wigner_sim.case import Case
from wigner_sim.problem import build_problem
from wigner_sim.propagator import Propagator

#: Explicit tableaus: rows of the stages after the first, and weights.
RK4 = ([[0.5], [0, 0.5], [0, 0, 1]], [1 / 6, 1 / 3, 1 / 3, 1 / 6])
#: The explicit part of RK443 of dedalus (Ascher, Ruuth, Spiteri, Appl. Numer. Math. 25, 151 (1997)).
RK443 = ([[1 / 2], [11 / 18, 1 / 18], [5 / 6, -5 / 6, 1 / 2]], [1 / 4, 7 / 4, 3 / 4, -7 / 4])


class Package:
    """The package's own splitting."""

    def __init__(self, n, duration):
        self.duration = duration
        around = "exp(2.9*(cos({0} - pi) - 1))"
        case = {
            "title": "packet in a cosine band",
            "grid": {"sites": [n] * 2, "n_x": [n] * 2, "n_k": [n] * 2},
            "hamiltonian": {
                "source": "named:cosine_band",
                "parameters": {"t1": 0.5},
                "potential": "-cos(2*pi*x/Lx) - cos(2*pi*y/Ly)",
            },
            "initial_state": {
                "kind": "symbol",
                "c": f"{around.format('2*pi*x/Lx')}*{around.format('2*pi*y/Ly')}"
                "*exp(5*(cos(kx - 0.6) - 1) + 5*(cos(ky + 0.3) - 1))",
            },
            "time": {"end": duration, "stepper": "blanes_moan4", "threads": 1},
        }
        self.problem = build_problem(Case.from_dict(case, Path(__file__)))
        self.stack = self.problem.stack()
        self.start = self.problem.initial_density(self.stack)

    def run(self, n_steps, dt=None):
        """State after ``n_steps`` of the whole duration, or of length ``dt``."""
        dt = dt or self.duration / n_steps
        propagator = Propagator(self.stack, self.problem.stepper, self.start.copy(), dt)
        return propagator.advance_to(n_steps * dt)[0]


class WrittenOut:
    """Coefficients and wave numbers of ``f_t = sum_axes a_1 d f + a_3 d^3 f``."""

    def __init__(self, package):
        self.start, self.duration = package.start[0], package.duration
        grid = package.problem.grid
        self.terms = []
        for i, length in enumerate(grid.lengths):
            u = 2 * np.pi / length
            x, k = grid.positions[i], grid.momenta[i]
            pull = u * np.sin(u * x)  # U'
            self.terms.append((i, -np.sin(k), -np.sin(k) / 24, length))  # -E', E'''/24
            self.terms.append((2 + i, pull, pull * u**2 / 24, 2 * np.pi))  # U', -U'''/24
        self.waves = []
        for axis, _, _, period in self.terms:
            n = self.start.shape[axis]
            q = np.fft.rfftfreq(n, period / n / (2 * np.pi))
            q[-1] *= n % 2  # odd derivatives of the highest harmonic
            self.waves.append(1j * q.reshape([-1 if other == axis else 1 for other in range(4)]))

    def run(self, n_steps, dt=None):
        """State after ``n_steps`` of the whole duration, or of length ``dt``."""
        f, h = self.start, dt or self.duration / n_steps
        for _ in range(n_steps):
            f = self.step(f, h)
        return np.asarray(f)


class NaiveNumpy(WrittenOut):
    """RK4 as one writes it down: one transform forth and one back for each derivative, no arrays kept."""

    def rate(self, f):
        total = 0
        for (axis, first, third, _), iq in zip(self.terms, self.waves, strict=True):
            total = total + first * np.fft.irfft(iq * np.fft.rfft(f, axis=axis), f.shape[axis], axis=axis)
            total = total + third * np.fft.irfft(iq**3 * np.fft.rfft(f, axis=axis), f.shape[axis], axis=axis)
        return total

    def step(self, f, h):
        return naive_rk4_step(self.rate, f, h)


class Pyfftw(WrittenOut):
    """Well made: planned transforms of one axis, both terms of an axis as one symbol, buffers kept.

    Along one axis the coefficients do not depend on its own coordinate, so the two derivatives are one
    multiplication between a forward and a backward transform.
    """

    tableau = RK4

    def __init__(self, package):
        super().__init__(package)
        shape = self.start.shape
        self.f, self.out = pyfftw.empty_aligned(shape), pyfftw.empty_aligned(shape)
        self.plans = []
        for axis, _, _, _ in self.terms:
            half = pyfftw.empty_aligned(
                [m // 2 + 1 if a == axis else m for a, m in enumerate(shape)], complex
            )
            options = {"axes": (axis,), "flags": ("FFTW_MEASURE",), "threads": 1, "planning_timelimit": 10.0}
            forth = pyfftw.FFTW(self.f, half, **options)
            back = pyfftw.FFTW(half, self.out, direction="FFTW_BACKWARD", **options)
            self.plans.append((forth, back, half))
        self.symbols = [
            (first * iq + third * iq**3) / shape[axis]
            for (axis, first, third, _), iq in zip(self.terms, self.waves, strict=True)
        ]
        self.slopes = [np.empty(shape) for _ in self.tableau[1]]

    def rate(self, f, total):
        total[...] = 0
        self.f[...] = f
        for (forth, back, half), symbol in zip(self.plans, self.symbols, strict=True):
            forth.execute()
            np.multiply(half, symbol, out=half)
            back.execute()
            total += self.out

    def step(self, f, h):
        rows, weights = self.tableau
        self.rate(f, self.slopes[0])
        for slope, row in zip(self.slopes[1:], rows, strict=True):
            self.rate(self._combined(f, h, row), slope)
        return self._combined(f, h, weights)

    def _combined(self, f, h, weights):
        result = f.copy()
        for weight, slope in zip(weights, self.slopes, strict=False):
            if weight:
                np.multiply(slope, h * weight, out=self.out)
                result += self.out
        return result


class EmulatedRK443(Pyfftw):
    """The scheme of dedalus with the right-hand side above, to count its steps."""

    tableau = RK443


class Jax(WrittenOut):
    """RK4 with one symbol for each axis, compiled by XLA."""

    def __init__(self, package):
        super().__init__(package)
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        symbols = [
            first * iq + third * iq**3
            for (_, first, third, _), iq in zip(self.terms, self.waves, strict=True)
        ]

        def rate(f):
            total = 0
            for (axis, *_), symbol in zip(self.terms, symbols, strict=True):
                half = symbol * jnp.fft.rfft(f, axis=axis)
                total = total + jnp.fft.irfft(half, f.shape[axis], axis=axis)
            return total

        def step(f, h):
            k_1 = rate(f)
            k_2 = rate(f + h / 2 * k_1)
            k_3 = rate(f + h / 2 * k_2)
            return f + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + rate(f + h * k_3))

        self.step = jax.jit(step)


class Dedalus(WrittenOut):
    """RK443 of dedalus, one process; no term has constant coefficients, so all are explicit."""

    def __init__(self, package):
        super().__init__(package)
        import logging

        import dedalus.public as d3

        logging.getLogger("dedalus").setLevel(logging.ERROR)
        grid = package.problem.grid
        names = "xykl"
        coordinates = d3.CartesianCoordinates(*names)
        distributor = d3.Distributor(coordinates, dtype=np.float64)
        bases = [
            d3.RealFourier(coordinates[name], size=m, bounds=(z[0], z[0] + period), dealias=1)
            for name, m, z, period in zip(names, grid.shape, grid.axis_points, grid.periods, strict=True)
        ]
        known = {
            name: distributor.Field(name=name, bases=chosen)
            for name, chosen in [
                ("f", tuple(bases)),
                *((f"{part}{i}", bases[(i + 2) % 4]) for part in ("first", "third") for i in range(4)),
            ]
        }
        equation = []
        for axis, first, third, _ in self.terms:
            known[f"first{axis}"]["g"], known[f"third{axis}"]["g"] = first, third
            known[f"d{names[axis]}"] = lambda u, at=coordinates[names[axis]]: d3.Differentiate(u, at)
            d = f"d{names[axis]}"
            equation.append(f"first{axis}*{d}(f) + third{axis}*{d}({d}({d}(f)))")
        problem = d3.IVP([known["f"]], namespace=known)
        problem.add_equation(f"dt(f) = {' + '.join(equation)}")
        self.field, self.solver = known["f"], problem.build_solver(d3.RK443)

    def run(self, n_steps, dt=None):
        self.field["g"] = self.start
        for _ in range(n_steps):
            self.solver.step(dt or self.duration / n_steps)
        return np.array(self.field["g"])


#: name -> (class, the solver whose steps are counted for it, order of its scheme, module that it needs)
PEERS = {
    "pyfftw RK4": (Pyfftw, "pyfftw RK4", 4, "pyfftw"),
    "numpy RK4": (NaiveNumpy, "pyfftw RK4", 4, "numpy"),
    "jax RK4": (Jax, "pyfftw RK4", 4, "jax"),
    "dedalus RK443": (Dedalus, "RK443", 3, "dedalus"),
}
COUNTED = {"package": (Package, 4), "pyfftw RK4": (Pyfftw, 4), "RK443": (EmulatedRK443, 3)}


def installed(name):
    """Whether a peer can run here."""
    return importlib.util.find_spec(PEERS[name][3]) is not None
