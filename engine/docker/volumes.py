"""Volumes: list, create, remove, and their files as tar files.

An export is Docker's archive of the volume, with owners, modes, links and extended attributes,
which an import restores. Next: `helper_container.py`, which makes the files accessible.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from engine.docker import archive, tar
from engine.docker.cancel import Cancel
from engine.docker.helper_container import FOLDER, mounted, remove_left_overs
from engine.docker.sdk import docker
from engine.docker.streaming_request import filters, pieces, pretty, quoted
from engine.docker.timestamps import seconds
from engine.docker.transfers import Counter, Report, file_pieces, saved, size_of_file, watched
from engine.docker.transport import Wire
from engine.docker.types import FileEntry, Pruned, TransferProgress, Volume
from engine.messages.docker import VOLUME_EXISTS, VOLUME_NOT_A_TAR, VOLUME_PATH_GONE
from vm.errors import EngineRefused, ObjectConflict, ObjectGone

type Pairs = Iterable[tuple[str, str]]


class _Use(msgspec.Struct):
    size: int = msgspec.field(name="Size", default=-1)
    references: int = msgspec.field(name="RefCount", default=-1)


class _Row(msgspec.Struct):
    name: str = msgspec.field(name="Name")
    driver: str = msgspec.field(name="Driver", default="")
    mountpoint: str = msgspec.field(name="Mountpoint", default="")
    created: str | None = msgspec.field(name="CreatedAt", default=None)
    labels: dict[str, str] | None = msgspec.field(name="Labels", default=None)
    use: _Use | None = msgspec.field(name="UsageData", default=None)

    def volume(self) -> Volume:
        return Volume(
            self.name,
            self.driver,
            self.mountpoint,
            seconds(self.created),
            labels=tuple(sorted((self.labels or {}).items())),
        )


class _Rows(msgspec.Struct):
    volumes: list[_Row] | None = msgspec.field(name="Volumes", default=None)


class _PruneAnswer(msgspec.Struct):
    deleted: list[str] | None = msgspec.field(name="VolumesDeleted", default=None)
    bytes: int = msgspec.field(name="SpaceReclaimed", default=0)


# Errors of dockerd's readers about the file, not about the disk or the volume.
DAMAGED = r"\bEOF\b|archive/tar|invalid tar header|gzip|flate|bzip2|\bxz\b|zstd|\bexit status\b"
ANONYMOUS = "com.docker.volume.anonymous"


class Volumes:
    """The volumes of an engine."""

    def __init__(self, api: docker.APIClient) -> None:
        self._api = api
        self._wire = Wire(api)

    def list(self) -> tuple[Volume, ...]:
        rows = msgspec.json.decode(self._wire.get("/volumes"), type=_Rows).volumes or []
        # Docker's order is another one each time; nameless ones come last.
        rows.sort(key=lambda row: (ANONYMOUS in (row.labels or {}), row.name))
        return tuple(row.volume() for row in rows)

    def create(self, name: str, driver: str = "local", labels: Pairs = ()) -> None:
        """Docker would give out an existing one of this name as if it were new."""
        if self._exists(name):
            raise ObjectConflict(VOLUME_EXISTS, name=name)
        wanted = {"Name": name, "Driver": driver, "Labels": dict(labels)}
        self._wire.post("/volumes/create", wanted)

    def remove(self, name: str, force: bool = False) -> None:
        try:
            self._wire.delete(f"/volumes/{quoted(name)}", force=int(force))
        except ObjectConflict:  # used by a container that no list shows, perhaps
            if not remove_left_overs(self._wire):
                raise
            self._wire.delete(f"/volumes/{quoted(name)}", force=int(force))

    def inspect(self, name: str) -> bytes:
        """Docker's JSON, indented."""
        return pretty(self._wire.get(f"/volumes/{quoted(name)}"))

    def prune_preview(self, all: bool = True) -> Pruned:  # noqa: A002 - Docker's word
        """What `prune` would remove: volumes of no container; without `all`, only anonymous
        ones."""
        answer = self._wire.get("/system/df", type="volume")
        rows = msgspec.json.decode(answer, type=_Rows).volumes or []
        unused = [row for row in rows if row.use is not None and row.use.references == 0]
        gone = [row for row in unused if all or ANONYMOUS in (row.labels or {})]
        size = sum(max(row.use.size, 0) for row in gone if row.use is not None)
        return Pruned(tuple(row.name for row in gone), size)

    def prune(self, all: bool = True) -> Pruned:  # noqa: A002 - Docker's word
        which = filters(all=["true"] if all else [])
        answer = self._wire.post("/volumes/prune", filters=which)
        done = msgspec.json.decode(answer, type=_PruneAnswer)
        return Pruned(tuple(done.deleted or ()), done.bytes)

    def export(self, name: str, path: Path, cancel: Cancel) -> Iterator[TransferProgress]:
        """Write the volume's files to a tar file; `path` is only there once it is whole."""

        def work(report: Report, inner: Cancel) -> None:
            counter = Counter(report, inner, f"Exporting {name}")
            with (
                self._mounted(name) as container,
                archive.folder(self._api, container, FOLDER, inner) as response,
            ):
                saved(path, counter.over(pieces(response)))

        return watched(work, cancel)

    def import_tar(self, name: str, path: Path, cancel: Cancel) -> Iterator[TransferProgress]:
        """Put a tar file's files into the volume, which is made if there is none."""

        def work(report: Report, inner: Cancel) -> None:
            counter = Counter(report, inner, f"Importing {path.name}", size_of_file(path))
            with self._made_for_this(name), mounted(self._api, name) as container:
                try:
                    archive.put(self._api, container, FOLDER, counter.over(_as_tar(path)), inner)
                except EngineRefused as error:
                    if not re.search(DAMAGED, error.details):
                        raise
                    raise _not_imported(path, error) from error
                # Docker leaves the folder that it unpacks in as it is.
                archive.put(self._api, container, "/", tar.root_of(path, FOLDER), inner)

        return watched(work, cancel)

    def clone(self, source: str, target: str, cancel: Cancel) -> Iterator[TransferProgress]:
        """A new volume with the same files."""

        def work(report: Report, inner: Cancel) -> None:
            if self._exists(target):
                raise ObjectConflict(VOLUME_EXISTS, name=target)
            counter = Counter(report, inner, f"Copying {source}")
            with (
                self._mounted(source) as origin,
                self._made_for_this(target),
                mounted(self._api, target) as container,
                archive.get(self._api, origin, FOLDER, inner) as response,
            ):
                archive.put(self._api, container, "/", counter.over(pieces(response)), inner)

        return watched(work, cancel)

    def list_files(self, name: str, folder: str, cancel: Cancel) -> tuple[FileEntry, ...]:
        """The direct entries of a folder of the volume; "/" is its root."""
        with self._mounted(name) as container, _found(name, folder):
            return archive.children(self._api, container, _inside(folder), cancel)

    def read_file(self, name: str, path: str, limit: int) -> bytes:
        """The first bytes of a file of the volume."""
        with self._mounted(name) as container, _found(name, path):
            return archive.read(self._api, container, _inside(path), limit)

    def _exists(self, name: str) -> bool:
        try:
            self._wire.get(f"/volumes/{quoted(name)}")
        except ObjectGone:
            return False
        return True

    @contextmanager
    def _mounted(self, name: str) -> Iterator[str]:
        """As `mounted`, which would make a volume that is not there."""
        self._wire.get(f"/volumes/{quoted(name)}")
        with mounted(self._api, name) as container:
            yield container

    @contextmanager
    def _made_for_this(self, name: str) -> Iterator[None]:
        """Make the volume if there is none; what was made is removed if the work fails."""
        if self._exists(name):
            yield
            return
        self._wire.post("/volumes/create", {"Name": name})
        try:
            yield
        except BaseException:
            self.remove(name, force=True)
            raise


def _inside(path: str) -> str:
    return f"{FOLDER}/{path.strip('/')}".rstrip("/")


@contextmanager
def _found(volume: str, path: str) -> Iterator[None]:
    """Without the helper container in dockerd's message."""
    try:
        yield
    except ObjectGone as error:
        raise ObjectGone(
            VOLUME_PATH_GONE, path=path, volume=volume, details=error.details
        ) from error


def _as_tar(path: Path) -> Iterator[bytes]:
    """The file; refused here where Docker would take it for an archive of nothing."""
    if size_of_file(path) == 0:
        raise _not_imported(path)
    return file_pieces(path)


def _not_imported(path: Path, error: EngineRefused | None = None) -> EngineRefused:
    details = "The file is empty." if error is None else error.details or error.summary
    return EngineRefused(
        VOLUME_NOT_A_TAR,
        name=path.name,
        details=details,
    )
