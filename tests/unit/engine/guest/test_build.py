"""Building an image, with the steps that need a network replaced."""

from pathlib import Path

import pytest

from engine.guest import build as building
from engine.guest.build import build, image_name, is_current
from engine.guest.recipe import Channel, recipe_hash
from vm import image
from vm.errors import HostError
from vm.host import process
from vm.host.process import Completed
from vm.messages import Message, Text


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Makes a tiny image instead of a real one; lists the work folders."""
    made: list[Path] = []

    def make(work: Path, target: Path, channel: Channel, arch: str, progress: object) -> None:
        made.append(work)
        (target / "vmlinux").write_bytes(b"kernel")
        parts = (image.describe(target / "vmlinux"),)
        recipe = recipe_hash(channel, arch)
        manifest = image.Manifest(1, "trixie", channel, arch, recipe, "6.12", {}, parts)
        image.write_manifest(target, manifest)

    monkeypatch.setattr(building, "_make_parts", make)
    monkeypatch.setattr(process, "find_tool", lambda name, hint: Path(name))
    return made


def test_an_image_is_built_once(steps: list[Path], tmp_path: Path) -> None:
    messages: list[Text] = []
    first = build(tmp_path / "images", progress=messages.append)
    again = build(tmp_path / "images", progress=messages.append)
    assert first == again == tmp_path / "images" / image_name()
    assert len(steps) == 1
    assert is_current(first)
    assert not is_current(first, Channel.LATEST)
    assert not is_current(tmp_path)


def test_a_damaged_image_is_reported_and_rebuilt(steps: list[Path], tmp_path: Path) -> None:
    messages: list[Text] = []
    made = build(tmp_path, progress=messages.append)
    (made / "vmlinux").write_bytes(b"kernem")
    build(tmp_path, progress=messages.append)
    assert len(steps) == 2
    assert "vmlinux" in messages[0].english
    image.verify(made)
    assert [path.name for path in tmp_path.iterdir()] == [made.name]


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
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("output", "summary", "hint"),
    [
        ("E: Release file for x is expired (invalid since 3d)", "has expired", "stable channel"),
        ("newuidmap: no subuid range", "could not be fetched", "--add-subuids"),
        ("tar: write error: No space left on device", "could not be fetched", "Free 2 GB"),
        ("E: Failed to fetch", "could not be fetched", "apt-get update"),
    ],
)
def test_a_failed_download_has_a_hint(output: str, summary: str, hint: str) -> None:
    error = building._unpack_failed("forky", Completed(("mmdebstrap",), 1, output.encode(), b""))
    assert summary in error.summary
    assert hint in error.hint
    assert output in error.details


def test_a_file_name_gives_the_package_and_its_version() -> None:
    assert building._package("openssh_1%3a10.0p1-7_amd64.deb") == ("openssh", "1:10.0p1-7")


def test_zeros_take_no_space(tmp_path: Path) -> None:
    data = b"start" + bytes(1 << 20) + b"end" + bytes(5000)
    building._write_sparse(tmp_path / "part", data)
    assert (tmp_path / "part").read_bytes() == data
    assert (tmp_path / "part").stat().st_blocks * 512 < 1 << 19
