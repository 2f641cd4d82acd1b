"""Which QEMU process is this machine's: the record of a start, its proof, the search without it.

May import: msgspec, psutil, `vm` values, `vm.host`. A process is ours when it still is the one we
started (pid and start time) and its own command line carries our uuid. A record whose process is
gone is nothing; a process whose record is gone is found by its uuid. Next: `backend.py`.
"""

import re
import threading
from itertools import pairwise

import msgspec
import psutil

from vm.directory import MachineDir
from vm.host import process
from vm.host.paths import write_atomic
from vm.types import Accelerator, MachineSpec

_forgetting = threading.Lock()


class Running(msgspec.Struct, frozen=True):
    """A QEMU that was started for a machine: the content of `running.json`."""

    identity: process.Identity
    uuid: str
    ssh_port: int
    accelerator: Accelerator
    spec: MachineSpec | None  # None: adopted, and nobody knows


def remember(directory: MachineDir, running: Running) -> None:
    write_atomic(directory.running, msgspec.json.encode(running))


def find(directory: MachineDir) -> Running | None:
    """The machine's living process, or None. Raises nothing; writes nothing."""
    uuid = read_uuid(directory)
    if uuid is None:
        return None
    recorded = _recorded(directory)
    if recorded is not None and recorded.uuid != uuid:
        recorded = None
    if recorded is not None and _is_ours(recorded.identity, uuid):
        return recorded
    return _search(directory, uuid, recorded)


def forget(directory: MachineDir, ended: Running) -> None:
    """Remove what a process left behind, unless another has been started since."""
    with _forgetting:
        recorded = _recorded(directory)
        if recorded is None or recorded.identity.pid == ended.identity.pid:
            directory.running.unlink(missing_ok=True)
            directory.qmp_socket.unlink(missing_ok=True)


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


def _is_ours(identity: process.Identity, uuid: str) -> bool:
    return process.is_alive(identity) and _value(_words(identity.pid), "-uuid") == uuid


def _search(directory: MachineDir, uuid: str, recorded: Running | None) -> Running | None:
    """A QEMU with our uuid and our socket, whoever started it and whatever became of its record.

    Its record may be right but for the start time, which Linux counts from a boot time that moves
    when the clock is set.
    """
    for candidate in psutil.process_iter(["name"]):
        if not (candidate.info["name"] or "").startswith("qemu-system"):
            continue
        words = _words(candidate.pid)
        identity = process.identify(candidate.pid)
        if identity is None or _value(words, "-uuid") != uuid:
            continue
        if recorded is not None and recorded.identity.pid == identity.pid:
            return msgspec.structs.replace(recorded, identity=identity)
        return _adopt(directory, identity, uuid, words)
    return None


def _adopt(
    directory: MachineDir, identity: process.Identity, uuid: str, words: list[str]
) -> Running | None:
    port = re.search(r"hostfwd=tcp:127\.0\.0\.1:(\d+)-:22", " ".join(words))
    name = _value(words, "-accel").partition(",")[0]
    if port is None or str(directory.qmp_socket).replace(",", ",,") not in " ".join(words):
        return None
    reason = "It was chosen when the machine was started."
    try:
        spec = msgspec.json.decode(directory.spec.read_bytes(), type=MachineSpec)
    except (OSError, msgspec.MsgspecError):
        spec = None
    return Running(identity, uuid, int(port[1]), Accelerator(name, reason), spec)


def _words(pid: int) -> list[str]:
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def _value(words: list[str], option: str) -> str:
    """The word after `option`, "" when it is not there."""
    return next((after for word, after in pairwise(words) if word == option), "")
