"""What a build reports of its packages and of the signed releases they come from."""

import subprocess
from pathlib import Path

import pytest

from engine.guest import packages
from vm.errors import HostError
from vm.image import Package, Release

SUM = "ab" * 32
MOMENT = "Sat, 28 Nov 2026 08:04:10 +0000"
PACKAGE = f"galley-package\t{SUM}\trunc\t1.1-2+b1\tamd64\trunc\t1.1-2"
STABLE = f"galley-release\t{SUM}\tDebian\tstable\ttrixie\tSat, 14 Nov 2026 09:41:15 UTC"
FIXES = f"galley-release\t{SUM}\tDebian\tstable-security\ttrixie-security\t{MOMENT}"


def test_the_lines_of_the_hook_are_read_among_others() -> None:
    found = packages.read(["I: extracting", PACKAGE, FIXES, STABLE, "I: success"])
    assert found.packages == {"runc": Package("1.1-2+b1", "amd64", "runc", "1.1-2", SUM)}
    assert found.releases == (
        Release("Debian", "stable", "trixie", "2026-11-14T09:41:15Z", SUM),
        Release("Debian", "stable-security", "trixie-security", "2026-11-28T08:04:10Z", SUM),
    )
    assert found.date == "2026-11-28T08:04:10Z"


@pytest.mark.parametrize(
    "lines",
    [[], [PACKAGE], [STABLE], [PACKAGE, STABLE[:-4] + "x"], [PACKAGE + "\tmore", STABLE]],
)
def test_an_incomplete_report_is_an_error(lines: list[str]) -> None:
    with pytest.raises(HostError):
        packages.read(lines)


def test_the_hook_reports_packages_and_releases_of_a_root(tmp_path: Path) -> None:
    """Of a real .deb file, with a version that its file name quotes."""
    tree, archives, lists = (tmp_path / name for name in ("tree", "root/archives", "root/lists"))
    archives = tmp_path / "root/var/cache/apt/archives"
    lists = tmp_path / "root/var/lib/apt/lists"
    for folder in (tree / "DEBIAN", archives, lists):
        folder.mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: tool\nVersion: 1:2-3+b1\nArchitecture: amd64\nSource: tools (1:2-3)\n"
        "Maintainer: a <a@example.org>\nDescription: tool\n"
    )
    deb = archives / "tool_1%3a2-3+b1_amd64.deb"
    subprocess.run(["dpkg-deb", "--build", str(tree), str(deb)], check=True, capture_output=True)
    (lists / "mirror_dists_trixie_InRelease").write_text(
        "-----BEGIN PGP SIGNED MESSAGE-----\n\nOrigin: Debian\nSuite: stable\nCodename: trixie\n"
        "Date: Sat, 14 Nov 2026 09:41:15 UTC\nSHA256:\n abc 1 Date: none\n"
    )
    words = ["sh", "-c", packages.HOOK, "sh", str(tmp_path / "root")]
    output = subprocess.run(words, check=True, capture_output=True).stdout.decode()
    found = packages.read(output.splitlines())
    package = found.packages["tool"]
    assert (package.version, package.source, package.source_version) == (
        "1:2-3+b1",
        "tools",
        "1:2-3",
    )
    assert len(package.sha256) == 64
    (release,) = found.releases
    assert (release.origin, release.codename) == ("Debian", "trixie")
    assert found.date == "2026-11-14T09:41:15Z"
