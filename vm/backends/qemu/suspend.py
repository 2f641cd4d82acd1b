"""A machine on disk: its memory and its devices' state, taken, checked, and gone on from.

    save      guest halted → state written by QEMU (a megabyte) → memory copied → QEMU ended →
              everything on the disk → manifest, and only now it counts
    resume    manifest fits → a QEMU that waits, while memory is copied back → state read →
              manifest removed, for from here on the data disk moves on → guest runs

The guest's memory is a memfd that QEMU, virtiofsd and we share (`vm/host/memory.py`), so QEMU need
not write it (x-ignore-shared) and a running machine writes nothing to this computer's disk. Files
are the same ones as long as not even their time of change differs; so is the data disk.
May import: msgspec, `vm` values, `vm.host`, this package but `backend.py`. Next:
`circumstances.py`, `start.py`.
"""

import contextlib
import logging
import os
import shutil
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from vm.backends.qemu import qmp, running
from vm.backends.qemu.circumstances import Circumstances, circumstances, difference
from vm.backends.qemu.command import Launch
from vm.backends.qemu.running import Running
from vm.backends.qemu.start import give_up, start, with_shares
from vm.directory import MachineDir
from vm.errors import BackendFailed, DiskFull, GalleyError, NotResumable
from vm.host import memory, process, sparse
from vm.host.paths import sync_directory, unusable, write_atomic
from vm.host.sparse import Report
from vm.image import Fingerprint
from vm.types import Accelerator, MachineSpec

log = logging.getLogger(__name__)

MANIFEST, STATE, RAM, CONSOLE = "manifest.json", "state", "ram", "console.log"
IGNORE_SHARED = [{"capability": "x-ignore-shared", "state": True}]
MIGRATED_WITHIN = 60.0  # seconds; a fortieth of one on a quiet computer
GLANCE = 0.003  # seconds between two looks at a migration
ENDED_WITHIN = 10.0
SPARE = 64 << 20  # bytes beside the memory


class Suspended(msgspec.Struct, frozen=True):
    """The content of the manifest."""

    circumstances: Circumstances
    at: float  # seconds since the epoch
    files: dict[str, Fingerprint]
    data_disk: Fingerprint


def is_there(directory: MachineDir) -> bool:
    return os.path.exists(directory.suspended / MANIFEST)


def forget(directory: MachineDir) -> None:
    """It counts no more from here on; its files go in their own time."""
    manifest = directory.suspended / MANIFEST
    with contextlib.suppress(FileNotFoundError):
        manifest.unlink()
        sync_directory(directory.suspended)
    old = directory.suspended.with_name(f"suspended.{time.monotonic_ns()}")
    with contextlib.suppress(OSError):
        directory.suspended.rename(old)
    for folder in directory.root.glob("suspended.*"):
        threading.Thread(target=shutil.rmtree, args=(folder, True), daemon=True).start()


def save(directory: MachineDir, found: Running) -> None:
    """Raises BackendFailed, DiskFull; the machine then goes on."""
    if found.memory < 0 or found.circumstances is None:
        raise BackendFailed(
            "The machine cannot be suspended: it was started by another version of Galley.",
            "`galley stop --cold` powers it off.",
        )
    forget(directory)
    try:
        _take(directory, found)
        _end(directory, found)
        _make_valid(directory, found.circumstances)
    except OSError as error:
        forget(directory)
        raise unusable(directory.root, error) from error
    except GalleyError:
        forget(directory)
        raise


def resume(
    directory: MachineDir, launch: Launch, chosen: Accelerator, spec: MachineSpec
) -> Running:
    """Raises NotResumable with the reason; the data disk is untouched then, and nothing runs."""
    saved = _fitting(directory, launch, spec)
    ram = memory.create(launch.memory_bytes)
    try:
        with ThreadPoolExecutor(1) as beside:
            filled = beside.submit(_fill, ram, directory.suspended / RAM)
            waiting = msgspec.structs.replace(launch, waits=True)
            started = start(directory, waiting, chosen, spec, ram, directory.suspended / CONSOLE)
            try:
                _go_on(directory, started, saved, filled)
            except (BackendFailed, NotResumable, OSError) as error:
                give_up(directory, started)
                raise _not("its state cannot be read", str(error)) from error
    finally:
        os.close(ram)
    return started


# --- beside a copy of the data disk -----------------------------------------------------------


def keep(directory: MachineDir, disk: Path, folder: Path, report: Report) -> bool:
    """Copy what is suspended to `folder`, to count with `disk`, which is a copy of its data disk.
    False, and nothing is made, where it does not count now. Raises OSError, DiskFull."""
    saved = _counting(directory.suspended, directory.data_disk)
    if saved is not None:
        _copy(saved, directory.suspended, disk, folder, report)
    return saved is not None


def put_back(directory: MachineDir, disk: Path, folder: Path, report: Report) -> bool:
    """Make what `keep` made count with the data disk, which now is a copy of `disk`. False where it
    has been changed: then it starts from cold. Raises OSError, DiskFull."""
    saved = _counting(folder, disk)
    if saved is not None:
        forget(directory)
        _copy(saved, folder, directory.data_disk, directory.suspended, report)
    return saved is not None


def _counting(folder: Path, disk: Path) -> Suspended | None:
    """What is suspended in `folder`, when neither it nor `disk` was touched since."""
    try:
        saved = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Suspended)
        files = {name: Fingerprint.of(folder / name) for name in (STATE, RAM, CONSOLE)}
        return saved if (files, Fingerprint.of(disk)) == (saved.files, saved.data_disk) else None
    except (OSError, msgspec.MsgspecError):
        return None


def _copy(saved: Suspended, source: Path, disk: Path, target: Path, report: Report) -> None:
    target.mkdir(mode=0o700)
    for name in saved.files:
        sparse.duplicate(source / name, target / name, report)
    files = {name: Fingerprint.of(target / name) for name in saved.files}
    manifest = msgspec.structs.replace(saved, files=files, data_disk=Fingerprint.of(disk))
    write_atomic(target / MANIFEST, msgspec.json.encode(manifest))


# --- saving ---------------------------------------------------------------------------------


def _take(directory: MachineDir, found: Running) -> None:
    """State, memory and console of the machine, which is halted then."""
    folder = directory.suspended
    ram = memory.open_of(found.identity.pid, found.memory)
    try:
        folder.mkdir(mode=0o700)
        _need_space(folder, sparse.allocated(ram))
        _halt_and_write(directory, found, folder / STATE)
        try:
            _write_memory(ram, folder / RAM)
            shutil.copyfile(directory.console_log, folder / CONSOLE)
        except OSError:
            _say(directory, found, "cont")
            raise
    finally:
        os.close(ram)


def _need_space(folder: Path, held: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < held + SPARE:
        raise DiskFull(
            f"Suspending needs {held / 2**20:.0f} MiB for the machine's memory, and the disk that "
            f"holds {folder} has {free / 2**20:.0f} MiB free.",
            "Free some space, or power it off: galley stop --cold",
        )


def _halt_and_write(directory: MachineDir, found: Running, state: Path) -> None:
    with running.control(directory, found, MIGRATED_WITHIN) as session:
        session.execute("stop")
        try:
            session.execute("migrate-set-capabilities", capabilities=IGNORE_SHARED)
            session.execute("migrate", uri=f"file:{state}")
            _await_migration(session)
        except BackendFailed:
            session.execute("cont")
            raise


def _await_migration(session: qmp.Session) -> None:
    """Raises BackendFailed with QEMU's reason."""
    while True:
        answer = session.execute("query-migrate")
        seen = answer if isinstance(answer, dict) else {}
        if seen.get("status") == "completed":
            return
        if seen.get("status") in ("failed", "cancelled"):
            reason = seen.get("error-desc", "it gives no reason")
            raise BackendFailed(f"QEMU could not suspend or resume the machine: {reason}.")
        time.sleep(GLANCE)


def _write_memory(ram: int, path: Path) -> None:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        memory.copy(ram, file)
        os.fsync(file)
    finally:
        os.close(file)


def _end(directory: MachineDir, found: Running) -> None:
    with contextlib.suppress(qmp.QmpSilent):  # it may be gone before it has answered
        _say(directory, found, "quit")
    if not process.wait_gone(found.identity, ENDED_WITHIN):
        process.end(found.identity, force=True)
        process.wait_gone(found.identity, ENDED_WITHIN)
    running.sweep(directory)


def _make_valid(directory: MachineDir, taken: Circumstances) -> None:
    folder = directory.suspended
    for path in (folder / STATE, folder / CONSOLE, directory.data_disk):
        _sync(path)
    files = {name: Fingerprint.of(folder / name) for name in (STATE, RAM, CONSOLE)}
    manifest = Suspended(taken, time.time(), files, Fingerprint.of(directory.data_disk))
    write_atomic(folder / MANIFEST, msgspec.json.encode(manifest))


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


# --- resuming -------------------------------------------------------------------------------


def _fitting(directory: MachineDir, launch: Launch, spec: MachineSpec) -> Suspended:
    """What was suspended, when it fits in every respect. Raises NotResumable."""
    folder = directory.suspended
    try:
        saved = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Suspended)
    except (OSError, msgspec.MsgspecError) as error:
        raise _not("its manifest cannot be read", str(error)) from error
    try:
        now = circumstances(*with_shares(directory, launch, spec)[:2])
        files = {name: Fingerprint.of(folder / name) for name in saved.files}
        disk = Fingerprint.of(directory.data_disk)
    except OSError as error:
        raise _not("a file of it is missing", str(error)) from error
    if reason := difference(saved.circumstances, now):
        raise _not(reason)
    if files != saved.files or files.keys() != {STATE, RAM, CONSOLE}:
        raise _not("a file of it has been changed")
    if disk != saved.data_disk:
        raise _not("the data disk has been changed")
    return saved


def _fill(ram: int, path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(file).st_size != os.fstat(ram).st_size:
            raise OSError("the memory on disk has another size")
        memory.copy(file, ram)
    finally:
        os.close(file)


def _go_on(
    directory: MachineDir, started: Running, saved: Suspended, filled: "Future[None]"
) -> None:
    filled.result()
    with running.control(directory, started, MIGRATED_WITHIN) as session:
        session.execute("migrate-set-capabilities", capabilities=IGNORE_SHARED)
        session.execute("migrate-incoming", uri=f"file:{directory.suspended / STATE}")
        _await_migration(session)
        forget(directory)
        session.execute("cont")
    log.info("went on from %s", time.strftime("%F %T", time.localtime(saved.at)))


def _say(directory: MachineDir, found: Running, command: str) -> None:
    with running.control(directory, found) as session:
        session.execute(command)


def _not(reason: str, details: str = "") -> NotResumable:
    return NotResumable(
        f"The suspended machine cannot go on: {reason}.",
        "It starts from cold; nothing on its disk is lost.",
        details=details,
    )
