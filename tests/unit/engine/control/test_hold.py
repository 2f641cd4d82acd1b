"""A client that keeps the machine awake does so until its connection ends, however that happens."""

from engine.control.client import ControlClient
from engine.control.server import ControlServer
from tests.unit.engine.control.scripted import ScriptedEngine
from vm.host.paths import Home


def test_keep_awake_ends_with_its_connection(client: ControlClient, engine: ScriptedEngine) -> None:
    client.call("keep_awake")
    assert engine.calls == ["keep_awake"]
    client.call("stop")
    assert "let go" not in engine.calls
    client.close()
    engine.wait_called("let go")


def test_keep_awake_ends_when_the_server_closes(
    home: Home, unopened: ControlServer, engine: ScriptedEngine
) -> None:
    unopened.open()
    with ControlClient.connect(home) as client:
        client.call("keep_awake")
        unopened.close()
        engine.wait_called("let go")
