"""A Debian repository in a folder, of real packages, signed by a key made for it.

    deb = make_deb(folder, PackageSpec("tool", "1.0-2"))
    with signing_key() as key:
        line = write(folder / "debian", [deb], key).line

apt reads it with `line`. The Release file names its changelogs, of which there is one for each
source with `changelog` in its `PackageSpec`.
"""

import email.utils
import gzip
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

SUITE, ARCH, COMPONENT = "trixie", "amd64", "main"


class PackageSpec(msgspec.Struct, frozen=True):
    """A package to make. `source`: as the field of that name; empty when both are the same.
    `changelog`: text of changelog.Debian; empty for a package without one."""

    name: str
    version: str
    source: str = ""
    changelog: str = ""
    arch: str = ARCH


class Key(msgspec.Struct, frozen=True):
    """A gpg key. `public`: its file for `signed-by`."""

    home: Path
    public: Path

    @property
    def fingerprint(self) -> str:
        shown = run(["gpg", "--homedir", self.home, "--with-colons", "--list-keys"]).decode()
        return next(line.split(":")[9] for line in shown.splitlines() if line.startswith("fpr"))

    def sign(self, release: Path) -> None:
        """Write InRelease beside it."""
        signed = release.with_name("InRelease")
        gpg: list[str | Path] = ["gpg", "--homedir", self.home, "--batch", "--yes"]
        run([*gpg, "--clearsign", "--output", signed, release])


class Repository(msgspec.Struct, frozen=True):
    root: Path
    line: str  # of a sources.list
    suite: str
    component: str

    @property
    def dist(self) -> Path:
        return self.root / "dists" / self.suite

    def changelog(self, source: str, version: str) -> Path:
        """The file that apt asks for, whether or not it exists. Its name has no epoch."""
        plain = version.partition(":")[2] or version
        prefix = source[:4] if source.startswith("lib") else source[:1]
        return self.root / self.component / prefix / source / f"{source}_{plain}_changelog"


@contextmanager
def signing_key() -> Iterator[Key]:
    """A new key in a home of its own, whose agent ends with it. The path is short, for a socket."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as folder:
        home, public = Path(folder, "home"), Path(folder, "key.gpg")
        home.mkdir(mode=0o700)
        gpg: list[str | Path] = ["gpg", "--homedir", home, "--batch", "--quiet"]
        secret = ["--passphrase", "", "--quick-gen-key", "Test <test@example.org>", "ed25519"]
        try:
            run([*gpg, *secret, "sign", "never"])
            public.write_bytes(run([*gpg, "--export"]))
            yield Key(home, public)
        finally:
            run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"])


def make_deb(folder: Path, spec: PackageSpec) -> Path:
    """A .deb file in `folder`, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    source = f"Source: {spec.source}\n" if spec.source else ""
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        tree.chmod(0o755)
        (tree / "DEBIAN").mkdir(mode=0o755)
        (tree / "DEBIAN/control").write_text(
            f"Package: {spec.name}\n{source}Version: {spec.version}\nArchitecture: {spec.arch}\n"
            f"Maintainer: Test <test@example.org>\nDescription: {spec.name}\n"
        )
        if spec.changelog:
            doc = tree / "usr/share/doc" / spec.name
            doc.mkdir(parents=True)
            data = gzip.compress(spec.changelog.encode(), mtime=0)
            (doc / "changelog.Debian.gz").write_bytes(data)
        return _build(tree, folder)


def pack(tree: Path, control: dict[str, str], folder: Path) -> Path:
    """A .deb file in `folder`, which is created, of the files in `tree`."""
    folder.mkdir(parents=True, exist_ok=True)
    tree.chmod(0o755)
    (tree / "DEBIAN").mkdir(mode=0o755)
    lines = [f"{name}: {value}" for name, value in control.items()]
    (tree / "DEBIAN/control").write_text("\n".join([*lines, ""]))
    return _build(tree, folder)


def repack(deb: Path, folder: Path, name: str) -> Path:
    """The same files as a package of another name, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary, "tree")
        run(["dpkg-deb", "--raw-extract", deb, tree])
        control = tree / "DEBIAN/control"
        lines = control.read_text().splitlines()
        changed = [f"Package: {name}" if one.startswith("Package:") else one for one in lines]
        control.write_text("\n".join([*changed, ""]))
        return _build(tree, folder)


def write(
    root: Path,
    debs: Sequence[Path],
    key: Key,
    *,
    trusted: Key | None = None,
    date: datetime | None = None,
    valid_until: datetime | None = None,
    missing: Sequence[Path] = (),
    suite: str = SUITE,
    component: str = COMPONENT,
) -> Repository:
    """A repository of `debs` at `root`. `trusted`: the key that its line names instead of the one
    that signed it. `missing`: those of `debs` that it lists and does not contain."""
    pool = root / "pool"
    pool.mkdir(parents=True, exist_ok=True)
    line = f"deb [signed-by={(trusted or key).public}] file:{root} {suite} {component}"
    repository = Repository(root, line, suite, component)
    index = "".join(_paragraph(deb) for deb in debs)
    for deb in debs:
        if deb not in missing:
            shutil.copyfile(deb, pool / deb.name)
        _add_changelog(repository, deb)
    folder = repository.dist / component / f"binary-{ARCH}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Packages").write_text(index)
    (folder / "Packages.gz").write_bytes(gzip.compress(index.encode(), mtime=0))
    release = repository.dist / "Release"
    fields = {
        "Origin": "Debian",
        "Suite": "stable",
        "Codename": suite,
        "Date": _rfc2822(date or datetime.now(UTC)),
        "Architectures": ARCH,
        "Components": component,
        # apt-get changelog --download-only leaves no file for `file:`.
        "Changelogs": f"copy:{root}/@CHANGEPATH@_changelog",
    }
    if valid_until is not None:
        fields["Valid-Until"] = _rfc2822(valid_until)
    files = [folder / "Packages", folder / "Packages.gz"]
    sums = "".join(
        f" {_sha256(file)} {file.stat().st_size} {file.relative_to(repository.dist)}\n"
        for file in files
    )
    lines = "".join(f"{name}: {value}\n" for name, value in fields.items())
    release.write_text(f"{lines}SHA256:\n{sums}")
    key.sign(release)
    return repository


def run(argv: Sequence[str | Path]) -> bytes:
    return subprocess.run(argv, check=True, capture_output=True).stdout


def _build(tree: Path, folder: Path) -> Path:
    """Into `folder`, under the name that dpkg-deb gives it."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        run(["dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, made])
        (deb,) = Path(made).iterdir()
        return deb.replace(folder / deb.name)


def _paragraph(deb: Path) -> str:
    control = run(["dpkg-deb", "--field", deb]).decode()
    size = deb.stat().st_size
    return f"{control}Filename: pool/{deb.name}\nSize: {size}\nSHA256: {_sha256(deb)}\n\n"


def _add_changelog(repository: Repository, deb: Path) -> None:
    """The one in the package, where Debian has it for the package's source."""
    shown = run(["dpkg-deb", "--show", "--showformat", "${source:Package} ${source:Version}", deb])
    file = repository.changelog(*shown.decode().split())
    with tempfile.TemporaryDirectory() as folder:
        run(["dpkg-deb", "--extract", deb, folder])
        for packed in Path(folder).glob("usr/share/doc/*/changelog.Debian.gz"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(gzip.decompress(packed.read_bytes()))


def _rfc2822(moment: datetime) -> str:
    return email.utils.format_datetime(moment.astimezone(UTC), usegmt=True).replace("GMT", "UTC")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
