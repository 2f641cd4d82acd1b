"""Which packages of an image have newer versions, and which CVEs those fix.

`check_packages` compares the manifest with Debian's signed metadata (`apt.py`). The CVEs are those
that the changelog names between the two versions. `save` keeps a report for a status that does not
wait for the network. Next: `apt.py`, `changelogs.py`.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from engine.images import changelogs
from engine.images.apt import Apt, Candidate
from engine.images.versions import sort_key
from engine.json_input import UNREADABLE
from vm.host.paths import write_atomic
from vm.image import Manifest
from vm.messages import Text

LARGEST = 1 << 20  # bytes of a saved report


class Update(msgspec.Struct, frozen=True):
    """A package of which there is a newer version. `cves`: those it fixes, as far as known."""

    package: str
    installed: str
    available: str
    source: str
    cves: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """What is newer than an image. Times are RFC 3339, UTC."""

    image: str  # the name of its directory
    date: str  # of its packages
    age_days: int
    checked: str
    source: Literal["apt", "feed"]
    updates: tuple[Update, ...] = ()  # those that fix a CVE first
    unknown: tuple[str, ...] = ()  # of `updates`: packages with no changelog of all new versions
    metadata: str = ""  # a digest of the signed metadata of apt
    gone: tuple[str, ...] = ()  # packages of the image that the metadata does not list

    @property
    def cves(self) -> tuple[str, ...]:
        return tuple(sorted({cve for update in self.updates for cve in update.cves}))


def check_packages(
    manifest: Manifest,
    apt: Apt,
    cache: changelogs.Cache,
    now: datetime,
    progress: Callable[[Text], None],
    previous: Report | None = None,
) -> Report:
    """`previous`: the last report. It holds still if it is complete, of the same image, and the
    metadata has not changed. Raises HostError when the metadata cannot be fetched or has no valid
    signature and date."""
    metadata = apt.update(progress)
    empty = report_of(manifest, now, "apt", ())
    if (
        previous is not None
        and not previous.unknown
        and (previous.image, previous.metadata) == (empty.image, metadata)
    ):
        return msgspec.structs.replace(previous, age_days=empty.age_days, checked=empty.checked)
    candidates = apt.candidates(manifest.packages)
    newer = {
        name: candidate
        for name, candidate in candidates.items()
        if sort_key(candidate.version) > sort_key(manifest.packages[name].version)
    }
    fixed = _fixed_cves(manifest, newer, apt, cache, progress)
    updates = [
        Update(name, manifest.packages[name].version, new.version, new.source, fixed.get(name, ()))
        for name, new in newer.items()
    ]
    return msgspec.structs.replace(
        report_of(manifest, now, "apt", updates),
        metadata=metadata,
        unknown=tuple(sorted(newer.keys() - fixed.keys())),
        gone=tuple(sorted(manifest.packages.keys() - candidates.keys())),
    )


def report_of(
    manifest: Manifest, now: datetime, source: Literal["apt", "feed"], updates: Iterable[Update]
) -> Report:
    """A check of this image at this moment."""
    return Report(
        image=manifest.directory_name,
        date=manifest.date,
        age_days=max((now - datetime.fromisoformat(manifest.date)).days, 0),
        checked=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        source=source,
        updates=tuple(sorted(updates, key=lambda each: (not each.cves, each.package))),
    )


def save(report: Report, file: Path) -> None:
    """Raises HomeUnusable or DiskFull."""
    write_atomic(file, msgspec.json.encode(report))


def load(file: Path) -> Report | None:
    """None when there is no saved report, or it cannot be read."""
    try:
        with file.open("rb") as opened:
            return msgspec.json.decode(opened.read(LARGEST), type=Report)
    except (OSError, *UNREADABLE):
        return None


def _fixed_cves(
    manifest: Manifest,
    newer: dict[str, Candidate],
    apt: Apt,
    cache: changelogs.Cache,
    progress: Callable[[Text], None],
) -> dict[str, tuple[str, ...]]:
    """The CVEs by package; without the packages whose changelog is missing or incomplete."""
    fixed: dict[str, tuple[str, ...]] = {}
    missing: dict[tuple[str, str], str] = {}  # source and version, and a package of it
    for name, new in newer.items():
        entries = cache.read(new.source, new.source_version)
        if (cves := _fixes(manifest, name, new, entries)) is None:
            missing.setdefault((new.source, new.source_version), name)
        else:
            fixed[name] = cves
    if not missing:
        return fixed
    texts = apt.changelogs({name: newer[name].version for name in missing.values()}, progress)
    fetched = {
        (source, version): changelogs.parse(texts[source])
        for source, version in missing
        if source in texts
    }
    for (source, version), entries in fetched.items():
        cache.write(source, version, entries)
    for name in newer.keys() - fixed.keys():
        entries = fetched.get((newer[name].source, newer[name].source_version), ())
        if (cves := _fixes(manifest, name, newer[name], entries)) is not None:
            fixed[name] = cves
    return fixed


def _fixes(
    manifest: Manifest, name: str, new: Candidate, entries: tuple[changelogs.Entry, ...]
) -> tuple[str, ...] | None:
    """None when the entries do not tell. A rebuild of the same source fixes none."""
    old = manifest.packages[name]
    if (old.source, old.source_version) == (new.source, new.source_version):
        return ()
    return changelogs.fixed_between(entries, old.source_version, new.source_version)
