"""Which engine a request reaches after the user has switched to another one."""

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
        """A request that succeeds."""

    def ping(self) -> str:
        return "1.47"

    def events(self, _since: float | None, cancel: Cancel) -> Iterator[Event]:
        cancelled = threading.Event()
        with cancel.closing(cancelled.set):
            cancelled.wait(10)
        yield from ()

    def close(self) -> None:
        """Nothing to close."""


def test_a_request_for_one_engine_never_reaches_another(
    qtbot: QtBot, qapp: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.docker.client.DockerClient", FakeClient)
    tasks = Tasks(qapp)
    connection = Connection(tasks, qapp)

    def switch_to(name: str) -> None:
        connection.use(DockerContext(name, "", Endpoint(name, f"tcp://{name}:1")))
        qtbot.waitUntil(lambda: connection.is_up)

    switch_to("first")
    first = connection.pinned()
    assert first().endpoint.name == "first"
    switch_to("second")
    assert connection.client.endpoint.name == "second"
    with pytest.raises(EngineUnreachable, match="switched to another engine"):
        first()
    connection.close()
    tasks.close()


def test_a_stopped_machine_sends_no_events_though_pings_are_answered(
    qtbot: QtBot, qapp: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor answers pings in its place, so the engine seems to be up."""
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
    assert not connection.is_asleep, "without a supervisor the state is unknown"
    connection.see_machine(MachineState.STOPPED, True)
    connection.see_machine(MachineState.STARTING)
    assert not is_heard()
    assert connection.is_kept, "it is resuming"
    connection.see_machine(MachineState.RUNNING)
    assert is_heard()
    connection.close()
    tasks.close()
