"""The frozen values of a machine, which cross threads, processes and packages.

TRANSITIONS is checked for completeness at import. Next: `vm/lifecycle/machine.py`, which moves
through the states; `backend.py`, which observes them.
"""

from enum import StrEnum

import msgspec

from vm.errors import Problem
from vm.messages import Text


class MachineState(StrEnum):
    ABSENT = "absent"  # no data disk yet
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    FAILED = "failed"  # the last transition failed; `Status.problem` says why

    @property
    def is_up(self) -> bool:
        """Running or paused."""
        return self in (MachineState.RUNNING, MachineState.PAUSED)


S = MachineState
TRANSITIONS: dict[MachineState, frozenset[MachineState]] = {
    S.ABSENT: frozenset({S.STARTING}),
    S.STOPPED: frozenset({S.STARTING, S.ABSENT}),
    S.STARTING: frozenset({S.RUNNING, S.FAILED, S.STOPPING, S.STOPPED}),
    S.RUNNING: frozenset({S.STOPPING, S.PAUSED, S.FAILED, S.STOPPED}),
    S.PAUSED: frozenset({S.RUNNING, S.STOPPING, S.FAILED, S.STOPPED}),
    S.STOPPING: frozenset({S.STOPPED, S.FAILED, S.STARTING}),  # STARTING: after a failed suspend
    S.FAILED: frozenset({S.STARTING, S.STOPPING, S.STOPPED, S.ABSENT, S.RUNNING}),
}
if set(TRANSITIONS) != set(MachineState):
    raise AssertionError("every state needs its row in TRANSITIONS")


class Share(msgspec.Struct, frozen=True):
    """A host folder that appears in the guest. Paths are absolute, in each side's own notation."""

    host_path: str
    guest_path: str
    read_only: bool = False


class MachineSpec(msgspec.Struct, frozen=True):
    """The requested machine. A change of any field needs a restart; `disk_bytes` only grows."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    image: str  # the directory of a verified guest image
    accelerator: str = "auto"  # auto, kvm, hvf, whpx, tcg
    cpu_model: str = "auto"
    shares: tuple[Share, ...] = ()
    share_by: str = "auto"  # auto, virtiofs, sftp
    id_offset: int = 0  # of containers' user namespaces: `vm/host/remapped_ids.py`


class BootOptions(msgspec.Struct, frozen=True):
    """Options of one boot; how they reach the guest is the backend's choice."""

    login_key: str  # the ssh-ed25519 public key that may log in as root, base64 as in OpenSSH files
    format_disk: bool = False  # the data disk is new: make a file system on it
    grow_disk: bool = False  # the data disk may be larger than its file system: grow that
    repair_disk: bool = False  # let the file system check repair without asking


class Features(msgspec.Struct, frozen=True):
    """How the host prepares a machine for this backend. `vm/capabilities.py` has what a backend can
    do."""

    sockets: str  # how the guest's sockets are reached: "relay" (see `vm/guest/stream/`) or "ssh"
    image_format: str  # "qcow2", "tar", or "none"
    boot_messages: str = "console"  # who writes the console log: the backend's, or the "stream"


class Accelerator(msgspec.Struct, frozen=True):
    """How the guest's instructions are executed, and why. `reason` is a sentence in English, `code`
    and `values` are those of its message."""

    name: str
    reason: str
    code: str = ""
    values: dict[str, str | int | float | Text] = {}

    @property
    def text(self) -> Text:
        return Text(self.reason, self.code, self.values)


class Address(msgspec.Struct, frozen=True):
    """Where the guest's sshd answers on this host."""

    host: str
    port: int


class Forward(msgspec.Struct, frozen=True, order=True):
    """A host port forwarded to a guest port. `protocol` is "tcp" or "udp"."""

    host_address: str
    host_port: int
    guest_port: int
    protocol: str = "tcp"


class Observation(msgspec.Struct, frozen=True):
    """The machine as a backend sees it now: ABSENT, STOPPED, RUNNING, PAUSED, or STARTING while a
    resume loads its memory."""

    state: MachineState
    pid: int | None = None
    address: Address | None = None
    accelerator: Accelerator | None = None
    spec: MachineSpec | None = None  # what the running machine was started with
    share_by: str = ""  # "virtiofs", "sftp", "" without shares


class DiskError(StrEnum):
    """Why this computer's disk refused a write of the data disk."""

    NO_ROOM = "no room"
    REFUSED = "refused"  # for any other reason


class MachineSnapshot(msgspec.Struct, frozen=True):
    """A snapshot of the data disk: images, containers, volumes. The content of its manifest."""

    name: str
    made_at: float  # seconds since the epoch
    disk_bytes: int  # as the guest sees it
    used_bytes: int  # blocks on the host when it was made
    settled: bool  # the file system was frozen; else the state is that of a power cut
    image: str  # the guest image that the machine had, by the name of its directory
    uuid: str  # the machine's
    host_key: str  # the guest's, which is on the disk
    memory_bytes: int = 0  # blocks of the suspended state; 0: a cold start


class SnapshotStep(StrEnum):
    """The steps of creating a snapshot; one of a running machine with its memory has all."""

    SUSPEND = "suspend"
    DISK = "disk"
    MEMORY = "memory"
    GO_ON = "go on"


class SnapshotWork(msgspec.Struct, frozen=True):
    """A snapshot that is being created or restored. `total_bytes` is 0 while unknown; bytes are
    those of the step."""

    name: str
    verb: str  # "create" or "restore"
    done_bytes: int = 0
    total_bytes: int = 0
    step: SnapshotStep = SnapshotStep.DISK


class GuestMemory(msgspec.Struct, frozen=True):
    """In bytes. `available`: what programs can still allocate; `cached`: page cache; `containers`:
    what containers use, their page cache included."""

    total: int
    free: int
    available: int
    cached: int
    containers: int


class GuestDisk(msgspec.Struct, frozen=True):
    """The data disk's file system, in bytes. `available` is less than what is unused: the file
    system reserves some."""

    size: int
    used: int
    available: int


class BootStep(msgspec.Struct, frozen=True):
    """A step of a start: its name in English, and its duration (seconds; None: under way). `code`
    and `values` are those of the name's message."""

    step: str
    seconds: float | None = None
    code: str = ""
    values: dict[str, str | int | float | Text] = {}

    @property
    def text(self) -> Text:
        return Text(self.step, self.code, self.values)


class Status(msgspec.Struct, frozen=True):
    """The published status of the machine. Replaced at every change."""

    state: MachineState
    backend: str
    accelerator: Accelerator | None = None
    boot: tuple[BootStep, ...] = ()
    problem: Problem | None = None
    notice: Problem | None = None  # a warning for a machine that runs
    cpus: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    disk_used_bytes: int = 0  # blocks that the data disk holds on the host
    started_at: float | None = None  # seconds since the epoch
    share_by: str = ""  # "virtiofs", "sftp", "" without shares
    resumable: bool = False  # stopped, and the next start resumes it
