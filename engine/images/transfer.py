"""Writes an image as one file, and makes an image of such a file again.

The file is a gzip'd tar (USTAR): manifest.json, then the parts in the manifest's order. An image
always gives the same bytes. Headers are read one by one: tarfile's own reader takes an extended
header of any size into memory, and nothing in them but name and size counts here.

The digests in a manifest find damage; they do not say who made the file. Next: `feed.py`.
"""

import gzip
import hashlib
import os
import re
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import msgspec

from engine.guest.build import PARTS
from engine.guest.channels import Channel
from engine.guest.images_lock import IMPORTS
from engine.guest.recipe import architecture, recipe_hash
from engine.guest.writing import writing
from engine.images.meter import Meter
from engine.images.room import check_room
from engine.json_input import UNREADABLE
from engine.messages.feed import (
    EXPORTED_BAD_LIST,
    EXPORTED_BAD_NAME,
    EXPORTED_CUT_OFF,
    EXPORTED_DAMAGED,
    EXPORTED_MEMBER_CHANGED,
    EXPORTED_NO_GZIP,
    EXPORTED_NO_TAR,
    EXPORTED_NOT_READ,
    EXPORTED_NOT_REGULAR,
    EXPORTED_OTHER_MEMBER,
    EXPORTED_OTHER_SIZE,
    EXPORTED_TOO_LARGE,
    EXPORTED_TRAILING,
    IMAGE_EXPORTING,
    IMAGE_FROM_FUTURE,
    IMAGE_IMPORTING,
    IMAGE_NEWER_FORMAT,
    IMAGE_OTHER_ARCH,
    IMAGE_OTHER_RECIPE,
)
from vm.errors import HostError, ImageDamaged, Retry
from vm.host import sparse
from vm.host.paths import sync_directory
from vm.image import FORMAT, MANIFEST, Format, Manifest, Part, damaged, settle, verify
from vm.messages import Message, Text
from vm.messages.guest import IMAGE_OTHER_FORMAT

EXTENSION = ".galley-image"
MANIFEST_LARGEST = 4 << 20  # bytes
PIECE = 64 * sparse.BLOCK
LEVEL = 6  # of gzip: most of an image is compressed already, and 9 saves nothing
END = bytes(2 * tarfile.BLOCKSIZE)  # closes a tar
FUTURE = timedelta(days=1)  # that a computer's clock may be behind
_RECIPE = re.compile(r"[0-9a-f]{1,64}")


def export(image: Path, file: Path, progress: Callable[[Text], None]) -> None:
    """Write the image as `file`, which may exist. Raises ImageDamaged, DiskFull, HostError, and
    what `progress` raises; the file that was there is unchanged then."""
    manifest = verify(image)
    members = (Part(MANIFEST, (image / MANIFEST).stat().st_size, ""), *manifest.parts)
    total = sum(member.size for member in members)
    meter = Meter(progress, lambda done: IMAGE_EXPORTING.text(done=done, total=total))
    meter.tick()
    with writing(file):
        check_room(file.parent, total)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=file.parent) as work:
            made = Path(work, "made")
            with made.open("wb") as out:
                with gzip.GzipFile("", "wb", LEVEL, out, mtime=0) as packed:
                    for member in members:
                        _pack(image, member, packed, meter)
                    packed.write(END)
                out.flush()
                os.fsync(out.fileno())
            made.replace(file)
        sync_directory(file.parent)


def _pack(image: Path, member: Part, packed: gzip.GzipFile, meter: Meter) -> None:
    header = tarfile.TarInfo(member.name)
    header.size = member.size
    packed.write(header.tobuf(tarfile.USTAR_FORMAT))
    left = member.size
    with (image / member.name).open("rb") as part:
        while left and (piece := part.read(min(PIECE, left))):
            packed.write(piece)
            meter.add(len(piece))
            left -= len(piece)
    if left:  # it was changed meanwhile
        raise damaged(image, member.name, EXPORTED_CUT_OFF.text())
    packed.write(bytes(-member.size % tarfile.BLOCKSIZE))


def import_file(
    file: Path,
    images: Path,
    progress: Callable[[Text], None],
    *,
    any_recipe: bool = False,
    check: Callable[[Manifest], None] | None = None,
) -> Path:
    """The directory below `images` of the image that `export` has written to `file`.

    `any_recipe`: also an image of another version of Galley. `check` may refuse the image by its
    manifest. Raises ImageDamaged, DiskFull, HostError, and what `check` and `progress` raise;
    nothing is left then.
    """
    try:
        if not file.is_file():  # opening a pipe waits for its other end
            raise FileNotFoundError(2, os.strerror(2), str(file))
        raw = file.open("rb")
    except OSError as error:
        reason = error.strerror or str(error)
        raise HostError(EXPORTED_NOT_READ, file=file, reason=reason, retry=Retry.NO) from error
    with raw, gzip.GzipFile(fileobj=raw) as stream:
        archive = _Archive(file, stream)
        data = archive.read_manifest()
        manifest = _decode(file, data)
        _check_fit(file, manifest, any_recipe)
        if check is not None:
            check(manifest)
        with writing(images / manifest.directory_name):
            return _unpack(archive, manifest, data, images, progress)


def _unpack(
    archive: "_Archive",
    manifest: Manifest,
    data: bytes,
    images: Path,
    progress: Callable[[Text], None],
) -> Path:
    """Raises OSError for `images` alone."""
    total = sum(part.size for part in manifest.parts)
    meter = Meter(progress, lambda done: IMAGE_IMPORTING.text(done=done, total=total))
    images.mkdir(parents=True, exist_ok=True)
    check_room(images, total)
    with tempfile.TemporaryDirectory(prefix=IMPORTS, dir=images) as name:
        made = Path(name, "image")
        made.mkdir(mode=0o755)
        for part in manifest.parts:
            with (made / part.name).open("wb") as out:
                archive.copy(part, out, meter)
        archive.finish()
        (made / MANIFEST).write_bytes(data)
        return settle(made, images, Path(name, "old"))


def _decode(file: Path, data: bytes) -> Manifest:
    try:
        found = msgspec.json.decode(data, type=Format).format
        if found == FORMAT:
            return msgspec.json.decode(data, type=Manifest)
    except UNREADABLE as error:
        raise _unsound(file, Text(str(error))) from error
    if found > FORMAT:
        raise HostError(
            IMAGE_NEWER_FORMAT, file=file, format=found, expected=FORMAT, retry=Retry.NO
        )
    raise _unsound(file, IMAGE_OTHER_FORMAT.text(format=found, expected=FORMAT))


def _check_fit(file: Path, manifest: Manifest, any_recipe: bool) -> None:
    """Channel, architecture and recipe are in the directory's name, so each is checked."""
    names = [part.name for part in manifest.parts]
    if sorted(names) != sorted(PARTS):
        raise _unsound(file, EXPORTED_BAD_LIST)
    if any(part.size < 0 for part in manifest.parts):
        raise _unsound(file, EXPORTED_BAD_LIST)
    if manifest.arch != architecture():
        raise HostError(
            IMAGE_OTHER_ARCH,
            file=file,
            arch=manifest.arch,
            expected=architecture(),
            retry=Retry.NO,
        )
    if manifest.channel not in set(Channel):
        raise _unsound(file, EXPORTED_BAD_NAME.text(name="channel", value=manifest.channel))
    if not _RECIPE.fullmatch(manifest.recipe):
        raise _unsound(file, EXPORTED_BAD_NAME.text(name="recipe", value=manifest.recipe))
    expected = recipe_hash(Channel(manifest.channel), manifest.arch)
    if manifest.recipe != expected and not any_recipe:
        raise HostError(
            IMAGE_OTHER_RECIPE,
            file=file,
            recipe=manifest.recipe,
            expected=expected,
            retry=Retry.NO,
        )
    # It would be the newest one, whatever follows it.
    if datetime.fromisoformat(manifest.date) > datetime.now(UTC) + FUTURE:
        raise HostError(IMAGE_FROM_FUTURE, file=file, date=manifest.date[:10], retry=Retry.NO)


class _Archive:
    """Reads the members in their order. Every method raises ImageDamaged."""

    def __init__(self, file: Path, stream: gzip.GzipFile) -> None:
        self._file = file
        self._stream = stream

    def read_manifest(self) -> bytes:
        size = self._begin(MANIFEST)
        if size > MANIFEST_LARGEST:
            raise self._unsound(EXPORTED_TOO_LARGE.text(name=MANIFEST, size=size))
        return b"".join(self._content(size))

    def copy(self, part: Part, out: BinaryIO, meter: Meter) -> None:
        """Raises OSError for `out` alone."""
        size = self._begin(part.name)
        if size != part.size:
            raise self._unsound(
                EXPORTED_OTHER_SIZE.text(name=part.name, size=size, expected=part.size)
            )
        digest = hashlib.sha256()
        for piece in self._content(size):
            digest.update(piece)
            sparse.write(out, piece)
            meter.add(len(piece))
        out.truncate()
        if digest.hexdigest() != part.sha256:
            raise self._unsound(EXPORTED_MEMBER_CHANGED.text(name=part.name))

    def finish(self) -> None:
        """Nothing but zeros may follow, at most those that fill tar's last record."""
        try:
            rest = self._exactly(len(END)) + self._stream.read(tarfile.RECORDSIZE + 1)
        except EOFError as error:
            raise self._unsound(EXPORTED_CUT_OFF) from error
        except (OSError, zlib.error) as error:
            raise self._unsound(EXPORTED_TRAILING) from error
        if any(rest) or len(rest) > tarfile.RECORDSIZE + len(END):
            raise self._unsound(EXPORTED_TRAILING)

    def _begin(self, name: str) -> int:
        """The size of the member that follows."""
        try:
            found = tarfile.TarInfo.frombuf(self._exactly(tarfile.BLOCKSIZE), "ascii", "replace")
        except tarfile.TarError as error:
            raise self._unsound(EXPORTED_NO_TAR) from error
        if found.name != name:
            raise self._unsound(EXPORTED_OTHER_MEMBER.text(name=found.name, expected=name))
        if found.type != tarfile.REGTYPE or found.size < 0:
            raise self._unsound(EXPORTED_NOT_REGULAR.text(name=name))
        return found.size

    def _content(self, size: int) -> Iterator[bytes]:
        for place in range(0, size, PIECE):
            yield self._exactly(min(PIECE, size - place))
        self._exactly(-size % tarfile.BLOCKSIZE)

    def _exactly(self, count: int) -> bytes:
        try:
            data = self._stream.read(count)
        except EOFError as error:
            raise self._unsound(EXPORTED_CUT_OFF) from error
        except (OSError, zlib.error) as error:
            raise self._unsound(EXPORTED_NO_GZIP) from error
        if len(data) < count:
            raise self._unsound(EXPORTED_CUT_OFF)
        return data

    def _unsound(self, reason: Message | Text) -> ImageDamaged:
        return _unsound(self._file, reason)


def _unsound(file: Path, reason: Message | Text) -> ImageDamaged:
    return ImageDamaged(EXPORTED_DAMAGED, file=file, reason=reason)
