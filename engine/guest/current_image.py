"""The guest image that the next start uses: the newest verified one, built when it is missing.

A damaged image is reported and built again, never booted. Where this host cannot build (no Debian
tools), an existing verified image is used.
"""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from engine.guest.build import build
from engine.guest.recipe import Channel
from engine.messages.image import RECIPE_AGAIN
from vm.errors import ImageDamaged
from vm.host.paths import Home
from vm.image import verify
from vm.messages import Text

log = logging.getLogger(__name__)


def current_image(home: Home, channel: str, progress: Callable[[Text], None]) -> Path:
    """The directory of a verified image. Raises HostError, ImageDamaged, and what `progress`
    raises."""
    image = build(home.images, channel=Channel(channel), progress=progress)
    try:
        verify(image)
    except ImageDamaged as damage:
        log.warning("%s; building it again", damage.summary)
        progress(RECIPE_AGAIN.text(damage=damage))
        shutil.rmtree(image)
        image = build(home.images, channel=Channel(channel), progress=progress)
        verify(image)
    return image
