"""A client does not trust the sockets in a run directory of another user."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.bridge import unix
from engine.control.client import ControlClient, NoSupervisor
from engine.control.protocol import address, make_key
from engine.control.server import ControlServer
from engine.docker import quick_list
from engine.docker.client import DockerClient
from engine.dockercli.contexts import contexts
from engine.settings.store import SettingsStore
from tests.other_user import ID
from vm.errors import EngineUnreachable, HomeUnusable
from vm.host.paths import Home, make_home

ROOT = Path(__file__).parents[4]


@pytest.fixture
def listening(home: Home) -> Iterator[socket.socket]:
    """The non-blocking control socket in a run directory of another user."""
    make_key(home)
    with socket.socket(socket.AF_UNIX) as control, socket.socket(socket.AF_UNIX) as docker:
        control.bind(address(home))
        docker.bind(str(home.docker_socket))
        for one in (control, docker):
            one.listen()
            one.setblocking(False)
        os.chown(home.run, ID, ID)
        yield control


def test_the_control_socket_of_another_user_is_not_connected(
    home: Home, listening: socket.socket
) -> None:
    with pytest.raises(HomeUnusable, match="another user"):
        ControlClient.connect(home)
    with pytest.raises(BlockingIOError):
        listening.accept()


@pytest.mark.parametrize(
    "words", [("settings", "set", "http_proxy", "http://bob:pass@proxy:1"), ("docker", "ps")]
)
def test_commands_report_a_run_directory_of_another_user(
    home: Home, listening: socket.socket, words: tuple[str, ...]
) -> None:
    argv = [sys.executable, "-m", "engine.cli", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode != 0
    assert "belongs to another user" in done.stderr
    assert "GALLEY_HOME" in done.stderr
    with pytest.raises(BlockingIOError):
        listening.accept()


def test_the_docker_socket_of_another_user_is_not_connected(
    home: Home, listening: socket.socket
) -> None:
    endpoint = contexts(home)[0].endpoint
    with pytest.raises(PermissionError):
        unix.connect(home.docker_socket, own=True)
    with pytest.raises(EngineUnreachable):
        quick_list.containers(endpoint)
    with pytest.raises(EngineUnreachable):
        DockerClient(endpoint, timeout=5.0)
    unix.connect(home.docker_socket).close()  # allowed for a socket that the user has chosen


def test_settings_of_another_user_are_not_read(home: Home) -> None:
    home.settings.write_text('http_proxy = "http://elsewhere:1"\n')
    os.chown(home.settings, ID, ID)
    with pytest.raises(HomeUnusable, match="another user"):
        SettingsStore(home).load()


def test_the_control_socket_is_private(home: Home, server: ControlServer) -> None:
    assert Path(address(home)).stat().st_mode & 0o777 == 0o600


def test_a_new_group_writable_home_has_no_supervisor(home: Home) -> None:
    """`mkdir` makes such a home for users with a private group; a start makes it private."""
    for folder in (home.run, home.machine, home.images, home.logs):
        folder.rmdir()
    home.root.chmod(0o775)
    with pytest.raises(NoSupervisor):
        ControlClient.connect(home)
    assert make_home(home).root.stat().st_mode & 0o777 == 0o700
