"""Finds the machine's QEMU process: by its record, `running.json`, or by its command line.

A process is the machine's if it runs as this user, has the recorded pid and start time, and has the
machine's uuid and control socket on its command line. A record without a process is ignored; a
process without a record is found. Next: `backend.py`.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import msgspec

from vm import last_spec
from vm.backends.qemu import qmp
from vm.backends.qemu.resume_compat import ResumeCompat
from vm.backends.qemu.shares import virtiofsd
from vm.directory import MachineDir
from vm.errors import NoMachine
from vm.host import process, process_search
from vm.host.paths import write_atomic
from vm.messages.machine import MACHINE_NOT_RUNNING
from vm.messages.qemu import ACCELERATOR_CHOSEN_BEFORE, QEMU_OTHER_MACHINE
from vm.types import Accelerator, MachineSpec

changing = threading.Lock()  # held from the sweep before a start until the record is written


class Running(msgspec.Struct, frozen=True):
    """A QEMU that was started for a machine: the content of `running.json`."""

    identity: process.Identity
    uuid: str
    ssh_port: int
    accelerator: Accelerator
    spec: MachineSpec | None  # None: adopted, and unknown
    share_by: str = ""  # "virtiofs", "sftp" or ""
    memory: int = -1  # its descriptor in the process; -1: it cannot be suspended
    compat: ResumeCompat | None = msgspec.field(default=None, name="circumstances")


def write_record(directory: MachineDir, running: Running) -> None:
    write_atomic(directory.running, msgspec.json.encode(running))


def record_disk_size(directory: MachineDir, running: Running, disk_bytes: int) -> None:
    """Record that the data disk has grown."""
    spec, taken = running.spec, running.compat
    if spec is not None:
        spec = msgspec.structs.replace(spec, disk_bytes=disk_bytes)
    if taken is not None:
        taken = msgspec.structs.replace(taken, disk_bytes=disk_bytes)
    write_record(directory, msgspec.structs.replace(running, spec=spec, compat=taken))


def find(directory: MachineDir) -> Running | None:
    """The machine's living process, or None. Raises nothing; writes nothing."""
    uuid = read_uuid(directory)
    if uuid is None:
        return None
    recorded = _recorded(directory)
    if recorded is not None and process.is_alive(recorded.identity):
        # Without a command line it is ending, and locks the disk until it has ended.
        words = process_search.command_line(recorded.identity.pid)
        if not words or _is_ours(directory, uuid, words):
            return recorded
    return _search(directory, uuid, recorded)


def find_or_raise(directory: MachineDir) -> Running:
    """The machine's living process. Raises NoMachine."""
    found = find(directory)
    if found is None:
        raise NoMachine(MACHINE_NOT_RUNNING)
    return found


def sweep(directory: MachineDir) -> None:
    """Remove the files of an ended process. Does nothing while one runs."""
    with changing:
        if find(directory) is None:
            directory.running.unlink(missing_ok=True)
            for socket in (*directory.sockets, directory.traffic_socket):
                socket.unlink(missing_ok=True)
            virtiofsd.sweep(directory)


@contextmanager
def control(
    directory: MachineDir, found: Running, deadline: float = qmp.DEADLINE
) -> Iterator[qmp.Session]:
    """A QMP session, after a check that the process is `found`; else QmpSilent is raised."""
    with qmp.session(directory.qmp_socket, deadline) as session:
        if session.field("query-uuid", "UUID") != found.uuid:
            raise qmp.QmpSilent(
                QEMU_OTHER_MACHINE,
                details=str(directory.qmp_socket),
            )
        yield session


def read_uuid(directory: MachineDir) -> str | None:
    try:
        return directory.uuid.read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _recorded(directory: MachineDir) -> Running | None:
    try:
        return msgspec.json.decode(directory.running.read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None


def _is_ours(directory: MachineDir, uuid: str, words: list[str]) -> bool:
    """The socket counts too: a copied home has the same uuid."""
    socket = f"path={directory.qmp_socket},".replace(",", ",,")[:-1]
    return _value(words, "-uuid") == uuid and any(socket in word for word in words)


def _search(directory: MachineDir, uuid: str, recorded: Running | None) -> Running | None:
    """The machine's QEMU among all processes of this user.

    The record may have another start time: Linux derives it from the boot time, which moves when
    the clock is set.
    """
    for identity, words in process_search.own("qemu-system"):
        if not _is_ours(directory, uuid, words):
            continue
        if recorded is not None and recorded.identity.pid == identity.pid:
            return msgspec.structs.replace(recorded, identity=identity)
        return _adopt(directory, identity, uuid, words)
    return None


def _adopt(
    directory: MachineDir, identity: process.Identity, uuid: str, words: list[str]
) -> Running:
    """A new record, from the command line."""
    port = re.search(r"hostfwd=tcp:127\.0\.0\.1:(\d+)-:22", " ".join(words))
    name = _value(words, "-accel").partition(",")[0]
    chosen = ACCELERATOR_CHOSEN_BEFORE
    accelerator = Accelerator(name, chosen.summary, chosen.code)
    spec = last_spec.read(directory)
    by = "virtiofs" if "vhost-user-fs-pci" in " ".join(words) else "sftp"
    return Running(
        identity=identity,
        uuid=uuid,
        ssh_port=int(port[1]) if port else 0,
        accelerator=accelerator,
        spec=spec,
        share_by=by if spec is not None and spec.shares else "",
    )


def _value(words: list[str], option: str) -> str:
    """The word after `option`, "" without one."""
    return next((after for word, after in pairwise(words) if word == option), "")
