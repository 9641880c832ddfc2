"""Text files of numbers, read line by line: every problem is one sentence with the number of the line."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np

from wigner_sim.errors import CaseError
from wigner_sim.grid import FloatArray

#: Largest file that is read.
MAX_BYTES = 2**31


class TextTable:
    """A cursor on the lines of a text file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    CaseError
        If it cannot be read, is too large, or is not text.
    """

    def __init__(self, path: Path):
        self.name = str(path)
        self.position = 0
        try:
            size = path.stat().st_size
            if not path.is_file():
                raise CaseError(f"{path}: not a file")
            if size > MAX_BYTES:
                raise CaseError(f"{path}: {size / 2**30:.1f} GiB, more than {MAX_BYTES / 2**30:g} GiB")
            data = path.read_bytes()
        except OSError as error:
            raise CaseError(f"{path}: cannot be read ({error.strerror or error})") from None
        if b"\0" in data:
            raise CaseError(f"{path}: not a text file (byte {data.index(0)} is zero)")
        # comment lines may hold anything; numbers are ASCII
        self.lines = data.decode("utf-8", errors="replace").split("\n")
        while self.lines and not self.lines[-1].strip():
            self.lines.pop()

    @property
    def remaining(self) -> int:
        """Number of lines not yet read."""
        return len(self.lines) - self.position

    def fail(self, problem: str, line: int | None = None) -> NoReturn:
        """Raise a :class:`CaseError` about a line (that read last if left out)."""
        raise CaseError(f"{self.name} line {self.position if line is None else line}: {problem}")

    def text(self, what: str) -> str:
        """Next line."""
        if not self.remaining:
            self.fail(f"the file ends where {what} should stand", len(self.lines) + 1)
        self.position += 1
        return self.lines[self.position - 1]

    def skip_blank(self) -> None:
        """Pass over empty lines."""
        while self.remaining and not self.lines[self.position].strip():
            self.position += 1

    def numbers(self, count: int, what: str) -> FloatArray:
        """Next line as ``count`` finite numbers (more columns are an error)."""
        words = self.text(what).split()
        values = _floats(words)
        if values is None or len(values) != count:
            wanted = "one number" if count == 1 else f"{count} numbers"
            self.fail(f"expected {what} ({wanted}), got {' '.join(words)!r:.60}")
        return values

    def count(self, what: str, largest: int) -> int:
        """Next line as an integer from 1 to ``largest``."""
        words = self.text(what).split()
        if len(words) != 1 or not words[0].isascii() or not words[0].isdigit() or len(words[0]) > 12:
            self.fail(f"expected {what} (a positive integer), got {' '.join(words)!r:.60}")
        value = int(words[0])
        if not 1 <= value <= largest:
            self.fail(f"{what} is {value}, more than this file can hold" if value else f"{what} is 0")
        return value

    def integers(self, count: int, what: str) -> list[int]:
        """``count`` positive integers, spread over as many lines as it takes."""
        found: list[int] = []
        while len(found) < count:
            words = self.text(what).split()
            for word in words:
                if not word.isascii() or not word.isdigit() or not 0 < int(word[:12]) <= 10**6:
                    self.fail(f"expected {what} (positive integers), got {word!r:.60}")
            found += [int(word) for word in words]
        if len(found) > count:
            self.fail(f"{what}: {len(found)} integers, expected {count}")
        return found

    def rows(self, n_rows: int, n_columns: int, what: str) -> FloatArray:
        """Next ``n_rows`` lines as an array (n_rows, n_columns) of finite numbers."""
        block = self.lines[self.position : self.position + n_rows]
        if len(block) == n_rows and block[0].strip():
            try:
                values = np.loadtxt(block, dtype=float, comments=None, ndmin=2)
            except ValueError:
                values = np.empty((0, 0))
            if values.shape == (n_rows, n_columns) and np.isfinite(values).all():
                self.position += n_rows
                return values
        # something is wrong: find out where
        return np.array([self.numbers(n_columns, what) for _ in range(n_rows)])


def _floats(words: list[str]) -> FloatArray | None:
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None
