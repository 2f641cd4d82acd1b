"""Waits for the end of the machine's process, in a thread. Next: `machine.py`."""

import threading
from collections.abc import Callable


class ExitWatch:
    """`wait_end` blocks until the machine has ended; `on_exit` is called after it, from the watch's
    own thread. Not thread-safe."""

    def __init__(self, wait_end: Callable[[], None], on_exit: Callable[[], None]) -> None:
        self._wait_end = wait_end
        self._on_exit = on_exit
        self._pid: int | None = None  # a thread waits for its end

    def begin(self, pid: int | None) -> None:
        """Watch this process. A second call for the same process does nothing."""
        if pid is None or pid != self._pid:
            self._pid = pid
            threading.Thread(target=self._watch, name="machine-watch", daemon=True).start()

    def forget(self) -> None:
        """The process is gone: the next one is watched even if it has the same pid."""
        self._pid = None

    def _watch(self) -> None:
        self._wait_end()
        self._on_exit()
