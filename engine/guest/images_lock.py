"""Lets one process at a time add an image to a directory of images, and removes what a killed one
has left there.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.guest.writing import writing
from engine.messages.image import IMAGE_WAITING
from vm.host.lock import FileLock
from vm.messages import Text

LOCK = ".lock"
BUILDS, IMPORTS = ".build-", ".import-"  # prefixes of the folders of incomplete images
PERIOD = 0.5  # seconds between two reports of the one that waits


@contextmanager
def only_one(images: Path, progress: Callable[[Text], None]) -> Iterator[None]:
    """`images` is created. Raises HostError (DiskFull) for an OSError, also for one of the block,
    and what `progress` raises while it waits."""
    with writing(images), _locked(images, progress):
        for prefix in (BUILDS, IMPORTS):
            for left in images.glob(f"{prefix}*"):
                shutil.rmtree(left, ignore_errors=True)
        yield


@contextmanager
def _locked(images: Path, progress: Callable[[Text], None]) -> Iterator[None]:
    images.mkdir(parents=True, exist_ok=True)
    lock = FileLock(images / LOCK)
    while not lock.acquire(timeout=PERIOD):
        progress(IMAGE_WAITING.text())
    try:
        yield
    finally:
        lock.release()
