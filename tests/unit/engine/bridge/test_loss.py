"""Lost connections under the bridge, with a real sshd and a small server instead of dockerd."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from engine.bridge.bridge import Bridge
from engine.bridge.unix import SocketStream, UnixListener, connect
from engine.dockerapi.http import ping
from tests.background import Background
from tests.unit.engine.bridge.reachable import ReachableDockerd
from tests.unit.engine.bridge.servers import Sshd, wait_until
from vm.errors import MachineError
from vm.guest.ssh import WINDOW, SshGuest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"


class Source:
    """A server on a Unix socket. It answers `GET` as a ping, and `flood` with endless bytes."""

    def __init__(self, path: Path) -> None:
        self.flooded = 0
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(512)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted = self._listening.accept()[0]
                threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with accepted, contextlib.suppress(OSError):
            if accepted.recv(5) != b"flood":
                accepted.sendall(OK)
                return
            while True:
                self.flooded += accepted.send(bytes(65536))

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def source(folder: Path) -> Iterator[Source]:
    made = Source(folder / "source.sock")
    yield made
    made.close()


@pytest.fixture
def path(source: Source, guest: SshGuest, folder: Path) -> Iterator[Path]:
    """The bridge's socket."""
    assert source.flooded == 0
    listener = UnixListener(folder / "docker.sock")
    bridge = Bridge(listener, ReachableDockerd(lambda: guest.dial(f"{folder}/source.sock")))
    bridge.open()
    yield folder / "docker.sock"
    bridge.close()


def flood(path: Path) -> SocketStream:
    stream = connect(path)
    stream.sendall(b"flood")
    assert stream.recv(65536)
    return stream


def answers(path: Path) -> bool:
    return ping(lambda: connect(path))


def drain(stream: SocketStream) -> None:
    with contextlib.suppress(ConnectionResetError):
        while stream.recv(262144):
            pass
    stream.close()


def test_back_pressure_of_a_slow_reader_stops_only_its_own_writer(
    path: Path, source: Source
) -> None:
    before = psutil.Process(os.getpid()).memory_info().rss
    slow = flood(path)
    seen = -1
    while seen != (seen := source.flooded):
        assert all(answers(path) for _ in range(20))
    assert seen < 3 * WINDOW
    assert psutil.Process(os.getpid()).memory_info().rss - before < 4 * WINDOW
    while source.flooded < seen + 4 * WINDOW:  # the stream continues
        assert slow.recv(262144)
    slow.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "silent"])
def test_the_next_request_works_after_the_transport_died_under_load(
    path: Path, sshd: Sshd, number: signal.Signals
) -> None:
    with Background() as pool:
        loads = [pool.submit(drain, flood(path)) for _ in range(4)]
        lost = sshd.signal_sessions(number)
        started = time.monotonic()
        assert answers(path)
        assert time.monotonic() - started < 2.0
        for pid in lost:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for load in loads:  # every stream over the lost transport ends
            load.result(timeout=5)


def test_two_hundred_requests_after_a_loss_share_one_connection(path: Path, sshd: Sshd) -> None:
    assert answers(path)
    sshd.signal_sessions(signal.SIGKILL)
    with Background() as pool:
        assert all(pool.map(lambda _: answers(path), range(200)))
    assert sshd.log().count("Accepted publickey") == 2


def test_the_bridge_answers_503_while_the_guest_is_down(path: Path, sshd: Sshd) -> None:
    assert answers(path)
    sshd.stop()
    stream = connect(path)
    stream.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n")
    started = time.monotonic()
    answer = b"".join(iter(lambda: stream.recv(65536), b""))
    stream.close()
    assert time.monotonic() - started < 3.0
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"does not answer" in answer
    sshd.start()
    assert answers(path)


def test_concurrent_dials_share_one_failure(sshd: Sshd, guest: SshGuest) -> None:
    sshd.stop()

    def fails(_: int) -> bool:
        with pytest.raises(MachineError):
            guest.dial("/anywhere")
        return True

    started = time.monotonic()
    with Background() as pool:
        assert all(pool.map(fails, range(50)))
    assert time.monotonic() - started < 5.0


def test_idle_connections_do_not_poll(path: Path) -> None:
    """Idle connections block in the kernel, without timeouts."""
    streams = [connect(path) for _ in range(50)]
    assert answers(path)
    me = psutil.Process(os.getpid())
    wait_until(lambda: answers(path))
    before, switches = me.cpu_times(), me.num_ctx_switches().voluntary
    threading.Event().wait(1.0)
    spent = me.cpu_times().user + me.cpu_times().system - before.user - before.system
    assert spent <= 0.02
    assert me.num_ctx_switches().voluntary - switches < 20
    for stream in streams:
        stream.close()
