"""What a check reports as newer, and which CVEs it names."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from engine.images import check
from engine.images.apt import Apt, Candidate
from engine.images.changelogs import Cache
from engine.images.check import Report, Update, check_packages, load, save
from tests import small_image
from tests.debian_repository import ARCH, SUITE, Key, PackageSpec, Repository, make_deb, write
from vm.errors import HostError
from vm.image import Manifest, Package
from vm.messages import Text

NOW = datetime(2026, 12, 9, 9, 30, tzinfo=UTC)  # 11 days after the image


def entry(source: str, version: str, *lines: str) -> str:
    body = "".join(f"  * {line}\n" for line in lines)
    return f"{source} ({version}) trixie-security; urgency=high\n\n{body}\n -- A <a@b.c>  today\n\n"


TOOLS = (
    entry("tools", "1:2-3", "Fix CVE-2026-1111 and CVE-2026-22222.")
    + entry("tools", "1:2-2", "No fix.")
    + entry("tools", "1:2-1", "Fix CVE-2025-3333.")
)


def manifest(packages: Mapping[str, Package]) -> Manifest:
    return msgspec.structs.replace(small_image.MANIFEST, packages=dict(packages))


def installed(source: str, source_version: str, version: str = "") -> Package:
    return Package(version or source_version, ARCH, source, source_version, "ab" * 32)


class Bench:
    """A repository, an apt that reads it, and a cache."""

    def __init__(self, folder: Path, key: Key) -> None:
        self.folder, self._key = folder, key
        self.cache = Cache(folder / "cache")
        self.progress: list[str] = []

    def publish(self, specs: Sequence[PackageSpec]) -> Repository:
        debs = [make_deb(self.folder / "debs", spec) for spec in specs]
        return write(self.folder / "debian", debs, self._key)

    def check(
        self, packages: Mapping[str, Package], previous: Report | None = None, later: int = 0
    ) -> Report:
        line = f"deb [signed-by={self._key.public}] file:{self.folder / 'debian'} {SUITE} main"
        apt = Apt(self.folder / "apt", SUITE, ARCH, [line])
        now = NOW + timedelta(days=later)
        return check_packages(manifest(packages), apt, self.cache, now, self._note, previous)

    def _note(self, text: Text) -> None:
        self.progress.append(text.english)


@pytest.fixture
def bench(tmp_path: Path, key: Key) -> Bench:
    return Bench(tmp_path, key)


def test_nothing_is_newer(bench: Bench) -> None:
    bench.publish([PackageSpec("tool", "1:2-3", "tools", TOOLS)])
    packages = {"tool": installed("tools", "1:2-3")}
    report = bench.check(packages)
    assert report.image == manifest(packages).directory_name
    assert (report.age_days, report.checked) == (11, "2026-12-09T09:30:00Z")
    assert (report.source, report.updates, report.unknown, report.gone) == ("apt", (), (), ())
    assert report.cves == ()
    assert set(bench.progress) == {"Fetching Debian's package lists"}


def test_a_report_holds_until_image_or_metadata_change(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.publish([PackageSpec("tool", "1:2-3", "tools", TOOLS)])
    old = {"tool": installed("tools", "1:2-1")}
    first = bench.check(old)
    read: list[str] = []
    real = Apt.candidates

    def candidates(apt: Apt, names: Iterable[str]) -> dict[str, Candidate]:
        read.append("lists")
        return real(apt, names)

    monkeypatch.setattr(Apt, "candidates", candidates)
    again = bench.check(old, first, later=1)
    assert (again.age_days, again.updates, again.metadata) == (12, first.updates, first.metadata)
    assert read == []
    incomplete = msgspec.structs.replace(first, unknown=("tool",))
    assert bench.check(old, incomplete).unknown == ()
    assert not bench.check({"tool": installed("tools", "1:2-3")}, first).updates
    bench.publish([PackageSpec("tool", "1:2-4", "tools", entry("tools", "1:2-4", "No fix."))])
    assert bench.check(old, first).updates[0].available == "1:2-4"
    assert len(read) == 3


def test_a_newer_package_names_the_cves_of_its_new_entries_alone(bench: Bench) -> None:
    bench.publish([PackageSpec("tool", "1:2-3", "tools", TOOLS)])
    report = bench.check({"tool": installed("tools", "1:2-1")})
    fixed = ("CVE-2026-1111", "CVE-2026-22222")
    assert report.updates == (Update("tool", "1:2-1", "1:2-3", "tools", fixed),)
    assert (report.cves, report.unknown, report.gone) == (fixed, (), ())
    assert "Fetching 1 changelog" in bench.progress


def test_packages_that_fix_a_cve_come_first(bench: Bench) -> None:
    plain = entry("aa", "2", "New.") + entry("aa", "1", "First.")
    bench.publish([PackageSpec("aa", "2", "", plain), PackageSpec("zz", "1:2-3", "tools", TOOLS)])
    report = bench.check({"aa": installed("aa", "1"), "zz": installed("tools", "1:2-2")})
    assert [update.package for update in report.updates] == ["zz", "aa"]
    assert report.unknown == ()


def test_two_packages_of_a_source_share_its_changelog(bench: Bench) -> None:
    bench.publish(
        [PackageSpec("tool", "1:2-3", "tools", TOOLS), PackageSpec("more", "1:2-3", "tools")]
    )
    report = bench.check({"tool": installed("tools", "1:2-2"), "more": installed("tools", "1:2-1")})
    assert [len(update.cves) for update in report.updates] == [2, 2]
    assert report.cves == ("CVE-2026-1111", "CVE-2026-22222")
    assert "Fetching 1 changelog" in bench.progress


def test_a_rebuild_of_the_same_source_fixes_no_cve(bench: Bench) -> None:
    bench.publish([PackageSpec("tool", "1:2-3+b2", "tools (1:2-3)")])
    report = bench.check({"tool": installed("tools", "1:2-3", "1:2-3+b1")})
    assert report.updates == (Update("tool", "1:2-3+b1", "1:2-3+b2", "tools"),)
    assert report.unknown == ()


def test_binary_versions_may_differ_from_those_of_the_source(bench: Bench) -> None:
    """As the kernel's, whose signed source has versions of its own."""
    text = entry("signed", "6.2+1", "CVE-2026-1111") + entry("signed", "6.1+1", "CVE-2026-2222")
    bench.publish([PackageSpec("kernel", "6.2-1+b1", "signed (6.2+1)", text)])
    report = bench.check({"kernel": installed("signed", "6.1+1", "6.1-1")})
    assert report.updates == (Update("kernel", "6.1-1", "6.2-1+b1", "signed", ("CVE-2026-1111",)),)


def test_an_epoch_outweighs_the_version(bench: Bench) -> None:
    bench.publish([PackageSpec("new", "1:1-1"), PackageSpec("old", "9-1")])
    report = bench.check({"new": installed("new", "9-1"), "old": installed("old", "1:1-1")})
    assert [(update.package, update.available) for update in report.updates] == [("new", "1:1-1")]


def test_an_older_version_is_no_update(bench: Bench) -> None:
    bench.publish([PackageSpec("tool", "1:2-2", "tools", TOOLS)])
    report = bench.check({"tool": installed("tools", "1:2-3")})
    assert (report.updates, report.gone) == ((), ())


def test_a_package_that_the_repository_has_no_more_is_named(bench: Bench) -> None:
    bench.publish([PackageSpec("tool", "1:2-3", "tools", TOOLS)])
    report = bench.check(
        {"tool": installed("tools", "1:2-3"), "kernel-6.1": installed("kernel", "6.1")}
    )
    assert (report.updates, report.gone) == ((), ("kernel-6.1",))


def test_a_package_without_a_changelog_is_named(bench: Bench) -> None:
    bench.publish([PackageSpec("tool", "1:2-3", "tools", TOOLS), PackageSpec("silent", "2")])
    report = bench.check({"tool": installed("tools", "1:2-2"), "silent": installed("silent", "1")})
    assert report.updates[1] == Update("silent", "1", "2", "silent")
    assert (report.unknown, len(report.cves)) == (("silent",), 2)


def test_a_changelog_of_other_versions_is_as_good_as_none(bench: Bench) -> None:
    bench.publish([PackageSpec("tool", "1:2-3", "tools", entry("tools", "1:2-2", "CVE-2026-1111"))])
    report = bench.check({"tool": installed("tools", "1:2-1")})
    assert (report.unknown, report.cves) == (("tool",), ())


def test_a_changelog_is_fetched_once(bench: Bench) -> None:
    repository = bench.publish([PackageSpec("tool", "1:2-3", "tools", TOOLS)])
    packages = {"tool": installed("tools", "1:2-1")}
    first = bench.check(packages)
    repository.changelog("tools", "1:2-3").unlink()
    assert bench.check(packages) == first


def test_a_repository_without_a_signature_gives_no_report(bench: Bench) -> None:
    repository = bench.publish([PackageSpec("tool", "1:2-3", "tools", TOOLS)])
    (repository.dist / "InRelease").unlink()
    with pytest.raises(HostError):
        bench.check({"tool": installed("tools", "1:2-1")})


def test_an_image_of_tomorrow_has_no_negative_age(bench: Bench) -> None:
    repository = bench.publish([PackageSpec("tool", "1")])
    apt = Apt(bench.folder / "apt", SUITE, ARCH, [repository.line])
    early = datetime(2026, 1, 1, tzinfo=UTC)
    report = check_packages(manifest({}), apt, bench.cache, early, lambda _text: None)
    assert report.age_days == 0


def test_a_saved_report_is_read_again(tmp_path: Path) -> None:
    update = Update("tool", "1", "2", "tools", ("CVE-2026-1111",))
    date, checked = "2026-11-28T08:00:00Z", "2026-12-09T09:30:00Z"
    report = Report("name", date, 11, checked, "feed", (update,), ("a",))
    save(report, tmp_path / "report.json")
    assert load(tmp_path / "report.json") == report


@pytest.mark.parametrize("data", [b"", b"{}", b'{"date": 1}', b"[" * 100_000])
def test_a_damaged_report_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "report.json").write_bytes(data)
    assert load(tmp_path / "report.json") is None
    assert load(tmp_path / "absent.json") is None


def test_a_report_that_is_too_long_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report("name", "2026-11-28T08:00:00Z", 1, "2026-11-29T08:00:00Z", "apt")
    save(report, tmp_path / "report.json")
    monkeypatch.setattr(check, "LARGEST", 20)
    assert load(tmp_path / "report.json") is None
