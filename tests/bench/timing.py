"""Measuring turn about, and waiting. Next: `ping.py`."""

import threading
import time
from collections.abc import Callable

PATIENCE = 240.0  # seconds; only a bench that fails waits so long


def turn_about[A, B](
    rounds: int, ours: Callable[[], A], floor: Callable[[], B]
) -> tuple[list[A], list[B]]:
    """Take two measurements `rounds` times, alternating, so that a slow minute meets both.

    Who is first changes every round, too.
    """
    taken: list[A] = []
    floors: list[B] = []
    for number in range(rounds):
        if number % 2:
            floors.append(floor())
            taken.append(ours())
        else:
            taken.append(ours())
            floors.append(floor())
    return taken, floors


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def wait_until(holds: Callable[[], bool], what: str, every: float = 0.1) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise AssertionError(f"it never came about: {what}")
        let_pass(every)


def let_pass(seconds: float) -> None:
    threading.Event().wait(seconds)
