"""Hostile archives: of a container's files, of a saved image, of a volume on this computer.

The first byte of an input chooses the reader, the rest is the archive; endless zeros may follow it.
Only GalleyError may be raised. Nothing is unpacked outside of the folder, and an archive is never
in memory as a whole. Next: `engine/docker/tar.py`.
"""

import contextlib
import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.docker import archive, files, layers, tar
from engine.docker.transfers import using
from engine.docker.types import FileEntry
from tests.fuzz.harness import Fuzz, Source
from tests.fuzz.streams import ScriptedStream
from vm.errors import GalleyError

TYPES = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)
MORE_TYPES = (tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE, tarfile.CONTTYPE, b"V", tarfile.XHDTYPE)
NAMES = (
    *("top", "top/a", "top/b", "top/dir/", "top/dir/c", "top/link", "top/link/d", "top/up"),
    *("../out", "/abs", "top/../../out", "top/dir/../..", "", ".", "..", "./", "top/" + "n" * 300),
    *("blobs/sha256/x", "layer.tar", "top/.wh.a", ".wh..wh..opq", "top/\udcff", "top/ \n"),
)
TARGETS = (*NAMES, "/etc/passwd", "../../secret", "link", "a")
PAX = (
    "path",
    "linkpath",
    "size",
    "mtime",
    "uid",
    "GNU.sparse.map",
    "GNU.sparse.major",
    "hdrcharset",
)
VALUES = (
    "../out",
    "/abs",
    "-1",
    "nan",
    "inf",
    "1e400",
    "9" * 30,
    "top/a\0b",
    "²",
    "1",
    "1,2,3",
    "",
)


class Place:
    """A folder to unpack in, and a file beside it that must not change."""

    def __init__(self, folder: Path) -> None:
        self.inside = folder / "inside"
        self.outside = folder / "secret"
        self.outside.write_bytes(b"not for images")
        self.folder = folder

    def check(self) -> None:
        assert sorted(os.listdir(self.folder)) == ["inside", "secret"]
        assert self.outside.read_bytes() == b"not for images"
        assert self.outside.stat().st_mode & 0o7777 == 0o644
        assert set(os.listdir(self.inside)) <= {"top", "source.tar"}
        for path in self.inside.rglob("*"):
            real = Path(os.path.realpath(path))
            assert real.is_relative_to(self.inside), f"{path} leads to {real}"
            assert path.is_symlink() or path.is_file() or path.is_dir(), f"{path} is a device"

    def renew(self) -> None:
        shutil.rmtree(self.inside, ignore_errors=True)
        self.inside.mkdir()


@pytest.fixture
def place() -> Iterator[Place]:
    """In memory, because the folder is created some hundred times a second."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Place(Path(folder))


def target(place: Place) -> Callable[[bytes], None]:
    readers: tuple[Callable[[Iterator[bytes], Path], object], ...] = (
        *(_unpack_named, _unpack, _children, _first, _layer, _listed, _root_of),
    )

    def run(data: bytes) -> None:
        which = data[0] if data else 0
        place.renew()
        stream = ScriptedStream(data[1:], piece=1000, tail=b"\0" if which > 230 else b"")
        with contextlib.suppress(GalleyError):
            readers[which % len(readers)](iter(lambda: stream.recv(1 << 20), b""), place.inside)
        place.check()

    return run


def _unpack_named(pieces: Iterator[bytes], folder: Path, *, named: bool = True) -> None:
    with archive.whole("/x"), using(folder):
        left_out = files._unpack(tar.reading(pieces), folder, "top", named=named)
    assert left_out >= 0


def _unpack(pieces: Iterator[bytes], folder: Path) -> None:
    _unpack_named(pieces, folder, named=False)


def _children(pieces: Iterator[bytes], folder: Path) -> None:
    with archive.whole("/x"):
        _check_rows(tuple(tar.children(pieces)))


def _first(pieces: Iterator[bytes], folder: Path) -> None:
    with archive.whole("/x"):
        assert len(archive._first(tar.reading(pieces), "/x", 100)) <= 100


def _layer(pieces: Iterator[bytes], folder: Path) -> None:
    """Reads the first blob or layer.tar, whatever its content is."""
    with archive.whole("/x"):
        _check_rows(layers.files(pieces, "sha256:" + hashlib.sha256(b"").hexdigest()))


def _listed(pieces: Iterator[bytes], folder: Path) -> None:
    with archive.whole("/x"):
        _check_rows(layers._listed(tar.reading(pieces)))


def _root_of(pieces: Iterator[bytes], folder: Path) -> None:
    path = folder / "source.tar"
    path.write_bytes(next(pieces, b""))
    with using(path):
        made = b"".join(tar.root_of(path, "/volume"))
    with tarfile.open(fileobj=io.BytesIO(made)) as root:
        assert [each.name for each in root] in ([], ["volume"])


def _check_rows(rows: tuple[FileEntry, ...]) -> None:
    for row in rows:
        assert row.kind in ("file", "folder", "link", "other", "deleted")
        assert row.size >= 0
        assert row.modified == row.modified  # not NaN


# Archives of a hostile dockerd


def made(source: Source) -> bytes:
    which = source.take(1)
    data = _archive(source, 2)
    if source.one_in(10):
        data = gzip.compress(data, 1, mtime=0)
    return which + data[: len(data) - source.pick((0, 0, 0, 700, 1024, 1500))]


def _archive(source: Source, depth: int) -> bytes:
    buffer = io.BytesIO()
    form = source.pick((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as archive:
        for _ in range(source.below(7)):
            member = _member(source)
            content = source.blob(20)
            if depth and member.name.startswith(("blobs", "layer")):
                content = _archive(source, depth - 1)
                if source.one_in(2):
                    content = gzip.compress(content, 1, mtime=0)
            member.size = len(content) if member.isreg() else source.pick((0, 0, 0, 512, 1 << 33))
            with contextlib.suppress(ValueError):  # a field that this format cannot hold
                archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return buffer.getvalue()


def _member(source: Source) -> tarfile.TarInfo:
    member = tarfile.TarInfo(source.pick(NAMES))
    member.type = source.pick((*TYPES, *TYPES, *MORE_TYPES))
    member.linkname = source.pick(TARGETS)
    member.mode = source.pick((0o644, 0o777, 0, 0o7777))
    member.mtime = source.pick((0, 1, 1 << 33))
    if source.one_in(3):
        member.pax_headers = {source.pick(PAX): source.pick(VALUES)}
    return member


def test_archives(fuzz: Fuzz, place: Place) -> None:
    words = [name.encode("utf-8", "surrogateescape") for name in NAMES]
    fuzz("archives", target(place), made, [*words, bytes(512), b"30 mtime=nan\n", b"\x1f\x8b\x08"])
