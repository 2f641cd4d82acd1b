"""Files in running and stopped containers, against a real dockerd."""

import os
from pathlib import Path

import msgspec
import pytest

from engine.docker import archive
from engine.docker.cancel import Cancel
from engine.docker.client import DockerClient
from engine.docker.files import Files
from engine.docker.transport import Wire
from engine.docker.types import FileEntry, RunSpec
from tests.unit.engine.bridge.servers import IMAGE, wait_until
from vm.errors import Cancelled, EngineRefused, HostError, ObjectGone

SCRIPT = r"""
mkdir -p /d/sub/deep && cd /d && echo hello > file && echo x > sub/deep/x
printf y > "$(printf 'two\nlines')" && printf z > 'sp ace' && ln -s file link
ln -s /etc/hostname away && chown 5:6 file && chmod 4750 file && ln file hard && mkfifo pipe
touch ready; trap 'exit 0' TERM; sleep 1000 & wait
"""


@pytest.fixture
def files(client: DockerClient) -> Files:
    return client.files


@pytest.fixture
def full(client: DockerClient, files: Files) -> str:
    """A running container with every kind of file in /d."""
    container = client.containers.run(RunSpec(IMAGE, "full", ("sh", "-c", SCRIPT)))
    wait_until(lambda: _exists(files, container, "/d/ready"))
    return container


def _exists(files: Files, container: str, path: str) -> bool:
    try:
        files.read(container, path)
    except ObjectGone:
        return False
    return True


def _listed(files: Files, container: str, path: str, running: bool) -> dict[str, FileEntry]:
    found = files.list_folder(container, path, running, Cancel())
    return {entry.name: entry for entry in found}


def _check(entries: dict[str, FileEntry]) -> None:
    names = {"sub", "file", "hard", "two\nlines", "sp ace", "link", "away", "pipe", "ready"}
    assert set(entries) == names
    assert (entries["file"].kind, entries["file"].mode) == ("file", 0o4750)
    assert entries["file"].size == entries["hard"].size == 6
    assert entries["file"].modified > 1_500_000_000
    assert (entries["sub"].kind, entries["pipe"].kind) == ("folder", "other")
    assert (entries["link"].target, entries["away"].target) == ("file", "/etc/hostname")


def test_running_and_stopped_containers_list_the_same(
    files: Files, full: str, client: DockerClient
) -> None:
    _check(_listed(files, full, "/d", running=True))
    client.containers.stop(full)
    _check(_listed(files, full, "/d/", running=False))


def test_a_running_container_is_listed_without_its_archive(
    files: Files, full: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def children(*_: object) -> None:
        raise AssertionError("the archive was read")

    monkeypatch.setattr(archive, "children", children)
    assert "bin" in _listed(files, full, "/", running=True)


def test_an_image_without_find_is_listed_from_the_archive(
    files: Files, full: str, client: DockerClient
) -> None:
    """The archive is also read when a container that is listed as running has stopped."""
    made = Wire(client.api).post(f"/containers/{full}/exec", {"Cmd": ["rm", "/bin/find"]})
    Wire(client.api).post(f"/exec/{msgspec.json.decode(made)['Id']}/start", {"Detach": False})
    _check(_listed(files, full, "/d", running=True))
    client.containers.stop(full)
    _check(_listed(files, full, "/d", running=True))


def test_a_symlink_to_a_folder_is_listed(files: Files, full: str, client: DockerClient) -> None:
    script = "ln -s /d/sub /d/short"
    made = Wire(client.api).post(f"/containers/{full}/exec", {"Cmd": ["sh", "-c", script]})
    Wire(client.api).post(f"/exec/{msgspec.json.decode(made)['Id']}/start", {"Detach": False})
    for running in (True, False):
        assert list(_listed(files, full, "/d/short", running)) == ["deep"]


@pytest.mark.parametrize("running", [True, False])
def test_listing_a_missing_path_or_a_file_fails(files: Files, full: str, running: bool) -> None:
    with pytest.raises(ObjectGone):
        files.list_folder(full, "/missing", running, Cancel())
    with pytest.raises(EngineRefused):
        files.list_folder(full, "/d/file", running, Cancel())


def test_a_listing_with_too_many_entries_is_refused(
    files: Files, full: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST", 10_000)
    with pytest.raises(EngineRefused, match="too many entries"):
        files.list_folder(full, "/bin", False, Cancel())


def test_read(files: Files, full: str) -> None:
    assert files.read(full, "/d/file") == b"hello\n"
    assert files.read(full, "/d/link", 2) == b"he"
    assert len(files.read(full, "/bin/busybox")) == 1024 * 1024
    assert files.read(full, "/bin/sh", 4) == b"\x7fELF"
    for path in ("/d/sub", "/d/pipe"):
        with pytest.raises(EngineRefused):
            files.read(full, path)
    with pytest.raises(ObjectGone):
        files.read(full, "/missing")


def test_download_of_a_folder(files: Files, full: str, tmp_path: Path) -> None:
    *_, last = files.download(full, "/d", tmp_path, Cancel())
    assert last.status == "Downloaded d; left out: 2 (devices, pipes, links that lead out of it)"
    copied = tmp_path / "d"
    assert (copied / "sub" / "deep" / "x").read_text() == "x\n"
    assert (copied / "hard").read_text() == "hello\n"
    assert os.readlink(copied / "link") == "file"
    assert not (copied / "away").is_symlink()
    list(files.download(full, "/d/", tmp_path, Cancel()))
    assert sorted(os.listdir(tmp_path)) == ["d", "d (2)"]


def test_download_of_a_file(files: Files, full: str, tmp_path: Path) -> None:
    (tmp_path / "link").write_text("mine")
    *_, last = files.download(full, "/d/link", tmp_path, Cancel())
    assert last.status == "Downloaded link (2)"
    assert (tmp_path / "link (2)").read_text() == "hello\n"
    assert (tmp_path / "link").read_text() == "mine"


def test_download_that_fails_leaves_nothing(files: Files, full: str, tmp_path: Path) -> None:
    with pytest.raises(ObjectGone):
        list(files.download(full, "/missing", tmp_path, Cancel()))
    with pytest.raises(HostError):
        list(files.download(full, "/d/file", Path("/proc"), Cancel()))
    cancel = Cancel()
    work = files.download(full, "/", tmp_path, cancel)
    while not os.listdir(tmp_path):
        next(work)
    cancel.set()
    with pytest.raises(Cancelled):
        list(work)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("running", [True, False])
def test_upload(
    files: Files, full: str, client: DockerClient, tmp_path: Path, running: bool
) -> None:
    if not running:
        client.containers.stop(full)
    (tmp_path / "folder" / "ü").mkdir(parents=True)
    (tmp_path / "folder" / "ü" / "file").write_bytes(b"u" * 700_000)
    (tmp_path / "single").write_text("one")
    paths = (tmp_path / "folder", tmp_path / "single")
    *_, last = files.upload(full, "/d/sub", paths, Cancel())
    assert last.status == "Uploading 2 items"
    assert files.read(full, "/d/sub/folder/ü/file") == b"u" * 700_000
    assert files.read(full, "/d/sub/single") == b"one"


def test_upload_that_fails(files: Files, full: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    with pytest.raises(ObjectGone):
        list(files.upload(full, "/missing", [tmp_path / "file"], Cancel()))
    with pytest.raises(HostError):
        list(files.upload(full, "/d", [tmp_path / "missing"], Cancel()))
