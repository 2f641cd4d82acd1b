"""Activity on the docker socket: in pieces, and through the bridge to a real dockerd."""

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


class Users(NullMonitor):
    """Counts; `sleeps`: how often it has to be woken before it can be used."""

    def __init__(self) -> None:
        self.at_work = 0
        self.most = 0
        self.moves = 0
        self.woken = 0
        self.uses = 0
        self.failure: GalleyError | None = None
        self._lock = threading.Lock()

    def awake(self, uses: bool = True) -> None:
        if self.failure is not None:
            raise self.failure
        self.woken += 1
        self.uses += uses

    def begin(self) -> None:
        with self._lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)

    def end(self) -> None:
        with self._lock:
            self.at_work -= 1

    def moved(self) -> None:
        self.moves += 1


@pytest.fixture
def users() -> Users:
    return Users()


@pytest.fixture
def activity(users: Users) -> ConnectionActivity:
    return ConnectionActivity(users)


def test_a_short_answer_ends_it(users: Users, activity: ConnectionActivity) -> None:
    activity.asked(b"/v1.45/version")
    assert users.at_work == 1
    activity.answers(WHOLE)
    assert users.at_work == 0
    assert users.moves == 1


def test_chunks_go_on_to_the_last(users: Users, activity: ConnectionActivity) -> None:
    activity.asked(b"/v1.45/images/create?fromImage=x")
    for piece in (b"HTTP/1.1 100 Continue\r\n\r\n", BEGINS, b"3\r\n10\r\n", b"\r\n0", b"\r\n\r"):
        activity.answers(piece)
        assert users.at_work == 1, piece
    activity.answers(b"\n")
    assert users.at_work == 0


def test_the_next_request_is_another_answer(users: Users, activity: ConnectionActivity) -> None:
    for _ in range(2):
        activity.asked(b"/build")
        activity.answers(BEGINS)
        assert users.at_work == 1
        activity.answers(b"0\r\n\r\n")
        activity.answers(b"0\r\n\r\n")
        assert users.at_work == 0
    activity.asked(b"/info")
    activity.answers(WHOLE)
    assert users.at_work == 0


def test_a_stream_ends_in_order_after_an_answer_that_was_overtaken(
    activity: ConnectionActivity,
) -> None:
    """A client may ask again before we are told that the answer before has gone to it."""
    activity.asked(b"/_ping")
    activity.answers(WHOLE)
    activity.asked(b"/events")
    activity.went(WHOLE)
    assert activity.ending() == b""
    activity.answers(BEGINS)
    activity.went(BEGINS)
    assert activity.ending() == LAST


def test_a_connection_that_ends_ends_its_work(users: Users, activity: ConnectionActivity) -> None:
    activity.asked(b"/images/load")
    activity.over()
    activity.over()
    assert users.at_work == 0


@pytest.mark.parametrize(
    "target",
    [b"/events", b"/v1.45/events?since=1", b"/containers/web/attach?stream=1&stdout=1",
     b"/containers/web/attach/ws", b"/v1.45/containers/web/wait?condition=next-exit",
     b"/containers/web/logs?stdout=1&follow=1", b"/containers/web/logs?follow=true&tail=all",
     b"/v1.45/containers/web/stats?stream=1", b"http://docker/v1.45/services/web/logs?follow=1"],
)  # fmt: skip
def test_what_only_waits_is_no_work(
    users: Users, activity: ConnectionActivity, target: bytes
) -> None:
    activity.asked(target)
    activity.answers(BEGINS)
    activity.answers(b"5\r\nevent\r\n")
    assert users.at_work == users.moves == users.most == 0


@pytest.mark.parametrize(
    "target",
    [b"/containers/web/logs?stdout=1", b"/containers/web/logs?follow=0", b"/containers/events/json",
     b"/images/events/json", b"/exec/0/start", b"/containers/create?name=wait"],
)  # fmt: skip
def test_what_else_is(users: Users, activity: ConnectionActivity, target: bytes) -> None:
    activity.asked(target)
    assert users.at_work == 1


def test_a_build_is_at_work_while_its_session_is_open(
    users: Users, activity: ConnectionActivity
) -> None:
    activity.asked(b"/session")
    activity.answers(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert users.at_work == 1
    activity.over()
    assert users.at_work == 0


# Through the bridge


@pytest.fixture
def client(dockerd: Dockerd, folder: Path, users: Users) -> Iterator[Client]:
    path = folder / "bridge.sock"
    reachable = ReachableDockerd(lambda: connect(dockerd.socket))
    bridge = Bridge(UnixListener(path), reachable, monitor=users)
    bridge.open()
    client = Client(path)
    yield client
    client.close()
    bridge.close()


def test_every_answer_of_dockerd_is_seen_to_end(client: Client, users: Users) -> None:
    """Whole, in chunks, empty, refused; and the connection stays open."""
    asked = [
        ("GET", "/_ping", 200), ("HEAD", "/_ping", 200), ("GET", "/containers/json", 200),
        ("GET", "/info", 200), ("GET", "/containers/none/json", 404), ("GET", "/nothing", 404),
        ("POST", "/containers/prune", 200), ("GET", "/images/json", 200),
        ("POST", "/images/create?fromImage=localhost:1/none&tag=x", 500),
    ]  # fmt: skip
    for method, path, status in asked:
        assert client.ask(method, path)[0] == status
        wait_until(lambda: users.at_work == 0)
    assert users.most >= 1
    assert users.woken >= len(asked)


def test_who_waits_for_a_container_is_not_at_work(client: Client, users: Users) -> None:
    config = {"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
    assert client.ask("POST", "/containers/create?name=slow", config)[0] == 201
    try:
        wait_until(lambda: users.at_work == 0)
        begun = users.moves
        client.request("POST", "/containers/slow/wait?condition=removed")
        waiting = client.getresponse()
        assert users.at_work == 0
        assert users.moves == begun
    finally:
        other = Client(client.path)
        assert other.ask("DELETE", "/containers/slow?force=1")[0] == 204
        other.close()
    assert b"StatusCode" in waiting.read()


def test_asking_for_figures_wakes_it_and_is_no_use(client: Client, users: Users) -> None:
    client.ask("GET", "/_ping")
    before = users.woken, users.uses
    assert client.ask("GET", "/containers/none/stats?stream=false&one-shot=true")[0] == 404
    assert (users.woken, users.uses) == (before[0] + 1, before[1])


def test_a_machine_that_does_not_wake_is_told(client: Client, users: Users) -> None:
    users.failure = BackendFailed(Message("", "QEMU does not answer on its control socket."))
    status, said = client.ask("GET", "/_ping")
    assert status == 503
    assert "does not answer" in str(said)
