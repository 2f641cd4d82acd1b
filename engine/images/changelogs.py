"""Which CVEs the entries of a Debian changelog name, and a cache of that.

The cache has one small file for each source and version. It is an optimization only: a file that
cannot be read or written counts as absent.
"""

import hashlib
import re
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.images.versions import sort_key
from engine.json_input import UNREADABLE
from vm.errors import HostError
from vm.host.paths import write_atomic

LARGEST = 1 << 20  # bytes of one cached file; the kernel's has a tenth of it
KEPT = 256  # files in the cache; an image has a hundred sources
_HEADER = re.compile(r"[a-z0-9][a-z0-9+.-]* \(([^()\s]+)\) [^;]*;")
CVE = re.compile(r"\bCVE-[0-9]{4}-[0-9]{4,7}\b")


class Entry(msgspec.Struct, frozen=True):
    """One version of a source, and the CVEs that its changelog entry names."""

    version: str
    cves: tuple[str, ...]


def parse(text: str) -> tuple[Entry, ...]:
    """The entries of a changelog, in its order: the newest first."""
    versions: list[str] = []
    named: list[set[str]] = []
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header is not None:
            versions.append(header[1])
            named.append(set())
        elif named:
            named[-1].update(CVE.findall(line))
    return tuple(
        Entry(version, tuple(sorted(cves))) for version, cves in zip(versions, named, strict=True)
    )


def fixed_between(entries: tuple[Entry, ...], old: str, new: str) -> tuple[str, ...] | None:
    """The CVEs of the entries after `old` up to `new`, sorted.

    None when the changelog does not reach from one to the other: it is of another version, or the
    download of it was cut off.
    """
    oldest, newest = sort_key(old), sort_key(new)
    keys = {entry: sort_key(entry.version) for entry in entries}
    if newest not in keys.values() or all(key > oldest for key in keys.values()):
        return None
    found = {cve for entry, key in keys.items() if oldest < key <= newest for cve in entry.cves}
    return tuple(sorted(found))


class Cache(msgspec.Struct, frozen=True):
    """Parsed changelogs in a folder, which the first one creates."""

    folder: Path

    def read(self, source: str, version: str) -> tuple[Entry, ...]:
        """Empty when it is not cached."""
        try:
            with self._file(source, version).open("rb") as file:
                data = file.read(LARGEST + 1)
            return msgspec.json.decode(data[:LARGEST], type=tuple[Entry, ...])
        except (OSError, *UNREADABLE):
            return ()

    def write(self, source: str, version: str, entries: tuple[Entry, ...]) -> None:
        data = msgspec.json.encode(entries)
        if len(data) > LARGEST:
            return
        with suppress(HostError, OSError):
            write_atomic(self._file(source, version), data)
            files = sorted(self.folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
            for file in files[:-KEPT]:
                file.unlink(missing_ok=True)

    def _file(self, source: str, version: str) -> Path:
        """A hash, since the two come from outside and a file name has a limit."""
        digest = hashlib.sha256(f"{source}\0{version}".encode()).hexdigest()
        return self.folder / f"{digest[:32]}.json"
