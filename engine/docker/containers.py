"""All operations on containers.

Long streams are elsewhere: logs and stats in `streams.py`, terminals in `exec.py`. Next:
`recreate.py`, the one operation that consists of several requests.
"""

import json
import re
from contextlib import AbstractContextManager

import msgspec

from engine.docker import container_rows
from engine.docker.container_detail import detail
from engine.docker.port_holders import naming_port_holder
from engine.docker.processes import PS_ARGUMENTS, parse_processes
from engine.docker.run_spec import Json, creation, nano_cpus
from engine.docker.sdk import docker
from engine.docker.transport import Wire
from engine.docker.types import (
    INTERNAL,
    Change,
    Container,
    ContainerDetail,
    ContainerProcess,
    Namespace,
    Pruned,
    RunSpec,
)
from vm.errors import EngineRefused, GalleyError, ObjectConflict, ObjectGone

STOP_SECONDS = 10  # dockerd's stop timeout for a container without its own
NAMESPACES = ("pid", "net", "mnt", "uts", "ipc", "user", "cgroup")
_READ_NAMESPACES = "cd /proc/self/ns && for each in *; do readlink $each; done"


class Containers:
    """The containers of one engine. Raises EngineUnreachable, EngineRefused and its branches."""

    def __init__(self, api: docker.APIClient) -> None:
        self.wire = Wire(api)

    def list(self, ended: bool = True) -> tuple[Container, ...]:
        found = container_rows.rows(self.wire.get("/containers/json", all=int(ended)))
        self.wire.names = {one.id[:12]: one.name for one in found}
        return found

    def detail(self, container: str, size: bool = False) -> ContainerDetail:
        """`size` makes dockerd count files, which takes time."""
        found = self.raw(container, size)
        return detail(found, self.image(found["Image"]))

    def raw(self, container: str, size: bool = False) -> Json:
        """dockerd's JSON, for callers that send most of it back."""
        found: Json = msgspec.json.decode(
            self.wire.get(f"/containers/{container}/json", size=int(size))
        )
        return found

    def image(self, reference: str) -> Json | None:
        """None when it is gone."""
        try:
            found: Json = msgspec.json.decode(self.wire.get(f"/images/{reference}/json"))
        except ObjectGone:
            return None
        return found

    def inspect(self, container: str) -> bytes:
        return msgspec.json.format(self.wire.get(f"/containers/{container}/json"), indent=2)

    def start(self, container: str) -> None:
        with self._naming_port_holder():
            self.wire.post(f"/containers/{container}/start")

    def stop(self, container: str, seconds: int | None = None) -> None:
        """`seconds` until it is killed; None leaves that to the container and to Docker."""
        self._ending(container, "stop", seconds)

    def restart(self, container: str, seconds: int | None = None) -> None:
        with self._naming_port_holder():
            self._ending(container, "restart", seconds)

    def _naming_port_holder(self) -> AbstractContextManager[None]:
        return naming_port_holder(lambda: container_rows.rows(self.wire.get("/containers/json")))

    def _ending(self, container: str, verb: str, seconds: int | None) -> None:
        extra = STOP_SECONDS if seconds is None else max(seconds, 0)
        self.wire.send(
            "POST", f"/containers/{container}/{verb}", {"t": seconds}, extra_seconds=extra
        )

    def pause(self, container: str) -> None:
        self.wire.post(f"/containers/{container}/pause")

    def unpause(self, container: str) -> None:
        self.wire.post(f"/containers/{container}/unpause")

    def kill(self, container: str, signal: str = "KILL") -> None:
        self.wire.post(f"/containers/{container}/kill", signal=signal)

    def remove(self, container: str, force: bool = False, volumes: bool = False) -> None:
        """`volumes`: its anonymous volumes too."""
        self.wire.delete(f"/containers/{container}", force=int(force), v=int(volumes))

    def rename(self, container: str, name: str) -> None:
        self.wire.post(f"/containers/{container}/rename", name=name)

    def create(self, spec: RunSpec) -> str:
        """Returns its id. Raises ObjectGone when the image is missing: it is not pulled."""
        return self.create_raw(creation(spec), spec.name)

    def create_raw(self, body: Json, name: str) -> str:
        answer = self.wire.post("/containers/create", body, name=name or None)
        return msgspec.json.decode(answer, type=_Created).Id

    def run(self, spec: RunSpec) -> str:
        """Create and start; what does not start is removed again."""
        made = self.create(spec)
        try:
            self.start(made)
        except GalleyError:
            self._remove_if_there(made)
            raise
        return made

    def _remove_if_there(self, container: str) -> None:
        try:
            self.remove(container, force=True, volumes=True)
        except (ObjectGone, ObjectConflict):
            return  # `auto_remove` was faster

    def update(
        self,
        container: str,
        memory: int | None = None,
        cpus: float | None = None,
        restart: str | None = None,
    ) -> None:
        """While it runs. None keeps a limit, 0 removes it.

        Docker cannot remove a limit, and reads 0 as "keep"; so the limit becomes all that the
        engine has.
        """
        body: Json = {}
        if memory is not None:  # memory and swap together; Docker's default is twice the memory
            memory = memory or self._all().MemTotal
            body |= {"Memory": memory, "MemorySwap": 2 * memory}
        if cpus is not None:
            body["NanoCpus"] = nano_cpus(cpus or self._all().NCPU)
        if restart is not None:
            body["RestartPolicy"] = {"Name": restart}
        self.wire.post(f"/containers/{container}/update", body)

    def _all(self) -> "_All":
        return msgspec.json.decode(self.wire.get("/info"), type=_All)

    def prune(self) -> Pruned:
        """Remove every container that is not up."""
        known = self.wire.names
        not_ours = json.dumps({"label!": [INTERNAL]})
        answer = self.wire.post("/containers/prune", filters=not_ours)
        done = msgspec.json.decode(answer, type=_Prune)
        deleted = done.ContainersDeleted or []
        names = (known.get(one[:12], one[:12]) for one in deleted)
        return Pruned(tuple(names), done.SpaceReclaimed)

    def changes(self, container: str) -> tuple[Change, ...]:
        answer = self.wire.get(f"/containers/{container}/changes")
        found = msgspec.json.decode(answer, type=list[_Change] | None) or []
        return tuple(Change("CAD"[change.Kind], change.Path) for change in found)

    def processes(self, container: str) -> tuple[ContainerProcess, ...]:
        """dockerd runs its host's `ps`, which may be busybox's, with fewer columns."""
        *most, last = PS_ARGUMENTS
        for arguments in most:
            try:
                return self._processes(container, arguments)
            except ObjectConflict:
                raise  # it does not run
            except EngineRefused:
                continue
        return self._processes(container, last)

    def _processes(self, container: str, arguments: str | None) -> tuple[ContainerProcess, ...]:
        return parse_processes(self.wire.get(f"/containers/{container}/top", ps_args=arguments))

    def namespaces(self, container: str) -> tuple[Namespace, ...]:
        """As read by a shell that is started in it; () if the image has none."""
        try:
            _, output = self.run_in(container, ("sh", "-c", _READ_NAMESPACES))
        except (ObjectConflict, ObjectGone):
            raise  # it does not run
        except EngineRefused:
            return ()
        found = dict(
            re.findall(r"^(\w+):\[(\d+)\]\s*$", output.decode(errors="replace"), re.MULTILINE)
        )
        return tuple(Namespace(kind, int(found[kind])) for kind in NAMESPACES if kind in found)

    def run_in(self, container: str, argv: tuple[str, ...], user: str = "") -> tuple[int, bytes]:
        """The exit code, and all that it wrote to stdout and stderr."""
        asked = {"AttachStdout": True, "AttachStderr": True, "Cmd": argv, "User": user}
        made = msgspec.json.decode(
            self.wire.post(f"/containers/{container}/exec", asked), type=_Created
        )
        output = self.wire.post(f"/exec/{made.Id}/start", {"Detach": False, "Tty": False})
        end = msgspec.json.decode(self.wire.get(f"/exec/{made.Id}/json"), type=_Exec)
        return end.ExitCode if end.ExitCode is not None else -1, _unframed(output)


def _unframed(data: bytes) -> bytes:
    """The payload of frames of which each has eight bytes of head: the stream, and the length."""
    found = bytearray()
    at = 0
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8])
        found += data[at + 8 : end]
        at = end
    return bytes(found)


class _Created(msgspec.Struct):
    Id: str


class _All(msgspec.Struct):
    NCPU: int
    MemTotal: int


class _Prune(msgspec.Struct):
    ContainersDeleted: list[str] | None = None
    SpaceReclaimed: int = 0


class _Change(msgspec.Struct):
    Kind: int  # 0 changed, 1 added, 2 deleted
    Path: str


class _Exec(msgspec.Struct):
    ExitCode: int | None = None
