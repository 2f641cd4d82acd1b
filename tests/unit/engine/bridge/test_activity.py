"""Activity on the docker socket: `ConnectionActivity` alone, and with a real dockerd."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.bridge.activity import ConnectionActivity, NullMonitor
from engine.bridge.bridge import Bridge
from engine.bridge.unix import UnixListener, connect
from engine.dockerapi.chunked import LAST
from tests.unit.engine.bridge.reachable import ReachableDockerd
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, wait_until
from tests.unit.engine.bridge.test_check import Client
from vm.errors import BackendFailed, GalleyError
from vm.messages import Message

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
BEGINS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class CountingMonitor(NullMonitor):
    """Counts active requests, wake-ups and uses. `failure`: what `awake` raises."""

    def __init__(self) -> None:
        self.active = 0
        self.max_active = 0
        self.progress = 0
        self.wakes = 0
        self.uses = 0
        self.failure: GalleyError | None = None
        self._lock = threading.Lock()

    def awake(self, uses: bool = True) -> None:
        if self.failure is not None:
            raise self.failure
        self.wakes += 1
        self.uses += uses

    def begin(self) -> None:
        with self._lock:
            self.active += 1
            self.max_active = max(self.max_active, self.active)

    def end(self) -> None:
        with self._lock:
            self.active -= 1

    def moved(self) -> None:
        self.progress += 1


@pytest.fixture
def monitor() -> CountingMonitor:
    return CountingMonitor()


@pytest.fixture
def activity(monitor: CountingMonitor) -> ConnectionActivity:
    return ConnectionActivity(monitor)


def test_a_short_answer_ends_the_activity(
    monitor: CountingMonitor, activity: ConnectionActivity
) -> None:
    activity.asked(b"/v1.45/version")
    assert monitor.active == 1
    activity.answers(WHOLE)
    assert monitor.active == 0
    assert monitor.progress == 1


def test_a_chunked_answer_is_active_until_its_last_chunk(
    monitor: CountingMonitor, activity: ConnectionActivity
) -> None:
    activity.asked(b"/v1.45/images/create?fromImage=x")
    for piece in (b"HTTP/1.1 100 Continue\r\n\r\n", BEGINS, b"3\r\n10\r\n", b"\r\n0", b"\r\n\r"):
        activity.answers(piece)
        assert monitor.active == 1, piece
    activity.answers(b"\n")
    assert monitor.active == 0


def test_each_request_on_a_connection_has_its_own_activity(
    monitor: CountingMonitor, activity: ConnectionActivity
) -> None:
    for _ in range(2):
        activity.asked(b"/build")
        activity.answers(BEGINS)
        assert monitor.active == 1
        activity.answers(b"0\r\n\r\n")
        activity.answers(b"0\r\n\r\n")
        assert monitor.active == 0
    activity.asked(b"/info")
    activity.answers(WHOLE)
    assert monitor.active == 0


def test_a_stream_ends_in_order_if_its_request_overtook_the_answer_before(
    activity: ConnectionActivity,
) -> None:
    """A client may send its next request before `went` is called for the answer before."""
    activity.asked(b"/_ping")
    activity.answers(WHOLE)
    activity.asked(b"/events")
    activity.went(WHOLE)
    assert activity.ending() == b""
    activity.answers(BEGINS)
    activity.went(BEGINS)
    assert activity.ending() == LAST


def test_the_end_of_a_connection_ends_its_activity(
    monitor: CountingMonitor, activity: ConnectionActivity
) -> None:
    activity.asked(b"/images/load")
    activity.over()
    activity.over()
    assert monitor.active == 0


@pytest.mark.parametrize(
    "target",
    [b"/events", b"/v1.45/events?since=1", b"/containers/web/attach?stream=1&stdout=1",
     b"/containers/web/attach/ws", b"/v1.45/containers/web/wait?condition=next-exit",
     b"/containers/web/logs?stdout=1&follow=1", b"/containers/web/logs?follow=true&tail=all",
     b"/v1.45/containers/web/stats?stream=1", b"http://docker/v1.45/services/web/logs?follow=1"],
)  # fmt: skip
def test_a_request_that_only_waits_is_not_active(
    monitor: CountingMonitor, activity: ConnectionActivity, target: bytes
) -> None:
    activity.asked(target)
    activity.answers(BEGINS)
    activity.answers(b"5\r\nevent\r\n")
    assert monitor.active == monitor.progress == monitor.max_active == 0


@pytest.mark.parametrize(
    "target",
    [b"/containers/web/logs?stdout=1", b"/containers/web/logs?follow=0", b"/containers/events/json",
     b"/images/events/json", b"/exec/0/start", b"/containers/create?name=wait"],
)  # fmt: skip
def test_any_other_request_is_active(
    monitor: CountingMonitor, activity: ConnectionActivity, target: bytes
) -> None:
    activity.asked(target)
    assert monitor.active == 1


def test_a_build_is_active_while_its_session_is_open(
    monitor: CountingMonitor, activity: ConnectionActivity
) -> None:
    activity.asked(b"/session")
    activity.answers(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert monitor.active == 1
    activity.over()
    assert monitor.active == 0


# Through the bridge


@pytest.fixture
def client(dockerd: Dockerd, folder: Path, monitor: CountingMonitor) -> Iterator[Client]:
    path = folder / "bridge.sock"
    reachable = ReachableDockerd(lambda: connect(dockerd.socket))
    bridge = Bridge(UnixListener(path), reachable, monitor=monitor)
    bridge.open()
    client = Client(path)
    yield client
    client.close()
    bridge.close()


def test_the_end_of_every_answer_of_dockerd_is_detected(
    client: Client, monitor: CountingMonitor
) -> None:
    """With a length, chunked, empty and refused, all on one connection."""
    requests = [
        ("GET", "/_ping", 200), ("HEAD", "/_ping", 200), ("GET", "/containers/json", 200),
        ("GET", "/info", 200), ("GET", "/containers/none/json", 404), ("GET", "/nothing", 404),
        ("POST", "/containers/prune", 200), ("GET", "/images/json", 200),
        ("POST", "/images/create?fromImage=localhost:1/none&tag=x", 500),
    ]  # fmt: skip
    for method, path, status in requests:
        assert client.ask(method, path)[0] == status
        wait_until(lambda: monitor.active == 0)
    assert monitor.max_active >= 1
    assert monitor.wakes >= len(requests)


def test_waiting_for_a_container_is_not_active(client: Client, monitor: CountingMonitor) -> None:
    config = {"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
    assert client.ask("POST", "/containers/create?name=slow", config)[0] == 201
    try:
        wait_until(lambda: monitor.active == 0)
        before = monitor.progress
        client.request("POST", "/containers/slow/wait?condition=removed")
        waiting = client.getresponse()
        assert monitor.active == 0
        assert monitor.progress == before
    finally:
        other = Client(client.path)
        assert other.ask("DELETE", "/containers/slow?force=1")[0] == 204
        other.close()
    assert b"StatusCode" in waiting.read()


def test_a_stats_request_resumes_the_machine_and_does_not_count_as_use(
    client: Client, monitor: CountingMonitor
) -> None:
    client.ask("GET", "/_ping")
    before = monitor.wakes, monitor.uses
    assert client.ask("GET", "/containers/none/stats?stream=false&one-shot=true")[0] == 404
    assert (monitor.wakes, monitor.uses) == (before[0] + 1, before[1])


def test_a_failed_resume_is_reported_to_the_client(
    client: Client, monitor: CountingMonitor
) -> None:
    monitor.failure = BackendFailed(Message("", "QEMU does not answer on its control socket."))
    status, answer = client.ask("GET", "/_ping")
    assert status == 503
    assert "does not answer" in str(answer)
