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
    """Says "ok" to who watches the disk, and then what a test says."""

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
def room(guest: Guest, changes: "queue.SimpleQueue[bool]") -> Iterator[GuestDiskSpace]:
    made = GuestDiskSpace(guest.dial, lambda: changes.put(True))
    yield made
    made.follow(False)


def test_full_is_a_problem_with_a_way_out_until_there_is_room(
    guest: Guest, room: GuestDiskSpace, changes: "queue.SimpleQueue[bool]"
) -> None:
    room.follow(True)
    with guest.watchers.get(timeout=PATIENCE) as disk:
        disk.sendall(b"full\n")
        changes.get(timeout=PATIENCE)
        [problem] = room.problems
        assert problem.kind == "DiskFull"
        assert "galley disk reclaim" in problem.hint
        disk.sendall(b"full\nroom\n")
        changes.get(timeout=PATIENCE)
        assert room.problems == ()
    assert changes.empty()


def test_a_machine_that_stopped_has_no_full_disk(
    guest: Guest, room: GuestDiskSpace, changes: "queue.SimpleQueue[bool]"
) -> None:
    room.follow(True)
    disk = guest.watchers.get(timeout=PATIENCE)
    disk.sendall(b"full\n")
    changes.get(timeout=PATIENCE)
    room.follow(False)
    assert room.problems == ()
    assert disk.recv(1) == b""
    disk.close()
