"""One line of progress: a live bar on a terminal, a log line every ten seconds otherwise."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections import deque
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

_log = logging.getLogger("wigner_sim.progress")
LOG_INTERVAL = 10.0
#: Seconds of the recent past that say how fast a run is now.
RATE_WINDOW = 60.0


class RecentRate:
    """How fast simulated time and steps go by, over the last minute: steps change, so old times mislead.

    The first step does not count.

    Parameters
    ----------
    start : float, time
    n_steps : int
        Steps taken before.
    """

    def __init__(self, start: float, n_steps: int = 0):
        self._samples: deque[tuple[float, float, int]] = deque([(time.monotonic(), start, n_steps)])
        self._last = self._samples[0]
        self._begun = False

    def update(self, simulated_time: float, n_steps: int = 0) -> None:
        """Note where the run is."""
        now = time.monotonic()
        self._last = (now, simulated_time, n_steps)
        if not self._begun:  # the first step also compiles and fills what later ones use again
            self._begun = True
            self._samples = deque([self._last])
        if now - self._samples[-1][0] >= RATE_WINDOW / 100:
            self._samples.append(self._last)
        while len(self._samples) > 2 and now - self._samples[1][0] > RATE_WINDOW:
            self._samples.popleft()

    def seconds_left(self, end: float) -> float:
        """Real time to ``end`` at the present rate; nan while it is not known."""
        elapsed, passed = (self._last[i] - self._samples[0][i] for i in (0, 1))
        return elapsed * (end - self._last[1]) / passed if passed > 0 else math.nan

    @property
    def steps_per_second(self) -> float:
        """Steps per second of real time; nan while it is not known."""
        elapsed, steps = (self._last[i] - self._samples[0][i] for i in (0, 2))
        return steps / elapsed if elapsed > 0 and steps > 0 else math.nan


class Progress:
    """Progress of simulated time, with figures beside it.

    Parameters
    ----------
    start, end : float, time
    shown : bool
        Nothing is printed or logged if False.
    n_steps : int
        Steps taken before.
    """

    def __init__(self, start: float, end: float, shown: bool = True, n_steps: int = 0):
        self._end = end
        self._last_log = time.monotonic()
        self._live = shown and sys.stderr.isatty()
        self._shown = shown
        self.rate = RecentRate(start, n_steps)
        bar_format = "t {n:.4g}/{total:.4g} |{bar}| {percentage:3.0f}%{postfix}"
        self._bar: Any = tqdm(
            total=end,
            initial=start,
            bar_format=bar_format,
            disable=not self._live,
            leave=True,
            mininterval=0.2,
        )

    def update(self, simulated_time: float, figures: dict[str, str], n_steps: int = 0) -> None:
        """Show where the run is."""
        self.rate.update(simulated_time, n_steps)
        if self._live:
            self._bar.set_postfix({"eta": self._eta(), **figures}, refresh=False)
            self._bar.update(simulated_time - self._bar.n)
        elif self._shown and time.monotonic() - self._last_log > LOG_INTERVAL:
            self._last_log = time.monotonic()
            text = ", ".join(f"{name} {value}" for name, value in {"eta": self._eta(), **figures}.items())
            _log.info("t = %.4g of %.4g, %s", simulated_time, self._end, text)

    def _eta(self) -> str:
        return duration_text(self.rate.seconds_left(self._end))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()


def duration_text(seconds: float) -> str:
    """``3h05m``, ``2m40s``, ``12s``, ``0.35s``, ``4.2ms``; ``?`` for what is not known."""
    if not math.isfinite(seconds):
        return "?"
    if 0 < seconds < 0.01:
        return f"{1e3 * seconds:.2g}ms"
    if seconds < 10:
        return f"{seconds:.2g}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02d}h"
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
