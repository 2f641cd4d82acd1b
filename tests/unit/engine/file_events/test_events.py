"""From a file on this host to the bytes that the guest receives, through real threads."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.file_events import events
from engine.file_events.change import Change, Kind, encode
from engine.file_events.events import FileEvents
from engine.file_events.inotify import Event, Inotify

PATIENCE = 20.0  # seconds; only a test that fails waits so long


class Guest:
    """Records what it receives. While it `refuses`, connections to it fail."""

    def __init__(self) -> None:
        self.received = b""
        self.connections = 0
        self.closed = 0
        self.refuses = False
        self.breaks = False
        self.changed = threading.Condition()

    def dial(self, socket_path: str) -> "Guest":
        assert socket_path == events.SOCKET
        if self.refuses:
            raise ConnectionRefusedError
        self.connections += 1
        return self

    def sendall(self, data: bytes) -> None:
        if self.breaks:
            self.breaks = False
            raise ConnectionResetError
        with self.changed:
            self.received += data
            self.changed.notify_all()

    def recv(self, limit: int) -> bytes:
        raise AssertionError("the guest sends nothing")

    def shutdown_write(self) -> None: ...

    def close(self) -> None:
        self.closed += 1

    def wait(self, holds: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(holds, PATIENCE), self.received[-1000:]

    def wait_for(self, change: Change) -> None:
        self.wait(lambda: encode([change]) in self.received)


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def watching(guest: Guest, tmp_path: Path) -> Iterator[FileEvents]:
    """Watches the folder `here`."""
    (tmp_path / "here").mkdir()
    made = FileEvents(guest.dial, tmp_path / "home", lambda: None)
    made.follow([str(tmp_path / "here")])
    yield made
    made.close()


def wait_until_watched(guest: Guest, folder: Path) -> None:
    """Write until the first event arrives: from then on the folder is watched."""
    (folder / "first").touch()
    until = time.monotonic() + PATIENCE
    while bytes(folder / "first") not in guest.received:
        assert time.monotonic() < until
        (folder / "first").write_text("1")


def test_an_edit_arrives(guest: Guest, watching: FileEvents, tmp_path: Path) -> None:
    wait_until_watched(guest, tmp_path / "here")
    file = tmp_path / "here" / "file"
    file.write_text("1")
    kinds = (Kind.CREATE, Kind.MODIFY, Kind.CLOSE_WRITE)
    for kind in kinds:
        guest.wait_for(Change(kind, str(file)))
    assert guest.connections == 1
    assert watching.problems == ()


def test_none_of_a_thousand_edits_is_lost(
    guest: Guest, watching: FileEvents, tmp_path: Path
) -> None:
    wait_until_watched(guest, tmp_path / "here")
    files = [tmp_path / "here" / str(number) for number in range(1000)]
    for number, file in enumerate(files):
        file.write_text("1")
        guest.breaks = number == 500
    for file in files:
        guest.wait_for(Change(Kind.CLOSE_WRITE, str(file)))


def test_changes_in_a_folder_no_longer_watched_are_not_sent(
    guest: Guest, watching: FileEvents, tmp_path: Path
) -> None:
    wait_until_watched(guest, tmp_path / "here")
    watching.follow([])
    (tmp_path / "other").mkdir()
    watching.follow([str(tmp_path / "other")])
    wait_until_watched(guest, tmp_path / "other")
    (tmp_path / "here" / "unwatched").touch()
    (tmp_path / "other" / "last").touch()
    guest.wait(lambda: b"/other/last" in guest.received)
    assert b"unwatched" not in guest.received
    assert guest.closed >= 1


def test_close_ends_the_threads_when_nothing_is_watched(
    guest: Guest, watching: FileEvents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_until_watched(guest, tmp_path / "here")
    asleep = threading.Semaphore(0)
    read = Inotify.read

    def note(inotify: Inotify, limit: float | None) -> list[Event]:
        asleep.release()
        return read(inotify, limit)

    monkeypatch.setattr(Inotify, "read", note)
    watching.follow([])
    for _ in ("woken by follow", "woken by the end of its watch"):
        assert asleep.acquire(timeout=PATIENCE)
    watching.close()
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"file-events", "file-events-sender"}


def test_galleys_home_is_left_out_by_its_real_path(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to("home")
    here = FileEvents(guest.dial, tmp_path / "link", lambda: None)
    here.follow([str(tmp_path)])
    wait_until_watched(guest, tmp_path)
    (tmp_path / "home" / "log").touch()
    (tmp_path / "last").touch()
    guest.wait_for(Change(Kind.CREATE, str(tmp_path / "last")))
    assert b"/log" not in guest.received
    here.close()


def test_a_guest_that_does_not_listen_is_a_problem_until_it_does(
    guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "AGAIN", 0.01)
    reported: list[tuple[str, ...]] = []
    guest.refuses = True

    def note() -> None:
        with guest.changed:
            reported.append(tuple(problem.kind for problem in here.problems))
            guest.changed.notify_all()

    here = FileEvents(guest.dial, tmp_path / "home", note)
    here.follow([str(tmp_path)])
    until = time.monotonic() + PATIENCE
    while not reported:
        assert time.monotonic() < until
        (tmp_path / "file").write_text("1")
    guest.refuses = False
    guest.wait(lambda: len(reported) == 2)
    assert reported == [("MachineError",), ()]
    assert b"/file\0" in guest.received
    here.close()


def test_nothing_is_watched_on_systems_without_inotify(
    guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "supported", lambda: False)
    threads = threading.active_count()
    absent = FileEvents(guest.dial, tmp_path / "home", lambda: None)
    absent.follow([str(tmp_path)])
    assert (threading.active_count(), absent.problems) == (threads, ())
    absent.close()
