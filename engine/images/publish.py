"""Makes a feed's folder of images: exported files, and the index. The release signs the index with
the program minisign. Next: `feed.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from engine.guest.writing import not_written
from engine.images.feed import INDEX, FeedImage, Index
from engine.images.transfer import EXTENSION, export
from vm.host.paths import write_atomic
from vm.image import describe, read_manifest
from vm.messages import Text


def publish(
    images: Sequence[Path],
    folder: Path,
    serial: int,
    now: datetime,
    days: int = 30,
    *,
    progress: Callable[[Text], None],
    fixes: Mapping[str, tuple[str, ...]] | None = None,
) -> Index:
    """Export the images to `folder`, which is created, and write the index, which is valid for
    `days`. `fixes`: the CVE ids of an image, by its directory's name.

    Raises ImageDamaged, DiskFull, HostError, HomeUnusable, and what `progress` raises; an index
    that was there is unchanged then.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(folder, error) from error
    listed = tuple(_add(image, folder, fixes or {}, progress) for image in images)
    created = now.replace(microsecond=0)
    index = Index(serial, created, created + timedelta(days=days), listed)
    data = msgspec.json.format(msgspec.json.encode(index, order="sorted"), indent=1)
    write_atomic(folder / INDEX, data + b"\n", mode=0o644)
    return index


def _add(
    image: Path,
    folder: Path,
    fixes: Mapping[str, tuple[str, ...]],
    progress: Callable[[Text], None],
) -> FeedImage:
    manifest = read_manifest(image)
    name = manifest.directory_name
    file = folder / f"{name}{EXTENSION}"
    export(image, file, progress)
    packed = describe(file)
    return FeedImage(
        channel=manifest.channel,
        arch=manifest.arch,
        recipe=manifest.recipe,
        package_set=manifest.package_set,
        date=manifest.date,
        file=packed.name,
        size=packed.size,
        sha256=packed.sha256,
        fixes=fixes.get(name, ()),
    )
