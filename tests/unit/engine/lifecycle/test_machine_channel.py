"""Which channel a machine has, and what a new machine takes where the first one is missing."""

from pathlib import Path

import msgspec
import pytest

from engine.guest.channels import Channel
from engine.guest.recipe import recipe_hash
from engine.lifecycle.machine_channel import channel, channels, get_first
from engine.messages.image import CHANNEL_INSTEAD
from engine.settings.image_settings import AUTOMATIC
from tests import small_image
from tests.small_image import MANIFEST
from vm import last_spec
from vm.directory import MachineDir
from vm.errors import Cancelled, HostError
from vm.host.paths import Home
from vm.messages import Message
from vm.messages.machine import START_CANCELLED
from vm.types import MachineSpec

STABLE, LATEST = Channel.STABLE, Channel.LATEST


@pytest.fixture
def directory(home: Home) -> MachineDir:
    made = MachineDir.of(home)
    made.root.mkdir(parents=True, exist_ok=True)
    return made


def used(directory: MachineDir, image: str) -> None:
    spec = MachineSpec(1, 2**30, 2**30, image)
    last_spec.keep(directory, spec)


def add_image(home: Home, wanted: Channel) -> Path:
    recipe = recipe_hash(wanted)
    return small_image.add_to(
        home.images, msgspec.structs.replace(MANIFEST, channel=wanted, recipe=recipe)
    )


def test_a_new_machine_prefers_the_latest_channel(home: Home, directory: MachineDir) -> None:
    assert channels(home, AUTOMATIC) == (LATEST, STABLE)
    assert channel(home, AUTOMATIC) is LATEST
    add_image(home, STABLE)
    assert channel(home, AUTOMATIC) is STABLE
    add_image(home, LATEST)
    assert channel(home, AUTOMATIC) is LATEST


def test_a_setting_is_obeyed(home: Home, directory: MachineDir) -> None:
    used(directory, str(home.images / "stable-amd64-a-b"))
    assert channels(home, "docker") == (Channel.DOCKER,)


@pytest.mark.parametrize("kept", [STABLE, LATEST, Channel.DOCKER])
def test_a_machine_keeps_its_channel(home: Home, directory: MachineDir, kept: Channel) -> None:
    used(directory, str(home.images / f"{kept}-amd64-a-b"))
    assert channels(home, AUTOMATIC) == (kept,)


@pytest.mark.parametrize("image", ["", "other-amd64-a-b"])
def test_a_machine_of_an_unknown_channel_has_the_stable_one(
    home: Home, directory: MachineDir, image: str
) -> None:
    directory.data_disk.write_bytes(b"data")
    if image:
        used(directory, str(home.images / image))
    assert channels(home, AUTOMATIC) == (STABLE,)


class Source:
    """Has images of some channels."""

    def __init__(self, *there: Channel) -> None:
        self._there = there
        self.asked: list[Channel] = []

    def __call__(self, wanted: Channel) -> Path:
        self.asked.append(wanted)
        if wanted not in self._there:
            raise HostError(Message("", "The Release file of {name} has expired."), name=wanted)
        return Path(wanted)


def test_the_first_channel_that_is_there_is_taken() -> None:
    source = Source(STABLE, LATEST)
    assert get_first((LATEST, STABLE), source) == (Path("latest"), None)
    assert source.asked == [LATEST]


def test_the_reason_for_another_channel_is_given() -> None:
    path, instead = get_first((LATEST, STABLE), Source(STABLE))
    assert path == Path("stable")
    assert instead is not None
    assert instead.code == CHANNEL_INSTEAD.code
    assert "The Release file of latest has expired." in instead.summary
    assert "stable" in instead.summary


def test_without_any_channel_the_last_error_is_raised() -> None:
    with pytest.raises(HostError, match="of stable has expired"):
        get_first((LATEST, STABLE), Source())


def test_a_cancel_tries_no_other_channel() -> None:
    asked: list[Channel] = []

    def get(wanted: Channel) -> Path:
        asked.append(wanted)
        raise Cancelled(START_CANCELLED)

    with pytest.raises(Cancelled):
        get_first((LATEST, STABLE), get)
    assert asked == [LATEST]
