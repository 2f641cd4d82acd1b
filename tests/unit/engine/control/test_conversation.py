"""Client and server together, over the real socket, with a scripted engine."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import (
    Client,
    Connection,
    Listener,
    answer_challenge,
    deliver_challenge,
)

import msgspec
import pytest

from engine import __version__
from engine.control import client as client_module
from engine.control.client import ControlClient, NoSupervisor
from engine.control.protocol import (
    PROTOCOL,
    Hello,
    Push,
    Reply,
    Request,
    address,
    decode_answer,
    decode_hello,
    encode,
    key_file,
    make_key,
    read_key,
)
from engine.control.server import FLUSH_SECONDS, ControlServer
from engine.types import EngineStatus
from tests.unit.engine.bridge.servers import wait_until
from tests.unit.engine.control.scripted import ScriptedEngine, padded
from vm.errors import (
    Cancelled,
    ControlError,
    GalleyError,
    SettingsError,
    SupervisorGone,
    VersionMismatch,
)
from vm.host.paths import Home
from vm.types import MachineState


def raw(home: Home) -> Connection:
    """A client connection after the handshake, for raw messages."""
    key = read_key(home)
    assert key
    connection = Client(address(home))
    answer_challenge(connection, key)
    deliver_challenge(connection, key)
    decode_hello(connection.recv_bytes())
    return connection


@contextlib.contextmanager
def fake_supervisor(home: Home, *messages: bytes, key: bytes | None = None) -> Iterator[None]:
    """A supervisor that sends `messages` to one client and then closes the connection."""
    key = key or make_key(home)

    def serve() -> None:
        with listener.accept() as connection, contextlib.suppress(Exception):
            deliver_challenge(connection, key)
            answer_challenge(connection, key)
            for message in messages:
                connection.send_bytes(message)

    with Listener(address(home)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


# Requests


def test_a_new_client_gets_the_current_status_then_every_change(
    client: ControlClient, engine: ScriptedEngine
) -> None:
    statuses = client.statuses()
    assert next(statuses).machine.state is MachineState.STOPPED
    for state in (MachineState.STARTING, MachineState.RUNNING):
        engine.change(state)
        assert next(statuses).machine.state is state


def test_a_call_returns_after_the_push_with_its_outcome(
    client: ControlClient, engine: ScriptedEngine
) -> None:
    seen: list[MachineState] = []

    def note(status: EngineStatus) -> None:
        seen.append(status.machine.state)
        if status.machine.state is MachineState.STARTING:
            engine.go.set()

    client.call("start", {"repair": True}, on_push=note)
    assert engine.calls == ["start repair=True"]
    assert seen[-2:] == [MachineState.STARTING, MachineState.RUNNING]


def test_daemon_json_is_read_and_written(client: ControlClient, engine: ScriptedEngine) -> None:
    assert msgspec.json.decode(client.call("daemon.get")) == '{"debug": true}'
    client.call("daemon.set", {"text": "{\n}"})
    client.call("reset")
    assert engine.calls == ["daemon.get", "daemon.set {\n}", "reset"]


def test_a_start_is_cancelled_by_another_client(
    home: Home, client: ControlClient, engine: ScriptedEngine
) -> None:
    def cancel() -> None:
        engine.wait_called("start repair=False")
        with ControlClient.connect(home) as other:
            other.call("cancel")

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(Cancelled, match="was cancelled"):
        client.call("start")
    thread.join()


def test_an_interrupted_call_leaves_the_client_usable(
    client: ControlClient, engine: ScriptedEngine
) -> None:
    def interrupt(status: EngineStatus) -> None:
        if status.machine.state is MachineState.STARTING:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.call("start", on_push=interrupt)
    client.call("cancel")
    assert client.status().machine.state in (MachineState.STARTING, MachineState.STOPPED)


@pytest.mark.parametrize("method", ["stop", "restart"])
def test_plain_methods(client: ControlClient, engine: ScriptedEngine, method: str) -> None:
    assert bytes(client.call(method)) == b"null"
    assert engine.calls == [method]


def test_settings_are_set_and_unset(client: ControlClient, home: Home) -> None:
    entry = msgspec.json.decode(client.call("settings.set", {"name": "memory", "value": "2GiB"}))
    assert (entry["value"], entry["is_set"]) == (2 * 2**30, True)
    assert 'memory = "2GiB"' in home.settings.read_text()
    entry = msgspec.json.decode(client.call("settings.unset", {"name": "memory"}))
    assert entry["is_set"] is False
    with pytest.raises(SettingsError, match="no setting") as caught:
        client.call("settings.set", {"name": "memry", "value": 1})
    assert "memory" in caught.value.hint


# Errors


def test_an_error_arrives_with_hint_and_details(client: ControlClient) -> None:
    with pytest.raises(GalleyError) as caught:
        client.call("delete")
    error = caught.value
    assert (error.summary, error.hint, error.details) == ("No.", "Ask again.", "because")


def test_an_unexpected_exception_is_answered_and_logged(
    client: ControlClient, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.failure = ZeroDivisionError("by zero")
    with pytest.raises(GalleyError, match="ZeroDivisionError: by zero") as caught:
        client.call("stop")
    assert "Traceback" in caught.value.details
    assert "stop failed unexpectedly" in caplog.text
    client.call("restart")


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("fly", {}, "no method 'fly'"),
        ("start", {"repiar": True}, "unknown field"),
        ("start", {"repair": "yes"}, "Expected `bool`"),
        ("settings.set", {"name": "cpus"}, "missing required field `value`"),
        ("stop", [1], "Expected `object`"),
        ("start", {"trace": "relative"}, "absolute path"),
        ("start", {"trace": "/"}, "absolute path"),
        ("start", {"trace": "/x\0"}, "absolute path"),
    ],
)
def test_a_wrong_request_is_refused(
    client: ControlClient, engine: ScriptedEngine, method: str, params: object, message: str
) -> None:
    with pytest.raises(ControlError, match=message):
        client.call(method, params)
    assert engine.calls == []
    client.call("restart")


DEEP = b"[" * 60_000
NESTED = b'{"type":"request","id":0,"method":"restart","params":' + DEEP + b"}"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[]", b'{"type":"reply","id":1}', DEEP, NESTED]
)
def test_malformed_messages_are_answered(home: Home, server: ControlServer, data: bytes) -> None:
    with raw(home) as connection:
        connection.send_bytes(data)
        answers = [decode_answer(connection.recv_bytes()) for _ in range(2)]
    replies = [answer for answer in answers if isinstance(answer, Reply)]
    assert [reply.id for reply in replies] == [0]
    assert replies[0].problem
    assert "malformed" in replies[0].problem.summary


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\x00" * 64, b""])
def test_garbage_before_the_handshake_does_not_affect_other_clients(
    home: Home, client: ControlClient, garbage: bytes
) -> None:
    with Client(address(home)) as connection:
        connection._send(garbage)  # type: ignore[attr-defined]  # below the framing
    client.call("stop")


def test_garbage_after_the_handshake_ends_one_connection(home: Home, client: ControlClient) -> None:
    with raw(home) as connection:
        connection._send(b"\x7f\xff\xff\xff" + b"x" * 100)  # type: ignore[attr-defined]
        with contextlib.suppress(EOFError, OSError):
            while connection.poll(10):
                connection.recv_bytes()
        with pytest.raises((EOFError, OSError)):
            connection.recv_bytes()
    client.call("stop")


def test_a_wrong_key_is_refused(
    home: Home, client: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    key_file(home).write_bytes(b"another key")
    with pytest.raises(SupervisorGone, match="does not accept the key"):
        ControlClient.connect(home)
    client.call("stop")
    wait_until(lambda: "a client was refused" in caplog.text)


def test_a_missing_key_is_reported(home: Home, server: ControlServer) -> None:
    key_file(home).unlink()
    with pytest.raises(SupervisorGone, match="is missing"):
        ControlClient.connect(home)


def test_the_key_and_the_directory_are_private(home: Home, server: ControlServer) -> None:
    assert key_file(home).stat().st_mode & 0o777 == 0o600
    assert home.run.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("hello", [Hello(PROTOCOL, "9.9", 1), Hello(PROTOCOL + 1, __version__, 1)])
def test_another_version_is_reported_with_a_hint(home: Home, hello: Hello) -> None:
    with fake_supervisor(home, encode(hello)), pytest.raises(VersionMismatch) as caught:
        ControlClient.connect(home)
    summary = caught.value.summary
    assert hello.version in summary if hello.version != __version__ else "another build" in summary
    assert "galley restart --supervisor" in caught.value.hint
    assert "keep running" in caught.value.hint


def test_an_unreadable_hello_is_reported_as_another_version(home: Home) -> None:
    with fake_supervisor(home, b"\x80\x04pickle"), pytest.raises(VersionMismatch):
        ControlClient.connect(home)


def test_a_home_without_a_socket_has_no_supervisor(home: Home) -> None:
    with pytest.raises(NoSupervisor):
        ControlClient.connect(home)


def test_a_supervisor_that_ends_during_the_handshake_is_no_supervisor(home: Home) -> None:
    """`ensure_supervisor` then starts another one instead of failing."""
    with fake_supervisor(home), pytest.raises(NoSupervisor):
        ControlClient.connect(home)


def test_a_stale_socket_is_ignored_and_replaced(home: Home, unopened: ControlServer) -> None:
    make_stale_socket(home)
    with pytest.raises(NoSupervisor):
        ControlClient.connect(home)
    unopened.open()
    with ControlClient.connect(home) as client:
        client.call("stop")
    unopened.close()
    assert not os.path.exists(address(home))


def make_stale_socket(home: Home) -> None:
    listener = Listener(address(home))
    listener._listener._unlink.cancel()  # type: ignore[attr-defined]  # as if killed
    listener.close()


def test_a_supervisor_that_hangs_is_reported(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    make_key(home)
    (home.run / "supervisor.pid").write_text("4711\n")
    monkeypatch.setattr(client_module, "HANDSHAKE_SECONDS", 0.05)
    with Listener(address(home)), pytest.raises(SupervisorGone, match="has not answered") as caught:
        ControlClient.connect(home)
    assert "process 4711" in caught.value.hint


def test_the_end_of_the_supervisor_ends_a_call_at_once(home: Home) -> None:
    (home.logs / "supervisor.log").write_text("the last line\n")
    hello = encode(Hello(PROTOCOL, __version__, 1))
    with fake_supervisor(home, hello):
        client = ControlClient.connect(home)
        with client, pytest.raises(SupervisorGone, match="was lost") as caught:
            client.call("start")
    assert caught.value.details == "the last line"


# Slow clients


def test_a_stuck_client_delays_no_other_and_gets_only_the_latest_status(
    home: Home, client: ControlClient, engine: ScriptedEngine
) -> None:
    with raw(home) as stuck:
        big = padded(engine.status(), 1_000_000)
        for _ in range(200):
            for listener in engine.listeners:
                listener(big)
        engine.change(MachineState.RUNNING)
        assert client.status().machine.state is MachineState.RUNNING
        pushes = 0
        while True:
            answer = decode_answer(stuck.recv_bytes())
            assert isinstance(answer, Push)
            pushes += 1
            if answer.status.machine.state is MachineState.RUNNING:
                break
    assert pushes < 10


def test_a_client_that_never_reads_gets_back_pressure(
    home: Home, client: ControlClient, engine: ScriptedEngine
) -> None:
    """A client may have 32 open requests; the rest wait in the socket, not in memory."""
    with raw(home) as greedy:
        for number in range(1, 101):
            greedy.send_bytes(encode(Request(number, "start")))
        client.call("stop")
        with engine.called:
            assert engine.called.wait_for(lambda: len(engine.calls) == 33, 10)
        engine.go.set()
        replies = 0
        while replies < 100:
            replies += isinstance(decode_answer(greedy.recv_bytes()), Reply)


def test_close_waits_a_second_for_a_stuck_client_and_no_more(
    home: Home, engine: ScriptedEngine, unopened: ControlServer
) -> None:
    unopened.open()
    with raw(home), ControlClient.connect(home) as client:
        next(client.statuses())
        big = padded(engine.status(), 5_000_000)
        for listener in engine.listeners:
            listener(big)
        began = time.monotonic()
        unopened.close()
        assert time.monotonic() - began < FLUSH_SECONDS + 1
        with pytest.raises(SupervisorGone):
            client.call("stop")
    assert engine.listeners == []


def test_close_from_another_thread_ends_a_watch(client: ControlClient) -> None:
    statuses = client.statuses()
    next(statuses)
    closer = threading.Thread(target=client.close)
    closer.start()
    assert list(statuses) == []
    closer.join()
    client.close()


def test_many_clients(home: Home, server: ControlServer, engine: ScriptedEngine) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(ControlClient.connect(home)) for _ in range(50)]
        engine.change(MachineState.RUNNING)
        for client in clients:
            assert any(s.machine.cpus == 1 for s in client.statuses())
