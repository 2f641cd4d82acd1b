"""The problem for a data disk that is almost full."""

import queue
import socket
import threading
from collections.abc import Iterator

import pytest

from engine.monitors.guest_disk_space import GuestDiskSpace
from vm.backends.fake import SocketStream
from vm.guest.protocol import Stream

PATIENCE = 20.0  # seconds; only a test that fails waits so long


class Guest:
    """Answers "ok" to a disk watch; the test sends the events."""

    def __init__(self) -> None:
        self.watchers: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()

    def dial(self, path: str) -> Stream:
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._greet, args=(theirs,), daemon=True).start()
        return SocketStream(ours)

    def _greet(self, theirs: socket.socket) -> None:
        assert theirs.recv(100) == b"watch disk\n"
        theirs.sendall(b"ok\n")
        self.watchers.put(theirs)


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def changes() -> "queue.SimpleQueue[bool]":
    return queue.SimpleQueue()


@pytest.fixture
def disk_space(guest: Guest, changes: "queue.SimpleQueue[bool]") -> Iterator[GuestDiskSpace]:
    made = GuestDiskSpace(guest.dial, lambda: changes.put(True))
    yield made
    made.follow(False)


def test_a_full_disk_is_a_problem_with_a_hint_until_there_is_space(
    guest: Guest, disk_space: GuestDiskSpace, changes: "queue.SimpleQueue[bool]"
) -> None:
    disk_space.follow(True)
    with guest.watchers.get(timeout=PATIENCE) as disk:
        disk.sendall(b"full\n")
        changes.get(timeout=PATIENCE)
        [problem] = disk_space.problems
        assert problem.kind == "DiskFull"
        assert "galley disk reclaim" in problem.hint
        disk.sendall(b"full\nroom\n")
        changes.get(timeout=PATIENCE)
        assert disk_space.problems == ()
    assert changes.empty()


def test_a_stopped_machine_has_no_disk_full_problem(
    guest: Guest, disk_space: GuestDiskSpace, changes: "queue.SimpleQueue[bool]"
) -> None:
    disk_space.follow(True)
    disk = guest.watchers.get(timeout=PATIENCE)
    disk.sendall(b"full\n")
    changes.get(timeout=PATIENCE)
    disk_space.follow(False)
    assert disk_space.problems == ()
    assert disk.recv(1) == b""
    disk.close()
