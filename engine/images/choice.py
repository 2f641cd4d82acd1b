"""What is known of the images that this home has used: which one works, and which one did not.

GALLEY_HOME/image-choice.json; a missing or damaged file is an empty one. Next: `guest_images.py`.
"""

from pathlib import Path

import msgspec

from vm.errors import Problem
from vm.host.paths import write_atomic

MOST = 16  # entries of each list


class Rejection(msgspec.Struct, frozen=True):
    """An image with which the engine did not start, while an older one did."""

    image: str  # the name of its directory
    date: str  # of its packages
    reason: Problem


class Choice(msgspec.Struct, frozen=True):
    """`proven`: names of images with which dockerd has answered, the last one first."""

    proven: tuple[str, ...] = ()
    rejected: tuple[Rejection, ...] = ()

    def with_proven(self, image: str) -> "Choice":
        others = (name for name in self.proven if name != image)
        rejected = tuple(each for each in self.rejected if each.image != image)
        return Choice((image, *others)[:MOST], rejected)

    def with_rejected(self, rejection: Rejection) -> "Choice":
        others = (each for each in self.rejected if each.image != rejection.image)
        return Choice(self.proven, (rejection, *others)[:MOST])

    def without(self, image: str) -> "Choice":
        proven = tuple(name for name in self.proven if name != image)
        return Choice(proven, tuple(each for each in self.rejected if each.image != image))

    def is_rejected(self, image: str) -> bool:
        return any(each.image == image for each in self.rejected)


def read(file: Path) -> Choice:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Choice)
    except (OSError, msgspec.MsgspecError):
        return Choice()


def write(file: Path, choice: Choice) -> None:
    """Raises HomeUnusable, DiskFull."""
    write_atomic(file, msgspec.json.encode(choice))
