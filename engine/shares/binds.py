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

from engine.messages.guest import (
    BINDS_AFTER_RESTART,
    BINDS_COLON,
    BINDS_IMPOSSIBLE,
    BINDS_MISSING,
    BINDS_NONE_SHARED,
    BINDS_NOT_SHARED,
    BINDS_OF_GALLEY,
    BINDS_OF_MACHINE,
    BINDS_OF_OTHERS,
)
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
            BINDS_COLON,
            folder=source,
            target=there,
            mount=mount,
        )
    return f"{there}:{rest}"


def resolve(source: str, sharing: Sharing, *, make: bool = False) -> str:
    """The path in the guest of `source`, a path of this host. `make`: dockerd creates it where it
    is missing. Raises NotShared."""
    if "\0" in source:
        raise NotShared(BINDS_IMPOSSIBLE, folder=source)
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
    if private_folders.holds(str(real), sharing.private):
        raise NotShared(BINDS_OF_GALLEY, folder=source)
    other = owners.foreign(plain, make=make)
    if other is not None and not os.path.lexists(other):
        raise NotShared(BINDS_MISSING, folder=source)
    if other is not None:
        raise NotShared(BINDS_OF_OTHERS, folder=source, path=other)


def _not_shared(source: str, plain: str, real: PurePath, sharing: Sharing) -> NotShared:
    if sharing.problem is not None:
        reason, hint = sharing.problem.text, sharing.problem.hint_text
        return NotShared(BINDS_NONE_SHARED, folder=source, reason=reason, hint=hint)
    if any(real.is_relative_to(folder) for folder in sharing.folders):
        return NotShared(BINDS_AFTER_RESTART, folder=source)
    above = posixpath.dirname(plain)
    folder = plain if os.path.isdir(plain) or above == "/" else above
    if share_paths.is_guests(folder):
        return NotShared(BINDS_OF_MACHINE, folder=source)
    value = shlex.quote(",".join(filter(None, (*sharing.names, folder))))
    return NotShared(BINDS_NOT_SHARED, folder=source, shares=value)
