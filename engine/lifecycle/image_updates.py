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

import msgspec

from engine.guest.build import find_current
from engine.guest.channels import Channel
from engine.images import check
from engine.images.check import Report
from engine.images.guest_images import GuestImages
from engine.images.versions import sort_key
from engine.lifecycle.image_origin import get_newest, origin_of
from engine.lifecycle.machine_channel import channel as channel_of
from engine.lifecycle.machine_channel import channels
from engine.messages.image import IMAGE_OLD, IMAGE_UPDATES_CANCELLED
from engine.settings.store import SettingsStore
from engine.types import ImageStatus
from vm import image, last_spec
from vm.directory import MachineDir
from vm.errors import (
    Cancelled,
    GalleyError,
    HostError,
    ImageDamaged,
    Problem,
    Retry,
    ToolMissing,
)
from vm.host.paths import Home
from vm.image import Manifest
from vm.messages import Text

log = logging.getLogger(__name__)

EVERY = timedelta(days=1)
AGAIN = timedelta(hours=4)  # after a check or an update that failed
PATIENCE = timedelta(days=3)  # without a check before that is a problem: a laptop may be offline
CLOSING = 5.0  # seconds that a download or a build may take to end
PERIOD = 3600.0  # seconds between two looks at the clock; the first one is after the same time


class Failure(msgspec.Struct, frozen=True):
    """Why the last check or update failed. `since`: the last one before it that did not."""

    problem: Problem
    since: datetime


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
        self._tried: datetime | None = None
        self._failure: Failure | None = None
        self._instead: Problem | None = None
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
        channel, postponed = self._settings.current().channel, self.images.postponed
        stamp = (channel, postponed, *map(_changed_at, files))
        if stamp != self._stamp:
            self._status, self._stamp = self._read_status(), stamp
        return self._status

    def _read_status(self) -> ImageStatus | None:
        used = self._used()
        manifest = None if used is None else _manifest(used)
        if used is None or manifest is None:
            return None
        report = self._report(manifest)
        waiting = self.images.waiting(self._channel(), used)
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
        """An image that was rejected, one that is older than its user wants, why there has been no
        check for days, and why a new machine has another channel."""
        status = self.status
        rejected = self.images.problems(status.date) if status is not None else ()
        instead = (self._instead,) if self._instead is not None else ()
        return (*rejected, *self._age_problem(), *self._check_problem(), *instead)

    def _age_problem(self) -> tuple[Problem, ...]:
        status, limit = self.status, self._settings.current().image_warn_after
        if status is None or not limit:
            return ()
        now, most = datetime.now(UTC), timedelta(days=limit)
        age = now - datetime.fromisoformat(status.date)
        if age <= most or _is_newest(status, now, most):
            return ()
        return (HostError(IMAGE_OLD, days=age.days, retry=Retry.NO).to_problem(),)

    def _check_problem(self) -> tuple[Problem, ...]:
        failure = self._failure
        if failure is None or self._settings.current().image_updates == "never":
            return ()
        if failure.problem.kind == ToolMissing.__name__:  # no check will ever work here
            return ()
        return (failure.problem,) if datetime.now(UTC) - failure.since >= PATIENCE else ()

    @property
    def is_waiting(self) -> bool:
        """Whether a cold start would use a newer image than the machine has now, and its user
        wants that without a question."""
        settings, used = self._settings.current(), self._used()
        if settings.image_updates != "automatic" or used is None:
            return False
        return self.images.waiting(self._channel(), used) is not None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Those to try for the machine, in this order."""
        return channels(self._home, self._settings.current().channel)

    def refresh(self) -> None:
        """Another process has checked, or has added an image."""
        self._failure = None
        self._changed()

    def get(self, progress: Callable[[Text], None]) -> Path:
        """The newest image, downloaded or built. Raises GalleyError and what `progress` raises."""
        made, instead = get_newest(self._home, self._settings, progress)
        if instead is not None:
            log.warning("%s %s", instead.summary, instead.details)
            self._instead = instead.to_problem()
        return made

    def look(self, now: datetime) -> None:
        """Check once a day, and get what is newer if that is wanted. Raises GalleyError."""
        policy, used = self._settings.load().image_updates, self._used()
        manifest = None if used is None else _manifest(used)
        if policy == "never" or manifest is None or not self._is_due(manifest, now):
            return
        try:
            self._update(manifest, now, gets=policy == "automatic")
        except Cancelled:
            raise
        except GalleyError as error:
            since = self._failure.since if self._failure else self._last_check(now)
            self._failure = Failure(error.to_problem(), since)
            raise
        else:
            self._failure = None
        finally:
            self._tried = now
        self._changed()

    def _update(self, manifest: Manifest, now: datetime, *, gets: bool) -> None:
        origin = origin_of(self._home, self._settings)
        previous = check.load(self._home.image_check)
        report = origin.check(manifest, now, self._progress, previous)
        check.save(report, self._home.image_check)
        log.info("%d packages are newer, %d CVEs", len(report.updates), len(report.cves))
        if report.updates and gets and not self._is_here(report):
            made = origin.get(self._home.images, now, self._progress)
            log.info("the next cold start uses the image %s", made.name)

    def _is_here(self, report: Report) -> bool:
        """Whether an image has all that is newer: one that waits for a cold start, or that did not
        work."""
        found = map(_manifest, find_current(self._home.images, self._channel()))
        return any(manifest is not None and _has_all(manifest, report) for manifest in found)

    def _run(self) -> None:
        while not self._closed.wait(PERIOD):
            try:
                self.look(datetime.now(UTC))
            except Cancelled:
                return
            except GalleyError as error:
                log.warning("no update of the image: %s %s", error.summary, error.details)
                self._changed()

    def _is_due(self, manifest: Manifest, now: datetime) -> bool:
        """Not where the clock went back: the last check would be in the future."""
        if self._tried is not None:
            if timedelta() <= now - self._tried < (AGAIN if self._failure else EVERY):
                return False
            if self._failure:
                return True
        report = self._report(manifest)
        return report is None or not _is_within(report.checked, now, EVERY)

    def _last_check(self, now: datetime) -> datetime:
        """`now` without one, or where it is in the future."""
        report = check.load(self._home.image_check)
        return now if report is None else min(datetime.fromisoformat(report.checked), now)

    def _report(self, manifest: Manifest) -> Report | None:
        report = check.load(self._home.image_check)
        return report if report is not None and report.image == manifest.directory_name else None

    def _channel(self) -> Channel:
        return channel_of(self._home, self._settings.current().channel)

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


def _is_within(date: str, now: datetime, span: timedelta) -> bool:
    return timedelta() <= now - datetime.fromisoformat(date) < span


def _is_newest(status: ImageStatus, now: datetime, span: timedelta) -> bool:
    """Whether a check within `span` has found nothing newer."""
    return bool(status.checked) and not status.updates and _is_within(status.checked, now, span)


def _has_all(manifest: Manifest, report: Report) -> bool:
    if report.source == "feed":
        return all(update.source == manifest.directory_name for update in report.updates)
    return all(
        (package := manifest.packages.get(update.package)) is not None
        and sort_key(package.version) >= sort_key(update.available)
        for update in report.updates
    )


def _manifest(path: Path) -> Manifest | None:
    with contextlib.suppress(ImageDamaged):
        return image.read_manifest(path)
    return None
