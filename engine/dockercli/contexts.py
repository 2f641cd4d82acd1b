"""All engines that are configured on this computer.

Galley's own comes first, then what a plain `docker` would use, then the docker CLI's contexts:

    $DOCKER_CONFIG or ~/.docker
        contexts/meta/<sha256 of the name>/meta.json      the endpoint
        contexts/tls/<the same>/docker/{ca,cert,key}.pem  certificates and key

`context.py` writes Galley's own; nothing is written here.
"""

import os
from pathlib import Path

import msgspec

from engine.dockercli import context
from engine.dockercli.endpoint import Endpoint
from vm.host.paths import Home, find_home

DEFAULT_SOCKET = Path("/var/run/docker.sock")
DEFAULT_PIPE = "npipe:////./pipe/docker_engine"


class DockerContext(msgspec.Struct, frozen=True):
    """`problem`: why it cannot be used, "" where nothing is known to be wrong."""

    name: str
    description: str
    endpoint: Endpoint
    ours: bool = False
    problem: str = ""


def this_home() -> Home:
    """The instance of GALLEY_HOME, for packages that may not import `vm`."""
    return find_home()


def contexts(home: Home) -> tuple[DockerContext, ...]:
    name, url = context.context_name(home), context.endpoint(home)
    own = DockerContext(name, "Galley's own engine", Endpoint(name, url, own=True), ours=True)
    default = _default()
    others = [] if default is None else [default]
    others += sorted(_from_docker(), key=lambda one: one.name)
    return own, *(one for one in others if one.name != name and one.endpoint.url != url)


def _default() -> DockerContext | None:
    """What `docker` uses without a chosen context."""
    given = os.environ.get("DOCKER_HOST", "")
    if given:
        folder = os.environ.get("DOCKER_CERT_PATH") or str(_directory())
        verify = bool(os.environ.get("DOCKER_TLS_VERIFY"))
        secured = verify or "DOCKER_CERT_PATH" in os.environ
        endpoint = _with_tls("default", given, Path(folder) if secured else None, verify)
        return DockerContext("default", "DOCKER_HOST", endpoint)
    if os.name == "nt":
        url, exists = DEFAULT_PIPE, os.path.exists(DEFAULT_PIPE.removeprefix("npipe://"))
    else:
        url, exists = f"unix://{DEFAULT_SOCKET}", DEFAULT_SOCKET.exists()
    if not exists:
        return None
    return DockerContext("default", "Docker on this computer", Endpoint("default", url))


def _from_docker() -> list[DockerContext]:
    folder = _directory() / "contexts"
    return [_read(folder, meta) for meta in sorted(folder.glob("meta/*/meta.json"))]


def _read(folder: Path, meta: Path) -> DockerContext:
    known_as = meta.parent.name
    try:
        found = msgspec.json.decode(meta.read_bytes(), type=_Meta)
        docker = found.Endpoints["docker"]
    except (OSError, msgspec.DecodeError) as error:
        return _broken(known_as[:12], f"{meta} cannot be read: {error}.")
    except KeyError:
        return _broken(found.Name, f"{meta} names no Docker Engine.")
    tls = folder / "tls" / known_as / "docker"
    endpoint = _with_tls(found.Name, docker.Host, tls, not docker.SkipTLSVerify)
    return DockerContext(found.Name, found.Metadata.Description, endpoint)


def _broken(name: str, problem: str) -> DockerContext:
    return DockerContext(name, "", Endpoint(name, ""), problem=problem)


def _with_tls(name: str, url: str, folder: Path | None, verify: bool) -> Endpoint:
    def file(kind: str) -> str:
        path = folder / f"{kind}.pem" if folder else None
        return str(path) if path and path.is_file() else ""

    return Endpoint(name, url, file("ca"), file("cert"), file("key"), verify)


def _directory() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


class _Metadata(msgspec.Struct):
    Description: str = ""


class _DockerEndpoint(msgspec.Struct):
    Host: str
    SkipTLSVerify: bool = False


class _Meta(msgspec.Struct):
    Name: str
    Endpoints: dict[str, _DockerEndpoint]
    Metadata: _Metadata = msgspec.field(default_factory=_Metadata)
