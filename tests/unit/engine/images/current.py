"""A manifest that fits this computer and this Galley, and what happens to images made of it."""

import msgspec

from engine.guest.channels import Channel
from engine.guest.recipe import architecture, recipe_hash
from tests.small_image import MANIFEST, RUNC
from vm.messages import Text

CURRENT = msgspec.structs.replace(
    MANIFEST, channel=Channel.STABLE, arch=architecture(), recipe=recipe_hash()
)
LATER = msgspec.structs.replace(
    CURRENT,
    date="2026-11-29T08:00:00Z",
    packages={"runc": msgspec.structs.replace(RUNC, version="1:2.3-5", sha256="12" * 32)},
)
OTHER_ARCH = "amd64" if architecture() == "arm64" else "arm64"


def ignore(text: Text) -> None:
    """A progress that shows nothing."""


def late(text: Text) -> None:
    """A progress at the deadline of a start's step."""
    raise TimeoutError
