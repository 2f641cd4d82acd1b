"""Looks for newer packages of the guest image, at most once a day, and gets them if that is wanted.

Setting `image_updates`: `automatic` also downloads or builds the new image, `ask` only looks, and
`never` does neither. A start never waits for this. The result is kept in image-check.json, which
`galley image check` writes too. Next: `image_origin.py`, `engine/images/guest_images.py`.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.guest.recipe import Channel
from engine.images import check
from engine.images.check import Report
from engine.images.guest_images import GuestImages
from engine.lifecycle.image_origin import origin_of
from engine.messages.image import IMAGE_OLD, IMAGE_UPDATES_CANCELLED
from engine.settings.store import SettingsStore
from engine.types import ImageStatus
from vm import image, last_spec
from vm.directory import MachineDir
from vm.errors import Cancelled, GalleyError, HostError, ImageDamaged, Problem, Retry
from vm.host.paths import Home
from vm.image import Manifest
from vm.messages import Text

log = logging.getLogger(__name__)

EVERY = timedelta(days=1)
CLOSING = 5.0  # seconds that a download or a build may take to end
PERIOD = 3600.0  # seconds between two looks at the clock; the first one is after the same time


class ImageUpdates:
    """`changed` is called after something of `status` or `problems` has changed. Any thread."""

    def __init__(self, home: Home, settings: SettingsStore, changed: Callable[[], None]) -> None:
        self.images = GuestImages(home)
        self._home = home
        self._settings = settings
        self._changed = changed
        self._directory = MachineDir.of(home)
        self._status: ImageStatus | None = None
        self._stamp: tuple[object, ...] = ()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="image-updates", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End a check or an update that is under way, with the programs that it runs."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(CLOSING)

    @property
    def status(self) -> ImageStatus | None:
        """The image of the machine's last start. Read again when one of its files has changed: the
        engine's status is published several times a second."""
        files = (
            self._directory.spec,
            self._home.images,
            self._home.image_check,
            self._home.image_choice,
        )
        stamp = (self._settings.current().channel, *map(_changed_at, files))
        if stamp != self._stamp:
            self._status, self._stamp = self._read_status(), stamp
        return self._status

    def _read_status(self) -> ImageStatus | None:
        used = self._used()
        manifest = None if used is None else _manifest(used)
        if used is None or manifest is None:
            return None
        report = self._report(manifest)
        waiting = self.images.waiting(Channel(self._settings.current().channel), used)
        newer = None if waiting is None else _manifest(waiting)
        return ImageStatus(
            name=used.name,
            channel=manifest.channel,
            engine=manifest.engine_version,
            date=manifest.date,
            checked=report.checked if report else "",
            updates=len(report.updates) if report else 0,
            cves=report.cves if report else (),
            waiting=newer.date if newer else "",
        )

    @property
    def problems(self) -> tuple[Problem, ...]:
        """An image that was rejected, and one that is older than its user wants."""
        status = self.status
        if status is None:
            return ()
        return (*self.images.problems(status.date), *self._age_problem())

    def _age_problem(self) -> tuple[Problem, ...]:
        status, limit = self.status, self._settings.current().image_warn_after
        if status is None or not limit:
            return ()
        age = datetime.now(UTC) - datetime.fromisoformat(status.date)
        if age <= timedelta(days=limit):
            return ()
        return (HostError(IMAGE_OLD, days=age.days, retry=Retry.NO).to_problem(),)

    @property
    def is_waiting(self) -> bool:
        """Whether a cold start would use a newer image than the machine has now, and its user
        wants that without a question."""
        settings, used = self._settings.current(), self._used()
        if settings.image_updates != "automatic" or used is None:
            return False
        return self.images.waiting(Channel(settings.channel), used) is not None

    def refresh(self) -> None:
        """Another process has checked, or has added an image."""
        self._changed()

    def get(self, progress: Callable[[Text], None]) -> Path:
        """The newest image, downloaded or built. Raises GalleyError and what `progress` raises."""
        origin = origin_of(self._home, self._settings)
        return origin.get(self._home.images, datetime.now(UTC), progress)

    def look(self, now: datetime) -> None:
        """Check once a day, and get what is newer if that is wanted. Raises GalleyError."""
        policy, used = self._settings.load().image_updates, self._used()
        manifest = None if used is None else _manifest(used)
        if policy == "never" or manifest is None or not self._is_due(manifest, now):
            return
        origin = origin_of(self._home, self._settings)
        previous = check.load(self._home.image_check)
        report = origin.check(manifest, now, self._progress, previous)
        check.save(report, self._home.image_check)
        log.info("%d packages are newer, %d CVEs", len(report.updates), len(report.cves))
        if report.updates and policy == "automatic":
            made = origin.get(self._home.images, now, self._progress)
            log.info("the next cold start uses the image %s", made.name)
        self._changed()

    def _run(self) -> None:
        while not self._closed.wait(PERIOD):
            try:
                self.look(datetime.now(UTC))
            except Cancelled:
                return
            except GalleyError as error:
                log.warning("no update of the image: %s %s", error.summary, error.details)

    def _is_due(self, manifest: Manifest, now: datetime) -> bool:
        """Not where the clock went back: the last check would be in the future."""
        report = self._report(manifest)
        if report is None:
            return True
        return not timedelta() <= now - datetime.fromisoformat(report.checked) < EVERY

    def _report(self, manifest: Manifest) -> Report | None:
        report = check.load(self._home.image_check)
        return report if report is not None and report.image == manifest.directory_name else None

    def _used(self) -> Path | None:
        spec = last_spec.read(self._directory)
        return Path(spec.image) if spec is not None and spec.image else None

    def _progress(self, text: Text) -> None:
        del text
        if self._closed.is_set():
            raise Cancelled(IMAGE_UPDATES_CANCELLED)


def _changed_at(path: Path) -> int:
    """0 where it is missing."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _manifest(path: Path) -> Manifest | None:
    with contextlib.suppress(ImageDamaged):
        return image.read_manifest(path)
    return None
