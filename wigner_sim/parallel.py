"""How many threads the program uses, one number for all of its parts, and work shared out among them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import Any

_threads = 1
_pool: tuple[int, int, ThreadPoolExecutor] | None = None

#: Pieces per thread, at least, so that a thread that was held up leaves its rest to the others.
_PIECES = 4

_here = threading.local()


def thread_count() -> int:
    """Number of threads in use."""
    return _threads


def set_thread_count(n_threads: int) -> None:
    """Use so many threads from now on (in blocks of phase space; see ``threads.set_threads`` for all)."""
    global _threads
    if n_threads < 1:
        raise ValueError(f"at least one thread is needed, got {n_threads}")
    _threads = n_threads


def in_shared_work() -> bool:
    """Whether this thread does a piece of work that is shared out already."""
    return getattr(_here, "shared", False)


def share_out(
    work: Callable[[int, int], None],
    n_items: int,
    worth_sharing: bool = True,
    linear_algebra: bool = False,
) -> None:
    """Call ``work(first, last)`` for pieces of ``range(n_items)``, in several threads if there are.

    This thread is one of them, and whoever is free takes the next piece; inside of a piece nothing is shared.

    The pieces are independent of each other: who does which, and when, changes no result.  If they do
    ``linear_algebra``, that is kept from starting threads of its own.
    """
    if _threads == 1 or n_items < 2 or not worth_sharing or in_shared_work():
        work(0, n_items)
        return
    pieces, turn = iter(_pieces(n_items, _threads)), threading.Lock()

    def take() -> None:
        _here.shared = True
        try:
            while True:
                with turn:
                    piece = next(pieces, None)
                if piece is None:
                    return
                work(*piece)
        finally:
            _here.shared = False

    with algebra_on_one_thread() if linear_algebra else contextlib.nullcontext():
        others = [_executor().submit(take) for _ in range(min(_threads, n_items) - 1)]
        try:
            take()
        finally:
            wait(others)
        for other in others:
            other.result()


def _pieces(n_items: int, n_threads: int) -> Iterator[tuple[int, int]]:
    """First and last of every piece: equal ones, and smaller ones towards the end.

    Who is held up in a small one keeps nobody waiting for long.
    """
    largest, smallest = (max(1, n_items // (parts * n_threads)) for parts in (_PIECES, 4 * _PIECES))
    first = 0
    while first < n_items:
        fair = (n_items - first) // (2 * n_threads)
        last = min(n_items, first + max(smallest, min(largest, fair)))
        yield first, last
        first = last


@cache
def _algebra() -> Any:
    if importlib.util.find_spec("threadpoolctl") is None:
        return None
    return importlib.import_module("threadpoolctl").ThreadpoolController()


def algebra_on_one_thread() -> contextlib.AbstractContextManager[Any]:
    """Keep linear algebra from sharing its sums among threads, where ``threadpoolctl`` is installed."""
    controller = _algebra()
    return contextlib.nullcontext() if controller is None else controller.limit(limits=1, user_api="blas")


def give_memory_back() -> None:
    """Return to the system what large arrays have left behind, where the C library can."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _executor() -> ThreadPoolExecutor:
    """The pool of this process (threads do not survive a fork): all threads but the one that shares out."""
    global _pool
    if _pool is None or _pool[:2] != (os.getpid(), _threads):
        _pool = os.getpid(), _threads, ThreadPoolExecutor(_threads - 1, thread_name_prefix="wigner_sim")
    return _pool[2]
