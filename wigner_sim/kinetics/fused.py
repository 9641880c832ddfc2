r"""The split equation as passes over cache-sized blocks, in place.

Five flows, :math:`\partial_t w = (M + A + X + K + B) w`: A and B are exact motion under E(k) and U(x)
(with the force), X and K what the band geometry adds in x at fixed k and in k at fixed x, M what a magnetic
field adds to the third derivatives, at fixed wavenumber q of the positions.  A and X act on the same
blocks, and so do K and B, so neighbours in a composition share one pass over memory: kick, exact flow,
kick.  M acts between the two halves of a pass of A, whose modes it needs.  The kicks are polynomials in
conservative form; the particle number is kept to rounding at any order.

Composition of several flows with the coefficients of a two-flow scheme: McLachlan, SIAM J. Sci. Comput. 16,
151 (1995).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil, prod
from typing import NamedTuple

import numpy as np

from wigner_sim.grid import PhaseSpaceGrid
from wigner_sim.kernels import numba_is_usable
from wigner_sim.kernels.layout import MovedAxes, mode_pairs
from wigner_sim.kernels.passes import (
    FROM_MODES,
    LARGEST_DIFFERENCE,
    TO_MODES,
    WHOLE,
    BlockPass,
    SumOfFactors,
    can_transform,
)
from wigner_sim.kinetics.magnetic_moyal import MagneticMoyal
from wigner_sim.kinetics.terms import Acceleration, MixedPhase, Streaming
from wigner_sim.kinetics.velocity import ProductVelocity
from wigner_sim.steppers import Flow
from wigner_sim.steppers.truncation import LARGE_REACH, SMALL_REACH, Polynomials, nested, taylor
from wigner_sim.symbols import FloatArray

#: Flows in the order of the basic step; X belongs to the pass of A, K to that of B; R is all the rest.
FLOWS = ("M", "A", "X", "K", "B", "R")
_PASS_OF = {"A": "A", "X": "A", "K": "B", "B": "B", "M": "M", "R": "R"}

#: Order of a kick's Taylor series by ``z = time * largest rate``; above the last limit it is done in several.
#: For a kick that is small in gradients stability of the worst mode decides, which asks for order 3 or 4
#: above 0.15 (at order 2 it grows by z^4/8).  One that is as large as the exact flows has to be as accurate
#: as the scheme.
_SMALL_KICK_ORDERS = ((0.15, 2), (1.2, 3), (2.4, 4))
_LARGE_KICK_ORDERS = ((0.001, 2), (0.01, 3), (1.0, 4), (1.5, 5))
#: A series of first order is for kicks with a largest ``z^2`` of a step below this times that of the exact
#: flows cubed: in shorter steps its error, of second order in the kick, is seen beside that of the scheme.
_SMALL_BESIDE_EXACT = 0.003


def fits_engine(grid: PhaseSpaceGrid) -> bool:
    """Whether passes over blocks can serve this grid here."""
    return bool(grid.n_x) and numba_is_usable() and can_transform(grid.n_x) and can_transform(grid.n_k)


class TimedFlow(NamedTuple):
    """A flow by name and its duration; ``polynomials`` may stand for its exponential."""

    name: str
    tau: float
    polynomials: Polynomials | None = None


@dataclass(frozen=True)
class Stage:
    """One pass: kick, exact flow, kick, for these times; ``polynomials`` of the three."""

    which: str
    times: tuple[float, ...]
    half: int = WHOLE
    polynomials: tuple[Polynomials | None, ...] = (None, None, None)

    def joined_by(self, place: int, tau: float, polynomials: Polynomials | None) -> Stage:
        """With a flow more; two that are joined have no polynomial."""
        times, given = list(self.times), list(self.polynomials)
        given[place] = None if times[place] else polynomials
        times[place] += tau
        return replace(self, times=(*times,), polynomials=(*given,))


def group_stages(flows: Sequence[TimedFlow]) -> Iterator[Stage]:
    """Neighbouring flows of one pass joined: as many as fit "kick, exact, kick"."""
    stage: Stage | None = None
    for name, tau, polynomials in flows:
        is_kick, which = name in "XK", _PASS_OF[name]
        if stage is not None and (stage.which != which or (not is_kick and stage.times[2])):
            yield stage
            stage = None
        stage = stage or Stage(which, (0.0, 0.0, 0.0))
        place = 1 if not is_kick else 2 if stage.times[1] else 0
        stage = stage.joined_by(place, tau, polynomials)
    if stage is not None:
        yield stage


def around_modes(stages: Sequence[Stage]) -> list[Stage]:
    """Before M a pass of A that stops at the modes, after it one that begins with them."""
    result: list[Stage] = []
    for stage in stages:
        previous = result[-1] if result else None
        if stage.which == "M":
            if (
                previous is not None
                and previous.half == WHOLE
                and previous.which == "A"
                and not previous.times[2]
            ):
                result[-1] = replace(previous, half=TO_MODES)
            else:
                result.append(Stage("A", (0.0, 0.0, 0.0), TO_MODES))
        elif previous is not None and previous.which == "M":
            if stage.which == "A" and not stage.times[0]:
                stage = replace(stage, half=FROM_MODES)
            else:
                result.append(Stage("A", (0.0, 0.0, 0.0), FROM_MODES))
        result.append(stage)
    if result and result[-1].which == "M":
        result.append(Stage("A", (0.0, 0.0, 0.0), FROM_MODES))
    return result


@dataclass(frozen=True)
class FusedFlows:
    """The flows of one band with its coefficients at one time.

    Parameters
    ----------
    streaming : Streaming
    acceleration : Acceleration
    remainder : ProductVelocity, optional
        What the exact flows leave of the velocity, done by kicks.
    beside : Flow, optional
        A further part that acts on whole arrays.
    stencil : bool
        Differences of order 8 instead of spectral derivatives in the kicks.
    magnetic : MagneticMoyal, optional
        Third derivatives that carry a magnetic field.
    large_kicks : str
        Those of the kicks "X" and "K" that are not small in gradients.
    """

    streaming: Streaming
    acceleration: Acceleration
    remainder: ProductVelocity | None = None
    beside: Flow | None = None
    stencil: bool = False
    magnetic: MagneticMoyal | None = None
    large_kicks: str = ""
    _kick_rates: dict[str, float] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The flows in the order of the basic step."""
        there = {
            "M": self.magnetic is not None,
            "X": self.remainder is not None,
            "K": self.remainder is not None,
            "R": self.beside is not None,
        }
        return tuple(name for name in FLOWS if there.get(name, True))

    @property
    def grid(self) -> PhaseSpaceGrid:
        """The phase-space grid."""
        return self.streaming.space.grid

    def advance(self, w: FloatArray, out: FloatArray, flows: Sequence[TimedFlow], t: float = 0.0) -> None:
        """Apply flows in their order; ``out`` may be ``w``."""
        source, target = w.reshape(-1), out.reshape(-1)
        for stage in self._stages(flows):
            if stage.which == "R":
                assert self.beside is not None
                out[...] = self.beside.flow(source.reshape(out.shape), t, stage.times[1])
            elif stage.which == "M":
                assert self.magnetic is not None
                self.magnetic.flow_of_modes(target, stage.times[1], stage.polynomials[1])
            else:
                kicks = [self._factors(stage, place)[0] for place in (0, 2)]
                self._pass(stage.which).run(source, target, stage.times[1], kicks, stage.half)
            source = target
        if source is not target:
            out[...] = w

    def _stages(self, flows: Sequence[TimedFlow]) -> list[Stage]:
        """Passes that do something, with kicks short enough for their series."""
        acting = [flow for flow in flows if flow.tau and (flow.name not in "XK" or self._rate(flow.name))]
        stages: list[Stage] = []
        for stage in group_stages(acting):
            n_pieces = max(self._factors(stage, place)[1] for place in (0, 2)) if stage.which in "AB" else 1
            stages += self._cut(stage, n_pieces) if n_pieces > 1 else [stage]
        return around_modes(stages)

    @staticmethod
    def _cut(stage: Stage, n: int) -> list[Stage]:
        """Kicks in n equal parts before and after the exact flow."""
        before, exact, after = stage.times
        first = [Stage(stage.which, (before / n, 0.0, 0.0))] * (n - 1) if before else []
        last = [Stage(stage.which, (0.0, 0.0, after / n))] * (n - 1) if after else []
        return [*first, Stage(stage.which, (before / n, exact, after / n)), *last]

    def _factors(self, stage: Stage, place: int) -> tuple[tuple[float, ...], int]:
        """Nested factors of a kick's polynomial, and in how many equal kicks it has to be done."""
        tau, polynomials = stage.times[place], stage.polynomials[place]
        if not tau:
            return (), 1
        kick = "X" if stage.which == "A" else "K"
        if polynomials is not None:
            h = tau / polynomials.fraction
            z = abs(h) * self._rate(kick)
            if self._may_be_small(kick, z, h):
                return nested(polynomials.small, h), 1
            if z <= LARGE_REACH:
                return nested(polynomials.large, h), 1
        limits = _LARGE_KICK_ORDERS if kick in self.large_kicks else _SMALL_KICK_ORDERS
        z = abs(tau) * self._rate(kick)
        pieces = max(1, ceil(z / limits[-1][0]))
        return taylor(tau / pieces, next(order for limit, order in limits if z / pieces <= limit)), pieces

    def _may_be_small(self, kick: str, z: float, h: float) -> bool:
        if kick in self.large_kicks or z > SMALL_REACH:
            return False
        return z**2 <= _SMALL_BESIDE_EXACT * (abs(h) * self._exact_rate) ** 3

    @cached_property
    def _exact_rate(self) -> float:
        """Largest rate of an exact flow."""
        return max(self._position_pass.largest_rate(), self._momentum_pass.largest_rate())

    def _rate(self, kick: str) -> float:
        """Largest rate of a kick: sum over its axes of the largest speed times the largest wavenumber."""
        if kick not in self._kick_rates:
            s = self.grid.n_position_axes
            axes = range(s) if kick == "X" else range(s, self.grid.n_axes)
            speeds = [0.0 if self.remainder is None else self.remainder.largest_speed(axis) for axis in axes]
            spacings = [self.grid.periods[axis] / self.grid.shape[axis] for axis in axes]
            steepest = LARGEST_DIFFERENCE if self.stencil else np.pi
            self._kick_rates[kick] = sum(
                steepest * speed / spacing for speed, spacing in zip(speeds, spacings, strict=True)
            )
        return self._kick_rates[kick]

    def _pass(self, which: str) -> BlockPass:
        return self._position_pass if which == "A" else self._momentum_pass

    @cached_property
    def _position_pass(self) -> BlockPass:
        grid = self.grid
        s = grid.n_position_axes
        axes = MovedAxes(1, grid.n_x, grid.periods[:s], prod(grid.n_k))
        drift = None
        if self._rate("X") and self.remainder is not None:
            drift = [_fewest_products(*self.remainder.factors(axis)) for axis in range(s)]
        return BlockPass(axes, _symbol(self.streaming, axes), drift, self.stencil)

    @cached_property
    def _momentum_pass(self) -> BlockPass:
        grid = self.grid
        s, d = grid.n_position_axes, grid.n_momentum_axes
        kicked = range(s, s + d) if self._rate("K") else range(0)
        n_moved = d if len(kicked) else len(self.acceleration.axes)
        axes = MovedAxes(
            prod(grid.n_x), grid.n_k[:n_moved], grid.periods[s : s + n_moved], prod(grid.n_k[n_moved:])
        )
        drift = None
        if len(kicked) and self.remainder is not None:
            products = [_fewest_products(*self.remainder.factors(axis)) for axis in kicked]
            drift = [SumOfFactors(each.lanes.T, each.own.T) for each in products]
        return BlockPass(axes, _symbol(self.acceleration, axes), drift, self.stencil)


def _fewest_products(x: FloatArray, k: FloatArray) -> SumOfFactors:
    """The sum of x[:, t] k[t, :] in as few products as its rank."""
    if not len(k):
        return SumOfFactors(x, k)
    q_x, r_x = np.linalg.qr(x)
    q_k, r_k = np.linalg.qr(k.T)
    u, sizes, v = np.linalg.svd(r_x @ r_k.T)
    rank = max(1, int(np.count_nonzero(sizes > 1e-13 * sizes[0])))
    return SumOfFactors(q_x @ (u[:, :rank] * sizes[:rank]), v[:rank] @ q_k.T)


def _symbol(term: MixedPhase, axes: MovedAxes) -> SumOfFactors | FloatArray:
    """A term's S as the pass wants it: (moved modes) x (lanes)."""
    grid = term.space.grid
    first = term.axes[0]
    moved = range(first, first + len(axes.n_points))
    if term.terms is None:
        return _full_symbol(term, axes, moved)
    own: FloatArray = np.ones((len(term.terms), *axes.n_points))
    lanes = np.empty((len(term.terms), axes.n_lanes))
    others = [n for axis, n in enumerate(grid.shape) if axis not in moved]
    for number, (index, coefficient) in enumerate(term.terms):
        for axis in index:
            q = term.space.axis_wavenumbers[axis]
            own[number] *= q.reshape([grid.shape[axis] if other == axis else 1 for other in moved])
        shape = [coefficient.shape[axis] for axis in range(grid.n_axes) if axis not in moved]
        lanes[number] = np.broadcast_to(coefficient.reshape(shape), others).ravel()
    return SumOfFactors(own.reshape(len(term.terms), -1).T, lanes)


def _full_symbol(term: MixedPhase, axes: MovedAxes, moved: range) -> FloatArray:
    """Values for every mode, from those with a halved last axis: S is odd."""
    grid = term.space.grid
    half = term.symbol
    n_own = len(term.axes)
    if len(moved) > n_own:  # the same for every mode of the further axes, along which nothing acts
        n_further = prod(axes.n_points[n_own:])
        own = MovedAxes(axes.outer, axes.n_points[:n_own], axes.periods[:n_own], n_further * axes.inner)
        once = _full_symbol(term, own, moved[:n_own]).reshape(own.n_moved, axes.outer, n_further, axes.inner)
        return np.repeat(once[:, None, :, 0], n_further, axis=1).reshape(axes.n_moved, axes.n_lanes)
    order = [*moved, *(axis for axis in range(grid.n_axes) if axis not in moved)]
    full_shape = [
        half.shape[axis] if axis == term.axes[-1] else grid.shape[axis] for axis in range(grid.n_axes)
    ]
    values = np.transpose(np.broadcast_to(half, full_shape), order)
    n_last = axes.n_points[-1]
    values = values.reshape(prod(axes.n_points[:-1]), half.shape[term.axes[-1]], axes.n_lanes)
    full: FloatArray = np.zeros((values.shape[0], n_last, axes.n_lanes))
    full[:, : values.shape[1]] = values
    full = full.reshape(-1, axes.n_lanes)
    pairs = mode_pairs(axes.n_points)
    for own, other in (pairs.T, pairs.T[::-1]):
        missing = own % n_last >= values.shape[1]
        full[own[missing]] = -full[other[missing]]
    return full
