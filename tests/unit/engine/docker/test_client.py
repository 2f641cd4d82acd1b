"""The client as a whole: engine info, events, cancellation, threads, unreachable engines."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.docker.cancel import Cancel
from engine.docker.client import DockerClient
from engine.docker.types import Event, RunSpec
from engine.dockercli.endpoint import Endpoint
from tests.unit.engine.bridge.servers import IMAGE, wait_until
from vm.errors import Cancelled, EngineUnreachable


def test_info_describes_the_engine(client: DockerClient) -> None:
    info = client.info()
    assert info.api == client.ping()
    assert info.storage_driver == "vfs"
    assert info.cpus >= 1
    assert info.memory > 0
    assert "runc" in info.runtimes
    assert info.version


def test_disk_use_counts_images_and_volumes(client: DockerClient) -> None:
    client.containers.create(RunSpec(IMAGE, "user", ("true",)))
    client.containers.wire.post("/volumes/create", {"Name": "unused"})
    use = client.disk_use()
    assert use.images > 100_000
    assert use.reclaimable_images == 0
    assert ("unused", 0) in use.volume_sizes


def test_past_and_new_events_are_streamed_until_cancelled(client: DockerClient) -> None:
    begin = client.containers.detail(
        client.containers.run(RunSpec(IMAGE, "past", ("true",)))
    ).started
    cancel = Cancel()
    seen: list[Event] = []
    ended = threading.Event()

    def follow() -> None:
        try:
            for event in client.events(begin - 60, cancel):
                seen.append(event)
        except Cancelled:
            ended.set()

    def names(action: str) -> set[str]:
        return {one.name for one in seen if (one.kind, one.action) == ("container", action)}

    threading.Thread(target=follow).start()
    wait_until(lambda: "past" in names("die"))
    client.containers.create(RunSpec(IMAGE, "future", ("true",)))
    wait_until(lambda: "future" in names("create"))
    assert all(event.id and event.time > begin - 60 for event in seen)
    cancel.set()
    assert ended.wait(5)


def test_many_threads_use_one_client(client: DockerClient) -> None:
    for number in range(4):
        client.containers.create(RunSpec(IMAGE, f"c{number}", ("true",)))
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: len(client.containers.list()), range(200)))
    assert found == [4] * 200


def test_an_unreachable_engine_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable, match="does not answer"):
        DockerClient(Endpoint("none", f"unix://{tmp_path}/none.sock"))
    with pytest.raises(EngineUnreachable, match="ssh"):
        DockerClient(Endpoint("far", "ssh://127.0.0.1:9"))
    with pytest.raises(EngineUnreachable):
        DockerClient(Endpoint("odd", "gopher://example.com"))
    with pytest.raises(EngineUnreachable, match="no address of an engine"):
        DockerClient(Endpoint("odd", "tcp://example.com:port"))
    ca = str(tmp_path / "missing.pem")
    with pytest.raises(EngineUnreachable):
        DockerClient(Endpoint("tls", "tcp://127.0.0.1:9", ca, ca, ca))


def test_a_cancel_calls_active_callbacks_once() -> None:
    cancel = Cancel()
    called: list[str] = []
    with cancel.closing(lambda: called.append("over")):
        pass
    with cancel.closing(lambda: called.append("open")):
        cancel.check()
        cancel.set()
        cancel.set()
    with cancel.closing(lambda: called.append("late")):
        assert called == ["open", "late"]
    assert cancel.is_set
    with pytest.raises(Cancelled):
        cancel.check()
