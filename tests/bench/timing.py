"""Alternating measurements, and waiting. Next: `ping.py`."""

import threading
import time
from collections.abc import Callable

PATIENCE = 240.0  # seconds; only a bench that fails waits so long


def alternate[A, B](
    rounds: int, ours: Callable[[], A], floor: Callable[[], B]
) -> tuple[list[A], list[B]]:
    """Takes two measurements `rounds` times, alternating, so that a slow minute affects both.

    Their order changes every round, too.
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
            raise AssertionError(f"the condition did not become true: {what}")
        sleep(every)


def sleep(seconds: float) -> None:
    threading.Event().wait(seconds)
