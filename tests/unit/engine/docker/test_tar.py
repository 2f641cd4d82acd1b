"""Packing and unpacking tar archives as streams."""

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from engine.docker import tar


def _archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _in_pieces(data: bytes) -> list[bytes]:
    """Pieces of an odd size, as they arrive from a network."""
    return [data[at : at + 333] for at in range(0, len(data), 333)]


def _unpack(data: bytes, folder: Path, top: str, *, named: bool = True) -> list[str | None]:
    with tar.opened(tar.reading(_in_pieces(data))) as archive:
        return list(tar.unpack(archive, folder, top, named=named))


def test_only_direct_children_are_listed() -> None:
    data = _archive(**{"./a": b"12345", "./b/c": b"no", "./": b""})
    assert [(each.name, each.size) for each in tar.children(_in_pieces(data))] == [("a", 5)]


def test_a_packed_folder_can_be_unpacked(tmp_path: Path) -> None:
    source = tmp_path / "källa 源"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "big").write_bytes(os.urandom(tar.PIECE + 77))
    (source / "пусто").write_bytes(b"")
    (source / "link").symlink_to("deep/big")
    (source / ("n" * 150)).write_text("a name longer than a plain header holds")
    target = tmp_path / "target"
    target.mkdir()
    assert set(_unpack(b"".join(tar.packed([source])), target, "copy")) == {None}
    copied = target / "copy"
    assert sorted(os.listdir(copied)) == sorted(os.listdir(source))
    assert _hash(copied / "deep" / "big") == _hash(source / "deep" / "big")
    assert os.readlink(copied / "link") == "deep/big"
    assert tar.size_of([source]) == tar.PIECE + 77 + 39


@pytest.mark.parametrize(("first", "roots"), [("./", ["volume"]), ("./a", []), ("volume/", [])])
def test_the_root_of_an_archive(tmp_path: Path, first: str, roots: list[str]) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo(first)
        info.type, info.mode = tarfile.DIRTYPE, 0o2750
        archive.addfile(info)
    data = b"".join(tar.root_of(tmp_path / "a.tar", "/volume"))
    with tarfile.open(fileobj=io.BytesIO(data)) as root:
        assert [each.name for each in root] == roots
        assert all(each.mode == 0o2750 for each in root)


def test_packed_files_belong_to_root(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.chown(tmp_path / "file", 1234, 1234)
    data = b"".join(tar.packed([tmp_path / "file"]))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [(each.uid, each.gid) for each in archive] == [(0, 0)]


def test_a_file_that_shrinks_while_packed_leaves_a_valid_archive(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 5000)
    stream = tar.packed([path])
    head = next(stream)
    path.write_bytes(b"y")
    with tarfile.open(fileobj=io.BytesIO(head + b"".join(stream))) as archive:
        assert [each.size for each in archive] == [5000]


@pytest.mark.parametrize("name", ["../out", "/etc/out", "top/../../out"])
def test_nothing_is_unpacked_outside_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    _unpack(_archive(**{name: b"x"}), folder, "top", named=False)
    assert not (tmp_path / "out").exists()
    assert not Path("/etc/out").exists()


def test_a_link_out_of_the_folder_is_left_out(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, target in (("a/out", "/etc/passwd"), ("a/up", "../../x"), ("a/in", "other")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    assert _unpack(buffer.getvalue(), tmp_path, "b") == ["a/out", "a/up", None]
    assert os.listdir(tmp_path / "b") == ["in"]


def test_hard_links_follow_the_new_name(tmp_path: Path) -> None:
    buffer = io.BytesIO(_archive(**{"a/one": b"same"}))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        link = tarfile.TarInfo("a/two")
        link.type, link.linkname = tarfile.LNKTYPE, "a/one"
        archive.addfile(link)
    assert _unpack(buffer.getvalue(), tmp_path, "b") == [None, None]
    assert (tmp_path / "b" / "two").read_bytes() == b"same"


def test_a_hard_link_to_a_dangling_symlink_is_left_out(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("a/link")
        link.type, link.linkname = tarfile.SYMTYPE, "nowhere"
        archive.addfile(link)
        link = tarfile.TarInfo("a/again")
        link.type, link.linkname = tarfile.LNKTYPE, "a/link"
        archive.addfile(link)
    assert _unpack(buffer.getvalue(), tmp_path, "b") == [None, "a/again"]


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    assert tar.free_name(tmp_path, "a.txt") == "a.txt"
    (tmp_path / "a.txt").touch()
    (tmp_path / "a (2).txt").symlink_to("nowhere")
    assert tar.free_name(tmp_path, "a.txt") == "a (3).txt"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _member(name: str, kind: bytes = tarfile.REGTYPE, **more: Any) -> bytes:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in more.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.PAX_FORMAT)


@pytest.mark.parametrize("name", ["../out", "a/../../out", "up/out", "up/new/out"])
@pytest.mark.parametrize("named", [True, False])
def test_nothing_is_unpacked_beside_the_top_folder(tmp_path: Path, name: str, named: bool) -> None:
    """The target may be the user's home folder: existing files stay unchanged."""
    (tmp_path / "out").write_text("mine")
    before = "x/" if named else ""
    links = [_member(f"{before}{at}", tarfile.SYMTYPE, linkname="..") for at in ("up", "a")]
    data = b"".join([*links, _member(f"{before}{name}"), tar.EMPTY])
    assert _unpack(data, tmp_path, "top", named=named)[:2] == [f"{before}up", f"{before}a"]
    assert set(os.listdir(tmp_path)) <= {"out", "top"}
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_top_folder_that_is_a_link_is_left_out(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "mine").mkdir()
    data = b"".join([_member("x", kind, linkname="mine"), _member("x/a"), tar.EMPTY])
    assert _unpack(data, tmp_path, "top") == ["x", None]
    assert os.listdir(tmp_path / "mine") == []


def test_a_hard_link_to_itself_is_left_out(tmp_path: Path) -> None:
    data = _member("x/a", tarfile.LNKTYPE, linkname="x/a") + tar.EMPTY
    assert _unpack(data, tmp_path, "top") == ["x/a"]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_huge_header_is_not_read_into_memory(kind: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 1 << 33
    given = iter([info.tobuf(tarfile.GNU_FORMAT), *[bytes(tar.PIECE)] * 100])
    with pytest.raises(tarfile.TarError, match="header of"):
        list(tar.children(given))
    assert len(list(given)) > 90


@pytest.mark.parametrize(
    "headers",
    [{"size": "-1"}, {"size": "-513"}, {"GNU.sparse.map": "x"}],
)
def test_an_invalid_number_in_a_header_is_an_error(headers: dict[str, str]) -> None:
    data = _member("a") + _member("x", tarfile.DIRTYPE, pax_headers=headers) + tar.EMPTY
    with pytest.raises(tarfile.TarError):
        list(tar.children([data]))


@pytest.mark.parametrize("time", ["nan", "inf", "-inf", "1e300", "-1e300"])
def test_an_invalid_time_becomes_the_epoch(tmp_path: Path, time: str) -> None:
    data = _member("x", pax_headers={"mtime": time}) + tar.EMPTY
    assert [entry.modified for entry in tar.children([data])] == [0.0]
    assert _unpack(data, tmp_path, "top") == [None]


def test_a_nul_in_a_name_is_replaced(tmp_path: Path) -> None:
    data = _member("x", pax_headers={"path": "x/a\0b"}) + tar.EMPTY
    assert _unpack(data, tmp_path, "top") == [None]
    assert os.listdir(tmp_path / "top") == ["a\ufffdb"]
