"""How many threads the program uses, one number for all of its parts, and work shared out among them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import importlib.util
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

_threads = 1
_pool: tuple[int, int, ThreadPoolExecutor] | None = None

#: Pieces per thread, so that a thread that was held up leaves its rest to the others.
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

    The pieces are independent of each other: who does which, and when, changes no result.  If they do
    ``linear_algebra``, that is kept from starting threads of its own.
    """
    if _threads == 1 or n_items < 2 or not worth_sharing:
        work(0, n_items)
        return
    n_pieces = min(n_items, _PIECES * _threads)
    bounds = [j * n_items // n_pieces for j in range(n_pieces + 1)]

    def piece(first: int, last: int) -> None:
        _here.shared = True
        work(first, last)

    with algebra_on_one_thread() if linear_algebra else contextlib.nullcontext():
        for _ in _executor().map(piece, bounds[:-1], bounds[1:]):
            pass


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
    """The pool of this process (threads do not survive a fork)."""
    global _pool
    if _pool is None or _pool[:2] != (os.getpid(), _threads):
        _pool = os.getpid(), _threads, ThreadPoolExecutor(_threads, thread_name_prefix="wigner_sim")
    return _pool[2]
