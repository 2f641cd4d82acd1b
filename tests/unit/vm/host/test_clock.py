"""Detects jumps of the host's clock. No test sets the clock: the jumps are simulated."""

import os
import resource
import threading
import time

import pytest

from tests.background import Background
from vm.host import clock
from vm.host.clock import ClockJumps


@pytest.fixture(params=["notified", "polled"])
def jumps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ClockJumps:
    """With the kernel's notification, and with polling."""
    if request.param == "polled":
        monkeypatch.setattr(clock, "_timer", lambda: None)
        monkeypatch.setattr(clock, "POLL", 0.01)
    return ClockJumps()


def test_wait_times_out_without_a_jump(jumps: ClockJumps) -> None:
    began = time.monotonic()
    assert jumps.wait(0.1) is False
    assert time.monotonic() - began >= 0.1
    jumps.free()


def test_close_ends_a_wait(jumps: ClockJumps) -> None:
    with Background() as pool:
        waiting = pool.submit(jumps.wait, 600.0)
        assert not waiting.done()
        jumps.close()
        assert waiting.result(20) is False
    assert jumps.wait(600.0) is False
    jumps.free()
    jumps.close()


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, 0.2])
def test_a_jump_is_found_by_polling(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(clock, "_timer", lambda: None)
    monkeypatch.setattr(clock, "POLL", 0.01)
    jumps = ClockJumps()
    ahead, polled = clock._ahead(), threading.Event()
    jump = 0.0

    def ahead_with_jump() -> float:
        polled.set()
        return ahead + jump

    monkeypatch.setattr(clock, "_ahead", ahead_with_jump)
    with Background() as pool:
        waiting = pool.submit(jumps.wait, 20.0)
        assert polled.wait(20)
        jump = seconds
        assert waiting.result(20) is True
    assert jumps.wait(0.05) is False
    jumps.free()


def test_wait_works_at_the_file_limit(jumps: ClockJumps) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(os.devnull) as probe:
        lowest = probe.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        assert jumps.wait(0.05) is False
        jumps.close()
        assert jumps.wait(600.0) is False
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    jumps.free()


def test_no_file_stays_open(jumps: ClockJumps) -> None:
    with open(os.devnull) as probe:
        lowest = probe.fileno()
    late = ClockJumps()
    late.wait(0.01)
    late.free()
    with open(os.devnull) as probe:
        assert probe.fileno() == lowest
    jumps.free()


def test_wait_works_with_very_many_open_files(jumps: ClockJumps, more_files: None) -> None:
    late = ClockJumps()
    assert late.wait(0.01) is False
    late.free()
    jumps.free()
