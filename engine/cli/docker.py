"""`galley docker …` and `galley compose …`: runs docker, pointed at Galley's engine.

The fast path: no click, and no import that a plain `docker` would not need.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.cli.output import note
from engine.dockercli.tools import client_environment, docker_cli, has_compose, search_path
from engine.messages.cli import DOCKER_CLI_NONE_FOR_LOGIN

if TYPE_CHECKING:
    from vm.errors import GalleyError
    from vm.host.paths import Home

WITHOUT_ENGINE = frozenset({"--help", "-h", "help", "--version", "-v", "completion", "context"})
# Where the host's folder is shared at the same path, a command in the VM works on the same files.
IN_SAME_FOLDER = 'cd "$1" 2>/dev/null; shift; exec "$@"'


def run_docker(words: Sequence[str]) -> int:
    """Become `docker WORDS`, or run it inside the VM where this host has none."""
    docker = docker_cli()
    needs_compose = words[:1] == ["compose"]
    if docker is None and words[:1] in (["login"], ["logout"]):
        raise _no_login()
    if docker is None or (needs_compose and not has_compose(docker)):
        return _run_in_vm(words)
    from vm.host.paths import check_home, find_home
    from vm.host.process import replace_with

    home = find_home()
    check_home(home)
    if needs_engine(words) and os.name == "posix" and not home.docker_socket.exists():
        note("Galley is not running. Start it with `galley start`.")
    if words[:1] == ["login"] and needs_engine(words):
        _bring_keyring(home)
    environment = {**client_environment(home), "PATH": search_path()}
    return replace_with([str(docker), *words], environment)


def _bring_keyring(home: "Home") -> None:
    """Report why docker is about to use its plain file, if it is."""
    from engine.credentials import logins
    from engine.settings.store import SettingsStore
    from vm.errors import GalleyError

    try:
        if SettingsStore(home).current().use_keyring:
            logins.keep_with_us()
    except GalleyError as error:
        note(f"{error.summary}\n  {error.hint}")


def _no_login() -> "GalleyError":
    """`docker login` does not run inside the VM: the login would be lost there, and in plain
    text."""
    from vm.errors import ToolMissing

    return ToolMissing(
        DOCKER_CLI_NONE_FOR_LOGIN,
    )


def needs_engine(words: Sequence[str]) -> bool:
    return bool(words) and words[0] not in WITHOUT_ENGINE and "--help" not in words


def _run_in_vm(words: Sequence[str]) -> int:
    from engine.cli.reach import run_in_guest

    argv = ("sh", "-c", IN_SAME_FOLDER, "sh", os.getcwd(), "docker", *words)
    return run_in_guest(argv)
