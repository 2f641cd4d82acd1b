"""Which engine it is that work reaches after another one was chosen."""

import threading
from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.session.connection import Connection, Reach
from desktop.session.tasks import Tasks
from engine.docker.cancel import Cancel
from engine.docker.types import Event
from engine.dockercli.contexts import DockerContext
from engine.dockercli.endpoint import Endpoint
from vm.errors import EngineUnreachable
from vm.types import MachineState


class FakeClient:
    def __init__(self, endpoint: Endpoint, timeout: float = 60.0) -> None:
        self.endpoint = endpoint

    def info(self) -> None:
        """A use."""

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
    with pytest.raises(EngineUnreachable, match="switched to another engine"):
        first()
    connection.close()
    tasks.close()


def test_who_is_answered_in_place_of_a_machine_on_the_disk_does_not_ask_for_more(
    qtbot: QtBot, qapp: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pings are, so it seems to be there: also before the supervisor, or the next one, has told."""
    monkeypatch.setattr("engine.docker.client.DockerClient", FakeClient)
    tasks = Tasks(qapp)
    connection = Connection(tasks, qapp)

    def is_heard() -> bool:
        return connection.is_heard

    connection.see_machine(MachineState.STOPPED)
    connection.use(DockerContext("galley", "", Endpoint("galley", "tcp://here:1"), ours=True))
    qtbot.waitUntil(lambda: connection.reach is Reach.UP)
    for auto_suspended in (False, True):
        connection.see_machine(MachineState.STOPPED, auto_suspended)
        assert not is_heard()
        assert connection.is_asleep is auto_suspended
    connection.see_machine(None)
    assert not is_heard()
    assert not connection.is_asleep, "nobody says so"
    connection.see_machine(MachineState.STOPPED, True)
    connection.see_machine(MachineState.STARTING)
    assert not is_heard()
    assert connection.is_kept, "on its way back"
    connection.see_machine(MachineState.RUNNING)
    assert is_heard()
    connection.close()
    tasks.close()
