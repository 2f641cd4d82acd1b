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
from engine.json_input import UNREADABLE
from engine.messages.feed import FEED_OLD_INDEX, FEED_SERIAL_USED
from vm.errors import HostError, Retry, SettingsError
from vm.host.paths import write_atomic
from vm.image import describe, read_manifest
from vm.messages import Text


class _Serial(msgspec.Struct, frozen=True):
    """What indexes of all formats have, too."""

    serial: int


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

    Raises SettingsError where the index in `folder` has that serial number or a higher one, for
    computers that have seen it refuse this one. Raises ImageDamaged, DiskFull, HostError,
    HomeUnusable, and what `progress` raises. An index that was there is unchanged then.
    """
    _check_serial(folder / INDEX, serial)
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


def _check_serial(file: Path, serial: int) -> None:
    try:
        seen = msgspec.json.decode(file.read_bytes(), type=_Serial).serial
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, *UNREADABLE) as error:
        raise HostError(FEED_OLD_INDEX, file=file, reason=error, retry=Retry.NO) from error
    if serial <= seen:
        raise SettingsError(
            FEED_SERIAL_USED, folder=file.parent, seen=seen, serial=serial, least=seen + 1
        )


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
