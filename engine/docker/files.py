"""Files of a container: list, read, download, upload.

In a running container its own `find` and `stat` run, which is fast for any folder; where it has
none, or does not run, Docker's archive is read. Next: `archive.py`.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import rmtree

from engine.docker import archive, tar
from engine.docker.cancel import Cancel
from engine.docker.errors import answering
from engine.docker.sdk import docker
from engine.docker.streaming_request import pieces
from engine.docker.transfers import Counter, Report, using, watched
from engine.docker.types import FileEntry, TransferProgress
from vm.errors import EngineRefused

MEBIBYTE = 1024 * 1024
# One record: mode, size, time and path. A path's last part has no "/", so that a record's end is
# known even where names have newlines in them.
FORMAT = "/%f/%s/%Y/%n"


class Files:
    """The files of an engine's containers."""

    def __init__(self, api: docker.APIClient) -> None:
        self._api = api

    def list_folder(
        self, container: str, path: str, running: bool, cancel: Cancel
    ) -> tuple[FileEntry, ...]:
        """The direct entries of a folder, by name."""
        found = self._found(container, path) if running else None
        cancel.check()
        if found is None:
            found = archive.children(self._api, container, path, cancel)
        return tuple(sorted(found, key=lambda entry: entry.name))

    def read(self, container: str, path: str, limit: int = MEBIBYTE) -> bytes:
        """The first bytes of a file."""
        return archive.read(self._api, container, path, limit)

    def download(
        self, container: str, path: str, folder: Path, cancel: Cancel
    ) -> Iterator[TransferProgress]:
        """Copy a file or folder into `folder`, under a name that it does not have yet."""

        def work(report: Report, inner: Cancel) -> None:
            self._download(container, path, folder, report, inner)

        return watched(work, cancel)

    def upload(
        self, container: str, folder: str, paths: Sequence[Path], cancel: Cancel
    ) -> Iterator[TransferProgress]:
        """Copy files and folders of this computer into a folder of the container."""

        def work(report: Report, inner: Cancel) -> None:
            with using(paths[0]):
                total = tar.size_of(paths)
            title = paths[0].name if len(paths) == 1 else f"{len(paths)} items"
            body = Counter(report, inner, f"Uploading {title}", total).over(_packed(paths))
            archive.put(self._api, container, folder, body, inner)

        return watched(work, cancel)

    def _download(
        self, container: str, path: str, folder: Path, report: Report, inner: Cancel
    ) -> None:
        real, found = archive.look(self._api, container, path, inner)
        top = tar.free_name(folder, posixpath.basename(path.rstrip("/")) or "root")
        counter = Counter(report, inner, f"Downloading {top}", 0 if found.is_folder else found.size)
        source = archive.folder if found.is_folder else archive.get
        try:
            with source(self._api, container, real, inner) as response:
                stream = tar.reading(counter.over(pieces(response)))
                with archive.whole(path), using(folder):
                    left_out = _unpack(stream, folder, top, named=not found.is_folder)
        except BaseException:
            _remove(folder / top)
            raise
        report(TransferProgress(_done(top, left_out)))

    def _found(self, container: str, path: str) -> tuple[FileEntry, ...] | None:
        """By the container's own `find`; None where that does not work."""
        prefix = path.rstrip("/") + "/"
        find = ["find", prefix, "-mindepth", "1", "-maxdepth", "1"]
        listed = self._run(container, [*find, "-exec", "stat", "-c", FORMAT, "{}", "+"])
        if listed is None:
            return None
        entries = tuple(_parsed(listed, prefix))
        if not any(entry.kind == "link" for entry in entries):
            return entries
        read = self._run(container, [*find, "-type", "l", "-exec", "readlink", "{}", ";"])
        return tuple(_with_targets(entries, (read or "").splitlines()))

    def _run(self, container: str, command: list[str]) -> str | None:
        """The output of the command, None when it fails or is missing."""
        try:
            with answering():
                made = self._api.exec_create(container, command, user="0")["Id"]
                output, _ = self._api.exec_start(made, demux=True)
                code = self._api.exec_inspect(made)["ExitCode"]
        except EngineRefused:
            return None
        return (output or b"").decode("utf-8", "replace") if code == 0 else None


def _parsed(text: str, prefix: str) -> Iterator[FileEntry]:
    record = rf"^/([0-9a-f]+)/(\d+)/(-?\d+)/{re.escape(prefix)}([^/]*)\n"
    for found in re.finditer(record, text, re.MULTILINE):
        mode = int(found[1], 16)
        kind = tar.kind_of_mode(mode)
        yield FileEntry(found[4], kind, int(found[2]), mode & 0o7777, float(found[3]))


def _with_targets(entries: Sequence[FileEntry], targets: Sequence[str]) -> Iterator[FileEntry]:
    """`find` names the links in the same order twice, unless the folder changed meanwhile."""
    links = [entry.name for entry in entries if entry.kind == "link"]
    of = dict(zip(links, targets, strict=True)) if len(links) == len(targets) else {}
    for entry in entries:
        yield FileEntry(
            entry.name, entry.kind, entry.size, entry.mode, entry.modified, of.get(entry.name, "")
        )


def _packed(paths: Sequence[Path]) -> Iterator[bytes]:
    """The archive; what cannot be read of it is this computer's error, not dockerd's."""
    with using(paths[0].parent):
        yield from tar.packed(paths)


def _unpack(stream: tar.Stream, folder: Path, top: str, *, named: bool) -> int:
    """How many members were left out."""
    with tar.opened(stream) as members:
        return sum(each is not None for each in tar.unpack(members, folder, top, named=named))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _done(top: str, left_out: int) -> str:
    if not left_out:
        return f"Downloaded {top}"
    return f"Downloaded {top}; left out: {left_out} (devices, pipes, links that lead out of it)"
