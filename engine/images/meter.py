"""Reports the bytes of a long work twice a second."""

import time
from collections.abc import Callable

from vm.messages import Text

PERIOD = 0.5  # seconds between two reports


class Meter:
    """`describe` makes the report for a number of bytes. `progress` may raise, which ends the
    work."""

    def __init__(self, progress: Callable[[Text], None], describe: Callable[[int], Text]) -> None:
        self.done = 0
        self._progress = progress
        self._describe = describe
        self._due = float("-inf")

    def add(self, count: int) -> None:
        self.done += count
        self.tick()

    def restart(self) -> None:
        self.done = 0

    def tick(self) -> None:
        """Report, when one is due."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + PERIOD
            self._progress(self._describe(self.done))
