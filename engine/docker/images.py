"""Images: list, inspect, pull, push, save, load, remove.

Long operations return their progress as an iterator and can be cancelled. The image of
`helper_container.py` is hidden. Next: `image_detail.py`.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine.docker import image_detail, layers
from engine.docker.cancel import Cancel
from engine.docker.sdk import docker
from engine.docker.streaming_request import filters, messages, pieces, pretty, quoted, streaming
from engine.docker.transfers import (
    Counter,
    Layers,
    Report,
    file_pieces,
    saved,
    size_of_file,
    watched,
)
from engine.docker.transport import Wire
from engine.docker.types import INTERNAL, FileEntry, Image, ImageDetail, Pruned, TransferProgress
from engine.messages.docker import (
    IMAGE_BAD_NAME,
    IMAGE_FILE_DAMAGED,
    IMAGE_LOGIN_UNREADABLE,
    IMAGE_NONE_IN_FILE,
)
from vm.errors import EngineRefused

NO_NAME = ("<none>:<none>", "<none>@<none>")


class _Row(msgspec.Struct):
    id: str = msgspec.field(name="Id")
    tags: list[str] | None = msgspec.field(name="RepoTags", default=None)
    digests: list[str] | None = msgspec.field(name="RepoDigests", default=None)
    size: int = msgspec.field(name="Size", default=0)
    shared: int = msgspec.field(name="SharedSize", default=-1)
    created: float = msgspec.field(name="Created", default=0)
    labels: dict[str, str] | None = msgspec.field(name="Labels", default=None)

    @property
    def own_size(self) -> int:
        """Bytes that only this image uses."""
        return self.size - max(self.shared, 0)

    def image(self) -> Image:
        tags = _names(self.tags)
        return Image(self.id, tags, self.size, self.created, _names(self.digests), not tags)


class _Container(msgspec.Struct):
    image: str = msgspec.field(name="ImageID", default="")


class _Deleted(msgspec.Struct):
    untagged: str = msgspec.field(name="Untagged", default="")
    deleted: str = msgspec.field(name="Deleted", default="")


class _PruneAnswer(msgspec.Struct):
    deleted: list[_Deleted] | None = msgspec.field(name="ImagesDeleted", default=None)
    bytes: int = msgspec.field(name="SpaceReclaimed", default=0)


class Images:
    """The images of an engine."""

    def __init__(self, api: docker.APIClient) -> None:
        self._api = api
        self._wire = Wire(api)

    def list(self) -> tuple[Image, ...]:
        return tuple(row.image() for row in self._rows())

    def detail(self, ref: str) -> ImageDetail:
        path = f"/images/{quoted(ref)}"
        return image_detail.decode(
            self._wire.get(f"{path}/json"), self._wire.get(f"{path}/history")
        )

    def inspect(self, ref: str) -> bytes:
        """Docker's JSON, indented."""
        return pretty(self._wire.get(f"/images/{quoted(ref)}/json"))

    def pull(self, ref: str, cancel: Cancel) -> Iterator[TransferProgress]:
        name, tag = _split(ref)
        query = {"fromImage": name, "tag": tag}

        def work(report: Report, inner: Cancel) -> None:
            self._transfer("/images/create", query, self._credentials(name), report, inner)

        return watched(work, cancel)

    def push(self, ref: str, cancel: Cancel) -> Iterator[TransferProgress]:
        name, tag = _split(ref)

        def work(report: Report, inner: Cancel) -> None:
            # dockerd wants the header even where there is nothing to say.
            login = self._credentials(name) or {"X-Registry-Auth": "e30="}
            self._transfer(f"/images/{quoted(name)}/push", {"tag": tag}, login, report, inner)

        return watched(work, cancel)

    def tag(self, image: str, ref: str) -> None:
        name, tag = _split(ref)
        self._wire.post(f"/images/{quoted(image)}/tag", repo=name, tag=tag)

    def remove(self, ref: str, force: bool = False) -> None:
        self._wire.delete(f"/images/{quoted(ref)}", force=int(force))

    def save(self, refs: Sequence[str], path: Path, cancel: Cancel) -> Iterator[TransferProgress]:
        """Write the images to a tar file; `path` is only there once it is whole."""

        def work(report: Report, inner: Cancel) -> None:
            query = {"names": list(refs)}
            with streaming(self._api, inner, "GET", "/images/get", query) as response:
                counter = Counter(report, inner, f"Saving {path.name}")
                saved(path, counter.over(pieces(response)))

        return watched(work, cancel)

    def load(self, path: Path, cancel: Cancel) -> Iterator[TransferProgress]:
        """Read images from a tar file; the last status names them."""

        def work(report: Report, inner: Cancel) -> None:
            self._load(path, report, inner)

        return watched(work, cancel)

    def import_tar(self, path: Path, ref: str, cancel: Cancel) -> Iterator[TransferProgress]:
        """Make an image of one layer from the files in a tar file."""
        name, tag = _split(ref)
        query = {"fromSrc": "-", "repo": name, "tag": tag}

        def work(report: Report, inner: Cancel) -> None:
            body = self._uploading(path, "Importing", report, inner)
            with streaming(self._api, inner, "POST", "/images/create", query, body) as response:
                for _ in messages(response):
                    inner.check()
            report(TransferProgress(f"Imported {ref}"))

        return watched(work, cancel)

    def prune_preview(self, all: bool = False) -> Pruned:  # noqa: A002 - Docker's word
        """What `prune` would remove: untagged images, or with `all` those of no container.

        Layers that several of them share are not counted, so it may free more.
        """
        rows = self._prunable(all)
        return Pruned(tuple(_title(row) for row in rows), sum(row.own_size for row in rows))

    def prune(self, all: bool = False) -> Pruned:  # noqa: A002 - Docker's word
        before = self._prunable(all)
        dangling = filters(dangling=["false" if all else "true"], **{"label!": [INTERNAL]})
        answer = self._wire.post("/images/prune", filters=dangling)
        done = msgspec.json.decode(answer, type=_PruneAnswer)
        gone = {name for step in done.deleted or () for name in (step.untagged, step.deleted)}
        names = tuple(_title(row) for row in before if gone & {row.id, *_names(row.tags)})
        return Pruned(names, done.bytes)

    def layer_files(self, image: str, diff_id: str, cancel: Cancel) -> tuple[FileEntry, ...]:
        """The files that one layer adds, changes and (`kind` "deleted") removes, with full
        paths."""
        path = f"/images/{quoted(image)}/get"
        with streaming(self._api, cancel, "GET", path) as response:
            return layers.files(pieces(response), diff_id)

    def _rows(self, **query: int) -> tuple[_Row, ...]:
        rows = msgspec.json.decode(self._wire.get("/images/json", **query), type=list[_Row])
        return tuple(row for row in rows if INTERNAL not in (row.labels or {}))

    def _prunable(self, named_too: bool) -> tuple[_Row, ...]:
        containers = self._wire.get("/containers/json", all=1)
        used = {each.image for each in msgspec.json.decode(containers, type=list[_Container])}
        rows = self._rows(**{"shared-size": 1})
        return tuple(
            row for row in rows if row.id not in used and (named_too or not _names(row.tags))
        )

    def _transfer(
        self, path: str, query: dict[str, str], login: dict[str, str], report: Report, inner: Cancel
    ) -> None:
        seen = Layers()
        with streaming(self._api, inner, "POST", path, query, headers=login) as response:
            for message in messages(response):
                inner.check()
                report(seen.take(message))

    def _load(self, path: Path, report: Report, inner: Cancel) -> None:
        body = self._uploading(path, "Loading", report, inner)
        seen, loaded = Layers(), list[str]()
        with streaming(self._api, inner, "POST", "/images/load", body=body) as response:
            for message in _readable(messages(response), path):
                inner.check()
                progress = seen.take(message)
                report(progress)
                if progress.status.startswith("Loaded image"):
                    loaded.append(progress.status.partition(":")[2].removeprefix(" ID:").strip())
        if not loaded:
            raise EngineRefused(
                IMAGE_NONE_IN_FILE,
                name=path.name,
            )
        report(TransferProgress("Loaded " + ", ".join(loaded)))

    @staticmethod
    def _uploading(path: Path, doing: str, report: Report, inner: Cancel) -> Iterator[bytes]:
        counter = Counter(report, inner, f"{doing} {path.name}", size_of_file(path))
        return counter.over(file_pieces(path))

    def _credentials(self, name: str) -> dict[str, str]:
        try:
            registry, _ = docker.auth.resolve_repository_name(name)
            # Read anew: there may be other logins than when the client was made.
            login = docker.auth.resolve_authconfig(docker.auth.load_config(), registry)
        except docker.errors.InvalidRepository as error:
            raise EngineRefused(
                IMAGE_BAD_NAME,
                name=name,
                details=str(error),
            ) from error
        except docker.errors.DockerException as error:
            raise EngineRefused(
                IMAGE_LOGIN_UNREADABLE,
                name=name,
                details=str(error),
            ) from error
        return {"X-Registry-Auth": docker.auth.encode_header(login).decode()} if login else {}


def _readable(messages: Iterator[dict[str, Any]], path: Path) -> Iterator[dict[str, Any]]:
    """Go's error for a damaged tar file, in plain words."""
    try:
        yield from messages
    except EngineRefused as error:
        if not re.search(r"tar header|unexpected EOF", error.details, re.IGNORECASE):
            raise
        raise EngineRefused(
            IMAGE_FILE_DAMAGED,
            name=path.name,
            details=error.details,
        ) from error


def _names(names: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(name for name in names or () if name not in NO_NAME)


def _title(row: _Row) -> str:
    return next(iter(_names(row.tags)), row.id.removeprefix("sha256:")[:12])


def _split(ref: str) -> tuple[str, str]:
    """The name, and the tag or digest; "latest" without one."""
    if "@" in ref:
        name, _, digest = ref.partition("@")
        return name, digest
    head, colon, tag = ref.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (ref, "latest")
