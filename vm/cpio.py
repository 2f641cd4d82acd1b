"""Writes cpio archives, the format of an initramfs. Next: `vm/backends/qemu/boot_files.py`;
`engine/guest/rootfs.py`, which makes the image's own.
"""

from collections.abc import Iterable, Iterator

import msgspec


class CpioEntry(msgspec.Struct, frozen=True):
    """A file or directory of an initramfs."""

    name: str
    mode: int
    data: bytes = b""


def cpio(entries: Iterable[CpioEntry]) -> bytes:
    """An archive in the `newc` format, without times and owners, so the same every time. The kernel
    unpacks several that follow each other."""
    return b"".join(_records([*entries, CpioEntry("TRAILER!!!", 0)]))


def _records(entries: Iterable[CpioEntry]) -> Iterator[bytes]:
    for number, entry in enumerate(entries, start=1):
        name = entry.name.encode() + b"\0"
        links = 2 if entry.mode & 0o040000 else 1
        fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        yield _padded(header + name)
        yield _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
