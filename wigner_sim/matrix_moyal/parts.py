r"""The two parts of the matrix equation, each solved exactly where it is a multiplication.

For ``H = H0(k) + M(x) - F.x``, with q the wavenumber of x and s the distance conjugate to k,

.. math::

    F(q, k) &\to e^{-iH_0(k+q/2)t}\, F(q, k)\, e^{iH_0(k-q/2)t}, \\
    F(x, s) &\to e^{-iM(x+s/2)t}\, F(x, s)\, e^{iM(x-s/2)t}\, e^{iF\cdot s\,t}.

Matrix symbols are kept periodic in k, ``exp(i k (tau_o - tau_o'))`` times the physical ones, so that
``exp(ipk)`` in element (o, o') stands for the distance ``s = tau_o - tau_o' - p``.  The Nyquist wave of an
even axis counts as q = 0 or s = 0, as in every derivative of the package: it has no partner of opposite
sign, and so the flows stay unitary and keep F Hermitian.

Source: docs/theory.md section 13.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wigner_sim import fourier
from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.matrix_moyal.separation import SeparatedHamiltonian
from wigner_sim.symbols import Array, FloatArray, adjoint, multiply

#: Exponentials kept at once: the different substeps of one step of any scheme in the table.
_KEPT = 8
#: They are kept only while all of them together take no more than this (bytes).
_KEPT_BYTES = 1e9


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues (n, *grid) and eigenvectors (n, n, *grid) of Hermitian matrices on a mesh."""

    energies: FloatArray
    vectors: Array

    @classmethod
    def of(cls, matrices: Array) -> Spectrum:
        """Diagonalise matrices (..., n, n)."""
        energies, vectors = np.linalg.eigh(matrices)
        return cls(
            np.ascontiguousarray(np.moveaxis(energies, -1, 0)),
            np.ascontiguousarray(np.moveaxis(vectors, (-2, -1), (0, 1))),
        )

    def function(self, values: Array) -> Array:
        """``V diag(values) V^+``, shape (n, n, *grid)."""
        return multiply(self.vectors * values[None], adjoint(self.vectors), values.ndim - 1)


class ExponentialCache:
    """Keeps ``make(dt)`` for the last few ``dt``, if they are small enough."""

    def __init__(self, make: Callable[[float], Array]):
        self._make = make
        self._kept: OrderedDict[float, Array] = OrderedDict()

    def __call__(self, dt: float) -> Array:
        """The exponential for a substep."""
        if dt not in self._kept:
            made = self._make(dt)
            if made.nbytes * _KEPT > _KEPT_BYTES:
                return made
            while len(self._kept) >= _KEPT:
                self._kept.popitem(last=False)
            self._kept[dt] = made
        return self._kept[dt]


def opposite(values: Array, axes: Sequence[int]) -> Array:
    """Values at minus the wavenumbers of the axes, which are in the order of a Fourier transform."""
    if not axes:
        return values
    return np.roll(np.flip(values, tuple(axes)), 1, axes)


class Precession:
    """``F -> A F A'^+`` with ``A = exp(-i h dt)`` on a transformed mesh, A' at minus its wavenumbers.

    Parameters
    ----------
    matrices : callable t -> array (..., n, n)
        The Hermitian h.
    axes : sequence of int
        Transformed axes of an array (n, n, *grid).
    varies : bool
        Whether h depends on time.
    """

    def __init__(self, matrices: Callable[[float], Array], axes: Sequence[int], varies: bool):
        self._matrices, self._axes, self._varies = matrices, tuple(axes), varies
        self._exponentials = ExponentialCache(lambda dt: self._exponential(self.spectrum(0.0), dt))

    def spectrum(self, t: float) -> Spectrum:
        """Eigenvalues and eigenvectors of h."""
        return Spectrum.of(self._matrices(t)) if self._varies else self._static

    @cached_property
    def _static(self) -> Spectrum:
        return Spectrum.of(self._matrices(0.0))

    @staticmethod
    def _exponential(spectrum: Spectrum, dt: float) -> Array:
        return spectrum.function(np.exp(-1j * dt * spectrum.energies))

    def turn(self, f_hat: Array, t: float, dt: float) -> Array:
        """Transformed F after ``dt``."""
        a = self._exponential(self.spectrum(t), dt) if self._varies else self._exponentials(dt)
        return self.sandwich(a, f_hat)

    def rate(self, f_hat: Array, t: float) -> Array:
        """``-i (h F - F h')``."""
        spectrum = self.spectrum(t)
        h = spectrum.function(spectrum.energies)
        n = h.ndim - 2
        return -1j * (multiply(h, f_hat, n) - multiply(f_hat, opposite(h, self._axes), n))

    def sandwich(self, a: Array, f_hat: Array) -> Array:
        """``a F a'^+`` for any matrix function a of the mesh."""
        n = a.ndim - 2
        return multiply(multiply(a, f_hat, n), adjoint(opposite(a, self._axes)), n)

    def bound(self, t: float) -> float:
        """Largest difference of eigenvalues of h."""
        return float(np.ptp(self.spectrum(t).energies))


class MomentumPart:
    """The flow under ``H0(k, t)``, exact in (q, k).

    Parameters
    ----------
    separated : SeparatedHamiltonian
    grid : PhaseSpaceGrid
    """

    def __init__(self, separated: SeparatedHamiltonian, grid: PhaseSpaceGrid):
        self._separated, self._grid = separated, grid
        self._axes = tuple(range(2, 2 + grid.n_position_axes))
        self.precession = Precession(self._matrices, self._axes, separated.momentum_varies)

    def _matrices(self, t: float) -> Array:
        """``H0(k + q/2)``, times ``exp(i k (tau_o - tau_o'))``, shape (*q, *k, n, n)."""
        grid = self._grid
        s, d = grid.n_position_axes, grid.n_momentum_axes
        k = np.empty((d, *grid.shape))
        for i, momentum in enumerate(grid.momenta):
            k[i] = momentum
        shifted = k.copy()
        for i, (n, length) in enumerate(zip(grid.n_x, grid.lengths, strict=True)):
            q = fourier.derivative_wavenumbers(n, length)
            shifted[i] += 0.5 * q.reshape([-1 if axis == i else 1 for axis in range(s + d)])
        matrices = self._separated.of_momentum(shifted, t)
        tau = self._separated.hamiltonian.orbital_positions
        if not tau.any():
            return matrices
        wave = np.exp(1j * np.moveaxis(np.tensordot(tau, k, 1), 0, -1))
        return wave[..., :, None] * matrices * wave[..., None, :].conj()

    def flow(self, f: Array, t: float, dt: float) -> Array:
        """F after ``dt``, H0 frozen at time ``t``."""
        return self._inverse(self.precession.turn(fourier.fftn(f, self._axes), t, dt))

    def rhs(self, f: Array, t: float) -> Array:
        """Time derivative of F under H0."""
        return self._inverse(self.precession.rate(fourier.fftn(f, self._axes), t))

    def _inverse(self, f_hat: Array) -> Array:
        return fourier.ifftn(f_hat, self._axes)

    def spectral_radius(self, t: float) -> float:
        """Largest difference of eigenvalues of H0."""
        return self.precession.bound(t)

    # --- multiplication by functions of k alone ---

    def band_projector(self, band: int, t: float) -> Array:
        """``P(k + q/2)`` of one band of H0 on the mesh (q, k)."""
        column = self.precession.spectrum(t).vectors[:, band]
        return column[:, None] * column[None].conj()

    def star_left(self, a: Array, f: Array) -> Array:
        """``A * F`` for ``A(k)`` given as ``A(k + q/2)``, exact."""
        return self._inverse(multiply(a, fourier.fftn(f, self._axes), self._grid.n_axes))

    def star_right(self, f: Array, a: Array) -> Array:
        """``F * A`` for ``A(k)`` given as ``A(k + q/2)``, exact."""
        a = opposite(a, self._axes)
        return self._inverse(multiply(fourier.fftn(f, self._axes), a, self._grid.n_axes))


class PositionPart:
    """The flow under ``M(x, t)`` and the uniform force, exact in (x, s).

    Parameters
    ----------
    separated : SeparatedHamiltonian
    grid : PhaseSpaceGrid
    """

    def __init__(self, separated: SeparatedHamiltonian, grid: PhaseSpaceGrid):
        self._separated, self._grid = separated, grid
        s, d = grid.n_position_axes, grid.n_momentum_axes
        self._force = separated.hamiltonian.force
        self._varies = separated.position_varies or separated.hamiltonian.force_varies
        self._dims = range(d) if self._force is not None else range(s)
        self._axes = tuple(2 + s + i for i in self._dims)
        self._precession: Precession | None = None
        if not separated.diagonal:
            self._precession = Precession(self._matrices, self._axes, separated.position_varies)
        self._phases = ExponentialCache(lambda dt: np.exp(-1j * dt * self._differences(0.0)))

    @property
    def vanishes(self) -> bool:
        """Whether there is nothing to do: neither a position axis nor a force."""
        return not self._axes

    def flow(self, f: Array, t: float, dt: float) -> Array:
        """F after ``dt``, M and the force frozen at time ``t``."""
        f_hat = fourier.fftn(f, self._axes)
        if self._precession is not None:
            f_hat = self._precession.turn(f_hat, t, dt)
        phase = np.exp(-1j * dt * self._differences(t)) if self._varies else self._phases(dt)
        return fourier.ifftn(phase * f_hat, self._axes)

    def rhs(self, f: Array, t: float) -> Array:
        """Time derivative of F under M and the force."""
        f_hat = fourier.fftn(f, self._axes)
        rate = -1j * self._differences(t) * f_hat
        if self._precession is not None:
            rate = rate + self._precession.rate(f_hat, t)
        return fourier.ifftn(rate, self._axes)

    def spectral_radius(self, t: float) -> float:
        """Largest rate of any phase, and largest difference of eigenvalues of M."""
        bound = float(np.abs(self._differences(t)).max())
        return bound if self._precession is None else bound + self._precession.bound(t)

    def _differences(self, t: float) -> FloatArray:
        """``M_o(x + s/2) - M_o'(x - s/2) - F.s`` of the diagonal elements, (n, n, *x, *s) or (1, 1, ..)."""
        tau = self._separated.hamiltonian.orbital_positions
        n = len(tau) if self._has_elements else 1
        rows = [[self._difference(t, o, p, tau[o] - tau[p]) for p in range(n)] for o in range(n)]
        return np.array([[np.broadcast_to(each, rows[0][0].shape) for each in row] for row in rows])

    @property
    def _has_elements(self) -> bool:
        """Whether elements of F differ in their phases."""
        h = self._separated.hamiltonian
        different = self._separated.diagonal and not h.separable and bool(self._grid.n_x)
        return different or bool(np.ptp(h.orbital_positions, axis=0).any())

    def _difference(self, t: float, o: int, p: int, offset: FloatArray) -> FloatArray:
        s = self._distances(offset)
        total: FloatArray = np.zeros((1,) * self._grid.n_axes)
        if self._force is not None:
            force = self._force(t)
            total = total - sum(force[i] * s[i] for i in self._dims)
        if self._grid.n_x and self._separated.diagonal:
            plus, minus = (self._shifted(s, 0.5 * sign) for sign in (1, -1))
            total = total + self._element(plus, o, t) - self._element(minus, p, t)
        return total

    def _element(self, x: FloatArray, o: int, t: float) -> FloatArray:
        """Diagonal element of M."""
        h = self._separated.hamiltonian
        if h.potential is not None:
            return h.potential(x, t)
        return self._separated.of_position(x, t)[..., o, o].real

    def _matrices(self, t: float) -> Array:
        """``M(x + s/2)`` on the mesh (*x, *s, n, n); all orbitals are at one place."""
        s = self._distances(np.zeros(self._grid.n_momentum_axes))
        return self._separated.of_position(self._shifted(s, 0.5), t)

    def _distances(self, offset: FloatArray) -> list[FloatArray]:
        """``s_i = tau_i - tau'_i - p_i`` along each transformed axis; 0 at the Nyquist wave."""
        grid = self._grid
        distances = []
        for i in self._dims:
            n = grid.n_k[i]
            s = offset[i] - fourier.derivative_wavenumbers(n, 2 * np.pi)
            if n % 2 == 0:
                s[n // 2] = 0.0
            axis = grid.n_position_axes + i
            distances.append(s.reshape([-1 if axis == other else 1 for other in range(grid.n_axes)]))
        return distances

    def _shifted(self, s: Sequence[FloatArray], factor: float) -> FloatArray:
        """Positions ``x + factor s``, (s, *x, *s); one value along momenta without a position axis."""
        n_kept = self._grid.n_position_axes
        points = [x + factor * s_i for x, s_i in zip(self._grid.positions, s[:n_kept], strict=True)]
        return np.stack(np.broadcast_arrays(*points))
