"""Fixtures of the bridge: a real sshd as the guest, a real dockerd behind it, and a socket.

They need root, sshd, dockerd and busybox-static; `./dev test` installs them.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.bridge.bridge import Bridge
from engine.bridge.unix import UnixListener
from tests.unit.engine.bridge.reachable import ReachableDockerd
from tests.unit.engine.bridge.servers import Dockerd, Sshd
from vm.guest.ssh import SshGuest


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="galley-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    with _folder() as made:
        yield made


@pytest.fixture
def sshd(folder: Path) -> Iterator[Sshd]:
    assert os.getuid() == 0, "sshd logs in as root: run the tests as root"
    server = Sshd(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def guest(sshd: Sshd) -> Iterator[SshGuest]:
    made = sshd.guest()
    yield made
    made.close()


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Dockerd]:
    assert os.getuid() == 0, "dockerd runs as root: run the tests as root"
    with _folder() as folder:
        server = Dockerd(folder)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def bridge(guest: SshGuest, dockerd: Dockerd, folder: Path) -> Iterator[Bridge]:
    """From `folder`/docker.sock through sshd to dockerd."""
    reachable = ReachableDockerd(lambda: guest.dial(str(dockerd.socket)))
    made = Bridge(UnixListener(folder / "docker.sock"), reachable)
    made.open()
    yield made
    made.close()
