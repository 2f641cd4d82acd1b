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

TIMEOUT = 10.0  # seconds; each wait takes less than one


class Starting(NoAdmission):
    """Records starts, refuses by name, and holds answers until `may_continue` is set."""

    def __init__(self) -> None:
        self.starts: list[str] = []
        self.may_continue = threading.Event()
        self.may_continue.set()
        self.answered = 0
        self.settled = 0

    def start(self, container: str) -> Callable[[], None] | None:
        self.starts.append(container)
        if container == "refused":
            raise PortInUse(Message("", "Port 80/tcp is taken.", "Free it."))
        if container == "unshared":
            raise NotShared(Message("", "The folder is not shared.", "Share it."))
        return self._done

    def create_service(self, body: bytes) -> tuple[bytes, Callable[[], None] | None]:
        return body, self.start(str(json.loads(body)["Name"]))

    def _done(self) -> None:
        assert self.may_continue.wait(TIMEOUT)
        self.answered += 1

    def settle(self) -> None:
        assert self.may_continue.wait(TIMEOUT)
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


def test_a_refused_start_is_answered_like_a_refusal_of_dockerd(
    client: Client, starting: Starting
) -> None:
    status, answer = client.ask("POST", "/v1.43/containers/refused/start")
    assert (status, answer) == (500, {"message": "Port 80/tcp is taken. Free it."})
    assert client.ask("GET", "/_ping")[0] == 200


def test_an_unshared_folder_is_a_bad_request_as_in_a_create_request(client: Client) -> None:
    status, answer = client.ask("POST", "/v1.43/containers/unshared/restart?t=0")
    assert (status, answer) == (400, {"message": "The folder is not shared. Share it."})


@pytest.mark.parametrize("path", ["create", "1/update?version=1"])
def test_a_refused_service_is_answered_like_a_refused_start(
    client: Client, starting: Starting, path: str
) -> None:
    status, answer = client.ask("POST", f"/v1.43/services/{path}", {"Name": "refused"})
    assert (status, answer) == (500, {"message": "Port 80/tcp is taken. Free it."})


def test_the_answer_to_a_service_request_waits_for_its_ports(
    client: Client, starting: Starting
) -> None:
    assert client.ask("POST", "/services/create", {"Name": "web"})[0] == 503
    assert (starting.starts, starting.answered) == (["web"], 1)
    assert client.ask("POST", "/containers/create", {"Name": "web"})[0] == 400
    assert (starting.starts, starting.answered) == (["web"], 1)


def test_the_answer_to_a_start_waits_for_its_ports(
    client: Client, starting: Starting, container: str
) -> None:
    starting.may_continue.clear()
    statuses: list[int] = []
    asking = threading.Thread(
        target=lambda: statuses.append(client.ask("POST", f"/containers/{container}/start")[0])
    )
    asking.start()
    wait_until(lambda: starting.starts == [container])
    asking.join(0.2)
    assert not statuses
    starting.may_continue.set()
    asking.join(TIMEOUT)
    assert (statuses, starting.answered) == ([204], 1)
    assert client.ask("POST", f"/containers/{container}/restart?t=0")[0] == 204
    assert starting.answered == 2
    assert client.ask("POST", f"/containers/{container}/stop?t=0")[0] == 204
    assert starting.answered == 2


def test_a_start_event_waits_for_its_ports(
    client: Client, starting: Starting, container: str, folder: Path
) -> None:
    listener = Client(folder / "bridge.sock")
    listener.request("GET", '/v1.43/events?filters={"event":["start","die"]}')
    events = listener.getresponse()
    starting.may_continue.clear()
    lines: list[bytes] = []
    reading = threading.Thread(target=lambda: lines.append(events.readline()))
    reading.start()
    other = threading.Thread(target=lambda: client.ask("POST", f"/containers/{container}/start"))
    other.start()
    reading.join(1.0)
    assert not lines
    starting.may_continue.set()
    reading.join(TIMEOUT)
    other.join(TIMEOUT)
    assert b'"start"' in lines[0]
    assert starting.settled >= 1
    listener.close()
