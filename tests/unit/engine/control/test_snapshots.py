"""Snapshot requests from a client to the engine."""

from engine.control.client import ControlClient
from engine.control.protocol import CreateSnapshotParams, RestoreSnapshotParams
from tests.unit.engine.control.scripted import ScriptedEngine


def test_snapshot_requests_reach_the_engine_unchanged(
    client: ControlClient, engine: ScriptedEngine
) -> None:
    client.call("snapshots.create", {"name": "one"})
    client.call("snapshots.create", CreateSnapshotParams("two", memory=True))
    client.call("snapshots.restore", {"name": "one"})
    client.call("snapshots.restore", RestoreSnapshotParams("two", cold=True))
    client.call("snapshots.delete", {"name": "one"})
    assert engine.calls == [
        *("create one memory=False", "create two memory=True"),
        *("restore one cold=False", "restore two cold=True", "delete one"),
    ]
