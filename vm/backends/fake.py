"""`--backend fake`: a simulated machine, for demos and for faults that no real machine shows on
demand.

A detached process stands for the machine, so it outlives supervisors and can be killed like a real
one. `machine/fake.json` (a `FakeScript`) has the faults. Next: `fake_machine.py`.
"""

import base64
import contextlib
import json
import socket
import sys
import uuid
from pathlib import Path
from threading import Event
from typing import Any

import msgspec

from vm.backend import Backend, Force
from vm.backends.fake_machine import FakeScript
from vm.capabilities import (
    CopiesDisk,
    Forget,
    ForwardsPorts,
    GrowsDisk,
    Lost,
    Pauses,
    Progress,
    SharesFolders,
    Still,
)
from vm.directory import MachineDir
from vm.errors import BackendFailed, GuestUnreachable, NoMachine, Problem
from vm.guest.protocol import Guest, Stream
from vm.host import net, process, sparse
from vm.host.logs import turn
from vm.host.paths import write_atomic
from vm.messages.machine import (
    ACCELERATOR_FAKE,
    FAKE_CLOSED,
    FAKE_SCRIPT,
    FAKE_SILENT,
    MACHINE_NOT_RUNNING,
)
from vm.types import (
    Accelerator,
    Address,
    BootOptions,
    Features,
    Forward,
    MachineSpec,
    MachineState,
    Observation,
)


class _Running(msgspec.Struct, frozen=True):
    identity: process.Identity
    port: int
    spec: MachineSpec


class FakeBackend(Backend):
    """Nothing is emulated; every state can be reached."""

    name = "fake"
    features = Features(sockets="ssh", image_format="none")

    def __init__(self) -> None:
        self.pauses = FakePauses()
        self.forwards_ports = FakeForwards()
        self.shares_folders = FakeShares()
        self.grows_disk = FakeDiskGrowth()
        self.copies_disk = FakeDiskCopies()

    def probe(self) -> Problem | None:
        return None

    def create(self, directory: MachineDir, spec: MachineSpec) -> None:
        if not directory.data_disk.exists():
            directory.data_is_new.touch()
            write_atomic(directory.uuid, str(uuid.uuid4()).encode())
            directory.data_disk.touch()

    def start(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        turn(directory.console_log, limit=0)
        port = net.free_port()
        words: list[str | Path] = [sys.executable, "-m", "vm.backends.fake_machine"]
        words += [_script_path(directory), directory.console_log, str(port)]
        root = str(Path(__file__).parents[2])
        identity = process.spawn_detached(
            words, log=directory.backend_log, env={"PYTHONPATH": root}
        )
        _remember(directory, _Running(identity, port, spec))

    def stop(self, directory: MachineDir, force: Force) -> None:
        running = _running(directory)
        if running is None:
            return
        if force is Force.ASK:
            with contextlib.suppress(GuestUnreachable):  # it may end before it has answered
                FakeGuest(running.port).run(("galley-poweroff",))
        else:
            process.end(running.identity, force=True)

    def wait_stopped(self, directory: MachineDir, timeout: float | None) -> bool:
        running = _running(directory)
        return running is None or process.wait_gone(running.identity, timeout)

    def delete(self, directory: MachineDir) -> None:
        _forwards_path(directory).unlink(missing_ok=True)
        for file in (directory.data_disk, directory.data_is_new, directory.uuid, directory.spec):
            file.unlink(missing_ok=True)
        for file in (directory.running, directory.known_host, directory.key, directory.public_key):
            file.unlink(missing_ok=True)

    def observe(self, directory: MachineDir) -> Observation:
        running = _running(directory)
        if running is not None:
            return Observation(
                MachineState.PAUSED if _is_paused(running.port) else MachineState.RUNNING,
                running.identity.pid,
                Address("127.0.0.1", running.port),
                Accelerator("none", ACCELERATOR_FAKE.summary, ACCELERATOR_FAKE.code),
                running.spec,
            )
        there = directory.data_disk.exists()
        return Observation(MachineState.STOPPED if there else MachineState.ABSENT)

    def guest(self, directory: MachineDir, address: Address) -> Guest:
        return FakeGuest(address.port)


class FakePauses(Pauses):
    """The process answers nothing while it is paused."""

    def pause(self, directory: MachineDir) -> None:
        _ask_machine(directory, "pause")

    def resume(self, directory: MachineDir) -> None:
        _ask_machine(directory, "wake")


class FakeForwards(ForwardsPorts):
    """A list only: nothing listens on the host."""

    def forward(self, directory: MachineDir, forward: Forward) -> None:
        if forward.host_port in _script(directory).busy_ports:
            raise net.port_in_use(forward.host_address, forward.host_port, forward.protocol)
        _write_forwards(directory, self.forwarded(directory) | {forward})

    def unforward(self, directory: MachineDir, forward: Forward) -> None:
        _write_forwards(directory, self.forwarded(directory) - {forward})

    def forwarded(self, directory: MachineDir) -> frozenset[Forward]:
        path = _forwards_path(directory)
        if _running(directory) is None or not path.exists():
            return frozenset()
        return msgspec.json.decode(path.read_bytes(), type=frozenset[Forward])


class FakeShares(SharesFolders):
    """The spec's folders count as shared."""

    def probe(self, asked: str) -> Problem | None:
        return None

    def watch(self, directory: MachineDir, ended: Event, forget: Forget, lost: Lost) -> None:
        """Its guest caches nothing."""


class FakeDiskGrowth(GrowsDisk):
    """Changes the record only."""

    def grow(self, directory: MachineDir, disk_bytes: int) -> None:
        running = _running_or_raise(directory)
        spec = msgspec.structs.replace(running.spec, disk_bytes=disk_bytes)
        _remember(directory, msgspec.structs.replace(running, spec=spec))


class FakeDiskCopies(CopiesDisk):
    """A copy ends with its caller."""

    def copy(
        self, directory: MachineDir, target: Path, still: Still, report: sparse.Report
    ) -> None:
        with still():
            sparse.duplicate(directory.data_disk, target, report)

    def drop(self, directory: MachineDir) -> None:
        """No copy outlives its caller."""


class FakeGuest:
    """Talks to the process; see `fake_machine.py` for the protocol."""

    def __init__(self, port: int) -> None:
        self._port = port

    def connect(self, deadline: float) -> None:
        self._open(deadline).close()

    def run(
        self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60.0
    ) -> process.Completed:
        answer = self.ask({"do": "run", "argv": argv})
        return process.Completed(argv, answer["code"], answer["out"].encode(), b"")

    def read(self, path: str) -> bytes:
        data = self.ask({"do": "read", "path": path})["data"]
        if data is None:
            raise FileNotFoundError(path)
        return base64.b64decode(data)

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self.ask({"do": "write", "path": path, "data": base64.b64encode(data).decode()})

    def dial(self, socket_path: str) -> Stream:
        connection = self._open(5.0)
        connection.settimeout(None)
        connection.sendall(json.dumps({"do": "dial", "path": socket_path}).encode() + b"\n")
        if connection.recv(1) != b"+":
            connection.close()
            raise ConnectionRefusedError(socket_path)
        return SocketStream(connection)

    def close(self) -> None:
        """There is no connection to close."""

    def _open(self, timeout: float) -> socket.socket:
        try:
            return socket.create_connection(("127.0.0.1", self._port), timeout)
        except OSError as error:
            raise GuestUnreachable(FAKE_SILENT, details=str(error)) from error

    def ask(self, what: dict[str, Any], timeout: float = 5.0) -> dict[str, Any]:
        """Send one request and return its answer."""
        with self._open(timeout) as connection:
            connection.sendall(json.dumps(what).encode() + b"\n")
            with connection.makefile("rb") as file:
                line = file.readline()
        if not line:
            raise GuestUnreachable(FAKE_CLOSED)
        answer: dict[str, Any] = json.loads(line)
        return answer


class SocketStream:
    """A connected socket as a Stream."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def recv(self, limit: int) -> bytes:
        return self._socket.recv(limit)

    def sendall(self, data: bytes) -> None:
        self._socket.sendall(data)

    def shutdown_write(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the other side may have closed it already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _ask_machine(directory: MachineDir, what: str) -> None:
    FakeGuest(_running_or_raise(directory).port).ask({"do": what})


def _is_paused(port: int) -> bool:
    try:
        return bool(FakeGuest(port).ask({"do": "state"}, 1.0)["paused"])
    except (GuestUnreachable, OSError):  # it is about to end, or has not begun to listen
        return False


def _script_path(directory: MachineDir) -> Path:
    return directory.root / "fake.json"


def _forwards_path(directory: MachineDir) -> Path:
    return directory.root / "fake-forwards.json"


def _script(directory: MachineDir) -> FakeScript:
    path = _script_path(directory)
    if not path.exists():
        return FakeScript()
    try:
        return msgspec.json.decode(path.read_bytes(), type=FakeScript)
    except msgspec.MsgspecError as error:
        raise BackendFailed(FAKE_SCRIPT, path=path, error=error) from error


def _write_forwards(directory: MachineDir, forwards: frozenset[Forward]) -> None:
    write_atomic(_forwards_path(directory), msgspec.json.encode(sorted(forwards)))


def _remember(directory: MachineDir, running: _Running) -> None:
    write_atomic(directory.running, msgspec.json.encode(running))


def _running_or_raise(directory: MachineDir) -> _Running:
    running = _running(directory)
    if running is None:
        raise NoMachine(MACHINE_NOT_RUNNING)
    return running


def _running(directory: MachineDir) -> _Running | None:
    """The living process, or None. A record without a process is ignored."""
    try:
        running = msgspec.json.decode(directory.running.read_bytes(), type=_Running)
    except (OSError, msgspec.MsgspecError):
        return None
    return running if process.is_alive(running.identity) else None
