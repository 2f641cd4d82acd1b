"""What a build has installed: packages with digests and sources, and the signed releases they
are from.

mmdebstrap runs `HOOK` after the download and before it unpacks; `read` parses the lines that the
hook prints. The digests are those of the files that are unpacked; apt has compared them with the
signed metadata. Next: `build.py`.
"""

import email.utils
from collections.abc import Iterable
from datetime import UTC

import msgspec

from engine.messages.image import RECIPE_NO_PACKAGES, RECIPE_NO_RELEASE
from vm.errors import HostError
from vm.image import Package, Release

_PACKAGE, _RELEASE = "galley-package\t", "galley-release\t"
# Run by sh with the new root as $1. It prints, because without root the hook's user has no write
# access to this user's files.
HOOK = r"""
for deb in "$1"/var/cache/apt/archives/*.deb; do
  sum=$(sha256sum "$deb")
  dpkg-deb --show --showformat "galley-package\t${sum%% *}\t\${Package}\t\${Version}\t\
\${Architecture}\t\${source:Package}\t\${source:Version}\n" "$deb" || exit
done
for list in "$1"/var/lib/apt/lists/*_InRelease "$1"/var/lib/apt/lists/*_Release; do
  [ -e "$list" ] || continue
  sum=$(sha256sum "$list")
  printf 'galley-release\t%s' "${sum%% *}"
  for field in Origin Suite Codename Date; do
    printf '\t%s' "$(sed -n "s/^$field: *//p;/^SHA256:/q" "$list" | head -n 1)"
  done
  echo
done
"""


class Installed(msgspec.Struct, frozen=True):
    """`date`: the newest release's, RFC 3339 in UTC."""

    packages: dict[str, Package]
    releases: tuple[Release, ...]
    date: str


def read(lines: Iterable[str]) -> Installed:
    """The packages and releases among the lines of a build's output. Raises HostError."""
    packages: dict[str, Package] = {}
    releases: list[Release] = []
    for line in lines:
        if line.startswith(_PACKAGE):
            sha256, name, version, arch, source, source_version = _fields(line, _PACKAGE, 6)
            packages[name] = Package(version, arch, source, source_version, sha256)
        elif line.startswith(_RELEASE):
            sha256, origin, suite, codename, date = _fields(line, _RELEASE, 5)
            releases.append(Release(origin, suite, codename, rfc3339(date), sha256))
    if not packages:
        raise HostError(RECIPE_NO_PACKAGES)
    if not releases:
        raise HostError(RECIPE_NO_RELEASE)
    ordered = tuple(sorted(releases, key=lambda each: (each.date, each.codename, each.sha256)))
    return Installed(dict(sorted(packages.items())), ordered, ordered[-1].date)


def rfc3339(date: str) -> str:
    """The date of a Release file, which RFC 2822 defines: `Sat, 28 Nov 2026 08:04:10 UTC`.

    Raises HostError.
    """
    try:
        moment = email.utils.parsedate_to_datetime(date)
    except ValueError as error:
        raise HostError(RECIPE_NO_RELEASE, details=date) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _fields(line: str, kind: str, count: int) -> list[str]:
    fields = line.removeprefix(kind).rstrip("\n").split("\t")
    if len(fields) != count:
        raise HostError(RECIPE_NO_PACKAGES, details=line)
    return fields
