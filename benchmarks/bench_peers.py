"""The same kinetic equation by other means: naive numpy, well-made pyfftw, jax, where they are installed.

    python benchmarks/bench_peers.py [--quick] [--points 24] [--tolerance 1e-6]

One band ``H = -cos kx - cos ky + U(x) + U(y)`` in four dimensions at second order,

    f_t = U' f_k - E' f_x - U''' f_kkk/24 + E''' f_xxx/24   (along each of the two directions),

stepped by the package's splitting and by RK4 of spectral derivatives.  The steps each needs for the tolerance
are counted on a grid of 16 points per axis, times per step taken on the grid asked for.  All errors are
against the package's own result with many steps, which the peers approach as well: they solve one equation.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pyfftw
from harness import Report, Table, alternate, medians, parser

from wigner_sim.case import Case
from wigner_sim.problem import build_problem
from wigner_sim.propagator import Propagator

DURATION, HEIGHT, SITES = 4.0, 0.5, 24


def problem_of(n, stepper="blanes_moan4"):
    case = {
        "title": "cosine band",
        "grid": {"sites": [SITES] * 2, "n_x": [n] * 2, "n_k": [n] * 2},
        "hamiltonian": {
            "source": "named:cosine_band",
            "parameters": {"t1": 0.5},
            "potential": f"{HEIGHT}*cos(2*pi*x/Lx) + {HEIGHT}*cos(2*pi*y/Ly)",
        },
        "initial_state": {
            "kind": "symbol",
            "c": "exp(cos(2*pi*x/Lx - 1) + cos(2*pi*y/Ly) - 2 + 0.7*(cos(kx - 1) + cos(ky)) - 1.4)",
        },
        "time": {"end": DURATION, "stepper": stepper},
    }
    return build_problem(Case.from_dict(case, Path(__file__)))


class Package:
    """Steps of the package."""

    def __init__(self, n, stepper="blanes_moan4"):
        self.problem = problem_of(n, stepper)
        self.stack = self.problem.stack()
        self.start = self.problem.initial_density(self.stack)

    def run(self, n_steps, duration=DURATION):
        propagator = Propagator(self.stack, self.problem.stepper, self.start.copy(), duration / n_steps)
        return propagator.advance_to(duration)[0]


class Derivatives:
    """Coefficients and wave numbers of ``f_t = sum_axes a_1 d f + a_3 d^3 f``."""

    def __init__(self, n):
        package = Package(n)
        self.start, grid = package.start[0], package.problem.grid
        self.terms = []
        for i in range(2):
            x, k = grid.positions[i], grid.momenta[i]
            u = 2 * np.pi / SITES
            force = -HEIGHT * u * np.sin(u * x)  # U'
            self.terms.append((i, -np.sin(k), -np.sin(k) / 24, SITES))  # -E', E'''/24
            self.terms.append((2 + i, force, force * u**2 / 24, 2 * np.pi))  # U', -U'''/24
        self.waves = []
        for axis, _, _, period in self.terms:
            q = np.fft.rfftfreq(n, period / n / (2 * np.pi))
            q[-1] *= n % 2  # odd derivatives of the highest harmonic
            self.waves.append(1j * q.reshape([-1 if other == axis else 1 for other in range(4)]))


class NaiveNumpy(Derivatives):
    """As one writes it down: one transform forth and one back for each derivative, no arrays kept."""

    def rate(self, f):
        total = 0
        for (axis, first, third, _), iq in zip(self.terms, self.waves, strict=True):
            total = total + first * np.fft.irfft(iq * np.fft.rfft(f, axis=axis), f.shape[axis], axis=axis)
            total = total + third * np.fft.irfft(iq**3 * np.fft.rfft(f, axis=axis), f.shape[axis], axis=axis)
        return total

    def run(self, n_steps, duration=DURATION):
        f, h = self.start, duration / n_steps
        for _ in range(n_steps):
            k_1 = self.rate(f)
            k_2 = self.rate(f + h / 2 * k_1)
            k_3 = self.rate(f + h / 2 * k_2)
            f = f + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + self.rate(f + h * k_3))
        return f


class Pyfftw(Derivatives):
    """Well made: planned transforms of one axis, both terms of an axis as one symbol, buffers kept.

    Along one axis the coefficients do not depend on its own coordinate, so the two derivatives are one
    multiplication between a forward and a backward transform.
    """

    def __init__(self, n):
        super().__init__(n)
        shape = self.start.shape
        self.f, self.out = pyfftw.empty_aligned(shape), pyfftw.empty_aligned(shape)
        self.plans = []
        for axis, _, _, _ in self.terms:
            half = pyfftw.empty_aligned(
                [m // 2 + 1 if a == axis else m for a, m in enumerate(shape)], complex
            )
            options = {"axes": (axis,), "flags": ("FFTW_ESTIMATE",), "threads": 1}
            forth = pyfftw.FFTW(self.f, half, **options)
            back = pyfftw.FFTW(half, self.out, direction="FFTW_BACKWARD", **options)
            self.plans.append((forth, back, half))
        self.symbols = [
            (first * iq + third * iq**3) / n
            for (_, first, third, _), iq in zip(self.terms, self.waves, strict=True)
        ]

    def rate(self, f, total):
        total[...] = 0
        self.f[...] = f
        for (forth, back, half), symbol in zip(self.plans, self.symbols, strict=True):
            forth.execute()
            np.multiply(half, symbol, out=half)
            back.execute()
            total += self.out
        return total

    def run(self, n_steps, duration=DURATION):
        f, h = self.start.copy(), duration / n_steps
        k, total, stage = np.empty_like(f), np.empty_like(f), np.empty_like(f)
        for _ in range(n_steps):
            total[...] = self.rate(f, k)
            for fraction, weight in ((0.5, 2), (0.5, 2), (1.0, 1)):
                np.multiply(k, fraction * h, out=stage)
                stage += f
                self.rate(stage, k)
                total += k if weight == 1 else 2 * k
            total *= h / 6
            f += total
        return f


class Jax(NaiveNumpy):
    """The naive right-hand side, compiled."""

    def __init__(self, n):
        super().__init__(n)
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)

        def rate(f):
            total = 0
            for (axis, first, third, _), iq in zip(self.terms, self.waves, strict=True):
                transformed = (first * iq + third * iq**3) * jnp.fft.rfft(f, axis=axis)
                total = total + jnp.fft.irfft(transformed, f.shape[axis], axis=axis)
            return total

        def step(f, h):
            k_1 = rate(f)
            k_2 = rate(f + h / 2 * k_1)
            k_3 = rate(f + h / 2 * k_2)
            return f + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + rate(f + h * k_3))

        self.step = jax.jit(step)

    def run(self, n_steps, duration=DURATION):
        f = self.start
        for _ in range(n_steps):
            f = self.step(f, duration / n_steps)
        return np.asarray(f)


PEERS = {"package (blanes_moan4)": Package, "pyfftw RK4": Pyfftw, "numpy RK4": NaiveNumpy}
if importlib.util.find_spec("jax"):
    PEERS["jax RK4"] = Jax


def steps_needed(solver, reference, tolerance, most=1024):
    """Fewest steps, up to a tenth, whose result is within a tolerance of the reference."""
    n_steps = 2
    while n_steps < most:
        with np.errstate(all="ignore"):
            error = np.abs(solver.run(n_steps) - reference).max() / np.abs(reference).max()
        if error <= tolerance:
            return n_steps, float(error)
        growth = 1.5 if not np.isfinite(error) or error > 1 else (error / tolerance) ** 0.25
        n_steps = int(np.ceil(n_steps * min(max(growth, 1.1), 1.5)))
    raise RuntimeError(f"{type(solver).__name__} did not reach {tolerance:g} in {most} steps")


def main():
    options = parser(__doc__)
    options.add_argument("--points", type=int, help="per axis (default: 24)")
    options.add_argument("--tolerance", type=float, default=1e-6)
    chosen = options.parse_args()
    n = chosen.points or (16 if chosen.quick else 24)
    small = {name: make(16) for name, make in PEERS.items()}
    reference = small["package (blanes_moan4)"].run(256)
    needed = {name: steps_needed(solver, reference, chosen.tolerance) for name, solver in small.items()}
    solvers = {name: make(n) for name, make in PEERS.items()}
    few = {name: (lambda solver=solver: solver.run(2, 0.02)) for name, solver in solvers.items()}
    seconds = medians(alternate(few, chosen.repeats, clock=chosen.clock))
    base = None
    rows = []
    for name in PEERS:
        n_steps, error = needed[name]
        total = seconds[name] / 2 * n_steps
        base = base or total
        rows.append(
            {
                "solver": name,
                "steps": n_steps,
                "error": error,
                "ms per step": 500 * seconds[name],
                "seconds": total,
                "ratio": total / base,
            }
        )
    report = Report("peers")
    note = (
        f"steps and error: to {chosen.tolerance:g} at T = {DURATION:g} on 16^4; times on {n}^4. "
        "dedalus has no wheels (it needs MPI and FFTW development packages) and is left out; jax joins in "
        "where it is installed."
    )
    report.add(Table(f"Order 2 in four dimensions, {n}^4", tuple(rows[0]), rows, note))
    print(report.save(chosen.output))


if __name__ == "__main__":
    main()
