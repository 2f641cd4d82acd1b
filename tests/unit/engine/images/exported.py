"""The members of exported images, read and changed."""

import io
import tarfile
from pathlib import Path

import msgspec

from vm.image import Manifest

type Member = tuple[tarfile.TarInfo, bytes]


def members(file: Path) -> list[Member]:
    with tarfile.open(file) as tar:
        return [(info, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]


def pack(file: Path, content: list[Member], form: int = tarfile.USTAR_FORMAT) -> None:
    with tarfile.open(file, "w:gz", format=form) as tar:
        for info, data in content:
            tar.addfile(info, io.BytesIO(data))


def altered_manifest(file: Path, **changes: object) -> None:
    manifest = msgspec.json.decode(members(file)[0][1], type=Manifest)
    with_manifest(file, msgspec.structs.replace(manifest, **changes))


def with_manifest(file: Path, manifest: Manifest | bytes) -> None:
    """Replace the manifest in the exported file."""
    data = manifest if isinstance(manifest, bytes) else msgspec.json.encode(manifest)
    (info, _), *rest = members(file)
    info.size = len(data)
    pack(file, [(info, data), *rest])


def altered(info: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    other = tarfile.TarInfo(name)
    other.size = info.size
    return other
