"""Starts a QEMU process: rotates logs, finds a port, spawns, waits for an answer, writes the
record.

Next: `command.py`.
"""

import logging
import os
import shutil
import time
from pathlib import Path

import msgspec

from vm.backends.qemu import boot_files, qmp, running
from vm.backends.qemu.command import Launch, arguments
from vm.backends.qemu.resume_compat import compat_of
from vm.backends.qemu.running import Running
from vm.backends.qemu.shares import folders, virtiofsd
from vm.directory import MachineDir
from vm.errors import BackendFailed
from vm.host import memory, net, process
from vm.host.logs import turn
from vm.messages.qemu import QEMU_OR_AUTO, QEMU_SILENT, QEMU_START_FAILED
from vm.types import Accelerator, MachineSpec

log = logging.getLogger(__name__)

PORT_ATTEMPTS = 5
PORT_TAKEN = "Could not set up host forwarding rule"
ANSWERS_WITHIN = 20.0  # seconds until QMP answers; a tenth of one on a quiet computer
POLL = 0.004  # seconds between two polls
LOG_LIMIT = 1 << 20
TAIL_LINES = 20


def cold_start(
    directory: MachineDir, launch: Launch, chosen: Accelerator, spec: MachineSpec
) -> None:
    """Boot a guest, with memory that can be saved where this computer supports it. Raises as
    `start`."""
    directory.words.unlink(missing_ok=True)
    ram = memory.create(spec.memory_bytes) if memory.supported() else -1
    try:
        start(directory, launch, chosen, spec, ram)
    finally:
        if ram >= 0:
            os.close(ram)


def start(
    directory: MachineDir,
    launch: Launch,
    chosen: Accelerator,
    spec: MachineSpec,
    memory_fd: int = -1,
    console: Path | None = None,
) -> Running:
    """Return once the guest executes, or waits for its state. `memory_fd` becomes its memory;
    `console` is the log that it continues. Raises BackendFailed with QEMU's last lines."""
    if launch.initramfs is None and not launch.waits:
        initramfs = boot_files.initramfs(directory, Path(launch.image))
        launch = msgspec.structs.replace(launch, initramfs=initramfs)
    inherits = () if memory_fd < 0 else (memory_fd,)
    if inherits:
        launch = msgspec.structs.replace(launch, memory_file=memory.path_of(memory_fd))
    for attempt in range(1, PORT_ATTEMPTS + 1):
        launch = msgspec.structs.replace(launch, accelerator=chosen.name, ssh_port=net.free_port())
        with running.changing:
            _prepare_files(directory)
            if console is not None:
                shutil.copyfile(console, directory.console_log)
            log_size = directory.backend_log.stat().st_size
            launch, spec, kind = _serve_shares(directory, launch, spec)
            words = arguments(launch)
            identity = process.spawn_detached(words, log=directory.backend_log, inherits=inherits)
            started = Running(
                identity=identity,
                uuid=launch.uuid,
                ssh_port=launch.ssh_port,
                accelerator=chosen,
                spec=spec,
                share_by=kind,
                memory=memory_fd,
                compat=compat_of(launch, spec),
            )
            running.write_record(directory, started)
        log.info("QEMU was spawned, pid %d", identity.pid)
        if _wait_until_answers(directory, started, launch.waits):
            log.info("QEMU answers")
            for socket in directory.sockets:
                socket.chmod(0o600)
            return started
        output = _log_since(directory, log_size)
        end_failed(directory, started)
        if PORT_TAKEN not in output or attempt == PORT_ATTEMPTS:
            raise _failed(output, launch)
    raise AssertionError("the last attempt returns or raises")


def _serve_shares(
    directory: MachineDir, launch: Launch, spec: MachineSpec
) -> tuple[Launch, MachineSpec, str]:
    """Launch and spec with the folders that can be served, and the driver: QEMU would not start
    with the others."""
    launch, spec, kind = with_shares(directory, launch, spec)
    if kind == folders.VIRTIOFS:
        served = virtiofsd.serve(directory, spec.shares, spec.id_offset)
        return with_shares(directory, launch, msgspec.structs.replace(spec, shares=served))
    return launch, spec, kind


def with_shares(
    directory: MachineDir, launch: Launch, spec: MachineSpec
) -> tuple[Launch, MachineSpec, str]:
    """Launch and spec with the folders that exist, and the driver. Raises ToolMissing,
    SettingsError."""
    if not spec.shares:
        return launch, spec, ""
    kind = folders.choose(spec.share_by)
    served = folders.readable(spec.shares)
    sockets: tuple[Path, ...] = ()
    if kind == folders.VIRTIOFS:
        sockets = tuple(directory.share_socket(number) for number in range(len(served)))
    words = (word for word in launch.guest_options if not word.startswith(folders.WORDS))
    covered = folders.left_to_guest(served, kind, directory.home)
    launch = msgspec.structs.replace(
        launch,
        share_sockets=sockets,
        guest_options=(*words, *folders.guest_words(served, kind, covered)),
    )
    return launch, msgspec.structs.replace(spec, shares=served), kind


def _prepare_files(directory: MachineDir) -> None:
    """Rotate the console log, and remove what a dead QEMU has left."""
    for socket in directory.sockets:
        socket.unlink(missing_ok=True)
    directory.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.run.mkdir(parents=True, exist_ok=True, mode=0o700)
    virtiofsd.sweep(directory)
    turn(directory.console_log, limit=0)
    turn(directory.backend_log, limit=LOG_LIMIT)
    directory.console_log.touch(mode=0o600)
    directory.backend_log.touch(mode=0o600)


def _wait_until_answers(directory: MachineDir, started: Running, waits: bool) -> bool:
    """Whether QEMU answers on its socket and runs, or `waits`; False when it ended or does not
    answer."""
    until = time.monotonic() + ANSWERS_WITHIN
    while not process.wait_gone(started.identity, POLL) and time.monotonic() < until:
        try:
            with qmp.session(directory.qmp_socket) as session:
                mine = session.field("query-uuid", "UUID") == started.uuid
                return mine and session.field("query-status", "running") is not waits
        except qmp.QmpSilent:
            continue
    return False


def end_failed(directory: MachineDir, started: Running) -> None:
    """End the process, in whatever state, and remove its files."""
    process.end(started.identity, force=True)
    process.wait_gone(started.identity, 5)
    running.sweep(directory)


def _log_since(directory: MachineDir, offset: int) -> str:
    with directory.backend_log.open("rb") as log:
        log.seek(offset)
        lines = log.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])


def _failed(output: str, launch: Launch) -> BackendFailed:
    lines = output.splitlines()
    reason = next((line.strip() for line in lines if "error" in line.lower()), "")
    if not reason and lines:
        reason = lines[-1].strip()
    chosen = "" if launch.accelerator == "tcg" else QEMU_OR_AUTO
    return BackendFailed(
        QEMU_START_FAILED,
        reason=reason or QEMU_SILENT.text(seconds=ANSWERS_WITHIN),
        chosen=chosen,
        details=output,
    )
