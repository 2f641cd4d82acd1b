"""Answers and events of a hostile dockerd to the supervisor itself.

The first byte of an input chooses the request, the rest is the whole answer. Only HttpError may be
raised, and every port and address taken from an answer is valid. Next: `engine/dockerapi/http.py`,
`engine/ports/published_spec.py`.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable

import pytest

from engine.dockerapi import http
from engine.dockerapi.http import HttpError, get_json, ping_headers
from engine.lifecycle.dockerd_watch import EngineWatch
from engine.ports.published_spec import (
    Container,
    InspectedContainer,
    fixed_forwards,
    ports_to_publish,
    routes,
)
from engine.ports.services import Services, ServiceSpec
from tests.fuzz.harness import Fuzz, Source
from tests.fuzz.streams import ScriptedStream
from tests.unit.engine.admission.making import NoStarts, admission
from vm.errors import NotShared
from vm.types import Forward

DEFAULT = ("127.0.0.1", "::1")
NUMBERS = (b"80", b"0", b"-1", b"65536", b"99999999", b"1e3", b"null", b'"80"', b"9" * 5000)
TEXTS = (
    *(b'"tcp"', b'"udp"', b'"127.0.0.1"', b'"::"', b'"0.0.0.0"', b'"a\\u0000"', b'"\\ud800"'),
    *('"²"'.encode(), b'"\xff"', b'"8000-99999999"', b'"8000-8010"', b'"80/tcp"', b'"../x"'),
    *(b'"start"', b'"container"', b'"die"', b'"network"', b'"127.0.0.1 -j ACCEPT"', b'""'),
)
KEYS = (
    *(b"Id", b"Ports", b"Names", b"PrivatePort", b"PublicPort", b"Type", b"IP", b"NetworkSettings"),
    *(
        b"Networks",
        b"IPAddress",
        b"Gateway",
        b"HostConfig",
        b"PortBindings",
        b"HostPort",
        b"HostIp",
    ),
    *(b"Mounts", b"Source", b"Action", b"Actor", b"Attributes", b"container", b"id", b"80/tcp"),
    *(b"Spec", b"Endpoint", b"EndpointSpec", b"TargetPort", b"PublishedPort", b"Name", b"Binds"),
)
HEADS = (
    b"HTTP/1.1 200 OK\r\nServer: Docker/26.1\r\nApi-Version: 1.45\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 500 No\r\n",
    b"HTTP/1.1 \xb2 OK\r\n",
    b"\r\n" * 10 + b"HTTP/1.0 204\r\n",
)


def target(data: bytes) -> None:
    which = data[0] if data else 0
    stream = ScriptedStream(data[1:], piece=1 + which % 50, tail=b"x" if which > 240 else b"")
    with contextlib.suppress(HttpError):
        REQUESTS[which % len(REQUESTS)](stream)
    assert stream.is_closed


def _containers(stream: ScriptedStream) -> None:
    found = get_json(lambda: stream, "/containers/json", list[Container])
    ports = ports_to_publish(found, {}, DEFAULT)
    _check_forwards(port.forward for port in ports)
    for route in routes(found, {}, ports):
        assert 0 < route.guest_port <= 65535
    for container in found:
        assert isinstance(container.name, str)
        assert isinstance(container.addresses, tuple)


def _inspected(stream: ScriptedStream) -> None:
    inspected = get_json(lambda: stream, "/containers/a/json", InspectedContainer)
    _check_forwards(fixed_forwards(inspected, DEFAULT))
    for port, _, binding in inspected.bindings():
        assert 0 < port <= 65535
        assert len(binding.range) <= 65535
    running = Container(Id=inspected.Id)
    _check_forwards(
        port.forward for port in ports_to_publish([running], {inspected.Id: inspected}, DEFAULT)
    )
    assert all(isinstance(folder, str) for folder in (*inspected.folders, *inspected.made))


def _events(stream: ScriptedStream) -> None:
    with contextlib.ExitStack() as ended:
        streams = iter([stream])
        ended.callback(stream.close)
        watch = EngineWatch(lambda: next(streams, None) or ScriptedStream(b""))
        watch._follow_once()


def _services(stream: ScriptedStream) -> None:
    services = Services(lambda: stream)
    with services.expected():
        found = services.current(())
    for service in found:
        _check_forwards(service.Spec.forwards(DEFAULT))
        assert all(isinstance(port.TargetPort, int) for port in service.ingress_ports())
    stream.close()


def _spec(stream: ScriptedStream) -> None:
    body = b"".join(itertools.islice(iter(lambda: stream.recv(1 << 16), b""), 99))
    with contextlib.suppress(NotShared):
        admission(starts=Serving()).create_service(body)
    stream.close()


class Serving(NoStarts):
    def about_to_serve(self, spec: ServiceSpec) -> None:
        _check_forwards(spec.forwards(DEFAULT))


def _pong(stream: ScriptedStream) -> None:
    headers = ping_headers(lambda: stream)
    assert not headers or headers.endswith(b"\r\n")


REQUESTS: tuple[Callable[[ScriptedStream], None], ...] = (
    _containers,  # the first two twice as often as the others
    _containers,
    _inspected,
    _inspected,
    _events,
    _services,
    _spec,
    _pong,
)


def _check_forwards(forwards: Iterable[Forward]) -> None:
    for forward in forwards:
        assert 0 < forward.host_port <= 65535
        assert 0 <= forward.guest_port <= 65535
        assert forward.protocol in ("tcp", "udp")
        assert "\0" not in forward.host_address
        assert " " not in forward.host_address


# Answers of dockerd


def answer(source: Source) -> bytes:
    which = source.take(1)
    if which[0] % len(REQUESTS) == REQUESTS.index(_spec):
        return which + _value(source, 4)
    lines = [_shaped(source) if source.one_in(2) else _value(source, 5)]
    if which[0] % len(REQUESTS) == REQUESTS.index(_events):
        lines += source.some(3, lambda: _value(source, 3))
    elif source.one_in(2):
        lines = [b"[%s]" % lines[0]]
    body = b"\n".join([*lines, b""])
    framing = source.pick(
        (b"", b"Content-Length: %d\r\n" % len(body), b"Transfer-Encoding: chunked\r\n", b"x" * 9)
    )
    if framing.startswith(b"Transfer"):
        size = source.pick((b"%x" % len(body), b"%x;a" % len(body), b"-1", b"\xb2", b"0_1", b""))
        body = size + b"\r\n" + body + b"\r\n0\r\n\r\n"
    return which + source.pick(HEADS) + framing + b"\r\n" + body


def _shaped(source: Source) -> bytes:
    """An answer with dockerd's structure and made-up values."""

    def some() -> bytes:
        if source.one_in(12):
            return b"[" * 100_000
        return source.pick(source.pick((NUMBERS, TEXTS)))

    port, text = source.pick(NUMBERS), source.pick(TEXTS)
    shapes = (
        b'[{"Id":%s,"Ports":[{"PrivatePort":80,"PublicPort":%s,"Type":"tcp","IP":%s}],"Names":%s}]',
        b'{"Id":"a","HostConfig":{"PortBindings":{%s:[{"HostPort":%s,"HostIp":%s}]},"Binds":%s}}',
        b'[{"Spec":{"Name":%s,"EndpointSpec":{"Ports":[{"PublishedPort":%s}]}},"a":[%s,%s]}]',
    )
    fixed = (b'"a"', port, source.pick((b'""', b'"::"', text)), source.pick((b"null", some())))
    return source.pick(shapes) % (fixed if not source.one_in(4) else (text, some(), text, some()))


def _value(source: Source, depth: int) -> bytes:
    kind = source.below(8) if depth else source.below(3)
    if kind == 0:
        return source.pick(NUMBERS)
    if kind < 3:
        return source.pick(TEXTS)
    if kind == 3:
        return b"[%s]" % b",".join(source.some(2, lambda: _value(source, depth - 1)))
    if kind == 4 and source.one_in(30):
        return b"[" * source.pick((100, 5000))
    fields = source.some(4, lambda: b'"%s":%s' % (source.pick(KEYS), _value(source, depth - 1)))
    return b"{%s}" % b",".join(fields)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_LIMIT", 1 << 20)
    monkeypatch.setattr(http, "LINE_LIMIT", 1 << 16)


def test_answers(fuzz: Fuzz) -> None:
    fuzz("answers", target, answer, [*NUMBERS, *TEXTS, b"\r\n", b'"Ports":[{', b"HTTP/1.1 "])
