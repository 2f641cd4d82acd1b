"""The files of one layer, found in the stream of a saved image.

A layer is identified by its diff id, the hash of its uncompressed tar. Engines save images in three
formats (an OCI layout with plain or compressed layers, and folders with a layer.tar), and each
lists its layers only at the end of the stream. So a layer is recognized by its name where that is
the hash of a plain tar, else by hashing. Next: `images.py`.
"""

import gzip
import hashlib
import itertools
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO

from engine.docker.tar import PIECE, EntryReader, Stream, members, opened, parts_of, reading
from engine.docker.types import FileEntry
from engine.messages.docker import IMAGE_LAYER_GONE, IMAGE_LAYER_ZSTD
from vm.errors import EngineRefused

MOST = 20_000  # entries; a longer list is useless
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"


def files(saved: Iterable[bytes], diff_id: str) -> tuple[FileEntry, ...]:
    """The entries of the layer; a name that it takes away has the kind "deleted"."""
    wanted = diff_id.removeprefix("sha256:")
    unread = False
    with opened(reading(saved)) as image:
        for member in members(image):
            content = image.extractfile(member) if member.isreg() else None
            if content is None or not _may_be_layer(member):
                continue
            head = content.read(4)
            unread = unread or head == ZSTD
            whole = reading(itertools.chain([head], _pieces(content)))
            found = _entries(whole, head, member.name, wanted)
            if found is not None:
                return found
    raise EngineRefused(IMAGE_LAYER_ZSTD if unread else IMAGE_LAYER_GONE)


def _may_be_layer(member: tarfile.TarInfo) -> bool:
    return member.name.startswith("blobs/") or member.name.endswith("layer.tar")


def _entries(content: Stream, head: bytes, name: str, wanted: str) -> tuple[FileEntry, ...] | None:
    """The entries, if this is the layer."""
    if name.rpartition("/")[2] == wanted:
        return _listed(content)
    is_gzip = head.startswith(GZIP)
    if head in (ZSTD, b"") or (name.startswith("blobs/") and not is_gzip):
        return None  # a plain blob's name is its hash, and it is another one
    hashed = _Hashed(_unzipped(content) if is_gzip else _pieces(content))
    try:
        found = _listed(reading(hashed))
        hashed.drain()
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile):
        return None
    return found if hashed.hexdigest() == wanted else None


def _listed(content: Stream) -> tuple[FileEntry, ...]:
    rows = EntryReader()
    with opened(content) as layer:
        return tuple(itertools.islice((_row(rows, member) for member in members(layer)), MOST))


def _row(rows: EntryReader, member: tarfile.TarInfo) -> FileEntry:
    rows.remember(member)
    *folder, name = parts_of(member.name) or [""]
    if name == OPAQUE:
        return FileEntry("/".join(["", *folder]), "deleted", 0, 0, 0.0)
    if name.startswith(WHITEOUT):
        path = "/".join(["", *folder, name.removeprefix(WHITEOUT)])
        return FileEntry(path, "deleted", 0, 0, 0.0)
    return rows.row(member, "/".join(["", *folder, name]))


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    while piece := content.read(PIECE):
        yield piece


def _unzipped(content: Stream) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=content) as plain:
        while piece := plain.read(PIECE):
            yield piece


class _Hashed:
    """Pieces that are hashed as they pass."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._hash = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._hash.update(piece)
            yield piece

    def drain(self) -> None:
        for _ in self:
            pass

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
