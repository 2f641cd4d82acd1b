"""Processes are killed while the window is open: its rows stay, and it recovers."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from desktop.app import App
from desktop.pages.containers.page import ContainersPage
from desktop.session.connection import Reach
from desktop.single_instance import SingleInstance
from engine.client.launch import ensure_supervisor
from engine.control.client import ControlClient
from engine.control.protocol import window_address
from engine.docker.client import DockerClient
from engine.dockercli.contexts import DockerContext, this_home
from engine.dockercli.endpoint import Endpoint
from engine.settings.store import SettingsStore
from tests.gui.conftest import WindowDockerd, end_app
from tests.gui.test_containers_page import sleeper
from tests.other_user import ID
from tests.unit.engine.bridge.servers import docker, wait_until
from vm.errors import HomeUnusable
from vm.host import process

type WaitFor = Callable[..., None]


class KillableDockerd(WindowDockerd):
    """A dockerd that can be killed and restarted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._netns = f"galley-mortal-{os.getpid()}"

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        (self.folder / "pid").unlink(missing_ok=True)
        command = ["nsenter", f"--net=/run/netns/{self._netns}", "dockerd", *self._options()]
        with (self.folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: docker(self.socket, "version").returncode == 0, 30)


@pytest.fixture
def killable() -> Iterator[KillableDockerd]:
    with tempfile.TemporaryDirectory(prefix="galley-", ignore_cleanup_errors=True) as folder:
        server = KillableDockerd(Path(folder))
        server.start()
        yield server
        server.stop()


def context_of(dockerd: WindowDockerd) -> DockerContext:
    return DockerContext("mortal", "", Endpoint("mortal", f"unix://{dockerd.socket}"))


def test_rows_of_a_killed_engine_are_dimmed_until_it_is_back(
    qapp: QApplication, killable: KillableDockerd, wait_for: WaitFor
) -> None:
    client = DockerClient(context_of(killable).endpoint)
    kept = client.containers.create(sleeper("kept"))
    gone = client.containers.create(sleeper("gone"))
    client.close()
    app = App(qapp, context_of(killable))
    app.window.show()
    store = app.app_context.stores.containers
    wait_for(lambda: {kept, gone} <= set(store.rows))
    killable.kill()
    wait_for(lambda: app.connection.reach is Reach.DOWN)
    assert set(store.rows) == {kept, gone}, "the rows stay"
    page = app.window.pages["containers"]
    assert isinstance(page, ContainersPage)
    assert page.styler.style(page.model.lines[0]).dim
    assert app.window.banner.isVisible()
    assert app.window.banner.text.text()
    killable.restart()
    assert docker(killable.socket, "rm", "gone").returncode == 0
    wait_for(lambda: app.connection.is_up, 40)
    wait_for(lambda: set(store.rows) == {kept})
    assert not app.window.banner.isVisible()
    end_app(qapp, app)


def test_the_window_connects_once_the_engine_is_there(
    qapp: QApplication, dockerd: WindowDockerd, tmp_path: Path, wait_for: WaitFor
) -> None:
    socket = tmp_path / "later.sock"
    app = App(qapp, DockerContext("later", "", Endpoint("later", f"unix://{socket}")))
    app.window.show()
    wait_for(lambda: app.connection.reach is Reach.DOWN)
    assert app.window.banner.isVisible()
    socket.symlink_to(dockerd.socket)
    wait_for(lambda: app.connection.is_up, 40)
    end_app(qapp, app)


@pytest.fixture
def supervised() -> Iterator[Callable[[], int]]:
    """A supervisor with the fake backend; returns the pid of the one that runs now."""
    home = this_home()
    ensure_supervisor(home).close()
    SettingsStore(home).set("backend", "fake")

    def pid() -> int:
        with ControlClient.connect(home) as client:
            return client.hello.pid

    yield pid
    last = process.identify(pid())
    with ControlClient.connect(home) as client:
        client.call("quit")
    assert last is None or process.wait_gone(last, 20)


def test_a_killed_supervisor_is_restarted(
    app: App, supervised: Callable[[], int], wait_for: WaitFor
) -> None:
    app.link.open()
    wait_for(lambda: app.link.status is not None)
    first = supervised()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: app.link.status is None)
    wait_for(lambda: app.link.status is not None, 30)
    assert supervised() != first
    app.link.close()  # or it would restart the supervisor that the test ends


def test_a_second_window_raises_the_first(qapp: QApplication, wait_for: WaitFor) -> None:
    first = SingleInstance(window_address(this_home()))
    requests: list[str] = []
    first.asked.connect(requests.append)
    first.listen()
    second = subprocess.Popen([sys.executable, "-m", "desktop", "images"])
    wait_for(lambda: requests == ["images"])
    wait_for(lambda: second.poll() is not None)
    assert second.returncode == 0
    first.close()


def test_the_socket_of_a_killed_window_is_replaced(qapp: QApplication) -> None:
    address = window_address(this_home())
    dead = subprocess.run(
        [sys.executable, "-c", LISTEN_AND_DIE, address], check=False, capture_output=True
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    alive = SingleInstance(address)
    assert not alive.hand_over("")
    alive.listen()
    assert alive._server.isListening()
    alive.close()


def test_the_socket_is_in_a_folder_of_this_user_only(qapp: QApplication) -> None:
    """Another user could serve a predictable name in /tmp, and a window would connect to it."""
    home = this_home()
    path = Path(window_address(home))
    assert path.parent == home.run
    alive = SingleInstance(str(path))
    alive.listen()
    assert alive._server.isListening()
    assert path.stat().st_mode & 0o077 == 0
    os.chown(home.run, ID, ID)
    with pytest.raises(HomeUnusable, match="another user"):
        window_address(home)
    os.chown(home.run, 0, 0)
    alive.close()


LISTEN_AND_DIE = """
import os, signal, sys
from PySide6.QtCore import QCoreApplication
from desktop.single_instance import SingleInstance
app = QCoreApplication([])
instance = SingleInstance(sys.argv[1])
instance.listen()
assert instance._server.isListening()
os.kill(os.getpid(), signal.SIGKILL)
"""
