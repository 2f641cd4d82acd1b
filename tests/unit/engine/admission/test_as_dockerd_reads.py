"""Random create requests: Galley decodes the same values as a real dockerd."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from engine.admission.create_request import CreateContainer, CreateService, HostConfig, Mount
from engine.admission.go_json import Document, read
from tests.fuzz.harness import Source
from tests.unit.engine.admission.bodies import Bodies
from tests.unit.engine.bridge.test_check import Client

EXAMPLES = 120
ENTROPY = 800  # bytes that a body is made from
ENOUGH = EXAMPLES // 4  # of them must be created, or the test shows nothing


class Dockerd:
    """Creates containers and services, returns their configuration, and removes them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.created = 0

    def container(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """The status, and the container's configuration."""
        status, made = self._request("POST", "/containers/create", body)
        if status != 201:
            return status, {}
        found = self._request("GET", f"/containers/{made['Id']}/json")[1]
        self._request("DELETE", f"/containers/{made['Id']}?v=1")
        self.created += 1
        del found["Config"]["Hostname"]  # its id
        return status, {"Config": found["Config"], "HostConfig": found["HostConfig"]}

    def service(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """The status, and the service's specification."""
        status, made = self._request("POST", "/services/create", body)
        if status != 201:
            return status, {}
        spec = self._request("GET", f"/services/{made['ID']}")[1]["Spec"]
        self._request("DELETE", f"/services/{made['ID']}")
        self.created += 1
        return status, spec

    def _request(self, method: str, target: str, body: bytes | None = None) -> tuple[int, Any]:
        self._client.request(method, target, body, {"Content-Type": "application/json"})
        answer = self._client.getresponse()
        content = answer.read()
        return answer.status, json.loads(content or b"null")


@pytest.fixture
def dockerd(manager: Path) -> Iterator[Dockerd]:
    client = Client(manager)
    yield Dockerd(client)
    client.close()


def for_random_bodies(test: Callable[[Bodies], None]) -> None:
    names = (f"s{number}" for number in itertools.count())

    @seed(17)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(st.binary(min_size=ENTROPY, max_size=ENTROPY))
    def one(entropy: bytes) -> None:
        test(Bodies(Source(entropy), next(names)))

    one()


def test_containers_are_decoded_as_dockerd_does(dockerd: Dockerd) -> None:
    def compare(bodies: Bodies) -> None:
        body = bodies.container()
        status, made = dockerd.container(body)
        try:
            document = read(body, CreateContainer)
        except msgspec.ValidationError:
            assert status == 400, f"dockerd accepted {body!r}"
            return
        if status != 201:
            return
        assert _seen(made) == _read(document.value), body
        assert dockerd.container(document.encode(document.value)) == (status, made)
        _check_change(dockerd, document, made)

    for_random_bodies(compare)
    assert dockerd.created > ENOUGH


def _check_change(
    dockerd: Dockerd, document: Document[CreateContainer], made: dict[str, Any]
) -> None:
    """dockerd gets the added values, and everything else is unchanged."""
    request = document.value
    mounts = (*request.host.mounts, Mount("bind", "/dev", "/added"))
    host = msgspec.structs.replace(
        request.host, binds=(*request.host.binds, "/sys:/c"), mounts=mounts
    )
    env = (*request.env, "ADDED=1")
    changed = msgspec.structs.replace(request.with_host(host), env=env)
    status, now = dockerd.container(document.encode(changed))
    assert status == 201
    assert _seen(now) == _read(changed)
    for configuration in (made, now):
        del configuration["Config"]["Env"]
        del configuration["Config"]["Volumes"]  # {} or null, by whether there are binds
        del configuration["HostConfig"]["Binds"]
        configuration["HostConfig"].pop("Mounts", None)
    assert now == made


def test_services_are_decoded_as_dockerd_does(dockerd: Dockerd) -> None:
    def compare(bodies: Bodies) -> None:
        body = bodies.service()
        status, made = dockerd.service(body)
        try:
            document = read(body, CreateService)
        except msgspec.ValidationError:
            assert status == 400, f"dockerd accepted {body!r}"
            return
        if status != 201:
            return
        _check_service(document.value, made)
        assert dockerd.service(document.encode(document.value)) == (status, made)

    for_random_bodies(compare)
    assert dockerd.created > ENOUGH


def _check_service(request: CreateService, made: dict[str, Any]) -> None:
    spec = made["TaskTemplate"]["ContainerSpec"]
    assert request.container is not None
    assert request.name == made["Name"]
    assert list(request.container.env) == spec.get("Env", [])
    mounts = request.container.mounts
    assert all(mount.is_bind for mount in mounts)
    made_mounts = [mount[:3] for mount in _seen_mounts(spec.get("Mounts"))]
    assert [("bind", mount.source, mount.target) for mount in mounts] == made_mounts
    ports = made.get("EndpointSpec", {}).get("Ports", [])
    seen = [
        (port["Protocol"], port.get("TargetPort", 0), port["PublishMode"])
        for port in ports
        if port.get("PublishedPort", 0) <= 65535
    ]
    endpoint = request.spec.EndpointSpec
    assert endpoint is not None
    assert [(p.Protocol, p.TargetPort, p.PublishMode) for p in endpoint.Ports or ()] == seen


type Seen = tuple[str, list[str], list[str], list[tuple[str, str, str, bool]], dict[str, str]]


def _read(request: CreateContainer) -> Seen:
    host: HostConfig = request.host
    return request.image, list(request.env), list(host.binds), _mounts(host.mounts), host.tmpfs


def _seen(made: dict[str, Any]) -> Seen:
    config, host = made["Config"], made["HostConfig"]
    mounts = _seen_mounts(host.get("Mounts"))
    env, binds = config["Env"] or [], host["Binds"] or []
    return config["Image"], env, binds, mounts, host.get("Tmpfs") or {}


def _mounts(mounts: tuple[Mount, ...]) -> list[tuple[str, str, str, bool]]:
    return [(one.type, one.source, one.target, one.makes_source) for one in mounts]


def _seen_mounts(mounts: list[dict[str, Any]] | None) -> list[tuple[str, str, str, bool]]:
    return [
        (
            one["Type"],
            one.get("Source", ""),
            one.get("Target", ""),
            (one.get("BindOptions") or {}).get("CreateMountpoint", False),
        )
        for one in mounts or []
    ]
