"""The frozen values of Docker that the window shows and sends.

A list's rows are decoded once, from the fields that are shown, in the module of their kind
(`containers.py`, `images.py`, …); only `inspect` returns Docker's JSON. Sizes are bytes, times are
seconds since the epoch, CPU use is in cores (1.0). Rows are `gc=False`: they cannot be part of a
cycle, and there are thousands. Next: `client.py`.
"""

from enum import StrEnum

import msgspec

INTERNAL = "io.galley.internal"  # label of what we make for a moment, which no list shows


class ContainerState(StrEnum):
    """`State.Status` of GET /containers/json."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"

    @property
    def is_up(self) -> bool:
        return self in (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)


ANY_PORT = -1  # in a RunSpec: a port of the host that is free, which Docker chooses


class Port(msgspec.Struct, frozen=True, order=True, gc=False):
    """A container's port; `host_port` is 0 where it is only exposed. `protocol`: tcp, udp, sctp."""

    container_port: int
    protocol: str = "tcp"
    host_address: str = ""
    host_port: int = 0


class Container(msgspec.Struct, frozen=True, gc=False):
    """A row of GET /containers/json?all=1."""

    id: str
    name: str  # without the slash
    image: str  # as given at create; may be an id
    image_id: str
    state: ContainerState
    status: str  # Docker's own words: "Up 2 minutes (healthy)"
    created: float
    command: str = ""
    exit_code: int | None = None  # of a container that has ended
    health: str = ""  # "healthy", "unhealthy", "starting" or ""
    ports: tuple[Port, ...] = ()
    project: str = ""  # compose's project and service, and the project's folder
    service: str = ""
    project_folder: str = ""
    networks: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()  # names of volumes, paths of binds


class Image(msgspec.Struct, frozen=True, gc=False):
    """A row of GET /images/json. `tags` is empty for an image that no name points at."""

    id: str
    tags: tuple[str, ...]
    size: int
    created: float
    digests: tuple[str, ...] = ()
    dangling: bool = False


class Layer(msgspec.Struct, frozen=True):
    """A step of GET /images/{id}/history, newest first. `instruction`: as in a Dockerfile."""

    instruction: str
    size: int
    created: float
    diff_id: str = ""  # of the layer that it made; "" where it made none
    tags: tuple[str, ...] = ()


class ImageDetail(msgspec.Struct, frozen=True):
    """The part of GET /images/{id}/json that is shown or prefills a run."""

    id: str
    tags: tuple[str, ...]
    size: int
    created: float
    os: str
    architecture: str
    layers: tuple[Layer, ...]
    ports: tuple[Port, ...] = ()  # exposed
    env: tuple[str, ...] = ()  # NAME=value
    volumes: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""


class Volume(msgspec.Struct, frozen=True, gc=False):
    """A row of GET /volumes. `size` is -1 until GET /system/df has counted it."""

    name: str
    driver: str
    mountpoint: str
    created: float
    size: int = -1
    labels: tuple[tuple[str, str], ...] = ()


class Attachment(msgspec.Struct, frozen=True, gc=False):
    """A container on a network."""

    container_id: str
    container: str
    address: str = ""  # IPv4, without the prefix length


class Network(msgspec.Struct, frozen=True, gc=False):
    """A row of GET /networks. `attached` is filled by `Networks.list`, from the containers."""

    id: str
    name: str
    driver: str
    scope: str
    created: float
    subnets: tuple[str, ...] = ()
    gateway: str = ""
    internal: bool = False
    attached: tuple[Attachment, ...] = ()

    @property
    def is_builtin(self) -> bool:
        return self.name in ("bridge", "host", "none")


class AcceptedLogin(msgspec.Struct, frozen=True):
    """A login that a registry accepted, as docker stores it: with a token, the user name is
    "<token>"."""

    server: str
    username: str
    secret: str


class EngineInfo(msgspec.Struct, frozen=True):
    """GET /info and /version, as far as they are shown."""

    name: str
    version: str
    api: str
    os: str
    kernel: str
    architecture: str
    cpus: int
    memory: int
    storage_driver: str
    runtimes: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    root: str = ""


class DiskUse(msgspec.Struct, frozen=True):
    """GET /system/df. `reclaimable_*`: what a prune would give back."""

    images: int
    containers: int
    volumes: int
    build_cache: int
    reclaimable_images: int = 0
    reclaimable_containers: int = 0
    reclaimable_volumes: int = 0
    reclaimable_build_cache: int = 0
    volume_sizes: tuple[tuple[str, int], ...] = ()


class Event(msgspec.Struct, frozen=True, gc=False):
    """A message of GET /events. `kind`: container, image, volume, network, daemon, builder."""

    kind: str
    action: str
    id: str
    name: str = ""
    time: float = 0.0
    attributes: tuple[tuple[str, str], ...] = ()


class StatsSample(msgspec.Struct, frozen=True, gc=False):
    """One reading of GET /containers/{id}/stats. Counters grow; rates are between two samples."""

    time: float
    cpu: float  # cores in use since the sample before; 0.0 where there was none
    memory: int  # without the page cache, as `docker stats` shows it
    memory_limit: int
    processes: int = 0
    process_limit: int = 0  # 0: none
    net_received: int = 0
    net_sent: int = 0
    disk_read: int = 0
    disk_written: int = 0
    cpu_seconds: float = 0.0  # since the container began


class Mount(msgspec.Struct, frozen=True):
    """`kind`: bind, volume or tmpfs. `source`: a host path, a volume's name, "" for tmpfs."""

    kind: str
    source: str
    target: str
    read_only: bool = False


class RunSpec(msgspec.Struct, frozen=True):
    """The options of `docker run`. 0, "" and () leave an option to the image or to Docker."""

    image: str
    name: str = ""
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()  # NAME=value
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    network: str = ""
    restart: str = "no"  # no, always, unless-stopped, on-failure
    memory: int = 0
    cpus: float = 0.0
    working_dir: str = ""
    user: str = ""
    tty: bool = False
    stdin_open: bool = False
    auto_remove: bool = False


class ContainerDetail(msgspec.Struct, frozen=True):
    """GET /containers/{id}/json, typed, as far as pages read it."""

    id: str
    name: str
    image: str
    image_id: str
    state: ContainerState
    pid: int
    started: float
    finished: float
    exit_code: int
    oom_killed: bool
    error: str
    spec: RunSpec
    runtime: str
    hostname: str
    addresses: tuple[tuple[str, str], ...]  # network → IPv4
    security: tuple[str, ...]  # SecurityOpt, in Docker's words
    privileged: bool
    capabilities_added: tuple[str, ...]
    capabilities_dropped: tuple[str, ...]
    read_only: bool
    modes: tuple[tuple[str, str], ...]  # namespace ("pid", "ipc", …) → HostConfig's mode
    app_armor: str
    cgroup_parent: str
    pids_limit: int
    storage_driver: str
    size_rw: int = -1
    size_root: int = -1


class Change(msgspec.Struct, frozen=True):
    """A line of GET /containers/{id}/changes. `kind`: "A" added, "C" changed, "D" deleted."""

    kind: str
    path: str


class ContainerProcess(msgspec.Struct, frozen=True):
    """A line of GET /containers/{id}/top."""

    pid: int
    parent: int
    user: str
    command: str
    memory: int = 0
    cpu: float = 0.0


class Namespace(msgspec.Struct, frozen=True):
    """A namespace of a container's first process, seen from beside it; `inode` identifies it."""

    kind: str  # pid, net, mnt, uts, ipc, user, cgroup
    inode: int


class FileEntry(msgspec.Struct, frozen=True, gc=False):
    """A name in a folder of a container or volume. `kind`: file, folder, link, other."""

    name: str
    kind: str
    size: int
    mode: int
    modified: float
    target: str = ""  # of a link


class LayerProgress(msgspec.Struct, frozen=True):
    """One layer of a pull or push. `total` 0: not known."""

    id: str
    status: str
    done: int = 0
    total: int = 0


class TransferProgress(msgspec.Struct, frozen=True):
    """A pull, push, load or import, as of now."""

    status: str
    layers: tuple[LayerProgress, ...] = ()

    @property
    def fraction(self) -> float | None:
        """0.0 … 1.0 of the known bytes, None while unknown."""
        total = sum(layer.total for layer in self.layers)
        return sum(layer.done for layer in self.layers) / total if total else None


class Pruned(msgspec.Struct, frozen=True):
    """What a prune removed, or would remove."""

    names: tuple[str, ...]
    bytes: int


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """A piece of a container's output; `text` may lack its end. `stream`: stdout or stderr."""

    stream: str
    text: str
    time: float = 0.0
    goes_on: bool = False  # the next piece of this stream belongs to the same line
