"""`galley docker …` and `galley compose …`: docker itself, pointed at our engine.

The fast path: no click here, and nothing is imported that a plain `docker` would have to wait for.
May import: `engine.tools`, `vm.host`; the rest only when docker has to run inside the VM.
"""

import os
import socket
from collections.abc import Sequence

from engine.cli.output import note
from engine.tools import client_environment, docker_cli, has_compose

NEED_NO_ENGINE = frozenset({"--help", "-h", "help", "--version", "-v", "completion", "context"})
# Where the host's folder is shared at the same path, a command in the VM works on the same files.
IN_SAME_FOLDER = 'cd "$1" 2>/dev/null; shift; exec "$@"'


def run_docker(words: Sequence[str]) -> int:
    """Become `docker WORDS`, or run it inside the VM where this host has none."""
    docker = docker_cli()
    needs_compose = words[:1] == ["compose"]
    if docker is None or (needs_compose and not has_compose(docker)):
        return _run_in_vm(words)
    from vm.host.paths import endpoint, find_home
    from vm.host.process import replace_with

    home = find_home()
    if not NEED_NO_ENGINE.intersection(words[:1]) and words and not _answers(home.docker_socket):
        note("Galley is not running. Start it with `galley start`.")
    return replace_with([str(docker), *words], client_environment(endpoint(home)))


def _answers(path: os.PathLike[str]) -> bool:
    """Whether somebody listens; where sockets are pipes, docker's own message has to do."""
    if os.name == "nt":
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(os.fspath(path)) == 0


def _run_in_vm(words: Sequence[str]) -> int:
    from engine.cli.reach import run_in_guest

    argv = ("sh", "-c", IN_SAME_FOLDER, "sh", os.getcwd(), "docker", *words)
    return run_in_guest(argv)
