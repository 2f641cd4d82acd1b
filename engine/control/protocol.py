"""What crosses the control socket, and where it is.

Both ends prove that they know the key in `run/control.key` (only this user can read it). Then:

    server → client   Hello                     once; the client stops here when versions differ
    server → client   Push(status)              at once, then after every change
    client → server   Request(id, method, …)    at any time, several at once
    server → client   Reply(id, …)              one for each request, when its work is done

Every message is one JSON document, sent as bytes: nothing is ever unpickled. `quit` and `Hello`
must keep their shape in all versions, for a new client has to end an old supervisor with them.
Next: `dispatch.py` (what the methods do), `server.py`, `client.py`.
"""

import hashlib
import os
from pathlib import Path

import msgspec

from engine import __version__
from engine.messages.engine import SUPERVISOR_OTHER_BUILD, SUPERVISOR_OTHER_VERSION
from engine.types import EngineStatus
from vm.errors import Problem, VersionMismatch
from vm.host.paths import Home, make_home, write_atomic

PROTOCOL = 6  # raised with every change that an older client or supervisor would not understand
REQUEST_LIMIT = 64 * 1024  # bytes
MESSAGE_LIMIT = 16 * 1024 * 1024  # bytes; of what the supervisor sends

_NOTHING = msgspec.Raw(b"null")
_NO_PARAMS = msgspec.Raw(b"{}")


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first message. `version` is Galley's."""

    protocol: int
    version: str
    pid: int


class Request(msgspec.Struct, frozen=True, tag="request"):
    id: int
    method: str
    params: msgspec.Raw = _NO_PARAMS


class Reply(msgspec.Struct, frozen=True, tag="reply"):
    """`problem` when the request failed, else `result`. `id` is 0 when the request had none."""

    id: int
    result: msgspec.Raw = _NOTHING
    problem: Problem | None = None


class Push(msgspec.Struct, frozen=True, tag="push"):
    status: EngineStatus


class Launched(msgspec.Struct, frozen=True, tag="launched"):
    """The report of a new supervisor to its launcher. `already`: another one is running."""

    pid: int
    already: bool = False
    problem: Problem | None = None


class NoParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class StartParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`trace`: the absolute path of the start trace to write, or ""."""

    repair: bool = False
    trace: str = ""


class StopParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`cold`: power it off, so that the next start boots."""

    cold: bool = False


class SetParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    value: bool | int | float | str


class UnsetParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class DaemonParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str


class CreateSnapshotParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`memory`: include the memory; a running machine is suspended meanwhile."""

    name: str
    memory: bool = False


class RestoreSnapshotParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`cold`: ignore the memory in the snapshot."""

    name: str
    cold: bool = False


class SnapshotParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


METHODS: dict[str, type[msgspec.Struct]] = {
    "status": NoParams,  # → EngineStatus
    "start": StartParams,
    "stop": StopParams,
    "suspend": NoParams,
    "restart": NoParams,
    "delete": NoParams,
    "cancel": NoParams,
    "keep_awake": NoParams,  # resume the machine; it stays awake until this connection ends
    "use": NoParams,  # → MachineUse
    "disk.reclaim": NoParams,  # → Reclaimed
    "image.refresh": NoParams,  # another process has checked or added a guest image: look again
    "settings.set": SetParams,  # → settings.Entry
    "settings.unset": UnsetParams,  # → settings.Entry
    "daemon.get": NoParams,  # → the user's part of daemon.json, as text
    "daemon.set": DaemonParams,
    "snapshots.create": CreateSnapshotParams,
    "snapshots.restore": RestoreSnapshotParams,  # the machine is stopped for it, and started again
    "snapshots.delete": SnapshotParams,
    "reset": NoParams,  # delete, and forget every setting
    "quit": NoParams,  # the supervisor ends, the VM stays
}

encode = msgspec.json.Encoder().encode
decode_hello = msgspec.json.Decoder(Hello).decode
decode_request = msgspec.json.Decoder(Request).decode
decode_answer = msgspec.json.Decoder(Reply | Push).decode
decode_launched = msgspec.json.Decoder(Launched).decode


def check_version(hello: Hello) -> None:
    """Raises VersionMismatch unless the supervisor has this program's version."""
    if hello.protocol == PROTOCOL and hello.version == __version__:
        return
    raise VersionMismatch(
        SUPERVISOR_OTHER_BUILD if hello.version == __version__ else SUPERVISOR_OTHER_VERSION,
        running=hello.version,
        ours=__version__,
        details=f"supervisor pid {hello.pid}, protocol {hello.protocol}; ours is {PROTOCOL}",
    )


def address(home: Home, name: str = "control") -> str:
    """The address of the supervisor ("control"), of its launcher ("launch"), or of the "window"."""
    if os.name == "nt":
        instance = hashlib.sha256(os.fsencode(home.root)).hexdigest()[:16]
        return rf"\\.\pipe\galley-{instance}-{name}"
    return str(home.run / f"{name}.sock")


def window_address(home: Home) -> str:
    """The address on which the window listens for a second start. Raises HomeUnusable where another
    user might listen there."""
    return address(make_home(home), "window")


def key_file(home: Home) -> Path:
    return home.run / "control.key"


def read_key(home: Home) -> bytes | None:
    """The key of this instance, or None while no supervisor has made one."""
    try:
        return key_file(home).read_bytes() or None
    except FileNotFoundError:
        return None


def make_key(home: Home) -> bytes:
    """The key, created if missing. Only the holder of `supervisor.lock` may call this."""
    import secrets

    key = read_key(home)
    if key is None:
        key = secrets.token_hex(32).encode()
        write_atomic(key_file(home), key, 0o600)
    return key
