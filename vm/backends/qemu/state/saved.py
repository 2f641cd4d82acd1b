"""A machine's memory and device state as files: written by one QEMU process, read by another.

    write    guest paused → state written by QEMU (a megabyte) → memory copied
    read     QEMU started with -incoming, memory copied back meanwhile → state read → guest runs

The guest's memory is a memfd that QEMU, virtiofsd and the supervisor share (`vm/host/memory.py`).
So QEMU does not write it (x-ignore-shared), and a running machine writes nothing to this computer's
disk. `suspend.py` and `boot_checkpoint.py` decide when the files are valid. Next:
`vm/backends/qemu/start.py`.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from vm.backends.qemu import qmp, running
from vm.backends.qemu.command import Launch
from vm.backends.qemu.running import Running
from vm.backends.qemu.start import end_failed, start
from vm.directory import MachineDir
from vm.errors import BackendFailed, DiskFull, NotResumable
from vm.host import memory, process, sparse
from vm.image import Fingerprint
from vm.messages import Message
from vm.messages.qemu import QEMU_NO_REASON, SUSPEND_DISK_FULL, SUSPEND_FAILED, SUSPEND_UNFIT
from vm.types import Accelerator, MachineSpec

STATE, RAM, CONSOLE = "state", "ram", "console.log"
FILES = (STATE, RAM, CONSOLE)
IGNORE_SHARED = [{"capability": "x-ignore-shared", "state": True}]
MIGRATED_WITHIN = 60.0  # seconds; 0.025 on a quiet computer
POLL = 0.003  # seconds between two queries of a migration
ENDED_WITHIN = 10.0
SPARE = 64 << 20  # bytes beside the memory


def fingerprints(folder: Path) -> dict[str, Fingerprint]:
    """Of each of FILES. Raises OSError."""
    return {name: Fingerprint.of(folder / name) for name in FILES}


def write(
    directory: MachineDir, found: Running, folder: Path, *, synced: bool, spare: int = SPARE
) -> None:
    """Pause the machine and write its state, memory and console log to a new folder. `synced`: the
    memory is on the disk on return. `spare`: bytes that must stay free. Raises BackendFailed,
    DiskFull, OSError, and the machine then continues."""
    ram = memory.open_of(found.identity.pid, found.memory)
    try:
        folder.mkdir(mode=0o700)
        _need_space(folder, sparse.allocated(ram), spare)
        _stop_and_save(directory, found, folder / STATE)
        try:
            _write_memory(ram, folder / RAM, synced)
            shutil.copyfile(directory.console_log, folder / CONSOLE)
        except OSError:
            resume_running(directory, found)
            raise
    finally:
        os.close(ram)


def end(directory: MachineDir, found: Running) -> None:
    """End a QEMU whose state has been written."""
    with contextlib.suppress(qmp.QmpSilent):  # it may be gone before it has answered
        _execute(directory, found, "quit")
    if not process.wait_gone(found.identity, ENDED_WITHIN):
        process.end(found.identity, force=True)
        process.wait_gone(found.identity, ENDED_WITHIN)
    running.sweep(directory)


def resume_running(directory: MachineDir, found: Running) -> None:
    """Continue a machine whose state has been written. Raises QmpSilent, BackendFailed."""
    _execute(directory, found, "cont")


def sync(path: Path) -> None:
    """Raises OSError."""
    file = os.open(path, os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def read(
    directory: MachineDir,
    launch: Launch,
    chosen: Accelerator,
    spec: MachineSpec,
    folder: Path,
    before_it_runs: Callable[[], None],
) -> Running:
    """Start a QEMU that continues from the files in `folder`. `before_it_runs` is called when all
    is loaded. Raises NotResumable; the guest has not run then, and no process is left."""
    ram = memory.create(launch.memory_bytes)
    try:
        with ThreadPoolExecutor(1) as beside:
            filled = beside.submit(_read_memory, ram, folder / RAM)
            waiting = msgspec.structs.replace(launch, waits=True)
            started = start(directory, waiting, chosen, spec, ram, folder / CONSOLE)
            try:
                _load_state(directory, started, folder / STATE, filled, before_it_runs)
            except (BackendFailed, NotResumable, OSError) as error:
                end_failed(directory, started)
                raise unfit("its state cannot be read", str(error)) from error
    finally:
        os.close(ram)
    return started


def unfit(reason: str | Message, details: str = "") -> NotResumable:
    return NotResumable(
        SUSPEND_UNFIT,
        reason=reason,
        details=details,
    )


# --- writing --------------------------------------------------------------------------------


def _need_space(folder: Path, held: int, spare: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < held + spare:
        raise DiskFull(
            SUSPEND_DISK_FULL,
            needed=held,
            folder=folder,
            free=free,
        )


def _stop_and_save(directory: MachineDir, found: Running, state: Path) -> None:
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
            reason = seen.get("error-desc", QEMU_NO_REASON)
            raise BackendFailed(SUSPEND_FAILED, reason=reason)
        time.sleep(POLL)


def _write_memory(ram: int, path: Path, synced: bool) -> None:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        memory.copy(ram, file)
        if synced:
            os.fsync(file)
    finally:
        os.close(file)


# --- reading --------------------------------------------------------------------------------


def _read_memory(ram: int, path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        if os.fstat(file).st_size != os.fstat(ram).st_size:
            raise OSError("the memory on disk has another size")
        memory.copy(file, ram)
    finally:
        os.close(file)


def _load_state(
    directory: MachineDir,
    started: Running,
    state: Path,
    filled: "Future[None]",
    before_it_runs: Callable[[], None],
) -> None:
    filled.result()
    with running.control(directory, started, MIGRATED_WITHIN) as session:
        session.execute("migrate-set-capabilities", capabilities=IGNORE_SHARED)
        session.execute("migrate-incoming", uri=f"file:{state}")
        _await_migration(session)
        before_it_runs()
        session.execute("cont")


def _execute(directory: MachineDir, found: Running, command: str) -> None:
    with running.control(directory, found) as session:
        session.execute(command)
