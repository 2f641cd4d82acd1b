"""Reads the signed metadata of Debian with an apt of its own, and downloads changelogs.

The root of this apt is a folder of Galley: neither the configuration nor the package state of the
computer's apt has a part in it, except its proxies, certificates and trusted keys. So signatures
and expiry dates are always checked. Only Linux with apt has this. Next: `check.py`.
"""

import hashlib
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from engine.guest import sources
from engine.guest.apt_output import refusal
from engine.messages.image import (
    CHECK_APT_FAILED,
    CHECK_CHANGELOGS,
    CHECK_LISTS,
    CHECK_NO_APT,
    CHECK_NO_SOURCE,
    CHECK_UNREACHABLE,
)
from vm.errors import DiskFull, HostError, Retry
from vm.host import process
from vm.host.lock import FileLock
from vm.host.paths import unusable, write_atomic
from vm.messages import Text
from vm.messages.host import COMMAND_TIMED_OUT, DISK_FULL

CONFIG = "apt.conf"
CHANGELOG_BYTES = 16 << 20  # of one changelog that is read; the kernel's has half of it
CHANGELOGS_SECONDS = 60.0  # for all of them
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~:-]*")
_FIELD = re.compile(r"^(Package|Version|Source): (.+)$", re.MULTILINE)
_SOURCE = re.compile(r"(?P<name>\S+)(?: \((?P<version>\S+)\))?")
_NO_ROOM = re.compile(r"No space left")
_STATUS = "dlstatus:"  # of lines that report progress to programs

_CONFIG = """\
Dir::Etc "{root}/etc/";
Dir::Etc::main "none";
Dir::Etc::parts "apt.conf.d";
Dir::Etc::trusted "{apt}/trusted.gpg";
Dir::Etc::trustedparts "{apt}/trusted.gpg.d";
Dir::State "{root}/state/";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache/";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "root";
APT::Status-Fd "1";
APT::Update::Error-Mode "any";
Acquire::Check-Date "true";
Acquire::Check-Valid-Until "true";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::Retries "1";
Acquire::GzipIndexes "true";
Dir::Cache::srcpkgcache "";
"""
_FOLDERS = (
    "etc/apt.conf.d",
    "etc/preferences.d",
    "etc/sources.list.d",
    "state/lists/partial",
    "cache/archives/partial",
)


class Candidate(msgspec.Struct, frozen=True):
    """The version of a package that apt would install, and its source."""

    version: str
    source: str
    source_version: str


class Apt:
    """An apt with the root `root`, which exists. `lines`: of a sources.list, for `suite`;
    `repository`: a source besides Debian's as deb822, or empty; `options`: further lines of an
    apt.conf.

    Raises HostError without any lines: unlike mmdebstrap, Galley knows no mirror by itself.
    Raises ToolMissing without apt.
    """

    def __init__(
        self,
        root: Path,
        suite: str,
        arch: str,
        lines: Sequence[str],
        repository: str = "",
        options: Iterable[str] = (),
    ) -> None:
        process.find_tool("apt-get", CHECK_NO_APT)
        if not lines:
            raise HostError(CHECK_NO_SOURCE, suite=suite, retry=Retry.NO)
        self._suite = suite
        self._repository = repository
        self._root = root
        # APT::Sandbox::User in it: another user could not enter a private folder of root. Without
        # root the value has no effect.
        config = [_CONFIG.format(root=root, apt=sources.APT, arch=arch), *options]
        try:
            for folder in _FOLDERS:
                (root / folder).mkdir(parents=True, exist_ok=True)
            (root / "state/status").touch()
            (root / "etc/sources.list").write_text("\n".join([*lines, ""]))
            (root / "etc/sources.list.d/repository.sources").write_text(repository)
        except OSError as error:
            raise unusable(root, error) from error
        # Readable by its user alone: a proxy's address may have a password.
        write_atomic(root / CONFIG, "\n".join([*config, ""]).encode())
        # The messages that are compared below have no translation in this locale.
        self._env = {"APT_CONFIG": str(root / CONFIG), "LC_ALL": "C"}

    def update(self, progress: Callable[[Text], None]) -> str:
        """Fetch and check the package lists; returns a digest of their signed Release files, which
        is the same as long as nothing in the lists has changed. Raises HostError (DiskFull)."""
        # apt reports its state every half second, also while it waits for a server. Without the
        # option it would read all lists at the end, which takes longer than to fetch nothing.
        done = process.stream(
            ["apt-get", "-o", "pkgCacheFile::Generate=false", "update"],
            lambda _line: progress(CHECK_LISTS.text()),
            env=self._env,
        )
        if not done.ok:
            raise self._update_failed(done)
        digest = hashlib.sha256()
        try:
            for file in sorted((self._root / "state/lists").glob("*Release")):
                digest.update(file.read_bytes())
        except OSError as error:
            raise unusable(self._root, error) from error
        return digest.hexdigest()

    def candidates(self, names: Iterable[str]) -> dict[str, Candidate]:
        """The newest version of each package in the lists; without those that are in none.

        Raises HostError.
        """
        # apt takes other names for options, patterns or versions.
        wanted = [name for name in names if _NAME.fullmatch(name)]
        argv = ["apt-cache", "show", "--no-all-versions", "--", *wanted]
        done = process.run(argv, env=self._env)
        if not done.ok and b"No packages found" not in done.stderr:
            raise HostError(CHECK_APT_FAILED, details=done.tail())
        found: dict[str, Candidate] = {}
        for paragraph in done.stdout.decode(errors="replace").split("\n\n"):
            fields: dict[str, str] = dict(_FIELD.findall(paragraph))
            name, version = fields.get("Package", ""), fields.get("Version", "")
            source = _SOURCE.fullmatch(fields.get("Source", name))
            if name in wanted and version and source is not None:
                found[name] = Candidate(version, source["name"], source["version"] or version)
        return found

    def changelogs(
        self, wanted: Mapping[str, str], progress: Callable[[Text], None]
    ) -> dict[str, str]:
        """The changelogs of packages in these versions, by source, as far as they can be fetched
        within a minute. The end of one may be cut off. Raises HostError (DiskFull).
        """
        packages = [
            f"{name}={version}"
            for name, version in wanted.items()
            if _NAME.fullmatch(name) and _VERSION.fullmatch(version)
        ]
        # With this limit (KiB/s), a server cannot fill the disk within the minute.
        argv = ["apt-get", "-o", "Acquire::http::Dl-Limit=4096", "changelog", "--download-only"]
        deadline = time.monotonic() + CHANGELOGS_SECONDS

        def on_line(_line: str) -> None:
            progress(CHECK_CHANGELOGS.text(count=len(packages)))
            if time.monotonic() > deadline:
                raise process.TimedOut(
                    COMMAND_TIMED_OUT, command=argv[0], seconds=CHANGELOGS_SECONDS
                )

        try:
            with tempfile.TemporaryDirectory(dir=self._root) as folder:
                # apt downloads to TMPDIR first, and leaves that behind when it is ended.
                env = {**self._env, "TMPDIR": folder}
                with suppress(process.TimedOut):
                    process.stream([*argv, *packages], on_line, env=env, cwd=Path(folder))
                return {file.stem: _beginning(file) for file in Path(folder).glob("*.changelog")}
        except TimeoutError:  # of `progress`: the deadline of a start's step
            raise
        except OSError as error:
            raise unusable(self._root, error) from error

    def _update_failed(self, done: process.Completed) -> HostError:
        output = done.stdout.decode(errors="replace").splitlines()
        text = "\n".join(line for line in output if not line.startswith(_STATUS))
        details = msgspec.structs.replace(done, stdout=text.encode()).tail()
        if _NO_ROOM.search(text):
            return DiskFull(DISK_FULL, root=self._root, details=details)
        refused = refusal(text, self._suite, self._repository, details)
        if refused is not None:
            return refused
        source = f"Debian {self._suite}"
        return HostError(CHECK_UNREACHABLE, source=source, details=details, retry=Retry.YES)


@contextmanager
def kept_apt(
    root: Path,
    suite: str,
    arch: str,
    lines: Sequence[str],
    repository: str = "",
    options: Iterable[str] = (),
) -> Iterator[Apt]:
    """An `Apt` whose lists stay in `root`, which is created: a later check fetches only what has
    changed.

    The lists of one stable suite take 21 MB, and apt's cache of them, which is removed at the end,
    43 MB. So is the configuration: a proxy's password may be in it. A second caller waits for the
    first. Raises HostError (ToolMissing).
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(root / "lock")
        lock.acquire(wait=True)
    except OSError as error:
        raise unusable(root, error) from error
    try:
        yield Apt(root, suite, arch, lines, repository, options)
    finally:
        for left in (root / CONFIG, root / "cache" / "pkgcache.bin"):
            with suppress(OSError):
                left.unlink()
        lock.release()


def _beginning(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(CHANGELOG_BYTES).decode(errors="replace")
