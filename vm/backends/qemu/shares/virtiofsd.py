"""virtiofsd: one for each shared folder; it ends when QEMU does. Linux only; elsewhere `find`
raises ToolMissing.

There is no record of them: a process is the machine's if it runs as this user and has one of the
machine's sockets on its command line.

On the host it has the rights of the user who runs it. Run by root, owners are the same on both
sides. Run by an ordinary user, files of root in a container belong to the user, and each other id
of a container is one of the user's subordinate ids (/etc/subuid), as with rootless Docker: a
database's files keep their own owner. Without subordinate ids, all files that containers make
belong to the user, and other ids there may write only where every user may.

It runs in a mount namespace in which Galley's own folders are covered; no guest can undo that.
Where the kernel gives the user no namespace, the guest covers them (`folders.py`), which root in
the guest can undo.

Next: `folders.py`, `vm/backends/qemu/start.py`.
"""

import itertools
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from vm.directory import MachineDir
from vm.errors import HostError, ToolMissing
from vm.host import (
    file_identity,
    lent_ids,
    ownership,
    private_folders,
    process,
    process_search,
    remapped_ids,
)
from vm.host.lent_ids import LentIds, Range
from vm.messages.qemu import SHARES_NAMESPACES_FORBIDDEN, SHARES_NO_VIRTIOFSD
from vm.types import Share

PLACES = ("/usr/libexec", "/usr/lib", "/usr/lib/virtiofsd")  # Debian and Fedora, Arch, Alpine
POLL = 0.002  # seconds between two polls
SERVED_WITHIN = 5.0  # seconds; 0.01 on a quiet computer
ROUNDS = 5  # polls: one that has just started forks a second process
ALL_IDS = 4294967295
# Bind-mounts a folder at a second path, covers the paths up to "--" there, and execs the program
# after it. At the first path nothing is covered, for the program's socket may be there.
COVER = """[ -z "$1" ] || mount --rbind "$1" "$2" || exit
shift 2
while [ "$1" != -- ]; do
  mount -t tmpfs -o ro,mode=0 galley "$1" || [ ! -e "$1" ] || exit
  shift
done
shift
exec "$@"
"""
# A file that was moved or replaced while the machine was suspended is an I/O error for programs in
# the guest that have it open, never another file. Since 1.13, where the file system has handles;
# elsewhere a cold start follows when a file is gone.
RESUMES = ("--migration-on-error=guest-error", "--migration-verify-handles")
# Kernel settings that forbid user namespaces for ordinary users.
NAMESPACES = {
    "kernel/unprivileged_userns_clone": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
    "user/max_user_namespaces": "0",
}


class Rights(msgspec.Struct, frozen=True):
    """Of the user who runs virtiofsd. `lent`: subordinate ids that files of containers may get."""

    uid: int
    gid: int
    may_unshare: bool = True
    lent: LentIds | None = None


def find() -> Path:
    """The program. Raises ToolMissing."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *PLACES))
    found = shutil.which("virtiofsd", path=path) if sys.platform == "linux" else None
    if found is None:
        raise ToolMissing(
            SHARES_NO_VIRTIOFSD,
        )
    return Path(found)


def serve(
    directory: MachineDir, shares: tuple[Share, ...], id_offset: int = 0
) -> tuple[Share, ...]:
    """Start one for each share, all at once. Returns those that answer, in order, on
    `share_socket(0)` and so on; the others' errors are in the backend's log. Raises ToolMissing."""
    program, may, private = find(), rights(), private_folders.of(directory.home)
    is_new = bool(shares) and version(program) >= (1, 13)

    def begin(share: Share, number: int) -> process.Identity:
        view = directory.share_view(number)
        covered = private_folders.inside(share.host_path, private) if may.may_unshare else ()
        if covered:
            view.mkdir(mode=0o700, exist_ok=True)
        words = [*namespace_prefix(may, share.host_path, view, covered), str(program)]
        socket, shown = directory.share_socket(number), view if covered else None
        words += options(share, socket, may, shown, id_offset)
        words += RESUMES if is_new and file_identity.has_handles(share.host_path) else ()
        return process.spawn_detached(words, log=directory.backend_log)

    begun = [begin(share, number) for number, share in enumerate(shares)]
    answers = [_answers(directory.share_socket(n), identity) for n, identity in enumerate(begun)]
    if all(answers):
        return shares
    sweep(directory)
    return serve(directory, tuple(itertools.compress(shares, answers)), id_offset)


def version(program: Path) -> tuple[int, ...]:
    """Of "virtiofsd 1.13.2"; (0,) where it is unknown."""
    output = process.run([program, "--version"], timeout=SERVED_WITHIN).stdout
    found = re.search(rb"(\d+)\.(\d+)", output)
    return tuple(map(int, found.groups())) if found else (0,)


def rights() -> Rights:
    """Those of this user. Raises ToolMissing on Windows."""
    if sys.platform != "win32":
        uid, gid = os.getuid(), os.getgid()
        if uid == 0:
            return Rights(uid, gid)
        try:
            return Rights(uid, gid, True, lent())
        except HostError:
            return Rights(uid, gid, _forbids_namespaces() is None)
    raise ToolMissing(SHARES_NO_VIRTIOFSD)


def lent() -> LentIds:
    """The user's subordinate ids. Raises HostError when there are none, or the kernel does not let
    virtiofsd use them."""
    forbidden = _forbids_namespaces()
    if forbidden is None:
        return lent_ids.find()
    raise HostError(
        SHARES_NAMESPACES_FORBIDDEN,
        setting=forbidden,
    )


def can_cover() -> bool:
    """Whether it can run in a mount namespace. Reads one file at most."""
    return ownership.is_root() or _forbids_namespaces() is None


def namespace_prefix(may: Rights, folder: str, view: Path, covered: tuple[str, ...]) -> list[str]:
    """The command prefix that gives it the ids of `may`, and `folder` at `view` with these folders
    covered. Pure. An ordinary user needs a user namespace for either."""
    if not may.may_unshare or (may.uid == 0 and not covered):
        return []
    ids = [] if may.uid == 0 else ["--map-root-user", *(["--map-auto"] if may.lent else [])]
    there = [str(view / Path(path).relative_to(folder)) for path in covered]
    shown = [folder, str(view)] if covered else ["", ""]
    return ["unshare", *ids, "--mount", "sh", "-c", COVER, "sh", *shown, *there, "--"]


def options(
    share: Share, socket: Path, may: Rights, view: Path | None = None, id_offset: int = 0
) -> list[str]:
    """virtiofsd's options; `view`: where it sees the folder. Pure. Without extended attributes:
    with them the guest requests each new file's capabilities, also with --killpriv-v2, and creating
    small files takes a fifth longer."""
    words = [
        *(f"--shared-dir={view or share.host_path}", f"--socket-path={socket}"),
        *("--cache=auto", "--log-level=error"),
        *(["--readonly"] if share.read_only else []),
    ]
    if not may.may_unshare:
        words.append("--sandbox=none")
    users, groups = (may.lent.users, may.lent.groups) if may.lent else ((), ())
    for kind, own, ranges in (("uid", may.uid, users), ("gid", may.gid, groups)):
        if may.uid == 0:
            rules = _of_root(id_offset)
        elif not may.may_unshare:
            rules = _of_one(own, id_offset)
        else:
            rules = _translated(own, ranges, id_offset)
        words += (f"--translate-{kind}={rule}" for rule in rules)
    return words


def _of_root(offset: int) -> Iterator[str]:
    """The id mapping of root's virtiofsd: none but the containers' own."""
    if offset:
        yield f"guest:{offset}:0:{remapped_ids.COUNT}"
        yield f"host:0:{offset}:{remapped_ids.COUNT}"


def _of_one(own: int, offset: int) -> Iterator[str]:
    """The id mapping without a user namespace: every user of the guest is the user."""
    yield f"squash-guest:0:{own}:{ALL_IDS}"
    if offset:
        yield f"host:{own}:{remapped_ids.in_guest(own, offset)}:1"


def _translated(own: int, ranges: tuple[Range, ...], offset: int) -> Iterator[str]:
    """The id mapping: the user is root for virtiofsd, and has their own id in the guest. A
    container's user with that same id, or with an id beyond the subordinate ones, is the user,
    too. From `offset` on the same ids follow again, for containers with a user namespace."""
    limit = max((each.inside + each.count for each in ranges), default=0)
    if offset:
        limit = min(limit, remapped_ids.COUNT)
    for first, end in ((0, offset), (offset, ALL_IDS)) if offset else ((0, ALL_IDS),):
        if own < limit:
            yield f"squash-guest:{first + own}:0:1"
        yield f"squash-guest:{first + limit}:0:{end - first - limit}"
    yield f"host:0:{remapped_ids.in_guest(own, offset)}:1"
    if offset and limit > 1:
        before = min(own, limit)
        yield f"guest:{offset}:0:{before}"
        if before + 1 < limit:
            yield f"guest:{offset + before + 1}:{before + 1}:{limit - before - 1}"
        yield f"host:1:{offset + 1}:{limit - 1}"


def sweep(directory: MachineDir) -> None:
    """End every virtiofsd that outlived its QEMU, and remove its socket."""
    process.reap()
    left = [*directory.run.glob("share*.sock"), *directory.run.glob("share*.sock.pid")]
    if not left:
        return
    for _ in range(ROUNDS):
        ours = list(of(directory))
        for identity in ours:
            process.end(identity, force=True)
        for identity in ours:
            process.wait_gone(identity, 5)
        if not ours:
            break
    for file in left:
        file.unlink(missing_ok=True)


def of(directory: MachineDir) -> Iterator[process.Identity]:
    """The machine's processes. In a namespace of its own, a virtiofsd is two."""
    return iter(serving(directory))


def serving(directory: MachineDir) -> dict[process.Identity, int]:
    """The machine's processes, each with the number of its share."""
    prefix = f"--socket-path={directory.run}{os.sep}share"
    found = {}
    for identity, words in process_search.own("virtiofsd"):
        for word in words:
            number = word.removeprefix(prefix).removesuffix(".sock")
            if word.startswith(prefix) and number.isdecimal():
                found[identity] = int(number)
    return found


def numbers(directory: MachineDir) -> set[int]:
    """The numbers of the shares that were served when the machine was started."""
    found = directory.run.glob("share*.sock")
    return {int(socket.stem.removeprefix("share")) for socket in found}


def _answers(socket: Path, identity: process.Identity) -> bool:
    """Whether its socket appears; False when it ended or takes too long."""
    until = time.monotonic() + SERVED_WITHIN
    while not socket.exists() and time.monotonic() < until:
        if process.wait_gone(identity, POLL):
            return False
    return process.is_alive(identity)


def _forbids_namespaces() -> str | None:
    """The kernel setting that forbids user namespaces here."""
    for name, forbidden in NAMESPACES.items():
        try:
            if Path("/proc/sys", name).read_text().strip() == forbidden:
                return name.replace("/", ".")
        except OSError:
            continue
    return None
