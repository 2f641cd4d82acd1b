"""The machine as a QEMU process: detached, sandboxed, reached through ssh and one socket file.

It remembers nothing between calls: `running.py` finds the process each time. Next: `start.py` (how
a process comes to be), `command.py` (what it is told), `accel.py` (how its instructions run),
`hostfwd.py` (ports), `mirror.py` (a copy of the disk).
"""

import logging
import os
import platform
import shutil
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event

import msgspec
import psutil

from vm import image
from vm.backend import Force, Forget, Lost, Still
from vm.backends.qemu import (
    accel,
    boot_files,
    hostfwd,
    io_error_watch,
    mirror,
    program,
    qmp,
    running,
    start,
    virtiofsd_monitor,
    wake_on_traffic,
)
from vm.backends.qemu.command import DATA, INITRAMFS, KERNEL, ROOT, Launch
from vm.backends.qemu.shares import folders, virtiofsd
from vm.backends.qemu.state import boot_checkpoint, suspend
from vm.directory import MachineDir
from vm.errors import (
    BackendFailed,
    DiskFull,
    GalleyError,
    MachineBusy,
    NoMachine,
    NotEnough,
    Problem,
)
from vm.guest.protocol import Guest
from vm.host import memory, process, sparse
from vm.host.paths import unusable, write_atomic
from vm.types import (
    Accelerator,
    Address,
    DiskError,
    Features,
    Forward,
    MachineSpec,
    MachineState,
    Observation,
)

log = logging.getLogger(__name__)

LOOPBACK, SSH_PORT = "127.0.0.1", 22
LEAST_FREE = 2 << 30  # bytes for a first image and its container; the disk itself is sparse
OBSERVE_DEADLINE = 1.0
COPY_DEADLINE = 30.0  # seconds for one command: the last one also waits for the disk
STATES = {"running": MachineState.RUNNING, "inmigrate": MachineState.STARTING}  # else it is halted
SSHD_STARTS_WITHIN = 30.0  # seconds after the engine, which is let go first; usually 1.4


class QemuBackend:
    """See `vm.backend.Backend`; methods say only what is QEMU's own."""

    name = "qemu"
    features = Features(
        forwards=True,
        suspend=memory.supported(),
        pause=True,
        knocks=True,
        shares=folders.WAYS,
        sockets="relay",
        image_format="qcow2",
    )

    def probe(self) -> Problem | None:
        return _problem_of(program.find)

    def probe_shares(self, asked: str) -> Problem | None:
        return _problem_of(lambda: folders.choose(asked))

    def probe_owners(self, asked: str) -> Problem | None:
        def look() -> None:
            if folders.choose(asked) == folders.VIRTIOFS and os.getuid() != 0:
                virtiofsd.lent()

        return _problem_of(look)

    def create(self, directory: MachineDir, spec: MachineSpec) -> None:
        try:
            if running.read_uuid(directory) is None:
                write_atomic(directory.uuid, str(uuid.uuid4()).encode())
            if not directory.data_disk.exists():
                _need_space(directory.root)
                directory.data_is_new.touch()  # first: a disk without it would not be formatted
                directory.data_disk.touch(mode=0o600)
            _grow(directory.data_disk, spec.disk_bytes)
        except OSError as error:
            raise unusable(directory.root, error) from error

    def start(
        self,
        directory: MachineDir,
        spec: MachineSpec,
        guest_options: tuple[str, ...],
        progress: Callable[[str], None],
        *,
        afresh: bool = False,
    ) -> None:
        launch, chosen = self._launch(directory, spec, guest_options, progress)
        suspend.forget(directory)
        if afresh:
            boot_checkpoint.forget(directory)
        elif memory.supported() and boot_checkpoint.is_useful(directory, launch, spec):
            boot_checkpoint.begin(directory, launch, chosen, spec, progress)
            return
        directory.words.unlink(missing_ok=True)
        ram = memory.create(spec.memory_bytes) if memory.supported() else -1
        try:
            start.start(directory, launch, chosen, spec, ram)
        finally:
            if ram >= 0:
                os.close(ram)

    def handover(self, directory: MachineDir) -> bytes | None:
        return boot_files.message(directory) if boot_files.is_awaited(directory) else None

    def why_slow(self, directory: MachineDir) -> Problem | None:
        return boot_checkpoint.why_not(directory)

    def _launch(
        self,
        directory: MachineDir,
        spec: MachineSpec,
        guest_options: tuple[str, ...],
        progress: Callable[[str], None],
    ) -> tuple[Launch, Accelerator]:
        qemu = program.find()
        identity = running.read_uuid(directory)
        if identity is None or not directory.data_disk.exists():
            raise NoMachine("There is no machine to start yet.")
        if running.find(directory) is not None:
            raise MachineBusy("The machine is running already.")
        _check(spec)
        launch = Launch(
            program=str(qemu.path),
            system=platform.system(),
            arch=program.arch(),
            accelerator="tcg",
            cpus=spec.cpus,
            memory_bytes=spec.memory_bytes,
            image=Path(spec.image),
            data_disk=directory.data_disk,
            uuid=identity,
            ssh_port=0,
            qmp_socket=directory.qmp_socket,
            events_socket=directory.events_socket,
            relay_socket=directory.relay_socket,
            console_log=directory.console_log,
            guest_options=guest_options,
            cpu_model=spec.cpu_model,
        )
        chosen = accel.choose(
            spec.accelerator, launch, directory.accelerator, qemu.version, progress
        )
        return msgspec.structs.replace(launch, accelerator=chosen.name), chosen

    def suspend(self, directory: MachineDir) -> None:
        suspend.save(directory, _running(directory))

    def is_suspended(self, directory: MachineDir) -> bool:
        return suspend.is_there(directory)

    def resume(
        self,
        directory: MachineDir,
        spec: MachineSpec,
        guest_options: tuple[str, ...],
        progress: Callable[[str], None],
    ) -> None:
        launch, chosen = self._launch(directory, spec, guest_options, progress)
        suspend.resume(directory, launch, chosen, spec)

    def stop(self, directory: MachineDir, force: Force) -> None:
        """A QEMU that does not listen is logged, not raised: the next harder `Force` follows."""
        found = running.find(directory)
        if found is None:
            return
        if force is Force.KILL:
            process.end(found.identity, force=True)
            return
        try:
            with running.control(directory, found) as session:
                session.execute("system_powerdown" if force is Force.ASK else "quit")
        except qmp.QmpSilent as error:
            log.warning("QEMU did not hear %s: %s", force, error.details)

    def wait_stopped(self, directory: MachineDir, timeout: float | None) -> bool:
        found = running.find(directory)
        gone = found is None or process.wait_gone(found.identity, timeout)
        if gone:
            running.sweep(directory)
        return gone

    def pause(self, directory: MachineDir) -> None:
        with running.control(directory, _running(directory)) as session:
            session.execute("stop")

    def wake(self, directory: MachineDir) -> None:
        found = _running(directory)
        suspend.forget(directory)  # whoever was resuming it may have died before he did
        with running.control(directory, found) as session:
            session.execute("cont")

    def wait_knock(self, directory: MachineDir, listening: Callable[[], None]) -> bool:
        found = running.find(directory)
        return found is not None and wake_on_traffic.wait(directory, found, listening)

    def grow(self, directory: MachineDir, disk_bytes: int) -> None:
        found = _running(directory)
        with running.control(directory, found) as session:
            session.execute("block_resize", **{"node-name": DATA, "size": disk_bytes})
        running.remember_disk(directory, found, disk_bytes)

    def wait_disk_error(self, directory: MachineDir) -> DiskError | None:
        while (found := running.find(directory)) is not None:
            tells = directory.events_socket.exists()  # else an older Galley has started it
            if tells and (error := io_error_watch.wait(directory)) is not None:
                return error
            process.wait_gone(found.identity, 1.0 if tells else None)
        return None

    def watch_crowd(self, directory: MachineDir, ended: Event, forget: Forget, lost: Lost) -> None:
        virtiofsd_monitor.watch(directory, ended, forget, lost)

    def go_on(self, directory: MachineDir) -> None:
        found = running.find(directory)
        if found is not None:
            with running.control(directory, found) as session:
                if session.field("query-status", "status") == io_error_watch.STATUS:
                    session.execute("cont")

    def delete(self, directory: MachineDir) -> None:
        if running.find(directory) is not None:
            raise MachineBusy("The machine is running.", "Stop it first: galley stop")
        for file in (
            *(directory.data_disk, directory.data_is_new, directory.uuid, directory.spec),
            *(directory.running, directory.accelerator, directory.initramfs),
            *(directory.known_host, directory.key, directory.public_key, directory.words),
            *(*directory.sockets, directory.knock_socket),
        ):
            file.unlink(missing_ok=True)
        shutil.rmtree(directory.handover, ignore_errors=True)
        suspend.forget(directory)
        boot_checkpoint.forget(directory)

    def copy_disk(
        self, directory: MachineDir, target: Path, still: Still, report: sparse.Report
    ) -> None:
        found = running.find(directory)
        if found is None:
            sparse.duplicate(directory.data_disk, target, report)
            return
        if sparse.clones(target.parent):
            with still():
                sparse.duplicate(directory.data_disk, target, report)
            return
        sparse.check_room(target.parent, sparse.allocated(directory.data_disk))
        control = partial(running.control, directory, found, COPY_DEADLINE)
        mirror.copy(control, directory.data_disk.stat().st_size, target, still, report)

    def keep_suspended(
        self, directory: MachineDir, disk: Path, folder: Path, report: sparse.Report
    ) -> bool:
        return suspend.keep(directory, disk, folder, report)

    def put_back_suspended(
        self, directory: MachineDir, disk: Path, folder: Path, report: sparse.Report
    ) -> bool:
        return suspend.put_back(directory, disk, folder, report)

    def drop_copy(self, directory: MachineDir) -> None:
        found = running.find(directory)
        if found is not None:
            mirror.drop(partial(running.control, directory, found))

    def observe(self, directory: MachineDir) -> Observation:
        found = running.find(directory)
        if found is None:
            there = os.path.exists(directory.data_disk)  # unlike Path.exists, it never raises
            return Observation(MachineState.STOPPED if there else MachineState.ABSENT)
        return Observation(
            _state(directory, found),
            found.identity.pid,
            Address(LOOPBACK, found.ssh_port),
            found.accelerator,
            found.spec,
            found.share_by,
        )

    def guest(self, directory: MachineDir, address: Address) -> Guest:
        from vm.guest.relay import RelayedGuest
        from vm.guest.ssh import SshGuest  # paramiko is slow to import, and most calls need no ssh

        ssh = SshGuest(address, directory.key, directory.known_host, SSHD_STARTS_WITHIN)
        if not directory.relay_socket.exists():  # an older Galley has started it
            return ssh
        return RelayedGuest(lambda until: qmp.connect_to(directory.relay_socket, until), ssh)

    def forward(self, directory: MachineDir, forward: Forward) -> None:
        with running.control(directory, _running(directory)) as session:
            hostfwd.add(session, forward)

    def unforward(self, directory: MachineDir, forward: Forward) -> None:
        found = running.find(directory)
        if found is not None:
            with running.control(directory, found) as session:
                hostfwd.remove(session, forward)

    def forwarded(self, directory: MachineDir) -> frozenset[Forward]:
        found = running.find(directory)
        if found is None:
            return frozenset()
        with running.control(directory, found) as session:
            return hostfwd.carried(session) - {Forward(LOOPBACK, found.ssh_port, SSH_PORT)}


def _problem_of(probe: Callable[[], object]) -> Problem | None:
    try:
        probe()
    except GalleyError as error:
        return error.to_problem()
    return None


def _running(directory: MachineDir) -> running.Running:
    found = running.find(directory)
    if found is None:
        raise NoMachine("The machine is not running.", "Start it: galley start")
    return found


def _need_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise DiskFull(
            f"The disk that holds {folder} has {free / 2**30:.1f} GiB free; "
            f"a machine needs {LEAST_FREE / 2**30:.0f} GiB.",
            "Free some space, or set GALLEY_HOME to a directory on another disk.",
        )


def _grow(disk: Path, size: int) -> None:
    """Sparse: growing costs nothing until the guest writes. Never shrinks."""
    if disk.stat().st_size < size:
        os.truncate(disk, size)


def _check(spec: MachineSpec) -> None:
    """Raises NotEnough, ImageDamaged: what QEMU would say later and less clearly."""
    processors, installed = psutil.cpu_count() or 1, psutil.virtual_memory().total
    if spec.cpus > processors:
        raise NotEnough(
            f"The machine is to have {spec.cpus} CPUs, and this computer has {processors}.",
            f"Give it at most {processors}: galley settings set",
        )
    if spec.memory_bytes > installed:
        raise NotEnough(
            f"The machine is to have {spec.memory_bytes / 2**30:.1f} GiB of memory, "
            f"and this computer has {installed / 2**30:.1f}.",
            "Give it less: galley settings set",
        )
    for name in (KERNEL, INITRAMFS, ROOT):
        if not (Path(spec.image) / name).is_file():
            raise image.damaged(Path(spec.image), name, "it is missing")


def _state(directory: MachineDir, found: running.Running) -> MachineState:
    """What QMP says of a process that is ours. One too busy to answer still runs; one that waits
    for room on this computer's disk answers nobody."""
    try:
        with running.control(directory, found, OBSERVE_DEADLINE) as session:
            status = session.field("query-status", "status")
    except BackendFailed:
        return MachineState.RUNNING if process.is_alive(found.identity) else MachineState.STOPPED
    return STATES.get(str(status), MachineState.PAUSED)
