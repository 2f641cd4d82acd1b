"""The channels: a Debian release, and the packages and programs of the engine, as data.

`stable` and `latest` have the engine of a Debian release; `docker` has the one of Docker's own
repository, on Debian's stable release. Next: `recipe.py`, which has the rest of the guest.
"""

from enum import StrEnum

import msgspec


class Channel(StrEnum):
    """Which Docker Engine an image has."""

    STABLE = "stable"
    LATEST = "latest"
    DOCKER = "docker"


class Repository(msgspec.Struct, frozen=True):
    """An apt repository besides Debian's. A setting has its address.

    `fingerprint`: of the OpenPGP key that signs it; the key is the file `key` below the address.
    """

    fingerprint: str
    key: str
    component: str


class Engine(msgspec.Struct, frozen=True):
    """`suite`: Debian's release. `programs`: the path in the image, and those that the packages may
    have it at; `links`: names in the image's /usr and what they point to."""

    suite: str
    packages: tuple[str, ...]
    programs: dict[str, tuple[str, ...]]
    links: dict[str, str] = {}
    repository: Repository | None = None


_DEBIAN_PACKAGES = (
    "containerd",
    "docker-buildx",
    "docker-cli",
    "docker-compose",
    "docker.io",
    "runc",
)
_DEBIAN_PROGRAMS = (
    "usr/sbin/dockerd",
    "usr/bin/containerd",
    "usr/bin/containerd-shim-runc-v2",
    "usr/sbin/runc",
    "usr/bin/docker-init",
    "usr/sbin/docker-proxy",
    "usr/bin/docker",
    "usr/bin/docker-compose",
    "usr/libexec/docker/cli-plugins/docker-buildx",
    "usr/libexec/docker/cli-plugins/docker-compose",
)

# Source: https://docs.docker.com/engine/install/debian/
_DOCKER_PACKAGES = (
    "containerd.io",
    "docker-buildx-plugin",
    "docker-ce",
    "docker-ce-cli",
    "docker-compose-plugin",
)
_PLUGINS = "usr/libexec/docker/cli-plugins"
_DOCKER_PROGRAMS = {
    "usr/sbin/dockerd": ("usr/bin/dockerd",),
    "usr/bin/containerd": ("usr/bin/containerd",),
    "usr/bin/containerd-shim-runc-v2": ("usr/bin/containerd-shim-runc-v2",),
    "usr/sbin/runc": ("usr/bin/runc",),
    "usr/bin/docker-init": ("usr/libexec/docker/docker-init", "usr/bin/docker-init"),
    "usr/sbin/docker-proxy": ("usr/libexec/docker/docker-proxy", "usr/bin/docker-proxy"),
    "usr/bin/docker": ("usr/bin/docker",),
    f"{_PLUGINS}/docker-buildx": (f"{_PLUGINS}/docker-buildx",),
    f"{_PLUGINS}/docker-compose": (f"{_PLUGINS}/docker-compose",),
}


def _debian(suite: str) -> Engine:
    return Engine(suite, _DEBIAN_PACKAGES, {path: (path,) for path in _DEBIAN_PROGRAMS})


ENGINES = {
    Channel.STABLE: _debian("trixie"),
    Channel.LATEST: _debian("forky"),
    Channel.DOCKER: Engine(
        suite="trixie",
        packages=_DOCKER_PACKAGES,
        programs=_DOCKER_PROGRAMS,
        links={"bin/docker-compose": "../libexec/docker/cli-plugins/docker-compose"},
        repository=Repository(
            fingerprint="9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
            key="gpg",
            component="stable",
        ),
    ),
}
