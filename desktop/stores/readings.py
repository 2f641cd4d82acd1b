"""Readings of one container's CPU and memory, and when the next one is due.

No thread and no clock of its own: the caller passes the time. Next: `usage.py`.
"""

from collections import deque

import msgspec

from engine.docker.types import StatsSample

FIRST, FASTEST, SLOWEST = 0.7, 2.0, 30.0  # seconds between two readings of a container
STALE = 4 * SLOWEST  # seconds after which a reading is outdated
GRACE = 5.0  # seconds in which a container that has just started is read for the first time
MOVED = 0.005  # of a core, or 2 % of memory: worth a look again soon
SPAN = 300.0  # seconds of readings that are kept
KEPT = 150  # readings at most
SHORT = 3  # readings, of which each is a visible step of the little chart
NEVER = float("-inf")


class Readings:
    """Of one container. `taken` and `due` are times of the caller's clock."""

    def __init__(self, born: float = NEVER) -> None:
        self.due = NEVER
        self.taken = NEVER
        self.is_near = False  # on the screen: read as often as it changes
        self.is_urgent = False  # wanted now, wherever it stands
        self.last: StatsSample | None = None
        self.samples: deque[StatsSample] = deque(maxlen=KEPT)  # those with a true CPU
        self._born = born
        self._pause = FIRST

    @property
    def is_measured(self) -> bool:
        """Whether its CPU is known, which takes two readings."""
        return bool(self.samples) and self.samples[-1] is self.last

    def is_fresh(self, now: float) -> bool:
        return now - self.taken <= STALE

    def is_known(self, now: float) -> bool:
        """Whether it can be part of a total: one that has just begun counts as zero."""
        return (self.is_measured and self.is_fresh(now)) or now - self._born <= GRACE

    def hurry(self, now: float) -> None:
        """Read it again soon, whatever was planned."""
        self.due = min(self.due, max(now, self.taken + FASTEST))

    def take(self, sample: StatsSample, now: float, slowly: bool) -> bool:
        """Whether it looks different now. `slowly`: it is not worth a look again soon."""
        last, self.taken = self.last, now
        if last is None or not _follows(sample, last):
            self.last, self._pause = sample, FIRST
            if last is not None and sample.cpu_seconds < last.cpu_seconds:
                self._born = now
        else:
            used = (sample.cpu_seconds - last.cpu_seconds) / (sample.time - last.time)
            sample = msgspec.structs.replace(sample, cpu=used)
            self.last = sample
            self._keep(sample)
            self.is_urgent = False
            if _moved(sample, last) and not slowly:
                self._pause = FASTEST
            else:
                self._pause = SLOWEST if slowly else min(max(self._pause, FASTEST) * 2, SLOWEST)
        self.due = now + self._pause
        return last is None or _shown(sample) != _shown(last) or len(self.samples) < SHORT

    def fail(self, now: float) -> None:
        self.is_urgent = False
        self.due = now + SLOWEST

    def _keep(self, sample: StatsSample) -> None:
        self.samples.append(sample)
        while self.samples[0].time < sample.time - SPAN:
            self.samples.popleft()


def _follows(sample: StatsSample, last: StatsSample) -> bool:
    """Whether the two together give the current CPU use: not after a restart of the container, or
    after a long time without a reading."""
    return 0 < sample.time - last.time <= STALE and sample.cpu_seconds >= last.cpu_seconds


def _moved(sample: StatsSample, last: StatsSample) -> bool:
    if abs(sample.cpu - last.cpu) > MOVED:
        return True
    return abs(sample.memory - last.memory) > 0.02 * max(last.memory, 1)


def _shown(sample: StatsSample) -> tuple[float, int]:
    """Rounded as the list shows it."""
    return round(sample.cpu, 3), round(sample.memory, -5)
