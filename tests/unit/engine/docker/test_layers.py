"""The files of one layer, in every layout of a saved image; an image's history."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping

import msgspec
import pytest

from engine.docker import image_detail, layers
from vm.errors import EngineRefused


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


FIRST = _tar({"etc/one": b"1", "etc/.wh.gone": b"", "var/.wh..wh..opq": b""})
SECOND = _tar({"usr/two": b"22"})


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _blobs(*blobs: bytes) -> dict[str, bytes]:
    return {f"blobs/sha256/{_hash(blob)}": blob for blob in blobs}


SAVED = {
    "plain": {**_blobs(b'{"a": 1}', FIRST, SECOND), "manifest.json": b"[]"},
    "gzip": {**_blobs(b"{}", *map(gzip.compress, (FIRST, SECOND))), "index.json": b"{}"},
    "legacy": {"aa/layer.tar": FIRST, "aa/json": b"{}", "bb/layer.tar": SECOND},
}


@pytest.mark.parametrize("layout", SAVED)
def test_a_layer_is_found_in_every_layout(layout: str) -> None:
    saved = _tar(SAVED[layout])
    pieces = [saved[at : at + 700] for at in range(0, len(saved), 700)]
    found = layers.files(pieces, f"sha256:{_hash(SECOND)}")
    assert [(entry.name, entry.size, entry.kind) for entry in found] == [("/usr/two", 2, "file")]


def test_files_that_a_layer_deletes_are_listed() -> None:
    found = layers.files([_tar(SAVED["plain"])], _hash(FIRST))
    kinds = [(entry.name, entry.kind) for entry in found]
    assert kinds == [("/etc/one", "file"), ("/etc/gone", "deleted"), ("/var", "deleted")]


@pytest.mark.parametrize("layout", SAVED)
def test_a_missing_layer_is_refused(layout: str) -> None:
    with pytest.raises(EngineRefused, match="cannot be listed"):
        layers.files([_tar(SAVED[layout])], "sha256:" + "0" * 64)


def test_a_layers_listing_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MOST", 2)
    assert len(layers.files([_tar(SAVED["plain"])], _hash(FIRST))) == 2


@pytest.mark.parametrize(
    ("created_by", "instruction"),
    [
        ('/bin/sh -c #(nop)  CMD ["sh"]', 'CMD ["sh"]'),
        ("/bin/sh -c #(nop) COPY file:abc in / ", "COPY file:abc in /"),
        ("/bin/sh -c apt-get update", "RUN apt-get update"),
        ("RUN /bin/sh -c apt-get update # buildkit", "RUN apt-get update"),
        ("|2 A=1 B=2 /bin/sh -c make", "RUN make"),
        ("RUN |1 A=1 /bin/sh -c make # buildkit", "RUN make"),
        ("COPY . /src # buildkit", "COPY . /src"),
        ("WORKDIR /src", "WORKDIR /src"),
        ("", ""),
    ],
)
def test_instructions_are_as_in_the_dockerfile(created_by: str, instruction: str) -> None:
    assert image_detail.instruction(created_by) == instruction


def test_each_layer_gets_its_diff_id() -> None:
    history = [  # newest first
        {"CreatedBy": 'CMD ["x"]', "Size": 0},
        {"CreatedBy": "COPY a /a # buildkit", "Size": 7},
        {"CreatedBy": "WORKDIR /a", "Size": 0},
        {"CreatedBy": "ENV A=1", "Size": 0},
        {"CreatedBy": "/bin/sh -c #(nop) ADD file:1 in / ", "Size": 9, "Created": 5},
    ]
    inspected = {"Id": "sha256:1", "RootFS": {"Layers": ["base", "workdir", "copy"]}}
    detail = image_detail.decode(msgspec.json.encode(inspected), msgspec.json.encode(history))
    assert [layer.diff_id for layer in detail.layers] == ["", "copy", "workdir", "", "base"]
