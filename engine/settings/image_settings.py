"""The settings of the guest image: which engine, where it comes from, when it is updated.

Next: `schema.py`, which has the others.
"""

from typing import Annotated

import msgspec

from engine.settings.setting import MACHINE_RESTART, Kind, SettingSpec, Topic

AUTOMATIC = "automatic"


class ImageSettings(msgspec.Struct, frozen=True):
    """A part of `Settings`."""

    channel: Annotated[
        str,
        SettingSpec(
            Topic.IMAGE,
            Kind.CHOICE,
            "Image channel",
            "Docker Engine of the guest image. stable: that of Debian's stable release; latest: of "
            "its next release; docker: of Docker's own packages. automatic: a new machine takes "
            "latest, or stable if latest is not available, and keeps it.",
            default=AUTOMATIC,
            needs_restart=MACHINE_RESTART,
            choices=(AUTOMATIC, "stable", "latest", "docker"),
        ),
    ]
    image_updates: Annotated[
        str,
        SettingSpec(
            Topic.IMAGE,
            Kind.CHOICE,
            "Image updates",
            "Look daily for security fixes of the guest image. automatic also downloads or builds "
            "the new image, which the next start uses; ask only reports it.",
            default="automatic",
            choices=("automatic", "ask", "never"),
        ),
    ]
    image_warn_after: Annotated[
        int,
        SettingSpec(
            Topic.IMAGE,
            Kind.COUNT,
            "Warn after days",
            "Warn if the packages in the guest image are older than this many days; 0 for never.",
            default=60,
            maximum=3650,
        ),
    ]
    image_feed: Annotated[
        str,
        SettingSpec(
            Topic.IMAGE,
            Kind.FEED,
            "Image feed",
            "Address or folder that images are downloaded from. If it is empty, they are built "
            "from Debian's packages, which is possible on Linux only.",
            default="",
        ),
    ]
    image_feed_signer: Annotated[
        str,
        SettingSpec(
            Topic.IMAGE,
            Kind.KEY,
            "Key of the image feed",
            "minisign public key that signs a feed of your own. If it is empty, Galley's own keys "
            "are used.",
            default="",
        ),
    ]
    docker_repository: Annotated[
        str,
        SettingSpec(
            Topic.IMAGE,
            Kind.FEED,
            "Docker's apt repository",
            "Address or folder of Docker's apt repository for Debian, for the image channel "
            "docker. Its key must be Docker's.",
            default="",
        ),
    ]
