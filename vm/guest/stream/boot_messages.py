"""Boot messages that come by the agent stream, written to the machine's console log.

For a backend without a serial console (`Features.boot_messages` is "stream"). The guest sends its
last 64 KiB again after each hello, so the first of them in a session replace the file. Next:
`session.py`, which calls this; `vm/guest/console.py`, which reads the file.
"""

import logging
from pathlib import Path

from vm.guest.stream.frames import ProtocolViolation

log = logging.getLogger(__name__)

LIMIT = 1 << 20  # bytes in one session; a boot has 3 kB


class BootMessageLog:
    """For the thread of one session at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._received = 0

    def begin(self) -> None:
        """A session begins."""
        self._received = 0

    def add(self, data: memoryview) -> None:
        """Raises ProtocolViolation for more than LIMIT bytes."""
        is_replay = self._received == 0
        self._received += len(data)
        if self._received > LIMIT:
            raise ProtocolViolation("it sends more boot messages than a boot has")
        try:
            with self._path.open("wb" if is_replay else "ab") as file:
                file.write(data)
        except OSError as error:
            log.warning("boot messages cannot be written to %s: %s", self._path, error)
