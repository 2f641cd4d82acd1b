"""All admission rules on one decoded request, and requests that cannot be decoded."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.ports.services import ServicePort, ServiceSpec
from engine.shares.binds import Sharing
from tests.unit.engine.admission.making import admission
from vm.errors import NotShared, PortInUse
from vm.messages import Message
from vm.types import Forward, Share

PROXY = {"HTTP_PROXY": "http://a:1"}
CERTIFICATES = "/etc/ssl/certs:/etc/ssl/certs:ro"
DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


class Starts:
    """Records the spec of a service until dockerd has answered."""

    def __init__(self) -> None:
        self.specs: list[ServiceSpec] = []
        self.settled = 0

    def about_to(self, container: str) -> Callable[[], None] | None:
        raise PortInUse(Message("", f"{container} must not start."))

    def about_to_serve(self, spec: ServiceSpec) -> Callable[[], None] | None:
        self.specs.append(spec)
        return self.specs.clear

    def settle(self) -> None:
        self.settled += 1


@pytest.fixture
def sharing(tmp_path: Path) -> Sharing:
    """`tmp_path`/home is shared, and `tmp_path`/link is a symbolic link to it."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    return Sharing("/nowhere.sock", (Share(str(home), str(home)),))


def test_every_rule_applies_to_a_container(sharing: Sharing, tmp_path: Path) -> None:
    body = {
        "image": "moby/buildkit",
        "Env": ["A=b"],
        "HostConfig": {"Binds": [f"{tmp_path}/link:/x"], "Memory": 5},
    }
    sent = json.loads(admission(sharing, PROXY).create_container(json.dumps(body).encode()))
    assert sent == {
        "image": "moby/buildkit",
        "Env": ["A=b", "HTTP_PROXY=http://a:1"],
        "HostConfig": {"Binds": [f"{tmp_path}/home:/x", CERTIFICATES], "Memory": 5},
    }


def test_every_rule_applies_to_a_service(sharing: Sharing, tmp_path: Path) -> None:
    mount = {"type": "bind", "Source": f"{tmp_path}/link", "Target": "/x"}
    ports = [
        {"Protocol": "UDP", "TargetPort": 53, "PublishedPort": 5353, "PublishMode": "HOST"},
        {"targetport": 80, "publishedport": 8080, "Protocol": "", "X": 1},
        {"TargetPort": 81, "PublishedPort": 70000},
        None,
    ]
    spec = {"Image": "moby/buildkit", "Mounts": [mount]}
    body = {
        "name": "web",
        "tasktemplate": {"ContainerSpec": spec},
        "EndpointSpec": {"Ports": ports},
    }
    starts = Starts()
    sent, answered = admission(sharing, PROXY, starts).create_service(json.dumps(body).encode())
    wanted = {
        "Image": "moby/buildkit",
        "Mounts": [{**mount, "Source": f"{tmp_path}/home"}],
        "Env": ["HTTP_PROXY=http://a:1"],
    }
    assert json.loads(sent) == {**body, "tasktemplate": {"ContainerSpec": wanted}}
    (service,) = starts.specs
    assert service.Name == "web"
    assert service.ports == (
        ServicePort("udp", 53, 5353, "host"),
        ServicePort("tcp", 80, 8080),
        ServicePort("tcp"),
    )
    assert [port.host_port for port in service.forwards(("::1",))] == [5353, 8080]
    assert answered is not None
    answered()
    assert not starts.specs


def test_the_ports_of_a_service_are_read_from_its_request() -> None:
    port = '{"Protocol":"tcp","TargetPort":80,"PublishedPort":%d}'
    text = f'{{"Name":"web","EndpointSpec":{{"Ports":[{port % 1},{port % 2},{port % 0}]}}}}'
    starts = Starts()
    for body in (text, '{"Name":"web"}', '{"EndpointSpec":null}', '{"EndpointSpec":{}}'):
        admission(starts=starts).create_service(body.encode())
    first, *others = starts.specs
    assert first.forwards(("::1",)) == [Forward("::1", 1, 1), Forward("::1", 2, 2)]
    assert [spec.ports for spec in others] == [(), (), ()]


def test_a_refused_service_reserves_no_port() -> None:
    starts = Starts()
    mounts = b'{"ContainerSpec":{"Mounts":[{"Type":"bind","Source":"/srv","Target":"/x"}]}}'
    with pytest.raises(NotShared):
        admission(starts=starts).create_service(b'{"TaskTemplate":%s}' % mounts)
    assert not starts.specs


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"not json", b'{"TaskTemplate":5}', b'{"EndpointSpec":[]}']
)
def test_a_body_that_dockerd_refuses_is_passed_on_unchanged(body: bytes) -> None:
    starts = Starts()
    assert admission(variables=PROXY, starts=starts).create_service(body) == (body, None)
    assert not starts.specs
    if b"{" not in body:
        assert admission(variables=PROXY).create_container(body) == body


@pytest.mark.parametrize(
    "body", [DEEP, b'{"Image":"a"}}', b'{"Image":"\xff"}', b'{"Name":"\xff"}', b' {"a":1} {}']
)
def test_a_body_that_only_dockerd_might_decode_is_refused(body: bytes) -> None:
    rules = admission(variables=PROXY)
    if b"Name" not in body:
        with pytest.raises(NotShared, match="cannot read"):
            rules.create_container(body)
    if b"Image" not in body:
        with pytest.raises(NotShared, match="cannot read"):
            rules.create_service(body)


def test_start_and_settle_are_delegated_to_the_ports() -> None:
    starts = Starts()
    with pytest.raises(PortInUse, match="web must not start"):
        admission(starts=starts).start("web")
    admission(starts=starts).settle()
    assert starts.settled == 1


def test_a_new_swarm_gets_a_default_address_pool() -> None:
    for body in (b'{"ListenAddr":"a"}', b'{"ListenAddr":"a","defaultAddrPool":[]}'):
        sent = json.loads(admission().init_swarm(body))
        assert {key.lower(): value for key, value in sent.items()} == {
            "listenaddr": "a",
            "defaultaddrpool": ["10.64.0.0/10"],
        }
    assert admission().init_swarm(b"[1]") == b"[1]"
