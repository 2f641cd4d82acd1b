"""Checks of create requests, through the bridge to a real dockerd."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.bridge.bridge import Bridge
from engine.bridge.pump import NoAdmission
from engine.bridge.unix import UnixListener, connect
from tests.unit.engine.bridge.reachable import ReachableDockerd
from tests.unit.engine.bridge.servers import IMAGE, Dockerd
from vm.errors import NotShared
from vm.messages import Message


class Checking(NoAdmission):
    def create_container(self, body: bytes) -> bytes:
        request = msgspec.json.decode(body)
        if "Refused" in request:
            raise NotShared(Message("", "This is not shared.", "Share it."))
        return body.replace(b"wrong", b"right") if "Changed" in request else body


class Client(http.client.HTTPConnection):
    """Keeps its connection, as docker's SDKs do."""

    def __init__(self, path: Path) -> None:
        super().__init__("docker")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))

    def ask(self, method: str, target: str, body: object = None) -> tuple[int, dict[str, object]]:
        text = None if body is None else json.dumps(body)
        self.request(method, target, text, {"Content-Type": "application/json"})
        answer = self.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content.startswith(b"{") else {}


@pytest.fixture
def client(dockerd: Dockerd, folder: Path) -> Iterator[Client]:
    path = folder / "bridge.sock"
    reachable = ReachableDockerd(lambda: connect(dockerd.socket))
    bridge = Bridge(UnixListener(path), reachable, Checking())
    bridge.open()
    client = Client(path)
    yield client
    client.close()
    bridge.close()


def test_accepted_refused_and_changed_create_requests_of_one_client(client: Client) -> None:
    assert client.ask("GET", "/_ping")[0] == 200
    connection = client.sock
    refused = {"Image": IMAGE, "Refused": True}
    status, answer = client.ask("POST", "/containers/create?name=never", refused)
    assert (status, answer) == (400, {"message": "This is not shared. Share it."})
    assert client.sock is None, "the answer must close the connection"
    assert client.ask("GET", "/containers/never/json")[0] == 404
    assert client.sock is not connection

    changed = {"Image": IMAGE, "Changed": True, "Labels": {"it-is": "wrong"}, "Cmd": ["sh"]}
    kept: object = None
    for name, wanted in (("one", changed), ("two", {"Image": IMAGE, "Cmd": ["sh"]})):
        status, answer = client.ask("POST", f"/containers/create?name={name}", wanted)
        assert status == 201, answer
        assert kept is None or client.sock is kept
        kept = client.sock
    config = client.ask("GET", "/containers/one/json")[1]["Config"]
    assert isinstance(config, dict)
    assert config["Labels"] == {"it-is": "right"}
    for name in ("one", "two"):
        assert client.ask("DELETE", f"/containers/{name}")[0] == 204
