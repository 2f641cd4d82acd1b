"""The image channel of a machine: that of the settings, or an automatic one.

`automatic`: a machine keeps the channel it has. A new one has the first of `PREFERRED` of which an
image is there, or else can be had. Next: `image_updates.py`, `engine/guest/channels.py`.
"""

from collections.abc import Callable
from pathlib import Path

from engine.guest.build import find_current
from engine.guest.channels import Channel
from engine.messages.image import CHANNEL_INSTEAD
from engine.settings.image_settings import AUTOMATIC
from vm import last_spec
from vm.directory import MachineDir
from vm.errors import HostError, Retry
from vm.host.paths import Home

PREFERRED = (Channel.LATEST, Channel.STABLE)


def channels(home: Home, setting: str) -> tuple[Channel, ...]:
    """Those to try for the machine, in this order."""
    if setting != AUTOMATIC:
        return (Channel(setting),)
    directory = MachineDir.of(home)
    spec = last_spec.read(directory)
    used = Path(spec.image).name.partition("-")[0] if spec is not None else ""
    if used in list(Channel):
        return (Channel(used),)
    # Machines were created with this channel before there was a choice.
    return (Channel.STABLE,) if directory.data_disk.exists() else PREFERRED


def channel(home: Home, setting: str) -> Channel:
    """The machine's; of a new machine the first one with an image."""
    wanted = channels(home, setting)
    if len(wanted) == 1:  # no need to read the images
        return wanted[0]
    return next((each for each in wanted if find_current(home.images, each)), wanted[0])


def get_first(
    wanted: tuple[Channel, ...], get: Callable[[Channel], Path]
) -> tuple[Path, HostError | None]:
    """The image of the first channel that `get` has one of, and why it is not of the first channel.

    Raises what `get` raises for the last channel, or for any other reason than HostError.
    """
    reason: HostError | None = None
    for each in wanted[:-1]:
        try:
            return get(each), reason and _instead(wanted[0], each, reason)
        except HostError as error:
            reason = reason or error
    return get(wanted[-1]), reason and _instead(wanted[0], wanted[-1], reason)


def _instead(wanted: Channel, taken: Channel, reason: HostError) -> HostError:
    return HostError(
        CHANNEL_INSTEAD,
        channel=taken,
        wanted=wanted,
        reason=reason.summary,
        details=reason.details,
        retry=Retry.NO,
    )
