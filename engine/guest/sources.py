"""Finds this computer's mirrors of Debian, so that the guest's packages come from there too.

Reads apt's source files in both formats and keeps the entries of Debian's own archive: signed by
its keyring, never marked as trusted without a signature.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from engine.messages.image import CHECK_NO_APT
from vm.host import process

KEYRING = "debian-archive"
APT = Path("/etc/apt")
_SUITES = re.compile(
    r"(?P<name>sid|unstable|testing|stable|oldstable|bookworm|trixie|forky|duke)"
    r"(?P<pocket>-updates|-security|/updates|-backports.*|-proposed-updates)?"
)
_TESTING = ("forky", "duke", "testing", "sid", "unstable")


class Config(msgspec.Struct, frozen=True):
    """Of this computer's apt. `folder`: with its sources; `options`: proxies and certificates."""

    folder: Path
    options: tuple[str, ...]

    def mirrors(self, suite: str) -> tuple[str, ...]:
        """The lines of `mirror_lines` for its sources."""
        return mirror_lines(read_sources(self.folder), suite)


class Source(msgspec.Struct, frozen=True):
    """One entry of apt's sources."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""
    trusted: bool = False

    @property
    def is_debian(self) -> bool:
        if self.trusted or not self.components:
            return False
        if self.signed_by:
            return KEYRING in self.signed_by
        return all(_SUITES.fullmatch(suite) for suite in self.suites)


def read_config() -> Config:
    """Raises ToolMissing on a computer without apt."""
    process.find_tool("apt-config", CHECK_NO_APT)
    dump = process.run(["apt-config", "dump"]).stdout.decode(errors="replace").splitlines()
    return Config(_folder(dump), apt_options(dump))


def read_sources(apt: Path = APT) -> tuple[Source, ...]:
    """Every enabled entry of the apt directory; unreadable files count as empty."""
    found: list[Source] = []
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    for path in lists:
        found += parse_list(_text(path))
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        found += parse_deb822(_text(path))
    return tuple(found)


def mirror_lines(sources: Iterable[Source], suite: str) -> tuple[str, ...]:
    """Lines for `suite` with the addresses of Debian's entries; none when there are no such
    entries.

    A stable suite gets its updates and security fixes from where the host gets its own. The next
    release needs neither.
    """
    pockets = ("",) if suite in _TESTING else ("", "-updates", "-security")
    lines: list[str] = []
    for source in sources:
        if not source.is_debian:
            continue
        has = {_pocket(name) for name in source.suites}
        for uri in source.uris:
            option = f" [signed-by={source.signed_by}]" if source.signed_by else ""
            # mmdebstrap refuses `file:`, which apt would use in place.
            place = re.sub(r"\Afile:", "copy:", uri)
            lines += [
                f"deb{option} {place} {suite}{pocket} main" for pocket in pockets if pocket in has
            ]
    unique = tuple(dict.fromkeys(lines))
    return unique if any(line.split()[-2] == suite for line in unique) else ()


def parse_list(text: str) -> list[Source]:
    """The one-line format: `deb [option=value …] uri suite component …`."""
    found: list[Source] = []
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        match = re.fullmatch(r"deb\s+(?:\[(?P<options>[^]]*)]\s*)?(?P<rest>.+)", line)
        if match is None:
            continue
        options = dict(
            word.split("=", 1) for word in (match["options"] or "").split() if "=" in word
        )
        words = match["rest"].split()
        if len(words) < 2:
            continue
        found.append(
            Source(
                (words[0],),
                (words[1],),
                tuple(words[2:]),
                options.get("signed-by", ""),
                _yes(options.get("trusted", "")),
            )
        )
    return found


def parse_deb822(text: str) -> list[Source]:
    """The format of `.sources` files: paragraphs of fields, continued by indentation."""
    found: list[Source] = []
    for paragraph in re.split(r"\n\s*\n", _without_comments(text)):
        fields = _fields(paragraph)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        signed_by = fields.get("signed-by", "")
        found.append(
            Source(
                tuple(fields.get("uris", "").split()),
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                # A key written into the file itself is not Debian's keyring.
                signed_by if "BEGIN PGP" not in signed_by else "inline",
                _yes(fields.get("trusted", "")),
            )
        )
    return found


def _fields(paragraph: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in paragraph.splitlines():
        if line[:1].isspace() and name:
            fields[name] += " " + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def _pocket(suite: str) -> str:
    match = _SUITES.fullmatch(suite)
    pocket = match["pocket"] if match else None
    return "-security" if pocket == "/updates" else pocket or ""


def _folder(dump: Iterable[str]) -> Path:
    """apt's directory: `Dir::Etc` is relative to `Dir`."""
    found = re.findall(r'^(Dir|Dir::Etc) "(.*)";$', "\n".join(dump), re.MULTILINE)
    places = dict(found)
    return Path(places.get("Dir", "/"), places.get("Dir::Etc", APT))


def _yes(value: str) -> bool:
    return value.strip().lower() in ("yes", "true", "1", "force")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def apt_options(dump: Sequence[str]) -> tuple[str, ...]:
    """The proxies and certificate bundles among the lines of `apt-config dump`."""
    names = "Proxy|CaInfo|CaPath|SslCert|SslKey"
    wanted = re.compile(rf'Acquire::https?::(\S+::)?({names}) ".+";')
    return tuple(line.strip() for line in dump if wanted.fullmatch(line.strip()))
