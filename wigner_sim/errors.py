"""Errors a user can cause, each with one clear sentence and an exit code for the command line."""

from __future__ import annotations


class WignerSimError(Exception):
    """Base class: the message is one sentence that says what, where and what was expected."""

    exit_code = 1


class CaseError(WignerSimError):
    """The case, or something it points to, cannot be run as written."""

    exit_code = 2


class BandTouchingError(CaseError):
    """A band of interest comes too close to another one for the gradient expansion.

    Parameters
    ----------
    message : str
    gap : float
        Smallest gap found (energy).
    position, momentum : tuple of float
        Where it was found (reduced coordinates; radians).
    """

    def __init__(self, message: str, gap: float, position: tuple[float, ...], momentum: tuple[float, ...]):
        super().__init__(message)
        self.gap = gap
        self.position = position
        self.momentum = momentum


class NumericalStopError(WignerSimError):
    """A guard stopped the run (not-a-number, drift beyond its limit, ...)."""

    exit_code = 3


class InterruptedRunError(WignerSimError):
    """A run was interrupted and left a checkpoint to resume from."""

    exit_code = 130


class WallTimeError(InterruptedRunError):
    """A run reached its limit of real time (``limits.wall_time``) and left a checkpoint to resume from."""

    exit_code = 4


class SweepError(WignerSimError):
    """Some members of a sweep failed; the others were run and collected."""

    exit_code = 5


#: What each exit code of the command line means.
EXIT_CODES = {
    0: "done",
    1: "file system or other failure",
    2: "bad case or argument",
    3: "stopped by a guard",
    4: "wall-time limit reached, checkpoint left",
    5: "some members of a sweep failed",
    130: "interrupted (Ctrl-C or SIGTERM)",
}
