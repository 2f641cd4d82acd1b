"""Operations with progress: a pull, a save, an import.

The work runs in its own thread and reports as often as it likes. The iterator yields the latest
report, at most twenty a second and always the last one; it raises the work's error; closing the
iterator cancels the work. Next: `images.py`.
"""

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from engine.docker.cancel import Cancel
from engine.docker.sdk import requests
from engine.docker.types import LayerProgress, TransferProgress
from engine.messages.docker import PATH_DISK_FULL, PATH_UNUSABLE
from vm.errors import DiskFull, HostError

PIECE = 256 * 1024
PACE = 0.05  # seconds between two reports
GRACE = 3.0  # seconds that a cancelled work may take to tidy up before it is left alone

type Report = Callable[[TransferProgress], None]
type Work = Callable[[Report, Cancel], None]


class _Latest:
    """The latest report that was not read yet."""

    def __init__(self) -> None:
        self._changed = threading.Event()
        self._report: TransferProgress | None = None

    def put(self, report: TransferProgress) -> None:
        self._report = report
        self._changed.set()

    def wake(self) -> None:
        self._changed.set()

    def take(self, seconds: float | None = None) -> TransferProgress | None:
        """Wait for a report or for `wake`."""
        self._changed.wait(seconds)
        self._changed.clear()
        report, self._report = self._report, None
        return report


def watched(work: Work, cancel: Cancel) -> Iterator[TransferProgress]:
    """Run `work` in a thread and give out what it reports."""
    cancel.check()
    latest, inner, done = _Latest(), Cancel(), threading.Event()
    pool = ThreadPoolExecutor(1, "transfer")
    future = pool.submit(work, latest.put, inner)
    pool.shutdown(wait=False)

    def ended(_: Future[None]) -> None:
        done.set()
        latest.wake()

    def stop() -> None:
        inner.set()
        latest.wake()

    future.add_done_callback(ended)
    try:
        with cancel.closing(stop):
            while not done.is_set() and not inner.is_set:
                if (report := latest.take()) is not None:
                    yield report
                    done.wait(PACE)
    finally:
        if not done.is_set():
            inner.set()
            done.wait(GRACE)
    if (last := latest.take(0)) is not None:
        yield last
    if not future.done():
        cancel.check()
    future.result()


class Layers:
    """Folds the messages of a pull, push or load into one picture of all layers."""

    def __init__(self) -> None:
        self._layers: dict[str, LayerProgress] = {}
        self._status = ""

    def take(self, message: Mapping[str, Any]) -> TransferProgress:
        status, of = str(message.get("status", "")), str(message.get("id", ""))
        if "stream" in message:
            status = str(message["stream"]).strip()
        if of and ("progressDetail" in message or of in self._layers):
            self._layers[of] = self._layer(of, status, message.get("progressDetail") or {})
        elif status:
            self._status = status
        return TransferProgress(self._status or status, tuple(self._layers.values()))

    def _layer(self, of: str, status: str, detail: Mapping[str, Any]) -> LayerProgress:
        before = self._layers.get(of, LayerProgress(of, ""))
        total = int(detail.get("total") or before.total)
        done = int(detail.get("current") or (total if _is_over(status) else before.done))
        return LayerProgress(of, status, min(done, total) if total else done, total)


def _is_over(status: str) -> bool:
    over = ("complete", "already exists", "Pushed", "Mounted from", "Loaded")
    return any(word in status for word in over)


class Counter:
    """Counts the bytes that pass, and reports them as one layer."""

    def __init__(self, report: Report, cancel: Cancel, status: str, total: int = 0) -> None:
        self._report, self._cancel, self._status, self._total = report, cancel, status, total
        self._done = 0
        self._tell()

    def over(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces; raises Cancelled between two of them."""
        for piece in pieces:
            self._cancel.check()
            self._done += len(piece)
            self._tell()
            yield piece

    def _tell(self) -> None:
        layer = LayerProgress("", self._status, self._done, self._total)
        self._report(TransferProgress(self._status, (layer,)))


@contextlib.contextmanager
def using(path: Path) -> Iterator[None]:
    """A context in which files of this computer are read or written: turns OSErrors into
    HostErrors."""
    try:
        yield
    except requests.exceptions.RequestException:  # an OSError, but dockerd's
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(PATH_DISK_FULL, path=path) from error
        raise HostError(
            PATH_UNUSABLE,
            path=error.filename or path,
            reason=error.strerror or error,
            details=str(error),
        ) from error


def size_of_file(path: Path) -> int:
    with using(path):
        return path.stat().st_size


def file_pieces(path: Path) -> Iterator[bytes]:
    """A file of this computer, piece by piece."""
    with using(path), path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def saved(path: Path, pieces: Iterable[bytes]) -> None:
    """Write `path` as a whole or not at all."""
    with using(path):
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        file = beside.open("wb")
    try:
        with file:
            for piece in pieces:
                with using(path):
                    file.write(piece)
        with using(path):
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
