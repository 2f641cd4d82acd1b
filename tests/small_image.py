"""A guest image of a few bytes, for tests that boot nothing."""

from pathlib import Path

import msgspec

from vm import image
from vm.image import FORMAT, Manifest, Package, Release

RUNC = Package("1:2.3-4", "amd64", "runc", "1:2.3-4", "ab" * 32)
DOCKER = Package("26.1.5+dfsg1-9", "amd64", "docker.io", "26.1.5+dfsg1-9", "ef" * 32)
SECURITY = Release(
    "Debian", "stable-security", "trixie-security", "2026-11-28T08:00:00Z", "cd" * 32
)
MANIFEST = Manifest(
    format=FORMAT,
    suite="trixie",
    channel="stable",
    arch="amd64",
    recipe="abc",
    kernel="6.12",
    date=SECURITY.date,
    releases=(SECURITY,),
    packages={"docker.io": DOCKER, "runc": RUNC},
    parts=(),
)
CONTENT = {
    "vmlinux": b"kernel" * 1000,
    "initramfs": b"init" * 10,
    "root.qcow2": b"root" * 1000,
    "certificates.pem": b"none",
}


def make_in(folder: Path, manifest: Manifest = MANIFEST) -> Path:
    """Fill `folder`, which is created, with parts and the manifest."""
    folder.mkdir(parents=True)
    for name, data in CONTENT.items():
        (folder / name).write_bytes(data)
    parts = tuple(image.describe(folder / name) for name in CONTENT)
    image.write_manifest(folder, msgspec.structs.replace(manifest, parts=parts))
    return folder


def add_to(images: Path, manifest: Manifest = MANIFEST) -> Path:
    """Its directory below `images`, with the name that its manifest gives it."""
    return make_in(images / manifest.directory_name, manifest)
