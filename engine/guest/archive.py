"""Reads unpacked Debian packages from a tar, and finds the libraries that a program needs.

Next: `rootfs.py`.
"""

import posixpath
import struct
import tarfile
from fnmatch import fnmatch
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.messages.image import RECIPE_NO_FILE
from vm.errors import HostError


class PackageTree:
    """Read access to unpacked Debian packages by path, following symbolic links."""

    def __init__(self, tar: Path) -> None:
        self._tar = tarfile.open(tar, "r:")  # noqa: SIM115 (closed by __exit__)
        self._members = {_merged(posixpath.normpath(member.name)): member for member in self._tar}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tar.close()

    def names(self, pattern: str) -> list[str]:
        """Files and links whose whole path matches, in order."""
        return sorted(
            name
            for name, member in self._members.items()
            if not member.isdir() and fnmatch(name, pattern)
        )

    def has(self, name: str) -> bool:
        return name in self._members

    def target(self, name: str) -> str | None:
        """The path a symbolic link points to, or None for anything else."""
        member = self._members[name]
        if not member.issym():
            return None
        link = member.linkname
        if link.startswith("/"):
            return _merged(link[1:])
        return _merged(posixpath.normpath(posixpath.join(posixpath.dirname(name), link)))

    def link(self, name: str) -> str:
        return self._members[name].linkname

    def is_executable(self, name: str) -> bool:
        return bool(self._members[name].mode & 0o100)

    def read(self, name: str) -> bytes:
        """Raises HostError when no package has such a file."""
        member = self._members.get(name)
        file = None if member is None else self._tar.extractfile(member)
        if file is None:
            raise HostError(RECIPE_NO_FILE, name=name)
        with file:
            return file.read()


def _merged(name: str) -> str:
    """Debian's packages may still use /bin or /lib; in the image everything is below /usr."""
    first = name.partition("/")[0]
    return f"usr/{name}" if first in ("bin", "sbin", "lib", "lib64") else name


def needed_libraries(elf: bytes) -> tuple[str, ...]:
    """The shared libraries that a program names (DT_NEEDED), and its loader, which is a path."""
    if elf[:5] != b"\x7fELF\x02":
        return ()
    (segments_at,) = struct.unpack_from("<Q", elf, 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x36)
    segments = [
        struct.unpack_from("<I4xQQ8xQ", elf, segments_at + index * size) for index in range(count)
    ]
    found: list[str] = []
    for kind, offset, _, length in segments:
        if kind == 3:  # PT_INTERP
            found.append(_merged(elf[offset + 1 : offset + length].rstrip(b"\0").decode()))
        if kind == 2:  # PT_DYNAMIC
            entries = list(struct.iter_unpack("<QQ", elf[offset : offset + length]))
            address = next((value for tag, value in entries if tag == 5), 0)  # DT_STRTAB
            strings = next(
                at + address - start
                for what, at, start, span in segments
                if what == 1 and start <= address < start + span
            )
            for tag, value in entries:
                if tag == 0:
                    break
                if tag == 1:  # DT_NEEDED
                    name_at = strings + value
                    found.append(elf[name_at : elf.index(b"\0", name_at)].decode())
    return tuple(found)
