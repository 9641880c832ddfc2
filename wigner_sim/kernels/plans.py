"""Which passes make up a transform of a given length, and their twiddle factors."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Lengths of the unrolled transforms.
RADICES = (8, 7, 6, 5, 4, 3, 2)


def factorize(n: int) -> list[int] | None:
    """Fewest radices whose product is n, or None if n has a larger prime factor."""
    best: list[int] | None = None

    def extend(rest: int, chosen: list[int]) -> None:
        nonlocal best
        if rest == 1:
            if best is None or (len(chosen), max(chosen, default=1)) < (len(best), max(best)):
                best = chosen
            return
        for radix in RADICES:
            if rest % radix == 0 and (not chosen or radix <= chosen[-1]):
                extend(rest // radix, [*chosen, radix])

    extend(n, [])
    return best


@lru_cache(maxsize=64)
def column_plan(n: int, bits: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Plan of a transform of length n: (number of passes, then radix and offset of each) and twiddles.

    Raises
    ------
    ValueError
        If n has a prime factor above 13.
    """
    radices = factorize(n)
    if radices is None:
        raise ValueError(f"no transform of length {n}: its prime factors must be at most 13")
    steps, twiddles, rest = [len(radices)], [np.zeros(1)], n
    offset = 1
    for radix in radices:
        m = rest // radix
        angles = -2 * np.pi / rest * np.outer(np.arange(m), np.arange(1, radix))
        steps += [radix, offset]
        twiddles.append(np.stack([np.cos(angles), np.sin(angles)], axis=-1).ravel())
        offset += twiddles[-1].size
        rest = m
    return np.array(steps, dtype=np.int64), np.concatenate(twiddles).astype(f"f{bits // 8}")
