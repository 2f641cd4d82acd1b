"""Exports and imports of images: the same bytes, hostile files, nothing left behind."""

import errno
import gzip
import os
import shutil
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from engine.guest.writing import writing
from engine.images import transfer
from engine.images.transfer import MANIFEST_LARGEST, PIECE, export, import_file
from tests import small_image
from tests.unit.engine.images.current import CURRENT, LATER, OTHER_ARCH, ignore, late
from tests.unit.engine.images.exported import (
    altered,
    altered_manifest,
    members,
    pack,
    with_manifest,
)
from vm import image
from vm.errors import Cancelled, DiskFull, GalleyError, HostError, ImageDamaged
from vm.host import sparse
from vm.image import FORMAT, MANIFEST, Manifest, Part
from vm.messages import Message, Text

TOTAL = sum(map(len, small_image.CONTENT.values()))
BIG = os.urandom(3 << 20)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return small_image.add_to(tmp_path / "made", CURRENT)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def file(tmp_path: Path, made: Path) -> Path:
    path = tmp_path / "exported"
    export(made, path, ignore)
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != image.STAMP}


def refused(file: Path, images: Path) -> GalleyError:
    """The error of an import, which leaves nothing."""
    with pytest.raises(GalleyError) as caught:
        import_file(file, images, ignore)
    assert not images.exists() or list(images.iterdir()) == []
    return caught.value


def reason(file: Path, images: Path) -> str:
    error = refused(file, images)
    assert isinstance(error, ImageDamaged)
    text = error.values["reason"]
    assert isinstance(text, Text)
    return text.code


def test_an_import_gives_the_same_image(file: Path, made: Path, images: Path) -> None:
    texts: list[Text] = []
    found = import_file(file, images, texts.append)
    assert found == images / CURRENT.directory_name
    assert content(found) == content(made)
    assert image.verify(found) == image.verify(made)
    assert [path.name for path in images.iterdir()] == [found.name]
    assert texts[0].code == "image.importing"
    inode = (found / "vmlinux").stat().st_ino
    assert import_file(file, images, ignore) == found
    assert (found / "vmlinux").stat().st_ino == inode


def test_two_exports_give_the_same_bytes(
    file: Path, made: Path, images: Path, tmp_path: Path
) -> None:
    texts: list[Text] = []
    for path in made.iterdir():
        os.utime(path, (1, 1))
    (tmp_path / "again").write_bytes(b"an old file")
    export(made, tmp_path / "again", texts.append)
    assert (tmp_path / "again").read_bytes() == file.read_bytes()
    export(import_file(file, images, ignore), tmp_path / "again", ignore)
    assert (tmp_path / "again").read_bytes() == file.read_bytes()
    assert texts[0].code == "image.exporting"


def test_tar_reads_an_export(file: Path, made: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xzf", file, "-C", tmp_path / "out"], check=True)
    assert content(tmp_path / "out") == content(made)
    assert [info.name for info, _ in members(file)] == [MANIFEST, *small_image.CONTENT]
    assert all(info.uid == info.mtime == 0 for info, _ in members(file))


def test_a_damaged_image_is_not_exported(made: Path, tmp_path: Path) -> None:
    (made / "vmlinux").write_bytes(b"kernem" * 1000)
    with pytest.raises(ImageDamaged):
        export(made, tmp_path / "file", ignore)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_cancelled_export_leaves_the_old_file(file: Path, made: Path) -> None:
    before = file.read_bytes()

    def cancel(text: Text) -> None:
        raise Cancelled(Message("", "cancelled"))

    with pytest.raises(Cancelled):
        export(made, file, cancel)
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["exported", "made"]


def test_a_cancelled_import_leaves_nothing(
    file: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its last part, when files have been written."""
    monkeypatch.setattr("engine.images.meter.PERIOD", 0)

    def cancel(text: Text) -> None:
        if text.values["done"] == TOTAL:
            assert list(images.glob("*/image/certificates.pem"))
            raise Cancelled(Message("", "cancelled"))

    with pytest.raises(Cancelled):
        import_file(file, images, cancel)
    assert list(images.iterdir()) == []


def test_the_deadline_of_a_step_is_no_failed_write(file: Path, made: Path, images: Path) -> None:
    with pytest.raises(TimeoutError):
        export(made, file, late)
    with pytest.raises(TimeoutError):
        import_file(file, images, late)
    assert list(images.iterdir()) == []


def test_a_share_that_does_not_answer_is_a_failed_write(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught, writing(tmp_path / "file"):
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    assert caught.value.code == "transfer.not_written"


def test_zeros_of_an_imported_image_take_no_space(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"ELF" + bytes(4 << 20) + b"end" + bytes(PIECE)
    monkeypatch.setitem(small_image.CONTENT, "vmlinux", data)
    export(small_image.add_to(tmp_path / "made", CURRENT), tmp_path / "file", ignore)
    found = import_file(tmp_path / "file", images, ignore)
    assert (found / "vmlinux").read_bytes() == data
    assert sparse.allocated(found / "vmlinux") < 1 << 20


def test_another_architecture_is_refused(file: Path, images: Path) -> None:
    altered_manifest(file, arch=OTHER_ARCH)
    error = refused(file, images)
    assert isinstance(error, HostError)
    assert error.code == "image.other_arch"
    assert f"is for {OTHER_ARCH}; this computer runs {CURRENT.arch}" in error.summary


def test_another_recipe_is_refused_unless_any_is_taken(images: Path, tmp_path: Path) -> None:
    other = msgspec.structs.replace(CURRENT, recipe="0123456789abcdef")
    export(small_image.add_to(tmp_path / "made", other), tmp_path / "file", ignore)
    error = refused(tmp_path / "file", images)
    assert isinstance(error, HostError)
    assert error.code == "image.other_recipe"
    assert (error.values["recipe"], error.values["expected"]) == (other.recipe, CURRENT.recipe)
    found = import_file(tmp_path / "file", images, ignore, any_recipe=True)
    assert found.name == other.directory_name


def test_another_format_is_refused(file: Path, images: Path) -> None:
    with_manifest(file, b'{"format": %d, "other": []}' % (FORMAT + 1))
    error = refused(file, images)
    assert (type(error), error.code) == (HostError, "image.newer_format")
    with_manifest(file, b'{"format": %d}' % (FORMAT - 1))
    assert reason(file, images) == "image.other_format"


def test_a_manifest_that_does_not_decode_is_refused(file: Path, images: Path) -> None:
    for data in (b"", b"{}", b'{"format": %d}' % FORMAT, b"\xff", b"[" * 100_000):
        with_manifest(file, data)
        assert isinstance(refused(file, images), ImageDamaged)


def test_a_date_that_no_calendar_has_is_refused(file: Path, images: Path) -> None:
    manifest = members(file)[0][1]
    for date in ("2026-99-99T00:00:00Z", "2026-02-30T00:00:00Z", "\uff12026-11-28T08:00:00Z"):
        with_manifest(file, manifest.replace(CURRENT.date.encode(), date.encode()))
        assert isinstance(refused(file, images), ImageDamaged)


def test_an_image_from_the_future_is_refused(file: Path, images: Path) -> None:
    """It would be the newest one for ever."""
    now = datetime.now(UTC)
    for date in ("9999-01-01T00:00:00Z", rfc3339(now + timedelta(days=1, minutes=5))):
        altered_manifest(file, date=date)
        error = refused(file, images)
        assert (type(error), error.code) == (HostError, "image.from_future")
        assert date[:10] in error.summary
    altered_manifest(file, date=rfc3339(now + timedelta(hours=23)))
    assert import_file(file, images, ignore).is_dir()


def rfc3339(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def test_names_that_lead_elsewhere_are_refused(file: Path, images: Path) -> None:
    sound = msgspec.json.decode(members(file)[0][1], type=Manifest)
    first, *rest = sound.parts
    for code, changes in (
        ("exported.bad_name", {"channel": "../../stable"}),
        ("exported.bad_name", {"recipe": "../../x"}),
        ("exported.bad_list", {"parts": (Part("../vmlinux", 1, ""), *rest)}),
        ("exported.bad_list", {"parts": (Part(MANIFEST, 1, ""), *rest)}),
        ("exported.bad_list", {"parts": (first, *sound.parts)}),
        ("exported.bad_list", {"parts": (Part("vmlinux", -1, ""), *rest)}),
    ):
        with_manifest(file, msgspec.structs.replace(sound, **changes))
        with pytest.raises(ImageDamaged) as caught:
            import_file(file, images, ignore, any_recipe=True)
        found = caught.value.values["reason"]
        assert isinstance(found, Text)
        assert found.code == code
    assert not images.exists()


def test_an_image_that_lacks_a_part_is_refused(file: Path, images: Path) -> None:
    parts = tuple(Part(name, 1, "") for name in small_image.CONTENT)
    for place in range(len(parts)):
        some = (*parts[:place], *parts[place + 1 :])
        altered_manifest(file, parts=some)
        assert reason(file, images) == "exported.bad_list"
    altered_manifest(file, parts=())
    assert reason(file, images) == "exported.bad_list"


def test_members_other_than_the_expected_ones_are_refused(file: Path, images: Path) -> None:
    sound = members(file)
    for place, name in ((0, "../manifest.json"), (1, "../x"), (1, "/x"), (2, "vmlinux")):
        pack(file, [(altered(info, name) if at == place else info, data)
                    for at, (info, data) in enumerate(sound)])  # fmt: skip
        assert reason(file, images) == "exported.other_member"
    pack(file, [sound[0], sound[2], sound[1], *sound[3:]])
    assert reason(file, images) == "exported.other_member"
    pack(file, sound[:-1])
    assert reason(file, images) == "exported.no_tar"
    pack(file, [*sound, (altered(sound[1][0], "more"), sound[1][1])])
    assert reason(file, images) == "exported.trailing"


def test_links_and_extended_headers_are_refused(file: Path, images: Path) -> None:
    manifest, (info, data), *rest = members(file)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE):
        link = tarfile.TarInfo("vmlinux")
        link.type, link.linkname = kind, "../../secret"
        pack(file, [manifest, (link, b""), *rest])
        assert reason(file, images) == "exported.not_regular"
    info.pax_headers = {"comment": "long" * 100_000}
    pack(file, [manifest, (info, data), *rest], tarfile.PAX_FORMAT)
    assert reason(file, images) == "exported.other_member"


def test_members_of_other_sizes_are_refused(file: Path, images: Path) -> None:
    manifest, (info, data), *rest = members(file)
    for other in (data + b"x", data[:-1], b""):
        info.size = len(other)
        pack(file, [manifest, (info, other), *rest])
        assert reason(file, images) == "exported.other_size"
    with_manifest(file, b" " * (MANIFEST_LARGEST + 1))
    assert reason(file, images) == "exported.too_large"
    info = altered(manifest[0], MANIFEST)
    info.size = 1 << 60
    file.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))
    assert reason(file, images) == "exported.too_large"


def test_a_changed_part_is_refused(file: Path, images: Path) -> None:
    manifest, (info, data), *rest = members(file)
    pack(file, [manifest, (info, b"X" + data[1:]), *rest])
    assert reason(file, images) == "exported.member_changed"


def test_a_file_that_ends_too_early_is_refused(file: Path, images: Path) -> None:
    data, plain = file.read_bytes(), gzip.decompress(file.read_bytes())
    for cut in (5, 15, len(data) // 2, len(data) - 9):
        file.write_bytes(data[:cut])
        assert reason(file, images) == "exported.cut_off", cut
    for cut in (0, 100, 512, len(plain) - 1):
        file.write_bytes(gzip.compress(plain[:cut]))
        assert reason(file, images) == "exported.cut_off", cut


def test_what_follows_the_end_is_refused(file: Path, images: Path) -> None:
    data, plain = file.read_bytes(), gzip.decompress(file.read_bytes())
    for more in (b"rubbish", gzip.compress(b"more"), gzip.compress(bytes(1 << 20))):
        file.write_bytes(data + more)
        assert reason(file, images) == "exported.trailing"
    file.write_bytes(gzip.compress(plain[:-1] + b"x"))
    assert reason(file, images) == "exported.trailing"
    file.write_bytes(data + gzip.compress(bytes(tarfile.RECORDSIZE)))
    import_file(file, images, ignore)


def test_a_file_of_another_kind_is_refused(images: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    for data, code in (
        (b"PK\3\4 not a gzip", "exported.no_gzip"),
        (b"\x1f\x8b\x08" + bytes(100), "exported.no_gzip"),
        (b"", "exported.cut_off"),
        (gzip.compress(b"no tar" * 1000), "exported.no_tar"),
        (gzip.compress(bytes(10_240)), "exported.no_tar"),
    ):
        file.write_bytes(data)
        assert reason(file, images) == code
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing", tmp_path / "pipe", tmp_path):
        assert refused(path, images).code == "exported.not_read"


def test_a_check_may_refuse_an_image(file: Path, images: Path) -> None:
    seen: list[Manifest] = []

    def check(manifest: Manifest) -> None:
        seen.append(manifest)
        raise HostError(Message("", "not this one"))

    with pytest.raises(HostError, match="not this one"):
        import_file(file, images, ignore, check=check)
    assert seen[0].package_set == CURRENT.package_set != LATER.package_set
    assert not images.exists()


@pytest.fixture
def big(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image that is larger than the small disk."""
    monkeypatch.setitem(small_image.CONTENT, "root.qcow2", BIG)
    return small_image.add_to(tmp_path / "big", CURRENT)


@pytest.mark.parametrize(("free", "code"), [(0, "transfer.no_room"), (1 << 40, "disk.full")])
def test_a_full_disk_is_an_error(
    big: Path,
    small_disk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    code: str,
) -> None:
    """Found before anything is written or, with another writer, in the middle."""
    export(big, tmp_path / "file", ignore)
    if free:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, free))
    error = refused(tmp_path / "file", small_disk)
    assert (type(error), error.code) == (DiskFull, code)
    with pytest.raises(DiskFull) as caught:
        export(big, small_disk / "file", ignore)
    assert caught.value.code == code
    assert list(small_disk.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error(
    made: Path, file: Path, tmp_path: Path
) -> None:
    for target in (tmp_path / "missing" / "file", tmp_path):
        with pytest.raises(HostError) as caught:
            export(made, target, ignore)
        assert caught.value.code == "transfer.not_written"
    with pytest.raises(HostError) as caught:
        import_file(file, file / "images", ignore)
    assert caught.value.code == "transfer.not_written"


def test_a_part_that_shrinks_during_an_export_is_an_error(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = image.verify(made)
    monkeypatch.setattr(transfer, "verify", lambda _: manifest)
    (made / "root.qcow2").write_bytes(b"root")
    with pytest.raises(ImageDamaged):
        export(made, tmp_path / "file", ignore)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
