"""inotify(7) by ctypes. Linux only; elsewhere `supported` is False.

The libraries that were tried hold back a rename's first half, and all events after it, for half a
second, do not report folders beyond the kernel's limit, or drop events without an error. Next:
`tree.py`.
"""

import ctypes
import errno
import os
import struct
import sys
from pathlib import Path
from typing import Protocol

import msgspec

from engine.file_events.change import Kind
from engine.messages.host import FILE_EVENTS_NO_WATCHES
from vm.errors import HostError
from vm.host.poll import readable

HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name
WANTED = (
    *(Kind.MODIFY, Kind.ATTRIB, Kind.CLOSE_WRITE, Kind.MOVED_FROM, Kind.MOVED_TO),
    *(Kind.CREATE, Kind.DELETE),
)
OVERFLOW, IGNORED = 0x4000, 0x8000
DONT_FOLLOW, EXCL_UNLINK = 0x02000000, 0x04000000
READ = 256 * 1024
LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")


class Event(msgspec.Struct, frozen=True):
    """`name`: relative to the watched folder; "" for the folder itself."""

    watch: int
    mask: int
    cookie: int
    name: str


class Full(OSError):
    """The limit of watches for this user is reached."""


class Watching(Protocol):
    """What `tree.py` needs."""

    def add(self, path: str) -> int:
        """The number of the watch; the same for the same folder. Raises Full, OSError."""

    def remove(self, watch: int) -> None: ...


def supported() -> bool:
    return sys.platform == "linux"


def most_watches() -> int:
    """How many watches to use: half the user's limit, for editors need some too."""
    try:
        return int(LIMIT.read_text()) // 2
    except (OSError, ValueError):
        return 4096


class Inotify:
    """`wake` from any thread, all else from one."""

    def __init__(self) -> None:
        """Only where inotify is `supported`. Raises HostError."""
        self._library, self._file = _open()
        self._woken, self._waking = os.pipe()
        os.set_blocking(self._woken, False)
        self._mask = sum(WANTED) | DONT_FOLLOW | EXCL_UNLINK
        self._wait = readable(self._file, self._woken)

    def add(self, path: str) -> int:
        watch = int(self._library.inotify_add_watch(self._file, os.fsencode(path), self._mask))
        if watch < 0:
            number = ctypes.get_errno()
            kind = Full if number == errno.ENOSPC else OSError
            raise kind(number, os.strerror(number), path)
        return watch

    def remove(self, watch: int) -> None:
        """A watch that is gone already is no error."""
        self._library.inotify_rm_watch(self._file, watch)

    def read(self, limit: float | None) -> list[Event]:
        """The next events; waits at most `limit` seconds (None: for ever), and until `wake`."""
        ready = dict(self._wait(None if limit is None else limit * 1000))
        if self._woken in ready:
            os.read(self._woken, 4096)
        if self._file not in ready:
            return []
        return parse(os.read(self._file, READ))

    def wake(self) -> None:
        os.write(self._waking, b"\0")

    def close(self) -> None:
        for file in (self._file, self._woken, self._waking):
            os.close(file)


def _open() -> tuple[ctypes.CDLL, int]:
    """The C library, and a new inotify. Raises HostError."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        library.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
        file = library.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if file >= 0:
            return library, file
    raise HostError(
        FILE_EVENTS_NO_WATCHES,
        details=os.strerror(ctypes.get_errno()),
    )


def parse(data: bytes) -> list[Event]:
    """The kernel writes whole events only."""
    events = []
    at = 0
    while at < len(data):
        watch, mask, cookie, length = HEAD.unpack_from(data, at)
        at += HEAD.size + length
        name = data[at - length : at].rstrip(b"\0")
        events.append(Event(watch, mask, cookie, os.fsdecode(name)))
    return events
