"""The commands of `galley image` that look for newer images, and move images between computers.

`check` and `update` use the source of the settings; `fetch` one that is named. Next: `image.py`,
`engine/images/origin.py`.
"""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from engine.cli import reach
from engine.cli.command import Command, json_option
from engine.cli.image_progress import image_progress
from engine.cli.lifecycle import boot
from engine.cli.output import counted, note, say, say_json
from engine.guest.build import find_current
from engine.guest.channels import Channel
from engine.guest.images_lock import only_one
from engine.images import check as checks
from engine.images.check import Report
from engine.images.guest_images import GuestImages
from engine.lifecycle.image_origin import feed_origin, get_newest, origin_of
from engine.lifecycle.machine_channel import channel, channels, get_first
from engine.messages.cli import IMAGE_NONE
from engine.messages.feed import FEED_BAD_CVE
from engine.settings.store import SettingsStore
from vm import image as images
from vm import last_spec
from vm.directory import MachineDir
from vm.errors import GalleyError, ImageDamaged, SettingsError
from vm.host.paths import Home, find_home, make_home
from vm.types import MachineState

UP = (MachineState.RUNNING, MachineState.PAUSED)


class Checked(msgspec.Struct, frozen=True):
    """What `galley image check --json` prints."""

    image: str
    report: Report
    cves: tuple[str, ...]


@click.command(cls=Command)
@json_option
def check(as_json: bool) -> None:
    """Look for newer packages of the image, and for the CVEs that they fix.

    The image is the one that the machine uses, or would use.
    """
    home = make_home(find_home())
    settings = SettingsStore(home)
    path = in_use(home, settings)
    with image_progress() as progress:
        origin = origin_of(home, settings)
        manifest, previous = images.read_manifest(path), checks.load(home.image_check)
        report = origin.check(manifest, datetime.now(UTC), progress, previous)
    checks.save(report, home.image_check)
    _refresh()
    if as_json:
        say_json(Checked(str(path), report, report.cves))
    else:
        _say_report(report)


@click.command(cls=Command)
@click.option("--now", is_flag=True, help="Restart the engine with the new image at once.")
@click.option(
    "--again", is_flag=True, help="Use the new image even if the engine did not start with it."
)
def update(now: bool, again: bool) -> None:
    """Download or build the newest image; the next cold start uses it.

    The image in use stays beside it. If the engine does not start with the new one, Galley goes
    back to it.
    """
    home = make_home(find_home())
    settings = SettingsStore(home)
    with image_progress() as progress:
        path, instead = get_newest(home, settings, progress)
    if instead is not None:
        note(instead.summary)
    say(f"The newest image has the packages of {images.read_manifest(path).date[:10]}:\n{path}")
    if again:
        GuestImages(home).allow(path)
    _use(path, now)


@click.command(cls=Command)
@click.option(
    "--from", "address", required=True, help="Address (https://, file:) or folder of a feed."
)
@click.option("--key", help="Its minisign public key; default: as in the settings.")
def fetch(address: str, key: str | None) -> None:
    """Download the newest image of a feed. A download that was interrupted is resumed."""
    home = make_home(find_home())
    settings = SettingsStore(home)
    now = settings.load()
    with image_progress() as progress:

        def get(wanted: Channel) -> Path:
            origin = feed_origin(home, settings, address, key or now.image_feed_signer, wanted)
            return origin.get(home.images, datetime.now(UTC), progress)

        path, instead = get_first(channels(home, now.channel), get)
    if instead is not None:
        note(instead.summary)
    _refresh()
    say(str(path))


@click.command(cls=Command, name="import")
@click.argument("file", type=click.Path(path_type=Path))
def import_image(file: Path) -> None:
    """Add an image from a file that `galley image export` has made."""
    from engine.images.transfer import import_file

    home = make_home(find_home())
    with image_progress() as progress, only_one(home.images, progress):
        path = import_file(file, home.images, progress)
    _refresh()
    say(str(path))


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--image", "path", type=click.Path(path_type=Path), help="Its directory; default: that in use."
)
def export(file: Path, path: Path | None) -> None:
    """Write an image to a file, for a computer without a network."""
    from engine.images.transfer import export as export_image

    home = make_home(find_home())
    with image_progress() as progress:
        export_image(path or in_use(home, SettingsStore(home)), file, progress)
    say(f"{file}: {file.stat().st_size / 1024**2:.0f} MiB")


@click.command(cls=Command)
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["cyclonedx", "spdx"]), default="cyclonedx")
@click.option("--app", is_flag=True, help="Of Galley's own Python packages, not of an image.")
def sbom(path: Path | None, form: str, app: bool) -> None:
    """Print a software bill of materials as JSON."""
    from engine.images import sbom as bills

    if app:
        bill = bills.app_bill()
    else:
        home = find_home()
        bill = bills.image_bill(images.read_manifest(path or in_use(home, SettingsStore(home))))
    write = bills.to_cyclonedx if form == "cyclonedx" else bills.to_spdx
    say(write(bill).decode().rstrip("\n"))


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--serial", type=int, required=True, help="Higher than that of the index before it.")
@click.option("--days", type=int, default=30, help="How long the index is valid.")
@click.option("--fixes", multiple=True, help="CVE that these images fix; may be repeated.")
def publish(
    folder: Path, paths: tuple[Path, ...], serial: int, days: int, fixes: tuple[str, ...]
) -> None:
    """Make a feed of images in FOLDER, for you to sign with minisign.

    Default: the image in use.
    """
    from engine.images.changelogs import CVE
    from engine.images.publish import publish as publish_images

    for each in fixes:
        if not CVE.fullmatch(each):
            raise SettingsError(FEED_BAD_CVE, value=each)
    home = find_home()
    chosen = paths or (in_use(home, SettingsStore(home)),)
    fixed = tuple(sorted(set(fixes)))
    by_image = {images.read_manifest(path).directory_name: fixed for path in chosen}
    with image_progress() as progress:
        index = publish_images(
            chosen, folder, serial, datetime.now(UTC), days, progress=progress, fixes=by_image
        )
    say(f"{folder}: {counted(len(index.images), 'image')}, valid until {index.expires:%Y-%m-%d}.")
    say(f"Sign it: minisign -Sm {folder / 'index.json'}")


COMMANDS = (check, update, fetch, import_image, export, sbom, publish)


def in_use(home: Home, settings: SettingsStore) -> Path:
    """The image that the machine was started with, else the one that a start would use. Raises
    ImageDamaged without one."""
    spec = last_spec.read(MachineDir.of(home))
    if spec is not None and (Path(spec.image) / images.MANIFEST).is_file():
        return Path(spec.image)
    found = find_current(home.images, channel(home, settings.load().channel))
    if not found:
        raise ImageDamaged(IMAGE_NONE)
    return found[0]


def _say_report(report: Report) -> None:
    say(
        f"The image has the packages of {report.date[:10]} ({counted(report.age_days, 'day')} old)."
    )
    if not report.updates:
        say("There is nothing newer.")
        return
    for each in report.updates:
        cves = f"  {', '.join(each.cves)}" if each.cves else ""
        say(f"  {each.package} {each.installed} -> {each.available}{cves}")
    if report.unknown:
        note(f"No changelog was found for: {', '.join(report.unknown)}")
    fixed = counted(len(report.cves), "CVE")
    say(f"{counted(len(report.updates), 'newer package')}, {fixed} fixed. galley image update")


def _refresh() -> None:
    """Let the background process publish what has changed."""
    client = reach.running_supervisor()
    if client is not None:
        with client:
            client.call("image.refresh")


def _is_suspended() -> bool:
    """Whether the next start goes on with the image that the machine has."""
    home = find_home()
    try:
        suspends = reach.chosen_backend(home).suspends
    except GalleyError:  # a computer without QEMU: the next start says so
        return False
    return suspends is not None and suspends.is_suspended(MachineDir.of(home))


def _use(path: Path, now: bool) -> None:
    client = reach.running_supervisor()
    if client is None:
        say("The next cold start uses it." if _is_suspended() else "The next start uses it.")
        return
    with client:
        client.call("image.refresh")
        machine = client.status().machine
        used = reach.observe().spec
        if used is not None and Path(used.image) == path:
            say("The machine uses it already.")
        elif now:
            boot(client, "restart", None)
        elif machine.state in UP:
            say("Use it now: galley restart")
        else:
            say("The next cold start uses it.")
