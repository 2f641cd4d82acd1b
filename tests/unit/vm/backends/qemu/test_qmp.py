"""The QMP client against a scripted server."""

import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.other_user import ID
from vm.backends.qemu import hostfwd, qmp
from vm.errors import BackendFailed, PortInUse
from vm.types import Forward

GREETING = {"QMP": {"version": {"qemu": {"major": 10, "minor": 0, "micro": 0}}, "capabilities": []}}
Answer = Callable[[dict[str, Any]], list[object]]


class Server:
    """Serves one client after the other; `answer` maps a request to the lines that follow it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[dict[str, Any]] = []
        self.answer: Answer = lambda request: [{"return": {}}]
        self.greeting: bytes = json.dumps(GREETING).encode() + b"\n"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rwb") as file:
                file.write(self.greeting)
                file.flush()
                for line in file:
                    request = json.loads(line)
                    if request == "end":
                        return
                    self._reply(file, request)

    def _reply(self, file: Any, request: dict[str, Any]) -> None:
        answers: list[object] = [{"return": {}}]
        if request["execute"] != "qmp_capabilities":
            self.requests.append(request)
            answers = self.answer(request)
        for answer in answers:
            file.write(json.dumps(answer).encode() + b"\n")
        file.flush()

    def end(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.path))
            last.sendall(b'"end"\n')
            self._thread.join()
        self._listener.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        running = Server(Path(folder, "qmp.sock"))
        yield running
        running.end()


def test_execute_returns_the_value_and_keeps_events(server: Server) -> None:
    event = {"event": "RESUME", "timestamp": {"seconds": 1, "microseconds": 2}}
    server.answer = lambda request: [event, {"return": {"status": "running"}}]
    with qmp.session(server.path) as session:
        assert session.execute("query-status") == {"status": "running"}
        assert session.events == ["RESUME"]
        assert session.field("query-status", "status") == "running"
        assert session.field("query-status", "no such field") is None
    assert server.requests[0] == {"execute": "query-status", "arguments": {}}


def test_an_event_may_precede_the_greeting(server: Server) -> None:
    """Seen with QEMU 10.0, when a job had just begun."""
    event = {"event": "JOB_STATUS_CHANGE", "data": {}, "timestamp": {"seconds": 1}}
    server.greeting = json.dumps(event).encode() + b"\n" + server.greeting
    server.answer = lambda request: [{"return": {"status": "running"}}]
    with qmp.session(server.path) as session:
        assert session.field("query-status", "status") == "running"


def test_an_error_names_the_command(server: Server) -> None:
    server.answer = lambda request: [{"error": {"class": "GenericError", "desc": "not now"}}]
    with (
        qmp.session(server.path) as session,
        pytest.raises(BackendFailed, match="QEMU refused cont: not now") as raised,
    ):
        session.execute("cont")
    assert '"cont"' in raised.value.details


def test_a_silent_server_times_out(server: Server) -> None:
    server.answer = lambda request: []
    with qmp.session(server.path, 0.2) as session, pytest.raises(qmp.QmpSilent):
        session.execute("query-status")


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH\n", b'{"hello": 1}\n'])
def test_a_server_that_does_not_speak_qmp_is_refused(server: Server, greeting: bytes) -> None:
    server.greeting = greeting
    with pytest.raises(qmp.QmpSilent, match="does not speak QMP"), qmp.session(server.path):
        pass


def test_a_missing_or_stale_socket_raises_qmp_silent(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "qmp.sock")
        with pytest.raises(qmp.QmpSilent), qmp.session(path):
            pass
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        with pytest.raises(qmp.QmpSilent), qmp.session(path):
            pass


def test_a_socket_in_a_directory_of_another_user_is_not_connected(server: Server) -> None:
    os.chown(server.path.parent, ID, ID)
    with pytest.raises(qmp.QmpSilent) as silent, qmp.session(server.path):
        pass
    assert "another user" in silent.value.details
    os.chown(server.path.parent, 0, 0)
    server.path.parent.chmod(0o755)
    with pytest.raises(OSError, match="open to other users"):
        qmp.connect_to(server.path, time.monotonic() + 5)


def test_sessions_are_exclusive_and_waiting_for_one_times_out(server: Server) -> None:
    with qmp.session(server.path):
        with pytest.raises(qmp.QmpSilent), qmp.session(server.path, 0.1):
            pass
        done: list[object] = []
        waiting = threading.Thread(target=lambda: done.append(_status(server.path)))
        waiting.start()
        assert not done
    waiting.join()
    assert done == [{}]


def _status(path: Path) -> object:
    with qmp.session(path) as session:
        return session.execute("query-status")


LISTING = """Hub -1 (net):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[HOST_FORWARD]  15               * 8025       10.0.2.15    80     0     0
  TCP[HOST_FORWARD]   8       127.0.0.1 40022       10.0.2.15    22     0     0
  TCP[ESTABLISHED]   16       127.0.0.1 40022       10.0.2.15    22     0     0
  UDP[236 sec]       17       10.0.2.15 43210        10.0.2.3    53     0     0
  UDP[HOST_FORWARD]  13       127.0.0.1 8023       10.0.2.15    80     0     0
"""


def test_the_listing_of_forwards_is_read() -> None:
    assert hostfwd.read_listing(LISTING) == {
        Forward("0.0.0.0", 8025, 80),
        Forward("127.0.0.1", 40022, 22),
        Forward("127.0.0.1", 8023, 80, "udp"),
    }
    assert hostfwd.read_listing("") == frozenset()


def monitor(answers: dict[str, str]) -> Answer:
    def answer(request: dict[str, Any]) -> list[object]:
        line = request["arguments"]["command-line"]
        return [{"return": next(text for start, text in answers.items() if line.startswith(start))}]

    return answer


def test_a_busy_port_is_reported_with_its_holder(server: Server) -> None:
    refusal = "Could not set up host forwarding rule 'x'\r\n"
    server.answer = monitor({"hostfwd_add": refusal, "info": LISTING})
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with (
            qmp.session(server.path) as session,
            pytest.raises(PortInUse, match=rf"{port}/tcp on 127.0.0.1 is already in use by .*pid"),
        ):
            hostfwd.add(session, Forward("127.0.0.1", port, 80))


def test_an_address_of_another_computer_is_refused_with_a_reason(server: Server) -> None:
    server.answer = monitor({"hostfwd_add": "Could not set up\r\n", "info": ""})
    with qmp.session(server.path) as session:
        with pytest.raises(BackendFailed, match=r"192\.0\.2\.1 cannot be published"):
            hostfwd.add(session, Forward("192.0.2.1", 8080, 80))
        with pytest.raises(BackendFailed, match="IPv4 only"):
            hostfwd.add(session, Forward("::1", 8080, 80))


def test_adding_and_removing_a_forward_is_idempotent(server: Server) -> None:
    exists = "Could not set up host forwarding rule 'tcp:127.0.0.1:40022-:22'\r\n"
    missing = "host forwarding rule for tcp:127.0.0.1:40022 not found\r\n"
    server.answer = monitor({"hostfwd_add": exists, "info": LISTING, "hostfwd_remove": missing})
    with qmp.session(server.path) as session:
        hostfwd.add(session, Forward("127.0.0.1", 40022, 22))
        hostfwd.add(session, Forward("", 8025, 80))
        hostfwd.remove(session, Forward("127.0.0.1", 40022, 22))
    lines = [request["arguments"]["command-line"] for request in server.requests]
    assert lines[0] == "hostfwd_add net tcp:127.0.0.1:40022-:22"
    assert lines[-1] == "hostfwd_remove net tcp:127.0.0.1:40022"


def test_a_failed_removal_is_an_error(server: Server) -> None:
    server.answer = monitor({"hostfwd_remove": "unrecognized netdev id 'net'\r\n"})
    with qmp.session(server.path) as session, pytest.raises(BackendFailed, match="unrecognized"):
        hostfwd.remove(session, Forward("127.0.0.1", 40022, 22))
