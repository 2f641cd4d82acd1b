"""The ids that this system lends its user (/etc/subuid, /etc/subgid), as a namespace gets them.

It is tried rather than read: only so is it known that newuidmap is installed and the kernel allows
it. Linux only. May import: msgspec, `process`, `vm.errors`. Next: `vm/backends/qemu/virtiofsd.py`.
"""

import msgspec

from vm.errors import HostError, ToolMissing
from vm.host import process

DEADLINE = 10.0  # seconds; a hundredth of one on a quiet computer
SHOW = "cat /proc/self/uid_map; echo; cat /proc/self/gid_map"


class Range(msgspec.Struct, frozen=True):
    """`count` ids from `inside` on, which are those from `outside` on for everybody else."""

    inside: int
    outside: int
    count: int


class LentIds(msgspec.Struct, frozen=True):
    """In both the user and their group are 0, and the lent ids follow."""

    users: tuple[Range, ...]
    groups: tuple[Range, ...]


def find() -> LentIds:
    """Those of the user that we are. Raises HostError with what the system said."""
    words = ("unshare", "--map-auto", "--map-root-user", "sh", "-c", SHOW)
    try:
        done = process.run(words, timeout=DEADLINE)
    except (ToolMissing, process.TimedOut) as error:
        raise _none(error.details) from error
    if not done.ok:
        raise _none(done.tail())
    users, groups = done.stdout.decode().split("\n\n")
    return LentIds(_ranges(users), _ranges(groups))


def _ranges(text: str) -> tuple[Range, ...]:
    return tuple(Range(*map(int, line.split())) for line in text.splitlines())


def _none(details: str) -> HostError:
    return HostError(
        "Containers that do not run as root cannot write to shared folders: "
        "this computer lends you no ids for them.",
        "Have it lend you some: sudo apt-get install uidmap && sudo usermod "
        "--add-subuids 100000-165535 --add-subgids 100000-165535 $USER && galley restart",
        details=details,
    )
