"""The progress line on a terminal, in a log, and not at all."""

import io
import logging
import math

import pytest

from wigner_sim import progress as progress_module
from wigner_sim.progress import Progress, RecentRate, duration_text


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


def steps(progress, clock, seconds):
    for i, time in enumerate((0.25, 0.5, 0.75, 1.0)):
        clock[0] = seconds * (i + 1)
        progress.update(time, {"step": str(i), "dN": "1e-16"})


def test_without_a_terminal_a_line_every_ten_seconds(clock, monkeypatch, caplog):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with caplog.at_level(logging.INFO, logger="wigner_sim"), Progress(0.0, 1.0) as progress:
        steps(progress, clock, seconds=6.0)
    assert [record.getMessage() for record in caplog.records] == [
        "t = 0.5 of 1, eta 12s, step 1, dN 1e-16",
        "t = 1 of 1, eta 0s, step 3, dN 1e-16",
    ]
    assert progress_module.sys.stderr.getvalue() == ""


def test_on_a_terminal_one_line_with_the_figures(monkeypatch, caplog):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with caplog.at_level(logging.INFO, logger="wigner_sim"), Progress(0.25, 1.0) as progress:
        progress.update(1.0, {"step": "3", "dN": "1e-16"})
    text = terminal.getvalue()
    assert "t 1/1" in text
    assert "100%" in text
    assert "dN=1e-16" in text
    assert not caplog.records


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_nothing_when_not_wanted(stream, clock, monkeypatch, caplog):
    shown = stream()
    monkeypatch.setattr("sys.stderr", shown)
    with caplog.at_level(logging.INFO, logger="wigner_sim"), Progress(0.0, 1.0, shown=False) as progress:
        steps(progress, clock, seconds=60.0)
    assert shown.getvalue() == ""
    assert not caplog.records


def test_the_rate_is_that_of_the_last_minute(clock):
    rate = RecentRate(0.0, 100)
    assert math.isnan(rate.seconds_left(1.0))
    for second in range(1, 301):  # fast at first, ten times slower in the end
        clock[0] = float(second)
        rate.update(0.01 * second if second < 100 else 1.0 + 0.001 * (second - 100), 100 + second)
    assert rate.seconds_left(2.2) == pytest.approx(1000.0, rel=0.02)
    assert rate.steps_per_second == pytest.approx(1.0, rel=0.02)


def test_a_slow_first_step_is_not_taken_for_the_rate(clock):
    rate = RecentRate(0.0)
    clock[0] = 60.0
    rate.update(0.01, 1)
    assert math.isnan(rate.seconds_left(1.0))
    clock[0] = 61.0
    rate.update(0.02, 2)
    assert rate.seconds_left(1.0) == pytest.approx(98.0)
    assert rate.steps_per_second == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.347, "0.35s"), (12.4, "12s"), (160, "2m40s"), (11100, "3h05m"), (2e5, "2d07h"), (math.nan, "?")],
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text
