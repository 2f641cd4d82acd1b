"""The request parser: every stream passes byte for byte, however it is split."""

import itertools

import pytest

from engine.bridge.requests import BODY_LIMIT, HEAD_LIMIT, LINE_LIMIT
from tests.unit.engine.bridge.request_streams import (
    CHUNKED,
    CREATE,
    EXPECTS,
    GO_ON,
    LOAD,
    PING,
    SIZED,
    STREAMS,
    UPGRADE,
    Seen,
)
from vm.errors import NotShared
from vm.messages import Message

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
    whole, seen = Seen(), Seen()
    whole.feed(stream)
    went = seen.feed(*(bytes([byte]) for byte in stream))
    assert went == stream.replace(b"Expect: 100-continue\r\n", b"")
    if "upgrade" not in name:
        assert seen.bodies == whole.bodies


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


def test_each_request_is_noticed_with_its_plain_target() -> None:
    seen = Seen()
    seen.feed(STREAMS["kept alive"] + PING.replace(b"_ping", b"%5fping?a=%5f"))
    create = "/v1.47/containers/create?name=a"
    assert seen.targets == [
        *("/_ping", create, "/images/load", "/_ping", create, "/build", create),
        "/_ping?a=%5f",
    ]


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


def test_a_changed_body_leaves_the_headers_that_say_nothing_of_it() -> None:
    head = CREATE + b"X-Length: 1\r\nX-Last: X"
    for framing in (b"\r\nContent-Length: 2\r\nTrailer: T", b"\r\nTrailer: T\r\ncontent-length:2"):
        went = Seen(b"[]").feed(head + framing + b"\r\n\r\n{}")
        assert went == head + b"\r\nContent-Length: 2\r\n\r\n[]"


@pytest.mark.parametrize(
    ("line", "noticed"),
    [
        (b"POST /containers/web/start", ["web"]),
        (b"POST /v1.47/containers/a%20b/restart?t=3", ["a b"]),
        (b"POST http://docker/v1.47/containers/web/start?detachKeys=", ["web"]),
        (b"POST /containers/%ff/start", ["\ufffd"]),
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


def test_who_joins_a_swarm_gets_no_pool() -> None:
    body = b'{"ListenAddr":"0.0.0.0:2377"}'
    join = INIT.replace(b"init", b"join") + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert Seen().feed(join) == join


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
        b"GET /_ping HTTP/1.1\r\n\r\n" + SIZED,
        b"GET /_ping HTTP/1.1\n\n" + SIZED,
        LOAD[:-2] + b"X-A: 1\r\nX-B: 2\r\n\r\n" + SIZED,
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
            raise NotShared(Message("", "No."))

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


@pytest.mark.parametrize(
    "name", ["wrong chunk", "wrong chunk of a creation", "unknown coding", "garbage", "http/2"]
)
def test_after_what_makes_no_sense_nothing_is_held_back(name: str) -> None:
    requests = Seen().requests
    for data in (STREAMS[name], b"x", SIZED[:-1], b"GET"):
        assert requests.feed(data) == data


@pytest.mark.parametrize("size", [b"+2", b"-2", b"0x2", b"0_2", b"%017x" % 2, b""])
def test_a_size_that_go_does_not_take_is_none(size: bytes) -> None:
    chunk = b"\r\n{}\r\n0\r\n\r\n"
    for head in (CREATE, b"POST /images/load HTTP/1.1\r\n"):
        seen = Seen()
        for data in (head + b"Transfer-Encoding: chunked\r\n\r\n" + size + chunk, SIZED, b"P"):
            assert seen.requests.feed(data) == data
        assert not seen.bodies


def test_a_line_of_a_chunk_that_is_cut_late_in_a_buffer_is_waited_for() -> None:
    """And what comes after the body is read again."""
    seen = Seen()
    long_chunk = LOAD[:58] + b"%x\r\n%s\r\n" % (2 * LINE_LIMIT, bytes(2 * LINE_LIMIT))
    assert seen.requests.feed(long_chunk + b"1") == long_chunk
    assert seen.feed(b"\r\nx\r\n0\r\n\r\n" + SIZED) == b"1\r\nx\r\n0\r\n\r\n" + SIZED
    assert len(seen.bodies) == 1


BIG = bytes(BODY_LIMIT)
BIG_BUILD = b"POST /build HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(BIG), BIG)
BIG_LOAD = LOAD[:58] + b"%x\r\n%s\r\n0\r\n" % (len(BIG), BIG)


@pytest.mark.parametrize(
    ("before", "cut"),
    [
        (BIG_BUILD, b"PO"),
        (BIG_BUILD, CREATE[:-5]),
        (BIG_BUILD, SIZED[:-3]),
        (BIG_LOAD, b"X-S"),
    ],
    ids=["word", "head", "body", "trailer"],
)
def test_what_is_cut_late_in_a_large_buffer_is_waited_for(before: bytes, cut: bytes) -> None:
    after = b"um: 1\r\n\r\n" + SIZED if cut == b"X-S" else SIZED.removeprefix(cut)
    seen = Seen()
    assert seen.requests.feed(before + cut) == before
    assert seen.feed(after) == cut + after
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


def test_a_length_counts_for_nothing_where_there_are_chunks() -> None:
    creation = CHUNKED.replace(b"Host", b"Content-Length: %d\r\nHost" % (BODY_LIMIT + 1))
    seen = Seen()
    assert seen.feed(creation[:-20], creation[-20:]) == creation
    assert len(seen.bodies) == 1


def test_a_creation_with_a_head_as_long_as_go_takes_is_seen() -> None:
    creation = SIZED.replace(b"Host:", b"X: %s\r\nHost:" % (b"a" * (1 << 20)))
    seen = Seen()
    assert seen.feed(creation[:500_000], creation[500_000:]) == creation
    assert seen.bodies == [b'{"Image":"a"}\n']


@pytest.mark.parametrize(
    "request_before",
    [
        UPGRADE,
        b"POST /v1.47/containers/web/attach?stdin=1 HTTP/1.1\r\n\r\n",
        b"POST /session HTTP/1.1\r\n\r\n",
        b"POST /grpc HTTP/1.1\r\n\r\n",
    ],
)
def test_typing_after_a_hijack_is_not_held_back(request_before: bytes) -> None:
    """Older clients do not say Upgrade."""
    seen = Seen()
    assert seen.requests.feed(request_before) == request_before
    for letter in itertools.batched(b"GET / HTTP/1.1\r\n", 1):
        assert seen.requests.feed(bytes(letter)) == bytes(letter)


def test_which_requests_are_about_services() -> None:
    create = b"POST /v1.47/services/create HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    update = create.replace(b"create", b"a-1/update?version=3").replace(b"{}", b"[]")
    seen = Seen(b'{"changed":1}', None, None)
    seen.feed(create, update, SIZED)
    assert seen.services == [b"{}", b"[]"]
