"""One change of a file, in the words of inotify, which both kernels speak. Pure.

Next: `tree.py`, who finds them; `event_sender.py`.
"""

import os
from collections.abc import Iterable
from enum import IntFlag

import msgspec


class Kind(IntFlag):
    """Bits of an event's mask: see inotify(7)."""

    MODIFY = 0x2
    ATTRIB = 0x4
    CLOSE_WRITE = 0x8
    MOVED_FROM = 0x40
    MOVED_TO = 0x80
    CREATE = 0x100
    DELETE = 0x200
    ISDIR = 0x40000000


REPEATED = Kind.MODIFY | Kind.ATTRIB | Kind.CLOSE_WRITE  # what is true of a name over and over
LONGEST = 4000  # bytes of a path: the guest's kernel takes an event of a page


class Change(msgspec.Struct, frozen=True):
    """`cookie` joins the two halves of a rename."""

    mask: int
    path: str
    cookie: int = 0


def worth_sending(changes: Iterable[Change]) -> list[Change]:
    """Without what says again, of the same name, what has been said: a large file is written in
    many steps. The order stays, and names that come and go are told each time."""
    kept: list[Change] = []
    said: dict[str, set[int]] = {}
    for change in changes:
        if not change.mask & REPEATED:
            said.pop(change.path, None)
        elif change.mask in said.setdefault(change.path, set()):
            continue
        else:
            said[change.path].add(change.mask)
        kept.append(change)
    return kept


def encode(changes: Iterable[Change]) -> bytes:
    """As `engine/guest/files/source/event_module.c` reads it, each ended by a zero byte."""
    paths = ((change, os.fsencode(change.path)) for change in changes)
    return b"".join(
        b"%08x %08x %s\0" % (change.mask, change.cookie, path)
        for change, path in paths
        if len(path) <= LONGEST
    )
