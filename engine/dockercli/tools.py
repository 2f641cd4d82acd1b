"""The docker programs of this host, and how to point them at Galley's engine.

`galley docker …` must be fast, so this only checks whether a few files exist. `compose` is a plugin
in fixed folders, so that needs no program either.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from engine.dockercli.context import endpoint
from vm.host.paths import Home

# A program that talks TLS to a Unix socket fails; an empty value means "not set" to docker.
_NOT_OURS = ("DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
_PLUGIN_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/opt/homebrew/lib/docker/cli-plugins",
)


def docker_cli() -> Path | None:
    """The host's docker program, if there is one."""
    found = shutil.which("docker")
    return Path(found) if found else None


def has_compose(docker: Path) -> bool:
    """Whether that docker has the compose plugin."""
    name = "docker-compose.exe" if os.name == "nt" else "docker-compose"
    return any(os.access(folder / name, os.X_OK) for folder in _plugin_folders(docker))


def client_environment(home: Home) -> dict[str, str]:
    """Environment variables that select Galley's engine. They override any docker context."""
    cleared = {name: "" for name in _NOT_OURS if os.environ.get(name)}
    return {"DOCKER_HOST": endpoint(home), **cleared}


def search_path() -> str:
    """PATH with Galley's own programs at its end, where docker finds its credential helper."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), str(own_folder())))


def own_folder() -> Path:
    """Where our programs are."""
    return Path(sys.prefix, "Scripts" if os.name == "nt" else "bin")


def _plugin_folders(docker: Path) -> list[Path]:
    """Where docker looks, in its own order."""
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    folders = [*_extra_folders(config / "config.json"), config / "cli-plugins"]
    if os.name == "nt":
        bases = (os.environ.get(name) for name in ("ProgramData", "ProgramFiles"))
        folders += [Path(base) / "Docker" / "cli-plugins" for base in bases if base]
        return [*folders, docker.parent / "cli-plugins"]
    return folders + [Path(folder) for folder in _PLUGIN_FOLDERS]


def _extra_folders(config: Path) -> list[Path]:
    """`cliPluginsExtraDirs` of docker's config file; docker itself complains about a bad one."""
    try:
        given = json.loads(config.read_bytes()).get("cliPluginsExtraDirs", [])
        return [Path(folder) for folder in given]
    except (OSError, ValueError, AttributeError, TypeError):
        return []
