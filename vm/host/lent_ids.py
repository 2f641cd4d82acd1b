"""Subordinate ids of the user (/etc/subuid, /etc/subgid), as mapped into a user namespace.

They are tried rather than read: only a try shows that newuidmap is installed and the kernel allows
it. Linux only; elsewhere `find` raises HostError. Next: `vm/backends/qemu/shares/virtiofsd.py`.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from vm.errors import HostError, ToolMissing
from vm.host import process
from vm.messages import Text
from vm.messages.host import (
    IDS_LEND,
    IDS_NO_NEWUIDMAP,
    IDS_NOT_LENT,
    IDS_RETRY,
    IDS_UNSHARE_TOO_OLD,
)

DEADLINE = 10.0  # seconds; a hundredth of one on a quiet computer
SHOW = "cat /proc/self/uid_map; echo; cat /proc/self/gid_map"
ETC = Path("/etc")
FIRST, COUNT = 100000, 65536  # ids that distributions assign; below are users of the computer


class Range(msgspec.Struct, frozen=True):
    """`count` ids, from `inside` on in the namespace and from `outside` on elsewhere."""

    inside: int
    outside: int
    count: int


class LentIds(msgspec.Struct, frozen=True):
    """In both, 0 is the user or group itself, followed by the subordinate ids."""

    users: tuple[Range, ...]
    groups: tuple[Range, ...]


def find() -> LentIds:
    """Those of this user. Raises HostError with the system's message."""
    words = ("unshare", "--map-auto", "--map-root-user", "sh", "-c", SHOW)
    try:
        done = process.run(words, timeout=DEADLINE, env={"LC_ALL": "C"})
    except ToolMissing as error:
        raise HostError(IDS_NOT_LENT, hint=IDS_UNSHARE_TOO_OLD, details=error.details) from error
    except process.TimedOut as error:
        raise HostError(IDS_NOT_LENT, hint=IDS_RETRY, details=error.details) from error
    except OSError as error:  # no process can be started
        raise HostError(IDS_NOT_LENT, hint=IDS_RETRY, details=str(error)) from error
    if not done.ok:
        raise HostError(IDS_NOT_LENT, hint=_hint(done.tail()), details=done.tail())
    users, groups = done.stdout.decode().split("\n\n")
    return LentIds(_ranges(users), _ranges(groups))


def _ranges(text: str) -> tuple[Range, ...]:
    return tuple(Range(*map(int, line.split())) for line in text.splitlines())


def _hint(details: str) -> Text:
    """What to do about the error of `unshare`."""
    if "unrecognized option" in details:
        return IDS_UNSHARE_TOO_OLD.text()
    lent = {kind: list(_lines(ETC / kind)) for kind in ("subuid", "subgid")}
    mine = _names()
    missing = [kind for kind, lines in lent.items() if mine.isdisjoint(name for name, _ in lines)]
    if not missing:
        return IDS_NO_NEWUIDMAP.text()
    first = max([FIRST, *(end for lines in lent.values() for _, end in lines)])
    wanted = " ".join(f"--add-{kind}s {first}-{first + COUNT - 1}" for kind in missing)
    return IDS_LEND.text(options=wanted)


def _lines(file: Path) -> Iterator[tuple[str, int]]:
    """The names that have subordinate ids, each with the first id after its own."""
    with contextlib.suppress(OSError):
        for line in file.read_text(errors="replace").splitlines():
            name, *numbers = line.split(":")
            with contextlib.suppress(ValueError):
                first, count = map(int, numbers)
                yield name, first + count


def _names() -> set[str]:
    """The names of this user in these files; none on Windows."""
    names = set[str]()
    if sys.platform != "win32":
        import pwd

        uid = os.getuid()
        names.add(str(uid))
        with contextlib.suppress(KeyError):
            names.add(pwd.getpwuid(uid).pw_name)
    return names
