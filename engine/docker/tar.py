"""Reads and writes tar as a stream.

Nothing here has more than a piece of an archive in memory, and nothing here talks to Docker. The
input is not trusted: root in the guest may have written it. Next: `files.py`, `volumes.py` and
`layers.py`.
"""

import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self, cast

from engine.docker.types import FileEntry

PIECE = 256 * 1024
BLOCK = tarfile.BLOCKSIZE
EMPTY = bytes(2 * BLOCK)  # the end of an archive, and so an archive of nothing
MOST_SAID = 1024 * 1024  # bytes before a member, of long names and the like
SAYING = b"LKNXxg"  # the types of what is before a member, which tarfile reads into memory
EARLIEST, LATEST = -(1 << 35), 1 << 37  # seconds from 1970 that every system has a date for


class Pieces(io.RawIOBase):
    """The pieces of a stream as a file that is read once."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")
        self.count = 0  # bytes given out so far

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # only ever a view
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        self.count += size
        return size


type Stream = io.BufferedReader


def reading(pieces: Iterable[bytes]) -> Stream:
    """`pieces` as a file whose read() returns as many bytes as requested, as tarfile needs."""
    return io.BufferedReader(Pieces(pieces), PIECE)


class Member(tarfile.TarInfo):
    """One whose fields can be used: no endless header, no NUL in a name, a time that is one."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """tarfile has no other hook between a header and what it reads because of it."""
        if self.type in SAYING and self.size > MOST_SAID:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        tarfiles: Any = super()
        return cast(tarfile.TarInfo, tarfiles._proc_member(archive))

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            found = super().fromtarfile(archive)
        except (ValueError, OverflowError, RecursionError) as error:  # numbers that are none
            raise tarfile.ReadError(f"a header that cannot be read: {error}") from error
        if found.size < 0:
            raise tarfile.ReadError(f"a member of {found.size} bytes")
        found.name, found.linkname = (
            name.replace("\0", "\ufffd") for name in (found.name, found.linkname)
        )
        if not EARLIEST <= found.mtime <= LATEST:
            found.mtime = 0
        return found


class _Once(tarfile.TarFile):
    """Does not search again in what was read, as tarfile does for a link that it cannot make: it
    would read to the end, and find the link itself."""

    def _find_link_target(self, member: tarfile.TarInfo) -> tarfile.TarInfo:
        raise KeyError(member.linkname)


def opened(stream: Stream) -> tarfile.TarFile:
    """For reading once."""
    return _Once.open(fileobj=stream, mode="r|", tarinfo=Member)


def members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        yield member
        # It keeps every header, for a random access that a stream cannot give.
        archive.members.clear()  # type: ignore[attr-defined]  # it is not in the stubs


class EntryReader:
    """Headers of an archive as rows. A hard link has the size of what it is another name of."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}

    def row(self, member: tarfile.TarInfo, name: str) -> FileEntry:
        size = self._sizes.get(member.linkname, 0) if member.islnk() else member.size
        modified = float(member.mtime)
        return FileEntry(name, _kind(member), size, member.mode, modified, _target(member))

    def remember(self, member: tarfile.TarInfo) -> None:
        if member.isreg() and member.size:
            self._sizes[member.name] = member.size


def _kind(member: tarfile.TarInfo) -> str:
    if member.isdir():
        return "folder"
    if member.issym():
        return "link"
    return "file" if member.isreg() or member.islnk() else "other"


def _target(member: tarfile.TarInfo) -> str:
    return member.linkname if member.issym() else ""


def kind_of_mode(mode: int) -> str:
    """The kind of a file by its st_mode."""
    kinds = {stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFREG: "file"}
    return kinds.get(stat.S_IFMT(mode), "other")


def parts_of(name: str) -> list[str]:
    """The components of a member's name, without "." and empty ones."""
    return [part for part in name.split("/") if part not in ("", ".")]


def children(pieces: Iterable[bytes]) -> Iterator[FileEntry]:
    """The direct entries of the folder whose content (`folder/.`) is in the archive."""
    rows = EntryReader()
    with opened(reading(pieces)) as archive:
        for member in members(archive):
            rows.remember(member)
            parts = parts_of(member.name)
            if len(parts) == 1:
                yield rows.row(member, parts[0])


def root_of(path: Path, folder: str) -> Iterator[bytes]:
    """An archive of the folder "." of a tar file alone, as `folder`; empty where it has none."""
    try:
        with tarfile.open(path, "r|*", tarinfo=Member) as archive:
            root = archive.next()
    except tarfile.TarError:  # a compression that only Docker supports
        root = None
    if root is not None and root.isdir() and not parts_of(root.name):
        yield root.replace(name=folder.strip("/"), deep=False).tobuf(tarfile.PAX_FORMAT)
    yield EMPTY


def packed(paths: Iterable[Path]) -> Iterator[bytes]:
    """An archive of these files and folders, each under its own name and owned by root."""
    with tarfile.TarFile(fileobj=io.BytesIO(), mode="w") as headers:
        for path in paths:
            for found, name in _walk(path):
                yield from _member(headers, found, name)
    yield EMPTY


def _walk(top: Path) -> Iterator[tuple[Path, str]]:
    yield top, top.name
    if top.is_dir() and not top.is_symlink():
        for child in sorted(top.iterdir()):
            for found, name in _walk(child):
                yield found, f"{top.name}/{name}"


def _member(headers: tarfile.TarFile, path: Path, name: str) -> Iterator[bytes]:
    if stat.S_ISSOCK(path.lstat().st_mode):  # which no archive can hold
        return
    info = headers.gettarinfo(path, name)
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    if info.isreg():
        yield from _content(path, info.size)


def _content(path: Path, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes and the padding, whatever happens to the file meanwhile."""
    left = size
    with path.open("rb") as file:
        while left:
            piece = file.read(min(PIECE, left)) or bytes(min(PIECE, left))
            left -= len(piece)
            yield piece
    yield bytes(-size % BLOCK)


def size_of(paths: Iterable[Path]) -> int:
    """The bytes of the files that `packed` would read."""
    found = (file for path in paths for file, _ in _walk(path))
    return sum(file.lstat().st_size for file in found if stat.S_ISREG(file.lstat().st_mode))


def unpack(
    archive: tarfile.TarFile, folder: Path, top: str, *, named: bool
) -> Iterator[str | None]:
    """Extract as `folder/top`, and never outside of that.

    `named`: the members begin with a name of their own, which gives way to `top`. Gives, per
    member, its name where it would have left the folder or is a device and was therefore left out,
    else None.
    """
    drop = 1 if named else 0
    for member in members(archive):
        parts = parts_of(member.name)[drop:]
        link = "/".join(parts_of(member.linkname)[drop:]) if member.islnk() else member.linkname
        # The top itself is extracted as `top`, all other members below it.
        where, name = (folder / top, "/".join(parts)) if parts else (folder, top)
        moved = member.replace(name=name, linkname=link, deep=False)
        try:
            if not parts and (member.islnk() or member.issym()):  # all else would follow it
                raise tarfile.LinkOutsideDestinationError(moved, link)
            archive.extract(moved, where, filter="data")
        except (tarfile.FilterError, KeyError):  # KeyError: a hard link to a missing member
            yield member.name
        else:
            yield None


def free_name(folder: Path, name: str) -> str:
    """`name`, or the first of "name (2)", "name (3)", … that `folder` does not have."""
    stem, suffix = os.path.splitext(name)
    tried, number = name, 1
    while os.path.lexists(folder / tried):
        number += 1
        tried = f"{stem} ({number}){suffix}"
    return tried
