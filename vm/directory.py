"""Every file name of a machine; nothing else knows them.

GALLEY_HOME/machine/
    uuid            the machine's identity, made at creation, given to the backend
    spec.json       the MachineSpec that it was last started with
    data.img        the guest's data disk: images, volumes, host key; sparse
    data.new        exists until the data disk has been formatted by a first boot
    id_ed25519      our ssh key (0600), id_ed25519.pub beside it
    known_host      the guest's pinned host key
    handover/       what the guest finds in its /run/galley when it starts
    initramfs       the image's, with that behind it
    words           words for a guest that starts from a template, which are not in its kernel's
    template/       a machine that goes on at every start from cold: as suspended/
    suspended/      a machine that is to go on: ram, state, console.log, and last manifest.json
    running.json    what the backend started: pid, start time, port, accelerator
    accelerator.json  which accelerator booted a test guest here, and why not the others
    to-start.json   containers that are to start with the engine, for they ran when it was stopped
    in-use.json     folders of this host that containers had when it was suspended
    put-away        exists while a machine is suspended that its first use is to start again
    doors.json      ports that it had published then, and that wake it
    snapshots/NAME/ a snapshot: data.img, to-start.json, suspended/, and last manifest.json
    data.restored   a snapshot's disk on its way to be data.img; after a crash it is nothing
    to-start.restored  what is to start with that disk, to be to-start.json; empty: nothing is
GALLEY_HOME/logs/
    console.log     the guest's console since its last start; console.1.log the one before
    backend.log     what QEMU, WSL or Hyper-V said
run directory
    qmp.sock        QEMU's control socket
    events.sock     where QEMU tells by itself what happens to the machine
    relay.sock      the line to the guest's relay of connections
    knock.sock      where QEMU tells what arrives for a guest that stands still
    share0.sock …   between QEMU and the virtiofsd of each shared folder, with its pid beside it
    share0 …        empty; where that virtiofsd, and nobody else, sees the folder without our own
"""

import contextlib
from pathlib import Path

import msgspec

from vm.host import sparse
from vm.host.paths import Home


class MachineDir(msgspec.Struct, frozen=True):
    """The files of one machine. Paths, and what one takes: it never reads or writes."""

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

    def data_held(self) -> int:
        """What the data disk takes on this computer, in bytes: it is sparse. 0 without one."""
        try:
            return sparse.allocated(self.data_disk)
        except OSError:
            return 0

    def kept_held(self) -> int:
        """What a suspended machine and a template take on this computer, in bytes."""
        files = [*self.suspended.glob("*"), *self.template.glob("*")]
        with contextlib.suppress(OSError):  # they come and go
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
    def handover(self) -> Path:
        return self.root / "handover"

    @property
    def initramfs(self) -> Path:
        return self.root / "initramfs"

    @property
    def words(self) -> Path:
        return self.root / "words"

    @property
    def template(self) -> Path:
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
    def auto_suspended(self) -> Path:
        return self.root / "put-away"

    @property
    def doors(self) -> Path:
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
    def knock_socket(self) -> Path:
        return self.run / "knock.sock"

    @property
    def sockets(self) -> tuple[Path, ...]:
        """Those that QEMU listens on."""
        return self.qmp_socket, self.events_socket, self.relay_socket

    def share_socket(self, number: int) -> Path:
        return self.run / f"share{number}.sock"

    def share_view(self, number: int) -> Path:
        return self.run / f"share{number}"
