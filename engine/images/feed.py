"""A feed of guest images: a signed index of files, each of which is an exported image.

    index.json           what there is, from when and until when
    index.json.minisig   its signature by one of the keys that the user trusts

An index is decoded after its signature matched. Its serial number never goes back. Galley fetches
only images of its own recipe: the guest's programs must fit the program on the computer.
Next: `minisign.py`, `download.py`, `transfer.py`; `publish.py` makes one.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from engine.guest.images_lock import only_one
from engine.guest.writing import writing
from engine.images import minisign
from engine.images.address import check, join, shown
from engine.images.download import fetch_bytes, fetch_file
from engine.images.minisign import PublicKey
from engine.images.source import Access
from engine.images.transfer import EXTENSION, FUTURE, import_file
from engine.json_input import UNREADABLE
from engine.messages.feed import (
    FEED_EXPIRED,
    FEED_FROM_FUTURE,
    FEED_NEWER_FORMAT,
    FEED_OLDER,
    FEED_OTHER_IMAGE,
    FEED_REPLAYED,
    FEED_UNREADABLE,
    SIGNATURE_MALFORMED,
)
from vm.errors import HostError, ImageDamaged, Retry
from vm.host.lock import FileLock
from vm.host.paths import unusable, write_atomic
from vm.image import Date, Manifest, check_date, verify
from vm.messages import Text

FORMAT = 1
INDEX, SIGNATURE = "index.json", "index.json.minisig"
INDEX_LARGEST = 1 << 20  # bytes
IMAGE_LARGEST = 4 << 30
FETCHES = ".fetch-"  # folders of downloads that are not complete

type _Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
type _FileName = Annotated[str, msgspec.Meta(pattern=r"\A\w[\w.+-]*\Z", max_length=255)]
type _Size = Annotated[int, msgspec.Meta(gt=0, le=IMAGE_LARGEST)]
type _Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class FeedImage(msgspec.Struct, frozen=True):
    """An image of a feed. `date`: of its packages, as in its manifest. `fixes`: the CVE ids that
    are fixed since the image before it."""

    channel: str
    arch: str
    recipe: str
    package_set: str
    date: Date
    file: _FileName
    size: _Size
    sha256: _Digest
    fixes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_date(self.date)

    @property
    def directory_name(self) -> str:
        """As Manifest.directory_name."""
        return f"{self.channel}-{self.arch}-{self.recipe}-{self.package_set}"


class Index(msgspec.Struct, frozen=True):
    """What a feed has. `serial`: grows with each publication."""

    serial: Annotated[int, msgspec.Meta(ge=0)]
    created: _Moment
    expires: _Moment
    images: tuple[FeedImage, ...]
    format: int = FORMAT


class _Format(msgspec.Struct, frozen=True):
    """What indexes of all formats have."""

    format: int


class _State(msgspec.Struct, frozen=True):
    """The highest serial number of each feed, by its address."""

    serials: dict[str, int] = {}


class Feed:
    """`keys`: any one of them may sign. `state_file`: the serial numbers that were seen.
    `proxies`: by scheme; None for the system's. `insecure`: http is allowed."""

    def __init__(
        self,
        address: str,
        keys: Sequence[PublicKey],
        state_file: Path,
        proxies: Mapping[str, str] | None = None,
        *,
        insecure: bool = False,
    ) -> None:
        """Raises SettingsError for the address."""
        check(address, insecure=insecure)
        self.address = address
        self._keys = tuple(keys)
        self._state_file = state_file
        self._access = Access(proxies, insecure)

    def index(self, now: datetime, progress: Callable[[Text], None]) -> Index:
        """What the feed has now. Raises HostError, HomeUnusable, DiskFull, and what `progress`
        raises."""
        data = fetch_bytes(join(self.address, INDEX), INDEX_LARGEST, progress, self._access)
        signature = fetch_bytes(
            join(self.address, SIGNATURE), minisign.LARGEST, progress, self._access
        )
        try:
            text = signature.decode()
        except UnicodeDecodeError as error:
            raise HostError(SIGNATURE_MALFORMED) from error
        minisign.verify(data, text, self._keys)
        index = self._decode(data)
        self._check_times(index, now)
        self._check_serial(index.serial)
        return index

    def fetch(self, wanted: FeedImage, images: Path, progress: Callable[[Text], None]) -> Path:
        """The directory of this image below `images`. A download that ends early is resumed by the
        next call.

        Raises ImageDamaged, DiskFull, HostError, and what `progress` raises.
        """
        with writing(images / wanted.directory_name), only_one(images, progress):
            found = _find(wanted, images) or self._fetch(wanted, images, progress)
            for old in images.glob(f"{FETCHES}*"):  # of images before this one, too
                shutil.rmtree(old, ignore_errors=True)
            return found

    def _fetch(self, wanted: FeedImage, images: Path, progress: Callable[[Text], None]) -> Path:
        folder = images / f"{FETCHES}{wanted.sha256[:16]}"
        folder.mkdir(exist_ok=True)
        file = folder / f"image{EXTENSION}"
        source = join(self.address, wanted.file)
        fetch_file(source, file, wanted.size, wanted.sha256, progress, self._access)
        return import_file(
            file, images, progress, check=lambda manifest: _check_same(wanted, manifest)
        )

    def _decode(self, data: bytes) -> Index:
        try:
            found = msgspec.json.decode(data, type=_Format).format
            if found <= FORMAT:
                return msgspec.json.decode(data, type=Index)
        except UNREADABLE as error:
            raise HostError(
                FEED_UNREADABLE, address=shown(self.address), reason=str(error), retry=Retry.NO
            ) from error
        raise HostError(
            FEED_NEWER_FORMAT,
            address=shown(self.address),
            format=found,
            expected=FORMAT,
            retry=Retry.NO,
        )

    def _check_times(self, index: Index, now: datetime) -> None:
        dates = [datetime.fromisoformat(each.date) for each in index.images]
        latest = max([index.created, *dates])
        for is_wrong, message, moment in (
            (index.expires < now, FEED_EXPIRED, index.expires),
            (latest > now + FUTURE, FEED_FROM_FUTURE, latest),
        ):
            if is_wrong:
                date = f"{moment:%Y-%m-%d}"
                raise HostError(message, address=shown(self.address), date=date, retry=Retry.NO)

    def _check_serial(self, serial: int) -> None:
        """Raises HostError when a later one was seen; else remembers it."""
        file = self._state_file
        address = self.address.rstrip("/")
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(file.with_name(file.name + ".lock")):
                seen = _read_state(file).serials
                if serial < seen.get(address, 0):
                    raise HostError(
                        FEED_REPLAYED,
                        address=shown(self.address),
                        serial=serial,
                        seen=seen[address],
                    )
                data = msgspec.json.encode(_State({**seen, address: serial}), order="sorted")
                write_atomic(file, data)
        except OSError as error:
            raise unusable(file.parent, error) from error


def newest(index: Index, channel: str, arch: str, recipe: str) -> FeedImage | None:
    """The image with the newest packages, of exactly this recipe."""
    wanted = (channel, arch, recipe)
    fitting = [each for each in index.images if (each.channel, each.arch, each.recipe) == wanted]
    return max(fitting, key=lambda each: each.date, default=None)


def check_newer(feed_image: FeedImage, installed: Iterable[Manifest]) -> None:
    """Raises HostError when an installed image of the same kind has later packages: the feed went
    back."""
    kind = (feed_image.channel, feed_image.arch, feed_image.recipe)
    dates = [one.date for one in installed if (one.channel, one.arch, one.recipe) == kind]
    latest = max(dates, default="")
    if latest > feed_image.date:
        raise HostError(FEED_OLDER, date=feed_image.date, installed=latest, retry=Retry.NO)


def _read_state(file: Path) -> _State:
    """Empty when it is missing or damaged; it is written again then. Raises OSError."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=_State)
    except (FileNotFoundError, *UNREADABLE):
        return _State()


def _find(wanted: FeedImage, images: Path) -> Path | None:
    """A verified image that is there already. Its name is compared and never opened, for the index
    may have anything in it."""
    for path in images.iterdir():
        if path.name == wanted.directory_name:
            try:
                verify(path)
            except ImageDamaged:
                return None
            return path
    return None


def _check_same(wanted: FeedImage, manifest: Manifest) -> None:
    for name, expected, found in (
        ("channel", wanted.channel, manifest.channel),
        ("architecture", wanted.arch, manifest.arch),
        ("recipe", wanted.recipe, manifest.recipe),
        ("package set", wanted.package_set, manifest.package_set),
        ("date", wanted.date, manifest.date),
    ):
        if found != expected:
            raise ImageDamaged(
                FEED_OTHER_IMAGE, file=wanted.file, name=name, found=found, expected=expected
            )
