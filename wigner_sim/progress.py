"""One line of progress: a live bar on a terminal, a log line every ten seconds otherwise."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

_log = logging.getLogger("wigner_sim.progress")
LOG_INTERVAL = 10.0


class Progress:
    """Progress of simulated time, with figures beside it.

    Parameters
    ----------
    start, end : float, time
    shown : bool
        Nothing is printed or logged if False.
    """

    def __init__(self, start: float, end: float, shown: bool = True):
        self._end = end
        self._last_log = time.monotonic()
        self._live = shown and sys.stderr.isatty()
        self._shown = shown
        bar_format = "t {n:.4g}/{total:.4g} |{bar}| {percentage:3.0f}% eta {remaining} {postfix}"
        self._bar: Any = tqdm(
            total=end,
            initial=start,
            bar_format=bar_format,
            disable=not self._live,
            leave=True,
            mininterval=0.2,
        )

    def update(self, simulated_time: float, figures: dict[str, str]) -> None:
        """Show where the run is."""
        if self._live:
            self._bar.set_postfix(figures, refresh=False)
            self._bar.update(simulated_time - self._bar.n)
        elif self._shown and time.monotonic() - self._last_log > LOG_INTERVAL:
            self._last_log = time.monotonic()
            text = ", ".join(f"{name} {value}" for name, value in figures.items())
            _log.info("t = %.4g of %.4g, %s", simulated_time, self._end, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
