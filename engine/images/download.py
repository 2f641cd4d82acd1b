"""Downloads files over https or from a folder: bounded, resumed and checked.

A thread reads, so that a server that is silent, or a share that hangs, delays neither reports nor a
cancel. A file that is not complete is kept beside its target as `NAME.part`. Next: `source.py`.
"""

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from engine.guest.writing import writing
from engine.images.address import shown
from engine.images.meter import PERIOD, Meter
from engine.images.room import check_room
from engine.images.source import FAILURES, Access, Source, explain, open_at
from engine.messages.feed import (
    DOWNLOAD_CUT_OFF,
    DOWNLOAD_OTHER_CONTENT,
    DOWNLOAD_OTHER_SIZE,
    DOWNLOAD_READING,
    DOWNLOAD_RUNNING,
    DOWNLOAD_SILENT,
    DOWNLOAD_TOO_LARGE,
    DOWNLOAD_TOO_SLOW,
)
from vm.errors import GalleyError, HostError, Retry
from vm.messages import Text

PART = ".part"
PIECE = 64 << 10  # bytes
QUEUED = 16  # pieces that are read ahead


def fetch_bytes(
    address: str, limit: int, progress: Callable[[Text], None], access: Access | None = None
) -> bytes:
    """The content of a small file. Raises HostError, SettingsError, and what `progress` raises."""
    meter = Meter(progress, lambda done: DOWNLOAD_READING.text(address=shown(address)))
    data = bytearray()
    with _Reading(address, 0, access or Access(), meter.tick) as reading:
        for piece in reading.pieces():
            data += piece
            if len(data) > limit:
                raise HostError(
                    DOWNLOAD_TOO_LARGE, address=shown(address), limit=limit, retry=Retry.NO
                )
        if reading.source.size is not None and len(data) < reading.source.size:
            raise _cut_off(address, len(data))
    return bytes(data)


def fetch_file(
    address: str,
    target: Path,
    size: int,
    sha256: str,
    progress: Callable[[Text], None],
    access: Access | None = None,
) -> None:
    """Make `target` a file of this size and digest; it is not downloaded again when it is one.

    Raises HostError, DiskFull, SettingsError, and what `progress` raises; the next call resumes
    then. A file with another digest is removed.
    """
    part = target.with_name(target.name + PART)
    meter = Meter(progress, lambda done: DOWNLOAD_RUNNING.text(done=done, total=size))
    with writing(part):
        resumed = _kept_bytes(target, part, size)
        check_room(target.parent, size - resumed)
        found = _complete(address, part, size, meter, access or Access())
        if found != sha256 and resumed:  # its beginning may be of another file
            part.unlink()
            found = _complete(address, part, size, meter, access or Access())
        if found != sha256:
            part.unlink()
            raise HostError(DOWNLOAD_OTHER_CONTENT, address=shown(address))
        part.replace(target)


def _kept_bytes(target: Path, part: Path, size: int) -> int:
    """The bytes of an earlier download in `part`."""
    if target.exists():
        target.replace(part)
    if not part.exists():
        return 0
    kept = part.stat().st_size
    if kept > size:
        part.unlink()
    return kept if kept <= size else 0


def _complete(address: str, part: Path, size: int, meter: Meter, access: Access) -> str:
    """Download what `part` lacks; the digest of all. Raises OSError for `part` alone."""
    meter.restart()
    digest = hashlib.sha256()
    with part.open("a+b") as file:
        file.seek(0)
        while piece := file.read(PIECE):
            digest.update(piece)
            meter.add(len(piece))
        if meter.done == size:
            return digest.hexdigest()
        with _Reading(address, meter.done, access, meter.tick) as reading:
            source = reading.source
            if source.size not in (None, size):
                raise _other_size(address, size)
            if source.start != meter.done:
                file.truncate(0)
                digest = hashlib.sha256()
                meter.restart()
            for piece in reading.pieces():
                if meter.done + len(piece) > size:
                    raise _other_size(address, size)
                file.write(piece)
                digest.update(piece)
                meter.add(len(piece))
    if meter.done < size:
        raise _cut_off(address, meter.done)
    return digest.hexdigest()


class _Reading:
    """Reads an address from `start` on, in a thread of its own; `tick` is called at least every
    PERIOD. An end of the block ends the thread at its next byte or timeout."""

    source: Source

    def __init__(self, address: str, start: int, access: Access, tick: Callable[[], None]) -> None:
        self._address = address
        self._start = start
        self._access = access
        self._tick = tick
        self._items: queue.Queue[Source | bytes | GalleyError] = queue.Queue(QUEUED)
        self._ended = threading.Event()
        self._answered = False
        self._waited = 0.0  # seconds in which the server sent `_received`
        self._received = 0

    def __enter__(self) -> "_Reading":
        threading.Thread(target=self._run, name=f"read {self._address}", daemon=True).start()
        try:
            first = self._next()
        except BaseException:
            self._end()
            raise
        assert isinstance(first, Source)
        self.source = first
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def pieces(self) -> Iterator[bytes]:
        while piece := self._next():
            assert isinstance(piece, bytes)
            yield piece

    def _next(self) -> Source | bytes:
        while True:
            self._tick()
            began = time.monotonic()
            try:
                item = self._items.get(timeout=PERIOD)
            except queue.Empty:
                item = None
            # A computer that sleeps meanwhile is not a slow server.
            self._waited += min(time.monotonic() - began, PERIOD)
            if isinstance(item, GalleyError):
                raise item
            if isinstance(item, Source):
                self._answered = True
                self._waited = 0.0  # the speed counts from here
            if isinstance(item, bytes):
                self._received += len(item)
            if item != b"":
                self._check_speed()
            if item is not None:
                return item

    def _check_speed(self) -> None:
        if self._waited < self._access.patience:
            return
        if not self._answered:
            raise HostError(DOWNLOAD_SILENT, address=shown(self._address), retry=Retry.YES)
        if self._received < self._access.slowest * self._waited:
            raise HostError(
                DOWNLOAD_TOO_SLOW,
                address=shown(self._address),
                slowest=self._access.slowest,
                retry=Retry.YES,
            )
        self._waited, self._received = 0.0, 0

    def _end(self) -> None:
        """The thread puts one item more at most."""
        self._ended.set()
        while True:
            try:
                self._items.get_nowait()
            except queue.Empty:
                return

    def _run(self) -> None:
        try:
            source = open_at(self._address, self._start, self._access)
            with source.stream as stream:
                self._items.put(source)
                while not self._ended.is_set() and (piece := stream.read1(PIECE)):
                    self._items.put(piece)
            last: bytes | GalleyError = b""
        except FAILURES as error:
            last = explain(self._address, error)
        if not self._ended.is_set():
            self._items.put(last)


def _cut_off(address: str, done: int) -> HostError:
    return HostError(DOWNLOAD_CUT_OFF, address=shown(address), done=done, retry=Retry.YES)


def _other_size(address: str, expected: int) -> HostError:
    return HostError(DOWNLOAD_OTHER_SIZE, address=shown(address), expected=expected)
