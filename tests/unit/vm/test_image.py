"""An image is booted only if each part matches the manifest; a part that does not is named."""

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from tests import small_image
from tests.small_image import RUNC
from vm import image
from vm.errors import ImageDamaged
from vm.image import FORMAT, MANIFEST, STAMP


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return small_image.make_in(tmp_path / "one")


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
    assert manifest.packages["runc"] == RUNC
    assert (made / STAMP).exists()


def test_a_stamped_image_is_not_hashed_again(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image.verify(made)
    monkeypatch.setattr(image, "describe", lambda path: pytest.fail("hashed again"))
    image.verify(made)


def test_a_date_that_no_calendar_has_is_damage(made: Path) -> None:
    data = (made / MANIFEST).read_text()
    (made / MANIFEST).write_text(data.replace("2026-11-28", "2026-99-99"))
    with pytest.raises(ImageDamaged, match="2026-99-99"):
        image.read_manifest(made)


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
    (made / MANIFEST).write_text(f'{{"format": {FORMAT + 1}, "parts": "elsewhere"}}')
    with pytest.raises(ImageDamaged, match=f"format is {FORMAT + 1}"):
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
    assert image.find(images / "absent") == ()


def test_an_image_that_is_removed_meanwhile_is_not_found(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = shutil.copytree(made, made.parent / "two")
    is_file = Path.is_file

    def removed_after(path: Path) -> bool:
        found = is_file(path)
        if path.parent == made:
            shutil.rmtree(made)
        return found

    monkeypatch.setattr(Path, "is_file", removed_after)
    assert image.find(made.parent) == (kept,)


@pytest.mark.parametrize("changed", ["version", "arch", "sha256"])
def test_the_package_set_follows_names_versions_and_digests(made: Path, changed: str) -> None:
    manifest = image.read_manifest(made)
    assert manifest.directory_name == f"stable-amd64-abc-{manifest.package_set}"
    other = msgspec.structs.replace(RUNC, **{changed: "other"})
    packages = msgspec.structs.replace(manifest, packages={"runc": other})
    assert packages.package_set != manifest.package_set
    renamed = msgspec.structs.replace(manifest, packages={"crun": RUNC})
    assert renamed.package_set != manifest.package_set
    later = msgspec.structs.replace(manifest, date="2026-11-29T08:00:00Z")
    assert later.package_set == manifest.package_set


def test_a_sound_image_of_the_same_name_stays(made: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    first = image.settle(_copy(made, tmp_path / "a"), images, tmp_path / "old")
    inode = (first / "vmlinux").stat().st_ino
    second = image.settle(_copy(made, tmp_path / "b"), images, tmp_path / "old")
    assert first == second == images / image.read_manifest(made).directory_name
    assert (first / "vmlinux").stat().st_ino == inode
    (first / "vmlinux").write_bytes(b"kernem" * 1000)
    image.settle(_copy(made, tmp_path / "c"), images, tmp_path / "old")
    image.verify(first)
    assert (tmp_path / "old" / "vmlinux").read_bytes() == b"kernem" * 1000


def _copy(made: Path, to: Path) -> Path:
    return Path(shutil.copytree(made, to))
