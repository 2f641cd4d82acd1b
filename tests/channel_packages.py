"""Local repositories of real packages for the image channels `latest` and `docker`.

The public copy of Debian's next release may have expired, so its packages go into a repository
signed by a test key; their own signatures are checked before, without the date. Docker's repository
cannot be reached everywhere, so Debian's engine is repacked under the names and paths of Docker's
packages: such an image proves the recipe, not Docker's packages.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from engine.guest import build, recipe, sources
from engine.guest.channels import ENGINES, Channel
from engine.images.apt import CONFIG, Apt
from tests.debian_repository import ARCH, Key, Repository, pack, run, write
from vm.messages import Text


class Repacked(msgspec.Struct, frozen=True):
    """A package of Docker's, made of files of Debian's packages. `files`: the new and the old path
    of each, both below /."""

    name: str
    source: str  # Debian's package that has its version
    files: dict[str, str]


_PLUGINS = "usr/libexec/docker/cli-plugins"
DOCKER = (
    Repacked(
        "docker-ce",
        "docker.io",
        {
            "usr/bin/dockerd": "usr/sbin/dockerd",
            "usr/bin/docker-proxy": "usr/sbin/docker-proxy",
            "usr/libexec/docker/docker-init": "usr/bin/tini-static",
        },
    ),
    Repacked("docker-ce-cli", "docker-cli", {"usr/bin/docker": "usr/bin/docker"}),
    Repacked(
        "containerd.io",
        "containerd",
        {
            "usr/bin/containerd": "usr/bin/containerd",
            "usr/bin/containerd-shim-runc-v2": "usr/bin/containerd-shim-runc-v2",
            "usr/bin/runc": "usr/sbin/runc",
        },
    ),
    Repacked(
        "docker-buildx-plugin",
        "docker-buildx",
        {f"{_PLUGINS}/docker-buildx": f"{_PLUGINS}/docker-buildx"},
    ),
    Repacked(
        "docker-compose-plugin",
        "docker-compose",
        {f"{_PLUGINS}/docker-compose": f"{_PLUGINS}/docker-compose"},
    ),
)
# Docker's own packages need these libraries, too.
LIBRARIES = "libc6, libdevmapper1.02.1, libseccomp2, libsystemd0, iptables"


def download(channel: Channel, folder: Path) -> list[Path]:
    """The packages of an image of this channel that are Debian's, with those that they need."""
    suite = ENGINES[channel].suite
    config = sources.read_config()
    folder.mkdir(parents=True)
    options = ['Acquire::Check-Valid-Until "false";', 'APT::Install-Recommends "false";']
    apt = Apt(folder, suite, ARCH, config.mirrors(suite), options=[*config.options, *options])
    apt.update(_silent)
    names = [*recipe.PACKAGES, *ENGINES[Channel.STABLE].packages, "tini", build.KERNELS[ARCH]]
    run(["env", f"APT_CONFIG={folder / CONFIG}", "apt-get", "-y", "-d", "install", *names])
    return sorted((folder / "cache/archives").glob("*.deb"))


def unpack(debs: Iterable[Path], folder: Path) -> Path:
    """Their files, with iptables as its package's scripts set it up."""
    for deb in debs:
        run(["dpkg-deb", "--extract", deb, folder])
    for name in ("iptables", "ip6tables"):
        for end in ("", "-save", "-restore"):
            (folder / "usr/sbin" / f"{name}{end}").symlink_to("xtables-nft-multi")
    return folder


def write_latest(debs: Sequence[Path], root: Path, key: Key) -> Repository:
    return write(root, debs, key, suite=ENGINES[Channel.LATEST].suite)


def write_docker(debs: Sequence[Path], root: Path, key: Key) -> Repository:
    """Docker's repository as it would be with Debian's engine. Its key is beside it."""
    with tempfile.TemporaryDirectory() as name:
        files = unpack(debs, Path(name, "files"))
        made = [_repack(each, files, debs, root / "made") for each in DOCKER]
    engine = ENGINES[Channel.DOCKER]
    assert engine.repository is not None
    written = write(root, made, key, suite=engine.suite, component=engine.repository.component)
    shutil.copyfile(key.public, root / engine.repository.key)
    return written


def _repack(wanted: Repacked, files: Path, debs: Sequence[Path], folder: Path) -> Path:
    deb = next(deb for deb in debs if deb.name.startswith(f"{wanted.source}_"))
    version = run(["dpkg-deb", "--field", deb, "Version"]).decode().strip()
    found = re.fullmatch(r"(?:\d+:)?(\d+(?:\.\d+)*).*", version)
    assert found is not None
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name, "tree")
        for new, old in wanted.files.items():
            (tree / new).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(files / old, tree / new)
        control = {
            "Package": wanted.name,
            "Version": f"5:{found[1]}-1~debian.13~{ENGINES[Channel.DOCKER].suite}",
            "Architecture": ARCH,
            "Depends": LIBRARIES,
            "Maintainer": "Test <test@example.org>",
            "Description": f"{wanted.source} of Debian under Docker's name, for tests",
        }
        return pack(tree, control, folder)


def _silent(_text: Text) -> None:
    pass
