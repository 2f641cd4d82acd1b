"""Where the images of this computer come from: a feed, or a build from Debian's packages.

    origin.check(manifest, now, progress)   what is newer than that image
    origin.get(images, progress)            the newest image, downloaded or built

Both verify what they get by signatures, and go on to another address or an older image never by
themselves. Next: `feed.py`, `check.py`, `engine/guest/build.py`.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

from engine.guest import recipe, sources
from engine.guest.build import build_anew
from engine.guest.channels import ENGINES, Channel
from engine.guest.recipe import recipe_hash
from engine.images import changelogs
from engine.images.apt import kept_apt
from engine.images.check import Report, Update, check_packages, report_of
from engine.images.feed import Feed, FeedImage, Index, check_newer, newest
from engine.messages.feed import FEED_NOTHING
from vm import image
from vm.errors import HostError, ImageDamaged, Retry
from vm.image import Manifest
from vm.messages import Text

type Progress = Callable[[Text], None]


class Origin(Protocol):
    """Methods raise GalleyError, and what `progress` raises."""

    def check(
        self, manifest: Manifest, now: datetime, progress: Progress, previous: Report | None = None
    ) -> Report:
        """`previous`: the last one, which may hold still."""

    def get(self, images: Path, now: datetime, progress: Progress) -> Path:
        """The directory of the newest image below `images`; it may have been there before."""


class DebianOrigin:
    """Debian's packages, from the sources of this computer's apt, and those of the channel's own
    repository, if it has one. Only on Linux."""

    def __init__(
        self,
        channel: Channel,
        apt: Path,
        cache: Path,
        repository: Callable[[Progress], str] = lambda _progress: "",
    ) -> None:
        """`apt`: a folder for package lists; `cache`: one for what changelogs say; `repository`:
        makes the source of the channel's engine, as deb822, where it is not Debian's."""
        self._channel = channel
        self._repository = repository
        self._apt = apt
        self._cache = changelogs.Cache(cache)

    def check(
        self, manifest: Manifest, now: datetime, progress: Progress, previous: Report | None = None
    ) -> Report:
        suite, config = ENGINES[self._channel].suite, sources.read_config()
        lines, repository = config.mirrors(suite), self._repository(progress)
        with kept_apt(self._apt, suite, manifest.arch, lines, repository, config.options) as apt:
            return check_packages(manifest, apt, self._cache, now, progress, previous)

    def get(self, images: Path, now: datetime, progress: Progress) -> Path:
        del now
        repository = self._repository(progress)
        return build_anew(images, channel=self._channel, repository=repository, progress=progress)


class FeedOrigin:
    """A feed of images that somebody else has built."""

    def __init__(self, channel: Channel, feed: Feed) -> None:
        self._channel = channel
        self._feed = feed

    def check(
        self, manifest: Manifest, now: datetime, progress: Progress, previous: Report | None = None
    ) -> Report:
        del previous
        index = self._feed.index(now, progress)
        found = self._newest(index)
        check_newer(found, [manifest])
        if found.package_set == manifest.package_set:
            return report_of(manifest, now, "feed", ())
        update = Update(
            package="galley-guest",
            installed=manifest.date,
            available=found.date,
            source=found.directory_name,
            cves=_fixed_since(index, found, manifest.date),
        )
        return report_of(manifest, now, "feed", (update,))

    def get(self, images: Path, now: datetime, progress: Progress) -> Path:
        found = self._newest(self._feed.index(now, progress))
        check_newer(found, _installed(images))
        return self._feed.fetch(found, images, progress)

    def _newest(self, index: Index) -> FeedImage:
        arch = recipe.architecture()
        found = newest(index, self._channel, arch, recipe_hash(self._channel))
        if found is None:
            raise HostError(
                FEED_NOTHING,
                address=self._feed.address,
                channel=self._channel,
                arch=arch,
                retry=Retry.NO,
            )
        return found


def _fixed_since(index: Index, found: FeedImage, date: str) -> tuple[str, ...]:
    """The CVEs that the images after `date` have fixed, up to `found`."""
    kind = (found.channel, found.arch, found.recipe)
    fixed = {
        cve
        for each in index.images
        if (each.channel, each.arch, each.recipe) == kind and date < each.date <= found.date
        for cve in each.fixes
    }
    return tuple(sorted(fixed))


def _installed(images: Path) -> Sequence[Manifest]:
    found: list[Manifest] = []
    for path in image.find(images):
        with suppress(ImageDamaged):
            found.append(image.read_manifest(path))
    return found
