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


class DialOnly:
    """A guest with nothing but `dial`."""

    def __init__(self, dial: Callable[[str], object]) -> None:
        self.dial = dial


def thread() -> threading.Thread | None:
    return next((one for one in threading.enumerate() if one.name == "warm-up-dockerd"), None)


def test_dockerd_gets_a_request_for_its_containers() -> None:
    ours, dockerds = socket.socketpair()

    def dial(path: str) -> Stream:
        assert path == DOCKER_SOCKET
        return cast(Stream, ours)

    warm_up_dockerd(cast(Guest, DialOnly(dial)))
    dockerds.settimeout(PATIENCE)
    assert dockerds.recv(1000).startswith(b"GET /containers/json HTTP/1.1\r\n")
    warm_up = thread()
    assert warm_up is not None
    dockerds.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[]\n")
    warm_up.join(PATIENCE)
    assert not warm_up.is_alive()
    dockerds.close()


@pytest.mark.parametrize(
    "failure", [ConnectionRefusedError(), GuestUnreachable(Message("", "It does not answer.", ""))]
)
def test_a_dockerd_that_does_not_respond_causes_no_error(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    dialled = threading.Event()

    def dial(path: str) -> Stream:
        dialled.set()
        raise failure

    warm_up_dockerd(cast(Guest, DialOnly(dial)))
    assert dialled.wait(PATIENCE)
    if (warm_up := thread()) is not None:
        warm_up.join(PATIENCE)
    assert failed == []
