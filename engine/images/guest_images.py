"""The image that a start uses, and the way back to the one before it.

Images of one recipe stand beside each other. A cold start uses the verified one with the newest
packages. An image is proven once dockerd has answered with it; one that does not get that far is
rejected when an older one does. A damaged image is reported and built again, never booted. Next:
`choice.py` (what is recorded), `engine/lifecycle/starting.py` (the caller).
"""

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from engine.guest.build import find_current
from engine.guest.recipe import Channel, recipe_hash
from engine.images import choice
from engine.images.choice import Choice, Rejection
from engine.messages.image import IMAGE_WENT_BACK, RECIPE_AGAIN
from vm import image
from vm.errors import DiskFull, HomeUnusable, HostError, ImageDamaged, Problem, Retry
from vm.host.paths import Home
from vm.messages import Text

log = logging.getLogger(__name__)

KEPT = 2  # proven images: the one in use, and the one before it


class GuestImages:
    """The images of a home. From any thread."""

    def __init__(self, home: Home) -> None:
        self._images = home.images
        self._file = home.image_choice
        self._lock = threading.Lock()
        self._choice = choice.read(self._file)
        self.problems: tuple[Problem, ...] = ()

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
        """The image that a cold start would use instead of `used`; None where it is the same."""
        found = next(iter(self._candidates(channel)), used)
        return None if found == used else found

    def before(self, channel: Channel, failed: Path) -> Path | None:
        """The image to go back to; None where `failed` has worked once, or there is no other."""
        if failed.name in self._choice.proven:
            return None
        for path in self._candidates(channel):
            with contextlib.suppress(ImageDamaged):
                if path != failed:
                    image.verify(path)
                    return path
        return None

    def prove(self, used: Path, kept: Iterable[str] = ()) -> None:
        """dockerd answers with `used`. Then images that this home has used earlier are removed,
        except the one before it and those named in `kept`."""
        with self._lock:
            if self._choice.proven[:1] != (used.name,):
                self._write(self._choice.with_proven(used.name))
                self._prune(frozenset(kept))
            self._report(used)

    def reject(self, failed: Path, reason: Problem, used: Path) -> None:
        """dockerd does not answer with `failed`, and does with `used`."""
        with self._lock:
            date = image.read_manifest(failed).date
            self._write(self._choice.with_rejected(Rejection(failed.name, date, reason)))
            self._report(used)

    def allow(self, path: Path) -> None:
        """Forget that the image was rejected: its user wants to try it again."""
        with self._lock:
            if self._choice.is_rejected(path.name):
                self._write(self._choice.without(path.name))

    def _candidates(self, channel: Channel) -> list[Path]:
        """The images of the current recipe: the newest first, rejected ones last."""
        found = find_current(self._images, channel)
        return sorted(found, key=lambda path: self._choice.is_rejected(path.name))

    def _report(self, used: Path) -> None:
        """A rejected image is a problem while it is newer than the one in use."""
        try:
            now = image.read_manifest(used)
        except ImageDamaged:
            return
        newer = [
            each
            for each in self._choice.rejected
            if each.date > now.date and (self._images / each.image).is_dir()
        ]
        self.problems = tuple(
            HostError(
                IMAGE_WENT_BACK,
                date=each.date[:10],
                used=now.date[:10],
                reason=each.reason.text,
                details=each.reason.details,
                retry=Retry.NO,
            ).to_problem()
            for each in newer[:1]
        )

    def _prune(self, kept: frozenset[str]) -> None:
        for name in self._choice.proven[KEPT:]:
            if name not in kept:
                shutil.rmtree(self._images / name, ignore_errors=True)
                self._write(self._choice.without(name))

    def _write(self, new: Choice) -> None:
        self._choice = new
        try:
            choice.write(self._file, new)
        except (HomeUnusable, DiskFull) as error:
            log.warning("the choice of the image is not recorded: %s", error)
