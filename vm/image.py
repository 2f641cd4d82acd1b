"""The guest image on disk: its parts, its manifest, and its verification.

An image is a directory with `manifest.json` and the parts it lists. It is built elsewhere (for an
engine: `engine/guest/build.py`); here it is found, read and verified. An unverified image is never
booted.
"""

import hashlib
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from vm.errors import HomeUnusable, ImageDamaged
from vm.host.paths import sync_directory, write_atomic
from vm.messages import Text
from vm.messages.guest import (
    IMAGE_DAMAGED,
    IMAGE_FILE_CHANGED,
    IMAGE_OTHER_FORMAT,
    IMAGE_OTHER_SIZE,
)

FORMAT = 2
MANIFEST = "manifest.json"
CERTIFICATES = "certificates.pem"  # a part: those that the guest trusts, for the host to compare
STAMP = "verified.json"
ENGINES = ("docker-ce", "docker.io")  # the packages with dockerd
_DATE = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z"


type Date = Annotated[str, msgspec.Meta(pattern=_DATE)]
"""RFC 3339, in UTC. See `check_date`."""


class Part(msgspec.Struct, frozen=True):
    """One file of an image."""

    name: str
    size: int
    sha256: str


class Package(msgspec.Struct, frozen=True):
    """A Debian package of an image. `sha256`: of the .deb file."""

    version: str
    arch: str
    source: str
    source_version: str
    sha256: str


class Release(msgspec.Struct, frozen=True):
    """A Release file that listed the packages, signed as apt-secure(8) describes."""

    origin: str
    suite: str  # "stable-security"
    codename: str  # "trixie-security"
    date: Date
    sha256: str


class Format(msgspec.Struct, frozen=True):
    """What manifests of all formats have."""

    format: int


class Manifest(msgspec.Struct, frozen=True):
    """What an image is, and its parts. Written last: a directory without it is no image."""

    format: int
    suite: str
    channel: str
    arch: str
    recipe: str  # the hash of everything of Galley that determines the content
    kernel: str  # the kernel's version
    date: Date  # the newest release's: how old the packages are, whenever the image was built
    releases: tuple[Release, ...]
    packages: dict[str, Package]  # by name
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        check_date(self.date)

    def part(self, name: str) -> Part | None:
        return next((part for part in self.parts if part.name == name), None)

    @property
    def package_set(self) -> str:
        """A hash of the packages: names, versions, architectures and digests."""
        digest = hashlib.sha256()
        for name, package in sorted(self.packages.items()):
            line = (name, package.version, package.arch, package.sha256)
            digest.update("\0".join(line).encode() + b"\n")
        return digest.hexdigest()[:12]

    @property
    def engine_version(self) -> str:
        """dockerd's own version, without Debian's epoch and revision; empty without a dockerd."""
        for name in ENGINES:
            if (package := self.packages.get(name)) is not None:
                return package.version.rpartition(":")[2].rpartition("-")[0]
        return ""

    @property
    def directory_name(self) -> str:
        """Channel and architecture for people, then what the image was made of."""
        return f"{self.channel}-{self.arch}-{self.recipe}-{self.package_set}"


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


def check_date(date: Date) -> None:
    """Raises ValueError for one that no calendar has: the type's pattern knows digits alone."""
    try:
        datetime.fromisoformat(date)
    except ValueError as error:
        raise ValueError(f"{date} is not a date") from error


def find(images: Path) -> tuple[Path, ...]:
    """The complete images below a directory, newest first. None is verified yet."""
    if not images.is_dir():
        return ()
    found: list[tuple[float, Path]] = []
    for child in images.iterdir():
        with suppress(FileNotFoundError):  # another process may remove it now
            if (child / MANIFEST).is_file():
                found.append(((child / MANIFEST).stat().st_mtime, child))
    return tuple(child for _mtime, child in sorted(found, reverse=True))


def read_manifest(image: Path) -> Manifest:
    """Raises ImageDamaged when it is missing, unreadable or of another format."""
    path = image / MANIFEST
    try:
        data = path.read_bytes()
        found = msgspec.json.decode(data, type=Format).format
        if found == FORMAT:
            return msgspec.json.decode(data, type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise damaged(image, MANIFEST, str(error)) from error
    raise damaged(image, MANIFEST, IMAGE_OTHER_FORMAT.text(format=found, expected=FORMAT))


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


def settle(made: Path, images: Path, spare: Path) -> Path:
    """Give a complete image its name below `images`, in one rename; returns its directory.

    A sound image of that name stays, for a machine may run it. A damaged one is moved to `spare`,
    which must not exist. Raises ImageDamaged when `made` is.
    """
    final = images / read_manifest(made).directory_name
    try:
        verify(final)
        return final
    except ImageDamaged:
        if final.exists():
            final.rename(spare)
    for name in (MANIFEST, *(part.name for part in read_manifest(made).parts)):
        with (made / name).open("r+b") as file:
            os.fsync(file.fileno())
    made.rename(final)
    sync_directory(images)
    return final


def damaged(image: Path, name: str, reason: str | Text) -> ImageDamaged:
    return ImageDamaged(
        IMAGE_DAMAGED,
        name=name,
        image=image,
        reason=reason,
    )


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
