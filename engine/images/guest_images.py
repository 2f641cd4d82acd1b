"""The image that a start uses, and the way back to the one before it.

Images of one recipe stand beside each other. A cold start uses the verified one with the newest
packages. An image is proven once dockerd has answered with it; one that does not get that far is
rejected when an older one does. A damaged image is reported and removed, never booted. Next:
`choice.py` (what is recorded), `engine/lifecycle/starting.py` (the caller).
"""

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from engine.guest.build import find_current
from engine.guest.channels import Channel
from engine.guest.recipe import recipe_hash
from engine.images import choice
from engine.images.choice import Choice, Rejection
from engine.messages.image import IMAGE_POSTPONED, IMAGE_WENT_BACK, RECIPE_AGAIN
from vm import image
from vm.errors import DiskFull, GalleyError, HomeUnusable, HostError, ImageDamaged, Problem, Retry
from vm.host.paths import Home
from vm.messages import Message, Text

log = logging.getLogger(__name__)

KEPT = 2  # proven images: the one in use, and the one before it


class GuestImages:
    """The images of a home. From any thread; the record is read each time, for the command line
    changes it in another process."""

    def __init__(self, home: Home) -> None:
        self._images = home.images
        self._file = home.image_choice
        self._lock = threading.Lock()
        self._postponed: Rejection | None = None

    @property
    def postponed(self) -> str:
        """The name of an image that cannot be used yet; empty without one."""
        postponed = self._postponed
        return "" if postponed is None else postponed.image

    def newest(self, channel: Channel, progress: Callable[[Text], None]) -> Path | None:
        """The directory of a verified image for a cold start; None without one. A damaged one is
        removed. Raises what `progress` raises."""
        for path in self._candidates(channel):
            try:
                image.verify(path)
                return path
            except ImageDamaged as damage:
                log.warning("%s; removing it", damage.summary)
                progress(RECIPE_AGAIN.text(damage=damage))
                shutil.rmtree(path, ignore_errors=True)
        return None

    def to_resume(self, channel: Channel, used: str) -> Path | None:
        """The image that a suspended machine was started with; None where another channel or
        recipe is wanted now, or it is damaged: then the machine boots."""
        path = Path(used)
        try:
            manifest = image.read_manifest(path)
            if manifest.recipe != recipe_hash(channel):
                return None
            image.verify(path)
        except ImageDamaged:
            return None
        return path

    def waiting(self, channel: Channel, used: Path) -> Path | None:
        """The image that a cold start would use instead of `used`; None where it is the same, or
        one that cannot be used yet."""
        found = next(iter(self._candidates(channel)), used)
        return None if found == used or found.name == self.postponed else found

    def before(self, channel: Channel, failed: Path) -> Path | None:
        """The image to go back to, a proven one if there is one; None where `failed` has worked
        once, or there is no other."""
        proven = choice.read(self._file).proven
        if failed.name in proven:
            return None
        others = [path for path in self._candidates(channel) if path != failed]
        others.sort(key=lambda path: _position(path.name, proven))
        return next(_sound(others), None)

    def of_engine(self, channel: Channel, is_wanted: Callable[[str], bool]) -> Path | None:
        """The newest image with a version of dockerd that `is_wanted`."""
        return next(
            (
                path
                for path in _sound(self._candidates(channel))
                if is_wanted(image.read_manifest(path).engine_version)
            ),
            None,
        )

    def prove(self, used: Path, kept: Iterable[str] = ()) -> None:
        """dockerd answers with `used`. Then older images are removed, except the one before it and
        those named in `kept`."""
        with self._lock:
            record = choice.read(self._file)
            if record.proven[:1] != (used.name,) or record.is_rejected(used.name):
                record = record.with_proven(used.name)
                self._write(record)
                self._prune(used, {*record.proven[:KEPT], *kept})

    def reject(self, failed: Path, reason: Problem) -> None:
        """dockerd does not answer with `failed`, and does with another image."""
        with self._lock:
            date = image.read_manifest(failed).date
            rejection = Rejection(failed.name, date, reason)
            self._write(choice.read(self._file).with_rejected(rejection))

    def allow(self, path: Path) -> None:
        """Forget that the image was rejected: its user wants to try it again."""
        with self._lock:
            record = choice.read(self._file)
            if record.is_rejected(path.name):
                self._write(record.without(path.name))

    def postpone(self, path: Path, reason: GalleyError) -> None:
        """The image cannot be used yet. That is a problem while an older one runs."""
        log.warning("the image %s is not used yet: %s", path.name, reason)
        date = image.read_manifest(path).date
        self._postponed = Rejection(path.name, date, reason.to_problem())

    def admit(self) -> None:
        """The newest image can be used now."""
        self._postponed = None

    def problems(self, used: str) -> tuple[Problem, ...]:
        """Of a machine whose image has packages of the date `used`: a newer image was rejected, or
        cannot be used yet."""
        found: list[HostError] = []
        for each in choice.read(self._file).rejected:
            if each.date > used and (self._images / each.image).is_dir():
                found.append(_reported(IMAGE_WENT_BACK, each, used))
                break
        postponed = self._postponed
        if postponed is not None and postponed.date > used:
            found.append(_reported(IMAGE_POSTPONED, postponed, used))
        return tuple(error.to_problem() for error in found)

    def _candidates(self, channel: Channel) -> list[Path]:
        """The images of the current recipe: the newest first, rejected ones last."""
        record = choice.read(self._file)
        found = find_current(self._images, channel)
        return sorted(found, key=lambda path: record.is_rejected(path.name))

    def _prune(self, used: Path, kept: set[str]) -> None:
        """Remove older images of the channel. A folder that other homes share stays as it is."""
        if self._images.is_symlink():
            return
        with contextlib.suppress(ImageDamaged):
            now = image.read_manifest(used)
            for path in image.find(self._images):
                with contextlib.suppress(ImageDamaged):
                    manifest = image.read_manifest(path)
                    is_older = manifest.channel == now.channel and manifest.date <= now.date
                    if is_older and path.name not in {used.name, *kept}:
                        log.info("removing the image %s", path.name)
                        shutil.rmtree(path, ignore_errors=True)

    def _write(self, new: Choice) -> None:
        try:
            choice.write(self._file, new)
        except (HomeUnusable, DiskFull) as error:
            log.warning("the choice of the image is not recorded: %s", error)


def _reported(message: Message, rejection: Rejection, used: str) -> HostError:
    return HostError(
        message,
        date=rejection.date[:10],
        used=used[:10],
        reason=rejection.reason.text,
        details=rejection.reason.details,
        retry=Retry.NO,
    )


def _sound(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        with contextlib.suppress(ImageDamaged):
            image.verify(path)
            yield path


def _position(name: str, proven: tuple[str, ...]) -> int:
    return proven.index(name) if name in proven else len(proven)
