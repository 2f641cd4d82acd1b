"""Hostile bytes on the control socket, without the key and with it.

The first byte of an input chooses whether the client has the key; the rest is sent unchanged. A
session ends with its client and leaves no thread. A client with the key gets valid answers, and no
request causes an internal error. Next: `engine/control/session.py`.
"""

import contextlib
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path

import msgspec
import pytest

from engine.control import dispatch
from engine.control.protocol import METHODS, Hello, Push, Reply, address, read_key
from engine.control.server import ControlServer
from engine.settings.setting import HostSize
from engine.settings.store import SettingsStore
from tests.fuzz.harness import PATIENCE, Fuzz, Source, wait_until
from tests.unit.engine.control.scripted import ScriptedEngine
from vm.host.paths import Home, find_home, make_home

VALUES = (
    *(b"1", b"true", b"null", b'""', b'"\\u0000"', b"9" * 5000, b"9" * 40, b"-1", b"1e999", b'"x"'),
    *(b'"\\ud800"', b'"../x"', b'{"a":1}', b"[" * 3000, b'"\xff"', b"0.5", b'"16G"', b'"a:1"'),
)
WITH_PARAMS = [method for method, kind in METHODS.items() if kind.__struct_fields__]
NAMES = (b"name", b"value", b"text", b"cold", b"memory", b"repair", b"trace", b"odd")
SETTINGS = (b'"cpus"', b'"memory"', b'"disk"', b'"shares"', b'"http_proxy"', b'"backend"')

decode = msgspec.json.Decoder(Hello | Reply | Push).decode


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.chdir(tmp_path)
    return make_home(find_home())


def target(
    home: Home, engine: ScriptedEngine, internal_errors: list[BaseException | None]
) -> Callable[[bytes], None]:
    key = read_key(home)
    assert key is not None

    def run(data: bytes) -> None:
        threads = threading.active_count()
        with socket.socket(socket.AF_UNIX) as side:
            side.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(PATIENCE), 0)
            )
            side.connect(address(home))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                if data[:1] == b"K":
                    _greet(side, key)
                side.sendall(data[1:])
                side.shutdown(socket.SHUT_WR)
            for message in _messages(_all_of(side)):
                if data[:1] == b"K":
                    decode(message)
        wait_until(lambda: threading.active_count() == threads)  # the threads of its requests
        engine.calls.clear()
        found = internal_errors[:]
        internal_errors.clear()
        assert not found, found

    return run


def _greet(side: socket.socket, key: bytes) -> None:
    connection = Connection(side.fileno())
    try:
        answer_challenge(connection, key)
        deliver_challenge(connection, key)
    finally:
        connection._handle = None  # type: ignore[attr-defined]  # `side` closes it


def _all_of(side: socket.socket) -> bytes:
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := side.recv(1 << 16):
            received += data
    return bytes(received)


def _messages(data: bytes) -> list[bytes]:
    """The complete messages."""
    found = []
    while len(data) >= 4 and len(data) - 4 >= (size := struct.unpack_from(">i", data)[0]) >= 0:
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


# Messages of a client


def conversation(source: Source) -> bytes:
    began = source.pick((b"K", b"K", b"K", b"-"))
    return began + b"".join(source.some(8, lambda: _message(source)))


def _message(source: Source) -> bytes:
    message = source.blob(40) if source.one_in(8) else _request(source)
    if source.one_in(20):
        message = source.pick((b"#CHALLENGE#", b"#WELCOME#", b"#FAILURE#")) + b"{md5}" + message
    size = len(message) if not source.one_in(30) else source.pick((-1, -9, 1 << 30, 70_000))
    return struct.pack(">i", size) + message


def _request(source: Source) -> bytes:
    method = source.pick(WITH_PARAMS) if source.one_in(2) else source.pick([*METHODS, "odd"])
    known = METHODS[method].__struct_fields__ if method in METHODS else ()
    names = [name.encode() for name in known] or NAMES
    fields = [
        *(b'"type":"request"', b'"id":' + (source.pick(VALUES) if source.one_in(12) else b"1")),
        b'"method":' + (source.pick(VALUES) if source.one_in(30) else b'"%s"' % method.encode()),
        b'"params":{%s}' % b",".join(source.some(2, lambda: _param(source, names))),
    ]
    return b"{%s}" % b",".join(fields[source.below(16) == 15 :])


def _param(source: Source, names: Sequence[bytes]) -> bytes:
    value = source.pick((*VALUES, *SETTINGS))
    if source.one_in(3):
        return b'"name":%s,"value":%s' % (source.pick(SETTINGS), value)
    return b'"%s":%s' % (source.pick(NAMES if source.one_in(8) else names), value)


def test_control(fuzz: Fuzz, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    internal_errors: list[BaseException | None] = []
    monkeypatch.setattr(
        dispatch.log, "exception", lambda *words: internal_errors.append(sys.exception())
    )
    engine = ScriptedEngine()
    engine.go.set()
    settings = SettingsStore(home, HostSize(4, 16 * 2**30))
    server = ControlServer(home, engine, settings, end=lambda: None)
    server.open()
    try:
        words = [*VALUES, *SETTINGS, b"#CHALLENGE#{sha256}", b"\xff\xff\xff\xff"]
        fuzz("control", target(home, engine, internal_errors), conversation, words)
    finally:
        server.close()
