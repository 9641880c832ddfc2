"""When something is due: every n steps, every interval of simulated time, at given times, by wall clock.

A schedule is asked once per step, ``due(step, time)``, and says yes at most once per occasion.  Occasions
in simulated time are ``n * interval``, never a running sum, so they do not drift; a stepper that ends its
steps on ``next_time`` hits them exactly.  ``state`` and ``restore`` carry a schedule over a restart without
dropping or repeating an occasion.
"""

from __future__ import annotations

import math
import time as wall_time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

State = dict[str, Any]

#: Fraction of an interval within which an occasion counts as reached.
TOLERANCE = 1e-9
#: Relative error allowed to a time that was summed up step by step.
ROUNDING = 1e-12


class Schedule(Protocol):
    """What a run needs of a schedule."""

    def due(self, step: int, time: float) -> bool:
        """Whether the occasion has come; answering yes settles it."""
        ...

    def next_time(self) -> float:
        """Simulated time of the next occasion (inf when it is not set by simulated time)."""
        ...

    def state(self) -> State:
        """Plain numbers that :meth:`restore` takes."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        ...


class Never:
    """Nothing is ever due."""

    def due(self, step: int, time: float) -> bool:
        """Return False."""
        return False

    def next_time(self) -> float:
        """Return inf."""
        return math.inf

    def state(self) -> State:
        """Nothing to keep."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Nothing to restore."""


class EverySteps(Never):
    """Due at steps 0, n, 2n, ...

    Parameters
    ----------
    n_steps : int
        Interval in steps, > 0.
    """

    def __init__(self, n_steps: int):
        if n_steps <= 0:
            raise ValueError(f"a schedule needs an interval > 0, got {n_steps} steps")
        self.n_steps = n_steps
        self._next = 0

    def due(self, step: int, time: float) -> bool:
        """Whether ``step`` has reached the next multiple of ``n_steps``."""
        if step < self._next:
            return False
        self._next = (step // self.n_steps + 1) * self.n_steps
        return True

    def state(self) -> State:
        """Next step that is due."""
        return {"next_step": self._next}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        self._next = int(state["next_step"])


class EveryTime(Never):
    """Due at simulated times 0, dt, 2 dt, ...; occasions that one long step jumps over count as one.

    Parameters
    ----------
    interval : float
        dt > 0.
    """

    def __init__(self, interval: float):
        if not interval > 0:
            raise ValueError(f"a schedule needs an interval > 0, got {interval}")
        self.interval = interval
        self._count = 0

    def due(self, step: int, time: float) -> bool:
        """Whether ``time`` has reached ``n * interval`` for the next n, up to rounding."""
        slack = TOLERANCE * self.interval + ROUNDING * abs(time)
        if time < self.next_time() - slack:
            return False
        self._count = max(self._count, math.floor((time + slack) / self.interval)) + 1
        return True

    def next_time(self) -> float:
        """``n * interval`` of the next occasion."""
        return self._count * self.interval

    def state(self) -> State:
        """Number n of the next occasion."""
        return {"count": self._count}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        self._count = int(state["count"])


class AtTimes(Never):
    """Due at the listed simulated times, in increasing order.

    Parameters
    ----------
    times : sequence of float
    """

    def __init__(self, times: Sequence[float]):
        self.times = tuple(sorted(set(map(float, times))))
        self._count = 0

    def due(self, step: int, time: float) -> bool:
        """Whether ``time`` has reached the next listed one, up to rounding."""
        reached = sum(listed - TOLERANCE * abs(listed) <= time for listed in self.times)
        if reached <= self._count:
            return False
        self._count = reached
        return True

    def next_time(self) -> float:
        """Next listed time; inf after the last."""
        return self.times[self._count] if self._count < len(self.times) else math.inf

    def state(self) -> State:
        """Number of listed times that are settled."""
        return {"count": self._count}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        self._count = int(state["count"])


class EveryWallSeconds(Never):
    """Due when so many seconds of real time have passed since the last occasion (or the start).

    Time during which the program did not run does not count.

    Parameters
    ----------
    seconds : float
    clock : callable, optional
        Returns seconds; the monotonic clock of the machine if left out.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = wall_time.monotonic):
        if not seconds > 0:
            raise ValueError(f"a schedule needs an interval > 0, got {seconds} s")
        self.seconds = seconds
        self._clock = clock
        self._last = clock()

    def due(self, step: int, time: float) -> bool:
        """Whether the seconds have passed."""
        now = self._clock()
        if now - self._last < self.seconds:
            return False
        self._last = now
        return True

    def state(self) -> State:
        """Seconds since the last occasion."""
        return {"elapsed": self._clock() - self._last}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        self._last = self._clock() - float(state["elapsed"])


class AnyOf:
    """Due when at least one of several schedules is.

    Parameters
    ----------
    schedules : schedules
    """

    def __init__(self, *schedules: Schedule):
        self.schedules = schedules

    def due(self, step: int, time: float) -> bool:
        """Ask all of them, so that occasions that coincide are settled together."""
        return any([schedule.due(step, time) for schedule in self.schedules])

    def next_time(self) -> float:
        """Earliest next time."""
        return min((schedule.next_time() for schedule in self.schedules), default=math.inf)

    def state(self) -> State:
        """States of the parts, by number."""
        return {str(i): schedule.state() for i, schedule in enumerate(self.schedules)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        for i, schedule in enumerate(self.schedules):
            schedule.restore(state[str(i)])


def make_schedule(every: float | str | Mapping[str, float]) -> Schedule:
    """Build the schedule for a cadence as a case file spells it.

    Parameters
    ----------
    every : float, ``{"steps": n}``, ``{"wall_seconds": s}`` or ``"never"``

    Raises
    ------
    ValueError
        For anything else.
    """
    if every == "never":
        return Never()
    if isinstance(every, int | float):
        return EveryTime(float(every))
    if isinstance(every, Mapping) and set(every) == {"steps"}:
        return EverySteps(int(every["steps"]))
    if isinstance(every, Mapping) and set(every) == {"wall_seconds"}:
        return EveryWallSeconds(float(every["wall_seconds"]))
    raise ValueError(f'a cadence is a time, {{"steps": n}}, {{"wall_seconds": s}} or "never", got {every!r}')


def fitted_step(time: float, next_time: float, step: float) -> float:
    """Largest step <= ``step`` that divides the way from ``time`` to ``next_time`` into equal parts.

    It avoids a tiny last step.  The caller sets its time to ``next_time`` itself on the last part, that is,
    when the returned step reaches it: ``time + step >= next_time`` up to rounding.
    """
    if math.isinf(next_time):
        return step
    n_parts = max(1, math.ceil((next_time - time) / step * (1 - TOLERANCE)))
    return (next_time - time) / n_parts
