"""Starts and events through the bridge to a real dockerd: a start event waits for its ports."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.bridge.bridge import Bridge
from engine.bridge.pump import NoAdmission
from engine.bridge.unix import UnixListener, connect
from tests.unit.engine.bridge.reachable import ReachableDockerd
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, wait_until
from tests.unit.engine.bridge.test_check import Client
from vm.errors import NotShared, PortInUse
from vm.messages import Message

LONG_ENOUGH = 10.0  # seconds; nothing here takes one


class Starting(NoAdmission):
    """Says what it was asked, refuses what is called so, and holds answers until told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.answered = 0
        self.settled = 0

    def start(self, container: str) -> Callable[[], None] | None:
        self.asked.append(container)
        if container == "refused":
            raise PortInUse(Message("", "Port 80/tcp is taken.", "Free it."))
        if container == "unshared":
            raise NotShared(Message("", "The folder is not shared.", "Share it."))
        return self._done

    def create_service(self, body: bytes) -> tuple[bytes, Callable[[], None] | None]:
        return body, self.start(str(json.loads(body)["Name"]))

    def _done(self) -> None:
        assert self.goes_on.wait(LONG_ENOUGH)
        self.answered += 1

    def settle(self) -> None:
        assert self.goes_on.wait(LONG_ENOUGH)
        self.settled += 1


@pytest.fixture
def starting() -> Starting:
    return Starting()


@pytest.fixture
def client(dockerd: Dockerd, folder: Path, starting: Starting) -> Iterator[Client]:
    path = folder / "bridge.sock"
    reachable = ReachableDockerd(lambda: connect(dockerd.socket))
    bridge = Bridge(UnixListener(path), reachable, starting)
    bridge.open()
    client = Client(path)
    yield client
    client.close()
    bridge.close()


@pytest.fixture
def container(client: Client) -> Iterator[str]:
    config = {"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
    assert client.ask("POST", "/containers/create?name=sleeper", config)[0] == 201
    yield "sleeper"
    assert client.ask("DELETE", "/containers/sleeper?force=1")[0] == 204


def test_a_refused_start_is_dockerds_refusal(client: Client, starting: Starting) -> None:
    status, said = client.ask("POST", "/v1.43/containers/refused/start")
    assert (status, said) == (500, {"message": "Port 80/tcp is taken. Free it."})
    assert client.ask("GET", "/_ping")[0] == 200


def test_a_folder_that_is_not_shared_is_a_bad_request_as_at_the_creation(client: Client) -> None:
    status, said = client.ask("POST", "/v1.43/containers/unshared/restart?t=0")
    assert (status, said) == (400, {"message": "The folder is not shared. Share it."})


@pytest.mark.parametrize("path", ["create", "1/update?version=1"])
def test_a_service_is_refused_in_the_same_way(
    client: Client, starting: Starting, path: str
) -> None:
    status, said = client.ask("POST", f"/v1.43/services/{path}", {"Name": "refused"})
    assert (status, said) == (500, {"message": "Port 80/tcp is taken. Free it."})


def test_the_answer_about_a_service_waits(client: Client, starting: Starting) -> None:
    assert client.ask("POST", "/services/create", {"Name": "web"})[0] == 503
    assert (starting.asked, starting.answered) == (["web"], 1)
    assert client.ask("POST", "/containers/create", {"Name": "web"})[0] == 400
    assert (starting.asked, starting.answered) == (["web"], 1)


def test_an_answer_waits(client: Client, starting: Starting, container: str) -> None:
    starting.goes_on.clear()
    statuses: list[int] = []
    asking = threading.Thread(
        target=lambda: statuses.append(client.ask("POST", f"/containers/{container}/start")[0])
    )
    asking.start()
    wait_until(lambda: starting.asked == [container])
    asking.join(0.2)
    assert not statuses
    starting.goes_on.set()
    asking.join(LONG_ENOUGH)
    assert (statuses, starting.answered) == ([204], 1)
    assert client.ask("POST", f"/containers/{container}/restart?t=0")[0] == 204
    assert starting.answered == 2
    assert client.ask("POST", f"/containers/{container}/stop?t=0")[0] == 204
    assert starting.answered == 2


def test_an_event_of_a_start_waits(
    client: Client, starting: Starting, container: str, folder: Path
) -> None:
    listener = Client(folder / "bridge.sock")
    listener.request("GET", '/v1.43/events?filters={"event":["start","die"]}')
    events = listener.getresponse()
    starting.goes_on.clear()
    lines: list[bytes] = []
    reading = threading.Thread(target=lambda: lines.append(events.readline()))
    reading.start()
    other = threading.Thread(target=lambda: client.ask("POST", f"/containers/{container}/start"))
    other.start()
    reading.join(1.0)
    assert not lines
    starting.goes_on.set()
    reading.join(LONG_ENOUGH)
    other.join(LONG_ENOUGH)
    assert b'"start"' in lines[0]
    assert starting.settled >= 1
    listener.close()
