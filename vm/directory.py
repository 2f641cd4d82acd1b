"""Every file name of a machine; no other module contains one.

GALLEY_HOME/machine/
    uuid            the machine's identity, made at creation, given to the backend
    spec.json       the MachineSpec that it was last started with
    data.img        the guest's data disk: images, volumes, host key; sparse
    data.new        exists until the data disk has been formatted by a first boot
    id_ed25519      our ssh key (0600), id_ed25519.pub beside it
    known_host      the guest's pinned host key
    handover/       boot files: they are in the guest's /run/galley when it starts
    initramfs       the image's initramfs with the boot files appended
    words           kernel words for a guest that starts from a boot checkpoint
    template/       the boot checkpoint, for cold starts: as suspended/
    suspended/      a suspended machine: ram, state, console.log, and last manifest.json
    running.json    what the backend started: pid, start time, port, accelerator
    accelerator.json  which accelerator booted a test guest here, and why not the others
    to-start.json   containers that ran when the engine was stopped: they start with it
    engine.json     the versions of dockerd that have opened the data disk, and answered
    in-use.json     folders of this host that containers used when the machine was suspended
    put-away        exists while the machine is auto-suspended: the first use resumes it
    doors.json      ports that an auto-suspended machine published: traffic there resumes it
    snapshots/NAME/ a snapshot: data.img, to-start.json, engine.json, suspended/, and last
                    manifest.json
    data.restored   a snapshot's disk that is about to become data.img; deleted after a crash
    to-start.restored, engine.restored  about to become the files of that name with that disk;
                    empty: there is to be none
GALLEY_HOME/logs/
    console.log     the guest's console since its last start; console.1.log the one before
    backend.log     the output of QEMU, WSL or Hyper-V
run directory
    qmp.sock        QEMU's control socket
    events.sock     QEMU's events
    relay.sock      the guest's virtio-serial port
    knock.sock      QEMU's mirror of network traffic to a paused guest
    share0.sock …   between QEMU and the virtiofsd of each shared folder, with its pid beside it
    share0 …        empty; mount point of a folder in its virtiofsd's namespace, without our own
"""

import contextlib
from pathlib import Path

import msgspec

from vm.host import sparse
from vm.host.paths import Home


class MachineDir(msgspec.Struct, frozen=True):
    """The paths of one machine's files, and how much disk some take. Writes nothing."""

    root: Path
    logs: Path
    run: Path

    @classmethod
    def of(cls, home: Home) -> "MachineDir":
        return cls(home.machine, home.logs, home.run)

    @property
    def home(self) -> Home:
        return Home(self.root.parent, self.run)

    @property
    def in_use(self) -> Path:
        return self.root / "in-use.json"

    @property
    def uuid(self) -> Path:
        return self.root / "uuid"

    @property
    def spec(self) -> Path:
        return self.root / "spec.json"

    @property
    def data_disk(self) -> Path:
        return self.root / "data.img"

    def data_disk_bytes(self) -> int:
        """How much of the host's disk the sparse data disk takes; 0 without one."""
        try:
            return sparse.allocated(self.data_disk)
        except OSError:
            return 0

    def saved_state_bytes(self) -> int:
        """How much of the host's disk a suspended machine and the boot checkpoint take."""
        files = [*self.suspended.glob("*"), *self.boot_checkpoint.glob("*")]
        with contextlib.suppress(OSError):  # a file may vanish meanwhile
            return sum(map(sparse.allocated, files))
        return 0

    @property
    def data_is_new(self) -> Path:
        return self.root / "data.new"

    @property
    def key(self) -> Path:
        return self.root / "id_ed25519"

    @property
    def public_key(self) -> Path:
        return self.root / "id_ed25519.pub"

    @property
    def known_host(self) -> Path:
        return self.root / "known_host"

    @property
    def boot_files(self) -> Path:
        return self.root / "handover"

    @property
    def initramfs(self) -> Path:
        return self.root / "initramfs"

    @property
    def words(self) -> Path:
        return self.root / "words"

    @property
    def boot_checkpoint(self) -> Path:
        return self.root / "template"

    @property
    def suspended(self) -> Path:
        return self.root / "suspended"

    @property
    def running(self) -> Path:
        return self.root / "running.json"

    @property
    def accelerator(self) -> Path:
        return self.root / "accelerator.json"

    @property
    def to_start(self) -> Path:
        return self.root / "to-start.json"

    @property
    def engine(self) -> Path:
        return self.root / "engine.json"

    @property
    def auto_suspended(self) -> Path:
        return self.root / "put-away"

    @property
    def wake_ports(self) -> Path:
        return self.root / "doors.json"

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    def snapshot_manifest(self, name: str) -> Path:
        return self.snapshots / name / "manifest.json"

    def snapshot_disk(self, name: str) -> Path:
        return self.snapshots / name / "data.img"

    def snapshot_suspended(self, name: str) -> Path:
        return self.snapshots / name / "suspended"

    def snapshot_to_start(self, name: str) -> Path:
        return self.snapshots / name / "to-start.json"

    def snapshot_engine(self, name: str) -> Path:
        return self.snapshots / name / "engine.json"

    @property
    def engine_restored(self) -> Path:
        return self.root / "engine.restored"

    @property
    def to_start_restored(self) -> Path:
        return self.root / "to-start.restored"

    @property
    def data_restored(self) -> Path:
        return self.root / "data.restored"

    @property
    def console_log(self) -> Path:
        return self.logs / "console.log"

    @property
    def backend_log(self) -> Path:
        return self.logs / "backend.log"

    @property
    def qmp_socket(self) -> Path:
        return self.run / "qmp.sock"

    @property
    def events_socket(self) -> Path:
        return self.run / "events.sock"

    @property
    def relay_socket(self) -> Path:
        return self.run / "relay.sock"

    @property
    def traffic_socket(self) -> Path:
        return self.run / "knock.sock"

    @property
    def sockets(self) -> tuple[Path, ...]:
        """The sockets that QEMU listens on."""
        return self.qmp_socket, self.events_socket, self.relay_socket

    def share_socket(self, number: int) -> Path:
        return self.run / f"share{number}.sock"

    def share_view(self, number: int) -> Path:
        return self.run / f"share{number}"
