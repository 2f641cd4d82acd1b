"""A window that is killed during a pull or a run, and what the next window finds.

A pull ends with its client: dockerd drops it, and the next pull of the same image works. A run is
two requests: a container that was created before the kill stays, and can be started or deleted.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from desktop.app import App
from engine.docker.cancel import Cancel
from engine.docker.client import DockerClient
from engine.docker.types import ContainerState
from tests.gui.conftest import WaitFor
from tests.unit.engine.bridge.servers import IMAGE, Dockerd, docker, wait_until
from tests.unit.engine.docker.registry import FAST, SLOW, Registry

BIG = "killed/big:1"
MEGABYTES = 24


@pytest.fixture
def registry(dockerd: Dockerd) -> Iterator[Registry]:
    """A registry with a large image that the engine does not have."""
    with tempfile.TemporaryDirectory() as folder:
        made = Registry(dockerd, Path(folder))
        made.start()
        _push(dockerd, Path(folder))
        yield made
        made.stop()


def _push(dockerd: Dockerd, folder: Path) -> None:
    (folder / "noise").write_bytes(os.urandom(MEGABYTES << 20))
    packed = subprocess.run(["tar", "-C", folder, "-c", "noise"], capture_output=True, check=True)
    for words in (
        ("import", "-", f"{FAST}/{BIG}"),
        ("push", "-q", f"{FAST}/{BIG}"),
        ("rmi", f"{FAST}/{BIG}"),
    ):
        done = docker(dockerd.socket, *words, stdin=packed.stdout, timeout=60)
        assert done.returncode == 0, done.stderr


def kill_in_the_middle(dockerd: Dockerd, has_begun: Callable[[bytes], bool], *words: str) -> None:
    """Kill the window once `has_begun`, called for each line that it prints, returns true."""
    window = subprocess.Popen(
        [sys.executable, "-m", "tests.gui.window_that_dies", str(dockerd.socket), *words],
        stdout=subprocess.PIPE,
    )
    assert window.stdout is not None
    for line in window.stdout:
        if has_begun(line):
            break
    window.kill()
    window.stdout.close()
    assert window.wait() == -signal.SIGKILL


def test_a_pull_ends_with_its_window_and_can_be_repeated(
    dockerd: Dockerd, registry: Registry, client: DockerClient
) -> None:
    kill_in_the_middle(
        dockerd, lambda line: line.startswith(b"in progress 0."), "pull", f"{SLOW}/{BIG}"
    )
    tags = [tag for image in client.images.list() for tag in image.tags]
    assert f"{SLOW}/{BIG}" not in tags, "the pull was not complete"
    for _progress in client.images.pull(f"{FAST}/{BIG}", Cancel()):
        pass
    tags = [tag for image in client.images.list() for tag in image.tags]
    assert f"{FAST}/{BIG}" in tags
    client.images.remove(f"{FAST}/{BIG}")


def test_a_container_of_a_killed_window_is_shown_in_the_next_one(
    dockerd: Dockerd, client: DockerClient, app: App, wait_for: WaitFor
) -> None:

    def is_made() -> bool:
        return "orphan" in [row.name for row in client.containers.list()]

    def has_begun(_line: bytes) -> bool:
        wait_until(is_made, 20)
        return True

    kill_in_the_middle(dockerd, has_begun, "run", IMAGE, "orphan")
    store = app.app_context.stores.containers
    wait_for(lambda: "orphan" in [row.name for row in store.rows.values()])
    row = next(row for row in store.rows.values() if row.name == "orphan")
    assert row.state in (ContainerState.CREATED, ContainerState.RUNNING)
    client.containers.start(row.id)
    wait_for(lambda: store.rows[row.id].state is ContainerState.RUNNING)
