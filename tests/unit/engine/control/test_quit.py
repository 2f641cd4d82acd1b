"""A client ends the supervisor, and gets a reply."""

import threading

from engine.control.client import ControlClient
from engine.control.server import ControlServer
from engine.settings.setting import HostSize
from engine.settings.store import SettingsStore
from tests.unit.engine.control.scripted import ScriptedEngine
from vm.host.paths import Home


def test_quit_is_answered_before_the_end(home: Home, engine: ScriptedEngine) -> None:
    """Even if the supervisor ends immediately."""
    settings = SettingsStore(home, HostSize(4, 16 * 2**30))
    ended = threading.Event()

    def end() -> None:
        server.close()
        ended.set()

    server = ControlServer(home, engine, settings, end)
    server.open()
    with ControlClient.connect(home) as client:
        client.call("quit")
    assert ended.wait(10)
