"""Create requests of containers and services: dockerd mounts shared folders of the host only.

An input is a client's data. Everything that is forwarded to dockerd is decoded as dockerd does it,
and every bind mount's source must be in a share, or a folder of the machine itself. Only NotShared
may refuse a request. Next: `dockerd_reads.py`, `engine/shares/binds.py`.
"""

import os
import posixpath
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from engine.bridge.pump import Admission
from engine.bridge.requests import Requests
from engine.shares.binds import OWN, OWN_TREES, Sharing
from tests.fuzz.dockerd_reads import bind_sources
from tests.fuzz.harness import Fuzz, Source
from tests.unit.engine.admission.making import admission
from vm.errors import NotShared
from vm.host import private_folders
from vm.types import Share

SHARED = b"/tmp/THESHARE"  # in an input: stands for the shared folder, whose path is as long
SOURCES = (
    *(SHARED + below for below in (b"", b"/sub", b"/../secret", b"/out", b"/home", b"/back")),
    *(SHARED + below for below in (b"/\\u0000", b"/\xff", b"/sub/../../secret", b":", b"/%63")),
    *(b"/etc", b"//etc", b"/proc/../etc", b"/proc", b"/", b"/run/docker.sock"),
    *(b"name", b"", b"/etc\\ud800"),
)
TARGETS = (b"/containers/create", b"/v1.45/containers/create", b"/services/create")
MORE_TARGETS = (b"/services/a/update?version=1", b"/containers/create?name=a", b"/_ping")


class CreationsOnly:
    """A `Handler` that handles create requests and ignores all others."""

    def __init__(self, admission: Admission) -> None:
        self.create_container = admission.create_container
        self.init_swarm = admission.init_swarm
        self._create_service = admission.create_service

    def create_service(self, body: bytes) -> bytes:
        return self._create_service(body)[0]

    def start(self, container: str) -> None: ...
    def swarm(self, verb: str) -> None: ...
    def asked(self, target: bytes) -> None: ...
    def events(self) -> None: ...


@pytest.fixture
def sharing(tmp_path: Path) -> Iterator[Sharing]:
    (tmp_path / "secret").mkdir()
    with tempfile.TemporaryDirectory(prefix="", dir="/tmp") as folder:
        shared = Path(folder)
        assert len(folder) == len(SHARED)
        (shared / "sub").mkdir()
        (shared / "home").mkdir()
        (shared / "out").symlink_to(tmp_path / "secret")
        (shared / "back").symlink_to("sub")
        private = private_folders.identities((str(shared / "home"),))
        yield Sharing("/nowhere/docker.sock", (Share(folder, folder),), private=private)


def target(sharing: Sharing) -> Callable[[bytes], None]:
    root = sharing.shares[0].host_path

    handler = CreationsOnly(admission(sharing, {"HTTP_PROXY": "http://proxy:1"}))

    def run(data: bytes) -> None:
        requests = Requests(handler, lambda data: None)
        try:
            passed = requests.feed(data.replace(SHARED, root.encode())) + requests.rest()
        except NotShared:
            return
        for source in bind_sources(passed):
            assert _is_allowed(source, root), f"dockerd mounts {source!r}"

    return run


def _is_allowed(source: str, root: str) -> bool:
    plain = "/" + posixpath.normpath(source).lstrip("/")
    if plain in OWN or any(PurePosixPath(plain).is_relative_to(tree) for tree in OWN_TREES):
        return True
    if "\0" in source or not PurePosixPath(plain).is_relative_to(root):
        return False
    real = PurePosixPath(os.path.realpath(plain))
    return real.is_relative_to(root) and not real.is_relative_to(f"{root}/home")


# Requests of a client


def request(source: Source) -> bytes:
    body = _document(source)
    if source.one_in(12):
        body += source.pick((b"}", b"]", b" ", b"\n", b"{}", b"\0"))
    line = b"%s %s %s\r\n" % (
        source.pick((b"POST", b"POST", b"POST", b"POST", b"PUT", b"GET")),
        _target(source),
        source.pick((b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2")),
    )
    head = b"Host: docker\r\n" + b"".join(source.some(1, lambda: _header(source)))
    framing = source.below(6)
    if framing == 5:
        head += b"Transfer-Encoding: chunked\r\n"
        body = _chunked(source, body)
    if framing < 5:
        value = source.pick((b"%d", b"%d", b"%d", b"%020d", b"\r\n %d", b"\t%d ")) % len(body)
        head += source.pick((b"Content-Length:", b"content-length: ")) + value + b"\r\n"
    again = request(source) if source.one_in(8) else b""
    return line + head + b"\r\n" + body + again


def _target(source: Source) -> bytes:
    path = source.pick((*TARGETS, *MORE_TARGETS))
    if source.one_in(4):
        at = 1 + source.below(len(path) - 1)
        path = path[:at] + b"%%%02x" % path[at] + path[at + 1 :]
    before = (b"", b"", b"", b"http://docker", b"HTTP://d", b"x:", b"http://", b"/", b"/.")
    return source.pick(before) + path


def _header(source: Source) -> bytes:
    odd = (b"Expect: 100-continue", b"X: y\r\n Content-Length: 3", b"Upgrade: tcp", b"X:\r\n\ty")
    return source.pick((b"Content-Encoding: gzip", b"Content-Length: 2", *odd)) + b"\r\n"


def _chunked(source: Source, body: bytes) -> bytes:
    at = source.below(len(body) + 1)
    pieces = [piece for piece in (body[:at], body[at:]) if piece]
    mark = source.pick((b"", b"", b";a=b", b" ", b";\n"))
    size = source.pick((b"%x", b"%x", b"%016x"))
    return (
        b"".join(b"%s%s\r\n%s\r\n" % (size % len(one), mark, one) for one in pieces) + b"0\r\n\r\n"
    )


def _document(source: Source) -> bytes:
    if source.one_in(3):
        spec = _object(source, [(b"Mounts", _mounts)])
        return _object(source, [(b"TaskTemplate", _in(b"ContainerSpec", spec)), (b"Name", _name)])
    fields: list[tuple[bytes, Callable[[Source], bytes]]] = [
        (b"HostConfig", _host_config),
        (b"Image", _name),
        (b"Env", _strings),
    ]
    if source.one_in(4):
        fields += [(b"Binds", _binds), (b"Mounts", _mounts)]  # as before API 1.18
    return _object(source, fields)


def _in(key: bytes, value: bytes) -> Callable[[Source], bytes]:
    return lambda source: b"{%s:%s}" % (_key(source, key), value)


def _object(source: Source, fields: list[tuple[bytes, Callable[[Source], bytes]]]) -> bytes:
    chosen = [(name, make) for name, make in fields if not source.one_in(6)]
    chosen += source.some(1, lambda: source.pick(fields))
    space = source.pick((b"", b"", b" ", b"\n"))
    if source.one_in(10):
        chosen.append((source.pick((b"a", b"Labels")), _odd))
    lines = [_key(source, name) + b":" + space + make(source) for name, make in chosen]
    return b"{" + (b"," + space).join(lines) + b"}"


def _key(source: Source, name: bytes) -> bytes:
    name = source.pick((name, name, name, name, name.lower(), name.upper(), name.swapcase()))
    if source.one_in(5):
        small = re.sub(b"[sS]", "ſ".encode(), name, count=1)
        name = source.pick((small, re.sub(b"[kK]", "\u212a".encode(), name)))
    elif source.one_in(8):
        name = b"\\u%04x%s" % (name[0], name[1:])
    return b'"%s"' % name


def _host_config(source: Source) -> bytes:
    return _object(source, [(b"Binds", _binds), (b"Mounts", _mounts)])


def _binds(source: Source) -> bytes:
    return _list(source, lambda: b'"%s"' % b":".join((source.pick(SOURCES), b"/x")))


def _mounts(source: Source) -> bytes:
    fields: list[tuple[bytes, Callable[[Source], bytes]]] = [
        (
            b"Type",
            lambda source: source.pick((b'"bind"', b'"bind"', b'"Bind"', b'"volume"', b"null")),
        ),
        (b"Source", lambda source: b'"%s"' % source.pick(SOURCES)),
        (b"Target", lambda source: b'"/x"'),
        (b"BindOptions", lambda source: source.pick((b"null", b'{"CreateMountpoint":true}', b"5"))),
    ]
    return _list(source, lambda: _object(source, fields))


def _list(source: Source, make: Callable[[], bytes]) -> bytes:
    if source.one_in(12):
        return _odd(source)
    items = source.some(2, make)
    if source.one_in(12):
        items.insert(0, _odd(source))
    return b"[" + b",".join(items) + b"]"


def _name(source: Source) -> bytes:
    return source.pick((b'"a"', b'"moby/buildkit"', b"null", b'"\xff"'))


def _strings(source: Source) -> bytes:
    return source.pick((b'["A=b"]', b"null", b"[null]", b'["\\ud800"]', b"5"))


def _odd(source: Source) -> bytes:
    deep = source.pick((400, 2000, 6000))
    return source.pick((b"null", b"5", b'"x"', b"{}", b"1e999", b"[" * deep + b"]" * deep, b"[[["))


def test_creations(fuzz: Fuzz, sharing: Sharing) -> None:
    words = [
        *SOURCES,
        b'"Binds":',
        '"HoſtConfig":{'.encode(),
        b'"Source":',
        b"%63",
        b"\r\n ",
        b"{",
        b"}",
    ]
    fuzz("creations", target(sharing), request, words)
