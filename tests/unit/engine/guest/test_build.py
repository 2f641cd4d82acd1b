"""Building an image, with the steps that need a network replaced."""

import os
from pathlib import Path

import msgspec
import pytest

from engine.guest import build as building
from engine.guest.build import Wanted, build, build_anew, find_current
from engine.guest.channels import Channel
from engine.guest.images_lock import LOCK, only_one
from engine.guest.recipe import architecture, recipe_hash
from engine.messages.image import RECIPE_OLDER
from tests import small_image
from tests.small_image import MANIFEST, RUNC
from vm import image
from vm.errors import Cancelled, HostError
from vm.host import process
from vm.host.process import Completed
from vm.image import Manifest, Release
from vm.messages import Message, Text
from vm.messages.machine import START_CANCELLED


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Makes a tiny image instead of a real one; lists the work folders."""
    made: list[Path] = []

    def make(work: Path, target: Path, wanted: Wanted, progress: object) -> None:
        made.append(work)
        target.rmdir()
        small_image.make_in(target, manifest_now(wanted.channel, wanted.arch))

    monkeypatch.setattr(building, "_make_parts", make)
    monkeypatch.setattr(process, "find_tool", lambda name, hint: Path(name))
    return made


def manifest_now(channel: Channel = Channel.STABLE, arch: str | None = None) -> Manifest:
    """As if it was just built by the current recipe."""
    arch = arch or architecture()
    return msgspec.structs.replace(
        MANIFEST, channel=channel, arch=arch, recipe=recipe_hash(channel, arch)
    )


def later(manifest: Manifest) -> Manifest:
    """With a package of the next day."""
    runc = msgspec.structs.replace(RUNC, version="1:2.3-5", sha256="12" * 32)
    return msgspec.structs.replace(
        manifest, date="2026-11-29T08:00:00Z", packages={**manifest.packages, "runc": runc}
    )


def images_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != LOCK)


def test_an_image_is_built_once(steps: list[Path], tmp_path: Path) -> None:
    messages: list[Text] = []
    first = build(tmp_path / "images", progress=messages.append)
    again = build(tmp_path / "images", progress=messages.append)
    assert first == again == tmp_path / "images" / manifest_now().directory_name
    assert len(steps) == 1


def test_the_image_with_the_newest_packages_of_the_recipe_is_used(
    steps: list[Path], tmp_path: Path
) -> None:
    new = small_image.add_to(tmp_path, later(manifest_now()))
    old = small_image.add_to(tmp_path, manifest_now())
    small_image.add_to(tmp_path, manifest_now(Channel.LATEST))
    small_image.add_to(tmp_path, MANIFEST)
    assert find_current(tmp_path) == (new, old)
    assert build(tmp_path, progress=lambda text: None) == new
    (new / "vmlinux").write_bytes(b"")
    assert build(tmp_path, progress=lambda text: None) == old
    assert not steps


def test_building_anew_keeps_an_image_with_the_packages_of_today(
    steps: list[Path], tmp_path: Path
) -> None:
    old = small_image.add_to(tmp_path, manifest_now())
    inode = (old / "vmlinux").stat().st_ino
    assert build_anew(tmp_path, progress=lambda text: None) == old
    assert len(steps) == 1
    assert (old / "vmlinux").stat().st_ino == inode
    assert images_in(tmp_path) == [old.name]


def test_a_damaged_image_is_reported_and_rebuilt(steps: list[Path], tmp_path: Path) -> None:
    messages: list[Text] = []
    made = build(tmp_path, progress=messages.append)
    (made / "vmlinux").write_bytes(b"kernem")
    build(tmp_path, progress=messages.append)
    assert len(steps) == 2
    assert "vmlinux" in messages[0].english
    image.verify(made)
    assert images_in(tmp_path) == [made.name]


@pytest.mark.parametrize("error", [HostError(Message("", "no network")), KeyboardInterrupt()])
def test_a_build_that_ends_early_leaves_nothing(
    steps: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(work: Path, *rest: object) -> None:
        (work / "packages.tar").write_bytes(b"half")
        raise error

    monkeypatch.setattr(building, "_make_parts", fail)
    with pytest.raises(type(error)):
        build(tmp_path, progress=lambda line: None)
    assert images_in(tmp_path) == []


@pytest.mark.parametrize(
    ("output", "summary", "hint"),
    [
        ("E: Release file for x is expired (invalid since 3d)", "has expired", "stable channel"),
        ("E: Unable to locate package docker-buildx", "package docker-buildx", "stable channel"),
        ("newuidmap: no subuid range", "could not be fetched", "--add-subuids"),
        ("tar: write error: No space left on device", "could not be fetched", "Free 2 GB"),
        ("E: Failed to fetch", "could not be fetched", "apt-get update"),
    ],
)
def test_a_failed_download_has_a_hint(output: str, summary: str, hint: str) -> None:
    wanted = Wanted(Channel.LATEST, "amd64")
    error = building._unpack_failed(wanted, Completed(("mmdebstrap",), 1, output.encode(), b""))
    assert summary in error.summary
    assert hint in error.hint
    assert output in error.details


def test_packages_of_older_lists_are_refused(
    steps: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror that replays old lists, which have no date of expiry, or is behind another one."""
    newer = dated(manifest_now(), "2026-11-28T08:00:00Z")
    small_image.add_to(tmp_path, newer)
    small_image.add_to(tmp_path, dated(manifest_now(Channel.LATEST), "2026-11-30T08:00:00Z"))
    made = dated(manifest_now(), "2026-11-27T08:00:00Z")

    def make(_work: Path, target: Path, *_rest: object) -> None:
        target.rmdir()
        small_image.make_in(target, made)

    monkeypatch.setattr(building, "_make_parts", make)
    with pytest.raises(HostError, match="older than those of the image that is here") as raised:
        build_anew(tmp_path, progress=lambda text: None)
    assert raised.value.code == RECIPE_OLDER.code
    assert newer.directory_name in images_in(tmp_path)
    made = dated(manifest_now(), "2026-11-29T08:00:00Z")
    assert build_anew(tmp_path, progress=lambda text: None).name == made.directory_name


def dated(manifest: Manifest, date: str) -> Manifest:
    """Its packages are from a release of this date."""
    release = Release("Debian", "stable", "trixie", date, "ab" * 32)
    runc = msgspec.structs.replace(RUNC, version=date)
    return msgspec.structs.replace(
        manifest, date=date, releases=(release,), packages={**manifest.packages, "runc": runc}
    )


def test_what_a_killed_build_has_left_is_removed(steps: list[Path], tmp_path: Path) -> None:
    for name in (".build-old", ".import-old"):
        (tmp_path / name / "image").mkdir(parents=True)
    made = build(tmp_path, progress=lambda text: None)
    assert images_in(tmp_path) == [made.name]


def test_a_second_build_waits_and_finds_the_image(steps: list[Path], tmp_path: Path) -> None:
    told: list[Text] = []

    def build_meanwhile(text: Text) -> None:
        told.append(text)
        if len(told) == 1:
            small_image.add_to(tmp_path, manifest_now())
            held.__exit__(None, None, None)

    held = only_one(tmp_path, told.append)
    held.__enter__()
    made = build(tmp_path, progress=build_meanwhile)
    assert "Waiting for another download or build" in told[0].english
    assert made.name == manifest_now().directory_name
    assert not steps


def test_a_second_update_waits_and_takes_the_new_image(steps: list[Path], tmp_path: Path) -> None:
    small_image.add_to(tmp_path, manifest_now())
    newer = later(manifest_now())

    def build_meanwhile(_text: Text) -> None:
        if not (tmp_path / newer.directory_name).exists():
            small_image.add_to(tmp_path, newer)
            held.__exit__(None, None, None)

    held = only_one(tmp_path, build_meanwhile)
    held.__enter__()
    assert build_anew(tmp_path, progress=build_meanwhile).name == newer.directory_name
    assert not steps


class CancelsAt:
    """A progress that cancels at its `number`-th report."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, _text: Text) -> None:
        self.left -= 1
        if not self.left:
            raise Cancelled(START_CANCELLED)


def test_a_build_is_cancelled_while_packages_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "mmdebstrap"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nwhile echo line; do :; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(Cancelled):
        build_anew(tmp_path / "images", progress=CancelsAt(3))
    assert images_in(tmp_path / "images") == []


def test_a_build_is_cancelled_between_two_programs(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        building._compile_own(tmp_path, architecture(), CancelsAt(2))
    assert [path.name for path in tmp_path.iterdir()] == [building.OWN[0]]


def test_a_build_is_cancelled_between_the_tools_for_the_root(tmp_path: Path) -> None:
    usr = tmp_path / "usr"
    usr.mkdir()
    (usr / "file").write_text("content")
    with pytest.raises(Cancelled):
        building._make_root(tmp_path / "erofs", usr, tmp_path / "qcow2", CancelsAt(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["erofs", "usr"]
    building._make_root(tmp_path / "erofs", usr, tmp_path / "qcow2", lambda text: None)
    assert (tmp_path / "qcow2").is_file()
