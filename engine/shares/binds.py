"""Checks bind mounts: a container may have shared folders of this host, and nothing else of it.

A bind mount names a path of this host, and dockerd looks for it in the guest. Below a shared folder
it exists there. Elsewhere dockerd would create an empty directory without an error, so the request
is refused first. Also refused: files that another user has put into a common folder such as /tmp,
and Galley's own private folders. Two kinds of paths exist in the guest and pass: those that
monitoring and management containers bind (`OWN`), and the docker socket, by any name that it has on
this host. /tmp itself may be bound: a container has its user's rights there.

Next: `engine/admission/admission.py`, which checks the binds of a create request;
`shared_folders.py`.
"""

import os
import posixpath
import shlex
from pathlib import PurePath

import msgspec

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


class Sharing(msgspec.Struct, frozen=True):
    """What is shared now. `names` and `folders`: the settings, as written and resolved; `problem`:
    why no folder can be shared; `private`: Galley's own folders."""

    docker_socket: str  # of this host
    shares: tuple[Share, ...] = ()
    names: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    problem: Problem | None = None
    private: private_folders.Identities = frozenset()


def checked(bind: str, sharing: Sharing) -> str:
    """`bind`, SOURCE:TARGET[:MODE], with the source's path in the guest. A source that is no path
    is the name of a volume. Raises NotShared, also for a source that would contain a colon."""
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


def resolve(source: str, sharing: Sharing, *, make: bool = False) -> str:
    """The path in the guest of `source`, a path of this host. `make`: dockerd creates it where it
    is missing. Raises NotShared."""
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
    """Raises NotShared for Galley's folders and for those of another user. The result stays true:
    only the user can replace their files, and `resolve` returns the path without links."""
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
