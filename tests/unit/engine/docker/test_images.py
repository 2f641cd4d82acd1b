"""Images, against a real dockerd and a real registry."""

import io
import os
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.docker.cancel import Cancel
from engine.docker.client import DockerClient
from engine.docker.images import Images
from engine.docker.types import TransferProgress
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, docker
from tests.unit.engine.docker.conftest import sleeper
from tests.unit.engine.docker.registry import FAST, SLOW, Registry
from vm.errors import Cancelled, EngineRefused, HostError, ObjectConflict, ObjectGone

LARGE = 24 * 1024 * 1024


@pytest.fixture
def images(client: DockerClient) -> Iterator[Images]:
    """Removes all containers and all images but the initial one afterwards."""
    made = client.images
    yield made
    for container in client.containers.list():
        client.containers.remove(container.id, force=True)
    for image in made.list():
        for name in image.tags or (image.id,):
            if name != f"{IMAGE}:latest":
                made.remove(name, force=True)


@pytest.fixture(scope="module")
def registry(dockerd: Dockerd) -> Iterator[Registry]:
    with tempfile.TemporaryDirectory() as folder:
        made = Registry(dockerd, Path(folder))
        made.start()
        yield made
        made.stop()


@pytest.fixture
def large(images: Images, tmp_path: Path, registry: Registry) -> str:
    """The name of an image that is only in the registry; a pull takes seconds."""
    _import(images, tmp_path / "large.tar", f"{FAST}/large:1", os.urandom(LARGE))
    list(images.push(f"{FAST}/large:1", Cancel()))
    images.remove(f"{FAST}/large:1")
    return f"{SLOW}/large:1"


def _import(images: Images, path: Path, ref: str, data: bytes) -> list[TransferProgress]:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("file")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return list(images.import_tar(path, ref, Cancel()))


def _tags(images: Images) -> set[str]:
    return {tag for image in images.list() for tag in image.tags}


def test_list(images: Images) -> None:
    (image,) = images.list()
    assert image.tags == (f"{IMAGE}:latest",)
    assert image.size > 100_000
    assert image.created > 1_500_000_000
    assert not image.dangling


def test_detail(images: Images, dockerd: Dockerd, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"FROM {IMAGE}\nENV A=1\nCOPY hello /greeting/hello\nRUN echo x > /x\nEXPOSE 80 53/udp\n"
        'VOLUME /data\nUSER 7\nWORKDIR /srv\nCMD ["sh", "-c", "true"]\n'
    )
    (tmp_path / "hello").write_text("hello")
    built = docker(dockerd.socket, "build", "-q", "-t", "built", str(tmp_path))
    assert built.returncode == 0, built.stderr
    detail = images.detail("built")
    assert [(port.container_port, port.protocol) for port in detail.ports] == [
        (53, "udp"),
        (80, "tcp"),
    ]
    assert detail.volumes == ("/data",)
    assert detail.command == ("sh", "-c", "true")
    assert (detail.user, detail.working_dir) == ("7", "/srv")
    assert "A=1" in detail.env
    instructions = {layer.instruction.split(" ")[0]: layer for layer in detail.layers}
    assert instructions["RUN"].instruction == "RUN echo x > /x"
    files = images.layer_files("built", instructions["COPY"].diff_id, Cancel())
    assert ("/greeting/hello", 5) in [(entry.name, entry.size) for entry in files]
    files = images.layer_files("built", instructions["RUN"].diff_id, Cancel())
    assert [entry.name for entry in files if entry.kind == "file"] == ["/x"]


def test_inspect_is_indented_json(images: Images) -> None:
    text = images.inspect(IMAGE)
    assert msgspec.json.decode(text)["RepoTags"] == [f"{IMAGE}:latest"]
    assert text.startswith(b'{\n  "')


def test_unknown_image(images: Images) -> None:
    with pytest.raises(ObjectGone):
        images.detail("nothing-of-this-name")
    with pytest.raises(ObjectGone):
        images.remove("nothing-of-this-name")


def test_tag_and_remove(images: Images) -> None:
    images.tag(IMAGE, "other/name:2")
    assert _tags(images) == {f"{IMAGE}:latest", "other/name:2"}
    images.remove("other/name:2")
    assert _tags(images) == {f"{IMAGE}:latest"}


def test_an_image_in_use_is_not_removed(images: Images, client: DockerClient) -> None:
    client.containers.run(sleeper("user"))
    with pytest.raises(ObjectConflict) as raised:
        images.remove(IMAGE)
    assert raised.value.hint


def test_push_and_pull(images: Images, registry: Registry, tmp_path: Path) -> None:
    ref = f"{FAST}/one:1"
    _import(images, tmp_path / "one.tar", ref, os.urandom(3_000_000))
    pushed = list(images.push(ref, Cancel()))
    assert [layer.status for layer in pushed[-1].layers] == ["Pushed"]
    assert pushed[-1].fraction == 1.0
    images.remove(ref)
    pulled = list(images.pull(ref, Cancel()))
    assert [layer.status for layer in pulled[-1].layers] == ["Pull complete"]
    assert "Downloaded newer image" in pulled[-1].status
    assert ref in _tags(images)
    digest = next(image.digests[0] for image in images.list() if ref in image.tags)
    images.remove(ref)
    list(images.pull(digest, Cancel()))
    assert any(digest in image.digests for image in images.list())


def test_pull_of_an_unknown_tag(images: Images, registry: Registry) -> None:
    with pytest.raises(EngineRefused) as raised:
        list(images.pull(f"{FAST}/nothing:1", Cancel()))
    assert "tag" in raised.value.hint


@pytest.mark.parametrize("ref", ["UPPER", "x://y", "a b", "-/x"])
def test_pull_of_an_invalid_name(images: Images, ref: str) -> None:
    with pytest.raises(EngineRefused):
        list(images.pull(ref, Cancel()))


def test_push_of_an_unknown_image(images: Images, registry: Registry) -> None:
    with pytest.raises(EngineRefused):
        list(images.push(f"{FAST}/not-here:1", Cancel()))


def _first_progress(pull: Iterator[TransferProgress]) -> TransferProgress:
    """The first report with received bytes."""
    return next(progress for progress in pull if progress.fraction)


def test_cancel_in_the_middle_of_a_pull(images: Images, large: str) -> None:
    cancel = Cancel()
    pull = images.pull(large, cancel)
    assert (_first_progress(pull).fraction or 1.0) < 1.0
    threading.Timer(0.1, cancel.set).start()
    with pytest.raises(Cancelled):
        list(pull)
    assert large not in _tags(images)


def test_cancel_while_the_registry_is_silent(
    images: Images, large: str, registry: Registry
) -> None:
    cancel = Cancel()
    pull = images.pull(large, cancel)
    _first_progress(pull)
    with registry.silent():
        threading.Timer(0.3, cancel.set).start()
        with pytest.raises(Cancelled):
            list(pull)
        assert not [each for each in threading.enumerate() if each.name.startswith("transfer")]


def test_a_pull_that_fails_midway(images: Images, large: str, registry: Registry) -> None:
    """dockerd retries after a lost connection, and gives up when the layer is missing."""
    pull = images.pull(large, Cancel())
    _first_progress(pull)
    registry.stop()
    registry.forget()
    registry.start()
    with pytest.raises(EngineRefused) as raised:
        list(pull)
    assert raised.value.details
    assert large not in _tags(images)


def test_save_and_load(images: Images, tmp_path: Path) -> None:
    _import(images, tmp_path / "in.tar", "first:1", b"1")
    images.tag("first:1", "second:2")
    path = tmp_path / "saved.tar"
    list(images.save(["first:1", "second:2"], path, Cancel()))
    images.remove("first:1")
    images.remove("second:2")
    *_, last = images.load(path, Cancel())
    assert last.status == "Loaded first:1, second:2"
    assert {"first:1", "second:2"} <= _tags(images)


def test_a_cancelled_save_leaves_no_file(images: Images, tmp_path: Path) -> None:
    _import(images, tmp_path / "in.tar", "wide:1", os.urandom(LARGE))
    path, cancel = tmp_path / "saved.tar", Cancel()
    save = images.save(["wide:1"], path, cancel)
    next(save)
    cancel.set()
    with pytest.raises(Cancelled):
        list(save)
    assert os.listdir(tmp_path) == ["in.tar"]


def test_save_of_a_missing_image(images: Images, tmp_path: Path) -> None:
    with pytest.raises(ObjectGone):
        list(images.save(["nothing:1"], tmp_path / "saved.tar", Cancel()))
    assert os.listdir(tmp_path) == []


def test_save_to_an_unwritable_path(images: Images) -> None:
    with pytest.raises(HostError):
        list(images.save([IMAGE], Path("/proc/saved.tar"), Cancel()))


@pytest.mark.parametrize("content", [b"", b"not a tar file" * 1000])
def test_load_of_a_file_that_is_no_tar(images: Images, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(EngineRefused):
        list(images.load(path, Cancel()))


def test_load_of_a_missing_file(images: Images, tmp_path: Path) -> None:
    with pytest.raises(HostError):
        list(images.load(tmp_path / "missing", Cancel()))


def test_prune_removes_what_its_preview_lists(
    images: Images, client: DockerClient, tmp_path: Path
) -> None:
    _import(images, tmp_path / "a.tar", "unused:1", b"a" * 100_000)
    client.containers.run(sleeper("user"))
    assert images.prune_preview().names == ()
    preview = images.prune_preview(all=True)
    assert preview.names == ("unused:1",)
    assert 100_000 <= preview.bytes < 200_000
    assert images.prune().names == ()
    done = images.prune(all=True)
    assert done.names == preview.names
    assert done.bytes == preview.bytes
    assert _tags(images) == {f"{IMAGE}:latest"}


def test_prune_of_an_image_without_a_name(
    images: Images, client: DockerClient, tmp_path: Path
) -> None:
    _import(images, tmp_path / "a.tar", "moved:1", b"a")
    _import(images, tmp_path / "b.tar", "moved:1", b"b")
    (dangling,) = (image for image in images.list() if image.dangling)
    assert images.prune_preview().names == (dangling.id.removeprefix("sha256:")[:12],)
    assert images.prune().names == (dangling.id.removeprefix("sha256:")[:12],)
    assert not any(image.dangling for image in images.list())
