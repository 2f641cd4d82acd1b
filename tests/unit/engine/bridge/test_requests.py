"""The request parser: every stream passes byte for byte, however it is split."""

import itertools

import pytest

from engine.bridge.requests import BODY_LIMIT, HEAD_LIMIT, LINE_LIMIT
from tests.unit.engine.bridge.request_streams import (
    CHUNKED,
    CONTINUE,
    CREATE,
    EXPECTS,
    LOAD,
    PING,
    SIZED,
    STREAMS,
    UPGRADE,
    RecordingHandler,
)
from vm.errors import NotShared
from vm.messages import Message

WAITS = range(len(EXPECTS), len(EXPECTS) + 2)  # the cuts at which the client waits for 100 Continue


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_passes_unchanged_however_it_is_split(name: str) -> None:
    stream = STREAMS[name]
    assert RecordingHandler().feed(stream) == stream
    waits = WAITS if name == "expects" else range(0)
    bodies = RecordingHandler()
    bodies.feed(stream)
    for cut in range(len(stream)):
        handler = RecordingHandler()
        passed = handler.feed(stream[:cut], stream[cut:])
        assert handler.interim_answers == ([CONTINUE] if cut in waits else [])
        if handler.interim_answers:  # then dockerd must not send it again
            assert passed == stream.replace(b"Expect: 100-continue\r\n", b"")
        else:
            assert passed == stream
        if "upgrade" not in name:
            assert handler.bodies == bodies.bodies


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_passes_byte_by_byte(name: str) -> None:
    stream = STREAMS[name]
    whole, handler = RecordingHandler(), RecordingHandler()
    whole.feed(stream)
    passed = handler.feed(*(bytes([byte]) for byte in stream))
    assert passed == stream.replace(b"Expect: 100-continue\r\n", b"")
    if "upgrade" not in name:
        assert handler.bodies == whole.bodies


def test_only_bodies_of_create_requests_reach_the_handler() -> None:
    body = b'{"Image":"a"}\n'
    expected = {
        "sized": [body],
        "chunked": [body],
        "kept alive": [body] * 3,
        "blank lines before": [body],
        "refused upgrade": [body],
        "expects": [b"{}"],
        "gzip": [b"\x1f\x8b\x08"],  # dockerd ignores Content-Encoding
    }
    for name, stream in STREAMS.items():
        handler = RecordingHandler()
        handler.feed(stream)
        assert handler.bodies == expected.get(name, []), name


def test_each_request_is_reported_with_its_decoded_target() -> None:
    handler = RecordingHandler()
    handler.feed(STREAMS["kept alive"] + PING.replace(b"_ping", b"%5fping?a=%5f"))
    create = "/v1.47/containers/create?name=a"
    assert handler.targets == [
        *("/_ping", create, "/images/load", "/_ping", create, "/build", create),
        "/_ping?a=%5f",
    ]


@pytest.mark.parametrize(
    ("target", "is_create"),
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
def test_which_requests_are_create_requests(target: bytes, is_create: bool) -> None:
    handler = RecordingHandler()
    handler.feed(b"POST %s HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}" % target)
    assert handler.bodies == ([b"{}"] if is_create else [])


@pytest.mark.parametrize("creation", [SIZED, CHUNKED])
def test_a_changed_body_is_sent_with_its_own_length(creation: bytes) -> None:
    handler = RecordingHandler(b"{}")
    passed = handler.feed(PING, creation, PING)
    assert passed == PING + CREATE + b"Content-Length: 2\r\n\r\n{}" + PING


def test_a_changed_body_keeps_unrelated_headers() -> None:
    head = CREATE + b"X-Length: 1\r\nX-Last: X"
    for framing in (b"\r\nContent-Length: 2\r\nTrailer: T", b"\r\nTrailer: T\r\ncontent-length:2"):
        passed = RecordingHandler(b"[]").feed(head + framing + b"\r\n\r\n{}")
        assert passed == head + b"\r\nContent-Length: 2\r\n\r\n[]"


@pytest.mark.parametrize(
    ("line", "notifications"),
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
def test_starts_events_and_swarm_changes_are_reported(
    line: bytes, notifications: list[str]
) -> None:
    handler = RecordingHandler()
    request = line + b" HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
    assert handler.feed(PING + request) == PING + request
    assert handler.notifications == notifications


INIT = b"POST /v1.45/swarm/init HTTP/1.1\r\nHost: docker\r\n"


@pytest.mark.parametrize("cut", [1, 60, 90, 115])
def test_a_new_swarm_is_reported_once_and_gets_a_pool_when_its_body_is_complete(cut: int) -> None:
    handler = RecordingHandler()
    body = b'{"ListenAddr":"0.0.0.0:2377"}'
    request = INIT + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    assert not handler.requests.feed(request[:cut])
    assert not handler.notifications
    passed = handler.feed(request[cut:], PING)
    changed = body[:-1] + b',"DefaultAddrPool":["10.64.0.0/10"]}'
    assert passed == INIT + b"Content-Length: %d\r\n\r\n%s" % (len(changed), changed) + PING
    assert handler.notifications == ["swarm init"]
    assert not handler.bodies


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
def test_a_swarm_request_with_its_own_pool_or_an_invalid_body_is_unchanged(body: bytes) -> None:
    for verb in (b"init", b"join"):
        request = INIT.replace(b"init", verb) + b"Content-Length: %d\r\n\r\n" % len(body) + body
        assert RecordingHandler().feed(request) == request


def test_a_join_of_a_swarm_gets_no_pool() -> None:
    body = b'{"ListenAddr":"0.0.0.0:2377"}'
    join = INIT.replace(b"init", b"join") + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert RecordingHandler().feed(join) == join


@pytest.mark.parametrize("value", [b"null", b"[]"])
def test_an_empty_pool_is_replaced(value: bytes) -> None:
    body = b'{"DefaultAddrPool":%s}' % value
    passed = RecordingHandler().feed(INIT + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert passed.endswith(b'{"DefaultAddrPool":["10.64.0.0/10"]}')


def test_an_unreadable_swarm_request_is_still_reported() -> None:
    handler = RecordingHandler()
    request = INIT + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nzz"
    assert handler.feed(request) == request
    assert handler.notifications == ["swarm init"]


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
def test_a_create_request_is_detected_in_every_form(stream: bytes) -> None:
    handler = RecordingHandler()
    assert handler.feed(stream) == stream
    assert handler.bodies == [b'{"Image":"a"}\n']


def test_a_header_is_removed_with_its_continuation_lines() -> None:
    head = CREATE + b"Expect:\r\n 100-continue\r\nContent-Length:\r\n\t2\r\n"
    handler = RecordingHandler(b'{"a":1}')
    assert handler.feed(head + b"\r\n", b"{}") == CREATE + b'Content-Length: 7\r\n\r\n{"a":1}'
    assert len(handler.interim_answers) == 1


def test_an_incomplete_create_request_is_not_passed_on() -> None:
    assert RecordingHandler().feed(PING, SIZED[:-1]) == PING


def test_a_refused_create_request_is_not_passed_on() -> None:
    class Refusing(RecordingHandler):
        def create_container(self, body: bytes) -> bytes:
            raise NotShared(Message("", "No."))

    requests = Refusing().requests
    passed = requests.feed(PING + SIZED[:-5])
    with pytest.raises(NotShared):
        requests.feed(SIZED[-5:])
    assert passed == PING


def test_100_continue_is_sent_once_for_each_request() -> None:
    handler = RecordingHandler()
    for times in (1, 2):
        assert handler.requests.feed(EXPECTS) == b""
        assert handler.requests.feed(b"{") == b""
        assert handler.interim_answers == [CONTINUE] * times
        assert handler.feed(b"}") == CREATE + b"Content-Length: 2\r\n\r\n{}"
    assert handler.feed(EXPECTS + b"{}") == EXPECTS + b"{}", "dockerd must send 100 Continue"


@pytest.mark.parametrize(
    "name", ["wrong chunk", "wrong chunk of a creation", "unknown coding", "garbage", "http/2"]
)
def test_data_after_an_invalid_request_is_passed_on_immediately(name: str) -> None:
    requests = RecordingHandler().requests
    for data in (STREAMS[name], b"x", SIZED[:-1], b"GET"):
        assert requests.feed(data) == data


@pytest.mark.parametrize("size", [b"+2", b"-2", b"0x2", b"0_2", b"%017x" % 2, b""])
def test_a_chunk_size_that_go_rejects_is_invalid(size: bytes) -> None:
    chunk = b"\r\n{}\r\n0\r\n\r\n"
    for head in (CREATE, b"POST /images/load HTTP/1.1\r\n"):
        handler = RecordingHandler()
        for data in (head + b"Transfer-Encoding: chunked\r\n\r\n" + size + chunk, SIZED, b"P"):
            assert handler.requests.feed(data) == data
        assert not handler.bodies


def test_a_chunk_line_that_is_split_after_a_long_chunk_is_completed() -> None:
    """The request after the body is parsed."""
    handler = RecordingHandler()
    long_chunk = LOAD[:58] + b"%x\r\n%s\r\n" % (2 * LINE_LIMIT, bytes(2 * LINE_LIMIT))
    assert handler.requests.feed(long_chunk + b"1") == long_chunk
    assert handler.feed(b"\r\nx\r\n0\r\n\r\n" + SIZED) == b"1\r\nx\r\n0\r\n\r\n" + SIZED
    assert len(handler.bodies) == 1


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
def test_a_request_that_is_split_after_a_large_body_is_completed(before: bytes, cut: bytes) -> None:
    after = b"um: 1\r\n\r\n" + SIZED if cut == b"X-S" else SIZED.removeprefix(cut)
    handler = RecordingHandler()
    assert handler.requests.feed(before + cut) == before
    assert handler.feed(after) == cut + after
    assert len(handler.bodies) == 1


def test_a_too_long_head_is_not_buffered() -> None:
    pieces = [b"GET /" + b"a" * HEAD_LIMIT, b"b"]
    requests = RecordingHandler().requests
    assert [requests.feed(piece) for piece in pieces] == pieces, "each piece passes immediately"


def test_a_too_long_create_request_is_refused_as_soon_as_its_length_is_known() -> None:
    chunked = CREATE + b"Transfer-Encoding: chunked\r\n\r\n100000\r\n"
    blocks = [b"x" * 0x100000 + b"\r\n100000\r\n"] * 8
    declared = CREATE + b"Content-Length: %d\r\n\r\n{"
    assert RecordingHandler().requests.feed(declared % BODY_LIMIT) == b""
    for *held, last in ([chunked, *blocks], [declared % (BODY_LIMIT + 1)]):
        requests = RecordingHandler().requests
        assert not any(map(requests.feed, held))
        with pytest.raises(NotShared, match="too long"):
            requests.feed(last)


def test_content_length_is_ignored_in_a_chunked_request() -> None:
    creation = CHUNKED.replace(b"Host", b"Content-Length: %d\r\nHost" % (BODY_LIMIT + 1))
    handler = RecordingHandler()
    assert handler.feed(creation[:-20], creation[-20:]) == creation
    assert len(handler.bodies) == 1


def test_a_create_request_with_the_longest_head_of_go_is_detected() -> None:
    creation = SIZED.replace(b"Host:", b"X: %s\r\nHost:" % (b"a" * (1 << 20)))
    handler = RecordingHandler()
    assert handler.feed(creation[:500_000], creation[500_000:]) == creation
    assert handler.bodies == [b'{"Image":"a"}\n']


@pytest.mark.parametrize(
    "request_before",
    [
        UPGRADE,
        b"POST /v1.47/containers/web/attach?stdin=1 HTTP/1.1\r\n\r\n",
        b"POST /session HTTP/1.1\r\n\r\n",
        b"POST /grpc HTTP/1.1\r\n\r\n",
    ],
)
def test_input_after_a_hijack_is_passed_on_immediately(request_before: bytes) -> None:
    """Older clients send no Upgrade header."""
    handler = RecordingHandler()
    assert handler.requests.feed(request_before) == request_before
    for letter in itertools.batched(b"GET / HTTP/1.1\r\n", 1):
        assert handler.requests.feed(bytes(letter)) == bytes(letter)


def test_which_requests_are_service_requests() -> None:
    create = b"POST /v1.47/services/create HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    update = create.replace(b"create", b"a-1/update?version=3").replace(b"{}", b"[]")
    handler = RecordingHandler(b'{"changed":1}', None, None)
    handler.feed(create, update, SIZED)
    assert handler.services == [b"{}", b"[]"]
