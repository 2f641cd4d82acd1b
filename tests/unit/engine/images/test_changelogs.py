"""Which CVEs are read from a changelog, and what the cache keeps of it."""

import os
from pathlib import Path

import pytest

from engine.images import changelogs
from engine.images.changelogs import Cache, Entry, fixed_between, parse

TEXT = """\
tool (1:1.2-3) trixie-security; urgency=high

  * Backport fixes for CVE-2026-11111 and CVE-2025-2222 (Closes: #1),
    CVE-2026-11111 again. Not one: CVE-26-1, XCVE-2026-3333.

 -- A <a@example.org>  Sat, 28 Nov 2026 08:00:00 +0000

tool (1:1.2-2) trixie; urgency=medium

  * tool (1.1) had CVE-2024-4444; see there.

 -- A <a@example.org>  Sat, 14 Nov 2026 08:00:00 +0000

tool (1:1.2-1) unstable; urgency=medium

  * CVE-2023-5555

 -- A <a@example.org>  Sun, 1 Nov 2026 08:00:00 +0000
"""
ENTRIES = (
    Entry("1:1.2-3", ("CVE-2025-2222", "CVE-2026-11111")),
    Entry("1:1.2-2", ("CVE-2024-4444",)),
    Entry("1:1.2-1", ("CVE-2023-5555",)),
)


def test_each_entry_has_the_cves_that_it_names() -> None:
    assert parse(TEXT) == ENTRIES
    assert parse("<html>Not found</html>") == parse("") == ()


@pytest.mark.parametrize(
    ("old", "new", "cves"),
    [
        ("1:1.2-2", "1:1.2-3", ("CVE-2025-2222", "CVE-2026-11111")),
        ("1:1.2-1", "1:1.2-2", ("CVE-2024-4444",)),
        ("1:1.2-1", "1:1.2-3", ("CVE-2024-4444", "CVE-2025-2222", "CVE-2026-11111")),
        ("1:1.2-1+local", "1:1.2-2", ("CVE-2024-4444",)),
        ("1:1.2-3", "1:1.2-3", ()),
    ],
)
def test_only_the_entries_between_two_versions_count(
    old: str, new: str, cves: tuple[str, ...]
) -> None:
    assert fixed_between(ENTRIES, old, new) == cves


@pytest.mark.parametrize(("old", "new"), [("1:1.1-1", "1:1.2-3"), ("1:1.2-1", "1:1.2-4")])
def test_a_changelog_that_does_not_reach_both_versions_tells_nothing(old: str, new: str) -> None:
    assert fixed_between(ENTRIES, old, new) is None


def test_a_changelog_that_is_cut_off_tells_nothing() -> None:
    half = parse(TEXT[: TEXT.index("tool (1:1.2-2)")])
    assert fixed_between(half, "1:1.2-2", "1:1.2-3") is None


def test_a_cached_changelog_is_read_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    cache.write("tool", "1:1.2-3", ENTRIES)
    cache.write("../tool", "x" * 5000, ENTRIES[:1])
    assert cache.read("tool", "1:1.2-3") == ENTRIES
    assert cache.read("../tool", "x" * 5000) == ENTRIES[:1]
    assert cache.read("tool", "1:1.2-2") == ()
    assert {file.parent for file in tmp_path.rglob("*.json")} == {tmp_path / "cache"}


def test_the_cache_keeps_the_newest_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelogs, "KEPT", 2)
    cache = Cache(tmp_path)
    for age, version in enumerate(("3", "2", "1")):
        known = set(tmp_path.iterdir())
        cache.write("tool", version, ENTRIES)
        for file in set(tmp_path.iterdir()) - known:
            os.utime(file, (1000 + age, 1000 + age))
    cache.write("tool", "0", ENTRIES)
    assert [bool(cache.read("tool", version)) for version in "3210"] == [False, False, True, True]


def test_a_changelog_of_many_cves_is_not_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changelogs, "LARGEST", 100)
    Cache(tmp_path).write("tool", "1", ENTRIES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"{}", b'[{"version": 1}]', b"[" * 100_000])
def test_a_damaged_file_counts_as_absent(tmp_path: Path, data: bytes) -> None:
    cache = Cache(tmp_path)
    cache.write("tool", "1", ENTRIES)
    (file,) = tmp_path.iterdir()
    file.write_bytes(data)
    assert cache.read("tool", "1") == ()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file")
    cache.write("tool", "1", ENTRIES)
    assert cache.read("tool", "1") == ()
