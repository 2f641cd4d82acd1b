"""An image is booted only if each part matches the manifest; a part that does not is named."""

import os
from pathlib import Path

import msgspec
import pytest

from vm import image
from vm.errors import ImageDamaged
from vm.image import MANIFEST, STAMP, Manifest


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "vmlinux").write_bytes(b"kernel" * 1000)
    (folder / "root.qcow2").write_bytes(b"root" * 1000)
    parts = tuple(image.describe(folder / name) for name in ("vmlinux", "root.qcow2"))
    packages = {"runc": "1:2.3-4"}
    image.write_manifest(
        folder, Manifest(1, "trixie", "stable", "amd64", "abc", "6.12", packages, parts)
    )
    return folder


def test_a_manifest_round_trips(made: Path) -> None:
    manifest = image.read_manifest(made)
    image.write_manifest(made, manifest)
    assert image.read_manifest(made) == manifest
    part = manifest.part("vmlinux")
    assert part is not None
    assert part.size == 6000
    assert manifest.part("absent") is None


def test_a_sound_image_is_verified_and_stamped(made: Path) -> None:
    assert not (made / STAMP).exists()
    manifest = image.verify(made)
    assert manifest.packages == {"runc": "1:2.3-4"}
    assert (made / STAMP).exists()


def test_a_stamped_image_is_not_hashed_again(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image.verify(made)
    monkeypatch.setattr(image, "describe", lambda path: pytest.fail("hashed again"))
    image.verify(made)


@pytest.mark.parametrize("stamped", [False, True])
def test_a_changed_part_is_named(made: Path, stamped: bool) -> None:
    if stamped:
        image.verify(made)
    stat = (made / "root.qcow2").stat()
    data = bytearray((made / "root.qcow2").read_bytes())
    data[100] ^= 1
    (made / "root.qcow2").write_bytes(data)
    os.utime(made / "root.qcow2", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # ctime still differs
    with pytest.raises(ImageDamaged, match=r"root\.qcow2"):
        image.verify(made)


def test_a_missing_or_shortened_part_is_named(made: Path) -> None:
    (made / "vmlinux").write_bytes(b"kernel")
    with pytest.raises(ImageDamaged, match=r"vmlinux.*6 bytes instead of 6000"):
        image.verify(made)
    (made / "vmlinux").unlink()
    with pytest.raises(ImageDamaged, match="vmlinux"):
        image.verify(made)


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff\xfe", b'{"format": 1}'])
def test_an_invalid_manifest_is_damage(made: Path, text: bytes) -> None:
    (made / MANIFEST).write_bytes(text)
    with pytest.raises(ImageDamaged, match=MANIFEST):
        image.verify(made)


def test_another_format_is_refused(made: Path) -> None:
    newer = msgspec.structs.replace(image.read_manifest(made), format=2)
    image.write_manifest(made, newer)
    with pytest.raises(ImageDamaged, match="format is 2"):
        image.verify(made)


def test_an_invalid_stamp_is_ignored(made: Path) -> None:
    (made / STAMP).write_bytes(b"nonsense")
    image.verify(made)


def test_images_are_found_newest_first(made: Path) -> None:
    images = made.parent
    assert image.find(images) == (made,)
    (images / "unfinished").mkdir()
    newer = images / "two"
    newer.mkdir()
    image.write_manifest(newer, image.read_manifest(made))
    os.utime(made / MANIFEST, (1, 1))
    assert image.find(images) == (newer, made)
    assert image.unused(images, [newer]) == (made,)
    assert image.find(images / "absent") == ()
