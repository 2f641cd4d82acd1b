"""Which engine it is that work reaches after another one was chosen."""

import threading
from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.connection import Connection
from desktop.tasks import Tasks
from engine.contexts import DockerContext
from engine.docker.cancel import Cancel
from engine.docker.endpoint import Endpoint
from engine.docker.types import Event
from vm.errors import EngineUnreachable


class FakeClient:
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def ping(self) -> str:
        return "1.47"

    def events(self, _since: float | None, cancel: Cancel) -> Iterator[Event]:
        over = threading.Event()
        with cancel.closing(over.set):
            over.wait(10)
        yield from ()

    def close(self) -> None:
        """Nothing to close."""


def test_work_that_was_asked_of_an_engine_never_reaches_another(
    qtbot: QtBot, qapp: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.docker.client.DockerClient", FakeClient)
    tasks = Tasks(qapp)
    connection = Connection(tasks, qapp)

    def look_at(name: str) -> None:
        connection.use(DockerContext(name, "", Endpoint(name, f"tcp://{name}:1")))
        qtbot.waitUntil(lambda: connection.is_up)

    look_at("first")
    first = connection.pinned()
    assert first().endpoint.name == "first"
    look_at("second")
    assert connection.client.endpoint.name == "second"
    with pytest.raises(EngineUnreachable, match="Another engine"):
        first()
    connection.close()
    tasks.close()
