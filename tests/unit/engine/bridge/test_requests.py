"""The request parser: every stream passes byte for byte, however it is split."""

import itertools

import pytest

from engine.bridge.requests import BODY_LIMIT, HEAD_LIMIT, LINE_LIMIT, Requests
from tests.unit.engine.admission.making import admission
from vm.errors import NotShared

CREATE = b"POST /v1.47/containers/create?name=a HTTP/1.1\r\nHost: docker\r\n"
SIZED = CREATE + b"Content-Length: 14\r\n\r\n" + b'{"Image":"a"}\n'
CHUNKED = CREATE + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKED += b'6;x=y\r\n{"Imag\r\n8\r\ne":"a"}\n\r\n0\r\nX-Sum: 1\r\n\r\n'
PING = b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"
EXPECTS = CREATE + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
LOAD = b"POST /images/load HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
LOAD += b"1b\r\nPOST /containers/create HTT\r\n2\r\n\r\n\r\n0\r\n\r\n"
BUILD = b"POST /build HTTP/1.1\nContent-Length: 31\n\nPOST /containers/create HTTP/1\n"
UPGRADE = b"POST /exec/1/start HTTP/1.1\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n"
UPGRADE += b"Content-Length: 2\r\n\r\n{}"
JOIN = b"POST /v1.45/swarm/join HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
JOIN += b'16\r\n{"RemoteAddrs":["a:1"]}\r\n0\r\n\r\n'
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


class Seen:
    """A handler that says what it was asked, and gives the answers it was made with."""

    def __init__(self, *answers: bytes | None) -> None:
        self.bodies: list[bytes] = []
        self.services: list[bytes] = []
        self.said: list[bytes] = []
        self._answers = iter(answers)
        self.noticed: list[str] = []
        self.targets: list[str] = []
        self.requests = Requests(self, self.said.append)

    def asked(self, target: bytes) -> None:
        self.targets.append(target.decode())

    def start(self, container: str) -> None:
        self.noticed.append(container)

    def create_container(self, body: bytes) -> bytes:
        self.bodies.append(body)
        return next(self._answers, None) or body

    def create_service(self, body: bytes) -> bytes:
        self.services.append(body)
        return self.create_container(body)

    def init_swarm(self, body: bytes) -> bytes:
        return admission().init_swarm(body)

    def swarm(self, verb: str) -> None:
        self.noticed.append(f"swarm {verb}")

    def events(self) -> None:
        self.noticed.append("events")

    def feed(self, *pieces: bytes) -> bytes:
        return b"".join(map(self.requests.feed, pieces)) + self.requests.rest()


STREAMS = {
    "ping": PING,
    "head": b"HEAD /_ping HTTP/1.1\r\n\r\n" + PING,
    "sized": SIZED,
    "chunked": CHUNKED,
    "kept alive": PING + SIZED + LOAD + PING + CHUNKED + BUILD + SIZED,
    "swarm": PING + JOIN + LOAD + JOIN,
    "blank lines before": b"\r\n\r\n" + SIZED,
    "upgraded": UPGRADE + b"\x00\x01POST /containers/create HTTP/1.1\r\n\r\n" + SIZED,
    "refused upgrade": UPGRADE + SIZED,
    "http/2": HTTP2,
    "upgraded to http/2": b"POST /grpc HTTP/1.1\r\nUpgrade: h2c\r\n\r\n" + HTTP2,
    "garbage": b"\x16\x03\x01\x00 what is this\r\n\r\n",
    "words": b"HELLO WORLD",
    "lower case": b"get / http/1.1\r\n\r\n" + SIZED,
    "cut head": CREATE,
    "no length": CREATE + b"\r\n" + PING,
    "wrong length": CREATE + b"Content-Length: -4\r\n\r\n{}",
    "wrong chunk": LOAD[:62] + b"zz\r\n" + SIZED,
    "wrong chunk of a creation": CHUNKED.replace(b"8\r\n", b"zz\r\n"),
    "gzip": CREATE + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08" + PING,
    "unknown coding": CREATE + b"Transfer-Encoding: gzip\r\n\r\n\x1f\x8b\x08",
    "expects": EXPECTS + b"{}" + PING,
}
WAITS = range(len(EXPECTS), len(EXPECTS) + 2)  # where its client waits for the answer


@pytest.mark.parametrize("name", STREAMS)
def test_every_byte_goes_on_wherever_the_stream_is_cut(name: str) -> None:
    stream = STREAMS[name]
    assert Seen().feed(stream) == stream
    waits = WAITS if name == "expects" else range(0)
    bodies = Seen()
    bodies.feed(stream)
    for cut in range(len(stream)):
        seen = Seen()
        went = seen.feed(stream[:cut], stream[cut:])
        assert seen.said == ([GO_ON] if cut in waits else [])
        if seen.said:  # so dockerd is not to say it again
            assert went == stream.replace(b"Expect: 100-continue\r\n", b"")
        else:
            assert went == stream
        if "upgrade" not in name:
            assert seen.bodies == bodies.bodies


@pytest.mark.parametrize("name", STREAMS)
def test_byte_by_byte(name: str) -> None:
    stream = STREAMS[name]
    went = Seen().feed(*(bytes([byte]) for byte in stream))
    assert went == stream.replace(b"Expect: 100-continue\r\n", b"")


def test_creations_are_seen_and_nothing_else() -> None:
    body = b'{"Image":"a"}\n'
    expected = {
        "sized": [body],
        "chunked": [body],
        "kept alive": [body] * 3,
        "blank lines before": [body],
        "refused upgrade": [body],
        "expects": [b"{}"],
        "gzip": [b"\x1f\x8b\x08"],  # dockerd looks at no Content-Encoding
    }
    for name, stream in STREAMS.items():
        seen = Seen()
        seen.feed(stream)
        assert seen.bodies == expected.get(name, []), name


@pytest.mark.parametrize(
    ("target", "is_seen"),
    [
        (b"/containers/create", True),
        (b"/v1.24/containers/create?name=x", True),
        (b"http://docker/v1.47/containers/create", True),
        (b"/services/create", True),
        (b"/v1.47/services/abc/update?version=3", True),
        (b"/containers/create/x", False),
        (b"/containers/abc/update", False),
        (b"/volumes/create", False),
        (b"/commit?x=/containers/create", False),
    ],
)
def test_which_requests_create(target: bytes, is_seen: bool) -> None:
    seen = Seen()
    seen.feed(b"POST %s HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}" % target)
    assert seen.bodies == ([b"{}"] if is_seen else [])


@pytest.mark.parametrize("creation", [SIZED, CHUNKED])
def test_a_changed_body_goes_on_with_its_length(creation: bytes) -> None:
    seen = Seen(b"{}")
    went = seen.feed(PING, creation, PING)
    assert went == PING + CREATE + b"Content-Length: 2\r\n\r\n{}" + PING


@pytest.mark.parametrize(
    ("line", "noticed"),
    [
        (b"POST /containers/web/start", ["web"]),
        (b"POST /v1.47/containers/a%20b/restart?t=3", ["a b"]),
        (b"POST http://docker/v1.47/containers/web/start?detachKeys=", ["web"]),
        (b"GET /v1.47/events?filters={}", ["events"]),
        (b"GET /containers/web/start", []),
        (b"POST /containers/web/stop", []),
        (b"POST /exec/web/start", []),
        (b"GET /v1.47/eventsful", []),
        (b"POST /v1.47/swarm/init", ["swarm init"]),
        (b"POST /swarm/join?", ["swarm join"]),
        (b"POST /v1.24/swarm/leave?force=1", ["swarm leave"]),
        (b"GET /swarm/leave", []),
        (b"POST /swarm/update?version=1", []),
    ],
)
def test_starts_and_events_are_noticed(line: bytes, noticed: list[str]) -> None:
    seen = Seen()
    request = line + b" HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
    assert seen.feed(PING + request) == PING + request
    assert seen.noticed == noticed


INIT = b"POST /v1.45/swarm/init HTTP/1.1\r\nHost: docker\r\n"


@pytest.mark.parametrize("cut", [1, 60, 90, 115])
def test_a_swarm_is_noticed_once_and_gets_its_pool_when_its_body_is_whole(cut: int) -> None:
    seen = Seen()
    body = b'{"ListenAddr":"0.0.0.0:2377"}'
    request = INIT + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    assert not seen.requests.feed(request[:cut])
    assert not seen.noticed
    went = seen.feed(request[cut:], PING)
    changed = body[:-1] + b',"DefaultAddrPool":["10.64.0.0/10"]}'
    assert went == INIT + b"Content-Length: %d\r\n\r\n%s" % (len(changed), changed) + PING
    assert seen.noticed == ["swarm init"]
    assert not seen.bodies


@pytest.mark.parametrize(
    "body",
    [
        b'{"DefaultAddrPool":["10.9.0.0/16"]}',
        b'{"defaultaddrpool":["10.9.0.0/16"]}',
        b"[]",
        b"nonsense",
        b"",
    ],
)
def test_what_a_client_says_of_a_swarm_goes_on_as_it_is(body: bytes) -> None:
    for verb in (b"init", b"join"):
        request = INIT.replace(b"init", verb) + b"Content-Length: %d\r\n\r\n" % len(body) + body
        assert Seen().feed(request) == request


@pytest.mark.parametrize("value", [b"null", b"[]"])
def test_a_pool_that_is_empty_is_none(value: bytes) -> None:
    body = b'{"DefaultAddrPool":%s}' % value
    went = Seen().feed(INIT + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert went.endswith(b'{"DefaultAddrPool":["10.64.0.0/10"]}')


def test_a_swarm_that_cannot_be_read_is_noticed_all_the_same() -> None:
    seen = Seen()
    request = INIT + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nzz"
    assert seen.feed(request) == request
    assert seen.noticed == ["swarm init"]


HIDDEN = b"GET /_ping HTTP/1.1\r\nX: y\r\n Content-Length: %d\r\n\r\n" % len(SIZED)


@pytest.mark.parametrize(
    "stream",
    [
        SIZED.replace(b"create", b"%63reate"),
        SIZED.replace(b"/v1.47", b"x://any:1/v1.47"),
        SIZED.replace(b"/v1.47", b"HTTP:/v1.47"),
        SIZED.replace(b"HTTP/1.1", b"HTTP/1.2"),
        SIZED.replace(b"Length: ", b"Length:\r\n\t"),
        SIZED.replace(b"Length: ", b"Length: %s" % (b"0" * 5000)),
        SIZED.replace(b"Content", b"Content-Encoding: gzip\r\nContent"),
        CREATE + b"Transfer-Encoding: chunked\r\n\r\n%016x\r\n%s\r\n0\r\n\r\n" % (14, SIZED[-14:]),
        SIZED.replace(b"1.1\r\n", b"1.0\r\nTransfer-Encoding: chunked\r\n"),
        HIDDEN + SIZED,
    ],
)
def test_a_creation_is_seen_however_it_is_asked_for(stream: bytes) -> None:
    seen = Seen()
    assert seen.feed(stream) == stream
    assert seen.bodies == [b'{"Image":"a"}\n']


def test_a_header_that_is_taken_out_is_taken_out_with_its_continuation() -> None:
    head = CREATE + b"Expect:\r\n 100-continue\r\nContent-Length:\r\n\t2\r\n"
    seen = Seen(b'{"a":1}')
    assert seen.feed(head + b"\r\n", b"{}") == CREATE + b'Content-Length: 7\r\n\r\n{"a":1}'
    assert len(seen.said) == 1


def test_of_a_creation_that_is_cut_nothing_goes_on() -> None:
    assert Seen().feed(PING, SIZED[:-1]) == PING


def test_of_a_refused_creation_nothing_goes_on() -> None:
    class Refusing(Seen):
        def create_container(self, body: bytes) -> bytes:
            raise NotShared("No.")

    requests = Refusing().requests
    went = requests.feed(PING + SIZED[:-5])
    with pytest.raises(NotShared):
        requests.feed(SIZED[-5:])
    assert went == PING


def test_a_client_that_waits_to_be_told_to_go_on_is_told_once() -> None:
    """A request: the next one on the connection waits again."""
    seen = Seen()
    for times in (1, 2):
        assert seen.requests.feed(EXPECTS) == b""
        assert seen.requests.feed(b"{") == b""
        assert seen.said == [GO_ON] * times
        assert seen.feed(b"}") == CREATE + b"Content-Length: 2\r\n\r\n{}"
    assert seen.feed(EXPECTS + b"{}") == EXPECTS + b"{}", "dockerd is to answer"


@pytest.mark.parametrize("name", ["wrong chunk", "wrong chunk of a creation", "garbage", "http/2"])
def test_after_what_makes_no_sense_nothing_is_held_back(name: str) -> None:
    requests = Seen().requests
    for data in (STREAMS[name], b"x", SIZED[:-1], b"GET"):
        assert requests.feed(data) == data


def test_a_line_of_a_chunk_that_is_cut_late_in_a_buffer_is_waited_for() -> None:
    """And what comes after the body is read again."""
    seen = Seen()
    long_chunk = LOAD[:58] + b"%x\r\n%s\r\n" % (2 * LINE_LIMIT, bytes(2 * LINE_LIMIT))
    assert seen.requests.feed(long_chunk + b"1") == long_chunk
    assert seen.feed(b"\r\nx\r\n0\r\n\r\n" + SIZED) == b"1\r\nx\r\n0\r\n\r\n" + SIZED
    assert len(seen.bodies) == 1


def test_a_head_that_is_too_long_is_not_kept() -> None:
    pieces = [b"GET /" + b"a" * HEAD_LIMIT, b"b"]
    requests = Seen().requests
    assert [requests.feed(piece) for piece in pieces] == pieces, "it goes on at once"


def test_a_creation_that_is_too_long_is_refused_as_soon_as_that_is_known() -> None:
    chunked = CREATE + b"Transfer-Encoding: chunked\r\n\r\n100000\r\n"
    blocks = [b"x" * 0x100000 + b"\r\n100000\r\n"] * 8
    declared = CREATE + b"Content-Length: %d\r\n\r\n{"
    assert Seen().requests.feed(declared % BODY_LIMIT) == b""
    for *held, last in ([chunked, *blocks], [declared % (BODY_LIMIT + 1)]):
        requests = Seen().requests
        assert not any(map(requests.feed, held))
        with pytest.raises(NotShared, match="too long"):
            requests.feed(last)


def test_a_creation_with_a_head_as_long_as_go_takes_is_seen() -> None:
    creation = SIZED.replace(b"Host:", b"X: %s\r\nHost:" % (b"a" * (1 << 20)))
    seen = Seen()
    assert seen.feed(creation[:500_000], creation[500_000:]) == creation
    assert seen.bodies == [b'{"Image":"a"}\n']


def test_typing_after_a_hijack_is_not_held_back() -> None:
    seen = Seen()
    assert seen.requests.feed(UPGRADE) == UPGRADE
    for letter in itertools.batched(b"GET / HTTP/1.1\r\n", 1):
        assert seen.requests.feed(bytes(letter)) == bytes(letter)


def test_which_requests_are_about_services() -> None:
    create = b"POST /v1.47/services/create HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    update = create.replace(b"create", b"a-1/update?version=3").replace(b"{}", b"[]")
    seen = Seen(b'{"changed":1}', None, None)
    seen.feed(create, update, SIZED)
    assert seen.services == [b"{}", b"[]"]
