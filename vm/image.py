"""The guest image on disk: its parts, its manifest, and its verification.

An image is a directory with `manifest.json` and the parts it lists. It is built elsewhere (for an
engine: `engine/guest/build.py`); here it is found, read and verified. An unverified image is never
booted.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from vm.errors import HomeUnusable, ImageDamaged
from vm.host.paths import write_atomic
from vm.messages import Text
from vm.messages.guest import (
    IMAGE_DAMAGED,
    IMAGE_FILE_CHANGED,
    IMAGE_OTHER_FORMAT,
    IMAGE_OTHER_SIZE,
)

FORMAT = 1
MANIFEST = "manifest.json"
CERTIFICATES = "certificates.pem"  # a part: those that the guest trusts, for the host to compare
STAMP = "verified.json"


class Part(msgspec.Struct, frozen=True):
    """One file of an image."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What an image is, and its parts. Written last: a directory without it is no image."""

    format: int
    suite: str
    channel: str
    arch: str
    recipe: str  # the hash of everything that determines the content
    kernel: str  # the kernel's version
    packages: dict[str, str]  # name → version
    parts: tuple[Part, ...]

    def part(self, name: str) -> Part | None:
        return next((part for part in self.parts if part.name == name), None)


class Fingerprint(msgspec.Struct, frozen=True):
    """A file's size, times and inode: any write changes it."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> "Fingerprint":
        """Raises OSError."""
        seen = path.stat()
        return cls(seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)


def find(images: Path) -> tuple[Path, ...]:
    """The complete images below a directory, newest first. None is verified yet."""
    if not images.is_dir():
        return ()
    found = [child for child in images.iterdir() if (child / MANIFEST).is_file()]
    return tuple(sorted(found, key=lambda child: (child / MANIFEST).stat().st_mtime, reverse=True))


def read_manifest(image: Path) -> Manifest:
    """Raises ImageDamaged when it is missing, unreadable or of another format."""
    path = image / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise damaged(image, MANIFEST, str(error)) from error
    if manifest.format != FORMAT:
        raise damaged(
            image, MANIFEST, IMAGE_OTHER_FORMAT.text(format=manifest.format, expected=FORMAT)
        )
    return manifest


def write_manifest(image: Path, manifest: Manifest) -> None:
    data = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1)
    write_atomic(image / MANIFEST, data + b"\n", mode=0o644)


def describe(path: Path) -> Part:
    """The manifest's entry for a finished file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Part(path.name, path.stat().st_size, digest)


def verify(image: Path) -> Manifest:
    """The manifest, after every part matched it. Raises ImageDamaged.

    Hashing takes a quarter of a second; a stamp file avoids it while no file has changed.
    """
    manifest = read_manifest(image)
    seen = {part.name: _fingerprint(image, part) for part in manifest.parts}
    seen[MANIFEST] = _fingerprint(image, Part(MANIFEST, (image / MANIFEST).stat().st_size, ""))
    if _stamp(image) == seen:
        return manifest
    for part in manifest.parts:
        _check(image, part)
    with suppress(HomeUnusable):  # an image that is shared read-only is hashed every time
        write_atomic(image / STAMP, msgspec.json.encode(seen), mode=0o644)
    return manifest


def damaged(image: Path, name: str, reason: str | Text) -> ImageDamaged:
    return ImageDamaged(
        IMAGE_DAMAGED,
        name=name,
        image=image,
        reason=reason,
    )


def unused(images: Path, used: Iterable[Path]) -> tuple[Path, ...]:
    """The images that are not in `used`: an upgrade may remove them."""
    kept = {path.resolve() for path in used}
    return tuple(path for path in find(images) if path.resolve() not in kept)


def _stamp(image: Path) -> dict[str, Fingerprint] | None:
    try:
        data = (image / STAMP).read_bytes()
        return msgspec.json.decode(data, type=dict[str, Fingerprint])
    except (OSError, msgspec.DecodeError):
        return None


def _fingerprint(image: Path, part: Part) -> Fingerprint:
    try:
        seen = Fingerprint.of(image / part.name)
    except OSError as error:
        raise damaged(image, part.name, error.strerror or str(error)) from error
    if seen.size != part.size:
        raise damaged(image, part.name, IMAGE_OTHER_SIZE.text(size=seen.size, expected=part.size))
    return seen


def _check(image: Path, part: Part) -> None:
    try:
        found = describe(image / part.name)
    except OSError as error:
        raise damaged(image, part.name, error.strerror or str(error)) from error
    if found.sha256 != part.sha256:
        raise damaged(image, part.name, IMAGE_FILE_CHANGED.text())
