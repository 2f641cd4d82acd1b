"""Recreating a real container: what changes, what stays, and the rollback of a failure."""

import msgspec
import pytest

from engine.docker.containers import Containers
from engine.docker.recreate import recreate
from engine.docker.types import Mount, Port, RunSpec
from tests.unit.engine.bridge.servers import IMAGE
from tests.unit.engine.docker.conftest import sleeper
from vm.errors import EngineRefused

PORTS = (Port(80, "tcp", "", 18080), Port(81, "tcp", "127.0.0.1", 18081))


@pytest.fixture
def network(containers: Containers) -> str:
    name = "shop"
    containers.wire.post("/networks/create", {"Name": name})
    return name


@pytest.fixture
def rich(containers: Containers, network: str) -> str:
    """A container on two networks, with many options that a RunSpec does not have."""
    body = {
        "Image": IMAGE,
        "Cmd": list(sleeper("").command),
        "Env": ["KEEP=1", "CHANGE=old", "DROP=1"],
        "Labels": {"com.docker.compose.project": "shop"},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 60_000_000_000},
        "Volumes": {"/anonymous": {}},
        "ExposedPorts": {"80/tcp": {}, "81/tcp": {}},
        "HostConfig": {
            "NetworkMode": network,
            "Binds": ["data:/data", "/tmp:/host:ro"],
            "Tmpfs": {"/scratch": "size=1m"},
            "CapAdd": ["NET_ADMIN"],
            "PortBindings": {
                "80/tcp": [{"HostPort": "18080"}],
                "81/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18081"}],
            },
        },
        "NetworkingConfig": {"EndpointsConfig": {network: {"Aliases": ["api"]}}},
    }
    made = containers.create_raw(body, "rich")
    containers.wire.post("/networks/bridge/connect", {"Container": made})
    containers.start(made)
    containers.run_in(made, ("sh", "-c", "echo kept > /anonymous/file"))
    return made


@pytest.fixture(autouse=True)
def clean_up(containers: Containers) -> object:
    yield
    for container in containers.list():
        containers.remove(container.id, force=True, volumes=True)
    containers.wire.post("/networks/prune")


def test_only_what_the_spec_changes_is_changed(containers: Containers, rich: str) -> None:
    before = containers.raw(rich)
    spec = containers.detail(rich).spec
    assert spec.ports == PORTS
    changed = msgspec.structs.replace(
        spec,
        env=("KEEP=1", "CHANGE=new", "ADD=1"),
        ports=(PORTS[1], Port(82, "tcp", "", 18082)),
        mounts=(
            *(one for one in spec.mounts if one.target != "/host"),
            Mount("volume", "more", "/m"),
        ),
        memory=64 << 20,
        restart="unless-stopped",
    )
    made = recreate(containers, rich, changed)
    assert [one.id for one in containers.list()] == [made]
    after, detail = containers.raw(made), containers.detail(made)
    assert set(detail.spec.env) == {"KEEP=1", "CHANGE=new", "ADD=1"}
    assert detail.spec.ports == (PORTS[1], Port(82, "tcp", "", 18082))
    assert {one.target for one in detail.spec.mounts} == {"/data", "/scratch", "/m", "/anonymous"}
    assert (detail.name, detail.spec.memory) == ("rich", 64 << 20)
    assert detail.spec.restart == "unless-stopped"
    assert after["Config"]["Labels"] == before["Config"]["Labels"]
    assert after["Config"]["Healthcheck"] == before["Config"]["Healthcheck"]
    assert after["HostConfig"]["CapAdd"] == before["HostConfig"]["CapAdd"]
    assert after["HostConfig"]["Tmpfs"] == {"/scratch": "size=1m"}
    assert set(after["NetworkSettings"]["Networks"]) == {"shop", "bridge"}
    assert "api" in after["NetworkSettings"]["Networks"]["shop"]["Aliases"]
    assert rich[:12] not in str(after["NetworkSettings"]["Networks"])
    assert after["Config"]["Hostname"] == made[:12]
    assert containers.run_in(made, ("cat", "/anonymous/file")) == (0, b"kept\n")


def test_a_container_can_be_recreated_twice(containers: Containers, rich: str) -> None:
    for memory in (64 << 20, 0):
        spec = msgspec.structs.replace(containers.detail(rich).spec, memory=memory)
        rich = recreate(containers, rich, spec)
    assert containers.detail(rich).spec.memory == 0
    assert containers.run_in(rich, ("cat", "/anonymous/file")) == (0, b"kept\n")


def assert_rolled_back(
    containers: Containers, id_: str, spec: RunSpec, reason: str
) -> EngineRefused:
    others = {one.id for one in containers.list()}
    with pytest.raises(EngineRefused, match=reason) as caught:
        recreate(containers, id_, spec)
    assert {one.id for one in containers.list()} == others
    old = containers.detail(id_)
    assert (old.name, old.state) == ("web", "running")
    assert caught.value.summary.startswith("web could not be recreated, and is as it was before. ")
    return caught.value


def test_a_port_conflict_restores_the_old_container(containers: Containers, web: str) -> None:
    containers.run(sleeper("other", ports=PORTS[:1]))
    spec = msgspec.structs.replace(containers.detail(web).spec, ports=PORTS[:1])
    reason = "Port 18080 is already published by the container other"
    assert_rolled_back(containers, web, spec, reason)


def test_a_bad_mount_restores_the_old_container(containers: Containers, web: str) -> None:
    mounts = (Mount("bind", "/no/such/folder", "/x"),)
    spec = msgspec.structs.replace(containers.detail(web).spec, mounts=mounts)
    assert_rolled_back(containers, web, spec, "bind source path does not exist")


@pytest.mark.parametrize("restart", ["no", "always"])
def test_a_crash_of_the_new_container_restores_the_old(
    containers: Containers, restart: str
) -> None:
    script = 'test -z "$FAIL" || { echo broken; exit 3; }; trap "exit 0" TERM; sleep 1000 & wait'
    web = containers.run(RunSpec(IMAGE, "web", ("sh", "-c", script), restart=restart))
    spec = msgspec.structs.replace(containers.detail(web).spec, env=("FAIL=1",))
    error = assert_rolled_back(containers, web, spec, "exit code 3")
    assert error.details.startswith("broken")


def test_a_stopped_container_is_restored_stopped(containers: Containers) -> None:
    web = containers.create(sleeper("web"))
    spec = msgspec.structs.replace(
        containers.detail(web).spec, mounts=(Mount("bind", "/no/such/folder", "/x"),)
    )
    with pytest.raises(EngineRefused, match="as it was before"):
        recreate(containers, web, spec)
    assert containers.detail(web).state == "created"


def test_an_auto_remove_container_is_not_recreated(containers: Containers) -> None:
    web = containers.run(sleeper("web", auto_remove=True))
    with pytest.raises(EngineRefused, match="removed as soon as it stops"):
        recreate(containers, web, containers.detail(web).spec)
    assert containers.detail(web).state == "running"
