"""`galley image`: the guest image that the machine boots.

`build` is for developers and packagers; a start builds a missing image itself. Next:
`image_updates.py` (the commands that look for newer images, and move them).
"""

from pathlib import Path

import click
import msgspec

from engine.cli import reach
from engine.cli.command import Group, json_option
from engine.cli.image_updates import COMMANDS
from engine.cli.output import counted, note, say, say_json
from engine.messages.cli import IMAGE_NONE
from engine.settings.store import SettingsStore
from vm import image as images
from vm.errors import ImageDamaged
from vm.host.paths import find_home, make_home
from vm.messages import Text

MIB = 1024**2


class Info(msgspec.Struct, frozen=True):
    """What `galley image info --json` prints for each image."""

    path: str
    bytes: int
    in_use: bool
    manifest: images.Manifest


@click.group(cls=Group)
def image() -> None:
    """The image that the machine boots: its packages, updates, and what is in it."""


for command in COMMANDS:
    image.add_command(command)


@image.command()
@click.option("--channel", help="stable, latest or docker; default: as in the settings.")
@click.option("--to", type=click.Path(path_type=Path), help="Where; default: Galley's own images.")
def build(channel: str | None, to: Path | None) -> None:
    """Build the image; does nothing if it is up to date."""
    from engine.guest import build as building
    from engine.guest.channels import Channel
    from engine.lifecycle.image_origin import repository_of
    from engine.lifecycle.machine_channel import channels, get_first

    home = make_home(find_home())
    settings = SettingsStore(home)
    if channel is not None and channel not in list(Channel):
        raise click.BadParameter(f"there is no channel {channel}", param_hint="--channel")

    def show(text: Text) -> None:
        note(text.english)

    def get(wanted: Channel) -> Path:
        return building.build(
            to or home.images,
            channel=wanted,
            repository=repository_of(settings, wanted, show),
            progress=show,
        )

    made, instead = get_first(channels(home, channel or settings.load().channel), get)
    if instead is not None:
        note(instead.summary)
    say(str(made))


@image.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@json_option
def verify(path: Path | None, as_json: bool) -> None:
    """Verify that no part of the image has changed."""
    chosen = path or _newest()
    manifest = images.verify(chosen)
    if as_json:
        say_json({"path": str(chosen), "sound": True, "recipe": manifest.recipe})
    else:
        say(f"{chosen}: {counted(len(manifest.parts), 'part')} verified.")


@image.command()
@json_option
def info(as_json: bool) -> None:
    """Show the images, their packages' versions, and which one runs."""
    home = find_home()
    spec = reach.observe().spec
    used = Path(spec.image) if spec else None
    found = [info for path in images.find(home.images) if (info := _info(path, path == used))]
    if as_json:
        say_json(found)
        return
    if not found:
        say("There is no image yet. `galley start` downloads or builds one.")
    for entry in found:
        _describe(entry)


def _newest() -> Path:
    found = images.find(find_home().images)
    if not found:
        raise ImageDamaged(IMAGE_NONE)
    return found[0]


def _info(path: Path, in_use: bool) -> Info | None:
    """None for an image of another version of Galley."""
    try:
        manifest = images.read_manifest(path)
    except ImageDamaged as damage:
        note(damage.summary)
        return None
    return Info(str(path), sum(part.size for part in manifest.parts), in_use, manifest)


def _describe(entry: Info) -> None:
    manifest = entry.manifest
    say(entry.path + ("  (running)" if entry.in_use else ""))
    say(f"  {manifest.channel} ({manifest.suite}, {manifest.arch}), {entry.bytes / MIB:.0f} MiB")
    say(f"  packages of {manifest.date[:10]}")
    say(f"  kernel {manifest.kernel}")
    for name in ("docker.io", "containerd", "runc", "docker-buildx", "docker-compose"):
        if name in manifest.packages:
            say(f"  {name} {manifest.packages[name].version}")
