"""The frozen values of a machine: what crosses between threads, processes and packages.

The transitions are checked complete at import. Next: `vm/lifecycle/machine.py` (who moves through
these states), `backend.py` (who observes them).
"""

from enum import StrEnum

import msgspec

from vm.errors import Problem


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
        """What was started is there, whether it runs or stands still."""
        return self in (MachineState.RUNNING, MachineState.PAUSED)


S = MachineState
TRANSITIONS: dict[MachineState, frozenset[MachineState]] = {
    S.ABSENT: frozenset({S.STARTING}),
    S.STOPPED: frozenset({S.STARTING, S.ABSENT}),
    S.STARTING: frozenset({S.RUNNING, S.FAILED, S.STOPPING, S.STOPPED}),
    S.RUNNING: frozenset({S.STOPPING, S.PAUSED, S.FAILED, S.STOPPED}),
    S.PAUSED: frozenset({S.RUNNING, S.STOPPING, S.FAILED, S.STOPPED}),
    S.STOPPING: frozenset({S.STOPPED, S.FAILED, S.STARTING}),  # back, when it cannot be suspended
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
    """What the user asks for. A change of any field needs a restart; `disk_bytes` only grows."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    image: str  # the directory of a verified guest image
    accelerator: str = "auto"  # auto, kvm, hvf, whpx, tcg
    cpu_model: str = "auto"
    shares: tuple[Share, ...] = ()
    share_by: str = "auto"  # auto, virtiofs, sftp


class BootOptions(msgspec.Struct, frozen=True):
    """What one boot of the guest is told, however the backend tells it."""

    login_key: str  # the ssh-ed25519 public key that may log in as root, base64 as in OpenSSH files
    format_disk: bool = False  # the data disk is new: make a file system on it
    grow_disk: bool = False  # the data disk may be larger than its file system: grow that
    repair_disk: bool = False  # let the file system check answer its own questions


class Features(msgspec.Struct, frozen=True):
    """What the host prepares differently for a backend. What a backend can do besides, its
    capabilities say (`vm/capabilities.py`)."""

    sockets: str  # how the guest's sockets are reached: "relay" (see `vm/guest/relay.py`) or "ssh"
    image_format: str  # "qcow2", "tar", or "none"


class Accelerator(msgspec.Struct, frozen=True):
    """How the guest's instructions run, and why this way. `reason` is a sentence."""

    name: str
    reason: str


class Address(msgspec.Struct, frozen=True):
    """Where the guest's sshd answers on this host."""

    host: str
    port: int


class Forward(msgspec.Struct, frozen=True, order=True):
    """A host port carried to a guest port. `protocol` is "tcp" or "udp"."""

    host_address: str
    host_port: int
    guest_port: int
    protocol: str = "tcp"


class Observation(msgspec.Struct, frozen=True):
    """What a backend sees of a machine now: ABSENT, STOPPED, RUNNING, PAUSED, or STARTING while it
    is given the memory that it goes on from."""

    state: MachineState
    pid: int | None = None
    address: Address | None = None
    accelerator: Accelerator | None = None
    spec: MachineSpec | None = None  # what the running machine was started with
    share_by: str = ""  # what its folders are shared by, where it has any


class DiskError(StrEnum):
    """Why this computer's disk took no more of a data disk."""

    NO_ROOM = "no room"
    REFUSED = "refused"  # it cannot, whatever room there is


class MachineSnapshot(msgspec.Struct, frozen=True):
    """The data disk as it was at one moment: images, containers, volumes. Its manifest, too."""

    name: str
    made_at: float  # seconds since the epoch
    disk_bytes: int  # as the guest sees it
    used_bytes: int  # blocks that it held on the host when it was made
    settled: bool  # the file system was at rest; else as after a power cut, journal and all
    image: str  # the guest image that the machine had, by the name of its directory
    uuid: str  # the machine's
    host_key: str  # the guest's, which is on the disk
    memory_bytes: int = 0  # blocks of what was suspended then; 0: it starts from cold


class SnapshotStep(StrEnum):
    """What is being done for a snapshot; one with the memory of a machine that runs has all."""

    SUSPEND = "suspend"
    DISK = "disk"
    MEMORY = "memory"
    GO_ON = "go on"


class SnapshotWork(msgspec.Struct, frozen=True):
    """A snapshot that is being made or restored. `total_bytes` is 0 while nobody knows; bytes are
    those of the step."""

    name: str
    verb: str  # "create" or "restore"
    done_bytes: int = 0
    total_bytes: int = 0
    step: SnapshotStep = SnapshotStep.DISK


class GuestMemory(msgspec.Struct, frozen=True):
    """In bytes. `available`: what programs could still get; `cached`: what could be read again;
    `containers`: what they and their files hold."""

    total: int
    free: int
    available: int
    cached: int
    containers: int


class GuestDisk(msgspec.Struct, frozen=True):
    """The data disk's file system, in bytes. `available` is less than what is not used: the file
    system keeps some for itself."""

    size: int
    used: int
    available: int


class BootStep(msgspec.Struct, frozen=True):
    """One step of a start: its name for people, and how long it took (seconds; None: under way)."""

    step: str
    seconds: float | None = None


class Status(msgspec.Struct, frozen=True):
    """Everything that a client may know of the machine. A new value for every change."""

    state: MachineState
    backend: str
    accelerator: Accelerator | None = None
    boot: tuple[BootStep, ...] = ()
    problem: Problem | None = None
    notice: Problem | None = None  # worth knowing of a machine that is well
    cpus: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    disk_used_bytes: int = 0  # blocks that the data disk holds on the host
    started_at: float | None = None  # seconds since the epoch
    share_by: str = ""  # what the machine's folders are shared by, where it has any
    resumable: bool = False  # stopped, and the next start goes on where it was
