"""Volumes and their files, against a real dockerd."""

import gzip
import hashlib
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.docker import helper_container
from engine.docker.cancel import Cancel
from engine.docker.client import DockerClient
from engine.docker.transport import Wire
from engine.docker.types import INTERNAL
from engine.docker.volumes import Volumes
from tests.unit.engine.bridge.servers import IMAGE
from vm.errors import Cancelled, EngineRefused, HostError, ObjectConflict, ObjectGone


@pytest.fixture
def volumes(client: DockerClient) -> Iterator[Volumes]:
    """Checks that no helper container is left, and removes containers and volumes."""
    made = client.volumes
    yield made
    assert _helper_containers(client) == []
    for container in client.containers.list():
        client.containers.remove(container.id, force=True)
    for volume in made.list():
        made.remove(volume.name, force=True)


@pytest.fixture
def full(volumes: Volumes) -> str:
    """A volume with every kind of file, written into its folder on the host."""
    volumes.create("full")
    root = _root(volumes, "full")
    root.chmod(0o2770)
    os.chown(root, 999, 998)
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "folder").chmod(0o2750)
    os.chown(root / "folder", 33, 44)
    for name in ("plain", "空 の 名前", "with\nnewline", "folder/deep/file"):
        (root / name).write_bytes(os.urandom(1000))
    (root / "plain").chmod(0o4711)
    os.chown(root / "plain", 1000, 70000)
    (root / "zero").touch()
    (root / "link").symlink_to("folder/deep/file")
    (root / "dangling").symlink_to("/nowhere/at/all")
    os.link(root / "plain", root / "folder" / "hard")
    os.mkfifo(root / "pipe")
    os.setxattr(root / "plain", "security.capability", CAPABILITY)
    return "full"


# cap_net_raw+ep, as file capabilities are stored
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def _root(volumes: Volumes, name: str) -> Path:
    return Path(msgspec.json.decode(volumes.inspect(name))["Mountpoint"])


def _leave_helper_container(client: DockerClient, volume: str) -> None:
    """Create the helper container of a killed window, which uses the volume."""
    with subprocess.Popen(["true"]) as ended:
        pass
    owner = msgspec.json.decode(helper_container._owner())
    owner["process"]["pid"] = ended.pid
    body = {
        "Image": f"{helper_container.REPOSITORY}:{helper_container.TAG}",
        "Cmd": ["never"],
        "Labels": {INTERNAL: msgspec.json.encode(owner).decode()},
        "HostConfig": {"Mounts": [{"Type": "volume", "Source": volume, "Target": "/volume"}]},
    }
    Wire(client.api).post("/containers/create", body)


def _helper_containers(client: DockerClient) -> list[object]:
    found = Wire(client.api).get(
        "/containers/json",
        all=1,
        filters=msgspec.json.encode({"label": [INTERNAL]}).decode(),
    )
    return list(msgspec.json.decode(found))


def _properties(root: Path) -> dict[str, tuple[object, ...]]:
    """The properties of every file below `root` that a copy must keep."""
    properties: dict[str, tuple[object, ...]] = {}
    for path in [root, *root.rglob("*")]:
        info = path.lstat()
        content: object = ""
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        names = os.listxattr(path, follow_symlinks=False)
        owner = (info.st_uid, info.st_gid, info.st_mode, info.st_nlink if path.is_file() else 0)
        modified = int(info.st_mtime) if path != root else 0  # Docker does not keep the root's
        properties[str(path.relative_to(root))] = (*owner, modified, content, tuple(names))
    return properties


def test_create_list_remove(volumes: Volumes) -> None:
    volumes.create("mine", labels=(("a", "b"),))
    (volume,) = volumes.list()
    assert (volume.name, volume.driver, volume.labels) == ("mine", "local", (("a", "b"),))
    assert volume.created > 1_500_000_000
    volumes.remove("mine")
    assert volumes.list() == ()
    with pytest.raises(ObjectGone):
        volumes.remove("mine")


def test_a_duplicate_name_is_a_conflict(volumes: Volumes) -> None:
    volumes.create("mine")
    with pytest.raises(ObjectConflict):
        volumes.create("mine")


def test_a_volume_in_use_is_not_removed(volumes: Volumes, client: DockerClient) -> None:
    volumes.create("mine")
    _use(client, "mine")
    with pytest.raises(ObjectConflict):
        volumes.remove("mine")


def _use(client: DockerClient, volume: str) -> None:
    body = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"Binds": [f"{volume}:/data"]}}
    Wire(client.api).post("/containers/create", body)


def test_prune_removes_what_its_preview_lists(volumes: Volumes, client: DockerClient) -> None:
    for name in ("used", "unused"):
        volumes.create(name)
    (_root(volumes, "unused") / "file").write_bytes(b"x" * 5000)
    _use(client, "used")
    assert volumes.prune_preview(all=False).names == ()
    preview = volumes.prune_preview()
    assert preview.names == ("unused",)
    assert preview.bytes == 5000
    assert volumes.prune() == preview
    assert [volume.name for volume in volumes.list()] == ["used"]


def test_an_exported_and_imported_volume_is_the_same(
    volumes: Volumes, full: str, tmp_path: Path
) -> None:
    path = tmp_path / "full.tar"
    *_, last = volumes.export(full, path, Cancel())
    assert last.layers[0].done == path.stat().st_size
    *_, last = volumes.import_tar("again", path, Cancel())
    assert last.fraction == 1.0
    assert _properties(_root(volumes, "again")) == _properties(_root(volumes, full))
    assert os.listdir(tmp_path) == ["full.tar"]


def test_a_compressed_tar_can_be_imported(volumes: Volumes, full: str, tmp_path: Path) -> None:
    path = tmp_path / "full.tar"
    list(volumes.export(full, path, Cancel()))
    packed = tmp_path / "full.tar.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    list(volumes.import_tar("again", packed, Cancel()))
    assert _properties(_root(volumes, "again")) == _properties(_root(volumes, full))


def test_clone(volumes: Volumes, full: str) -> None:
    list(volumes.clone(full, "twin", Cancel()))
    assert _properties(_root(volumes, "twin")) == _properties(_root(volumes, full))
    with pytest.raises(ObjectConflict):
        list(volumes.clone(full, "twin", Cancel()))
    with pytest.raises(ObjectGone):
        list(volumes.clone("missing", "new", Cancel()))
    assert {volume.name for volume in volumes.list()} == {"full", "twin"}


def _cut(whole: bytes) -> bytes:
    return whole[: len(whole) // 2 + 100]


@pytest.mark.parametrize("damage", [_cut, lambda whole: b"", lambda whole: b"text " * 999])
def test_import_of_a_damaged_tar_creates_no_volume(
    volumes: Volumes, full: str, tmp_path: Path, damage: object
) -> None:
    path = tmp_path / "damaged.tar"
    list(volumes.export(full, path, Cancel()))
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(EngineRefused, match="not a whole tar file"):
        list(volumes.import_tar("new", path, Cancel()))
    assert [volume.name for volume in volumes.list()] == ["full"]
    with pytest.raises(EngineRefused):
        list(volumes.import_tar(full, path, Cancel()))
    assert [volume.name for volume in volumes.list()] == ["full"]


def test_import_of_a_missing_file(volumes: Volumes, tmp_path: Path) -> None:
    with pytest.raises(HostError):
        list(volumes.import_tar("new", tmp_path / "missing", Cancel()))
    assert volumes.list() == ()


def test_reading_a_missing_volume_does_not_create_it(volumes: Volumes, tmp_path: Path) -> None:
    with pytest.raises(ObjectGone):
        list(volumes.export("missing", tmp_path / "out.tar", Cancel()))
    with pytest.raises(ObjectGone):
        volumes.list_files("missing", "/", Cancel())
    assert volumes.list() == ()
    assert os.listdir(tmp_path) == []


def test_a_cancelled_import_removes_its_volume(volumes: Volumes, tmp_path: Path) -> None:
    path = tmp_path / "wide.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("zeros")
        info.size = 256 * 1024 * 1024
        with open("/dev/zero", "rb") as zeros:
            archive.addfile(info, zeros)
    cancel = Cancel()
    work = volumes.import_tar("new", path, cancel)
    assert next(progress for progress in work if progress.fraction).fraction != 1.0
    cancel.set()
    with pytest.raises(Cancelled):
        list(work)
    assert volumes.list() == ()


def test_list_and_read_files(volumes: Volumes, full: str) -> None:
    entries = {entry.name: entry for entry in volumes.list_files(full, "/", Cancel())}
    assert set(entries) == {path.name for path in _root(volumes, full).iterdir()}
    assert entries["plain"].size == 1000
    assert (entries["folder"].kind, entries["pipe"].kind) == ("folder", "other")
    assert (entries["link"].kind, entries["link"].target) == ("link", "folder/deep/file")
    (file,) = volumes.list_files(full, "/folder/deep", Cancel())
    assert file.name == "file"
    whole = (_root(volumes, full) / "folder" / "deep" / "file").read_bytes()
    assert volumes.read_file(full, "/folder/deep/file", 10) == whole[:10]
    assert volumes.read_file(full, "link", 5000) == whole
    with pytest.raises(ObjectGone):
        volumes.read_file(full, "/missing", 10)
    with pytest.raises(EngineRefused, match="folder"):
        volumes.read_file(full, "/folder", 10)


def test_a_volume_mounted_by_a_container_can_be_read(
    volumes: Volumes, client: DockerClient
) -> None:
    volumes.create("shared")
    mount = {"Type": "volume", "Source": "shared", "Target": "/data"}
    body = {
        "Image": IMAGE,
        "Cmd": ["sh", "-c", "echo x > /data/it"],
        "HostConfig": {"Mounts": [mount]},
    }
    made = Wire(client.api).post("/containers/create", body)
    container = msgspec.json.decode(made)["Id"]
    client.containers.start(container)
    Wire(client.api).post(f"/containers/{container}/wait")
    assert volumes.read_file("shared", "it", 10) == b"x\n"


def test_helper_containers_of_a_killed_window_are_removed(
    volumes: Volumes, full: str, client: DockerClient
) -> None:
    with helper_container.mounted(client.api, full), helper_container.mounted(client.api, full):
        assert len(_helper_containers(client)) == 2  # those in use are kept
    _leave_helper_container(client, full)
    assert len(_helper_containers(client)) == 1
    volumes.list_files(full, "/", Cancel())
    assert _helper_containers(client) == []


def test_a_left_over_helper_does_not_prevent_removal_of_its_volume(
    volumes: Volumes, client: DockerClient
) -> None:
    volumes.create("held")
    volumes.list_files("held", "/", Cancel())  # creates the helper image
    _leave_helper_container(client, "held")
    volumes.remove("held")
    assert volumes.list() == ()


def test_the_helper_image_is_hidden(volumes: Volumes, full: str, client: DockerClient) -> None:
    volumes.list_files(full, "/", Cancel())
    assert [image.tags for image in client.images.list()] == [(f"{IMAGE}:latest",)]
    assert client.images.prune_preview(all=True).names == (f"{IMAGE}:latest",)
