"""A guest reached by the agent stream and by ssh: which does what, and when ssh takes over."""

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.background import Background
from tests.unit.vm.guest.stream.scripted import PATH, Guest, opened, until
from vm.errors import GuestUnreachable
from vm.guest import ssh_kept
from vm.guest.protocol import Size
from vm.guest.stream import channel as channel_module
from vm.guest.stream.channel import Channel
from vm.guest.stream.frames import HEAD, NUMBER, VERSION, Kind
from vm.guest.stream.guest import StreamGuest
from vm.guest.stream.kept import KeptStream
from vm.host.process import Completed

pytestmark = pytest.mark.timeout(30)  # a fault of the stream is a test that hangs


class Ssh:
    """Remembers what it was asked; its answers are what it was asked with."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def _ask(self, *words: object) -> Any:
        self.asked.append(words)
        return words

    def connect(self, deadline: float) -> None:
        self._ask("connect", deadline)

    def dial(self, path: str) -> Any:
        return self._ask("dial", path)

    def session(self, argv: tuple[str, ...] | None, size: Size | None, term: str) -> Any:
        return self._ask("session", argv, size, term)

    def run(self, argv: tuple[str, ...], *, stdin: bytes, timeout: float) -> Completed:
        self._ask("run", stdin, timeout)
        return Completed(argv, 3, b"out", b"err")

    def read(self, path: str) -> bytes:
        self._ask("read", path)
        return b"content"

    def write(self, path: str, data: bytes, mode: int) -> None:
        self._ask("write", path, data, mode)

    def close(self) -> None:
        self._ask("close")


def silent(until: float) -> socket.socket:
    raise TimeoutError("no output")


def refused(until: float) -> socket.socket:
    raise ConnectionRefusedError


def test_commands_files_and_terminals_go_by_ssh() -> None:
    ssh, size = Ssh(), Size(80, 24)
    guest: Any = StreamGuest(KeptStream(silent), ssh)  # type: ignore[arg-type]
    assert guest.session(("sh",), size) == ("session", ("sh",), size, "xterm-256color")
    assert guest.session(None, None, "vt100") == ("session", None, None, "vt100")
    assert guest.run(("id",), stdin=b"in", timeout=5) == Completed(("id",), 3, b"out", b"err")
    guest.run(("id",))
    assert ssh.asked[2:] == [("run", b"in", 5), ("run", b"", 60.0)]
    assert guest.read("/file") == b"content"
    guest.write("/file", b"x")
    guest.write("/file", b"x", 0o600)
    assert ssh.asked[5:] == [("write", "/file", b"x", 0o644), ("write", "/file", b"x", 0o600)]


def test_the_session_is_made_once_and_closed_with_ssh(guest: Guest) -> None:
    ssh = Ssh()
    guest_by_stream = StreamGuest(KeptStream(guest.connect), ssh)  # type: ignore[arg-type]
    guest_by_stream.connect(10)
    guest_by_stream.connect(10)
    dialled = Background().submit(guest_by_stream.dial, PATH)
    guest.say(guest.hear()[0], Kind.OPENED)
    assert isinstance(dialled.result(), Channel)
    assert ssh.asked == []
    stream = guest_by_stream._stream._stream
    assert stream is not None
    guest_by_stream.close()
    assert ssh.asked == [("close",)]
    assert guest.hears_no_more()
    assert not stream.alive


@pytest.mark.parametrize(("version", "outdated"), [(1, True), (VERSION, False), (3, True)])
def test_an_agent_of_another_version_is_outdated(
    guest: Guest, version: int, outdated: bool
) -> None:
    made = StreamGuest(KeptStream(guest.connect), Ssh())  # type: ignore[arg-type]
    assert not made.is_outdated, "it is not known yet"
    made.connect(10)
    dialled = Background().submit(made.dial, PATH)
    if version > 1:
        guest.say(0, Kind.HELLO, NUMBER.pack(version))
    guest.say(guest.hear()[0], Kind.OPENED)
    dialled.result()
    assert made.is_outdated is outdated
    made.close()


def test_where_the_agent_is_silent_ssh_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_kept, "PATIENCE", 0.0)
    ssh = Ssh()
    StreamGuest(KeptStream(silent), ssh).connect(10)  # type: ignore[arg-type]
    assert ssh.asked == [("connect", 10)]
    gone = StreamGuest(KeptStream(refused), ssh)  # type: ignore[arg-type]
    with pytest.raises(GuestUnreachable):
        gone.connect(10)
    with pytest.raises(GuestUnreachable):
        gone.dial(PATH)
    assert len(ssh.asked) == 1


def test_a_silent_session_is_closed_before_the_next_is_made(
    new_guest: Callable[..., Guest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """QEMU serves one client at a time."""
    monkeypatch.setattr(channel_module, "SILENCE", 0.2)
    guests = [new_guest(), new_guest()]
    alive: list[bool] = []

    def connect(until: float) -> socket.socket:
        alive.append(kept._stream is not None and kept._stream.alive)
        return guests[len(alive) - 1].theirs

    kept = KeptStream(connect)
    kept.connect(10)
    dialled = Background().submit(kept.open, PATH)
    until(lambda: not guests[1]._greeting.is_alive())
    guests[1].say(guests[1].hear()[0], Kind.OPENED)
    dialled.result()
    kept.close()
    assert alive == [False, False]


def test_an_agent_that_broke_the_protocol_is_left_alone_for_a_while(
    new_guest: Callable[..., Guest],
) -> None:
    guests = [new_guest(), new_guest()]
    made = iter(guests)
    ssh = Ssh()
    guest_by_stream = StreamGuest(KeptStream(lambda until: next(made).theirs), ssh)  # type: ignore[arg-type]
    guest_by_stream._stream._kept._patience = 0.0
    guest_by_stream.connect(10)
    stream = guest_by_stream._stream._stream
    assert stream is not None
    channel = opened(guests[0], stream)
    guests[0].host.sendall(HEAD.pack(guests[0].session, channel._number, Kind.DATA, 0))
    guests[0].host.sendall(NUMBER.pack(guests[0].session))
    until(lambda: not stream.alive)
    by_ssh: Any = guest_by_stream.dial(PATH)
    assert by_ssh == ("dial", PATH)
    stream.barred_until = time.monotonic()
    guest_by_stream.connect(10)
    assert guest_by_stream._stream._stream is not stream
    assert guest_by_stream._stream._stream is not None
    assert guest_by_stream._stream._stream.alive
    guest_by_stream.close()
