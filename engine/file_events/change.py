"""A change of a file, in terms of inotify, which both kernels use. Pure.

Next: `tree.py`, which makes them; `event_sender.py`.
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


REPEATED = Kind.MODIFY | Kind.ATTRIB | Kind.CLOSE_WRITE  # kinds that repeat for a file
LONGEST = 4000  # bytes of a path: the guest's kernel takes an event of a page


class Change(msgspec.Struct, frozen=True):
    """`cookie` joins the two halves of a rename."""

    mask: int
    path: str
    cookie: int = 0


def worth_sending(changes: Iterable[Change]) -> list[Change]:
    """Without repeated changes of the same name: a large file is written in many steps. Keeps the
    order, and every creation, deletion and rename."""
    kept: list[Change] = []
    sent: dict[str, set[int]] = {}
    for change in changes:
        if not change.mask & REPEATED:
            sent.pop(change.path, None)
        elif change.mask in sent.setdefault(change.path, set()):
            continue
        else:
            sent[change.path].add(change.mask)
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
