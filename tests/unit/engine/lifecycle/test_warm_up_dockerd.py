"""After a resume from disk dockerd gets one request in the background; nothing depends on it."""

import socket
import threading
from collections.abc import Callable
from typing import cast

import pytest

from engine.lifecycle.start_steps import DOCKER_SOCKET, warm_up_dockerd
from vm.errors import GuestUnreachable
from vm.guest.protocol import Guest, Stream
from vm.messages import Message

PATIENCE = 20.0  # seconds; only a test that fails waits so long


class OfDial:
    """A guest of which only this is asked."""

    def __init__(self, dial: Callable[[str], object]) -> None:
        self.dial = dial


def thread() -> threading.Thread | None:
    return next((one for one in threading.enumerate() if one.name == "warm-up-dockerd"), None)


def test_it_is_asked_for_its_containers() -> None:
    ours, dockerds = socket.socketpair()

    def dial(path: str) -> Stream:
        assert path == DOCKER_SOCKET
        return cast(Stream, ours)

    warm_up_dockerd(cast(Guest, OfDial(dial)))
    dockerds.settimeout(PATIENCE)
    assert dockerds.recv(1000).startswith(b"GET /containers/json HTTP/1.1\r\n")
    asking = thread()
    assert asking is not None
    dockerds.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[]\n")
    asking.join(PATIENCE)
    assert not asking.is_alive()
    dockerds.close()


@pytest.mark.parametrize(
    "failure", [ConnectionRefusedError(), GuestUnreachable(Message("", "It does not answer.", ""))]
)
def test_one_that_does_not_answer_is_nobodys_error(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    asked = threading.Event()

    def dial(path: str) -> Stream:
        asked.set()
        raise failure

    warm_up_dockerd(cast(Guest, OfDial(dial)))
    assert asked.wait(PATIENCE)
    if (asking := thread()) is not None:
        asking.join(PATIENCE)
    assert failed == []
