r"""How far a run can be trusted: small numbers of the expansion, and a predicted error of f.

The prediction is a measurement of what the equation of order m leaves out.  On the state of the run, star
products give the rate of f through a higher order (:mod:`wigner_sim.kinetics.exact_rate`); its difference R
to the rate of the kinetic equation is the residual.  Errors are carried along by a flow that keeps their
size, so the error at time t is about, or less where residuals cancel,

.. math:: \int_0^t \max_{x,k} |R|\,dt' ,

given relative to the largest ``|f|`` at the start.  No constant is fitted; measured against exact dynamics,
it is right within a factor of 3 unless residuals cancel over long oscillations (docs/validity.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from wigner_sim.kinetics.band_evolution import BandEvolution
from wigner_sim.kinetics.band_sources import periodic_symbol
from wigner_sim.kinetics.effective_band import Drive
from wigner_sim.kinetics.exact_rate import ExactRate
from wigner_sim.observables import BandFlows, BandState
from wigner_sim.observables.quality import band_density_amplitudes
from wigner_sim.symbols import FloatArray

#: name -> (long name, equation)
VALIDITY = {
    "adiabaticity": (
        "largest rate at which the band's states turn along the flow, over the gap",
        "sqrt(g_ab V_a V_b) / gap, where |w| > 1e-3 max|w|",
    ),
    "zener_probability": (
        "estimated probability of a transition to another band per passage",
        "exp(-pi/(4 adiabaticity))",
    ),
    "metric_smearing": (
        "smearing by the metric at the spectral edge of f",
        "max_a G_aa q_a^2 where |w| > 1e-3 max|w|; Fourier amplitudes of f (above 2^18 points "
        "those of every second line) reach 1e-2 of the largest at q_a",
    ),
    "predicted_error": (
        "predicted error of f against exact dynamics, relative to the largest |f| at the start",
        "int dt max|R| / max|f(0)|",
    ),
}

#: Residuals are evaluated at this many intervals of the run.
N_INTERVALS = 6
#: Largest number of matrix elements on the grid for which the residual is worked out unasked.
AFFORDABLE = 300_000
#: Share of the largest amplitude that counts as the edge of a spectrum.
EDGE = 1e-2


class ValidityMeter:
    """Numbers that say whether the expansion holds, for every band of a run.

    Parameters
    ----------
    bands : sequence of BandEvolution
    duration : float, time
    predict : {"auto", "on", "off"}
        Whether errors are predicted; "auto" where it costs little.
    """

    def __init__(
        self,
        bands: Sequence[BandEvolution],
        duration: float,
        predict: Literal["auto", "on", "off"] = "auto",
    ):
        self._bands = bands
        size = bands[0].hamiltonian.n_orbitals ** 2 * float(np.prod(bands[0].grid.shape))
        self._predicts = predict == "on" or (predict == "auto" and size <= AFFORDABLE)
        self._interval = duration / N_INTERVALS
        self._rates: dict[int, ExactRate] = {}
        self._cut = [BandFlows(cut_series(band)) for band in bands]
        self._last_time = -np.inf
        self._residual = np.zeros(len(bands))
        self._error = np.zeros(len(bands))
        self._scale = np.zeros(len(bands))

    @property
    def names(self) -> list[str]:
        """What :meth:`measure` returns."""
        return [name for name in VALIDITY if self._predicts or name != "predicted_error"]

    def measure(self, states: Sequence[BandState], t: float) -> dict[str, FloatArray]:
        """The numbers of all bands at one time, each of shape (b,)."""
        turning = np.array([adiabaticity(state) for state in states])
        with np.errstate(divide="ignore"):
            zener = np.exp(-np.pi / (4 * turning))
        values = {
            "adiabaticity": turning,
            "zener_probability": zener,
            "metric_smearing": np.array([metric_smearing(state) for state in states]),
        }
        if self._predicts:
            values["predicted_error"] = self._predicted_error(states, t)
        return values

    def state(self) -> dict[str, Any]:
        """What a restart needs."""
        arrays = {"residual": self._residual, "error": self._error, "scale": self._scale}
        return {"last_time": np.asarray(self._last_time)} | arrays

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`state`."""
        self._last_time = float(state["last_time"])
        self._residual, self._error, self._scale = (
            np.asarray(state[name]) for name in ("residual", "error", "scale")
        )

    def _predicted_error(self, states: Sequence[BandState], t: float) -> FloatArray:
        """Trapezoid over the times of evaluation, and the last residual since then."""
        if t - self._last_time >= self._interval * (1 - 1e-9):
            now = np.array([self._residual_of(index, state, t) for index, state in enumerate(states)])
            if np.isfinite(self._last_time):
                self._error = self._error + 0.5 * (now + self._residual) * (t - self._last_time)
            else:
                self._scale = np.array([np.abs(state.f).max() for state in states])
            self._residual, self._last_time = now, t
        error = self._error + self._residual * (t - self._last_time)
        return error / np.maximum(self._scale, np.finfo(float).tiny)

    def _residual_of(self, index: int, state: BandState, t: float) -> float:
        """``max |R|`` of one band."""
        band = self._bands[index]
        rate = self._rates.get(index)
        if rate is None or band.driven:
            rate = self._rates[index] = exact_rate(band, t)
        return float(np.abs(rate(state.f) - self._cut[index].at(t).band_density_rate(state.w)).max())


def validity_summary(scalars: Mapping[str, FloatArray]) -> str:
    """The worst of all bands, in words; empty without the meter."""
    worst = {name: float(np.max(scalars[name])) for name in VALIDITY if name in scalars}
    return ", ".join(f"{name} {value:.2g}" for name, value in worst.items())


def cut_series(band: BandEvolution) -> BandEvolution:
    """The equation of a band without the Moyal terms that are right beyond its order."""
    if band.options.moyal_series == "third_derivative":
        return band
    options = replace(band.options, moyal_series="third_derivative")
    return BandEvolution(band.hamiltonian, band.grid, band.band, options)


def exact_rate(band: BandEvolution, t: float) -> ExactRate:
    """Rate of f through two orders beyond orders 0 and 1, and through one beyond order 2."""
    hamiltonian, space = band.hamiltonian, band.space

    def force(time: float) -> FloatArray:
        if hamiltonian.force is None:
            return np.zeros(band.grid.n_momentum_axes)
        return np.asarray(hamiltonian.force(time), dtype=float)

    # third differences lose three times the digits of a first one: a longer step than for the equation
    step = 5 * band.options.difference_step if band.driven else 0.0
    drive = Drive(lambda time: space.symbol(periodic_symbol(hamiltonian, space, time)), force, step)
    return ExactRate(drive, t, band.band, max(band.options.order + 1, 2))


def adiabaticity(state: BandState) -> float:
    """Rate at which the band's local states turn along the flow, over the gap, where there are particles.

    At an avoided crossing of velocities +-v passed under a force F it is ``v F/gap^2``, and
    ``exp(-pi/(4 adiabaticity))`` is the Landau-Zener probability.  Explicit time dependence is not in it.
    """
    flow = state.known_flow
    return state.survey.largest_where_occupied(flow.turning_ratio, state.w, flow.largest_turning_ratio)


def metric_smearing(state: BandState) -> float:
    """``G_aa q_a^2`` at the spectral edge of f, the largest over the axes: S acts as half of it there.

    On a large grid the spectrum of f is that of every second line in each direction.
    """
    grid, worst = state.grid, 0.0
    for axis, period in enumerate(grid.periods):
        smearing = state.known_flow.axis_smearing(axis)
        if not smearing.any():
            continue
        largest = band_density_amplitudes(state, axis)
        edge = np.flatnonzero(largest > EDGE * largest.max()).max(initial=0)
        strength = _largest_where_occupied(state, smearing)
        worst = max(worst, strength * (2 * np.pi * edge / period) ** 2)
    return worst


def _largest_where_occupied(state: BandState, values: FloatArray) -> float:
    """Of an array that may be constant along some axes."""
    grid, known = state.grid, state.survey
    if not any(n > 1 for n in values.shape[: grid.n_position_axes]):
        return known.largest_momentum_where_occupied(
            np.broadcast_to(values, (*[1] * grid.n_position_axes, *grid.n_k)).ravel()
        )
    values = np.broadcast_to(values, grid.shape)
    rows = values.reshape(int(np.prod(grid.n_x)), -1).max(axis=1)
    return known.largest_where_occupied(values, state.w, rows)
