"""The QEMU backend: a detached, sandboxed QEMU process for each machine.

It keeps no state between calls: `running.py` finds the process each time. Here are the ten members
of every backend; each capability is a class in the module of its concern. Next: `launch.py` and
`start.py`, which start a process, `command.py`, which builds its command line.
"""

import logging
import os
import shutil
import uuid

from vm.backend import Backend, Force
from vm.backends.qemu import program, qmp, running
from vm.backends.qemu.data_disk import DataDiskGrowth, create_disk
from vm.backends.qemu.explanations import Explanations
from vm.backends.qemu.folder_sharing import FolderSharing
from vm.backends.qemu.hostfwd import LOOPBACK, HostForwards
from vm.backends.qemu.io_error_watch import IoErrorWatch
from vm.backends.qemu.launch import plan
from vm.backends.qemu.mirror import DiskMirror
from vm.backends.qemu.pause import Pause
from vm.backends.qemu.start import cold_start
from vm.backends.qemu.state import boot_checkpoint, suspend
from vm.backends.qemu.state.boot_checkpoint import BootCheckpoint
from vm.backends.qemu.state.suspend import Suspension
from vm.backends.qemu.wake_on_traffic import TrafficMirror
from vm.capabilities import Progress
from vm.directory import MachineDir
from vm.errors import BackendFailed, MachineBusy, Problem, problem_of
from vm.guest.protocol import Guest
from vm.host import memory, process
from vm.host.paths import unusable, write_atomic
from vm.messages.machine import MACHINE_RUNNING_STOP_FIRST
from vm.types import Address, BootOptions, Features, MachineSpec, MachineState, Observation

log = logging.getLogger(__name__)

OBSERVE_DEADLINE = 1.0
STATES = {"running": MachineState.RUNNING, "inmigrate": MachineState.STARTING}  # others: halted
SSHD_STARTS_WITHIN = 30.0  # seconds after the engine, which starts first; usually 1.4


class QemuBackend(Backend):
    """See `vm.backend.Backend`; the methods document only what is specific to QEMU."""

    name = "qemu"
    features = Features(sockets="relay", image_format="qcow2")

    def __init__(self) -> None:
        if memory.supported():  # a memfd, which can be saved
            self.suspends = Suspension()
            self.boot_checkpoints = BootCheckpoint()
        self.pauses = Pause()
        self.wakes_on_traffic = TrafficMirror()
        self.forwards_ports = HostForwards()
        self.shares_folders = FolderSharing()
        self.grows_disk = DataDiskGrowth()
        self.copies_disk = DiskMirror()
        self.watches_disk_errors = IoErrorWatch()
        self.explains = Explanations()

    def probe(self) -> Problem | None:
        return problem_of(program.find)

    def create(self, directory: MachineDir, spec: MachineSpec) -> None:
        try:
            if running.read_uuid(directory) is None:
                write_atomic(directory.uuid, str(uuid.uuid4()).encode())
            create_disk(directory, spec.disk_bytes)
        except OSError as error:
            raise unusable(directory.root, error) from error

    def start(
        self, directory: MachineDir, spec: MachineSpec, options: BootOptions, progress: Progress
    ) -> None:
        launch, chosen = plan(directory, spec, options, progress)
        suspend.forget(directory)
        cold_start(directory, launch, chosen, spec)

    def stop(self, directory: MachineDir, force: Force) -> None:
        """An unresponsive QEMU is logged, not an error: the next `Force` follows."""
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

    def delete(self, directory: MachineDir) -> None:
        if running.find(directory) is not None:
            raise MachineBusy(MACHINE_RUNNING_STOP_FIRST)
        for file in (
            *(directory.data_disk, directory.data_is_new, directory.uuid, directory.spec),
            *(directory.running, directory.accelerator, directory.initramfs),
            *(directory.known_host, directory.key, directory.public_key, directory.words),
            *(*directory.sockets, directory.traffic_socket),
        ):
            file.unlink(missing_ok=True)
        shutil.rmtree(directory.boot_files, ignore_errors=True)
        suspend.forget(directory)
        boot_checkpoint.forget(directory)

    def observe(self, directory: MachineDir) -> Observation:
        found = running.find(directory)
        if found is None:
            there = os.path.exists(directory.data_disk)  # unlike Path.exists, it never raises
            return Observation(MachineState.STOPPED if there else MachineState.ABSENT)
        return Observation(
            state=_state(directory, found),
            pid=found.identity.pid,
            address=Address(LOOPBACK, found.ssh_port),
            accelerator=found.accelerator,
            spec=found.spec,
            share_by=found.share_by,
        )

    def guest(self, directory: MachineDir, address: Address) -> Guest:
        from vm.guest.ssh import SshGuest  # paramiko is slow to import, and most calls need no ssh
        from vm.guest.stream.boot_messages import BootMessageLog
        from vm.guest.stream.guest import StreamGuest
        from vm.guest.stream.kept import KeptStream

        by_stream = self.features.boot_messages == "stream"
        messages = BootMessageLog(directory.console_log) if by_stream else None
        stream = KeptStream(lambda until: qmp.connect_to(directory.relay_socket, until), messages)
        ssh = SshGuest(
            address, directory.key, directory.known_host, SSHD_STARTS_WITHIN, stream.open_ssh
        )
        if not directory.relay_socket.exists():  # started by an older version
            return ssh
        return StreamGuest(stream, ssh)


def _state(directory: MachineDir, found: running.Running) -> MachineState:
    """From QMP. A QEMU too busy to answer counts as running, and so does one that waits for space
    on this computer's disk."""
    try:
        with running.control(directory, found, OBSERVE_DEADLINE) as session:
            status = session.field("query-status", "status")
    except BackendFailed:
        return MachineState.RUNNING if process.is_alive(found.identity) else MachineState.STOPPED
    return STATES.get(str(status), MachineState.PAUSED)
