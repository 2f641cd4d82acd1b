"""Which folders of this host a container may be given: those that are shared, and nothing else.

A bind mount names a path of this host, and dockerd looks for it in the guest. Below a shared folder
it finds it. Everywhere else it would make an empty directory and say nothing, so that is refused
before dockerd sees it. So is what another user of this host has put into a folder for everybody,
such as /tmp, and what Galley keeps for itself. Two kinds of paths are the machine's own and pass:
what programs that watch or drive an engine bind (`OWN`), and the docker socket, ours by whatever
name this host has for it. /tmp itself may be bound: a container may there what its user may.

Reads `HostConfig.Binds` and `Mounts` of a container, and the mounts of a service, and leaves every
other field as it is. Keys are compared as dockerd does it, without regard to case; of those that it
takes for one, the last counts and goes on alone, so that dockerd reads what was checked. Next:
`engine/bridge/requests.py`, who calls it.
"""

import contextlib
import os
import posixpath
import shlex
from pathlib import PurePath
from typing import Any

import msgspec

from engine.json_input import UNREADABLE
from engine.settings import share_paths
from vm.errors import NotShared, Problem
from vm.host import owners, private_folders
from vm.types import Share

SOCKET = "/run/docker.sock"  # in the guest
OWN = frozenset(
    {
        *("/", "/run", "/var/run", SOCKET, "/var/run/docker.sock"),
        *("/etc/group", "/etc/hosts", "/etc/localtime", "/etc/os-release", "/etc/passwd"),
        *("/etc/resolv.conf", "/etc/timezone"),
    }
)
OWN_TREES = (
    *("/proc", "/sys", "/dev", "/lib/modules", "/usr/lib/modules", "/etc/ssl/certs"),
    *("/run/containerd", "/run/docker", "/var/run/docker"),
    *("/var/lib/containerd", "/var/lib/docker", "/var/log"),
)

# Of a container, and of a service: on the way to a list, and its name.
PLACES = (
    (("HostConfig",), "Binds"),
    (("HostConfig",), "Mounts"),
    (("TaskTemplate", "ContainerSpec"), "Mounts"),
)
_NOTHING = msgspec.Raw(b"null")

type Object = dict[str, msgspec.Raw]


class Sharing(msgspec.Struct, frozen=True):
    """What is shared now. `names` and `folders`: what is to be shared, as the user has written it
    and as it is; `problem`: why this host can share nothing; `private`: what Galley keeps for
    itself."""

    docker_socket: str  # of this host
    shares: tuple[Share, ...] = ()
    names: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    problem: Problem | None = None
    private: private_folders.Identities = frozenset()


def check(body: bytes, sharing: Sharing) -> bytes | None:
    """The body of a creation as dockerd is to see it; None when it is right as it is.

    Raises NotShared, also for an object that dockerd may be able to read and we are not. What is no
    object, or has a field of another type, is for dockerd to refuse.
    """
    try:
        document = fields(body)
        for way, name in PLACES:
            _change(document, way, name, sharing)
        right = _said(body, document)
    except msgspec.ValidationError:
        return None
    except UNREADABLE as error:
        if not body.lstrip().startswith(b"{"):
            return None
        raise NotShared(
            f"Galley cannot read which folders are to be shared: {error}.",
            "Send the request as plain JSON in UTF-8.",
        ) from error
    return None if right is body else bytes(right)


def resolve(source: str, sharing: Sharing, *, make: bool = False) -> str:
    """The path in the guest for one of this host; `make`: dockerd makes it where it is missing.
    Raises NotShared."""
    if "\0" in source:
        raise NotShared(f"The folder {source} cannot be shared.", "No folder has such a name.")
    plain = posixpath.normpath(source)
    if os.path.realpath(plain) == os.path.realpath(sharing.docker_socket):
        return SOCKET
    real = PurePath(os.path.realpath(plain))
    for share in sharing.shares:
        if real.is_relative_to(share.host_path):
            _check_whose(source, plain, real, sharing, make)
            there = posixpath.join(share.guest_path, real.relative_to(share.host_path).as_posix())
            return posixpath.normpath(there)
    if plain in OWN or any(PurePath(plain).is_relative_to(tree) for tree in OWN_TREES):
        return plain
    raise _not_shared(source, plain, real, sharing)


def _check_whose(source: str, plain: str, real: PurePath, sharing: Sharing, make: bool) -> None:
    """Raises NotShared for Galley's own, and for another user's. What is checked stays so: only the
    user replaces what is theirs, and `resolve` passes on the path without links."""
    sentence = f"The folder {source} is not shared with Galley's virtual machine."
    if private_folders.holds(str(real), sharing.private):
        raise NotShared(sentence, "Galley keeps its keys and sockets there. Use another folder.")
    other = owners.foreign(plain, make=make)
    if other is not None and not os.path.lexists(other):
        raise NotShared(
            f"The folder {source} does not exist.", "Make it first, or bind it with -v."
        )
    if other is not None:
        hint = f"{other} belongs to another user of this computer. Use a folder of your own."
        raise NotShared(sentence, hint)


def _not_shared(source: str, plain: str, real: PurePath, sharing: Sharing) -> NotShared:
    sentence = f"The folder {source} is not shared with Galley's virtual machine."
    if sharing.problem is not None:
        return NotShared(f"{sentence} {sharing.problem.summary}", sharing.problem.hint)
    if any(real.is_relative_to(folder) for folder in sharing.folders):
        return NotShared(sentence, "It will be when the engine starts again: galley restart")
    above = posixpath.dirname(plain)
    folder = plain if os.path.isdir(plain) or above == "/" else above
    if share_paths.is_guests(folder):
        return NotShared(sentence, "The machine has its own there. Copy it to a shared folder.")
    value = shlex.quote(",".join(filter(None, (*sharing.names, folder))))
    return NotShared(
        sentence,
        "Share it, or a folder that holds it, then restart the engine: "
        f"galley settings set shares {value} && galley restart",
    )


def _change(document: Object, way: tuple[str, ...], name: str, sharing: Sharing) -> None:
    """Put the list `name`, at the end of `way`, right in its place. A field of another type is for
    dockerd to refuse, or none that it looks at."""
    key = key_of(document, way[0] if way else name)
    if key not in document:
        return
    raw = document[key]
    with contextlib.suppress(msgspec.ValidationError):
        if way:
            inner = fields(raw)
            _change(inner, way[1:], name, sharing)
            document[key] = _said(raw, inner)
        elif name == "Binds":
            binds = msgspec.json.decode(raw, type=list[str | None] | None) or []
            document[key] = _said(raw, [bind and _bind(bind, sharing) for bind in binds], binds)
        else:
            mounts = msgspec.json.decode(raw, type=list[msgspec.Raw] | None) or []
            document[key] = _said(raw, [_mount(mount, sharing) for mount in mounts], mounts)


def _said[T: (bytes, msgspec.Raw)](raw: T, now: Any, before: Any = None) -> T | msgspec.Raw:
    """`raw`, where it says the same as `now`: no byte of it changes."""
    if now == before or not now:
        return raw
    made = msgspec.json.encode(now)
    same = msgspec.json.format(made, indent=-1) == msgspec.json.format(raw, indent=-1)
    return raw if same else msgspec.Raw(made)


def _bind(bind: str, sharing: Sharing) -> str:
    """SOURCE:TARGET[:MODE]. A source that is no path is the name of a volume. Raises NotShared,
    also for one that such a line cannot name."""
    source, colon, rest = bind.partition(":")
    if not colon or not source.startswith("/"):
        return bind
    there = resolve(source, sharing, make=True)
    if there == posixpath.normpath(source):
        return bind
    if ":" in there:
        target, _, mode = rest.partition(":")
        only = ",readonly" if "ro" in mode.split(",") else ""
        mount = shlex.quote(f"type=bind,source={source},target={target}{only}")
        raise NotShared(
            f"The folder {source} leads to {there}, and -v cannot name a folder with a colon.",
            f"Give it in the longer way: docker run --mount {mount}",
        )
    return f"{there}:{rest}"


def _mount(raw: msgspec.Raw, sharing: Sharing) -> msgspec.Raw:
    mount = fields(raw)
    source = decode(mount, key_of(mount, "Source"), str | None)
    is_bind = decode(mount, key_of(mount, "Type"), str | None) == "bind"
    if is_bind and source and source.startswith("/"):
        options = fields(mount.get(key_of(mount, "BindOptions"), _NOTHING))
        make = decode(options, key_of(options, "CreateMountpoint"), bool | None)
        there = resolve(source, sharing, make=bool(make))
        if there != posixpath.normpath(source):
            mount[key_of(mount, "Source")] = msgspec.Raw(msgspec.json.encode(there))
    return _said(raw, mount)


def fields(raw: bytes | msgspec.Raw) -> Object:
    """Those of an object, {} for null; of those that dockerd takes for one, the last."""
    found = msgspec.json.decode(raw, type=Object | None) or {}
    last = {key.casefold(): key for key in found}
    return {key: found[key] for key in last.values()}


def key_of(document: Object, name: str) -> str:
    """As it is written there: dockerd does not mind small and capital letters, nor a long s."""
    return next((key for key in document if key.casefold() == name.casefold()), name)


def decode(document: Object, key: str, kind: Any) -> Any:
    return msgspec.json.decode(document[key], type=kind) if key in document else None
