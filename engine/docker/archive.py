"""Files of a container through Docker's archive API, whether it runs or not.

Docker sends and receives tar streams. A folder comes with everything below it, so listing one reads
to its end, within a bound. Next: `files.py` and `volumes.py`.
"""

import base64
import contextlib
import posixpath
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

import msgspec

from engine.docker import tar
from engine.docker.cancel import Cancel
from engine.docker.sdk import docker, requests
from engine.docker.streaming_request import pieces, streaming
from engine.docker.types import FileEntry
from engine.messages.docker import (
    DOCKER_STOPPED_SENDING_PATH,
    PATH_DEAD_LINK,
    PATH_IS_FOLDER,
    PATH_NOT_READABLE,
    PATH_TOO_MUCH,
)
from vm.errors import EngineRefused, EngineUnreachable

MOST = 512 * 1024 * 1024  # bytes of a stream that are read for the sake of its headers
GO_FOLDER, GO_LINK = 1 << 31, 1 << 27  # bits of Go's FileMode, which is in the header
LINKS = 16


class Stat(msgspec.Struct, frozen=True):
    """The header of an archive response. `target`: of a link, from the container's root."""

    name: str
    size: int
    mode: int
    target: str = msgspec.field(name="linkTarget", default="")

    @property
    def is_folder(self) -> bool:
        return bool(self.mode & GO_FOLDER)

    @property
    def is_link(self) -> bool:
        return bool(self.mode & GO_LINK)


def _path(container: str) -> str:
    return f"/containers/{container}/archive"


def look(api: docker.APIClient, container: str, path: str, cancel: Cancel) -> tuple[str, Stat]:
    """The file at `path`, and its real path: links are followed."""
    for _ in range(LINKS):
        with streaming(api, cancel, "HEAD", _path(container), {"path": path}) as response:
            header = base64.b64decode(response.headers["X-Docker-Container-Path-Stat"])
        found = msgspec.json.decode(header, type=Stat)
        if not found.is_link:
            return path, found
        path = posixpath.join(posixpath.dirname(path), found.target)
    raise EngineRefused(PATH_DEAD_LINK, path=path)


def get(
    api: docker.APIClient, container: str, path: str, cancel: Cancel
) -> AbstractContextManager[requests.Response]:
    """The archive of a file, or of a folder under its own name."""
    return streaming(api, cancel, "GET", _path(container), {"path": path})


def folder(
    api: docker.APIClient, container: str, path: str, cancel: Cancel
) -> AbstractContextManager[requests.Response]:
    """The archive of a folder's content; its names begin at the folder."""
    return get(api, container, f"{path.rstrip('/')}/.", cancel)


def put(
    api: docker.APIClient, container: str, path: str, body: Iterable[bytes], cancel: Cancel
) -> None:
    """Unpack an archive in a folder."""
    headers = {"Content-Type": "application/x-tar"}
    with streaming(api, cancel, "PUT", _path(container), {"path": path}, body, headers):
        pass


def children(
    api: docker.APIClient, container: str, path: str, cancel: Cancel
) -> tuple[FileEntry, ...]:
    """The direct entries of a folder, in Docker's order."""
    with folder(api, container, path, cancel) as response, whole(path):
        return tuple(tar.children(_bounded(pieces(response), path)))


def read(api: docker.APIClient, container: str, path: str, limit: int) -> bytes:
    """The first `limit` bytes of a file."""
    path, found = look(api, container, path, Cancel())
    if found.is_folder:
        raise EngineRefused(PATH_IS_FOLDER, path=path)
    with get(api, container, path, Cancel()) as response, whole(path):
        return _first(tar.reading(pieces(response)), path, limit)


def _first(stream: tar.Stream, path: str, limit: int) -> bytes:
    with tar.opened(stream) as archive:
        member = archive.next()
        content = archive.extractfile(member) if member is not None and member.isreg() else None
        if content is None:
            raise EngineRefused(PATH_NOT_READABLE, path=path)
        return content.read(limit)


def _bounded(stream: Iterable[bytes], path: str) -> Iterator[bytes]:
    count = 0
    for piece in stream:
        count += len(piece)
        if count > MOST:
            raise EngineRefused(
                PATH_TOO_MUCH,
                path=path,
            )
        yield piece


@contextlib.contextmanager
def whole(path: str) -> Iterator[None]:
    """An archive that ends early becomes EngineUnreachable."""
    try:
        yield
    except tarfile.TarError as error:
        raise EngineUnreachable(
            DOCKER_STOPPED_SENDING_PATH, path=path, details=str(error)
        ) from error
