"""Ctrl-C and SIGTERM as a question a loop asks, so that it can finish what it is at."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Turn the first SIGINT or SIGTERM into a flag; a second one acts as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    caught: list[int] = []
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handler(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        for each, action in previous.items():
            signal.signal(each, action)

    for number in previous:
        signal.signal(number, handler)
    try:
        yield lambda: bool(caught)
    finally:
        for number, action in previous.items():
            signal.signal(number, action)
