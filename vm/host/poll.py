"""Waits until one of several descriptors can be read, by poll(2).

select(2) is limited to descriptors below 1024 on Linux and macOS. Windows has no poll, and select
there takes sockets only. Next: `process.py`.
"""

import select
import sys
from collections.abc import Callable

# Waits for at most so many milliseconds (None: for ever). Returns descriptors and their events.
type Wait = Callable[[float | None], list[tuple[int, int]]]


def readable(*descriptors: int) -> Wait:
    """Returns when one of them can be read, or has ended. Raises OSError where there is no
    poll."""
    if sys.platform != "win32":
        poll = select.poll()
        for each in descriptors:
            poll.register(each, select.POLLIN)
        return poll.poll
    raise OSError("Windows has no poll")
